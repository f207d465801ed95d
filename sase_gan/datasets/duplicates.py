"""Pairs of pictures in a set that are the same or nearly so.

A copy in the set makes a generator that copies look better than it is, and leaks between training and holdout pictures.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
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

_BLOCK = 256
"""Thumbnails whose candidates are held at once."""


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
    # Equal thumbnails are searched for once, else a set of one picture a thousand times would have a million pairs.
    _, node, counts = np.unique(thumbnails.numpy(), axis=0, return_inverse=True, return_counts=True)
    node = node.reshape(-1)
    # Nodes in the order of their first pictures.
    firsts = np.full(len(counts), len(names))
    np.minimum.at(firsts, node, np.arange(len(names)))
    order = np.argsort(firsts)
    members = [part.tolist() for part in np.split(np.argsort(node, kind="stable"), np.cumsum(counts)[:-1])]
    groups = _Groups(len(names))
    pairs = []
    for first, others in _neighbours(thumbnails[firsts[order]], threshold):
        own = members[order[first]]
        found = [(second, 0.0, False) for second in own[1:]]
        for other, straight, flipped in others:
            turned = flipped < straight
            found += [(second, min(straight, flipped), turned) for second in members[order[other]]]
        for second, difference, turned in sorted(found):
            if groups.join(own[0], second):
                kind: Kind = "exact" if digests[own[0]] == digests[second] else "mirrored" if turned else "near"
                pairs.append(DuplicatePair(names[own[0]], names[second], kind, difference))
    return tuple(pairs)


class _Groups:
    """Pictures that belong together, as a forest in which each points towards its group's leader."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def join(self, first: int, second: int) -> bool:
        """Put the groups of two pictures together; tell whether they were apart."""
        leaders = self._leader(first), self._leader(second)
        self._parent[max(leaders)] = min(leaders)
        return leaders[0] != leaders[1]

    def _leader(self, index: int) -> int:
        while (parent := self._parent[index]) != index:
            self._parent[index] = index = self._parent[parent]
        return index


def _neighbours(thumbnails: Tensor, threshold: float) -> Iterator[tuple[int, list[tuple[int, float, float]]]]:
    """Give each thumbnail's place with the later ones that are near it, straight and mirrored, in order.

    Averages of blocks differ by no more than the largest difference of a cell, so a tree over 16 averages finds all
    that may be near without comparing each with each.
    """
    from scipy.spatial import cKDTree

    cells = thumbnails.reshape(-1, THUMBNAIL_SIZE, THUMBNAIL_SIZE)
    mirrored = cells.flip(2)
    straight_averages, flipped_averages = _averages(cells), _averages(mirrored)
    tree = cKDTree(straight_averages)
    # Rounding of the averages must lose no pair.
    reach = threshold + 0.01
    for start in range(0, len(cells), _BLOCK):
        block = slice(start, start + _BLOCK)
        candidates = [
            tree.query_ball_point(averages[block], reach, p=np.inf)
            for averages in (straight_averages, flipped_averages)
        ]
        for place, (straight, flipped) in enumerate(zip(*candidates, strict=True), start=start):
            later = np.unique(np.array([*straight, *flipped], dtype=np.int64))
            yield place, _near(thumbnails, cells[place], mirrored[place], later[later > place], threshold)


def _near(
    thumbnails: Tensor, cells: Tensor, mirrored: Tensor, candidates: NDArray[np.int64], threshold: float
) -> list[tuple[int, float, float]]:
    """Compare a thumbnail with candidates: those that are near, with both largest differences."""
    if len(candidates) == 0:
        return []
    others = thumbnails[torch.from_numpy(candidates)]
    straight = (others - cells.flatten()).abs().amax(1)
    flipped = (others - mirrored.flatten()).abs().amax(1)
    near = torch.minimum(straight, flipped) <= threshold
    chosen = candidates[near.numpy()].tolist()
    return list(zip(chosen, straight[near].tolist(), flipped[near].tolist(), strict=True))


def _averages(cells: Tensor) -> NDArray[np.float32]:
    """Average blocks of 4 x 4 cells: [N, 16]."""
    return F.avg_pool2d(cells[:, None], 4).flatten(1).numpy()
