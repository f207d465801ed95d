"""The one-shot iteration: its losses, its phases, its savings against the plain form, and resuming."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback
from torch import Tensor
from torch.utils.data import DataLoader

from sase_gan.config import build, load_preset, merge
from sase_gan.datasets.low_shot import EndlessBatches
from sase_gan.errors import UsageError
from sase_gan.hardware import Hardware
from sase_gan.pixels import to_float
from sase_gan.reference.plain import PlainOneShotModule
from sase_gan.runs.trainer import make_trainer
from sase_gan.training import losses
from sase_gan.training.config import OneShotConfig, sized_for
from sase_gan.training.one_shot import OneShotModule
from sase_gan.training.quiet import quiet_lightning

CPU = Hardware("cpu", "CPU", "32-true", 1)


def picture(height: int = 20, width: int = 28) -> Tensor:
    """A bright disc on a gradient, uint8 `[3, height, width]`."""
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    disc = (rows.square() + columns.square() < 0.3).float()
    return torch.stack([200 * disc, 100 + 80 * rows, 120 - 90 * columns]).clamp(0, 255).to(torch.uint8)


def configuration(**sections: Any) -> OneShotConfig:
    tiny = {
        "pyramid": {"smallest_side": 12, "max_size": 28, "stages": 3, "concurrent": 2},
        "generator": {"width": 8, "num_components": 2},
        "optimiser": {"discriminator_steps": 1, "generator_steps": 1},
        "schedule": {"iterations": 4},
    }
    return sized_for(build(OneShotConfig, merge(tiny, sections)), (20, 28))


def module_of(config: OneShotConfig) -> OneShotModule:
    module = OneShotModule(config.model_dump(mode="json"))
    module.show(picture())
    return module


class _Stop(Callback):
    def __init__(self, at: int, watch: Any = None) -> None:
        self.at, self.watch = at, watch

    def on_train_batch_end(self, trainer: Any, module: Any, *unused: Any) -> None:
        if self.watch is not None:
            self.watch(module)
        if module.images_seen >= self.at:
            trainer.should_stop = True


def fit(module: OneShotModule, until: int, checkpoint: Path | None = None, watch: Any = None, **hardware: str) -> Any:
    trainer = make_trainer([_Stop(until, watch)], replace(CPU, **hardware))
    batches = EndlessBatches(picture()[None], batch_size=1, seed=0, mirror=False)
    with quiet_lightning():
        trainer.fit(module, DataLoader(batches, batch_size=None), ckpt_path=checkpoint, weights_only=True)
    return trainer


# -- losses -----------------------------------------------------------------------------------------------------------


def test_iterations_are_shared_out_by_cost() -> None:
    config = configuration(schedule={"iterations": 10, "coarse_factor": 2.0})
    areas = [height * width for height, width in config.generator.sizes]
    assert [config.iterations(n) for n in range(3)] == [round(10 * min(2.0, areas[-1] / area)) for area in areas]
    assert config.iterations(2) == 10
    assert config.stage_starts == (
        0,
        config.iterations(0),
        config.iterations(0) + config.iterations(1),
        config.total_images,
    )


def test_only_the_newest_stages_learn_each_at_its_rate() -> None:
    config = configuration(optimiser={"milestone": 0.75})
    module = module_of(config)
    seen: list[tuple[int, list[bool], list[float]]] = []
    before = [stage.tail.weight.clone() for stage in module.generator.stages]

    def watch(module: OneShotModule) -> None:
        weights = [stage.tail.weight.detach().clone() for stage in module.generator.stages]
        changed = [not torch.equal(a, b) for a, b in zip(weights, before, strict=True)]
        before[:] = weights
        seen.append((module.phase, changed, [group["lr"] for group in module.optimizers()[0].param_groups]))

    fit(module, config.total_images, watch=watch)
    # The first step of a phase also copies weights into its stage.
    assert [changed for _, changed, _ in seen] == [[True, False, False]] * 4 + [[True, True, False]] * 4 + [
        [False, True, True]
    ] * 4
    assert [phase for phase, _, _ in seen] == [0] * 4 + [1] * 4 + [2] * 4
    rates = [rates for _, _, rates in seen]
    assert rates[0][0] == pytest.approx(5e-4)
    assert rates[4][:2] == pytest.approx([5e-5, 5e-4])
    assert rates[8] == pytest.approx([5e-6, 5e-5, 5e-4])
    # The last of four iterations is slower.
    assert rates[11] == pytest.approx([5e-7, 5e-6, 5e-5])


def test_a_phase_sets_the_noise_of_its_stage_from_the_error_before_it() -> None:
    config = configuration()
    module = module_of(config)
    fit(module, 5)
    amplitudes = module.generator.amplitudes
    assert amplitudes[0] == 1
    # Stage 1 has begun, stage 2 has not; an error of pictures in [-1, 1] times the strength of noise.
    assert 0 < amplitudes[1] < config.loss.noise
    assert amplitudes[2] == 0


def test_a_phase_begins_with_fresh_optimisers_and_noise_as_strong_as_the_root_of_the_mean_squared_error() -> None:
    module = module_of(configuration(loss={"noise": 0.5}))
    fit(module, 4)
    optimisers = [module.optimiser(index).optimizer for index in range(2)]
    assert all(one.state for one in optimisers)
    module._real = module._picture_at(1)
    module._begin(1)
    assert not any(one.state for one in optimisers)
    config = module.config.generator
    with torch.no_grad():
        enlarged = module.generator.enlarge(module.generator.reconstruct(1).big, config.sizes[1], config.padding)
    squares = (enlarged - module._real).double().square().flatten().tolist()
    error = (sum(squares) / len(squares)) ** 0.5
    assert 0.01 < error < 0.9  # far from its square
    assert module.generator.amplitudes[1].item() == pytest.approx(0.5 * error, rel=1e-4)


@pytest.mark.parametrize("images_seen", [0, 1, 4, 5, 8, 9, 12])
def test_the_published_model_has_the_stages_trained_so_far(images_seen: int) -> None:
    module = module_of(configuration())
    module.images_seen = images_seen
    published = module.published_generator()
    assert published.num_stages == {0: 1, 1: 1, 4: 1, 5: 2, 8: 2, 9: 3, 12: 3}[images_seen]
    assert published.picture.shape[1:] == published.size
    if images_seen == 12:
        assert torch.equal(published.picture, picture())


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"generator": {"norm": "none"}},
        {"generator": {"gate": "none", "norm": "batch"}},
        {"averaging": {"half_life": 2.0}},
        {"optimiser": {"discriminator_steps": 2, "generator_steps": 2, "generator_update": "recompute"}},
        {"optimiser": {"generator_steps": 3, "generator_update": "repeat_step"}},
        {"loss": {"penalty": 0.0}},
    ],
    ids=str,
)
def test_every_variant_trains_and_publishes(sections: dict[str, Any]) -> None:
    config = configuration(**merge(sections, {"schedule": {"iterations": 2}}))
    module = module_of(config)
    fit(module, config.total_images)
    assert module.images_seen == 6
    terms = module.read_terms()
    assert all(value == value for value in terms.values())
    assert ("d_penalty" in terms) == (config.loss.penalty > 0)
    assert module.published_generator().reconstruct().big.isfinite().all()


def test_the_released_preset_trains_a_whole_pyramid_of_a_64_px_picture() -> None:
    values = merge(load_preset("one_shot/paper"), {"schedule": {"iterations": 1}, "generator": {"width": 4}})
    config = sized_for(build(OneShotConfig, values), (64, 64))
    module = OneShotModule(config.model_dump(mode="json"))
    module.show(picture(64, 64))
    fit(module, config.total_images)
    assert module.generator.num_stages == config.num_stages == 5 + 1
    # Finished stages use their running statistics, the newest one the batch's.
    assert [stage.training for stage in module.generator.stages] == [False] * 5 + [True]
    assert module.discriminators.keys() == {"4", "8"}


# -- the same function, cheaper ---------------------------------------------------------------------------------------


def test_one_batch_of_drawn_and_rebuilt_equals_two_passes() -> None:
    module = module_of(configuration())
    fit(module, 9)  # one iteration into the last phase: stage 0 is frozen
    with torch.no_grad():
        both = module._draw(torch.Generator().manual_seed(5))
        source = torch.Generator().manual_seed(5)
        generator = module.generator
        shapes = (generator.latent_shape(), *generator.noise_shapes())
        noise = [torch.randn(1, *shape, generator=source) for shape in shapes]
        torch.testing.assert_close(both[:1], generator.climb(noise).big, atol=1e-5, rtol=0)
        torch.testing.assert_close(both[1:], generator.reconstruct().big, atol=1e-5, rtol=0)


# -- it learns, and it goes on ----------------------------------------------------------------------------------------


def test_the_straightforward_loop_is_the_same_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing kept from a phase, passes of their own, gradients that nobody uses: equal weights to rounding."""
    # Adam divides by a gradient's size, and so would turn a last bit into a whole step.
    monkeypatch.setattr(torch.optim, "Adam", lambda parameters, **_: torch.optim.SGD(parameters, lr=0.01))
    config = configuration(schedule={"iterations": 2})
    usual, plain = module_of(config), PlainOneShotModule(config.model_dump(mode="json"))
    plain.show(picture())
    for module in (usual, plain):
        fit(module, config.total_images)
    other = plain.state_dict()
    for name, value in usual.state_dict().items():
        assert (value.float() - other[name].float()).abs().max() < 1e-5, name


