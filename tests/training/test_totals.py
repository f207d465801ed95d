"""What a player of a set's training minimises is the sum of its terms, each with its weight; and what seeds a step."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from sase_gan.networks.generator import Pictures
from sase_gan.training import augment, likelihood, low_shot
from sase_gan.training.low_shot import LowShotModule
from tests.training.test_low_shot import fit, make, pictures

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
        for name, value in terms.items():
            found[-1 if name.startswith("g_") else -2][1][name] = value.item()
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


@pytest.mark.parametrize("changes", [{"same_fakes": True}, {"same_fakes": False, "shared": False}], ids=str)
def test_augmentations_are_drawn_from_the_steps_own_generator(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of any other: a step must follow from the clock alone."""
    made: list[torch.Generator] = []
    used: list[Any] = []
    real, draw = low_shot.random_generator, augment.draw

    def noting(*parts: Any, **more: Any) -> torch.Generator:
        made.append(real(*parts, **more))
        return made[-1]

    def drawing(*arguments: Any, generator: Any, **more: Any) -> Any:
        used.append(generator)
        return draw(*arguments, generator=generator, **more)

    monkeypatch.setattr(low_shot, "random_generator", noting)
    monkeypatch.setattr(augment, "draw", drawing)
    fit(make(augment=changes), 1)
    # Real pictures once; generated ones once for both players, or for each, and each of their sizes.
    assert len(used) == (2 if changes["same_fakes"] else 5)
    assert all(one is made[-1] for one in used)


def test_pictures_that_are_both_sizes_are_augmented_once() -> None:
    grey, module = torch.zeros(4, 3, 8, 8), make()
    assert module.likelihood is None
    out = module._augmented(Pictures(grey, grey), torch.Generator().manual_seed(0))
    assert out.small is out.big
    assert not torch.equal(out.big, grey)


@pytest.mark.parametrize(("seen", "spent", "factor"), [(0, 3.0, 0.5), (0, 1.0, 1.0), (900, 3.0, 0.2), (900, 4.0, 0.0)])
def test_rates_fall_with_the_budget_that_is_used_up_first(
    seen: int, spent: float, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last half of a run of 1,000 images or 4 CPU seconds."""
    rates = {"generator_rate": 1e-3, "discriminator_rate": 4e-3, "decay": 0.5}
    module = make(optimiser=rates, schedule={"total_images": 1000, "cpu_seconds": 4.0})
    groups = [[{"lr": 1.0}], [{"lr": 1.0}]]
    monkeypatch.setattr(module, "optimiser", lambda index: SimpleNamespace(param_groups=groups[index]))
    module.images_seen, module.cpu_seconds = seen, spent
    module._set_rates()
    assert [group[0]["lr"] for group in groups] == pytest.approx([1e-3 * factor, 4e-3 * factor])


def test_a_term_of_any_weight_gets_the_pictures_as_they_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(likelihood, "EfficientNetLite0Loss", lambda: None)  # quick
    module, shown = make(likelihood={"weight": 0.5}), pictures(3)
    module.show(shown, mirror=True)
    assert module.likelihood is not None
    assert module.likelihood.pictures is shown
    assert len(module.likelihood) == 6
