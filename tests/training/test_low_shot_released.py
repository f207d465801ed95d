"""Two whole steps of the preset `paper_256` beside the released loop, written here from its formulae, in float64."""

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from lightning import Callback, Trainer
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils.data import DataLoader

from sase_gan.config import build, load_preset, merge
from sase_gan.hardware import Hardware
from sase_gan.layers.spectral_norm import GroupedSpectralNorm
from sase_gan.networks.generator import Pictures
from sase_gan.reference.plain import use_plain_layers
from sase_gan.runs.trainer import make_trainer
from sase_gan.training import augment, losses, low_shot
from sase_gan.training.config import LowShotConfig
from sase_gan.training.quiet import quiet_lightning

BATCH, STEPS = 4, 2
# Small networks, and a reconstruction loss that needs no file; what a batch of 8 fixes follows the batch.
TINY: dict[str, Any] = {
    "image_size": 32,
    "generator": {"width": 4, "latent_size": 16},
    "discriminator": {"width": 4, "decoder_width": 2},
    "loss": {"reconstruction": "l1", "reconstruction_weight": float(BATCH)},
    "optimiser": {"batch_size": BATCH},
    "averaging": {"half_life": 5542.0 * BATCH / 8},
}


class SlowNorm(nn.Module):
    """Torch's first spectral norm, group by group: v, then u, then the quotient, all by their formulae."""

    def __init__(self, left: Tensor, groups: int, dim: int) -> None:
        super().__init__()
        self.lefts, self.groups, self.dim = list(left.double().reshape(groups, -1)), groups, dim

    def forward(self, weight: Tensor) -> Tensor:
        parts = []
        for group, part in enumerate(weight.chunk(self.groups)):
            matrix = part.transpose(0, self.dim).flatten(1)
            with torch.no_grad():
                v = matrix.T @ self.lefts[group]
                v = v / v.norm()
                u = matrix @ v
                u = self.lefts[group] = u / u.norm()
            parts.append(part / (u @ matrix @ v))
        return torch.cat(parts)


def norms(network: nn.Module) -> list[tuple[Any, Any]]:
    modules: list[Any] = [module for module in network.modules() if parametrize.is_parametrized(module, "weight")]
    return [(module, module.parametrizations.weight[0]) for module in modules]


def lefts(network: nn.Module) -> list[Tensor]:
    return [norm.left if isinstance(norm, GroupedSpectralNorm) else norm._u[None] for _, norm in norms(network)]


def plain(network: nn.Module) -> nn.Module:
    """Copy a network in float64, its layers computed by their definitions."""
    network = copy.deepcopy(network).double()
    use_plain_layers(network)
    for left, (module, norm) in zip(lefts(network), norms(network), strict=True):
        module.parametrizations.weight[0] = SlowNorm(left, len(left), getattr(norm, "dim", 0))
    return network


