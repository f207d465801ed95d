"""Comparisons of two sets of features. This is the one place that imports torch-fidelity.

Most values come from torch-fidelity's own functions, which are checked against many published numbers; this module
gives them finished feature tensors, in the order (fakes, reals), and checks what they only answer with cryptic errors.
Beside them stand a faster exact form of the Frechet distance for few pictures and the quantities that error bars need.

Features are float [N, D] on the CPU, one row a picture; arithmetic is float64.

Sources: Heusel and others 2017 (Frechet distance), Binkowski and others 2018 (kernel distance), Kynkaanniemi and others
2019 (precision and recall), Naeem and others 2020 (density and coverage), Lopez-Paz and Oquab 2017, Xu and others 2018
(1-NN test), Salimans and others 2016 (Inception Score), Bai and others 2021 (memorisation-informed distance).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from sase_gan.metrics.book import NotApplicable
from sase_gan.metrics.bootstrap import Interval, centred_interval, describe, resampled_counts
from sase_gan.seeds import generator

KID_SUBSETS = 100
KID_LARGEST_SUBSET = 1000
PRECISION_NEIGHBOURS = 3
NEIGHBOURS = 5
NN_TEST_DRAWS = 20
# Cosine distance under which a memorisation-informed distance starts to punish; the value of its authors.
MEMORISATION_LIMIT = 0.1
_LIBRARY_SEED = 2020


def frechet_distance(fakes: Tensor, reals: Tensor) -> float:
    """Measure the Frechet distance of two Gaussians fitted to the sets, by torch-fidelity.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), covariances with N - 1.

    Raises:
        NotApplicable: fewer than two pictures on a side.
    """
    _check(fakes, reals, 2)
    statistics = [fid_features_to_statistics(rows.double().cpu()) for rows in (fakes, reals)]
    # No distance is negative; of equal sets rounding leaves a value of either sign.
    return max(float(fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]), 0.0)


def frechet_distance_gram(fakes: Tensor, reals: Tensor) -> float:
    """The same distance from inner products, in time that grows with the pictures and not with the cube of D.

    With the centred rows A and B, each divided by sqrt(N - 1), tr((C1 C2)^(1/2)) is the sum of the singular values of
    A B^T.

    Raises:
        NotApplicable: fewer than two pictures on a side.
    """
    _check(fakes, reals, 2)
    difference, a, b = _centred(fakes, reals)
    trace = torch.linalg.svdvals(a @ b.T).sum()
    return max(float(difference.square().sum() + a.square().sum() + b.square().sum() - 2 * trace), 0.0)


def frechet_interval(value: float, fakes: Tensor, reals: Tensor, draws: int) -> Interval | None:
    """Estimate the interval of the Frechet distance, resampling the fakes while the reals stay.

    Each draw only needs the eigenvalues of a matrix as wide as the smaller set, so 200 draws cost less than one
    distance by the library.
    """
    if len(fakes) < 2 or len(reals) < 2 or draws < 2:
        return None
    a = fakes.double() - reals.double().mean(0)
    b = (reals.double() - reals.double().mean(0)) / (len(reals) - 1) ** 0.5
    cross = a @ b.T
    lengths = a.square().sum(1)
    spread = b.square().sum()
    counts = resampled_counts(len(fakes), draws)
    means = (counts @ a / len(a)).square().sum(1)
    own = (counts @ lengths - len(a) * means) / (len(a) - 1)
    traces = torch.stack([_root_trace(cross, row) for row in counts])
    return centred_interval(value, means + own + spread - 2 * traces, describe("fakes", draws), lowest=0.0)


def _root_trace(cross: Tensor, counts: Tensor) -> Tensor:
    """Sum of the singular values of A B^T for the resampled, centred A; `cross` is [fakes, reals] before centring."""
    weighted = counts.sqrt()[:, None] * (cross - counts @ cross / len(cross)) / (len(cross) - 1) ** 0.5
    small = weighted.T @ weighted if weighted.shape[0] > weighted.shape[1] else weighted @ weighted.T
    return torch.linalg.eigvalsh(small).clamp_min(0).sqrt().sum()


def _centred(fakes: Tensor, reals: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    a, b = fakes.double().cpu(), reals.double().cpu()
    mean_a, mean_b = a.mean(0), b.mean(0)
    return mean_a - mean_b, (a - mean_a) / (len(a) - 1) ** 0.5, (b - mean_b) / (len(b) - 1) ** 0.5


class KernelDistance(NamedTuple):
    """A kernel distance has mean and deviation over subsets of `subset_size` pictures."""

    mean: float
    std: float
    subset_size: int


def kernel_distance(
    fakes: Tensor, reals: Tensor, *, subsets: int = KID_SUBSETS, subset_size: int | None = None
) -> KernelDistance:
    """Squared maximum mean discrepancy with the kernel (x.y / D + 1)^3, by torch-fidelity, over random subsets.

    Subsets have min(1000, N, M) pictures by default. With all of the reals in each, `std` shows the fakes' variation
    only.

    Raises:
        NotApplicable: fewer than two pictures on a side.
        ValueError: a subset larger than a side.
    """
    _check(fakes, reals, 2)
    size = subset_size or min(KID_LARGEST_SUBSET, len(fakes), len(reals))
    if size > min(len(fakes), len(reals)):
        raise ValueError(
            f"A subset of {size} pictures was asked for, with {len(fakes)} generated and {len(reals)} real ones; it "
            "may have at most as many as the smaller set."
        )
    result = kid_features_to_metric(
        fakes.double().cpu(),
        reals.double().cpu(),
        kid_subsets=subsets,
        kid_subset_size=size,
        kid_kernel="poly",
        rng_seed=_LIBRARY_SEED,
        verbose=False,
    )
    mean, std = (float(result[f"kernel_inception_distance_{what}"]) for what in ("mean", "std"))
    return KernelDistance(mean, std, size)


def polynomial_kernel(a: Tensor, b: Tensor) -> Tensor:
    """(a.b / D + 1)^3 for all pairs: [N, M] in float64."""
    return (a.double() @ b.double().T / a.shape[1] + 1) ** 3


def kernel_distance_all(fakes: Tensor, reals: Tensor) -> float:
    """Measure the unbiased squared discrepancy over all pictures at once, without subsets."""
    ones = torch.ones(1, len(fakes), dtype=torch.float64)
    return float(_weighted_discrepancy(fakes, reals, ones)[0])


def kernel_interval(value: float, fakes: Tensor, reals: Tensor, draws: int) -> Interval | None:
    """Estimate the interval of the kernel distance, resampling the fakes while the reals stay."""
    if len(fakes) < 2 or len(reals) < 2 or draws < 2:
        return None
    values = _weighted_discrepancy(fakes, reals, resampled_counts(len(fakes), draws))
    return centred_interval(value, values, describe("fakes", draws))


def _weighted_discrepancy(fakes: Tensor, reals: Tensor, counts: Tensor) -> Tensor:
    """Unbiased discrepancy of the fakes weighted by each row of counts [draws, N] against the reals.

    A fake drawn twice is not paired with itself, which would count as similarity.
    """
    own, across = polynomial_kernel(fakes, fakes), polynomial_kernel(fakes, reals)
    theirs = polynomial_kernel(reals, reals)
    m = len(reals)
    real_term = (theirs.sum() - theirs.diagonal().sum()) / (m * (m - 1))
    own.fill_diagonal_(0)
    pairs = counts.sum(1).square() - counts.square().sum(1)
    fake_term = ((counts @ own) * counts).sum(1) / pairs
    return fake_term + real_term - 2 * (counts @ across.mean(1)) / counts.sum(1)


def precision_recall(fakes: Tensor, reals: Tensor, k: int = PRECISION_NEIGHBOURS) -> tuple[float, float]:
    """(precision, recall) by torch-fidelity: shares of fakes within the reals' k-nearest-neighbour balls, and back.

    Raises:
        NotApplicable: not more than k pictures on a side.
    """
    _check(fakes, reals, k + 1)
    result = prc_features_to_metric(
        fakes.float().cpu(), reals.float().cpu(), prc_neighborhood=k, save_cpu_ram=False, verbose=False
    )
    return float(result["precision"]), float(result["recall"])


def inside_balls(points: Tensor, centres: Tensor, k: int) -> Tensor:
    """Whether each point lies in the ball of each centre, bool [P, C]; a ball reaches the k-th other centre."""
    points, centres = points.double(), centres.double()
    return torch.cdist(points, centres) <= torch.cdist(centres, centres).kthvalue(k + 1).values


@dataclass(frozen=True)
class DensityCoverage:
    """Density and coverage stand here with what each picture adds to them.

    Attributes:
        density: mean over fakes of `per_fake`; 1 for equal distributions, above 1 when fakes crowd the centre.
        coverage: mean over reals of `per_real`; near 1 for equal distributions.
        per_fake: [fakes], number of real balls around the fake, divided by k.
        per_real: [reals], 1 where a fake lies in the real's ball.
    """

    density: float
    coverage: float
    per_fake: Tensor
    per_real: Tensor


def density_coverage(fakes: Tensor, reals: Tensor, k: int = NEIGHBOURS) -> DensityCoverage:
    """Measure density and coverage; a real's ball reaches its k-th nearest other real.

    Raises:
        NotApplicable: not more than k + 1 reals, or no fake.
    """
    if len(reals) <= k + 1 or len(fakes) < 1:
        raise NotApplicable(
            f"Density and coverage need more than {k + 1} real pictures and a generated one; there are {len(reals)} "
            f"and {len(fakes)}."
        )
    inside = inside_balls(fakes, reals, k)
    per_fake = inside.sum(1).double() / k
    per_real = inside.any(0).double()
    return DensityCoverage(per_fake.mean().item(), per_real.mean().item(), per_fake, per_real)


def expected_coverage(n_fake: int, n_real: int, k: int = NEIGHBOURS) -> float:
    """Coverage of fakes drawn from the very distribution of the reals: 1 less the chance that a real's ball is empty.

    A ball is empty when the k nearest of the other n_real - 1 + n_fake pictures are all real (Naeem and others 2020,
    equation 9), so 50 fakes cannot cover 100 reals: 0.87 with k = 5.
    """
    empty = 1.0
    for i in range(k):
        empty *= (n_real - 1 - i) / (n_real + n_fake - 1 - i)
    return 1 - empty


def nearest_neighbour_accuracy(fakes: Tensor, reals: Tensor, draws: int = NN_TEST_DRAWS) -> Tensor:
    """Accuracy of telling real from fake by the nearest other picture, in equal numbers: [draws], each in 0..1.

    0.5 is ideal, towards 0 each fake sits on a real (copying), towards 1 the sets are apart. A tie between a real and a
    fake counts half. With equal numbers there is one way to choose and one value.

    Raises:
        NotApplicable: fewer than two pictures on a side.
    """
    n = min(len(fakes), len(reals))
    if n < 2:
        raise NotApplicable(
            f"The 1-NN test needs two pictures on each side; there are {len(fakes)} generated and {len(reals)} real "
            "ones."
        )
    distances = _exact_distances(torch.cat([fakes, reals]).double())
    distances.fill_diagonal_(float("inf"))
    if len(fakes) == len(reals):
        draws = 1
    values = []
    for draw in range(draws):
        random = generator(0, "1-nn", len(fakes), len(reals), draw)
        chosen_fakes = torch.randperm(len(fakes), generator=random)[:n]
        chosen_reals = torch.randperm(len(reals), generator=random)[:n] + len(fakes)
        rows = torch.cat([chosen_fakes, chosen_reals])
        values.append(_accuracy(distances[rows][:, rows], n))
    return torch.tensor(values, dtype=torch.float64)


def _accuracy(distances: Tensor, n: int) -> float:
    to_fake, to_real = distances[:, :n].min(1).values, distances[:, n:].min(1).values
    own = torch.cat([to_fake[:n], to_real[n:]])
    other = torch.cat([to_real[:n], to_fake[n:]])
    return ((own < other).double() + 0.5 * (own == other).double()).mean().item()


def _exact_distances(rows: Tensor) -> Tensor:
    # Through inner products equal rows come out 1e-7 apart, which would break ties between exact copies at random.
    distances = torch.cdist(rows, rows)
    scale = rows.norm(dim=1).max().clamp_min(1e-30)
    return torch.where(distances < 1e-6 * scale, torch.zeros_like(distances), distances)


def inception_score(logits: Tensor, *, splits: int = 1) -> tuple[float, float]:
    """(mean, deviation over splits) of exp(mean KL(p(y|x) | p(y))), by torch-fidelity.

    Raises:
        NotApplicable: fewer pictures than splits.
    """
    if len(logits) < max(splits, 2):
        raise NotApplicable(f"The score needs at least {max(splits, 2)} pictures; {len(logits)} were given.")
    result = isc_features_to_metric(logits.cpu(), splits=splits, shuffle=True, rng_seed=_LIBRARY_SEED)
    return float(result["inception_score_mean"]), float(result["inception_score_std"])


def inception_score_interval(value: float, logits: Tensor, draws: int) -> Interval | None:
    """Estimate the interval of the score, resampling the fakes."""
    if len(logits) < 2 or draws < 2:
        return None
    log_p = logits.double().log_softmax(1)
    p = log_p.exp()
    counts = resampled_counts(len(logits), draws) / len(logits)
    marginal = counts @ p
    scores = (counts @ (p * log_p).sum(1) - (marginal * marginal.clamp_min(1e-300).log()).sum(1)).exp()
    return centred_interval(value, scores, describe("fakes", draws), lowest=1.0)


def memorisation_penalty(fakes: Tensor, reals: Tensor) -> float:
    """What a memorisation-informed distance multiplies the Frechet distance with: 1, or more for near copies.

    m = mean over fakes of the smallest 1 - |cos| to a real; the factor is 1 / m under the authors' limit of 0.1, else
    1.

    Raises:
        NotApplicable: m is 0 but for rounding, as for exact copies: nothing times no bound.
    """
    a, b = (torch.nn.functional.normalize(rows.double(), dim=1) for rows in (fakes, reals))
    nearest = (1 - (a @ b.T).abs()).min(1).values.mean().item()
    if nearest < 1e-6:
        raise NotApplicable(
            "The generated pictures equal real ones, which gives the penalty no bound: they are copies."
        )
    return 1.0 if nearest >= MEMORISATION_LIMIT else 1 / nearest


def reference_halves(n: int, splits: int) -> list[tuple[Tensor, Tensor]]:
    """Random halves of n indices, disjoint and of equal size, the same for the same arguments."""
    halves = []
    for split in range(splits):
        order = torch.randperm(n, generator=generator(0, "halves", n, split))
        halves.append((order[: n // 2], order[n // 2 : 2 * (n // 2)]))
    return halves


def _check(fakes: Tensor, reals: Tensor, least: int) -> None:
    if min(len(fakes), len(reals)) < least:
        raise NotApplicable(
            f"At least {least} pictures are needed on each side; there are {len(fakes)} generated and {len(reals)} "
            "real ones."
        )


def library_extractor(name: str, layers: list[str], weights_path: str) -> Any:
    """A feature network of torch-fidelity on the CPU, from a file whose hash was checked before.

    Args:
        name: "inception-v3-compat" or "vgg16".
        layers: torch-fidelity's names of its outputs.
        weights_path: never left to the library, which would download.
    """
    from torch_fidelity.utils import create_feature_extractor

    return create_feature_extractor(
        name, layers, feature_extractor_weights_path=weights_path, cuda=False, save_cpu_ram=False, verbose=False
    )
