"""What the free form knows of the training pictures at one size: all patches, by principal components, and relatives.

A patch is named by one number, its place in the list of upper left corners by picture, row and column. Only whole
patches count, so that nothing from beyond the rim of a picture is ever drawn.

Relatives are patches that look alike and lie elsewhere; they are found once for a picture, so that drawing needs no
search: the patch that fits a place is nearly always a relative of one that a neighbour came from (Tong and others,
"Synthesis of bidirectional texture functions on arbitrary surfaces", 2002, call this k-coherence).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from sase_gan.recombination.free_planes import OPEN, Plane, Size
from sase_gan.resizing import resize

_BLOCK = 1 << 24
"""So many pairs of patches are compared at a time."""
_FITTED = 20_000
"""Principal components are those of about so many patches."""


class ExampleLevel:
    """An example level holds the training pictures at one size.

    Args:
        pictures: float `[N, 3, H, W]` in [-1, 1], at full size.
        size: of this level.
        patch: side of a patch.
        components: how many principal components compare patches.
    """

    def __init__(self, pictures: Tensor, size: Size, patch: int, components: int) -> None:
        self.pictures = resize(pictures, size)
        self.size, self.patch = size, patch
        self.rows, self.columns = size[0] - patch + 1, size[1] - patch + 1
        self.count = len(pictures) * self.rows * self.columns
        self.basis = _principal(self.pictures, patch, components)
        self.keys = self.describe(self.pictures).permute(0, 2, 3, 1).reshape(self.count, -1)
        self.pixels = self.pictures.permute(0, 2, 3, 1).flatten(0, 2)

    def describe(self, x: Tensor) -> Tensor:
        """Describe all patches of pictures `[B, 3, h, w]` by components `[B, C, h - patch + 1, w - patch + 1]`."""
        return F.conv2d(x, self.basis)

    def split(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Split the numbers of patches into picture, row and column."""
        inside = index % (self.rows * self.columns)
        return index // (self.rows * self.columns), inside // self.columns, inside % self.columns

    def join(self, picture: Tensor, row: Tensor, column: Tensor) -> Tensor:
        """Number the patches at these places; those beyond the rim become the nearest within."""
        row, column = row.clamp(0, self.rows - 1), column.clamp(0, self.columns - 1)
        return (picture * self.rows + row) * self.columns + column

    def first_pixel(self, index: Tensor) -> Tensor:
        """Number the upper left pixel of patches, as `pixels` counts them."""
        picture, row, column = self.split(index)
        return (picture * self.size[0] + row) * self.size[1] + column

    def distances(self, index: Tensor, queries: Tensor) -> Tensor:
        """Measure how unlike patches `index` `[places, n]` are to `queries` `[places, components]`: squared."""
        return torch.stack([(self.keys[one] - queries).square().sum(1) for one in index.T], 1)

    def cut(self, index: Tensor) -> Tensor:
        """Cut out patches `index` `[places]`, `[3 * patch * patch, places]`, as torch's `fold` takes them."""
        return self.pixels[self._offsets()[:, None] + self.first_pixel(index)].permute(2, 0, 1).reshape(-1, len(index))

    def nearest(
        self, places: Sequence[Tensor], patch: int, size: Size, own: Size | None = None, plane: Plane = OPEN
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Find the rows and columns of this level nearest to those of a finer level, by the middles of the patches.

        Args:
            places: rows and columns of patches of side `patch` in a picture of `size`.
            own: size of that picture at this level; None: the training pictures'.
            plane: in which it lies.

        Returns:
            Rows and columns, and how many pixels of the finer level the places lie further down and right.
        """
        found, rest = [], []
        for axis, place in enumerate(places):
            side = self.size[axis] if own is None else own[axis]
            factor = size[axis] / side
            near = ((place + patch / 2) / factor - self.patch / 2).round().long()
            near = near if plane.round else near.clamp(0, side - self.patch)
            found.append(near % side)
            rest.append(place + patch / 2 - (near + self.patch / 2) * factor)
        return found, rest

    def _offsets(self) -> Tensor:
        """List how far the pixels of a patch lie after its first one, `[patch * patch]`, row by row."""
        reach = torch.arange(self.patch, device=self.pixels.device)
        return (reach[:, None] * self.size[1] + reach).flatten()


def _principal(pictures: Tensor, patch: int, components: int) -> Tensor:
    """Find the leading principal directions of all patches, as kernels `[components, 3, patch, patch]`."""
    width = pictures.shape[1] * patch * patch
    step = max(1, round((pictures.shape[0] * pictures.shape[2] * pictures.shape[3] / _FITTED) ** 0.5))
    rows = torch.cat([F.unfold(x[None], patch)[0].T[:: step * step] for x in pictures]).cpu().double()
    rows = rows - rows.mean(0)
    directions = torch.linalg.eigh(rows.T @ rows).eigenvectors.flip(1)[:, : min(components, width)]
    return directions.T.reshape(-1, pictures.shape[1], patch, patch).to(pictures).contiguous()


def find_relatives(level: ExampleLevel, count: int) -> Tensor:
    """Find for every patch of a level the `count` patches most like it, `[patches, count]`, by comparing all pairs.

    Patches that overlap it, or one another, by half or more do not count, as long as there are others.
    """
    lengths = level.keys.square().sum(1)
    around = _around(level)
    found = []
    for block in torch.arange(level.count, device=level.keys.device).split(max(1, _BLOCK // level.count)):
        distances = torch.addmm(lengths, level.keys[block], level.keys.T, alpha=-2)
        picks = [block]
        for _ in range(count):
            distances.scatter_(1, around[picks[-1]], torch.inf)
            picks.append(distances.argmin(1))
        found.append(torch.stack(picks[1:], 1))
    return torch.cat(found)


def _around(level: ExampleLevel) -> Tensor:
    """List the patches that overlap each patch by half or more, itself among them, `[patches, overlapping]`."""
    picture, row, column = level.split(torch.arange(level.count, device=level.keys.device))
    reach = range(-(level.patch // 2), level.patch // 2 + 1)
    return torch.stack([level.join(picture, row + y, column + x) for y, x in product(reach, reach)], 1)


def carry_relatives(coarse: ExampleLevel, relatives: Tensor, level: ExampleLevel) -> Tensor:
    """Turn the relatives at a coarser level into those at a finer one: the most like of nine places around each.

    Comparing all pairs would cost the square of the pixels.
    """
    picture, *here = level.split(torch.arange(level.count, device=level.keys.device))
    there, rest = coarse.nearest(here, level.patch, level.size)
    other, *coarse_places = coarse.split(relatives[coarse.join(picture, *there)])
    other_row, other_column = (
        enlarged(place, axis, coarse, level, rest[axis][:, None]) for axis, place in enumerate(coarse_places)
    )
    best = level.join(other, other_row, other_column)
    least = level.distances(best, level.keys)
    for y, x in product((-1, 0, 1), repeat=2):
        index = level.join(other, other_row + y, other_column + x)
        distance = level.distances(index, level.keys)
        best, least = torch.where(distance < least, index, best), torch.minimum(distance, least)
    return best


def enlarged(place: Tensor, axis: int, coarse: ExampleLevel, level: ExampleLevel, rest: Tensor) -> Tensor:
    """Find rows (axis 0) or columns (1) of a finer level whose patches have the middle of a coarser level's ones.

    Args:
        rest: how many pixels of the finer level further.
    """
    middle = (place + coarse.patch / 2) * (level.size[axis] / coarse.size[axis])
    return (middle + rest - level.patch / 2).round().long()


def level_sizes(size: Size, coarsest: int, growth: float, patch: int) -> list[Size]:
    """List the sizes of the levels, coarse to fine, in equal steps of at most `growth`.

    Example:
        >>> level_sizes((96, 128), 32, 1.5, 7)
        [(24, 32), (34, 45), (48, 64), (68, 91), (96, 128)]
    """
    share = min(1.0, max(coarsest / max(size), (patch + 1) / min(size)))
    steps = max(0, math.ceil(math.log(1 / share) / math.log(growth) - 1e-6))
    shares = [share ** (1 - step / steps) for step in range(steps)] + [1.0]
    return [_scaled(size, one, one, patch) for one in shares]


def scaled_sizes(sizes: Sequence[Size], size: Size, patch: int) -> list[Size]:
    """List the sizes of the levels for a picture of another size than the training pictures'."""
    down, across = size[0] / sizes[-1][0], size[1] / sizes[-1][1]
    return [*(_scaled(one, down, across, patch) for one in sizes[:-1]), size]


def _scaled(size: Size, down: float, across: float, patch: int) -> Size:
    return max(patch, round(size[0] * down)), max(patch, round(size[1] * across))
