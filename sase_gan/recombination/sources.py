"""Where each region of a recombined picture came from, as shares, connected regions and a coloured map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from sase_gan.colouring import coloured_parts, part_colour
from sase_gan.recombination.drawn import NOWHERE
from sase_gan.resizing import at_size

SMALLEST_REGION = 0.01
"""Connected regions of less than this share of the picture are not counted."""
LEGEND = 6
_RIMS = 16  # a thumbnail's rim in its colour is one so-manieth of its side


@dataclass(frozen=True)
class Region:
    """A region is a connected part of a picture that lies in one piece in one training picture.

    Attributes:
        picture: index of the training picture.
        mirrored: whether it lies in its mirror image.
        down, right: by how many pixels the part was moved to where it is now; of a mirror image, after mirroring.
        share: of the picture's pixels, 0 to 1.
    """

    picture: int
    mirrored: bool
    down: int
    right: int
    share: float


@dataclass(frozen=True)
class Origin:
    """The origin of one picture.

    Attributes:
        shares: how much of the pixels each training picture gave, those that gave any, largest first: (index, share).
        regions: the connected regions of at least `SMALLEST_REGION`, largest first.
        kept: share of the pixels that are a visitor's own and of no training picture; with `shares` the sum is 1.
    """

    shares: tuple[tuple[int, float], ...]
    regions: tuple[Region, ...]
    kept: float = 0.0

    def to_json(self, names: Sequence[str] = ()) -> dict[str, object]:
        """Write it as JSON values; training pictures by their names where they are known, else by their numbers."""

        def name(index: int) -> str:
            return names[index] if index < len(names) else str(index)

        return {
            "shares": {name(index): round(share, 4) for index, share in self.shares},
            "regions": [
                {
                    "picture": name(region.picture),
                    "mirrored": region.mirrored,
                    "moved_down": region.down,
                    "moved_right": region.right,
                    "share": round(region.share, 4),
                }
                for region in self.regions
            ],
            "largest_region": round(self.regions[0].share, 4) if self.regions else 0.0,
            "kept": round(self.kept, 4),
        }


@dataclass(frozen=True, eq=False)
class Piece:
    """A piece is the connected region that a pixel of a drawn picture lies in, and where it lies in its source.

    Attributes:
        region: whence it came, of any size.
        here: bool `[height, width]`, where it is in the drawn picture.
        there: bool `[h, w]`, where it is in the training picture, not mirrored.
    """

    region: Region
    here: Tensor
    there: Tensor


def piece_at(sources: Tensor, pictures: Tensor, row: int, column: int) -> Piece | None:
    """Find the piece around a pixel; None where that was kept of a visitor's picture. Arguments as of `origin_of`."""
    count = len(pictures)
    moved = _displacements(sources, count, pictures.shape[3])
    example, down, right = (int(value) for value in moved[row, column])
    if example == NOWHERE:
        return None
    labels = _connected(moved)
    here = torch.from_numpy(labels == labels[row, column])
    at = sources.cpu()[here].long()
    there = torch.zeros(pictures.shape[2:], dtype=torch.bool)
    there[at[:, 1], at[:, 2]] = True
    return Piece(Region(example % count, example >= count, down, right, here.float().mean().item()), here, there)


def origin_of(sources: Tensor, pictures: Tensor) -> Origin:
    """Read the origin of one picture off its map of sources.

    Args:
        sources: int32 `[height, width, 3]`, as in `Drawn`.
        pictures: `[N, 3, h, w]`, the training pictures.
    """
    count = len(pictures)
    moved = _displacements(sources, count, pictures.shape[3])
    labels = _connected(moved)
    sizes = np.bincount(labels.ravel())
    first = moved.reshape(-1, 3)[np.unique(labels, return_index=True)[1]]
    regions = []
    for label in np.argsort(-sizes, kind="stable"):
        if sizes[label] >= SMALLEST_REGION * labels.size and first[label][0] != NOWHERE:
            example, down, right = (int(value) for value in first[label])
            share = float(sizes[label] / labels.size)
            regions.append(Region(example % count, example >= count, down, right, share))
    drawn = moved[..., 0][moved[..., 0] != NOWHERE]
    given = np.bincount(drawn % count, minlength=count) / labels.size
    order = [int(index) for index in np.argsort(-given, kind="stable") if given[index] > 0]
    shares = tuple((index, float(given[index])) for index in order)
    return Origin(shares, tuple(regions), 1 - drawn.size / labels.size)


