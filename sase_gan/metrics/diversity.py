"""How much do generated pictures differ from each other, and how evenly on the way through the latent space?

The offline figures are mean pairwise distances in EfficientNet-Lite0's mid-level descriptor relative to the reals';
LPIPS diversity needs a backbone's file. Within clusters (fakes that share a nearest real; Ojha and others, "Few-shot
Image Generation via Cross-domain Correspondence", 2021) tells variations of one picture from new ones. Pixel diversity
is that of single-image generators (Shaham and others, SinGAN, 2019).

Smoothness of walks is in the spirit of the perceptual path length of Karras and others (StyleGAN, 2019), with these
differences: pictures are finished uint8 pictures, so steps are finite instead of 1e-4; the distance is
EfficientNet-Lite0's mid-level descriptor; and beside the length stands the evenness of the steps, because a generator
that has memorised its pictures rests at them and jumps between them (Kong and others, MixDL, 2022). This module sees
pictures only: how they were sampled is the caller's business.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sase_gan.features.lpips import LpipsNetwork
from sase_gan.metrics.book import NotApplicable
from sase_gan.metrics.bootstrap import Interval, centred_interval, describe, mean_interval, resampled_counts
from sase_gan.pixels import to_float
from sase_gan.seeds import generator

ALL_PAIRS_UP_TO = 20
RANDOM_PAIRS = 1000
_LARGEST_PAIRED_SET = 2000


@dataclass(frozen=True)
class Estimate:
    """An estimate is a value with its 95 % interval."""

    value: float
    interval: Interval | None


def _mean(items: Tensor, what: str, draws: int, lowest: float = 0.0) -> Estimate:
    return Estimate(items.mean().item(), mean_interval(items, what, draws, lowest=lowest))


def relative_diversity(fakes: Tensor, reals: Tensor, draws: int = 200) -> Estimate:
    """Mean pairwise distance of the fakes' descriptors [F, D] over that of the reals' [N, D]; 1 is as diverse as these.

    At most the first 2,000 of each are paired.

    Raises:
        NotApplicable: fewer than two pictures on a side, or reals that are all the same.
    """
    if len(fakes) < 2 or len(reals) < 2:
        raise NotApplicable(
            f"Diversity needs two pictures on each side; there are {len(fakes)} generated and {len(reals)} real ones."
        )
    distances = _pairwise(fakes)
    n, scale = len(distances), _mean_off_diagonal(_pairwise(reals))
    if scale <= 0:
        raise NotApplicable("The real pictures are all the same, so there is no diversity to compare with.")
    value = _mean_off_diagonal(distances) / scale
    counts = resampled_counts(n, draws)
    # A picture drawn twice is no pair with itself.
    pairs = counts.sum(1).square() - counts.square().sum(1)
    values = ((counts @ distances) * counts).sum(1) / pairs / scale
    return Estimate(value, centred_interval(value, values, describe("fakes", draws), lowest=0.0))


def relative_diversity_within(fakes: Tensor, reals: Tensor, clusters: Tensor, draws: int = 200) -> Estimate | None:
    """Mean distance of pairs of fakes that share a nearest real, over the reals' mean distance.

    Args:
        fakes, reals: descriptors [F, D], [N, D].
        clusters: for each fake the index of its nearest real [F].

    Returns:
        Mean over clusters of two or more fakes; None when there is no such cluster.
    """
    scale = _mean_off_diagonal(_pairwise(reals)) if len(reals) > 1 else 0.0
    groups = (fakes[clusters == cluster] for cluster in clusters.unique())
    means = [_mean_off_diagonal(_pairwise(group)) for group in groups if len(group) > 1]
    if not means or scale <= 0:
        return None
    items = torch.tensor(means, dtype=torch.float64) / scale
    return _mean(items, "clusters", draws)


def _pairwise(rows: Tensor) -> Tensor:
    rows = rows[:_LARGEST_PAIRED_SET].double()
    return torch.cdist(rows, rows).fill_diagonal_(0)


def _mean_off_diagonal(distances: Tensor) -> float:
    n = len(distances)
    return (distances.sum() / (n * (n - 1))).item()


def diversity_pairs(n: int) -> Tensor:
    """Pairs of indices [P, 2] that stand for a set of n: all of them up to 20 pictures, else 1,000 random ones."""
    if n <= ALL_PAIRS_UP_TO:
        return torch.combinations(torch.arange(n))
    random = generator(0, "lpips pairs", n)
    first = torch.randint(n, (RANDOM_PAIRS,), generator=random)
    second = (first + 1 + torch.randint(n - 1, (RANDOM_PAIRS,), generator=random)) % n
    return torch.stack([first, second], dim=1)


def pairs_within(clusters: Tensor) -> Tensor:
    """At most 1,000 random pairs [P, 2] of indices that belong to the same cluster."""
    members = [(clusters == cluster).nonzero().flatten()[:64] for cluster in clusters.unique()]
    pairs = torch.cat([torch.combinations(indices) for indices in members])
    if len(pairs) <= RANDOM_PAIRS:
        return pairs
    return pairs[torch.randperm(len(pairs), generator=generator(0, "pairs within"))[:RANDOM_PAIRS]]


def lpips_diversity(
    images: Tensor, pairs: Tensor, network: LpipsNetwork, *, batch_size: int = 8, draws: int = 200
) -> Estimate | None:
    """Mean LPIPS over pairs of pictures at their own size, which belongs to the figure.

    Args:
        images: uint8 [N, 3, H, W].
        pairs: int64 [P, 2]; None is returned when there is none.
        network: on the device where it shall run.
        batch_size: pairs at a time.
    """
    if len(pairs) == 0:
        return None
    device = next(network.parameters()).device
    values = []
    with torch.inference_mode():
        for block in pairs.split(batch_size):
            a, b = (to_float(images[block[:, side]]).to(device) for side in (0, 1))
            values.append(network(a, b).cpu())
    return _mean(torch.cat(values).double(), "pairs", draws)


def pixel_diversity(fakes: Tensor, real: Tensor) -> float:
    """Per-pixel deviation of the fakes' grey values, mean over pixels, over the deviation of the real's grey values.

    Grey is the mean of the channels; deviations divide by N. 0 for equal fakes; noise scores high.

    Args:
        fakes: uint8 [N, 3, H, W].
        real: uint8 [3, H', W'].

    Raises:
        NotApplicable: a real of one colour.
    """
    grey = fakes.double().mean(1)
    return (grey.std(0, correction=0).mean() / grey_deviation(real)).item()


def grey_deviation(real: Tensor) -> float:
    """Deviation of the grey values of a picture uint8 [3, H, W], the unit of `pixel_diversity`.

    Raises:
        NotApplicable: a picture of one grey level.
    """
    scale = real.double().mean(0).std(correction=0).item()
    if scale <= 0:
        raise NotApplicable("The real picture has one grey level, so there is no deviation to compare with.")
    return scale


@dataclass(frozen=True)
class Smoothness:
    """Smoothness holds the figures of several walks of equal length.

    Attributes:
        steps: distance of neighbouring pictures [walks, steps].
        evenness: standard deviation of the steps over their mean, per walk, mean over walks; 0 is perfectly even.
        largest_step: largest step over mean step, mean over walks; 1 is even, the number of steps is one jump.
        detour: sum of steps over the distance of the ends, mean over walks; 1 is straight.
    """

    steps: Tensor
    evenness: Estimate
    largest_step: Estimate
    detour: Estimate


def walk_smoothness(descriptors: Tensor, draws: int = 200) -> Smoothness:
    """Measure walks by the descriptors of their pictures.

    Args:
        descriptors: [walks, pictures, D], at least three pictures a walk.
        draws: for the intervals, over walks.

    Raises:
        NotApplicable: fewer than three pictures a walk, or a walk in which nothing changes.
    """
    if descriptors.ndim != 3 or descriptors.shape[1] < 3:
        raise NotApplicable(
            f"Walks [walks, pictures, D] of three pictures or more are needed; {list(descriptors.shape)} was given."
        )
    rows = descriptors.double()
    steps = (rows[:, 1:] - rows[:, :-1]).norm(dim=2)
    ends = (rows[:, -1] - rows[:, 0]).norm(dim=1)
    mean = steps.mean(1)
    if (mean <= 0).any() or (ends <= 0).any():
        raise NotApplicable("The pictures of a walk do not change, so its steps cannot be compared.")
    return Smoothness(
        steps=steps,
        evenness=_mean(steps.std(1, correction=0) / mean, "walks", draws),
        largest_step=_mean(steps.max(1).values / mean, "walks", draws, lowest=1.0),
        detour=_mean(steps.sum(1) / ends, "walks", draws, lowest=1.0),
    )


def path_length(first: Tensor, second: Tensor, epsilon: float) -> float:
    """Mean squared descriptor distance of pairs, over epsilon squared, without the outer percent on either side.

    Args:
        first: descriptors [P, D] of pictures at some latents.
        second: of pictures at latents a share `epsilon` farther on the way to another latent.
        epsilon: in (0, 1]. uint8 pictures need steps that change them: 0.05 rather than the 1e-4 of the literature.

    Raises:
        ValueError: epsilon out of range, or unequal numbers.
    """
    if not 0 < epsilon <= 1:
        raise ValueError(f"epsilon is a share of the way in (0, 1]; {epsilon} was given.")
    if first.shape != second.shape:
        raise ValueError(f"Pairs need equal numbers; {list(first.shape)} and {list(second.shape)} were given.")
    values = ((first.double() - second.double()).square().sum(1) / epsilon**2).sort().values
    cut = int(len(values) * 0.01)
    return values[cut : len(values) - cut].mean().item()
