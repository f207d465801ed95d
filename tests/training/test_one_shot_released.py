"""Iterations of the one-shot preset `paper` beside the released loop, written here from its formulae, in float64."""

import copy
import math
import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from lightning import Callback
from torch import Tensor, nn
from torch.utils.data import DataLoader

from sase_gan.config import build, load_preset, merge
from sase_gan.hardware import Hardware
from sase_gan.networks.pyramid import Pyramid, PyramidConfig
from sase_gan.resizing import at_size, resize, resize_by_factor
from sase_gan.runs.trainer import make_trainer
from sase_gan.training import losses, one_shot
from sase_gan.training.config import OneShotConfig, sized_for
from sase_gan.training.quiet import quiet_lightning

ITERATIONS, STEPS = 2, 3
FILE = torch.randint(0, 256, (3, 30, 40), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
TINY: dict[str, Any] = {
    "pyramid": {"smallest_side": 12, "max_size": 28},
    "generator": {"width": 4},
    "schedule": {"iterations": ITERATIONS},
}


# -- resizing ----------------------------------------------------------------------------------------------------------


def cubic(x: float) -> float:
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def slow_matrix(length: int, factor: float) -> Tensor:
    """Weights of a resizing by a factor, pixel by pixel: as many results as the factor gives, rounded up."""
    squeeze = min(factor, 1.0)
    rows = []
    for i in range(math.ceil(length * factor - 1e-6)):
        centre, row = (i + 0.5) / factor - 0.5, [0.0] * length
        for place in range(-4 * length, 5 * length):
            inside = place
            while not 0 <= inside < length:  # mirrored, the border's own pixel included
                inside = -1 - inside if inside < 0 else 2 * length - 1 - inside
            row[inside] += cubic((place - centre) * squeeze)
        rows.append([value / sum(row) for value in row])
    return torch.tensor(rows, dtype=torch.float64)


def slow_resize(x: Tensor, factor: float) -> Tensor:
    rows, columns = (slow_matrix(side, factor) for side in x.shape[2:])
    return torch.einsum("ih,bchw,jw->bcij", rows, x, columns)


@pytest.mark.parametrize("factor", [1.0, 0.4, 0.777, 1 / 0.777, 2.5])
def test_resizing_by_a_factor_is_the_formula(factor):
    x = torch.randn(2, 3, 9, 13, dtype=torch.float64)
    expected = slow_resize(x, factor)
    assert (resize_by_factor(x, expected.shape[2:], factor) - expected).abs().max() < 1e-12
    # Cropping is to compute fewer pixels.
    height, width = expected.shape[2] - 1, expected.shape[3] - 2
    assert (resize_by_factor(x, (height, width), factor) - expected[..., :height, :width]).abs().max() < 1e-12
    if factor != 1:
        assert (resize(x, expected.shape[2:]) - expected).abs().max() > 1e-2


def test_resizing_by_one_changes_nothing_and_a_constant_stays_one():
    x = torch.randn(1, 3, 7, 5, dtype=torch.float64)
    assert torch.equal(resize_by_factor(x, (7, 5), 1.0), x)
    grey = torch.full((3, 30, 40), 200, dtype=torch.uint8)
    assert (at_size(grey, (21, 28), 0.7) == 200).all()


def test_a_pyramid_of_factors_draws_other_sizes_and_tiles():
    config = PyramidConfig(sizes=((12, 16), (15, 20)), width=4, resize="bytes", factor=0.8)
    pyramid = Pyramid(config).eval()
    carried = torch.rand(1, 3, 12, 16) * 2 - 1
    truncated = ((carried + 1) * 127.5).floor() / 127.5 - 1
    expected = slow_resize(truncated.double(), 1 / 0.8)[..., :15, :20].clamp(-1, 1)
    assert (pyramid.enlarge(carried, (15, 20), "zero") - expected).abs().max() < 1e-5
    assert pyramid.enlarge(carried, (31, 17), "zero").isfinite().all()
    tile = pyramid.enlarge(carried, (24, 32), "circular")
    assert (pyramid.enlarge(carried.roll(3, 3), (24, 32), "circular").roll(-6, 3) - tile).abs().max() < 1e-5


# -- the loop ----------------------------------------------------------------------------------------------------------


def gated(gate: Any, source: Tensor, target: Tensor) -> Tensor:
    """Mix the styles by the masks, group by group, at the target's size."""

    def conv(layer: Any, x: Tensor, k: int) -> Tensor:
        weight, bias = layer.weight.chunk(gate.groups)[k], layer.bias.chunk(gate.groups)[k]
        return F.conv2d(x, weight, bias, padding=layer.padding, dilation=layer.dilation)

    def norm(layer: Any, x: Tensor, k: int) -> Tensor:
        kept = (layer.running_mean, layer.running_var, layer.weight, layer.bias)
        return F.batch_norm(x, *(part.chunk(gate.groups)[k] for part in kept), layer.training, 0.1, 1e-5).relu()

    above, below = torch.zeros_like(target), torch.full_like(target[:, :1], 1e-6)
    for k, part in enumerate(source.chunk(gate.groups, 1)):
        style = conv(gate.style_excite, conv(gate.style_squeeze, part.mean((2, 3), keepdim=True), k).relu(), k)
        x = norm(gate.mask_squeeze_norm, conv(gate.mask_squeeze, part, k), k)
        for dilated, layer in zip(gate.mask_dilated, gate.mask_dilated_norms, strict=True):
            x = norm(layer, conv(dilated, x, k), k)
        mask = F.interpolate(conv(gate.mask_logit, x, k).sigmoid(), target.shape[2:])
        above, below = above + mask * style, below + mask
    return target * (1 + above / below)


def draw(stage: Any, x: Tensor) -> Tensor:
    early = stage.head(F.pad(x, (5, 5, 5, 5)))
    late = stage.body(early)
    return stage.tail(late if stage.gate is None else gated(stage.gate, early, late)).tanh()


def through_bytes(x: Tensor, factor: float) -> Tensor:
    levels = ((x.detach() + 1) / 2 * 255).clamp(0, 255).floor()
    return (slow_resize(levels, factor) / 255 * 2 - 1).clamp(-1, 1)


class ReleasedLoop:
    """The loop of SinGAN as released with arXiv 2112.14804, one line a formula; all stages have one width."""

    def __init__(self, module: one_shot.OneShotModule) -> None:
        self.stages = copy.deepcopy(module.generator.stages).double()
        (critic,) = module.discriminators.values()
        self.critic = copy.deepcopy(critic).double()
        self.r = (12 / 21) ** (1 / 3)
        # Truncated twice: the file's bytes to the largest size, and that to each scale.
        largest = slow_resize(FILE[None].double(), 28 / 40).clamp(0, 255)
        self.reals = [
            (slow_resize((largest + 1e-6).floor(), self.r ** (3 - n)) / 127.5 - 1).clamp(-1, 1) for n in range(4)
        ]
        self.amplitudes, self.latent = [1.0], torch.empty(0)

    def enlarged(self, x: Tensor, scale: int) -> Tensor:
        height, width = self.reals[scale].shape[2:]
        return through_bytes(x, 1 / self.r)[..., :height, :width]

    @torch.no_grad()
    def before(self, scale: int, noise: list[Tensor]) -> Tensor:
        """What the finished scales hand to this one, drawn from noise, or without."""
        x = torch.zeros_like(self.reals[0])
        for n in range(scale):
            drawn = draw(self.stages[n], (self.amplitudes[n] * noise[n] if n < len(noise) else 0) + x)
            x = self.enlarged(drawn, n + 1)
        return x

    def train(self, scale: int, drawn: dict[str, list[Tensor]]) -> None:
        stage: Any = self.stages[scale]
        self.stages[:scale].eval()
        if scale > 0:
            older: Any = self.stages[scale - 1].state_dict()
            stage.load_state_dict(older, strict=False)
            difference = self.before(scale, [self.latent]) - self.reals[scale]
            self.amplitudes.append(0.1 * difference.square().mean().sqrt().item())
        betas = {"lr": 5e-4, "betas": (0.5, 0.999)}
        adam_g, adam_d = (torch.optim.Adam(net.parameters(), **betas) for net in (stage, self.critic))
        for _ in range(ITERATIONS):
            self.iterate(scale, drawn, adam_g, adam_d)

    def iterate(self, scale: int, drawn: dict[str, list[Tensor]], adam_g: Any, adam_d: Any) -> None:
        stage, critic, real, normal = self.stages[scale], self.critic, self.reals[scale], drawn["normal"]
        if scale == 0:
            self.latent = normal.pop(0)
        own = normal.pop(0)
        for _ in range(STEPS):
            before = self.before(scale, [normal.pop(0) for _ in range(scale)])
            fake = draw(stage, self.amplitudes[scale] * own + before)
            mix = drawn["mix"].pop(0)
            between = (mix * real + (1 - mix) * fake.detach()).requires_grad_()
            (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
            penalty = (slope.norm(dim=1) - 1).square().mean()
            adam_d.zero_grad()
            (critic(fake.detach()).mean() - critic(real).mean() + 0.1 * penalty).backward()
            adam_d.step()
        adversarial = torch.autograd.grad(-critic(fake).mean(), list(stage.parameters()))
        before = self.before(scale, [self.latent]) if scale > 0 else self.latent.expand(1, 3, -1, -1)
        for _ in range(STEPS):
            adam_g.zero_grad()
            (10 * (draw(stage, before) - real).square().mean()).backward()
            for parameter, gradient in zip(stage.parameters(), adversarial, strict=True):
                parameter.grad = parameter.grad + gradient
            adam_g.step()


class _Stop(Callback):
    def on_train_batch_end(self, trainer: Any, module: Any, *unused: Any) -> None:
        trainer.should_stop = module.images_seen >= module.config.total_images


def trained(module: one_shot.OneShotModule, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Tensor]]:
    """Train all scales in float64; return what was drawn, in order."""
    drawn: dict[str, list[Tensor]] = {"normal": [], "mix": []}
    normal, penalty = module._normal, losses.pixel_gradient_penalty

    def recorded_normal(*args: Any) -> Tensor:
        drawn["normal"].append(normal(*args))
        return drawn["normal"][-1]

    def recorded_penalty(critic: Any, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
        drawn["mix"].append(mix)
        return penalty(critic, real, fake, mix)

    monkeypatch.setattr(module, "_normal", recorded_normal)
    monkeypatch.setattr(losses, "pixel_gradient_penalty", recorded_penalty)
    monkeypatch.setattr(one_shot, "to_float", lambda images: images.double() / 127.5 - 1)
    monkeypatch.setattr(Tensor, "float", Tensor.double)
    with quiet_lightning():
        trainer = make_trainer([_Stop()], Hardware("cpu", "CPU", "64-true", 1))
        trainer.fit(module, DataLoader([FILE[None]] * module.config.total_images, batch_size=None))
    return drawn


def make(**changes: Any) -> one_shot.OneShotModule:
    values = merge(merge(load_preset("one_shot/paper"), TINY), changes)
    config = sized_for(build(OneShotConfig, values), (30, 40))
    module = one_shot.OneShotModule(config.model_dump(mode="json"))
    module.show(at_size(FILE, config.generator.sizes[-1], config.reduction((30, 40))))
    return module


def furthest(found: nn.Module, expected: nn.Module, *, of: str = "") -> float:
    """The largest difference of weights and running statistics whose names match."""
    states = found.state_dict(), expected.state_dict()
    names = [name for name in states[0] if re.search(of, name) and "num_batches" not in name]
    return max((states[0][name].double() - states[1][name].double()).abs().max().item() for name in names)


# A norm takes back the bias before it, whose gradient is rounding alone, which Adam magnifies; the mean follows it.
NOT_TAKEN_BACK = r"^(?!.*(head\.0|body\.\d\.0|mask_squeeze|mask_dilated\.\d)\.bias|.*running_mean)"


def test_all_scales_train_as_the_released_loop(monkeypatch):
    module = make()
    assert module.config.generator.sizes == ((12, 16), (15, 20), (18, 24), (21, 28))
    start, loop = copy.deepcopy(module.generator.stages), ReleasedLoop(module)
    drawn = trained(module, monkeypatch)
    for scale in range(4):
        loop.train(scale, drawn)
    assert not any(drawn.values())  # neither loop draws more than the other
    amplitudes = module.generator.amplitudes.tolist()
    assert amplitudes == pytest.approx(loop.amplitudes, abs=1e-9)
    assert torch.equal(module.generator.fixed0, loop.latent)
    # Weights and running statistics of all stages; a step is 5e-4 long.
    assert furthest(module.generator.stages, loop.stages, of=NOT_TAKEN_BACK) < 1e-8
    assert furthest(module.generator.stages, loop.stages) < 1e-5
    (critic,) = module.discriminators.values()
    weights = r"^(?!.*running|(head|body\.\d)\.0\.bias)"
    assert furthest(critic, loop.critic, of=weights) < 1e-8
    assert furthest(start, module.generator.stages) > 1e-3


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": {"shared_noise": False}},
        {"optimiser": {"generator_update": "repeat_step"}},
        {"optimiser": {"generator_update": "recompute"}},
    ],
)
def test_other_switches_train_otherwise(changes, monkeypatch):
    released, other = make(), make(**changes)
    for module in (released, other):
        with pytest.MonkeyPatch.context() as patch:
            trained(module, patch)
    assert furthest(released.generator.stages, other.generator.stages) > 1e-5
