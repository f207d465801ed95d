import pytest
import torch

from sase_gan.metrics.bootstrap import centred_interval, mean_interval, resampled_counts, resampled_interval


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
