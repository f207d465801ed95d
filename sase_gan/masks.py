"""Masks from picture files: one way to read them, wherever a command, the studio or Python takes one.

A mask is white, or painted on transparent ground, where something may change or a rule holds.
"""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from sase_gan.errors import DataError
from sase_gan.pixels import read_rgba

INSIDE = 128
"""From this level up, of 0 to 255, a pixel is inside."""
_TOLERANCE = 0.02
"""Of a side, by which proportions may differ: sizes are rounded to whole pixels."""


def read_mask(path: Path | str, like: Sequence[int] | None = None) -> Tensor:
    """Read a mask, bool `[height, width]`.

    Inside is what is bright in any of the three channels, so that red serves as white does, and visible; of dark paint
    on transparent ground, the paint.

    Args:
        like: height and width of the picture that the mask is about.

    Raises:
        DataError: for a file that cannot be read, an empty mask, or one of other proportions than the picture.
    """
    rgba = read_rgba(path)
    bright, opaque = rgba[:3].amax(0) >= INSIDE, rgba[3] >= INSIDE
    inside = bright & opaque
    if not opaque.all() and not inside.any():
        inside = opaque
    if not inside.any():
        raise DataError(
            f"the mask is empty: no pixel of {path} is bright (at least {INSIDE} of 255 in a channel) or painted on "
            "transparent ground; paint white where something may change"
        )
    if like is not None:
        check_proportions(inside, like, path)
    return inside


def check_proportions(mask: Tensor, like: Sequence[int], path: Path | str) -> None:
    """Refuse a mask that would have to be stretched to cover a picture of this height and width.

    Raises:
        DataError: with both sizes.
    """
    if not same_proportions(mask.shape[-2:], like):
        height, width = mask.shape[-2:]
        raise DataError(
            f"the mask {path} is {width}x{height} and the picture {like[1]}x{like[0]}; a mask needs the picture's "
            "proportions: paint it on a copy of the picture"
        )


def same_proportions(one: Sequence[int], other: Sequence[int]) -> bool:
    """Tell whether two sizes, height and width, differ in scale only.

    Example:
        >>> same_proportions((100, 150), (50, 75)), same_proportions((100, 100), (50, 75))
        (True, False)
    """
    (height, width), (other_height, other_width) = one, other
    expected = other_height * width / other_width
    return abs(height - expected) <= max(1.0, _TOLERANCE * height)