def coloured_sources(image: Tensor, sources: Tensor, pictures: Tensor, origin: Origin) -> Tensor:
    """Draw a picture's regions in colours, over it, in grey where it was kept; arguments as of `source_sheet`."""
    return coloured_parts(_parts(sources, pictures, origin), image)


def source_sheet(image: Tensor, sources: Tensor, pictures: Tensor, origin: Origin) -> Tensor:
    """Draw a sheet uint8 `[3, h, w]`: the picture, its regions in colours, and below its main sources in theirs.

    Args:
        image: uint8 `[3, height, width]`.
        sources: its map, as in `Drawn`.
        pictures: uint8 `[N, 3, h, w]`, the training pictures.
    """
    top = torch.cat([image, coloured_sources(image, sources, pictures, origin)], 2)
    side = top.shape[2] // LEGEND
    strip = torch.full((3, side, top.shape[2]), 255, dtype=torch.uint8)
    for place, (index, _) in enumerate(origin.shares[:LEGEND]):
        cell = strip[:, :, place * side : (place + 1) * side]
        cell[:] = torch.tensor(part_colour(place), dtype=torch.uint8)[:, None, None]
        rim = max(1, side // _RIMS)
        inner = (side - 2 * rim, side - 2 * rim)
        cell[:, rim : side - rim, rim : side - rim] = at_size(_square(pictures[index].cpu()), inner)
    return torch.cat([top, strip], 1)


def _parts(sources: Tensor, pictures: Tensor, origin: Origin) -> Tensor:
    """Number the parts of a picture `[height, width]`: by training picture, or by displacement where there is one.

    What was kept has the number -1.
    """
    count = len(pictures)
    picture = sources[..., 0].long().cpu() % count
    if count == 1:
        keys = _displacements(sources, 1, pictures.shape[3]).reshape(-1, 3)
        _, label, sizes = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
        place = np.empty(len(sizes), dtype=np.int64)
        place[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
        return torch.from_numpy(place[label.ravel()]).view(picture.shape)
    rank = torch.full((count,), -1)
    for order, (index, _) in enumerate(origin.shares):
        rank[index] = order
    return torch.where(sources[..., 0].cpu() == NOWHERE, -1, rank[picture])


def _displacements(sources: Tensor, count: int, columns: int) -> np.ndarray:
    """Tell of each pixel the example and how far down and right it was moved, `[height, width, 3]`.

    In the mirror image a source lies at the opposite one of `columns`.
    """
    at = sources.cpu().numpy().astype(np.int64)
    here_down, here_right = np.mgrid[: at.shape[0], : at.shape[1]]
    right = np.where(at[..., 0] >= count, columns - 1 - at[..., 2], at[..., 2])
    moved = np.stack([at[..., 0], here_down - at[..., 1], here_right - right], -1)
    moved[at[..., 0] == NOWHERE] = NOWHERE
    return moved


def _connected(keys: np.ndarray) -> np.ndarray:
    """Number the connected parts `[height, width]` in which neighbours above, below and beside have equal keys."""
    height, width = keys.shape[:2]
    number = np.arange(height * width).reshape(height, width)
    across = (keys[:, 1:] == keys[:, :-1]).all(-1)
    below = (keys[1:] == keys[:-1]).all(-1)
    begin = np.concatenate([number[:, :-1][across], number[:-1][below]])
    end = np.concatenate([number[:, 1:][across], number[1:][below]])
    graph = coo_array((np.ones(len(begin), dtype=bool), (begin, end)), shape=(number.size, number.size))
    return connected_components(graph, directed=False)[1].reshape(height, width)


def _square(image: Tensor) -> Tensor:
    height, width = image.shape[1:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[:, top : top + side, left : left + side]
