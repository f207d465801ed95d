"""Cost of networks and layers: parameters, multiply-adds, throughput, beside what the papers published."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sase_gan.allocator import freed_memory_kept
from sase_gan.errors import UsageError
from sase_gan.layers.attentive_norm import AttentiveNorm
from sase_gan.layers.aw_conv import AWConv2d
from sase_gan.layers.efficient_multi_scale_attention import EfficientMultiScaleAttention
from sase_gan.layers.sase import SynthesisSASE
from sase_gan.layers.sase_recognition import SASEConv2d
from sase_gan.recognition.backbones.backbone import create_backbone, offered_layers
from sase_gan.recognition.backbones.choices import LAYERS, place
from sase_gan.recognition.settings import BackboneSection
from sase_gan.reference.plain import loop_attentive_norm, loop_aw, loop_gate, loop_multi_scale, loop_sase

_AN = "Li, Sun, Wu 2020, authors' repository; "
_AN_AGAIN = f"{_AN}authors' re-evaluation"
_EMSA = "Ouyang et al. 2023, authors' repository; "
_AW = "Zhu et al. 2021, abstract; the layer's details are not published"
_OTHER_RUN = "400 epochs; baseline of another schedule; 306 M printed as its cost"

PUBLISHED = {
    ("resnet34", "bn"): ("74.5", _AN_AGAIN),
    ("resnet34", "an"): ("75.5", _AN_AGAIN),
    ("resnet50", "bn"): ("76.99", f"{_AN}120 epochs"),
    ("resnet50", "an"): ("78.41", f"{_AN}120 epochs"),
    ("resnet101", "bn"): ("78.67", f"{_AN}120 epochs"),
    ("resnet101", "an"): ("79.39", f"{_AN}120 epochs"),
    ("resnet101", "aw"): ("+1.00 over its plain network", _AW),
    ("resnet50d", "bn"): ("79.2", _AN_AGAIN),
    ("resnet50d", "an"): ("80", _AN_AGAIN),
    ("resnet101d", "bn"): ("80.2", _AN_AGAIN),
    ("resnet101d", "an"): ("81", _AN_AGAIN),
    ("mobilenetv2_100", "bn"): ("71.31", f"{_AN}150 epochs"),
    ("mobilenetv2_100", "an"): ("73.33", f"{_AN}150 epochs; its size is printed 3.56 M, its config gives 3.673 M"),
    ("mobilenetv2_100", "emsa"): ("74.32", f"{_EMSA}{_OTHER_RUN}"),
    ("densenet121", "an"): ("77.4", f"{_AN_AGAIN}; no batch-norm baseline published"),
    ("cifar_resnet50", "bn"): ("77.26", f"{_EMSA}23.71 M printed"),
    ("cifar_resnet50", "emsa"): ("80.69", f"{_EMSA}23.85 M printed; the released module gives 23.90 M"),
    ("cifar_resnet101", "bn"): ("77.78", f"{_EMSA}42.70 M printed"),
    ("cifar_resnet101", "emsa"): ("80.86", f"{_EMSA}42.96 M printed; the released module gives 43.07 M"),
}
"""Top-1 in percent and its source, never ours, by backbone and layers; for SASE no number of recognition is known."""

BACKBONES = (
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnet50d", "resnet101d", "mobilenetv2_100", "densenet121"),
    *("cifar_resnet18", "cifar_resnet50", "cifar_resnet101"),
)


@dataclass(frozen=True)
class ModelCost:
    """One line of the table of networks.

    Attributes:
        multiply_adds: of one picture in evaluation, convolutions and matrix products.
        images_per_second: in evaluation, None where it was not measured.
    """

    backbone: str
    layers: str
    image_size: int
    parameters: int
    multiply_adds: int
    images_per_second: float | None


@dataclass(frozen=True)
class LayerCost:
    """A layer against the straightforward loop that computes the same, seconds a forward and backward pass."""

    name: str
    shape: tuple[int, ...]
    seconds: float
    loop_seconds: float

    @property
    def ratio(self) -> float:
        """Say how many times faster the layer is than its loop."""
        return self.loop_seconds / self.seconds


def count_parameters(model: nn.Module) -> int:
    """Count the elements of all parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_multiply_adds(model: nn.Module, image_size: int, *, in_channels: int = 3) -> int:
    """Count the multiply-adds of convolutions and matrix products for one picture, in evaluation mode.

    The count follows the shapes that are really computed: groups and samples folded into the batch or the channels
    are counted in full, where counters that take the batch for one picture miss them.

    Args:
        model: best on the meta device, where nothing is computed.
    """
    x = torch.zeros(1, in_channels, image_size, image_size, **place(next(model.parameters())))
    training = model.training
    model.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(x)
    model.train(training)
    return counter.get_total_flops() // 2


def cost_in_words(section: BackboneSection, image_size: int) -> str:
    """State parameters and multiply-adds of a backbone for colour pictures of ImageNet's 1000 classes."""
    model = create_backbone(section.name, width=section.width, device="meta", **section.layers.model_dump())
    return (
        f"{section.name} with 1000 classes and colour pictures: {count_parameters(model):,} parameters, "
        f"{count_multiply_adds(model, image_size) / 1e6:,.1f} million multiply-adds a picture of {image_size} px"
    )


