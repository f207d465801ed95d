"""Metrics of nearest neighbours between two sets of features: density, coverage and the 1-NN test.

Sources: Naeem and others 2020 (density and coverage); Lopez-Paz and Oquab 2017, Xu and others 2018 (1-NN test).
Features are float [N, D]; distances are Euclidean in float64.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sase_gan.metrics.book import NotApplicable
from sase_gan.metrics.fidelity import inside_balls
from sase_gan.seeds import generator

NEIGHBOURS = 5
NN_TEST_DRAWS = 20


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
