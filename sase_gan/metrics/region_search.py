"""Which training picture explains which part of a picture, at which shift: the search behind `regions`.

A place is explained by (picture, mirror, shift) when the window of 7 x 7 px around it, without its mean colour, is that
of the training picture up to a factor of 0.5 to 2 and a rest of at most a tenth of its variance: so brightness,
contrast, tint, JPEG and slight blur do not hide a copy. Flat windows are explained by nearly everything; they join what
lies around them and weigh nothing. A window that several training pictures explain weighs its share of one: the outline
that all drawings of a set have in common is no evidence.

Two steps make it affordable. Every fourth window in both directions finds its best source among all training pictures,
their mirror images and all shifts within reach, on 32 principal components of windows. The sources found most often,
where a window counts by its weight, are then compared in every window with all pixels. Regions are connected windows
with one source, the heaviest first, each taking its windows from those that follow; the part of a region is all that
its windows cover.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from sase_gan.metrics.region_windows import (
    RADIUS,
    VALUES,
    WINDOW,
    Windows,
    box_sums,
    contrast_of,
    principal_components,
    windows_of,
)
from sase_gan.progress import Count

LEAST_REGION = 12.0
"""The least weight of a region, in windows with full contrast that no second picture explains."""

_REST = 0.1
_GAINS = (0.5, 2.0)
# A rest that rounding may leave, in grey levels.
_ROUNDING = 1.0
_STRIDE = 4
_CANDIDATES = 48
_TRUST_IN_UNLIKE = 0.1
# A shift reaches an eighth of the short side, or farther while there are no more places than this for a window.
_REACH_SHARE = 8
_PLACES = 60_000
_BLOCK_PICTURES = 64
_BLOCK_PLACES = 60_000


@dataclass(frozen=True)
class Region:
    """A region is a connected part of a picture that one training picture explains at one shift.

    Attributes:
        source: index of the training picture.
        mirrored: whether its mirror image does.
        shift: how far down and right of the region its source lies, in pixels of the reduced picture.
        share: of the picture's weight, 0..1.
    """

    source: int
    mirrored: bool
    shift: tuple[int, int]
    share: float


@dataclass(frozen=True)
class Explained:
    """What training pictures explain of one picture.

    Attributes:
        regions: the heaviest first.
        labels: int16 [h, w] of the reduced picture: place in `regions` of each pixel, -1 where there is none.
    """

    regions: tuple[Region, ...]
    labels: Tensor

    @property
    def patchwork_share(self) -> float:
        """Share of the picture in regions of whatever training picture."""
        return math.fsum(region.share for region in self.regions)

    @property
    def largest_region(self) -> float:
        """Share of the largest region."""
        return max((region.share for region in self.regions), default=0.0)

    @property
    def region_share(self) -> float:
        """Share in regions of one training picture at one shift, the best of them."""
        return self._best(lambda region: (region.source, region.mirrored, region.shift))

    @property
    def picture_share(self) -> float:
        """Share in regions of one training picture at whatever shifts, the best of them."""
        return self._best(lambda region: region.source)

    @property
    def sources(self) -> int:
        """How many training pictures the regions come from."""
        return len({region.source for region in self.regions})

    def _best(self, key: Callable[[Region], object]) -> float:
        sums: dict[object, float] = {}
        for region in self.regions:
            sums[key(region)] = sums.get(key(region), 0.0) + region.share
        return max(sums.values(), default=0.0)


class RegionSearch:
    """A region search knows the training pictures and explains others by them.

    Args:
        images: uint8 [N, 3, H, W].

    Raises:
        NotApplicable: pictures with a short side under 16 px.
    """

    def __init__(self, images: Tensor) -> None:
        self.count = len(images)
        self._plain = windows_of(images)
        self._mirrored = self._plain.mirrored
        self._places = self._plain.energy.shape[-2:]
        self.reach = _reach(self.count, min(self._plain.pixels.shape[-2:]))
        self._basis = principal_components(self._plain)

    def explain(
        self, images: Tensor, excluded: Tensor | None = None, *, progress: Count | None = None
    ) -> list[Explained]:
        """Explain pictures uint8 [G, 3, H, W] of the training pictures' size.

        Args:
            excluded: for each the index of a training picture that explains nothing of it; so the training pictures
                themselves can be asked for.
        """
        queries = windows_of(images)
        weights, candidates = self._candidates(queries, excluded, progress)
        found = enumerate(zip(weights, candidates, strict=True))
        return [self._verify(queries[index : index + 1], *its) for index, its in found]

    # --- candidates ---------------------------------------------------------------------------------------------------

    def _candidates(
        self, queries: Windows, hidden: Tensor | None, progress: Count | None
    ) -> tuple[Tensor, list[Tensor]]:
        """For each picture the weights of its windows [p, q] and its likeliest sources [K, 4].

        A source is (training picture, 0 or 1 where mirrored, shift down, shift right).
        """
        rows, columns = (_anchors(length) for length in self._places)
        grid = torch.cartesian_prod(rows, columns)
        count = len(queries.energy)
        values, common = torch.full((len(grid), count), -1.0), torch.zeros(len(grid), count, dtype=torch.long)
        sources = torch.zeros(len(grid), count, 4, dtype=torch.long)
        starts = range(0, count, _BLOCK_PICTURES)
        blocks = [queries[at : at + _BLOCK_PICTURES] for at in starts]
        described = torch.cat([self._describe(block)[:, :, grid[:, 0], grid[:, 1]] for block in blocks])
        for first, pictures in self._parts():
            for place, (y, x) in enumerate(grid.tolist()):
                if progress is not None:
                    progress(first * len(grid) + place * pictures.shape[2] // 2 + 1, self.count * len(grid))
                around = self._around(pictures, (y, x))
                for start in starts:
                    block = slice(start, start + _BLOCK_PICTURES)
                    value, source, explaining = _best_sources(
                        described[block, :, place], around, first, None if hidden is None else hidden[block]
                    )
                    common[place, block] += explaining
                    improved = value > values[place, block]
                    values[place, block] = torch.where(improved, value, values[place, block])
                    sources[place, block] = torch.where(improved[:, None], source, sources[place, block])
        contrast = contrast_of(queries.energy)
        own = common.view(len(rows), len(columns), -1).permute(2, 0, 1).clamp_min(1)
        height, width = self._places
        weights = contrast / own[:, _nearest_anchor(height, rows)][:, :, _nearest_anchor(width, columns)]
        # What no picture explains has its full weight, and its best source says little.
        trust = torch.where(common.T > 0, 1.0, _TRUST_IN_UNLIKE)
        votes = weights[:, grid[:, 0], grid[:, 1]] * values.T.clamp_min(0).square() * trust
        return weights, [_most_voted(*pair) for pair in zip(sources.transpose(0, 1), votes, strict=True)]

    def _parts(self) -> Iterator[tuple[int, Tensor]]:
        """The training pictures in parts: the first one's index, and descriptions [p, q, 2 * n, components]."""
        places = math.prod(min(length, 2 * self.reach + 1) for length in self._places)
        size = max(1, _BLOCK_PLACES // (2 * places))
        for start in range(0, self.count, size):
            part = self._plain[start : start + size]
            both = torch.cat([self._describe(part), self._describe(self._mirrored[start : start + size])])
            # Windows that are compared with the same one lie together.
            yield start, both.permute(2, 3, 0, 1).contiguous()

    def _describe(self, windows: Windows) -> Tensor:
        """Components of windows over the windows' own lengths, so that products are correlations: [N, C, p, q]."""
        # Of a flat window only rounding is left, which must not grow into something that resembles everything.
        lengths = windows.energy.clamp_min(_ROUNDING**2 * VALUES).sqrt()
        return F.conv2d(windows.pixels, self._basis) / lengths[:, None]

    def _around(self, pictures: Tensor, place: tuple[int, int]) -> "_Around":
        """What lies within reach of a place in a part of the training pictures."""
        top, left = (max(0, at - self.reach) for at in place)
        bottom, right = (min(n, at + self.reach + 1) for n, at in zip(self._places, place, strict=True))
        return _Around(pictures[top:bottom, left:right], (top - place[0], left - place[1]))

    # --- regions ------------------------------------------------------------------------------------------------------

    def _verify(self, query: Windows, weight: Tensor, candidates: Tensor) -> Explained:
        """Find the regions of one picture among its candidates."""
        explained = self._explained_windows(query, candidates)
        cores = _regions(explained.numpy(), weight.numpy())
        around = F.pad(weight[None, None], (RADIUS,) * 4, mode="replicate")[0, 0]
        total = max(around.sum().item(), 1e-9)
        labels = torch.full(around.shape, -1, dtype=torch.int16)
        regions: list[Region] = []
        for which, core in cores:
            covered = box_sums(F.pad(torch.from_numpy(core).float(), (2 * RADIUS,) * 4)) > 0.5
            part = covered & (labels < 0)
            labels[part] = len(regions)
            source, mirrored, down, right = candidates[which].tolist()
            regions.append(Region(source, bool(mirrored), (down, right), (around[part].sum() / total).item()))
        order = sorted(range(len(regions)), key=lambda index: -regions[index].share)
        places = torch.tensor([-1, *(order.index(index) for index in range(len(regions)))], dtype=torch.int16)
        return Explained(tuple(regions[index] for index in order), places[labels.long() + 1])

    def _explained_windows(self, query: Windows, candidates: Tensor) -> Tensor:
        """Tell which windows each candidate explains: bool [K, p, q]."""
        pixels, sums, energy = query.pixels[0], query.sums[0], query.energy[0]
        squares, means = torch.zeros(len(candidates), *pixels.shape[1:]), torch.zeros(len(candidates), *energy.shape)
        moved_energy = torch.full_like(means, -1.0)
        for index, (source, mirrored, down, right) in enumerate(candidates.tolist()):
            picture = (self._mirrored if mirrored else self._plain)[source : source + 1]
            here, there = _overlap(pixels.shape[-2:], down, right)
            squares[index][here] = (picture.pixels[0][(..., *there)] * pixels[(..., *here)]).sum(0)
            here, there = _overlap(energy.shape[-2:], down, right)
            means[index][here] = (picture.sums[0][(..., *there)] * sums[(..., *here)]).sum(0)
            moved_energy[index][here] = picture.energy[0][there]
        products = box_sums(squares) - means / WINDOW**2
        gain = (products / moved_energy.clamp_min(1e-3)).clamp(*_GAINS)
        rest = energy - 2 * gain * products + gain.square() * moved_energy
        return (rest <= _REST * energy + _ROUNDING**2 * VALUES) & (moved_energy >= 0)


@dataclass(frozen=True)
class _Around:
    """Windows of training pictures about a place.

    Attributes:
        places: descriptions [h, w, 2 * n, components], the n mirrored pictures after the n plain ones.
        nearest: the first place's shift, down and right.
    """

    places: Tensor
    nearest: tuple[int, int]


def _best_sources(query: Tensor, around: _Around, first: int, hidden: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Of windows [G, C]: the best correlation [G], its source [G, 4], and how many pictures explain the window [G].

    Args:
        first: index of the first of the training pictures.
        hidden: of each window the training picture that is not to be found.
    """
    (_, width, variants, components), count = around.places.shape, around.places.shape[2] // 2
    # A product of few long rows for each line of places: no copy of them, and the maximum runs along the memory.
    lines = around.places.view(-1, width * variants, components)
    likeness = (lines @ query.T).view(-1, variants, len(query))
    best = likeness.amax(0).T.reshape(len(query), 2, count)
    if hidden is not None:
        inside = ((hidden >= first) & (hidden < first + count)).nonzero()[:, 0]
        best[inside, :, hidden[inside] - first] = -2.0
    # Measured against the part of the window that its components hold.
    explaining = (best.amax(1) >= math.sqrt(1 - _REST) * query.square().sum(1, keepdim=True)).sum(1)
    value, variant = best.flatten(1).max(1)
    at = likeness[:, variant, torch.arange(len(query))].argmax(0)
    down, right = around.nearest[0] + at // width, around.nearest[1] + at % width
    return value, torch.stack([first + variant % count, variant // count, down, right], 1), explaining


def _most_voted(sources: Tensor, votes: Tensor) -> Tensor:
    """The sources with most votes [K, 4] among those that windows [A, 4] found, with their votes [A]."""
    distinct, which = sources.unique(dim=0, return_inverse=True)
    total = torch.zeros(len(distinct)).index_add_(0, which, votes)
    return distinct[total.argsort(descending=True, stable=True)[:_CANDIDATES]]


def _reach(pictures: int, side: int) -> int:
    """How far shifts reach, in pixels of the reduced picture."""
    widest = (math.isqrt(_PLACES // (2 * pictures)) - 1) // 2
    return min(max(side // _REACH_SHARE, widest), side)


def _anchors(length: int) -> Tensor:
    """Every fourth of `length` places, as many before the first as after the last."""
    return torch.arange((length - 1) % _STRIDE // 2, length, _STRIDE)


def _nearest_anchor(length: int, anchors: Tensor) -> Tensor:
    """Of each of `length` places the index of its nearest anchor."""
    return ((torch.arange(length) - anchors[0] + _STRIDE // 2) // _STRIDE).clamp(0, len(anchors) - 1)


def _overlap(size: torch.Size, down: int, right: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where in a map of this size something lies whose source lies further down and right, and where its source is."""
    (top, to_top), (left, to_left) = _overlap_along(size[0], down), _overlap_along(size[1], right)
    return (top, left), (to_top, to_left)


def _overlap_along(length: int, by: int) -> tuple[slice, slice]:
    common = max(0, length - abs(by))
    return slice(max(0, -by), max(0, -by) + common), slice(max(0, by), max(0, by) + common)


def _regions(explained: NDArray[np.bool_], weight: NDArray[np.float32]) -> list[tuple[int, NDArray[np.bool_]]]:
    """Connected windows with one candidate, the heaviest first: the candidate's index and the windows [p, q]."""
    explained = explained.copy()
    best = {index: _heaviest(mask, weight) for index, mask in enumerate(explained)}
    found = []
    while best:
        index = max(best, key=lambda index: best[index][0])
        heaviest, core = best[index]
        if heaviest < LEAST_REGION:
            break
        found.append((index, core))
        for other in list(best):
            if (explained[other] & core).any():
                explained[other] &= ~core
                best[other] = _heaviest(explained[other], weight)
            if best[other][0] < LEAST_REGION:
                del best[other]
    return found


def _heaviest(mask: NDArray[np.bool_], weight: NDArray[np.float32]) -> tuple[float, NDArray[np.bool_]]:
    """The heaviest of the connected parts of a mask, and its weight."""
    if weight[mask].sum() < LEAST_REGION:
        return 0.0, mask
    parts, count = ndimage.label(mask)
    sums = np.bincount(parts.ravel(), weight.ravel(), count + 1)
    sums[0] = 0.0
    return float(sums.max()), parts == sums.argmax()
