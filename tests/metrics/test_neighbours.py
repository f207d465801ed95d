import pytest
import torch

from sase_gan.metrics.book import NotApplicable
from sase_gan.metrics.neighbours import density_coverage, expected_coverage, nearest_neighbour_accuracy


def test_density_and_coverage_by_hand() -> None:
    # Reals on a line at 0, 1, 2, 10; with k = 1 their balls have the radii 1, 1, 1, 8.
    reals = torch.tensor([[0.0], [1.0], [2.0], [10.0]])
    fakes = torch.tensor([[0.5], [3.0], [30.0]])
    found = density_coverage(fakes, reals, k=1)
    # 0.5 lies in the balls of 0 and 1; 3.0 in those of 2 and 10; 30 in none.
    assert found.per_fake.tolist() == [2, 2, 0]
    assert found.density == pytest.approx(4 / 3)
    assert found.coverage == 1.0
    assert density_coverage(fakes[:1], reals, k=1).per_real.tolist() == [1, 1, 0, 0]


def test_equal_distributions_have_density_and_coverage_near_one() -> None:
    found = density_coverage(torch.randn(2000, 8), torch.randn(500, 8))
    assert found.density == pytest.approx(1, abs=0.1)
    assert found.coverage > 0.95


def test_dropped_modes_lower_coverage_but_not_density() -> None:
    reals = torch.randn(400, 8)
    reals[200:] += 20
    found = density_coverage(torch.randn(1000, 8), reals)
    assert found.coverage == pytest.approx(0.5, abs=0.03)
    assert found.density > 0.8


def test_copies_distance_and_equality_in_the_nearest_neighbour_test() -> None:
    reals = torch.randn(60, 8)
    assert nearest_neighbour_accuracy(reals.clone(), reals).tolist() == [0.0]
    assert nearest_neighbour_accuracy(reals + 100, reals).tolist() == [1.0]
    honest = nearest_neighbour_accuracy(torch.randn(600, 8), torch.randn(150, 8))
    assert len(honest) == 20
    assert honest.mean().item() == pytest.approx(0.5, abs=0.08)


def test_nearest_neighbour_test_by_hand() -> None:
    fakes, reals = torch.tensor([[0.0], [5.0]]), torch.tensor([[1.0], [5.5]])
    # All four nearest neighbours are of the other kind.
    assert nearest_neighbour_accuracy(fakes, reals).item() == 0.0
    # Here only 0.25 is mistaken; with a real at 0.2 the fake at 0.1 lies in the middle and counts half.
    fakes = torch.tensor([[0.0], [0.1]], dtype=torch.float64)
    assert nearest_neighbour_accuracy(fakes, torch.tensor([[0.25], [9.0]])).item() == 0.75
    assert nearest_neighbour_accuracy(fakes, torch.tensor([[0.2], [9.0]], dtype=torch.float64)).item() == 0.625


def test_too_few_pictures_are_told() -> None:
    with pytest.raises(NotApplicable, match="more than 6 real pictures"):
        density_coverage(torch.randn(5, 2), torch.randn(6, 2))
    with pytest.raises(NotApplicable, match="two pictures on each side"):
        nearest_neighbour_accuracy(torch.randn(1, 2), torch.randn(6, 2))


def test_expected_coverage_is_that_of_equal_distributions() -> None:
    random = torch.Generator().manual_seed(0)
    found = []
    for _ in range(60):
        rows = torch.randn(90, 4, generator=random)
        found.append(density_coverage(rows[:30], rows[30:], k=5).coverage)
    # The deviation of the mean of 60 draws is about 0.008.
    assert sum(found) / 60 == pytest.approx(expected_coverage(30, 60, k=5), abs=0.03)
    assert expected_coverage(1, 2, k=1) == 0.5
