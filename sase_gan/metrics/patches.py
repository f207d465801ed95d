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

from sase_gan.metrics.applicable import NotApplicable
from sase_gan.metrics.bootstrap import Interval
from sase_gan.pixels import to_float
from sase_gan.seeds import generator

PATCH_SIZE = 7
SMALLEST_LEVEL = 16
DIRECTIONS = 256
PATCHES = 8192
_ERROR_BAR_DIRECTIONS = 32
_ERROR_BAR_DRAWS = 20
_BATCH = 16


@dataclass(frozen=True)
class PatchSet:
    """Patches of a set, by level.

    Attributes:
        levels: short side of each level in pixels, the finest first.
        patches: for each level float [N, P, 147]: P patches of every picture.
    """

    levels: tuple[int, ...]
    patches: tuple[Tensor, ...]

    def subset(self, indices: Tensor) -> "PatchSet":
        """The patches of some of the pictures."""
        return PatchSet(self.levels, tuple(level[indices] for level in self.patches))


@dataclass(frozen=True)
class PatchDistance:
    """Distances x 1000: of each level, by its short side in pixels, and their mean, with their intervals."""

    levels: dict[int, float]
    level_intervals: dict[int, Interval]
    mean: float
    interval: Interval | None


def pyramid(images: Tensor) -> list[Tensor]:
    """Laplacian pyramid of float [N, 3, H, W], the finest level first, halved while the short side stays >= 16 px.

    The last level is the remaining small picture itself.
    """
    levels = []
    while min(images.shape[-2:]) >= 2 * SMALLEST_LEVEL:
        small = _down(images)
        levels.append(images - _up(small, images.shape[-2:]))
        images = small
    return [*levels, images]


def _binomial(channels: int) -> Tensor:
    taps = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    return torch.outer(taps, taps).expand(channels, 1, 5, 5)


def _down(images: Tensor) -> Tensor:
    channels = images.shape[1]
    kernel = _binomial(channels).to(images)
    return F.conv2d(F.pad(images, (2, 2, 2, 2), mode="reflect"), kernel, stride=2, groups=channels)


def _up(images: Tensor, size: torch.Size) -> Tensor:
    # Zeros between the pixels, then the same filter with four times the weight.
    n, channels, height, width = images.shape
    wide = images.new_zeros(n, channels, 2 * height, 2 * width)
    wide[..., ::2, ::2] = images
    padded = F.pad(wide, (2, 2, 2, 2), mode="reflect")
    return F.conv2d(padded, 4 * _binomial(channels).to(images), groups=channels)[..., : size[0], : size[1]]


def extract_patches(images: Tensor, *, seed: int = 0) -> PatchSet:
    """Random patches of every picture on every level.

    Args:
        images: uint8 [N, 3, H, W], short side at least 16 px.
        seed: of the patches' places. The i-th pictures of two sets get the same places: equal sets are at distance 0.

    Raises:
        NotApplicable: pictures smaller than 16 px.
    """
    if min(images.shape[-2:]) < SMALLEST_LEVEL:
        raise NotApplicable(
            f"Patch distances need pictures of at least {SMALLEST_LEVEL} px a side; these have "
            f"{images.shape[-1]} x {images.shape[-2]}."
        )
    count = -(-PATCHES // len(images))
    collected: list[list[Tensor]] = []
    for start in range(0, len(images), _BATCH):
        for level, maps in enumerate(pyramid(to_float(images[start : start + _BATCH]))):
            if level == len(collected):
                collected.append([])
            collected[level].append(_gather(maps, count, start, level, seed))
    sizes = [min(images.shape[-2:]) // 2**level for level in range(len(collected))]
    return PatchSet(tuple(sizes), tuple(torch.cat(level) for level in collected))


def _gather(maps: Tensor, count: int, first: int, level: int, seed: int) -> Tensor:
    n, channels, height, width = maps.shape
    rows, columns = height - PATCH_SIZE + 1, width - PATCH_SIZE + 1
    corners = torch.stack(
        [
            torch.randint(rows * columns, (count,), generator=generator(seed, "patches", level, first + index))
            for index in range(n)
        ]
    )
    inner = torch.arange(PATCH_SIZE)[:, None] * width + torch.arange(PATCH_SIZE)
    places = (corners // columns * width + corners % columns)[..., None] + inner.flatten()
    flat = maps.flatten(2).gather(2, places.flatten(1)[:, None].expand(n, channels, -1))
    return flat.view(n, channels, count, -1).permute(0, 2, 1, 3).reshape(n, count, -1)


def patch_distance(fakes: PatchSet, reals: PatchSet, *, intervals: bool = True) -> PatchDistance:
    """Sliced Wasserstein distance of two sets of patches, x 1000.

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
        values[size] = 1000 * _sliced(a.flatten(0, 1), b.flatten(0, 1), _directions(a.shape[-1], DIRECTIONS, size))
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
    values = [patch_distance(reals.subset(a), reals.subset(b), intervals=False).mean for a, b in halves]
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
    """Each row of a CPU tensor [R, N] sorted."""
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
