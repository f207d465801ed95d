"""Pairs of pictures in a set that are the same or nearly so.

A copy in the set makes a generator that copies look better than it is, and leaks between training and holdout pictures.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

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
_CONVERTED = 4096
"""Thumbnails that are float32 at once."""


@dataclass(frozen=True)
class DuplicatePair:
    """A pair names two pictures that look the same; `difference` is the largest of a thumbnail cell, in grey levels."""

    first: str
    second: str
    kind: Kind
    difference: float


def thumbnail(image: Image.Image) -> Tensor:
    """Shrink an 8-bit RGB picture to a grey thumbnail, uint8 [256] (16 x 16 cells, each the average of its area)."""
    small = image.convert("L").resize((THUMBNAIL_SIZE, THUMBNAIL_SIZE), Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(small).flatten())


def find_duplicates(
    names: Sequence[str], thumbnails: Tensor, digests: Sequence[str], threshold: float = NEAR_THRESHOLD
) -> tuple[DuplicatePair, ...]:
    """Find pairs with equal digests ("exact"), or with thumbnails that differ by at most `threshold`, mirrored too.

    A pair is left out when earlier pairs connect its pictures already: N - 1 pairs at most, from which the groups of
    pictures that belong together can be read, even if the whole set is one picture a thousand times.

    Args:
        thumbnails: uint8 [N, 256] of `thumbnail`.
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
    members = [members[index] for index in order]
    groups, pairs = _Groups(len(order)), []
    for first, others in _neighbours(thumbnails[firsts[order]], threshold, groups):
        own = members[first]
        found = [(second, 0.0, False) for second in own[1:]]
        for other, straight, flipped in others:
            if groups.join(first, other):
                found += [(second, min(straight, flipped), flipped < straight) for second in members[other]]
        for second, difference, turned in sorted(found):
            kind: Kind = "exact" if digests[own[0]] == digests[second] else "mirrored" if turned else "near"
            pairs.append(DuplicatePair(names[own[0]], names[second], kind, difference))
    return tuple(pairs)


class _Groups:
    """Thumbnails that belong together, as a forest in which each points towards its group's leader."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def join(self, first: int, second: int) -> bool:
        """Put the groups of two together; tell whether they were apart."""
        leaders = self._leader(first), self._leader(second)
        self._parent[max(leaders)] = min(leaders)
        return leaders[0] != leaders[1]

    def leaders(self) -> NDArray[np.int64]:
        """Give the leader of each."""
        parent = np.array(self._parent, dtype=np.int64)
        while not np.array_equal(above := parent[parent], parent):
            parent = above
        return parent

    def _leader(self, index: int) -> int:
        while (parent := self._parent[index]) != index:
            self._parent[index] = index = self._parent[parent]
        return index


class _Trees:
    """Trees over averages [N, 16], one without the members of each large group.

    Whoever is in a group need not be told of the others in it; else the pictures of a film, each of which is near all
    others, would take time by the square.
    """

    LARGE, KEPT = 64, 32

    def __init__(self, averages: NDArray[np.float32]) -> None:
        from scipy.spatial import cKDTree

        self._make, self._averages = cKDTree, averages
        self._everybody = np.arange(len(averages))
        self._whole = cKDTree(averages), self._everybody
        self._without: dict[int, tuple[int, Any, NDArray[np.int64]]] = {}

    def near(
        self, rows: NDArray[np.int64], queries: NDArray[np.float32], reach: float, leaders: NDArray[np.int64]
    ) -> list[NDArray[np.int64]]:
        """Find for each of these rows those within reach of its query, the largest difference counting."""
        result: list[NDArray[np.int64]] = [np.empty(0, np.int64)] * len(rows)
        for leader in np.unique(leaders[rows]):
            chosen = np.flatnonzero(leaders[rows] == leader)
            tree, places = self._tree(int(leader), leaders)
            if len(places):
                found = tree.query_ball_point(queries[chosen], reach, p=np.inf)
                for index, near in zip(chosen, found, strict=True):
                    result[index] = places[np.array(near, dtype=np.int64)]
        return result

    def _tree(self, leader: int, leaders: NDArray[np.int64]) -> tuple[Any, NDArray[np.int64]]:
        size = int((leaders == leader).sum())
        if size < self.LARGE:
            return self._whole
        if leader not in self._without or size > 1.5 * self._without[leader][0]:
            if len(self._without) >= self.KEPT and leader not in self._without:
                return self._whole
            places = self._everybody[leaders != leader]
            self._without[leader] = size, self._make(self._averages[places]) if len(places) else None, places
        _, tree, places = self._without[leader]
        return tree, places


def _neighbours(
    thumbnails: Tensor, threshold: float, groups: _Groups
) -> Iterator[tuple[int, list[tuple[int, float, float]]]]:
    """Give each thumbnail's place with later ones of other groups that are near it, straight and mirrored, in order.

    Averages of blocks differ by no more than the largest difference of a cell, so a tree over 16 averages finds all
    that may be near without comparing each with each.
    """
    cells = thumbnails.reshape(-1, THUMBNAIL_SIZE, THUMBNAIL_SIZE)
    mirrored = cells.flip(2)
    queries = _averages(cells), _averages(mirrored)
    trees = _Trees(queries[0])
    # Rounding of the averages must lose no pair.
    reach = threshold + 0.01
    start, size = 0, 1
    while start < len(cells):
        # Small blocks first: a large group shows at once, and from then on costs nothing.
        rows, leaders = np.arange(start, min(start + size, len(cells))), groups.leaders()
        straight, flipped = (trees.near(rows, averages[rows], reach, leaders) for averages in queries)
        for row, some, others in zip(rows.tolist(), straight, flipped, strict=True):
            found = np.union1d(some, others)
            found = found[(found > row) & (leaders[found] != leaders[row])]
            yield row, _near(thumbnails, cells[row], mirrored[row], found, threshold)
        start, size = start + size, min(2 * size, _BLOCK)


def _near(
    thumbnails: Tensor, cells: Tensor, mirrored: Tensor, candidates: NDArray[np.int64], threshold: float
) -> list[tuple[int, float, float]]:
    """Compare a thumbnail with candidates: those that are near, with both largest differences."""
    if len(candidates) == 0:
        return []
    others = thumbnails[torch.from_numpy(candidates)].float()
    straight = (others - cells.flatten()).abs().amax(1)
    flipped = (others - mirrored.flatten()).abs().amax(1)
    near = torch.minimum(straight, flipped) <= threshold
    chosen = candidates[near.numpy()].tolist()
    return list(zip(chosen, straight[near].tolist(), flipped[near].tolist(), strict=True))


def _averages(cells: Tensor) -> NDArray[np.float32]:
    """Average blocks of 4 x 4 cells: [N, 16]."""
    return torch.cat([F.avg_pool2d(part[:, None].float(), 4).flatten(1) for part in cells.split(_CONVERTED)]).numpy()
