"""The way of one picture of the free form through the levels, coarse to fine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from sase_gan.recombination.control import Control
from sase_gan.recombination.drawn import NOWHERE
from sase_gan.recombination.free_control import FreeControl, free_control
from sase_gan.recombination.free_examples import ExampleLevel
from sase_gan.recombination.free_planes import OPEN, Plane, Size
from sase_gan.recombination.free_polish import PatchPolish
from sase_gan.recombination.free_settings import FreeSettings
from sase_gan.recombination.free_steps import CoarseStep, carry_match, fine_step, nearest_patches, vote_weights


class Prepared(NamedTuple):
    """What is prepared of the training pictures, once for all drawings.

    Attributes:
        pictures: how many there are; size: theirs.
        sizes, levels, relatives, polishes: of each level; there is no polish of the coarsest.
    """

    settings: FreeSettings
    pictures: int
    size: Size
    sizes: list[Size]
    levels: list[ExampleLevel]
    relatives: list[Tensor | None]
    polishes: list[PatchPolish]


@dataclass(frozen=True)
class Course:
    """A course says how pictures are drawn, beyond size and noise.

    Attributes:
        plane: in which they lie.
        scale: the level before which a start enters: from 1, as the coarsest level's picture, to the last one.
        drift: how far patches may move at the coarsest level, as a multiple of the setting; infinite: anywhere.
        even: whether the coarsest level uses all patches alike.
        polish: whether the patches of what is drawn are brought to the training pictures' distribution; not where a
            picture must not be of the training picture's composition.
        way: sizes of the coarsest level through which a start becomes one of the size that is drawn.
        way_noise: deviation of the noise that each of these sizes begins to be cleaned of: how freely patches are
            chosen there.
    """

    plane: Plane = OPEN
    scale: int = 1
    drift: float = 1.0
    even: bool = True
    polish: bool = True
    way: tuple[Size, ...] = ()
    way_noise: float = 0.5


USUAL = Course()
_WAY_STEPS = 8


class FreeDrawing:
    """A drawing draws pictures of one size on one course.

    Args:
        sizes: of the levels of what is drawn.
    """

    def __init__(self, prepared: Prepared, sizes: Sequence[Size], course: Course, control: Control | None) -> None:
        self.prepared, self.sizes, self.course = prepared, sizes, course
        self.controls = [
            free_control(control, level, size, course.plane, prepared.pictures)
            for level, size in zip(prepared.levels, sizes, strict=True)
        ]

    def draw(
        self, z: Tensor, noise: Sequence[Tensor] | None, start: Tensor | None, strength: float
    ) -> tuple[Tensor, Tensor]:
        """Draw one picture `[1, 3, h, w]`, and its sources `[h, w, 3]`; arguments as of `FreeRecombiner.draw`."""
        entry = self.course.scale - 1
        if start is None or entry == 0:
            x, match = self._layout(self.course.plane.settled(z), start, strength)
        else:
            x = self._settled(self.course.plane.resized(start, self.sizes[entry]), entry)
            match = nearest_patches(
                self.prepared.levels[entry], x, plane=self.course.plane, control=self.controls[entry]
            )
        share = 1.0 if start is None else strength
        for index in range(1 if start is None else self.course.scale, len(self.sizes)):
            x, match = self._refined(index, x, match, None if noise is None else share * noise[index - 1])
        return x.clamp(-1, 1), self._sources(match)

    def _layout(self, z: Tensor, start: Tensor | None, strength: float) -> tuple[Tensor, Tensor]:
        """Draw the coarsest level, `[1, 3, *size]`, and its match, `[rows, columns]`."""
        s, size = self.prepared.settings, self.sizes[0]
        step = self._coarse_step(size, self.controls[0])
        highest = s.highest
        if start is None:
            x, _ = step(None, highest)
        else:
            x = self._on_the_way(start)
            highest = s.lowest * (s.highest / s.lowest) ** strength
        x, match = self._falling(step, self._settled(x, 0) + highest * z, falling(highest, s.lowest, s.coarse_steps), 0)
        places = self.course.plane.places(size, self.prepared.levels[0].patch)
        return x, match.view(places)

    def _falling(
        self, step: CoarseStep, x: Tensor, sigmas: Sequence[float], level: int | None
    ) -> tuple[Tensor, Tensor]:
        """Denoise at the coarsest level, along falling noise; nothing is kept without a level."""
        match = torch.empty(0)
        for now, then in pairwise([*sigmas, 0.0]):
            clean, match = step(x, now)
            clean = self.course.plane.settled(clean) if level is None else self._settled(clean, level)
            x = clean + (x - clean) * (then / now)
        return x, match

    def _on_the_way(self, start: Tensor) -> Tensor:
        """Bring a start to the coarsest size, gradually if the course says so: each size is made of whole patches."""
        s, plane = self.prepared.settings, self.course.plane
        x = start
        for size in self.course.way:
            x = plane.settled(plane.resized(x, size))
            sigmas = falling(self.course.way_noise, s.lowest, _WAY_STEPS)
            x, _ = self._falling(self._coarse_step(size, None), x, sigmas, None)
        return plane.resized(x, self.sizes[0])

    def _coarse_step(self, size: Size, control: FreeControl | None) -> CoarseStep:
        s, level = self.prepared.settings, self.prepared.levels[0]
        return CoarseStep(
            level,
            size,
            drift=(s.drift_down * self.course.drift, s.drift_across * self.course.drift),
            rate=s.even_rate if self.course.even else 0.0,
            limit=s.even_limit,
            vote=vote_weights(level.patch, s.vote, level.pictures),
            plane=self.course.plane,
            control=control,
        )

    def _refined(self, index: int, x: Tensor, match: Tensor, noise: Tensor | None) -> tuple[Tensor, Tensor]:
        """Draw a finer level."""
        p, s, plane = self.prepared, self.prepared.settings, self.course.plane
        level, size = p.levels[index], self.sizes[index]
        match = carry_match(p.levels[index - 1], match, level, size, plane)
        x = plane.resized(x, size)
        highest = s.noise * math.sqrt(math.prod(p.sizes[1]) / math.prod(p.sizes[index]))
        if noise is not None:
            x = x + highest * noise
        x = plane.settled(x)
        vote = vote_weights(level.patch, s.vote, x)
        for now, then in pairwise([*falling(max(highest, s.floor), s.floor, s.steps), 0.0]):
            clean, match = self._step(index, x, match, vote)
            clean = self._settled(clean, index)
            x = clean + (x - clean) * (then / now)
        if index == len(self.sizes) - 1:
            x, match = self._step(index, x, match, vote_weights(level.patch, s.last_vote, x))
            x = self._settled(x, index)
        if self.course.polish:
            x = p.polishes[index - 1](x, plane, lambda polished: self._settled(polished, index))
        return x, match

    def _step(self, index: int, x: Tensor, match: Tensor, vote: Tensor) -> tuple[Tensor, Tensor]:
        level, relatives = self.prepared.levels[index], self.prepared.relatives[index]
        return fine_step(level, x, match, relatives, vote, plane=self.course.plane, control=self.controls[index])

    def _settled(self, x: Tensor, index: int) -> Tensor:
        """Put what the plane asks, and what is kept of a visitor's picture, into a picture of a level."""
        return self.controls[index].held.kept(self.course.plane.settled(x))

    def _sources(self, match: Tensor) -> Tensor:
        """Name for each pixel the one that it comes from, by the patch whose middle it is, or the nearest one's."""
        p, plane, level, size = self.prepared, self.course.plane, self.prepared.levels[-1], self.sizes[-1]
        down, right = (torch.arange(side, device=match.device) for side in size)
        top = plane.beside(down - level.patch // 2, match.shape[0])
        left = plane.beside(right - level.patch // 2, match.shape[1])
        picture, row, column = level.split(match[top][:, left])
        row, column = row + ((down - top) % size[0])[:, None], column + (right - left) % size[1]
        column = torch.where(picture < p.pictures, column, p.size[1] - 1 - column)
        sources = plane.sources(torch.stack([picture, row, column], -1).int(), p.pictures)
        held = self.controls[-1].held
        if held.keep is not None and held.picture is not None:
            sources[held.keep >= 1] = NOWHERE
        return sources


def falling(highest: float, lowest: float, steps: int) -> list[float]:
    """List `steps` noise levels from the highest to the lowest, in equal ratios.

    Example:
        >>> falling(4.0, 1.0, 3)
        [4.0, 2.0, 1.0]
    """
    return [highest * (lowest / highest) ** (step / max(1, steps - 1)) for step in range(steps)]
