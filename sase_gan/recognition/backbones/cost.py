"""Cost of networks and layers: parameters, multiply-adds, throughput, beside what the papers published."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sase_gan.errors import UsageError
from sase_gan.layers.attentive_norm import AttentiveNorm
from sase_gan.layers.aw_conv import AWConv2d
from sase_gan.layers.efficient_multi_scale_attention import EfficientMultiScaleAttention
from sase_gan.layers.sase_recognition import SASEConv2d
from sase_gan.recognition.backbones.backbone import create_backbone, offered_layers
from sase_gan.recognition.backbones.choices import LAYERS
from sase_gan.recognition.settings import BackboneSection
from sase_gan.reference.plain import loop_attentive_norm, loop_aw, loop_multi_scale, loop_sase


@dataclass(frozen=True)
class Published:
    """A figure of a paper or its repository, never ours: ImageNet-1k top-1 in percent unless `data` says otherwise."""

    top1: float
    source: str
    caveat: str = ""
    data: str = "ImageNet-1k"
    gain: bool = False
    """Whether `top1` is what the layer adds to the plain network; the absolute figure is not known."""

    def words(self) -> str:
        """Write the figure as the table shows it."""
        return f"{self.top1:+.2f} over its plain network ({self.data})" if self.gain else f"{self.top1:g} ({self.data})"


_AN = "Li, Sun, Wu 2020, authors' repository"
_EMSA = "Ouyang et al. 2023, authors' repository"
_OTHERS_RUN = "baseline of another schedule"

PUBLISHED: dict[tuple[str, str], Published] = {
    ("resnet34", "bn"): Published(74.5, _AN, "authors' re-evaluation"),
    ("resnet34", "an"): Published(75.5, _AN, "authors' re-evaluation"),
    ("resnet50", "bn"): Published(76.99, _AN, "120 epochs"),
    ("resnet50", "an"): Published(78.41, _AN, "120 epochs"),
    ("resnet101", "bn"): Published(78.67, _AN, "120 epochs"),
    ("resnet101", "an"): Published(79.39, _AN, "120 epochs"),
    ("resnet101", "aw"): Published(
        1.0, "Zhu et al. 2021, abstract", "the layer's details are not published", gain=True
    ),
    ("resnet50d", "bn"): Published(79.2, _AN, "authors' re-evaluation"),
    ("resnet50d", "an"): Published(80.0, _AN, "authors' re-evaluation"),
    ("resnet101d", "bn"): Published(80.2, _AN, "authors' re-evaluation"),
    ("resnet101d", "an"): Published(81.0, _AN, "authors' re-evaluation"),
    ("mobilenetv2_100", "bn"): Published(71.31, _AN, "150 epochs"),
    ("mobilenetv2_100", "an"): Published(
        73.33, _AN, "150 epochs; its size is printed 3.56 M, its config gives 3.673 M"
    ),
    ("mobilenetv2_100", "emsa"): Published(74.32, _EMSA, f"400 epochs; {_OTHERS_RUN}; 306 M printed as its cost"),
    ("densenet121", "an"): Published(77.4, _AN, "authors' re-evaluation; no batch-norm baseline published"),
    ("cifar_resnet50", "bn"): Published(77.26, _EMSA, "23.71 M printed", "CIFAR-100"),
    ("cifar_resnet50", "emsa"): Published(
        80.69, _EMSA, "23.85 M printed; the released module gives 23.90 M", "CIFAR-100"
    ),
    ("cifar_resnet101", "bn"): Published(77.78, _EMSA, "42.70 M printed", "CIFAR-100"),
    ("cifar_resnet101", "emsa"): Published(
        80.86, _EMSA, "42.96 M printed; the released module gives 43.07 M", "CIFAR-100"
    ),
}
"""What was published for a backbone and its layers; for SASE no number of a recognition network is known."""

BACKBONES = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet50d",
    "resnet101d",
    "mobilenetv2_100",
    "densenet121",
    "cifar_resnet18",
    "cifar_resnet50",
    "cifar_resnet101",
)


@dataclass(frozen=True)
class ModelCost:
    """One line of the table of networks.

    Attributes:
        multiply_adds: of one picture in evaluation, convolutions and matrix products.
        images_per_second: of the network in evaluation, None where it was not measured.
    """

    backbone: str
    layers: str
    image_size: int
    parameters: int
    multiply_adds: int
    images_per_second: float | None
    published: Published | None


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
        image_size: side of the picture.
        in_channels: of the picture.
    """
    parameter = next(model.parameters())
    x = torch.zeros(1, in_channels, image_size, image_size, device=parameter.device, dtype=parameter.dtype)
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
        backbones: names for `create_backbone`.
        layers: names in `LAYERS`; what a backbone does not offer is left out.
        throughput: whether to time them too (minutes on a CPU).
        device: of the timing.
        batch_size: of the timing.

    Raises:
        UsageError: for an unknown name.
    """
    unknown = [name for name in layers if name not in LAYERS]
    if unknown:
        raise UsageError(f"layers {', '.join(unknown)} are unknown; choose among {', '.join(LAYERS)}")
    costs = []
    for backbone in backbones:
        small = backbone.startswith("cifar_")
        size, classes = (32, 100) if small else (224, 1000)
        offered = offered_layers(backbone)
        for name in filter(offered.__contains__, layers):
            choice = LAYERS[name].model_dump()
            model = create_backbone(backbone, num_classes=classes, device="meta", **choice)
            speed = None
            if throughput:
                built = create_backbone(backbone, num_classes=classes, device=device, **choice)
                speed = _images_per_second(built, torch.zeros(batch_size, 3, size, size, device=device))
            costs.append(
                ModelCost(
                    backbone,
                    name,
                    size,
                    count_parameters(model),
                    count_multiply_adds(model, size),
                    speed,
                    PUBLISHED.get((backbone, name)),
                )
            )
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
        top1, source = "none known", ""
        if cost.published is not None:
            top1 = cost.published.words()
            source = "; ".join(filter(None, (cost.published.source, cost.published.caveat)))
        lines.append(
            f"| {cost.backbone} | {cost.layers} | {cost.image_size} | {cost.parameters:,} | "
            f"{cost.multiply_adds / 1e6:,.2f} | {speed} | {top1} | {source} |"
        )
    return "\n".join(lines)


def bench_layers(
    *, channels: int = 64, size: int = 28, batch_size: int = 8, device: torch.device | str = "cpu", repeats: int = 5
) -> list[LayerCost]:
    """Time each layer against a plain loop over samples, groups or components that computes the same.

    Args:
        channels: of the layers.
        size: side of the maps.
        batch_size: of the maps.
        device: where.
        repeats: timed passes, of which the median counts.
    """
    x = torch.randn(batch_size, channels, size, size, device=device)
    where: dict[str, Any] = {"device": device}
    norm = AttentiveNorm(channels, **where)
    sase = SASEConv2d(channels, **where)
    attention = EfficientMultiScaleAttention(channels, groups=max(1, min(32, channels // 2)), **where)
    aw = {b: AWConv2d(channels, channels, 3, padding=1, backend=b, **where) for b in ("grouped", "taps")}
    pairs: list[tuple[str, Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = [
        ("AttentiveNorm", norm, partial(loop_attentive_norm, norm)),
        ("SASEConv2d", sase, partial(loop_sase, sase)),
        *[(f"AWConv2d {name}", layer, partial(loop_aw, layer)) for name, layer in aw.items()],
        ("EfficientMultiScaleAttention", attention, partial(loop_multi_scale, attention)),
    ]
    return [
        LayerCost(name, tuple(x.shape), _seconds(fast, x, repeats), _seconds(slow, x, repeats))
        for name, fast, slow in pairs
    ]


def layers_table(costs: Sequence[LayerCost]) -> str:
    """Write the costs of layers as a Markdown table."""
    lines = ["| layer | input | milliseconds | loop, milliseconds | ratio |", "| --- | --- | --- | --- | --- |"]
    for cost in costs:
        shape = "x".join(map(str, cost.shape))
        milliseconds = f"{1e3 * cost.seconds:.1f} | {1e3 * cost.loop_seconds:.1f}"
        lines.append(f"| {cost.name} | {shape} | {milliseconds} | {cost.ratio:.2f} |")
    return "\n".join(lines)


def _seconds(function: Callable[[Tensor], Tensor], x: Tensor, repeats: int) -> float:
    # A weighted sum: the plain one would let some layers skip work in the backward pass.
    return _median_seconds(lambda: (function(x) * x).sum().backward(), x.device, repeats)


@torch.no_grad()
def _images_per_second(model: nn.Module, x: Tensor, repeats: int = 3) -> float:
    model.eval()
    return len(x) / _median_seconds(lambda: model(x), x.device, repeats)


def _median_seconds(step: Callable[[], object], device: torch.device, repeats: int) -> float:
    step()
    times = []
    for _ in range(repeats):
        _wait(device)
        started = time.perf_counter()
        step()
        _wait(device)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
