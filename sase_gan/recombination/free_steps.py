"""The steps of the free form: what a noisy picture is denoised to, at the coarsest level and at finer ones."""

from __future__ import annotations

import math
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from sase_gan.recombination.free_examples import ExampleLevel, Size, enlarged

_EVEN_ROUNDS = 3


def vote_weights(patch: int, deviation: float, like: Tensor) -> Tensor:
    """Weigh the pixels of a patch where patches overlap, `[patch * patch]`: the middle most."""
    reach = torch.arange(patch, device=like.device, dtype=like.dtype) - (patch - 1) / 2
    bell = torch.exp(-0.5 * (reach / deviation) ** 2)
    return (bell[:, None] * bell).flatten()


def fold_patches(patches: Tensor, size: Size, weights: Tensor) -> Tensor:
    """Average overlapping patches `[3 * k * k, places]` into a picture `[1, 3, *size]`."""
    patch = math.isqrt(len(weights))
    total = F.fold((patches.view(3, len(weights), -1) * weights[:, None]).view(1, len(patches), -1), size, patch)
    return total / F.fold(weights[None, :, None].expand(1, -1, patches.shape[1]), size, patch)


class CoarseStep:
    """The coarsest level compares every patch of the noisy picture with every patch of the training pictures.

    With a_j the log-prior of patch j that makes its use even, and (t, u) the shift down and across between the middles
    of both in shares of the sides,

        w_j(p) = softmax_j( a_j - |x(p) - y_j|^2 / (2 s^2) - (t / drift_down)^2 / 2 - (u / drift_across)^2 / 2 )

    and x0 is the average of the mixed patches where they overlap. Each step moves a_j by `rate` times the logarithm of
    how much less than its even share patch j is used: with a rate of 1 these are Sinkhorn's iterations, so that a
    drawn picture is, at every noise, close to a transport of the training pictures' patches.

    Args:
        size: of the pictures that are drawn, at this level.
        drift: down and across, in shares of height and width.
        limit: of a_j, either way.
    """

    def __init__(
        self, level: ExampleLevel, size: Size, *, drift: tuple[float, float], rate: float, limit: float, vote: Tensor
    ) -> None:
        self.level, self.size, self.rate, self.limit, self.vote = level, size, rate, limit, vote
        self.patches = torch.cat([F.unfold(x[None], level.patch)[0].T for x in level.pictures])
        self.lengths = self.patches.square().sum(1)
        self.prior = _position_prior(level, size, drift)
        self.even = torch.zeros_like(self.lengths)

    def __call__(self, x: Tensor | None, sigma: float) -> tuple[Tensor, Tensor]:
        """Denoise `x` `[1, 3, *size]`, or nothing at all, which gives the mean; return the likeliest patches too."""
        weights = self.weights(x, sigma)
        return fold_patches((weights @ self.patches).T, self.size, self.vote), weights.argmax(1)

    def weights(self, x: Tensor | None, sigma: float) -> Tensor:
        """Weigh the patches of the training pictures for each place, `[places, patches]`."""
        logits = self.prior
        if x is not None:
            distances = torch.addmm(self.lengths, F.unfold(x, self.level.patch)[0].T, self.patches.T, alpha=-2)
            logits = logits - distances / (2 * sigma * sigma)
        for _ in range(_EVEN_ROUNDS if self.rate else 0):
            use = (logits + self.even).softmax(1).sum(0) * (len(self.even) / len(logits))
            self.even = self.even - self.rate * use.clamp(math.exp(-2), math.exp(2)).log()
            self.even = self.even.clamp(-self.limit, self.limit)
        return (logits + self.even).softmax(1)


def _position_prior(level: ExampleLevel, size: Size, drift: tuple[float, float]) -> Tensor:
    """Give the log-prior of patches at places by the shift between their middles, `[places, patches]`."""
    _, *there = level.split(torch.arange(level.count, device=level.keys.device))
    parts = []
    for axis, deviation in enumerate(drift):
        here = torch.arange(size[axis] - level.patch + 1, device=level.keys.device)
        shift = (here[:, None] + level.patch / 2) / size[axis] - (there[axis] + level.patch / 2) / level.size[axis]
        parts.append(-0.5 * (shift / deviation) ** 2)
    return (parts[0][:, None] + parts[1]).flatten(0, 1)


def candidates(level: ExampleLevel, match: Tensor, relatives: Tensor | None) -> Tensor:
    """List where the matches of the nine neighbours lead, the relatives of those, and what lies around the own match.

    `[places, candidates]`; a patch may be listed several times.

    Args:
        match: `[rows, columns]`, a patch for each place.
        relatives: as of `find_relatives`.
    """
    down, right = (torch.arange(side, device=match.device) for side in match.shape)
    found = []
    for y, x in product((-1, 0, 1), repeat=2):
        above, left = (down + y).clamp(0, match.shape[0] - 1), (right + x).clamp(0, match.shape[1] - 1)
        there = match[above][:, left].flatten()[:, None]
        if relatives is not None:
            there = torch.cat([there, relatives[there[:, 0]]], 1)
        picture, row, column = level.split(there)
        # The way back from the neighbour, which is shorter where it would lie beyond the rim.
        back_y, back_x = (down - above)[:, None].expand(match.shape), (right - left).expand(match.shape)
        found.append(level.join(picture, row + back_y.reshape(-1, 1), column + back_x.reshape(-1, 1)))
    picture, row, column = level.split(match.flatten()[:, None])
    found += [level.join(picture, row + y, column + x) for y, x in product((-1, 0, 1), repeat=2) if y or x]
    return torch.cat(found, 1)


def fine_step(
    level: ExampleLevel, x: Tensor, match: Tensor, relatives: Tensor | None, vote: Tensor
) -> tuple[Tensor, Tensor]:
    """Replace every patch of `x` `[1, 3, h, w]` by the nearest of its candidates; return these as the new match.

    A softmax over the nearest four, as at the coarsest level, was no better on Places50 and a tenth slower.
    """
    queries = level.describe(x)[0].flatten(1).T
    index = candidates(level, match, relatives)
    nearest = index.gather(1, level.distances(index, queries).argmin(1, keepdim=True))[:, 0]
    return fold_patches(level.cut(nearest), (x.shape[2], x.shape[3]), vote), nearest.view(match.shape)


def carry_match(before: ExampleLevel, match: Tensor, level: ExampleLevel, size: Size) -> Tensor:
    """Turn a match of the level before into a guess for this one: the same displacement, enlarged.

    Args:
        match: `[rows, columns]`, a patch of the level before for each place.
        size: of the drawn pictures at this level.
    """
    drawn_before = (match.shape[0] + before.patch - 1, match.shape[1] + before.patch - 1)
    here = [torch.arange(side - level.patch + 1, device=match.device) for side in size]
    (near_row, near_column), (rest_row, rest_column) = before.nearest(here, level.patch, size, drawn_before)
    picture, row, column = before.split(match[near_row][:, near_column])
    row = enlarged(row, 0, before, level, rest_row[:, None])
    return level.join(picture, row, enlarged(column, 1, before, level, rest_column))
