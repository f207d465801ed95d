import math

import pytest
import torch

from sase_gan.features.lpips import LpipsNetwork
from sase_gan.metrics import diversity, single_image
from sase_gan.metrics.book import NotApplicable
from sase_gan.metrics.bootstrap import centred_interval, resampled_counts


def test_relative_diversity_of_scaled_copies_is_the_scale() -> None:
    reals = torch.randn(30, 8)
    found = diversity.relative_diversity(0.25 * reals, reals)
    assert found.value == pytest.approx(0.25)
    assert found.interval is not None
    assert found.interval.low < 0.25 < found.interval.high
    assert diversity.relative_diversity(reals[:1].repeat(20, 1), reals).value == pytest.approx(0, abs=1e-6)


def test_relative_diversity_by_loops() -> None:
    fakes, reals = torch.randn(6, 3).double(), torch.randn(5, 3).double()

    def mean(rows: torch.Tensor) -> float:
        n = len(rows)
        return sum((rows[i] - rows[j]).norm().item() for i in range(n) for j in range(i)) / (n * (n - 1) / 2)

    assert diversity.relative_diversity(fakes, reals).value == pytest.approx(mean(fakes) / mean(reals))


def test_within_clusters_sees_variations_of_single_pictures() -> None:
    reals = 10 * torch.randn(8, 16)
    clusters = torch.arange(8).repeat(5)
    fakes = reals[clusters] + 0.1 * torch.randn(40, 16)
    found = diversity.relative_diversity_within(fakes, reals, clusters)
    assert found is not None
    assert found.value < 0.02
    assert diversity.relative_diversity(fakes, reals).value > 0.7
    assert diversity.relative_diversity_within(fakes[:8], reals, torch.arange(8)) is None


def test_pairs() -> None:
    assert len(diversity.diversity_pairs(20)) == 190
    pairs = diversity.diversity_pairs(50)
    assert pairs.shape == (1000, 2)
    assert (pairs[:, 0] != pairs[:, 1]).all()
    clusters = torch.tensor([0, 0, 1, 1, 1, 2])
    assert {tuple(pair) for pair in diversity.pairs_within(clusters).tolist()} == {(0, 1), (2, 3), (2, 4), (3, 4)}


def test_lpips_diversity_is_the_mean_over_pairs() -> None:
    network = LpipsNetwork("squeeze", untrained=True)
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    pairs = diversity.diversity_pairs(4)
    found = diversity.lpips_diversity(images, pairs, network, batch_size=4)
    assert found is not None
    x = images / 127.5 - 1
    with torch.inference_mode():
        expected = sum(network(x[i : i + 1], x[j : j + 1]).item() for i, j in pairs.tolist()) / 6
    assert found.value == pytest.approx(expected, rel=1e-4)
    assert diversity.lpips_diversity(images, pairs[:0], network) is None


def test_pixel_diversity_closed_forms() -> None:
    real = torch.zeros(3, 4, 4, dtype=torch.uint8)
    real[..., 2:] = 100  # deviation 50
    same = real[None].repeat(5, 1, 1, 1)
    assert diversity.pixel_diversity(same, real) == 0
    two = torch.stack([torch.zeros_like(real), torch.full_like(real, 40)])  # deviation 20 at each pixel
    assert diversity.pixel_diversity(two, real) == pytest.approx(0.4)
    with pytest.raises(NotApplicable, match="one grey level"):
        diversity.pixel_diversity(two, torch.zeros_like(real))


def test_pixel_difference_closed_forms() -> None:
    real = torch.zeros(3, 4, 4, dtype=torch.uint8)
    real[..., 2:] = 100  # deviation 50
    darker = real.clamp(max=60)  # differs by 40 on one half
    found = single_image.pixel_differences(torch.stack([real, darker]), real)
    assert found.tolist() == pytest.approx([0, 20 * math.sqrt(math.pi) / 2 / 50])
    with pytest.raises(NotApplicable, match="one grey level"):
        single_image.pixel_differences(real[None], torch.zeros_like(real))


def test_pixel_difference_estimates_pixel_diversity() -> None:
    draws = torch.randn(41, 1, 64, 64, generator=torch.Generator().manual_seed(0)).mul(20).add(128).round()
    pictures = draws.expand(-1, 3, -1, -1).to(torch.uint8)
    expected = diversity.pixel_diversity(pictures[1:], pictures[0])
    assert single_image.pixel_differences(pictures[1:], pictures[0]).mean().item() == pytest.approx(expected, rel=0.03)


def test_too_few_pictures_are_told() -> None:
    with pytest.raises(NotApplicable, match="two pictures on each side"):
        diversity.relative_diversity(torch.randn(1, 2), torch.randn(4, 2))
    with pytest.raises(NotApplicable, match="all the same"):
        diversity.relative_diversity(torch.randn(3, 2), torch.ones(4, 2))


