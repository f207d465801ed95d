import copy
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback, Trainer
from torch import Tensor
from torch.nn.utils import parametrize
from torch.utils.data import DataLoader

from sase_gan.config import build, load_preset, merge
from sase_gan.datasets.low_shot import EndlessBatches
from sase_gan.drawing.sampling import sample_images
from sase_gan.hardware import Hardware
from sase_gan.layers import spectral_norm
from sase_gan.networks.generator import Generator, GeneratorConfig
from sase_gan.reference.plain import PlainLowShotModule
from sase_gan.runs.callbacks import MetricsTable
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.trainer import make_trainer
from sase_gan.training.config import LowShotConfig
from sase_gan.training.low_shot import LowShotModule, rate_factor
from sase_gan.training.quiet import quiet_lightning
from sase_gan.training.soundness import Diverged

BATCH = 4


def configuration(**changes: Any) -> LowShotConfig:
    return build(LowShotConfig, merge(load_preset("smoke/low_shot"), changes))


def make(**changes: Any) -> LowShotModule:
    return LowShotModule(configuration(**changes).model_dump(mode="json"))


def pictures(count: int = 10, size: int = 32) -> Tensor:
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


class StopAt(Callback):
    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_train_batch_end(self, trainer: Trainer, module: Any, *unused: Any) -> None:
        trainer.should_stop = module.steps >= self.steps


def fit(
    module: LowShotModule,
    steps: int,
    *callbacks: Callback,
    precision: str = "32-true",
    checkpoint: Path | None = None,
    images_seen: int = 0,
    device: str = "cpu",
) -> Trainer:
    """Train up to so many steps in all."""
    hardware = Hardware(device, device, precision, 1)
    batches = EndlessBatches(
        pictures(size=module.config.image_size),
        batch_size=module.config.optimiser.batch_size,
        seed=module.config.seed,
        images_seen=images_seen,
    )
    with quiet_lightning():
        trainer = make_trainer([StopAt(steps), *callbacks], hardware)
        trainer.fit(module, DataLoader(batches, batch_size=None), ckpt_path=checkpoint, weights_only=True)
    return trainer


def differing(one: dict[str, Tensor], other: dict[str, Tensor]) -> list[str]:
    assert one.keys() == other.keys()
    return [key for key in one if not torch.equal(one[key], other[key])]


@pytest.fixture(scope="module")
def trained() -> tuple[LowShotModule, Trainer, dict[str, float]]:
    """Four steps of the smoke preset, and the means of their terms."""
    module = make()
    trainer = fit(module, 4)
    return module, trainer, module.read_terms()


def test_a_step_gives_finite_named_terms(trained):
    _, _, terms = trained
    rebuilt = {"d_rebuild_big", "d_rebuild_small", "d_rebuild_part"}
    assert set(terms) == {"d_real", "d_fake", "g_adversarial", "real_logit", "fake_logit"} | rebuilt
    assert all(math.isfinite(value) for value in terms.values())
    assert terms["d_real"] > 0
    assert terms["d_rebuild_big"] > 0


def test_the_clock_counts_images_and_steps(trained):
    module, _, _ = trained
    assert (module.images_seen, module.steps) == (4 * BATCH, 4)


def test_terms_are_means_since_the_last_reading(trained):
    module = make()
    module.collect({"a": torch.tensor([1.0, 3.0])})
    module.collect({"a": torch.tensor([8.0]), "b": torch.tensor(1.0)})
    assert module.read_terms() == {"a": 5.0, "b": 1.0}
    assert module.read_terms() == {}


def test_both_networks_and_the_average_have_moved(trained):
    module, _, _ = trained
    start = make()
    for name in ("generator", "discriminator"):
        before = dict(getattr(start, name).named_parameters())
        still = [key for key, p in getattr(module, name).named_parameters() if torch.equal(p, before[key])]
        assert not still, still
    averaged, current, first = (
        dict(m.named_parameters()) for m in (module.average.module, module.generator, start.generator)
    )
    key = "b32.conv2.parametrizations.weight.original"
    assert not torch.equal(averaged[key], first[key])
    # At 16 images the ramped half-life is below one image: the average is all but the present weights.
    assert torch.allclose(averaged[key], current[key], atol=1e-4)


def test_no_gradient_is_left_behind(trained):
    module, _, _ = trained
    assert all(parameter.grad is None for parameter in module.parameters())
    assert all(
        parameter.requires_grad for parameter in (*module.generator.parameters(), *module.discriminator.parameters())
    )


