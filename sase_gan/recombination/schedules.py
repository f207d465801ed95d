"""Noise and window schedules of the local denoiser, level by level.

All lengths are in pixels of a level and all noise levels in the units of its pixels in [-1, 1], so that one schedule
serves every size: a level at half the size sees half the noise, because averaging four pixels halves it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

COARSEST = 32
"""A level is halved as long as its shorter half has at least so many pixels."""


@dataclass(frozen=True)
class Schedule:
    """A schedule of noise levels and windows.

    Trials on 100 pandas and 96 drawn faces at 64 px chose the numbers (300 to 1,000 samples, other seeds than those
    that are reported): a largest window of 15 px copies least, 19 px gives better figures and begins to copy.

    Attributes:
        highest: noise at which the coarsest level begins, from the mean picture.
        turn: noise at which a level hands over to the next finer one, which begins at twice as much.
        lowest: noise of the last step.
        density: steps for every factor e of the noise.
        largest, smallest: window at noise of 1 and more, and at `lowest`; in between linear in the noise's logarithm.
        variety: divides the windows' span: above 1 more is decided by small windows, so pictures are newer and less
            coherent; below 1 larger pieces of the training pictures stay together.
        gentlest, wildest: noise at which the coarsest level begins from a given picture, with a strength of 0 and just
            below 1: under the first nothing of its layout moves, above the second nothing of it is left.
    """

    highest: float = 40.0
    turn: float = 0.25
    lowest: float = 0.03
    density: float = 3.8
    largest: float = 17.0
    smallest: float = 5.0
    variety: float = 1.0
    gentlest: float = 0.3
    wildest: float = 20.0

    def noise(self, level: int, count: int) -> tuple[float, ...]:
        """List the noise levels, falling, of one of `count` levels, coarse to fine."""
        start = self.highest if level == 0 else 2 * self.turn
        end = self.lowest if level == count - 1 else self.turn
        steps = max(2, round(self.density * math.log(start / end)) + 1)
        return tuple(start * (end / start) ** (step / (steps - 1)) for step in range(steps))

    def beginning(self, strength: float) -> float:
        """Return the noise at which the coarsest level begins from a given picture.

        Args:
            strength: 0 to 1: from `gentlest` to `wildest`, in between by the noise's logarithm.
        """
        return self.gentlest * (self.wildest / self.gentlest) ** strength

    def window(self, noise: float) -> float:
        """Return the side of the window in pixels of the level, a real number."""
        share = math.log(noise / self.lowest) / math.log(1.0 / self.lowest)
        share = min(1.0, max(0.0, share))
        return self.smallest + share * (max(self.smallest, self.largest / self.variety) - self.smallest)


def level_sizes(size: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """List the sizes of the levels of a picture, coarse to fine: each is exactly half of the next.

    Example:
        >>> level_sizes((128, 96))
        ((64, 48), (128, 96))
        >>> level_sizes((50, 50))
        ((50, 50),)
    """
    sizes = [size]
    while min(sizes[0]) >= 2 * COARSEST and not any(side % 2 for side in sizes[0]):
        sizes.insert(0, (sizes[0][0] // 2, sizes[0][1] // 2))
    assert all(fine == (2 * coarse[0], 2 * coarse[1]) for coarse, fine in pairwise(sizes))
    return tuple(sizes)
