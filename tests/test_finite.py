"""What is no finite number is found, whatever the kind and the place of the tensor, and named."""

from types import SimpleNamespace

import pytest
import torch

from sase_gan.finite import not_finite
from sase_gan.runs.due import crossed, figures_due, is_due


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("value", [float("inf"), -float("inf"), float("nan")])
def test_one_value_is_enough(dtype: torch.dtype, value: float) -> None:
    wrong = torch.ones(3, 5, dtype=dtype)
    wrong[1, 2] = value
    assert not_finite([("a", torch.ones(2)), ("b", wrong), ("c", torch.ones(())), ("d", wrong)]) == ["b", "d"]


def test_numbers_without_infinity_and_other_things_are_passed_over() -> None:
    named = [("count", torch.tensor(3)), ("flag", torch.tensor(True)), ("words", "inf"), ("none", None)]
    assert not_finite(named) == []
    assert not_finite([]) == []
    assert not_finite([*named, ("a", torch.full((2,), float("nan")))]) == ["a"]


def test_figures_are_due_by_images_seen_since_the_last_ones() -> None:
    assert [seen for seen in range(0, 60, 5) if figures_due(seen, [], 2)] == [20, 25, 30, 35, 40, 45, 50, 55]
    assert [figures_due(seen, [5, 30], 2) for seen in (24, 25, 30, 49, 50)] == [False, True, True, False, True]


def test_a_batch_crosses_a_multiple_or_a_moment_once() -> None:
    assert [seen for seen in range(6, 60, 6) if crossed(seen, 6, 10)] == [12, 24, 30, 42, 54]
    assert [seen for seen in range(6, 60, 6) if crossed(seen, 6, (6, 13, 18))] == [6, 18]
    assert [seen for seen in range(4, 30, 4) if crossed(seen, 4, 4)] == [4, 8, 12, 16, 20, 24, 28]


def test_a_batch_counts_in_every_process() -> None:
    trainer, batch = SimpleNamespace(world_size=2), torch.zeros(3, 1)
    due = [is_due(SimpleNamespace(images_seen=seen), trainer, batch, 10) for seen in range(6, 60, 6)]
    assert due == [crossed(seen, 6, 10) for seen in range(6, 60, 6)]
    assert is_due(SimpleNamespace(images_seen=12), trainer, batch, (7,))
    assert not is_due(SimpleNamespace(images_seen=12), trainer, batch, (6,))
