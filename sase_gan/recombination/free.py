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

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from sase_gan.errors import DataError, UsageError
from sase_gan.pixels import to_float
from sase_gan.recombination.control import Control
from sase_gan.recombination.drawn import Drawn, shares_of
from sase_gan.recombination.free_drawing import USUAL, Course, FreeDrawing, Prepared
from sase_gan.recombination.free_examples import (
    ExampleLevel,
    carry_relatives,
    find_relatives,
    level_sizes,
    scaled_sizes,
)
from sase_gan.recombination.free_planes import Size
from sase_gan.recombination.free_polish import PatchPolish
from sase_gan.recombination.free_settings import FreeSettings

EXACT_RELATIVES = 6000
"""A level of more patches takes the relatives over from the level before."""
LARGEST_VARIETY = 10.0


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
        self.channels = pictures.shape[1]
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
        return (self.channels, *self._sizes_for(size)[0])

    def noise_shapes(self, size: Size | None = None) -> tuple[tuple[int, int, int], ...]:
        """List the shapes of the noise of the finer levels."""
        return tuple((self.channels, *one) for one in self._sizes_for(size)[1:])

    @torch.no_grad()
    def draw(
        self,
        z: Tensor,
        noise: Sequence[Tensor] | None = None,
        *,
        size: Size | None = None,
        start: Tensor | None = None,
        strength: float = 0.5,
        course: Course | None = None,
        control: Control | None = None,
    ) -> Drawn:
        """Draw a picture for each latent, one after another, so that a batch changes nothing.

        Args:
            z: standard normal `[batch, *latent_shape(size)]`.
            noise: for each finer level `[batch, *noise_shapes(size)[level]]`; None adds none.
            size: height and width of the pictures; None for the training pictures'.
            start: float `[batch, 3, h, w]` in [-1, 1]: the layout is that of these pictures, varied by `strength`.
            strength: 0 to 1, how much noise the start gets: on a logarithmic scale at the coarsest level, as a share of
                `noise` at finer ones.
            course: how else they are drawn; as usual if None.
            control: what serves where, and what stays; its `strength` is not looked at.

        Raises:
            UsageError: a strength or a scale out of range.
            DataError: a size too small for a patch.
        """
        if not 0 <= strength <= 1:
            raise UsageError(f"strength is {strength}; it must be between 0 (the layout stays) and 1 (it is new)")
        course = course or USUAL
        if not 1 <= course.scale <= max(1, len(self.sizes) - 1):
            raise UsageError(f"start scale is {course.scale}; this model takes 1 to {len(self.sizes) - 1}")
        prepared = Prepared(
            self.settings, self.count, self.size, self.sizes, self.levels, self.relatives, self.polishes
        )
        drawing = FreeDrawing(prepared, self._sizes_for(size), course, control)
        pictures, found = [], []
        for one in range(len(z)):
            own = None if noise is None else [part[one : one + 1] for part in noise]
            begin = None if start is None else start[one : one + 1]
            picture, source = drawing.draw(z[one : one + 1], own, begin, strength)
            pictures.append(picture)
            found.append(source)
        sources = torch.stack(found)
        return Drawn(torch.cat(pictures), sources, shares_of(sources, self.count))

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