def test_without_a_discriminator_none_is_trained() -> None:
    config = configuration(loss={"adversarial": 0.0, "patches": 10.0}, schedule={"iterations": 2})
    module = module_of(config)
    before = {name: value.clone() for name, value in module.discriminators.state_dict().items()}
    rows: list[dict[str, float]] = []
    fit(module, config.total_images, watch=lambda module: rows.append(module.read_terms()))
    assert set(rows[-1]) == {"g_reconstruction", "g_patches", "reconstruction_rmse"}
    assert all(torch.equal(value, before[name]) for name, value in module.discriminators.state_dict().items())


def test_patch_distance_of_a_shift_in_brightness() -> None:
    """Every projection of a picture and of the picture plus c differs by c times the sum of its kernel."""
    source = torch.Generator().manual_seed(3)
    real = torch.randn(1, 3, 12, 15, generator=source, dtype=torch.float64)
    kernels = torch.randn(64, 3, 7, 7, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    kernels = kernels / kernels.flatten(1).norm(dim=1)[:, None, None, None]
    found = losses.sliced_patch_distance(real + 0.25, real, generator=torch.Generator().manual_seed(5))
    assert torch.isclose(found, 0.25 * kernels.sum((1, 2, 3)).abs().mean())


def test_patch_distance_does_not_see_where_patches_lie() -> None:
    """Two pictures of the same patches in another order: distance zero, though no pixel agrees."""
    tile = torch.randn(1, 3, 9, 9, dtype=torch.float64)
    ring = tile.repeat(1, 1, 3, 3)
    shifted = ring.roll((4, 2), (2, 3))
    source = torch.Generator().manual_seed(0)
    # 15 = 9 + 6 px hold every one of the 81 patches of the periodic picture once.
    found = losses.sliced_patch_distance(shifted[..., :15, :15], ring[..., :15, :15], generator=source)
    assert found < 1e-12
    assert (shifted - ring).abs().mean() > 0.5


def test_reconstruction_alone_fits_the_picture() -> None:
    config = configuration(
        pyramid={"stages": 1, "smallest_side": 20},
        optimiser={"rate": 1e-3},
        loss={"reconstruction": 1000.0, "penalty": 0.0},
        schedule={"iterations": 120},
    )
    module = module_of(config)
    fit(module, config.total_images)
    error = (module.published_generator().reconstruct().big - to_float(picture())[None]).square().mean().sqrt()
    assert error < 0.15


@pytest.mark.parametrize("stop", [3, 8, 10])
@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"averaging": {"half_life": 2.0}, "pyramid": {"concurrent": 3}},
        {
            "pyramid": {"concurrent": 1},
            "generator": {"norm": "batch", "statistics": "running", "resize": "bytes"},
            "loss": {"fixed_latent": False, "shared_noise": True},
            "optimiser": {"generator_update": "released", "generator_steps": 3},
        },
    ],
    ids=["plain", "averaged", "released"],
)
def test_a_resumed_run_equals_an_uninterrupted_one(stop: int, sections: dict[str, Any], tmp_path: Path) -> None:
    """Stopped within a stage, between two stages, and with frozen stages."""
    config = configuration(**sections)
    whole = module_of(config)
    fit(whole, config.total_images)
    part = module_of(config)
    trainer = fit(part, stop)
    trainer.save_checkpoint(tmp_path / "part.ckpt")
    resumed = module_of(config)
    fit(resumed, config.total_images, checkpoint=tmp_path / "part.ckpt")
    assert resumed.images_seen == whole.images_seen == config.total_images
    expected = whole.state_dict()
    for name, value in resumed.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_a_finished_run_has_nothing_left_to_do(tmp_path: Path) -> None:
    config = configuration(schedule={"iterations": 1})
    module = module_of(config)
    trainer = fit(module, config.total_images)
    trainer.save_checkpoint(tmp_path / "end.ckpt")
    resumed = module_of(config)
    fit(resumed, config.total_images + 5, checkpoint=tmp_path / "end.ckpt")
    assert resumed.images_seen == config.total_images


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        ({"generator": {"resize": "bytes"}}, "stops the gradients"),
        ({"generator": {"statistics": "running"}}, "finished stages are evaluated"),
        ({"optimiser": {"generator_steps": 3, "generator_update": "single"}}, "set generator_steps=1"),
        ({"generator": {"widht": 3}}, "widht is not a known key"),
    ],
)
def test_impossible_configurations_are_explained(sections: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        configuration(**sections)


@pytest.mark.slow
def test_the_released_pyramid_of_a_small_picture_trains_through_all_scales() -> None:
    """The preset `paper` with fewer iterations: every scale begins, learns and is frozen."""
    values = merge(load_preset("one_shot/paper"), {"schedule": {"iterations": 25, "evaluation_count": 0}})
    config = sized_for(build(OneShotConfig, values), (48, 64))
    assert [min(size) for size in config.generator.sizes] == [25, 30, 35, 41, 48]
    module = OneShotModule(config.model_dump(mode="json"))
    module.show(picture(48, 64))
    errors: list[float] = []
    fit(module, config.total_images, watch=lambda module: errors.append(module.read_terms()["reconstruction_rmse"]))
    assert len(errors) == 125
    for stage in range(5):
        first, last = errors[25 * stage], errors[25 * stage + 24]
        assert last < first, stage
    pyramid = module.published_generator()
    drawn = pyramid(
        torch.randn(2, *pyramid.latent_shape()), [torch.randn(2, *shape) for shape in pyramid.noise_shapes()]
    ).big
    assert drawn.shape == (2, 3, 48, 64)
    assert drawn.isfinite().all()
    assert not torch.equal(drawn[0], drawn[1])
