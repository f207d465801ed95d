import pytest
import torch

from sase_gan.metrics.book import NotApplicable
from sase_gan.metrics.smoothness import path_length, walk_smoothness


def test_a_straight_even_walk_and_a_jump() -> None:
    line = torch.linspace(0, 1, 9)[:, None] * torch.randn(1, 12)
    even = walk_smoothness(line[None])
    assert even.evenness == pytest.approx(0, abs=1e-5)
    assert even.largest_step == pytest.approx(1, abs=1e-5)
    assert even.detour == pytest.approx(1, abs=1e-5)
    stairs = torch.zeros(2, 9, 3)
    stairs[:, 5:] = 1
    jump = walk_smoothness(stairs)
    assert jump.largest_step == pytest.approx(8)
    assert jump.evenness == pytest.approx(7**0.5)
    assert jump.steps.shape == (2, 8)


def test_a_detour_is_measured() -> None:
    corner = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]])
    assert walk_smoothness(corner).detour == pytest.approx(2**0.5)


def test_path_length_of_linear_pictures_is_the_squared_slope() -> None:
    slope = torch.randn(40, 6)
    first = torch.randn(40, 6)
    expected = slope.square().sum(1).double().sort().values.mean().item()
    for epsilon in (0.05, 0.5):
        assert path_length(first, first + epsilon * slope, epsilon) == pytest.approx(expected, rel=1e-4)


def test_outliers_are_left_out_of_the_path_length() -> None:
    first = torch.zeros(200, 1)
    second = torch.ones(200, 1)
    second[0] = 1000
    assert path_length(first, second, 1.0) == pytest.approx(1.0)


def test_impossible_walks_are_told() -> None:
    with pytest.raises(NotApplicable, match="three pictures or more"):
        walk_smoothness(torch.randn(2, 2, 4))
    with pytest.raises(NotApplicable, match="do not change"):
        walk_smoothness(torch.ones(1, 4, 4))
    with pytest.raises(ValueError, match="epsilon"):
        path_length(torch.ones(2, 2), torch.ones(2, 2), 0)
    with pytest.raises(ValueError, match="equal numbers"):
        path_length(torch.ones(2, 2), torch.ones(3, 2), 1)