def test_checkpoint_resumes_bit_for_bit(tmp_path):
    whole = make()
    long = fit(whole, 5)
    fit(first := make(), 2).save_checkpoint(tmp_path / "last.ckpt")
    assert first.images_seen == 2 * BATCH
    resumed = make()
    short = fit(resumed, 5, checkpoint=tmp_path / "last.ckpt", images_seen=2 * BATCH)
    assert (resumed.images_seen, resumed.steps) == (5 * BATCH, 5)
    assert differing(whole.state_dict(), resumed.state_dict()) == []
    for one, other in zip(long.optimizers, short.optimizers, strict=True):
        for key, state in one.state_dict()["state"].items():
            assert differing(state, other.state_dict()["state"][key]) == []
    assert torch.equal(
        sample_images(whole.published_generator(), range(4)), sample_images(resumed.published_generator(), range(4))
    )


@pytest.mark.parametrize(
    ("seen", "decay", "factor"),
    [
        (0, 0.0, 1.0),
        (1000, 0.0, 1.0),
        (0, 1.0, 1.0),
        (250, 1.0, 0.75),
        (500, 0.5, 1.0),
        (750, 0.5, 0.5),
        (1000, 0.5, 0.0),
    ],
)
def test_rates_fall_linearly_in_the_last_share_of_a_run(seen, decay, factor):
    assert rate_factor(seen, 1000, decay) == pytest.approx(factor)


def test_both_optimisers_take_the_rate_of_the_clock():
    section = {"generator_rate": 1e-3, "discriminator_rate": 4e-3, "decay": 0.5}
    trainer = fit(make(optimiser={"batch_size": BATCH, **section}, schedule={"total_images": 4 * BATCH}), 4)
    # The fourth step begins at three quarters of the run, in the middle of the fall.
    assert [o.param_groups[0]["lr"] for o in trainer.optimizers] == pytest.approx([5e-4, 2e-3])


def test_checkpoint_holds_plain_values_only_and_reloads_alone(trained, tmp_path):
    module, trainer, _ = trained
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    state = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert (state["clock"]["images_seen"], state["clock"]["steps"]) == (16, 4)
    reloaded = LowShotModule(**state["hyper_parameters"])
    reloaded.load_state_dict(state["state_dict"])
    assert reloaded.config == module.config
    assert not any("_reconstruction" in key for key in state["state_dict"])


def test_the_same_seed_gives_the_same_run_whatever_the_global_random_state(trained):
    torch.manual_seed(99)
    module = make()
    torch.manual_seed(5)
    fit(module, 4)
    assert differing(trained[0].state_dict(), module.state_dict()) == []


def test_another_seed_gives_another_start_and_another_run(trained):
    other = make(seed=1)
    assert not torch.equal(
        other.generator.b4.parametrizations.weight.original, make().generator.b4.parametrizations.weight.original
    )
    start = make()
    moved = make()
    start.config = moved.config.model_copy(update={"seed": 1})  # the same start, other draws
    fit(start, 1)
    fit(moved, 1)
    assert differing(start.state_dict(), moved.state_dict())


class Spy(Callback):
    """Runs a function at the moment when an optimiser is about to step: 1 is the discriminator's, 0 the generator's."""

    def __init__(self, look: Callable[[int, Any], None]) -> None:
        self.look = look

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        for index, optimiser in enumerate(trainer.optimizers):
            optimiser.register_step_pre_hook(lambda *unused, index=index: self.look(index, module))


def test_each_player_gets_gradients_in_its_own_half_of_the_step_only():
    seen: dict[int, tuple[set[bool], set[bool]]] = {}

    def look(index: int, module: LowShotModule) -> None:
        has = [
            {p.grad is not None for p in network.parameters()} for network in (module.generator, module.discriminator)
        ]
        seen[index] = (has[0], has[1])

    fit(make(), 1, Spy(look))
    assert seen == {1: ({False}, {True}), 0: ({True}, {False})}


