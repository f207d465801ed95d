"""The free form: new arrangements of one picture, or of a few, from patches at any position, without training.

The best denoiser of a picture that decides by patches, wherever they come from, is a softmax over all its patches
(arXiv 2606.04299; the equivariant form of Kamb and Ganguli, arXiv 2412.20292):

    w_j(p) = softmax_j( -|x(p) - y_j|^2 / (2 s^2) ),   x0 = overlapping patches sum_j w_j(p) y_j averaged,
    x      <- x0 + (x - x0) s_next / s

Additions, all measured:
* A prior on how far a patch may move keeps the sky above; it is tighter up and down than to the sides.
* All patches are used alike (`free_steps.CoarseStep`).
* Coarse to fine: the layout is decided at 32 px. A finer level begins with the coarser picture enlarged, plus noise,
  and looks only at where the neighbours' patches lead and at the relatives of these (`free_examples`).
* Each finer level ends with a polish of the distribution of its patches (`free_polish`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from sase_gan.errors import DataError, UsageError
from sase_gan.pixels import to_float
from sase_gan.recombination.free_examples import (
    ExampleLevel,
    Size,
    carry_relatives,
    find_relatives,
    level_sizes,
    scaled_sizes,
)
from sase_gan.recombination.free_polish import PatchPolish
from sase_gan.recombination.free_settings import FreeSettings
from sase_gan.recombination.free_steps import CoarseStep, carry_match, fine_step, vote_weights
from sase_gan.resizing import resize

EXACT_RELATIVES = 6000
"""A level of more patches takes the relatives over from the level before."""
LARGEST_VARIETY = 10.0


class Drawn(NamedTuple):
    """Pictures drawn by recombination, each pixel with its source.

    Attributes:
        pictures: float `[batch, 3, height, width]` in [-1, 1].
        sources: int32 `[batch, height, width, 3]`: index of the training picture, row and column in it. From N on, the
            number of training pictures, an index means the mirror image of picture `index - N`; the column is then
            the mirrored one, so that `picture[:, row, column]` is the source in every case.
    """

    pictures: Tensor
    sources: Tensor


class FreeRecombiner:
    """A recombiner draws new arrangements of one picture or a few, from patches at any position.

    Args:
        pictures: uint8 `[N, 3, height, width]`, N >= 1; with few pictures, 29 or so, it stays quick.
        mirror: whether patches of the mirror images count too.
        variety: over 0 to 10; how far patches move and how much is drawn anew, as a multiple of the default.
        settings: everything else.

    Raises:
        DataError: no picture, or sides too short for a patch.
        UsageError: a variety out of range.

    Example:
        >>> recombiner = FreeRecombiner(torch.randint(256, (1, 3, 48, 64), dtype=torch.uint8))
        >>> z = torch.randn(2, *recombiner.latent_shape())
        >>> noise = [torch.randn(2, *shape) for shape in recombiner.noise_shapes()]
        >>> recombiner.draw(z, noise).pictures.shape
        torch.Size([2, 3, 48, 64])
    """

    def __init__(
        self,
        pictures: Tensor,
        *,
        mirror: bool = False,
        variety: float = 1.0,
        settings: FreeSettings | None = None,
    ) -> None:
        if not 0 < variety <= LARGEST_VARIETY:
            raise UsageError(f"variety is {variety}; it must be over 0 and at most {LARGEST_VARIETY:g} (usual is 1)")
        s = settings or FreeSettings()
        self.settings = s = replace(
            s, drift_down=s.drift_down * variety, drift_across=s.drift_across * variety, noise=s.noise * variety
        )
        self.size: Size = (pictures.shape[2], pictures.shape[3])
        self._check(len(pictures), self.size)
        self.count = len(pictures)
        examples = to_float(pictures)
        if mirror:
            examples = torch.cat([examples, examples.flip(-1)])
        self.sizes = level_sizes(self.size, s.coarsest, s.growth, s.coarse_patch)
        self.levels = [ExampleLevel(examples, self.sizes[0], s.coarse_patch, s.components)]
        self.levels += [ExampleLevel(examples, size, s.fine_patch, s.components) for size in self.sizes[1:]]
        self.relatives = self._find_relatives()
        self.polishes = [
            PatchPolish(
                level.pictures,
                patch=s.polish_patch,
                kernels=s.polish_kernels,
                steps=s.polish_steps,
                rate=s.polish_rate,
            )
            for level in self.levels[1:]
        ]

    def latent_shape(self, size: Size | None = None) -> tuple[int, int, int]:
        """Return the shape of z, the noise of the coarsest level, for pictures of a size; None: the training size."""
        return (3, *self._sizes_for(size)[0])

    def noise_shapes(self, size: Size | None = None) -> tuple[tuple[int, int, int], ...]:
        """List the shapes of the noise of the finer levels."""
        return tuple((3, *one) for one in self._sizes_for(size)[1:])

    @torch.no_grad()
    def draw(
        self,
        z: Tensor,
        noise: Sequence[Tensor] | None = None,
        *,
        size: Size | None = None,
        start: Tensor | None = None,
        strength: float = 0.5,
    ) -> Drawn:
        """Draw a picture for each latent, one after another, so that a batch changes nothing.

        Args:
            z: standard normal `[batch, *latent_shape(size)]`.
            noise: for each finer level `[batch, *noise_shapes(size)[level]]`; None adds none.
            size: height and width of the pictures; None for the training pictures'.
            start: float `[batch, 3, h, w]` in [-1, 1]: the layout is that of these pictures, varied by `strength`.
            strength: 0 to 1, how much noise the start gets: on a logarithmic scale at the coarsest level, as a share of
                `noise` at finer ones.

        Raises:
            UsageError: a strength out of range.
            DataError: a size too small for a patch.
        """
        if not 0 <= strength <= 1:
            raise UsageError(f"strength is {strength}; it must be between 0 (the layout stays) and 1 (it is new)")
        sizes = self._sizes_for(size)
        pictures, sources = [], []
        for one in range(len(z)):
            begin = None if start is None else start[one : one + 1]
            share = 1.0 if start is None else strength
            own = None if noise is None else [share * part[one : one + 1] for part in noise]
            x, match = self._layout(z[one : one + 1], sizes[0], begin, strength)
            x, match = self._refine(x, match, own, sizes)
            pictures.append(x.clamp(-1, 1))
            sources.append(self._sources(match, sizes[-1]))
        return Drawn(torch.cat(pictures), torch.stack(sources))

    def _layout(self, z: Tensor, size: Size, start: Tensor | None, strength: float) -> tuple[Tensor, Tensor]:
        """Draw the coarsest level, `[1, 3, *size]`, and its match, `[rows, columns]`."""
        s, level = self.settings, self.levels[0]
        vote = vote_weights(level.patch, s.vote, z)
        drift = (s.drift_down, s.drift_across)
        step = CoarseStep(level, size, drift=drift, rate=s.even_rate, limit=s.even_limit, vote=vote)
        highest = s.highest
        if start is None:
            x, match = step(None, highest)
        else:
            x, match = resize(start, size), torch.empty(0)
            highest = s.lowest * (s.highest / s.lowest) ** strength
        x = x + highest * z
        sigmas = falling(highest, s.lowest, s.coarse_steps)
        for now, then in pairwise([*sigmas, 0.0]):
            clean, match = step(x, now)
            x = clean + (x - clean) * (then / now)
        return x, match.view(size[0] - level.patch + 1, size[1] - level.patch + 1)

    def _refine(
        self, x: Tensor, match: Tensor, noise: Sequence[Tensor] | None, sizes: Sequence[Size]
    ) -> tuple[Tensor, Tensor]:
        """Draw the finer levels."""
        s, last = self.settings, len(sizes) - 1
        for index in range(1, len(sizes)):
            level, relatives = self.levels[index], self.relatives[index]
            match = carry_match(self.levels[index - 1], match, level, sizes[index])
            x = resize(x, sizes[index])
            highest = s.noise * math.sqrt(math.prod(self.sizes[1]) / math.prod(self.sizes[index]))
            if noise is not None:
                x = x + highest * noise[index - 1]
            vote = vote_weights(level.patch, s.vote, x)
            for now, then in pairwise([*falling(max(highest, s.floor), s.floor, s.steps), 0.0]):
                clean, match = fine_step(level, x, match, relatives, vote)
                x = clean + (x - clean) * (then / now)
            if index == last:
                x, match = fine_step(level, x, match, relatives, vote_weights(level.patch, s.last_vote, x))
            x = self.polishes[index - 1](x)
        return x, match

    def _sources(self, match: Tensor, size: Size) -> Tensor:
        """Name for each pixel the one that it comes from, by the patch whose middle it is, or the nearest one's."""
        level = self.levels[-1]
        down, right = (torch.arange(side, device=match.device) for side in size)
        top = (down - level.patch // 2).clamp(0, match.shape[0] - 1)
        left = (right - level.patch // 2).clamp(0, match.shape[1] - 1)
        picture, row, column = level.split(match[top][:, left])
        row, column = row + (down - top)[:, None], column + (right - left)
        column = torch.where(picture < self.count, column, self.size[1] - 1 - column)
        return torch.stack([picture, row, column], -1).int()

    def _find_relatives(self) -> list[Tensor | None]:
        found: list[Tensor | None] = [None]
        if not self.settings.relatives:
            return found * len(self.levels)
        for before, level in pairwise(self.levels):
            known = found[-1]
            if known is None or level.count <= EXACT_RELATIVES:
                found.append(find_relatives(level, self.settings.relatives))
            else:
                found.append(carry_relatives(before, known, level))
        return found

    def _sizes_for(self, size: Size | None) -> list[Size]:
        if size is None or tuple(size) == self.size:
            return self.sizes
        self._check(1, size)
        return scaled_sizes(self.sizes, (int(size[0]), int(size[1])), self.settings.coarse_patch)

    def _check(self, count: int, size: Sequence[int]) -> None:
        least = 2 * self.settings.coarse_patch
        if count < 1 or min(size) < least:
            raise DataError(
                f"{count} pictures of {size[1]} x {size[0]} px; recombining patches takes at least one picture and "
                f"{least} px a side: give larger pictures or another size"
            )


def falling(highest: float, lowest: float, steps: int) -> list[float]:
    """List `steps` noise levels from the highest to the lowest, in equal ratios.

    Example:
        >>> falling(4.0, 1.0, 3)
        [4.0, 2.0, 1.0]
    """
    return [highest * (lowest / highest) ** (step / max(1, steps - 1)) for step in range(steps)]