def test_a_straight_even_walk_and_a_jump() -> None:
    line = torch.linspace(0, 1, 9)[:, None] * torch.randn(1, 12)
    even = diversity.walk_smoothness(line[None])
    assert even.evenness.value == pytest.approx(0, abs=1e-5)
    assert even.largest_step.value == pytest.approx(1, abs=1e-5)
    assert even.detour.value == pytest.approx(1, abs=1e-5)
    stairs = torch.zeros(2, 9, 3)
    stairs[:, 5:] = 1
    jump = diversity.walk_smoothness(stairs)
    assert jump.largest_step.value == pytest.approx(8)
    assert jump.evenness.value == pytest.approx(7**0.5)
    assert jump.steps.shape == (2, 8)


def test_a_detour_is_measured() -> None:
    corner = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]])
    assert diversity.walk_smoothness(corner).detour.value == pytest.approx(2**0.5)


def test_path_length_of_linear_pictures_is_the_squared_slope() -> None:
    slope = torch.randn(40, 6)
    first = torch.randn(40, 6)
    expected = slope.square().sum(1).double().sort().values.mean().item()
    for epsilon in (0.05, 0.5):
        assert diversity.path_length(first, first + epsilon * slope, epsilon) == pytest.approx(expected, rel=1e-4)


def test_outliers_are_left_out_of_the_path_length() -> None:
    first = torch.zeros(200, 1)
    second = torch.ones(200, 1)
    second[0] = 1000
    assert diversity.path_length(first, second, 1.0) == pytest.approx(1.0)


def test_impossible_walks_are_told() -> None:
    with pytest.raises(NotApplicable, match="three pictures or more"):
        diversity.walk_smoothness(torch.randn(2, 2, 4))
    with pytest.raises(NotApplicable, match="do not change"):
        diversity.walk_smoothness(torch.ones(1, 4, 4))
    with pytest.raises(ValueError, match="epsilon"):
        diversity.path_length(torch.ones(2, 2), torch.ones(2, 2), 0)
    with pytest.raises(ValueError, match="equal numbers"):
        diversity.path_length(torch.ones(2, 2), torch.ones(3, 2), 1)


def test_random_pairs_are_the_same_on_every_computer_and_of_all_distances() -> None:
    pairs = diversity.diversity_pairs(21)
    assert pairs[:4].tolist() == [[0, 9], [15, 12], [13, 15], [11, 2]]
    assert ((pairs[:, 1] - pairs[:, 0]) % 21).unique().tolist() == list(range(1, 21))
    within = diversity.pairs_within(torch.tensor([0] * 70 + [1] * 3))
    assert len(within) == 1000
    assert within[:4].tolist() == [[18, 56], [10, 63], [14, 59], [13, 34]]
    # Of a cluster the first 64 are paired.
    assert within.unique().tolist() == [*range(64), 70, 71, 72]
    assert len(diversity.pairs_within(torch.tensor([0] * 45))) == 990


def test_intervals_say_what_was_drawn_again() -> None:
    rows = torch.randn(6, 4)
    network = LpipsNetwork("squeeze", untrained=True)
    images = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    smooth = diversity.walk_smoothness(torch.randn(3, 4, 2), draws=7)
    found = {
        "fakes": diversity.relative_diversity(rows, rows[:2], draws=7),
        "clusters": diversity.relative_diversity_within(rows, rows, torch.tensor([0, 0, 1, 1, 2, 2]), draws=7),
        "pairs": diversity.lpips_diversity(images, diversity.diversity_pairs(3), network, draws=7),
        "walks": smooth.evenness,
    }
    for what, estimate in found.items():
        assert estimate is not None
        assert estimate.interval is not None
        assert estimate.interval.description == f"95 %, bootstrap over {what}, 7 draws"
    for estimate in (smooth.largest_step, smooth.detour):
        assert estimate.interval is not None
        assert estimate.interval.description == "95 %, bootstrap over walks, 7 draws"
        assert estimate.interval.low >= 1


def test_interval_of_relative_diversity_is_that_of_real_resampling() -> None:
    fakes, reals = torch.randn(9, 3).double(), torch.randn(5, 3).double()
    found = diversity.relative_diversity(fakes, reals, draws=50)
    values = []
    for counts in resampled_counts(9, 50).long():
        rows = fakes.repeat_interleave(counts, 0)
        names = torch.arange(9).repeat_interleave(counts)
        apart = names[:, None] != names
        values.append(torch.cdist(rows, rows)[apart].mean() / torch.pdist(reals).mean())
    expected = centred_interval(found.value, torch.stack(values), "x", lowest=0.0)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_a_walk_that_returns_to_its_start_has_no_detour() -> None:
    with pytest.raises(NotApplicable, match="do not change"):
        diversity.walk_smoothness(torch.tensor([[[0.0], [1.0], [0.0]]]))