def test_plain_step_is_the_same_function_with_gradients_that_nobody_uses(monkeypatch):
    # Its other memory format alone rounds otherwise, which Adam's first steps magnify.
    monkeypatch.setattr(PlainLowShotModule, "on_fit_start", LowShotModule.on_fit_start)
    seen: dict[int, bool] = {}

    def look(index: int, module: LowShotModule) -> None:
        judging = [p for name, p in module.discriminator.named_parameters() if not name.startswith("decode")]
        seen[index] = all(p.grad is not None for p in judging)

    plain, usual = PlainLowShotModule(configuration().model_dump(mode="json")), make()
    fit(plain, 3, Spy(look))
    fit(usual, 3)
    assert seen[0]
    # Decoders take no part in the generator's half, and everything else is thrown away: nothing differs.
    state, other = plain.state_dict(), usual.state_dict()
    assert max((state[key].double() - other[key].double()).abs().max().item() for key in state) < 1e-5


def power_iterations(module: LowShotModule) -> Iterator[tuple[str, Tensor]]:
    for name in ("generator", "discriminator"):
        for key, buffer in getattr(module, name).named_buffers():
            if key.endswith(("_u", "_v", "left", "right")):
                yield f"{name}.{key}", buffer


@pytest.mark.parametrize(("mode", "r1"), [("step", 0.0), ("step", 1.0), ("forward", 0.0)])
def test_power_iterations_of_the_discriminator_run_once_a_step_or_in_every_pass(mode, r1, monkeypatch):
    module = make(optimiser={"power_iteration": mode}, loss={"r1": r1, "r1_every": 1})
    watched = module.discriminator.head[0].parametrizations["weight"][0]
    count = 0
    original = spectral_norm._iterate

    def counting(weight: Tensor, left: Tensor, *arguments: Any) -> Tensor:
        nonlocal count
        count += left.data_ptr() == watched._u.data_ptr()
        return original(weight, left, *arguments)

    monkeypatch.setattr(spectral_norm, "_iterate", counting)
    fit(module, 2)
    # Passes of the discriminator in a step: real pictures, fake ones, fake ones again for the generator.
    assert count == (2 if mode == "step" else 6)


def test_power_iterations_settle_and_stay_finite(trained):
    assert all(buffer.isfinite().all() for _, buffer in power_iterations(trained[0]))


RELEASED = {
    "generator": {"norm": "batch", "output": "tanh"},
    "discriminator": {"downsample": "nearest"},
    "augment": {"shared": False},
    "optimiser": {"power_iteration": "forward"},
    "averaging": {"ramp_up": 0.0},
}


@pytest.mark.parametrize(
    ("changes", "terms"),
    [
        (RELEASED, set()),
        ({"generator": {"skip": "sle"}}, set()),
        ({"loss": {"lecam": 0.1}}, {"d_lecam"}),
        ({"loss": {"r1": 1.0, "r1_every": 2}}, {"d_r1"}),
        ({"augment": {"policy": []}}, set()),
        ({"augment": {"policy": ["cutout"]}, "loss": {"r1": 1.0, "r1_every": 1}}, {"d_r1"}),
        ({"loss": {"reconstruction": "efflite0"}}, set()),
        ({"image_size": 64}, set()),
    ],
)
def test_switches_of_the_method_run_and_report_their_terms(changes, terms):
    module = make(**changes)
    fit(module, 2)
    found = module.read_terms()
    assert all(math.isfinite(value) for value in found.values())
    assert terms == set(found) & {"d_lecam", "d_r1"}
    assert module.published_generator()(torch.randn(1, 16)).big.isfinite().all()


def test_rebuilding_every_second_step_has_twice_the_weight():
    module = make(loss={"reconstruction_every": 2})
    rebuilt = []

    class Look(Callback):
        def on_train_batch_end(self, trainer: Trainer, module: Any, *unused: Any) -> None:
            rebuilt.append("d_rebuild_big" in module.read_terms())

    fit(module, 4, Look())
    assert rebuilt == [True, False, True, False]


def discriminators_gradient(module: LowShotModule) -> Tensor:
    """What reaches the last decoder's first weight in the discriminator's half of the first step."""
    found: list[Tensor] = []

    def look(index: int, module: LowShotModule) -> None:
        if index == 1:
            weight = module.discriminator.decode_big.layers[1].parametrizations.weight.original
            found.append(weight.grad.clone())

    fit(module, 1, Spy(look))
    return found[0]


