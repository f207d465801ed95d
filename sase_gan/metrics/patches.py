"""Sliced Wasserstein distance between small patches on the levels of a Laplacian pyramid.

Needs no trained network, and tells at which scale pictures go wrong: coarse levels show layout and colour, fine ones
texture. Source: Karras and others, "Progressive Growing of GANs" (2018), section 5. Differences: patches are normalised
by the reals' mean and deviation for both sets, so a change of contrast or colour counts; all pictures contribute
equally many patches; down- and upsampling by 2 use the binomial 5-tap filter of Burt and Adelson (1983).
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sase_gan.metrics.book import NotApplicable
from sase_gan.metrics.bootstrap import Interval
from sase_gan.pixels import to_float
from sase_gan.seeds import generator

PATCH_SIZE = 7
SMALLEST_LEVEL = 16
DIRECTIONS = 256
PATCHES = 8192
_ERROR_BAR_DIRECTIONS = 32
_ERROR_BAR_DRAWS = 20
_REFERENCE_DIRECTIONS = 64
_BATCH = 4  # maps that stay in the processor's cache


@dataclass(frozen=True)
class PatchSet:
    """A patch set holds the patches of a set of pictures, by level.

    Attributes:
        levels: short side of each level in pixels, the finest first.
        patches: for each level float [N, P, 147]: P patches of every picture.
    """

    levels: tuple[int, ...]
    patches: tuple[Tensor, ...]

    def subset(self, indices: Tensor) -> "PatchSet":
        """Pick the patches of some of the pictures."""
        return PatchSet(self.levels, tuple(level[indices] for level in self.patches))


@dataclass(frozen=True)
class PatchDistance:
    """Distances x 1000: of each level, by its short side in pixels, and their mean, with their intervals."""

    levels: dict[int, float]
    level_intervals: dict[int, Interval]
    mean: float
    interval: Interval | None


def reductions(images: Tensor) -> list[Tensor]:
    """Float [N, 3, H, W] and its reductions by 2, while the short side stays >= 16 px."""
    levels = [images]
    while min(levels[-1].shape[-2:]) >= 2 * SMALLEST_LEVEL:
        levels.append(_down(levels[-1]))
    return levels


def _down(images: Tensor) -> Tensor:
    """Binomial filter (1, 4, 6, 4, 1) / 16 along both axes and every second pixel, borders reflected."""
    # Sums of slices: several times as fast as a convolution of three separate channels.
    rows = _binomial_sum(F.pad(images, (2, 2, 2, 2), mode="reflect"), -2)
    return _binomial_sum(rows, -1).mul_(1 / 256)


def _binomial_sum(x: Tensor, axis: int) -> Tensor:
    count = (x.shape[axis] - 5) // 2 + 1

    def taps(start: int) -> Tensor:
        return x[..., start : start + 2 * count - 1 : 2, :] if axis == -2 else x[..., start : start + 2 * count - 1 : 2]

    return (taps(0) + taps(4)).add_(taps(1), alpha=4).add_(taps(3), alpha=4).add_(taps(2), alpha=6)


_NEEDED = 6


def _expanding() -> Tensor:
    """[36, 4 * 49]: 6 x 6 pixels of a reduction to 7 x 7 pixels at full size, for even and odd rows and columns.

    Zeros between the pixels and the binomial filter of weight 2: pixel 2 j is (s[j-1] + 6 s[j] + s[j+1]) / 8, pixel
    2 j + 1 is (s[j] + s[j+1]) / 2. The six are s[j-1] to s[j+4], where j is half the first place.
    """
    line = torch.zeros(2, PATCH_SIZE, _NEEDED)
    for parity in (0, 1):
        for i in range(PATCH_SIZE):
            j, odd = divmod(parity + i, 2)
            taps = {1: 0.5, 2: 0.5} if odd else {0: 0.125, 1: 0.75, 2: 0.125}
            for offset, weight in taps.items():
                line[parity, i, j + offset] = weight
    return torch.cat([torch.kron(rows, columns) for rows in line for columns in line]).T.contiguous()


_EXPANDING = _expanding()


def extract_patches(images: Tensor) -> PatchSet:
    """Take random patches of every picture uint8 [N, 3, H, W] on every level.

    The i-th pictures of two sets get the same places: equal sets are at distance 0.

    Raises:
        NotApplicable: pictures smaller than 16 px.
    """
    if min(images.shape[-2:]) < SMALLEST_LEVEL:
        raise NotApplicable(
            f"Patch distances need pictures of at least {SMALLEST_LEVEL} px a side; these have "
            f"{images.shape[-1]} x {images.shape[-2]}."
        )
    count = -(-PATCHES // len(images))
    side, sides = min(images.shape[-2:]), [(images.shape[-2], images.shape[-1])]
    while min(sides[-1]) >= 2 * SMALLEST_LEVEL:
        sides.append((-(-sides[-1][0] // 2), -(-sides[-1][1] // 2)))
    corners = [_corners(len(images), count, sizes, level) for level, sizes in enumerate(sides)]
    collected: list[list[Tensor]] = [[] for _ in sides]
    for start in range(0, len(images), _BATCH):
        maps = reductions(to_float(images[start : start + _BATCH]))
        for level, places in enumerate(corners):
            own = places[:, start : start + _BATCH]
            found = _gather(maps[level], own, PATCH_SIZE)
            if level + 1 < len(maps):
                found = found - _expanded(maps[level + 1], own)
            collected[level].append(found.transpose(1, 2).flatten(2))
    names = [side // 2**level for level in range(len(sides))]
    return PatchSet(tuple(names), tuple(torch.cat(level) for level in collected))


def _corners(n: int, count: int, sizes: tuple[int, int], level: int) -> Tensor:
    """Row and column of each patch's first pixel: int64 [2, n, count]."""
    rows, columns = (side - PATCH_SIZE + 1 for side in sizes)
    places = torch.randint(rows * columns, (n, count), generator=generator(0, "patches", level, count))
    return torch.stack([places // columns, places % columns])


def _gather(maps: Tensor, corners: Tensor, size: int) -> Tensor:
    """Windows of maps [N, 3, H, W] at corners [2, N, P]: [N, 3, P, size, size]."""
    n, channels, _, width = maps.shape
    inner = torch.arange(size)[:, None] * width + torch.arange(size)
    places = (corners[0] * width + corners[1])[..., None] + inner.flatten()
    flat = maps.flatten(2).gather(2, places.flatten(1)[:, None].expand(n, channels, -1))
    return flat.view(n, channels, -1, size, size)


def _expanded(small: Tensor, corners: Tensor) -> Tensor:
    """The windows [N, 3, P, 7, 7] of a reduction [N, 3, H, W] brought back to size, at corners [2, N, P] of the latter.

    Only the windows are made, not the whole maps. Zeros stand between the pixels when the border is reflected, so
    before the first pixel comes the second, and after the last one the last.
    """
    padded = torch.cat([small[..., 1:2, :], small, small[..., -1:, :]], dim=-2)
    padded = torch.cat([padded[..., 1:2], padded, padded[..., -1:]], dim=-1)
    windows = _gather(padded, corners // 2, _NEEDED)
    # All four combinations of even and odd places in one product, of which each window takes its own.
    out = windows.flatten(3) @ _EXPANDING
    own = (2 * (corners[0] % 2) + corners[1] % 2)[:, None, :, None, None]
    out = out.view(*out.shape[:3], 4, PATCH_SIZE**2).gather(3, own.expand(-1, out.shape[1], -1, 1, PATCH_SIZE**2))
    return out.view(*out.shape[:3], PATCH_SIZE, PATCH_SIZE)


def patch_distance(
    fakes: PatchSet, reals: PatchSet, *, intervals: bool = True, directions: int = DIRECTIONS
) -> PatchDistance:
    """Measure the sliced Wasserstein distance of two sets of patches, x 1000.

    Mean over random directions of the mean absolute difference of the sorted projections.

    Raises:
        NotApplicable: pictures of different sizes.
    """
    if fakes.levels != reals.levels:
        raise NotApplicable(f"Pictures must be of one size; their pyramids have levels {fakes.levels}, {reals.levels}.")
    values: dict[int, float] = {}
    draws: list[Tensor] = []
    for place, size in enumerate(fakes.levels):
        a, b = _normalised(fakes.patches[place], reals.patches[place])
        values[size] = 1000 * _sliced(a.flatten(0, 1), b.flatten(0, 1), _directions(a.shape[-1], directions, size))
        if intervals and len(a) > 1:
            draws.append(_resampled(a, b, size))
    mean = sum(values.values()) / len(values)
    if not draws:
        return PatchDistance(values, {}, mean, None)
    intervals_by_level = {size: _interval(values[size], draw) for size, draw in zip(values, draws, strict=True)}
    return PatchDistance(values, intervals_by_level, mean, _interval(mean, torch.stack(draws).mean(0)))


def _interval(value: float, draws: Tensor) -> Interval:
    # Few draws give a deviation, but no tails.
    spread = 1.96 * 1000 * draws.std().item()
    words = f"95 %, 1.96 deviations, bootstrap over fakes, {len(draws)} draws"
    return Interval(max(value - spread, 0.0), value + spread, words)


def reference_patch_distance(reals: PatchSet, halves: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Mean distance x 1000 of halves of the reals, one value a split: what the reals themselves score."""
    # Splits differ more than directions do.
    values = [
        patch_distance(reals.subset(a), reals.subset(b), intervals=False, directions=_REFERENCE_DIRECTIONS).mean
        for a, b in halves
    ]
    return torch.tensor(values, dtype=torch.float64)


def _normalised(fakes: Tensor, reals: Tensor) -> tuple[Tensor, Tensor]:
    shape = (*reals.shape[:2], 3, -1)
    channels = reals.view(shape)
    mean = channels.mean((0, 1, 3), keepdim=True)
    std = channels.std((0, 1, 3), keepdim=True).clamp_min(1e-6)
    normalised = [((x.view(*x.shape[:2], 3, -1) - mean) / std).flatten(2) for x in (fakes, reals)]
    return normalised[0], normalised[1]


def _directions(width: int, count: int, level: int) -> Tensor:
    return F.normalize(torch.randn(width, count, generator=generator(0, "directions", level)), dim=0)


def _sliced(a: Tensor, b: Tensor, directions: Tensor) -> float:
    n = min(len(a), len(b), PATCHES)
    return (_sorted_projections(a, directions, n) - _sorted_projections(b, directions, n)).abs().mean().item()


def _sorted_projections(rows: Tensor, directions: Tensor, n: int) -> Tensor:
    """[directions, n] sorted along the last axis, of n rows spread evenly, so that every picture keeps its share."""
    chosen = rows[torch.linspace(0, len(rows) - 1, n).long()]
    return sort_rows(directions.T @ chosen.T)


def sort_rows(rows: Tensor) -> Tensor:
    """Sort each row of a CPU tensor [R, N]."""
    # numpy's sort uses vector instructions and is ten times as fast as torch's here.
    return torch.from_numpy(np.sort(rows.contiguous().numpy(), axis=1))


def _resampled(a: Tensor, b: Tensor, level: int) -> Tensor:
    """The distance x 1 of resampled fakes in few directions [draws]."""
    directions = _directions(a.shape[-1], _ERROR_BAR_DIRECTIONS, level)
    count = PATCHES // 4
    target = _sorted_projections(b.flatten(0, 1), directions, min(count, a.shape[0] * a.shape[1], b[..., 0].numel()))
    projected = a @ directions
    values = []
    for draw in range(_ERROR_BAR_DRAWS):
        chosen = torch.randint(len(a), (len(a),), generator=generator(0, "patch draws", draw))
        rows = projected[chosen].flatten(0, 1)
        rows = rows[torch.linspace(0, len(rows) - 1, target.shape[1]).long()]
        values.append((sort_rows(rows.T) - target).abs().mean())
    return torch.stack(values)