class ReleasedLoop:
    """The loop of section 3 of FastGAN's description, one line a formula."""

    def __init__(self, module: low_shot.LowShotModule) -> None:
        self.generator, self.discriminator = plain(module.generator), plain(module.discriminator)
        self.averaged = [p.detach().double().clone() for p in module.generator.parameters()]
        betas = {"lr": 2e-4, "betas": (0.5, 0.999)}
        self.adam_g = torch.optim.Adam(self.generator.parameters(), **betas)
        self.adam_d = torch.optim.Adam(self.discriminator.parameters(), **betas)

    def step(self, drawn: dict[str, list[Any]]) -> None:
        batch, (z, noise), quadrant = drawn["batch"].pop(0), drawn["latents"].pop(0), drawn["quadrant"].pop(0)
        fake = self.generator(z, noise)
        shown = [augment.apply(picture, drawn["augment"].pop(0)) for picture in fake]
        real = augment.apply(batch.double() / 127.5 - 1, drawn["augment"].pop(0))
        small = real[:, :, ::2, ::2]
        self.adam_d.zero_grad()
        judged = self.discriminator(Pictures(real, small), quadrant)
        row, column = 16 * (quadrant // 2), 16 * (quadrant % 2)
        part = real[:, :, row : row + 16, column : column + 16].repeat_interleave(2, 2).repeat_interleave(2, 3)
        loss = (drawn["margins"].pop(0) - judged.logits).clamp_min(0).mean()
        for name, target in {"big": real, "small": real, "part": part}.items():
            loss = loss + (judged.reconstructions[name].rebuilt - target).abs().mean((1, 2, 3)).sum()
        loss.backward()
        logits = self.discriminator(Pictures(*(picture.detach() for picture in shown))).logits
        (drawn["margins"].pop(0) + logits).clamp_min(0).mean().backward()
        self.adam_d.step()
        self.adam_g.zero_grad()
        (-self.discriminator(Pictures(*shown)).logits.mean()).backward()
        self.adam_g.step()
        for average, parameter in zip(self.averaged, self.generator.parameters(), strict=True):
            average.mul_(0.999).add_(0.001 * parameter.detach())


class StopAfter(Callback):
    def on_train_batch_end(self, trainer: Trainer, module: Any, *unused: Any) -> None:
        trainer.should_stop = module.steps >= STEPS


def record(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, into: list[Any]) -> None:
    original = getattr(owner, name)

    def recorded(*args: Any, **options: Any) -> Any:
        into.append(original(*args, **options))
        return into[-1]

    monkeypatch.setattr(owner, name, recorded)


def trained(module: low_shot.LowShotModule, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """Train two steps in float64; return what was drawn, in order."""
    source = torch.Generator().manual_seed(0)
    batches = [torch.randint(0, 256, (BATCH, 3, 32, 32), generator=source, dtype=torch.uint8) for _ in range(STEPS)]
    drawn: dict[str, list[Any]] = {"batch": list(batches), "latents": [], "quadrant": [], "augment": [], "margins": []}
    record(monkeypatch, module, "_latents", drawn["latents"])
    record(monkeypatch, module, "_quadrant", drawn["quadrant"])
    record(monkeypatch, augment, "draw", drawn["augment"])
    record(monkeypatch, losses, "random_margins", drawn["margins"])
    monkeypatch.setattr(low_shot, "to_float", lambda images: images.double() / 127.5 - 1)
    monkeypatch.setattr(Tensor, "float", Tensor.double)
    with quiet_lightning():
        trainer = make_trainer([StopAfter()], Hardware("cpu", "CPU", "64-true", 1))
        trainer.fit(module, DataLoader(batches, batch_size=None))
    return drawn


def furthest(found: Any, expected: Any) -> float:
    return max((a - b).abs().max().item() for a, b in zip(found, expected, strict=True))


def make(**changes: Any) -> low_shot.LowShotModule:
    config = build(LowShotConfig, merge(merge(load_preset("low_shot/paper_256"), TINY), changes))
    return low_shot.LowShotModule(config.model_dump(mode="json"))


def test_two_steps_are_those_of_the_released_loop(monkeypatch):
    module = make()
    loop = ReleasedLoop(module)
    start = [p.detach().double().clone() for p in module.generator.parameters()]
    drawn = trained(module, monkeypatch)
    assert module.generator.b4.parametrizations.weight.original.dtype == torch.float64
    for _ in range(STEPS):
        loop.step(drawn)
    assert not any(drawn.values())  # neither loop draws more than the other
    for name in ("generator", "discriminator"):
        network, expected = getattr(module, name), getattr(loop, name)
        assert furthest(network.parameters(), expected.parameters()) < 1e-8, name
        slow = [torch.stack(norm.lefts) for _, norm in norms(expected)]
        assert furthest(lefts(network), slow) < 1e-9, name
        running = [[m.running_mean for m in n.modules() if hasattr(m, "running_mean")] for n in (network, expected)]
        assert furthest(*running) < 1e-9, name
    assert furthest(module.average.module.parameters(), loop.averaged) < 1e-9
    # Far less than a step, whose length is 2e-4 for every weight with a gradient.
    assert furthest(module.generator.parameters(), start) > 1e-4


@pytest.mark.parametrize("changes", [{"augment": {"same_fakes": False}}, {"optimiser": {"power_iteration": "step"}}])
def test_steps_of_other_switches_are_not(changes, monkeypatch):
    module = make(**changes)
    loop = ReleasedLoop(module)
    drawn = trained(module, monkeypatch)
    if "augment" in changes:
        real, big, small, *_ = drawn["augment"]
        drawn["augment"] = [big, small, real, *drawn["augment"][6:8], drawn["augment"][5]]
    for _ in range(STEPS):
        loop.step(drawn)
    assert furthest(module.generator.parameters(), loop.generator.parameters()) > 1e-5


def test_both_players_judge_the_same_pictures_only_where_asked(monkeypatch):
    seen = {}
    for same in (True, False):
        module = make(augment={"same_fakes": same})
        judged: list[Tensor] = []
        module.discriminator.register_forward_pre_hook(lambda m, args, judged=judged: judged.append(args[0].big))
        with pytest.MonkeyPatch.context() as patch:
            trained(module, patch)
        seen[same] = judged
    for same, judged in seen.items():
        # Real pictures, generated ones, and generated ones for the generator: three a step.
        assert len(judged) == 3 * STEPS
        assert [torch.equal(judged[3 * i + 1], judged[3 * i + 2]) for i in range(STEPS)] == [same] * STEPS
        assert not judged[1].requires_grad
        assert judged[2].requires_grad


def test_enlarging_a_quarter_as_the_reference_does_is_nearest():
    x = torch.randn(1, 3, 16, 16)
    assert torch.equal(F.interpolate(x, size=(32, 32)), x.repeat_interleave(2, 2).repeat_interleave(2, 3))
