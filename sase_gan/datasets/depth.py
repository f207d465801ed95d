"""The value that is white in a set's pictures of 16 bits.

Cameras and scanners put 10, 12 or 14 bits into 16-bit files without scaling them: their brightest value would become a
dark grey, and the set nearly black. The range is found over the whole set, so that pictures keep their brightness
towards each other: the fewest bits, at least 8, that hold the brightest value of all.
"""

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import BinaryIO

from sase_gan.pixels import highest_value
from sase_gan.sixteen_bits import FULL_WHITE

_DEEP_SUFFIXES = frozenset({".png", ".apng", ".tif", ".tiff", ".jp2", ".j2k", ".jpx"})


def find_white(count: int, names: Sequence[str], open_index: Callable[[int], BinaryIO]) -> int:
    """Find the value that becomes 255: 65535 without pictures of 16 bits, or where one of them needs them all.

    Files that cannot be read are passed over; decoding them tells why.

    Args:
        names: by whose suffix pictures that cannot have 16 bits are passed over unopened.
    """
    highest = -1
    for index in range(count):
        if PurePosixPath(names[index]).suffix.lower() not in _DEEP_SUFFIXES:
            continue
        try:
            with open_index(index) as file:
                highest = max(highest, highest_value(file))
        # What opening and unpacking raise differs by source.
        except Exception:
            continue
        if highest > FULL_WHITE // 2:
            break
    return FULL_WHITE if highest < 0 else white_of(highest)


def white_of(highest: int) -> int:
    """Give the largest value of the fewest bits, at least 8, that hold a value.

    Example:
        >>> [white_of(value) for value in (0, 255, 256, 4095, 40_000)]
        [255, 255, 511, 4095, 65535]
    """
    return int(2 ** max(8, highest.bit_length()) - 1)
