import numpy as np
import pytest
import torch

from sase_gan.metrics.bootstrap import (
    centred_interval,
    mean_interval,
    resampled_counts,
    resampled_interval,
    share_interval,
)


def test_counts_are_resamplings_of_the_same_number() -> None:
    counts = resampled_counts(30, 50)
    assert torch.equal(counts.sum(1), torch.full((50,), 30.0, dtype=torch.float64))
    assert torch.equal(counts, resampled_counts(30, 50))
    assert not torch.equal(counts[0], counts[1])


def test_interval_of_a_mean_covers_as_often_as_it_says() -> None:
    generator = torch.Generator().manual_seed(1)
    hits = 0
    for _ in range(200):
        interval = mean_interval(torch.randn(60, generator=generator), "x", 200)
        assert interval is not None
        hits += interval.low <= 0 <= interval.high
    assert 0.88 <= hits / 200 <= 0.99


def test_mean_and_general_resampling_agree() -> None:
    items = torch.randn(200).exp()
    a = mean_interval(items, "x", 400)
    b = resampled_interval(items.double(), lambda rows: rows.mean(-1), "x", 400)
    assert a is not None
    assert b is not None
    assert abs((a.high - a.low) / (b.high - b.low) - 1) < 1e-6


def test_interval_stays_on_the_value_when_resampling_is_biased() -> None:
    interval = centred_interval(5.0, torch.tensor([8.0, 9.0, 10.0]), "x")
    assert interval.low < 5 < interval.high


def test_no_interval_for_one_item_and_bounds_are_kept() -> None:
    assert mean_interval(torch.ones(1), "x", 10) is None
    interval = mean_interval(torch.tensor([0.0, 1.0, 1.0, 1.0]), "x", 100, lowest=0, highest=1)
    assert interval is not None
    assert interval.high == 1


def test_shares_of_none_or_all_have_an_interval() -> None:
    none = mean_interval(torch.zeros(200), "fakes", 100, lowest=0, highest=1)
    assert none is not None
    # Wilson's interval ends at z^2 / (n + z^2) where nothing was counted.
    assert (none.low, none.high) == (0, pytest.approx(1.959964**2 / (200 + 1.959964**2)))
    whole = mean_interval(torch.ones(200), "fakes", 100, lowest=0, highest=1)
    assert whole is not None
    assert (whole.low, whole.high) == (pytest.approx(1 - none.high), 1)


def test_draws_are_the_same_on_every_computer_and_others_for_another_seed() -> None:
    assert resampled_counts(5, 2).tolist() == [[2.0, 1.0, 1.0, 0.0, 1.0], [1.0, 1.0, 2.0, 1.0, 0.0]]
    assert not torch.equal(resampled_counts(5, 2), resampled_counts(5, 2, seed=1))


def test_an_interval_is_the_middle_of_the_draws_around_the_value() -> None:
    items = torch.tensor([0.0, 1.0, 5.0])
    means = (resampled_counts(3, 100) @ items.double() / 3).numpy()
    low, high = np.quantile(means - means.mean() + 2, [0.025, 0.975])
    found = mean_interval(items, "pairs", 100)
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert found.description == "95 %, bootstrap over pairs, 100 draws"
    general = resampled_interval(items, lambda rows: rows.mean(-1), "walks", 100, lowest=1.5)
    assert general is not None
    assert general.low == 1.5
    assert general.description == "95 %, bootstrap over walks, 100 draws"
    bounded = mean_interval(items, "pairs", 100, lowest=1.25, highest=2.25)
    assert bounded is not None
    assert (bounded.low, bounded.high) == (1.25, 2.25)
    assert mean_interval(items[:2], "pairs", 100) is not None
    assert resampled_interval(items[:2], lambda rows: rows.mean(-1), "x", 100) is not None
    assert resampled_interval(items[:1], lambda rows: rows.mean(-1), "x", 100) is None


def test_equal_items_that_are_no_shares_have_no_spread() -> None:
    for items, bounds in ((torch.ones(5), {}), (torch.full((5,), 0.5), {"lowest": 0, "highest": 1})):
        found = mean_interval(items, "x", 100, **bounds)
        assert found is not None
        assert found.low == found.high == items[0]


def test_wilsons_interval_of_three_in_ten() -> None:
    # Newcombe 1998, by the formula: (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n).
    found = share_interval(3, 10, "fakes")
    assert (found.low, found.high) == (pytest.approx(0.10779, abs=1e-5), pytest.approx(0.60322, abs=1e-5))
    assert found.description == "95 %, Wilson score of 10 fakes"
