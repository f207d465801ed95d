"""What an iteration of the one-shot pyramid draws, from which numbers, and how often each player steps."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sase_gan.config import build, load_preset, merge
from sase_gan.pixels import to_float
from sase_gan.resizing import resize_by_factor
from sase_gan.training import losses, one_shot
from sase_gan.training.config import OneShotConfig, sized_for
from sase_gan.training.one_shot import OneShotModule
from tests.training.test_one_shot import configuration, fit, module_of, picture


@pytest.mark.parametrize(("shared", "update"), [(True, "recompute"), (False, "repeat_step")])
def test_draws_and_numbers_of_an_iteration(shared: bool, update: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = configuration(
        loss={"shared_noise": shared, "patches": 1.0},
        optimiser={"discriminator_steps": 2, "generator_steps": 3, "generator_update": update},
        schedule={"iterations": 2},
        pyramid={"stages": 2},
    )
    made: list[tuple[Any, ...]] = []
    sources: list[torch.Generator] = []
    drawn: list[tuple[int, Tensor, Tensor]] = []
    real, climb, distance = one_shot.random_generator, OneShotModule._climb, losses.sliced_patch_distance

    def making(*parts: Any, **more: Any) -> torch.Generator:
        made.append(parts)
        sources.append(real(*parts, **more))
        return sources[-1]

    def climbing(self: OneShotModule, noise: list[Tensor], fixed: list[Tensor | None]) -> Tensor:
        drawn.append((self.images_seen, noise[0].clone(), noise[-1].clone()))
        return climb(self, noise, fixed)

    def measuring(fake: Tensor, real: Tensor, *, generator: torch.Generator) -> Tensor:
        assert generator is sources[-1]
        return distance(fake, real, generator=generator)

    monkeypatch.setattr(one_shot, "random_generator", making)
    monkeypatch.setattr(OneShotModule, "_climb", climbing)
    monkeypatch.setattr(losses, "sliced_patch_distance", measuring)
    module = module_of(config)
    fit(module, config.total_images)
    assert made == [(0, "step", count) for count in range(config.total_images)]
    # A picture for each step of the discriminator; recomputing, for each further one of the generator too.
    assert [seen for seen, _, _ in drawn] == [
        n for n in range(config.total_images) for _ in range(4 if update == "recompute" else 2)
    ]
    last = [newest for seen, _, newest in drawn if seen == config.total_images - 1]
    before = [newest for seen, _, newest in drawn if seen == config.total_images - 2]
    assert all(torch.equal(one, last[0]) == shared for one in last[1:])
    assert not torch.equal(last[0], before[0])
    coarsest = [first for seen, first, _ in drawn if seen == config.total_images - 1]
    assert not torch.equal(coarsest[0], coarsest[1])


@pytest.mark.parametrize("update", ["single", "recompute", "repeat_step"])
def test_the_generator_steps_as_often_as_is_asked_for(update: str) -> None:
    steps = 1 if update == "single" else 3
    config = configuration(
        optimiser={"generator_steps": steps, "generator_update": update}, pyramid={"stages": 1}, loss={"penalty": 0.0}
    )
    module = module_of(config)
    fit(module, 2)
    (generator, discriminator) = (module.optimiser(index).optimizer.state for index in range(2))
    assert {int(one["step"]) for one in generator.values()} == {2 * steps}
    assert {int(one["step"]) for one in discriminator.values()} == {2}


@pytest.mark.parametrize(("norm", "kind"), [("none", nn.Identity), ("batch", nn.BatchNorm2d)])
def test_both_pictures_are_judged_as_if_alone_by_discriminators_of_the_configured_norm(
    norm: str, kind: type[nn.Module]
) -> None:
    module = module_of(configuration(discriminator={"norm": norm}))
    module.phase, module._real = 0, torch.randn(1, 3, 14, 20)
    assert all(isinstance(one.head[1], kind) for one in module.discriminators.values())
    fake = 3 * torch.randn(1, 3, 14, 20)
    judged = module._judge(fake)
    for scores, image in zip(judged, (module._real, fake), strict=True):
        torch.testing.assert_close(scores, module.discriminator(image), atol=1e-5, rtol=1e-5)


def test_the_picture_of_every_stage_stays_in_range() -> None:
    """Resampling overshoots at edges."""
    module = module_of(configuration())
    edges = (torch.arange(28) % 6 < 3).to(torch.uint8).mul(255).expand(3, 20, 28)
    module.show(edges)
    for stage in range(3):
        image = module._picture_at(stage)
        assert image.shape[2:] == module.config.generator.sizes[stage]
        assert image.abs().max() <= 1
    assert torch.equal(module._picture_at(2)[0], to_float(edges))
    assert module._picture_at(0).min() == -1  # there was something to clip


def test_the_released_pyramid_shrinks_the_picture_by_powers_of_one_factor() -> None:
    values = merge(load_preset("one_shot/paper"), {"generator": {"width": 4}})
    config = sized_for(build(OneShotConfig, values), (40, 40))
    module = OneShotModule(config.model_dump(mode="json"))
    module.show(shown := picture(40, 40))
    factor, finest = config.generator.factor, config.num_stages - 1
    assert factor is not None
    assert torch.equal(module._picture_at(finest)[0], to_float(shown))
    for stage in range(finest):
        size = config.generator.sizes[stage]
        expected = resize_by_factor(to_float(shown)[None], size, factor ** (finest - stage)).clamp(-1, 1)
        assert torch.equal(module._picture_at(stage), expected)
