"""Pairs of pictures in a set that are the same or nearly so.

A copy in the set makes a generator that copies look better than it is, and leaks between training and holdout pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

Kind = Literal["exact", "near", "mirrored"]
THUMBNAIL_SIZE = 16
NEAR_THRESHOLD = 16.0
"""Largest difference (grey levels, 0..255) of any thumbnail cell for two pictures to count as nearly the same.

The largest, not the mean: two emoji that differ in the mouth alone differ much in few cells, while a picture and its
recompressed, resized or slightly brightened copy differ little everywhere. Measured at 128 px on emoji-faces, the
100-shot pandas and 50 scenes: copies saved as JPEG of quality 30 or resized to half and back differ by at most 8,
brightened by 8 levels by 8; different pictures by at least 35 (emoji) and 77 (photographs). A copy cropped by 2 %
differs by 18 to 48 and is not found.
"""


@dataclass(frozen=True)
class DuplicatePair:
    """A pair names two pictures that look the same; `difference` is the largest of a thumbnail cell, in grey levels."""

    first: str
    second: str
    kind: Kind
    difference: float


def thumbnail(image: Image.Image) -> Tensor:
    """Shrink an 8-bit RGB picture to a grey thumbnail, float32 [256] (16 x 16 cells, each the average of its area)."""
    small = image.convert("L").resize((THUMBNAIL_SIZE, THUMBNAIL_SIZE), Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(small, dtype=np.float32).flatten())


def find_duplicates(
    names: Sequence[str], thumbnails: Tensor, digests: Sequence[str], threshold: float = NEAR_THRESHOLD
) -> tuple[DuplicatePair, ...]:
    """Find pairs with equal digests ("exact"), or with thumbnails that differ by at most `threshold`, mirrored too.

    A pair is left out when earlier pairs connect its pictures already: N - 1 pairs at most, from which the groups of
    pictures that belong together can be read, even if the whole set is one picture a thousand times.

    Args:
        thumbnails: float32 [N, 256] of `thumbnail`.
        digests: one a picture, equal for equal pixels.
    """
    mirrored = thumbnails.reshape(-1, THUMBNAIL_SIZE, THUMBNAIL_SIZE).flip(2).flatten(1)
    group = torch.arange(len(names))
    pairs = []
    # A block of rows at a time: 1000 x N distances, not N x N.
    for start in range(0, len(names), 1000):
        rows = thumbnails[start : start + 1000]
        straight = _largest_difference(rows, thumbnails, threshold)
        flipped = _largest_difference(rows, mirrored, threshold)
        smaller = torch.minimum(straight, flipped)
        for first in range(start, start + len(rows)):
            alike = (smaller[first - start] <= threshold) & (group != group[first])
            alike[: first + 1] = False
            for second in alike.nonzero().flatten().tolist():
                if group[second] == group[first]:
                    continue
                group[group == group[second]] = group[first].item()
                turned = bool(flipped[first - start, second] < straight[first - start, second])
                kind: Kind = "exact" if digests[first] == digests[second] else "mirrored" if turned else "near"
                pairs.append(DuplicatePair(names[first], names[second], kind, float(smaller[first - start, second])))
    return tuple(pairs)


def _largest_difference(rows: Tensor, columns: Tensor, threshold: float) -> Tensor:
    """Compute Chebyshev distances [R, N]; infinity where the Euclidean distance already excludes them."""
    # max |d| >= |d|_2 / 16 for 256 cells, and Euclidean distances are one matrix product: ten times faster.
    close = torch.cdist(rows, columns) <= threshold * THUMBNAIL_SIZE + 1
    if close.float().mean() > 0.05:
        return torch.cdist(rows, columns, p=torch.inf)
    largest = torch.full(close.shape, torch.inf)
    row, column = close.nonzero(as_tuple=True)
    for part in range(0, len(row), 100_000):
        r, c = row[part : part + 100_000], column[part : part + 100_000]
        largest[r, c] = (rows[r] - columns[c]).abs().amax(1)
    return largest
