"""The sizes of a one-shot pyramid, from the picture's.

They are computed once, when a run begins, and stored in its configuration and in every snapshot. Both rules round up,
and the products that they round lie often on a whole number: the released arithmetic then gave 26 for 25 or 251 for
250, by the last bit of a float. A millionth of a pixel is forgiven here.
"""

from __future__ import annotations

import math
from itertools import pairwise

from sase_gan.errors import DataError

Size = tuple[int, int]
"""Height and width in pixels."""

LEAST_SIDE = 11
"""The discriminator's receptive field: a shorter side leaves it nothing to judge."""
LEAST_GROWTH = 1.13
"""Stages closer than this are merged: the finer one would have nothing new to draw."""


def round_up(value: float) -> int:
    """Round up to a whole number, forgiving a millionth."""
    return math.ceil(value - 1e-6)


def training_size(height: int, width: int, max_size: int) -> Size:
    """Shrink a picture's size so that its longer side is at most `max_size`, for the finest stage; never enlarge it."""
    shrink = min(max_size / max(height, width), 1.0)
    return round_up(height * shrink), round_up(width * shrink)


def released_sizes(height: int, width: int, *, smallest_side: int = 25, max_size: int = 250) -> tuple[Size, ...]:
    """Take equal steps, as released with arXiv 2112.14804 and, before it, SinGAN (arXiv 1905.01164).

    With f = 0.75, `num = ceil(log_f(smallest / min(h, w))) + 1`,
    `drop = ceil(log_f(min(max_size, max(h, w)) / max(h, w)))` and `N = num - drop`, the picture is shrunk to `max_size`
    and stage i of 0..N is `r^(N - i)` of it, `r = (smallest / short side)^(1 / N)`.

    Raises:
        DataError: for a picture too small or too long for a pyramid.

    Example:
        >>> len(released_sizes(750, 1000)), released_sizes(750, 1000)[0]
        (9, (25, 34))
    """
    full = _full_size(height, width, smallest_side, max_size)
    number = round_up(math.log(smallest_side / min(height, width), 0.75)) + 1
    dropped = round_up(math.log(min(max_size, max(height, width)) / max(height, width), 0.75))
    last = max(0, number - dropped)
    return tuple(_scaled(full, smallest_side, (last - stage) / last if last else 0.0) for stage in range(last + 1))


def dense_sizes(
    height: int, width: int, *, smallest_side: int = 25, max_size: int = 250, stages: int = 6
) -> tuple[Size, ...]:
    """Take few stages, closer together at the coarse end, where the layout is decided: ConSinGAN, arXiv 2003.11512.

    With `M = stages - 1` and `r = (smallest / short side)^(1 / M)`, stage n < M has the full size times
    `r^((M - 1) / ln M * ln(M - n) + 1)`. A picture too small for so many gets fewer stages, each at least an
    eighth larger than the one before.

    Raises:
        DataError: for a picture too small or too long for a pyramid.

    Example:
        >>> [min(size) for size in dense_sizes(188, 250)]
        [25, 32, 42, 63, 126, 188]
    """
    full = _full_size(height, width, smallest_side, max_size)
    for count in range(stages, 1, -1):
        sizes = tuple(_scaled(full, smallest_side, share) for share in _dense_shares(count))
        if all(max(fine) >= LEAST_GROWTH * max(coarse) for coarse, fine in pairwise(sizes)):
            return sizes
    return (full,)


def _dense_shares(stages: int) -> list[float]:
    """Share out the whole way down, on a logarithmic scale: 1 at the coarsest stage, 0 at the finest."""
    last = stages - 1
    steep = (last - 1) / math.log(last) if last > 1 else 0.0
    return [(steep * math.log(last - stage) + 1) / last for stage in range(last)] + [0.0]


def _scaled(full: Size, smallest_side: int, share: float) -> Size:
    scale = (smallest_side / min(full)) ** share
    return round_up(full[0] * scale), round_up(full[1] * scale)


def _full_size(height: int, width: int, smallest_side: int, max_size: int) -> Size:
    if smallest_side < LEAST_SIDE:
        raise DataError(f"smallest_side is {smallest_side} px; it must be at least {LEAST_SIDE}, what the critic sees")
    full = training_size(height, width, max_size)
    picture = f"the picture is {width}x{height} px"
    if min(height, width) < smallest_side:
        raise DataError(f"{picture}; its shorter side must be at least {smallest_side} px: take a larger picture")
    if min(full) < smallest_side:
        raise DataError(
            f"{picture}, at a longer side of {max_size} px {full[1]}x{full[0]}; its shorter side must stay at least "
            f"{smallest_side} px: crop it, or raise pyramid.max_size"
        )
    return full
