"""How a picture of any shape becomes one of a given size: how sizes are written, and the names of the ways."""

from collections.abc import Mapping
from typing import Literal, cast, get_args

from sase_gan.errors import UsageError

Fit = Literal["crop", "pad", "squash"]

FITS: Mapping[str, str] = {
    "crop": "the middle",
    "pad": "all of it, with bars",
    "squash": "all of it, distorted, as the released low-shot loops do",
}
"""What each leaves of a picture."""

assert tuple(FITS) == get_args(Fit)

FIT_HELP = f"How pictures come to their size: {'; '.join(f'{name}: {words}' for name, words in FITS.items())}."


def checked_fit(name: str) -> Fit:
    """Return a name that is known.

    Raises:
        UsageError: for another one.
    """
    if name not in FITS:
        *others, last = FITS
        raise UsageError(f"fit is {name!r}; choose {', '.join(others)} or {last}.")
    return cast(Fit, name)


def sides(size: int | str) -> tuple[int, int]:
    """Read height and width in pixels from the side of a square, or from WIDTHxHEIGHT.

    Raises:
        ValueError: for anything else.

    Example:
        >>> sides(64), sides("64x96")
        ((64, 64), (96, 64))
    """
    if isinstance(size, int):
        return size, size
    width, _, height = size.lower().partition("x")
    if not (width.isdecimal() and (height or width).isdecimal() and min(int(width), int(height or width)) >= 1):
        raise ValueError(f"the size is {size!r}; write a side such as 64, or WIDTHxHEIGHT such as 64x96")
    return int(height or width), int(width)


def size_words(height: int, width: int) -> str:
    """Write a size as it is asked for.

    Example:
        >>> size_words(64, 64), size_words(96, 64)
        ('64', '64x96')
    """
    return f"{height}" if height == width else f"{width}x{height}"


def checked_size(size: int | str) -> int | str:
    """Return a size that can be read, the side of a square as a number.

    Raises:
        UsageError: as `sides` says it.
    """
    try:
        height, width = sides(size)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return height if height == width else f"{width}x{height}"