def test_weight_of_the_reconstruction_scales_its_gradient_and_nothing_else_reaches_the_decoders():
    plain = discriminators_gradient(make(loss={"reconstruction_weight": 1.0}))
    assert plain.abs().max() > 0
    tripled = discriminators_gradient(make(loss={"reconstruction_weight": 3.0}))
    assert (tripled - 3 * plain).abs().max() < 1e-4 * plain.abs().max()
    every_other = discriminators_gradient(make(loss={"reconstruction_weight": 1.0, "reconstruction_every": 2}))
    assert (every_other - 2 * plain).abs().max() < 1e-4 * plain.abs().max()
    assert not discriminators_gradient(make(loss={"reconstruction_weight": 0.0})).any()


def test_both_sizes_of_a_fake_are_augmented_alike_only_if_shared():
    from sase_gan.networks.generator import Pictures

    grey = torch.zeros(64, 3, 32, 32)
    for shared in (True, False):
        module = make(augment={"policy": ["color"], "shared": shared})
        out = module._augmented(Pictures(grey, grey[:, :, ::2, ::2]), torch.Generator().manual_seed(0))
        # Brightness alone changes a grey picture, by the same amount everywhere.
        alike = torch.allclose(out.big[:, :, 0, 0], out.small[:, :, 0, 0], atol=1e-6)
        assert alike == shared
        assert out.big[:, 0, 0, 0].std() > 0.2


class Poison(Callback):
    def on_train_batch_start(self, trainer: Trainer, module: Any, *unused: Any) -> None:
        with torch.no_grad():
            module.discriminator.head[0].parametrizations.weight.original.fill_(float("nan"))


def test_losses_that_are_no_numbers_are_noticed_before_they_are_written(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.create()
    with pytest.raises(Diverged, match=r"d_real.* not finite at 4 images"):
        fit(make(), 10, Poison(), MetricsTable(run, BATCH))
    assert run.rows() == []


def test_published_generator_is_the_average_with_statistics_of_its_own(trained):
    module = trained[0]
    before = copy.deepcopy(module.state_dict())
    published = module.published_generator()
    assert differing(before, module.state_dict()) == []
    assert not published.training
    assert not any(parametrize.is_parametrized(part) for part in published.modules())
    assert not published.config.spectral_norm
    averaged = module.average.module
    assert torch.equal(published.b8.norm1.scale, averaged.b8.norm1.scale)
    assert not torch.equal(published.b8.norm1.norm.running_mean, averaged.b8.norm1.norm.running_mean)
    # Its own statistics: fresh draws of the published network, normalised, have a spread of about one.
    z = torch.randn(256, 16)
    first = (z @ published.b4.weight.flatten(1)).unflatten(1, (-1, 4, 4))
    spread = first.var((0, 2, 3)) / published.b4.norm.norm.running_var
    assert 0.5 < spread.median() < 2


def test_published_pictures_do_not_depend_on_when_they_are_asked_for(trained):
    module = trained[0]
    one, other = module.published_generator(), module.published_generator()
    assert differing(one.state_dict(), other.state_dict()) == []


def test_the_generator_can_fit_one_picture_by_reconstruction_alone():
    """Overfitting: what shapes cannot show, such as a gate that blocks or a norm that forgets."""
    network = Generator(GeneratorConfig(image_size=32, width=4, latent_size=16, num_components=4))
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 32), indexing="ij")
    disc = torch.where((rows**2 + columns**2) < 0.5, 1.0, -0.5)
    target = torch.stack([disc, rows, (4 * columns).sin()])[None]
    # Two latents, because statistics over a batch need two; both shall draw the picture.
    z = torch.randn(2, 16)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2, betas=(0.5, 0.999))
    errors = []
    for _ in range(120):
        loss = (network(z).big - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        errors.append(loss.item())
    # The picture's variance is 0.44: a tenth of it is left at most (0.014 to 0.039 over five seeds).
    assert errors[0] > 0.4
    assert min(errors) < 0.044


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, RELEASED])
def test_fifty_steps_of_bfloat16_stay_finite(changes):
    module = make(**changes)
    fit(module, 50, precision="bf16-mixed")
    assert all(math.isfinite(value) for value in module.read_terms().values())
    assert all(tensor.isfinite().all() for tensor in module.state_dict().values())
    assert all(parameter.dtype == torch.float32 for parameter in module.parameters())


def test_two_steps_of_bfloat16_stay_near_float32():
    low, full = make(), make()
    fit(low, 2, precision="bf16-mixed")
    fit(full, 2)
    found = low.read_terms()
    for name, value in full.read_terms().items():
        assert found[name] == pytest.approx(value, abs=0.1), name
