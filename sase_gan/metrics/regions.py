"""Are generated pictures put together from regions of training pictures?

The copying check of `originality` looks at whole pictures and passes a patchwork: each of its parts is a training
picture's, the whole is none's. Here the parts are looked for, see `region_search`. What real pictures share with each
other by chance, or because a set is drawn from the same parts, is measured on the training set itself: each of its
pictures explained by all the others. The definition, the limits and the verdict are ours.

Calibration at 64 px, 26 November 2026: 70 % of a set for training, the rest held out; 60 pictures of each kind, seams
blended over 3 px, pieces mirrored at random. Mean share in regions / mean number of regions / verdict.

====================  =======================  =======================  =======================
.                     100 pandas               96 drawn faces           50 places
====================  =======================  =======================  =======================
held out              0.06 / 1.3 / green       0.62 / 2.7 / green       0.04 / 1.7 / too few
2 pieces              0.97 / 2.1 / red         0.97 / 1.9 / red         0.95 / 2.1 / red
4 pieces              0.94 / 4.0 / red         0.93 / 3.0 / red         0.90 / 4.0 / red
16 pieces             0.73 / 9.7 / red         0.71 / 5.4 / red         0.68 / 10.1 / red
half a copy, half     0.51 / 1.7 / red         0.73 / 2.2 / amber       0.47 / 1.5 / red
held out
exact                 1.00 / 1.0 / red         1.00 / 1.0 / red         1.00 / 1.0 / red
JPEG quality 50       0.87 / 1.7 / red         0.58 / 6.6 / green       0.50 / 4.9 / red
brighter by 1.2       0.99 / 1.1 / red         1.00 / 1.0 / red         0.99 / 1.2 / red
blurred to 1/2        0.91 / 1.5 / red         0.82 / 6.0 / amber       0.42 / 5.7 / red
blurred to 1/4        0.17 / 3.0 / amber       0.01 / 0.1 / green       0.13 / 2.8 / red
noise of 10 levels    0.76 / 2.1 / red         0.74 / 1.7 / amber       0.62 / 3.1 / red
noise of 20 levels    0.14 / 0.9 / amber       0.49 / 1.9 / green       0.15 / 1.6 / red
elastic warp          0.68 / 13.6 / red        0.62 / 7.2 / green       0.46 / 12.6 / red
centre 80 %           0.68 / 17.1 / red        0.61 / 9.3 / green       0.37 / 11.9 / red
====================  =======================  =======================  =======================

The training pictures, each by the others, share 0.08, 0.60 and 0.03; at 128 px the figures are the same within a tenth.
On photographs every single patchwork, and all half copies but one of 120, scored above every real picture. A changed
copy is told from a patchwork by its source: of the changed copies above the usual nine in ten come nearly wholly from
one training picture (two thirds of those blurred to 1/4), of the patchworks at most a fifth. The drawn faces are made
of the same parts and some are nearly equal, so that only sets of patchworks are told there, not single ones. Compressed
and noisy copies of drawings pass here; the copying check has them by pixels. Of 24 random halves of the three sets,
held against the other half, 23 were green and one, of faces, amber.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from sase_gan.metrics.book import Level, NotApplicable
from sase_gan.metrics.bootstrap import Interval, mean_interval, share_interval
from sase_gan.metrics.region_search import Explained, RegionSearch
from sase_gan.metrics.verdicts import REGION_QUANTILE, RegionScores, Verdict, patchwork_verdict
from sase_gan.progress import Count
from sase_gan.seeds import generator

MOST_PICTURES = 256
"""So many generated pictures are looked at, and so many real ones for the honest level."""
LEAST_SHARE = 0.1
"""A picture with less in regions is no patchwork, however little real ones share."""
ONE_PICTURE = 0.75
"""From this share of all that is explained a picture is said to come from one training picture."""
RANKED = ("patchwork_share", "further_share", "largest_region")
"""By these a generated picture may be more of a patchwork than a real one; the one that tells most is taken."""


class RegionReference:
    """A region reference is the training pictures as the search for regions sees them; made once, asked often.

    Args:
        images: uint8 [N, 3, H, W].
        progress: told about the honest level.

    Raises:
        NotApplicable: fewer than two pictures, or a short side under 16 px.
    """

    def __init__(self, images: Tensor, progress: Count | None = None) -> None:
        if len(images) < 2:
            raise NotApplicable(f"Regions are judged against two training pictures or more; there is {len(images)}.")
        self._images, self._progress = images, progress
        self.search = RegionSearch(images)

    def __len__(self) -> int:
        return len(self._images)

    @cached_property
    def own(self) -> list[Explained]:
        """What the other training pictures explain of each, of at most 256 drawn by a fixed seed."""
        chosen = torch.arange(len(self))
        if len(self) > MOST_PICTURES:
            chosen = torch.randperm(len(self), generator=generator(0, "regions", len(self)))[:MOST_PICTURES].sort()[0]
        return self.search.explain(self._images[chosen], chosen, progress=self._progress)

    @cached_property
    def own_shares(self) -> Tensor:
        """The patchwork shares of `own`, float64."""
        return values_of(self.own, "patchwork_share")


@dataclass(frozen=True)
class RegionResult:
    """A region result holds all that was found out about one set of generated pictures.

    Attributes:
        explained: of each picture looked at; the first ones given.
        own: the same of training pictures, each explained by the others.
        ranks: by the measure that `scores.rank_of` names, of each picture the share of real ones that it surpasses.
        above: bool, which of the pictures are put together beyond what is usual among real ones.
    """

    explained: list[Explained]
    own: list[Explained]
    scores: RegionScores
    ranks: Tensor
    above: Tensor
    verdict: Verdict


def check_regions(fakes: Tensor, reference: RegionReference, progress: Count | None = None) -> RegionResult:
    """Look for regions of the training pictures in generated ones, uint8 [F, 3, H, W]; in the first 256 of them."""
    explained = reference.search.explain(fakes[:MOST_PICTURES], progress=progress)
    shares, own = values_of(explained, "patchwork_share"), reference.own_shares
    ranks = {name: _ranks(explained, reference.own, name) for name in RANKED}
    rank_of = max(RANKED, key=lambda name: ranks[name].mean().item())
    above = shares > max(LEAST_SHARE, torch.quantile(own, REGION_QUANTILE).item())
    alone = [one.picture_share >= ONE_PICTURE * one.patchwork_share for one in explained]
    scores = RegionScores(
        share=shares.mean().item(),
        above=above.double().mean().item(),
        rank=ranks[rank_of].mean().item(),
        rank_of=rank_of,
        regions=sum(len(one.regions) for one in explained) / len(explained),
        alone=(above & torch.tensor(alone)).sum().item() / max(1, int(above.sum())),
    )
    verdict = patchwork_verdict(scores, own.mean().item(), len(own), len(explained))
    return RegionResult(explained, reference.own, scores, ranks[rank_of], above, verdict)


def values_of(explained: Sequence[Explained], base: str) -> Tensor:
    """List what each picture scores in a figure of one picture, by its name in the catalogue: float64."""
    return torch.tensor([_MEASURES[base](one) for one in explained], dtype=torch.float64)


def _ranks(explained: list[Explained], own: list[Explained], base: str) -> Tensor:
    """Of each picture the share of real ones that it surpasses in a measure, ties counting half."""
    values, reals = values_of(explained, base)[:, None], values_of(own, base)[None]
    return ((values > reals).double() + 0.5 * (values == reals).double()).mean(1)


@dataclass(frozen=True)
class RegionEstimate:
    """A figure of regions with its error bar, and what real pictures score in it."""

    value: float
    interval: Interval | None
    level: Level | None
    note: str | None = None


def estimate_of(base: str, result: RegionResult, draws: int = 200) -> RegionEstimate:
    """Estimate a figure of the group "regions" by its name in the catalogue; intervals resample the pictures."""
    n, reals = len(result.explained), len(result.own)
    spread = (1 / n + 1 / reals) ** 0.5
    if base == "patchwork_pictures":
        usual = 1 - REGION_QUANTILE
        level = Level(usual, (usual * REGION_QUANTILE) ** 0.5 * spread)
        return RegionEstimate(result.scores.above, share_interval(int(result.above.sum()), n, "fakes"), level)
    if base == "patchwork_rank":
        ranks = mean_interval(result.ranks, "fakes", draws, lowest=0.0, highest=1.0)
        return RegionEstimate(result.scores.rank, ranks, Level(0.5, spread / 12**0.5), f"by {result.scores.rank_of}")
    values, own = values_of(result.explained, base), values_of(result.own, base)
    interval = mean_interval(values, "fakes", draws, lowest=0.0)
    std = own.std().item() * spread if reals > 1 else None
    return RegionEstimate(values.mean().item(), interval, Level(own.mean().item(), std))


_MEASURES: dict[str, Callable[[Explained], float]] = {
    "patchwork_share": lambda one: one.patchwork_share,
    "largest_region": lambda one: one.largest_region,
    "further_share": lambda one: one.patchwork_share - one.picture_share,
    "region_share": lambda one: one.region_share,
    "region_count": lambda one: len(one.regions),
    "region_sources": lambda one: one.sources,
}
