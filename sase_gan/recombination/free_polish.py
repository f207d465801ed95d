"""The last touch of a level: the patches of a drawn picture as a whole are brought to those of the training pictures.

Overlapping patches are averaged where regions meet, so there the picture is softer than any training picture. Here the
distribution of all its small patches is moved towards theirs, along random directions: sliced Wasserstein distance of
patches, Elnekave and Weiss, "Generating natural images with direct patch distribution matching", 2022, arXiv
2203.11862. Deviations: a finish of pictures that are recombined already, and no optimiser. A step is the exact
one-dimensional transport along a few orthonormal directions, averaged over the patches that overlap (as Pitie and
others, "Automated colour grading using colour distribution transfer", 2007, do with colours).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sase_gan.recombination.free_planes import OPEN, Plane
from sase_gan.seeds import generator

POINTS = 2048
"""So many quantiles stand for the training pictures' responses to a kernel."""
BINS = 1024
EXACT = 512


class PatchPolish:
    """A polish moves the distribution of a picture's patches to that of the training pictures' patches.

    Args:
        pictures: float `[N, 3, height, width]` in [-1, 1].
        patch: side of the patches.
        kernels: directions of a step.
        steps: how many, each with directions of its own.
        rate: share of the way that a step goes; 0 to 1.
        exact: up to so many values are ranked by sorting them.
    """

    def __init__(
        self, pictures: Tensor, *, patch: int, kernels: int, steps: int, rate: float, exact: int = EXACT
    ) -> None:
        self.patch, self.rate, self.exact = patch, rate, exact
        self.kernels = [
            _kernels(step, patch, kernels, pictures.shape[1]).to(pictures) for step in range(steps)
        ]  # shared by all levels
        self.targets = [_quantiles(F.conv2d(pictures, one).transpose(0, 1).flatten(1)) for one in self.kernels]

    def __call__(self, x: Tensor, plane: Plane = OPEN, settled: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Polish a picture `[1, 3, h, w]`.

        Args:
            plane: in which it lies.
            settled: brings it back, after every step, to what must hold.
        """
        places = x.new_ones(1, 1, *plane.places((x.shape[2], x.shape[3]), self.patch))
        cover = plane.folded_back(F.conv_transpose2d(places, x.new_ones(1, 1, self.patch, self.patch)), self.patch)
        for kernels, target in zip(self.kernels, self.targets, strict=True):
            # A few directions of a space of many: each stands for its share of the whole.
            scale = self.rate * kernels[0].numel() / len(kernels)
            responses = F.conv2d(plane.extended(x, self.patch), kernels)
            wanted = transported(responses.flatten(2)[0], target, self.exact).view_as(responses)
            change = plane.folded_back(_spread(wanted - responses, kernels), self.patch)
            x = x + scale * change / cover
            x = x if settled is None else settled(x)
        return x


def _spread(responses: Tensor, kernels: Tensor) -> Tensor:
    """Add up kernels times responses `[1, kernels, h, w]` where they overlap: a third of `conv_transpose2d`'s time.

    Each row of the kernels is a convolution along the lines; their results are added where the rows lie.
    """
    count, colours, patch, _ = kernels.shape
    rows = kernels.permute(1, 2, 0, 3).flip(3).reshape(colours * patch, count, 1, patch)
    lines = F.conv2d(responses, rows, padding=(0, patch - 1))[0].unflatten(0, (colours, patch))
    high = responses.shape[2]
    total = responses.new_zeros(1, colours, high + patch - 1, lines.shape[3])
    for row in range(patch):
        total[0, :, row : row + high] += lines[:, row]
    return total


@cache
def _kernels(step: int, patch: int, count: int, channels: int) -> Tensor:
    """Draw orthonormal kernels `[count, channels, patch, patch]`, the same on every computer."""
    rows = torch.randn(
        channels * patch * patch, count, generator=generator(0, "patch polish", step), dtype=torch.float64
    )
    return torch.linalg.qr(rows).Q.T.reshape(count, channels, patch, patch).float().contiguous()


def _quantiles(responses: Tensor) -> Tensor:
    """Sum up responses `[kernels, places]` by their quantiles, at most POINTS, in ascending order."""
    # On a CPU numpy sorts numbers four times as fast as torch does.
    on_cpu = responses.device.type == "cpu"
    ordered = torch.from_numpy(np.sort(responses.numpy(), axis=1)) if on_cpu else responses.sort(1).values
    return _stretched(ordered, min(POINTS, responses.shape[1]))


def _stretched(ordered: Tensor, count: int) -> Tensor:
    """Bring ordered lists `[kernels, n]` to another length, by interpolation."""
    if ordered.shape[1] == count:
        return ordered
    return F.interpolate(ordered[None], size=count, mode="linear", align_corners=True)[0]


def transported(values: Tensor, target: Tensor, exact: int = EXACT) -> Tensor:
    """Move each row of `values` `[rows, n]` to the distribution of which `target` `[rows, points]` are the quantiles.

    A value goes to the target's quantile of its rank. Of more than `exact` values the rank is read off a histogram,
    between whose edges it lies linearly: a ninth of the time of sorting.
    """
    if values.shape[1] <= exact:
        order = values.argsort(1)
        return torch.empty_like(values).scatter_(1, order, _stretched(target, values.shape[1]))
    lowest, highest = values.amin(1, keepdim=True), values.amax(1, keepdim=True)
    place = ((values - lowest) * (BINS / (highest - lowest).clamp_min(1e-6))).clamp_(max=BINS - 1e-3)
    bins = place.int().long()  # in two steps, which is quicker than one
    counts = torch.zeros(len(values), BINS, dtype=torch.long, device=values.device)
    counts.scatter_add_(1, bins, torch.ones_like(bins))
    below = F.pad(counts.cumsum(1), (1, 0)).to(values.dtype) * ((target.shape[1] - 1) / values.shape[1])
    edges = _between(target, below)
    return edges.gather(1, bins).lerp(edges[:, 1:].gather(1, bins), place.frac_())


def _between(table: Tensor, place: Tensor) -> Tensor:
    """Read a table `[rows, n]` at fractional places `[rows, m]`, 0 to n - 1."""
    first = place.long().clamp_(0, table.shape[1] - 2)
    return table.gather(1, first).lerp(table.gather(1, first + 1), place - first)
