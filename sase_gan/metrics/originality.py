"""Does the generator copy its training pictures?

The reference is every training picture, its mirror image, and small shifts of both, so that none of these hides a copy;
distances are Euclidean in the descriptions of `extractors`. Everything is held against the training set itself: how
near are its pictures to each other (leave-one-out), and what would honest new pictures score (random halves of the set,
one of them taken as fakes)? AuthPct is that of Alaa and others, "How Faithful is your Synthetic Data?" (2022); the
shares, the limits and the verdict are ours.

Calibration: all pictures of a set altered and taken as fakes, three sets; AuthPct / nn_ratio / copy_share.

==================  =================  =================  =================  =================  =================
.                   100 pandas, mid    pixels             96 drawn faces,    pixels             50 places, mid
                                                          mid
==================  =================  =================  =================  =================  =================
honest halves       73 / 1.00 / 0.08   70 / 1.00 / 0.07   70 / 1.01 / 0.09   69 / 1.01 / 0.09   68 / 1.00 / 0.09
exact or mirrored   0 / 0.00 / 1.00    0 / 0.00 / 1.00    0 / 0.00 / 1.00    0 / 0.00 / 1.00    0 / 0.00 / 1.00
shifted by 1/16     0 / 0.59 / 1.00    0 / 0.12 / 1.00    24 / 0.77 / 0.00   0 / 0.05 / 1.00    0 / 0.46 / 1.00
JPEG quality 50     0 / 0.41 / 1.00    0 / 0.02 / 1.00    75 / 1.36 / 0.00   0 / 0.16 / 1.00    0 / 0.43 / 1.00
brighter by 1.2     0 / 0.55 / 1.00    0 / 0.14 / 1.00    9 / 0.55 / 0.22    0 / 0.47 / 0.97    0 / 0.25 / 1.00
blurred to 1/4      0 / 0.71 / 0.99    0 / 0.01 / 1.00    95 / 1.77 / 0.00   0 / 0.18 / 1.00    22 / 0.89 / 0.54
blend of two        0 / 0.76 / 1.00    6 / 0.75 / 0.66    28 / 1.07 / 0.02   39 / 0.95 / 0.07   0 / 0.68 / 1.00
centre 80 %         13 / 0.92 / 0.19   95 / 1.15 / 0.00   98 / 2.19 / 0.00   100 / 2.36 / 0.00  0 / 0.64 / 1.00
noise of 20 levels  56 / 1.02 / 0.05   0 / 0.05 / 1.00    100 / 3.06 / 0.00  0 / 0.14 / 1.00    28 / 0.90 / 0.42
==================  =================  =================  =================  =================  =================

Blends and zooms of drawings pass unseen, as do strong zooms of photographs: the pictures beside their nearest training
pictures say more than any number. The honest spread of nn_ratio is 0.02 on photographs of one motif and 0.13 on
drawings, so its limit follows that spread.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import cached_property

import torch
from torch import Tensor

from sase_gan.metrics.book import NotApplicable
from sase_gan.metrics.bootstrap import Interval, centred_interval, describe, resampled_counts, share_interval
from sase_gan.metrics.catalogue import Space
from sase_gan.metrics.fidelity import reference_halves
from sase_gan.metrics.verdicts import LEAST_REALS, NEAR_QUANTILE, CopyScores, HonestBaseline, Verdict, copying_verdict

HONEST_SPLITS = 200
_BLOCK_DISTANCES = 4_000_000
_CANDIDATES = 3
_ROUNDING = 1e-5


@dataclass(frozen=True)
class Nearest:
    """Nearest and second-nearest training picture of each fake, and whether it is the mirrored one.

    Attributes:
        first, second: indices of training pictures [F]; `second` equals `first` when there is only one picture.
        distance, second_distance: Euclidean, in descriptor units [F].
        mirrored: bool [F], of the nearest.
    """

    first: Tensor
    second: Tensor
    distance: Tensor
    second_distance: Tensor
    mirrored: Tensor


class CopyReference:
    """A copy reference is the training pictures as the copying check sees them; made once, asked often.

    Args:
        plain: descriptors of the pictures as they are, [N, D].
        variants: of each picture and its shifts, [N, V, D].
        mirrored: of each mirror image and its shifts, [N, V, D].
    """

    def __init__(self, plain: Tensor, variants: Tensor, mirrored: Tensor) -> None:
        self.plain = plain.double()
        self._variants = torch.cat([variants, mirrored], dim=1)
        self._mirrored_from = variants.shape[1]

    def __len__(self) -> int:
        return len(self.plain)

    def part(self, indices: Tensor) -> "CopyReference":
        """Make the reference that only these pictures are."""
        n = self._mirrored_from
        found = CopyReference(self.plain[indices], self._variants[indices, :n], self._variants[indices, n:])
        found.between = self.between[indices][:, indices]
        return found

    def judge_held_out(self, held_out: Tensor, train: Tensor, space: Space) -> tuple[CopyScores, Verdict]:
        """What some of the pictures score, taken as fakes of a generator that learned from others of them."""
        part = self.part(train)
        distance, nearest = self.between[held_out][:, train].min(1)
        scores = _scores(distance, part.own_nearest[nearest], part.own_nearest)
        return scores, copying_verdict(scores, part.honest, len(train), len(held_out), space)

    @cached_property
    def between(self) -> Tensor:
        """Distance of each picture to the nearest variant of each other: float64 [N, N], infinite on the diagonal."""
        n, variants, width = self._variants.shape
        rows = self._variants.double().view(n * variants, width)
        blocks = self.plain.split(max(1, _BLOCK_DISTANCES // len(rows)))
        nearest = torch.cat([torch.cdist(block, rows).view(-1, n, variants).min(2).values for block in blocks])
        return nearest.fill_diagonal_(float("inf"))

    @cached_property
    def own_nearest(self) -> Tensor:
        """Leave-one-out distances [N]: each picture to the nearest other, its own mirror image and shifts excluded."""
        return self.between.min(1).values

    @cached_property
    def limit(self) -> float:
        """Under this distance a fake is suspiciously near."""
        return _limit(self.own_nearest)

    @cached_property
    def honest(self) -> HonestBaseline | None:
        """What honest new pictures would score here; None for fewer than 10 reals."""
        if len(self) < LEAST_REALS:
            return None
        rows = []
        for held_out, train in reference_halves(len(self), HONEST_SPLITS):
            own = self.between[train][:, train].min(1).values
            distance, nearest = self.between[held_out][:, train].min(1)
            rows.append(_scores(distance, own[nearest], own))
        return baseline_of(rows)

    def nearest(self, fakes: Tensor) -> Nearest:
        """Find the nearest training pictures of fakes given by their plain descriptors [F, D]."""
        n, variants, _ = self._variants.shape
        # Blocks bound the memory: 5,000 fakes against 1,000 pictures with their 34 variants would take 680 MB.
        found = [self._nearest(block) for block in fakes.float().split(max(1, _BLOCK_DISTANCES // (n * variants)))]
        return Nearest(*(torch.cat(parts) for parts in zip(*found, strict=True)))

    def _nearest(self, fakes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """The fields of `Nearest`: found in float32 by inner products, then measured in float64 by differences."""
        n, variants, width = self._variants.shape
        rows = self._variants.view(n * variants, width)
        lengths = rows.square().sum(1)
        # Less the fakes' own lengths, which change no order.
        squares = torch.addmm(lengths, fakes, rows.T, alpha=-2).view(len(fakes), n, variants)
        nearest = squares.min(2)
        # Of equally near variants, as of a symmetric picture and its mirror image, the plain one.
        close = squares[:, :, 0] <= nearest.values + _ROUNDING * lengths.max()
        variant = torch.where(close, 0, nearest.indices)
        candidates = nearest.values.topk(min(_CANDIDATES, n), dim=1, largest=False).indices
        chosen = self._variants[candidates, variant.gather(1, candidates)]
        distance, order = (fakes[:, None].double() - chosen.double()).norm(dim=2).sort(dim=1, stable=True)
        candidates = candidates.gather(1, order)
        first, second = candidates[:, 0], candidates[:, min(1, n - 1)]
        mirrored = variant.gather(1, first[:, None]).squeeze(1) >= self._mirrored_from
        return first, second, distance[:, 0], distance[:, min(1, n - 1)], mirrored


def baseline_of(scores: Sequence[CopyScores]) -> HonestBaseline:
    """Take mean and standard deviation of the figures over splits."""
    table = torch.tensor([astuple(row) for row in scores], dtype=torch.float64)
    return HonestBaseline(CopyScores(*table.mean(0).tolist()), CopyScores(*table.std(0).tolist()))


def _limit(own_nearest: Tensor) -> float:
    return torch.quantile(own_nearest, NEAR_QUANTILE).item()


def _scores(distance: Tensor, own_of_nearest: Tensor, own_nearest: Tensor) -> CopyScores:
    return CopyScores(
        copy_share=(distance < _limit(own_nearest)).double().mean().item(),
        nn_ratio=(distance.median() / own_nearest.median().clamp_min(1e-12)).item(),
        authpct=100 * (distance > own_of_nearest).double().mean().item(),
    )


@dataclass(frozen=True)
class CopyResult:
    """A copy result holds all that the copying check found out about one set of fakes.

    Attributes:
        intervals: 95 % intervals of the scores, by name; resampled over the fakes.
        honest: the baseline on the same training set.
        relative: per fake the distance over the leave-one-out distance of the picture it is nearest to [F]; the lower
            the more suspicious.
    """

    nearest: Nearest
    scores: CopyScores
    intervals: dict[str, Interval]
    honest: HonestBaseline | None
    relative: Tensor
    verdict: Verdict


def check_copying(fakes: Tensor, reference: CopyReference, *, space: Space = "mid", draws: int = 200) -> CopyResult:
    """Hold fakes, given by their plain descriptors [F, D] in one space, against the training pictures.

    Raises:
        NotApplicable: no fakes, or fewer than two training pictures: then there is no leave-one-out distance.
    """
    if len(fakes) < 1 or len(reference) < 2:
        raise NotApplicable(
            f"The copying check needs a generated and two training pictures; there are {len(fakes)} and "
            f"{len(reference)}."
        )
    nearest, own, honest = reference.nearest(fakes), reference.own_nearest, reference.honest
    own_of_nearest = own[nearest.first]
    scores = _scores(nearest.distance, own_of_nearest, own)
    intervals = _intervals(nearest.distance, own_of_nearest, reference, scores, draws) if len(fakes) > 1 else {}
    relative = nearest.distance / own_of_nearest.clamp_min(1e-12)
    verdict = copying_verdict(scores, honest, len(reference), len(fakes), space)
    return CopyResult(nearest, scores, intervals, honest, relative, verdict)


def _intervals(
    distance: Tensor, own_of_nearest: Tensor, reference: CopyReference, scores: CopyScores, draws: int
) -> dict[str, Interval]:
    counts = resampled_counts(len(distance), draws)
    share = counts @ (distance < reference.limit).double() / len(distance)
    authentic = 100 * (counts @ (distance > own_of_nearest).double()) / len(distance)
    values, order = distance.sort()
    # The median of a resampled set is the value at which its running count passes half.
    middle = (counts[:, order].cumsum(1) < len(distance) / 2).sum(1).clamp_max(len(distance) - 1)
    ratio = values[middle] / reference.own_nearest.median().clamp_min(1e-12)
    words = describe("fakes", draws)
    intervals = {
        "copy_share": centred_interval(scores.copy_share, share, words, lowest=0.0, highest=1.0),
        "nn_ratio": centred_interval(scores.nn_ratio, ratio, words, lowest=0.0),
        "authpct": centred_interval(scores.authpct, authentic, words, lowest=0.0, highest=100.0),
    }
    # Resampling shows no spread where none or all were counted.
    n = len(distance)
    if scores.copy_share in (0, 1):
        intervals["copy_share"] = share_interval(round(n * scores.copy_share), n, "fakes")
    if scores.authpct in (0, 100):
        whole = share_interval(round(n * scores.authpct / 100), n, "fakes")
        intervals["authpct"] = Interval(100 * whole.low, 100 * whole.high, whole.description)
    return intervals


@dataclass(frozen=True)
class HoldoutResult:
    """A holdout result tells whether fakes are nearer to the training pictures than held-out pictures are.

    Attributes:
        nearer_share: chance that a fake is nearer to its nearest training picture than a held-out picture is to its
            own; 0.5 is honest, 1 is copying.
        interval: resampled over the fakes and the held-out pictures.
        nn_ratio: median distance of the fakes over that of the held-out pictures.
        n: held-out pictures.
    """

    nearer_share: float
    interval: Interval | None
    nn_ratio: float
    n: int


def check_holdout(distance: Tensor, held_out: Tensor, reference: CopyReference, *, draws: int = 200) -> HoldoutResult:
    """Compare the fakes' distances [F] to the training set with those of held-out pictures, descriptors [H, D].

    `nearer_share` is the statistic of the Wilcoxon-Mann-Whitney test divided by F * H, ties counting half.
    """
    theirs = reference.nearest(held_out).distance
    wins = (distance[:, None] < theirs[None]).double() + 0.5 * (distance[:, None] == theirs[None]).double()
    value = wins.mean().item()
    interval = None
    if len(theirs) > 1 and len(distance) > 1:
        fakes = resampled_counts(len(distance), draws, seed=1) / len(distance)
        held = resampled_counts(len(theirs), draws, seed=2) / len(theirs)
        words = describe("fakes and held-out pictures", draws)
        interval = centred_interval(value, ((fakes @ wins) * held).sum(1), words, lowest=0.0, highest=1.0)
    return HoldoutResult(value, interval, (distance.median() / theirs.median().clamp_min(1e-12)).item(), len(theirs))
