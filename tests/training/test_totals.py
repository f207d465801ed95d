"""What a player of a set's training minimises is the sum of its terms, each with its weight; and what seeds a step."""

from typing import Any

import pytest
from torch import Tensor

from sase_gan.training import low_shot
from sase_gan.training.low_shot import LowShotModule
from tests.training.test_low_shot import fit, make

WEIGHTS = {
    "lecam": 0.3,
    "r1": 0.7,
    "r1_every": 2,
    "reconstruction_weight": 5.0,
    "reconstruction_every": 3,
}


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, dict[str, float]]]:
    """What is minimised in each half of each step, with the terms that are told afterwards."""
    found: list[tuple[float, dict[str, float]]] = []
    backward, collect = LowShotModule.manual_backward, LowShotModule.collect

    def noting(self: Any, loss: Tensor) -> None:
        found.append((loss.item(), {}))
        backward(self, loss)

    def telling(self: Any, terms: dict[str, Tensor]) -> None:
        found[-1][1].update({name: value.detach().float().mean().item() for name, value in terms.items()})
        collect(self, terms)

    monkeypatch.setattr(LowShotModule, "manual_backward", noting)
    monkeypatch.setattr(LowShotModule, "collect", telling)
    return found


def test_each_term_has_its_weight_and_rare_ones_that_of_the_steps_between(
    steps: list[tuple[float, dict[str, float]]],
) -> None:
    fit(make(loss=WEIGHTS), 4)
    assert len(steps) == 8
    for number, (total, terms) in enumerate(steps[::2]):
        assert ("d_r1" in terms) == (number % 2 == 0)
        assert ("d_rebuild_big" in terms) == (number % 3 == 0)
        rebuilt = sum(value for name, value in terms.items() if name.startswith("d_rebuild"))
        expected = terms["d_real"] + terms["d_fake"] + 0.3 * terms["d_lecam"]
        expected += 0.7 / 2 * 2 * terms.get("d_r1", 0.0) + 5 * 3 * rebuilt
        assert total == pytest.approx(expected, rel=1e-4)
        # Each is large enough to be missed.
        assert terms["d_lecam"] > 0.01
        assert terms.get("d_r1", 1.0) > 1e-3
    for total, terms in steps[1::2]:
        assert total == pytest.approx(terms["g_adversarial"], rel=1e-5)


def test_every_process_draws_numbers_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[Any, ...]] = []
    quadrants: list[tuple[Any, ...]] = []
    real, derive = low_shot.random_generator, low_shot.derive_seed

    def noting(*parts: Any, **more: Any) -> Any:
        drawn.append(parts)
        return real(*parts, **more)

    def deriving(*parts: Any) -> int:
        quadrants.extend([parts] if "quadrant" in parts else [])
        return derive(*parts)

    monkeypatch.setattr(low_shot, "random_generator", noting)
    monkeypatch.setattr(low_shot, "derive_seed", deriving)
    for rank in (0, 1):
        monkeypatch.setattr(LowShotModule, "global_rank", rank)
        fit(make(), 1)
    assert drawn == [(0, "step", 0, 0), (0, "step", 0, 1)]
    assert quadrants == [(0, "quadrant", 0, 0), (0, "quadrant", 0, 1)]