def bench_models(
    backbones: Sequence[str] = BACKBONES,
    *,
    layers: Sequence[str] = tuple(LAYERS),
    throughput: bool = False,
    device: torch.device | str = "cpu",
    batch_size: int = 8,
) -> list[ModelCost]:
    """Measure every offered combination of backbone and layers.

    Args:
        layers: names in `LAYERS`; what a backbone does not offer is left out.
        throughput: whether to time them too (minutes on a CPU), on `device` in batches of `batch_size`.

    Raises:
        UsageError: for an unknown name.
    """
    unknown = [name for name in layers if name not in LAYERS]
    if unknown:
        raise UsageError(f"layers {', '.join(unknown)} are unknown; choose among {', '.join(LAYERS)}")
    costs = []
    for backbone in backbones:
        size, classes = (32, 100) if backbone.startswith("cifar_") else (224, 1000)
        offered = offered_layers(backbone)
        for name in (name for name in layers if name in offered):
            choice = LAYERS[name].model_dump()
            model = create_backbone(backbone, num_classes=classes, device="meta", **choice)
            speed = None
            if throughput:
                built = create_backbone(backbone, num_classes=classes, device=device, **choice).eval()
                x = torch.zeros(batch_size, 3, size, size, device=device)
                with torch.no_grad():
                    speed = batch_size / _median_seconds([partial(built, x)], x.device, repeats=3)[0]
            adds = count_multiply_adds(model, size)
            costs.append(ModelCost(backbone, name, size, count_parameters(model), adds, speed))
    return costs


def models_table(costs: Sequence[ModelCost]) -> str:
    """Write the costs as a Markdown table; published figures are labelled as such and never ours."""
    lines = [
        "| backbone | layers | px | parameters (ours) | multiply-adds, M (ours) | images/s (ours) | published top-1 % |"
        " published by |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for cost in costs:
        speed = "not measured" if cost.images_per_second is None else f"{cost.images_per_second:.1f}"
        top1, source = PUBLISHED.get((cost.backbone, cost.layers), ("none known", ""))
        if source:
            top1 += " (CIFAR-100)" if cost.backbone.startswith("cifar_") else " (ImageNet-1k)"
        lines.append(
            f"| {cost.backbone} | {cost.layers} | {cost.image_size} | {cost.parameters:,} | "
            f"{cost.multiply_adds / 1e6:,.2f} | {speed} | {top1} | {source} |"
        )
    return "\n".join(lines)


def bench_layers(
    *, channels: int = 64, size: int = 28, batch_size: int = 8, device: torch.device | str = "cpu", repeats: int = 5
) -> list[LayerCost]:
    """Time each layer against a plain loop over samples, groups or components that computes the same.

    On a CPU by the seconds of its processors, of which a neighbour takes none. A gate's source has 8 times the channels
    and a 16th of the side, as in the generator. All inputs take gradients.

    Args:
        size: side of the maps.
        repeats: timed passes of layer and loop in turn, of which the medians count.
    """
    x = torch.randn(batch_size, channels, size, size, device=device, requires_grad=True)
    small = max(1, size // 16)
    source = torch.randn(batch_size, 8 * channels, small, small, device=device, requires_grad=True)
    groups = max(1, min(32, channels // 2))
    aw = partial(AWConv2d, channels, channels, 3, padding=1)
    layers: dict[str, tuple[nn.Module, Callable[..., Tensor], tuple[Tensor, ...]]] = {
        "AttentiveNorm": (AttentiveNorm(channels), loop_attentive_norm, (x,)),
        "SynthesisSASE": (SynthesisSASE(8 * channels, channels), loop_gate, (source, x)),
        "SASEConv2d": (SASEConv2d(channels), loop_sase, (x,)),
        "AWConv2d grouped": (aw(backend="grouped"), loop_aw, (x,)),
        "AWConv2d taps": (aw(backend="taps"), loop_aw, (x,)),
        "EfficientMultiScaleAttention": (EfficientMultiScaleAttention(channels, groups=groups), loop_multi_scale, (x,)),
    }
    costs = []
    with freed_memory_kept():
        for name, (layer, loop, inputs) in layers.items():
            layer.to(device)
            passes = [_both_ways(form, inputs, [*layer.parameters()]) for form in (layer, partial(loop, layer))]
            seconds, loop_seconds = _median_seconds(passes, x.device, repeats, processors=x.device.type == "cpu")
            costs.append(LayerCost(name, tuple(x.shape), seconds, loop_seconds))
    return costs


def layers_table(costs: Sequence[LayerCost]) -> str:
    """Write the costs of layers as a Markdown table."""
    lines = ["| layer | input | milliseconds | loop, milliseconds | ratio |", "| --- | --- | --- | --- | --- |"]
    for cost in costs:
        shape = "x".join(map(str, cost.shape))
        milliseconds = f"{1e3 * cost.seconds:.1f} | {1e3 * cost.loop_seconds:.1f}"
        lines.append(f"| {cost.name} | {shape} | {milliseconds} | {cost.ratio:.2f} |")
    return "\n".join(lines)


def _both_ways(
    function: Callable[..., Tensor], inputs: tuple[Tensor, ...], parameters: Sequence[Tensor]
) -> Callable[[], object]:
    # The last input serves as a gradient too: one of ones would let some layers skip work in the backward pass.
    wanted, gradient = [*inputs, *parameters], inputs[-1].detach()
    return lambda: torch.autograd.grad(function(*inputs), wanted, gradient)


def _median_seconds(
    steps: Sequence[Callable[[], object]], device: torch.device, repeats: int, *, processors: bool = False
) -> list[float]:
    """Time several steps in turn, by the clock or by the seconds of the processors."""
    wait: Callable[[], None] = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    clock = time.process_time if processors else time.perf_counter
    for step in steps:
        step()
    times: list[list[float]] = [[] for _ in steps]
    for _ in range(repeats):
        for step, found in zip(steps, times, strict=True):
            wait()
            started = clock()
            step()
            wait()
            found.append(clock() - started)
    return [statistics.median(found) for found in times]
