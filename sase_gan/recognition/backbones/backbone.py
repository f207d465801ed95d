"""One entry for every recognition backbone: `create_backbone`."""

from collections.abc import Callable
from typing import Any

import torch
from timm.models._efficientnet_builder import decode_arch_def, round_channels
from timm.models.resnet import BasicBlock, Bottleneck
from torch import nn

from sase_gan.config import build
from sase_gan.errors import UsageError
from sase_gan.recognition.backbones.choices import LAYERS, LayerChoice
from sase_gan.recognition.backbones.networks import RecognitionDenseNet, RecognitionMobileNetV2, RecognitionResNet

_SIZES: dict[str, dict[str, Any]] = {
    "resnet18": {"block": BasicBlock, "layers": (2, 2, 2, 2)},
    "resnet34": {"block": BasicBlock, "layers": (3, 4, 6, 3)},
    "resnet50": {"block": Bottleneck, "layers": (3, 4, 6, 3)},
    "resnet101": {"block": Bottleneck, "layers": (3, 4, 23, 3)},
}
_DEEP = {"stem_width": 32, "stem_type": "deep", "avg_down": True}
# Rows t, c, n, s of the MobileNetV2 paper in timm's notation.
_MOBILENET_ROWS = [
    ["ds_r1_k3_s1_c16"],
    ["ir_r2_k3_s2_e6_c24"],
    ["ir_r3_k3_s2_e6_c32"],
    ["ir_r4_k3_s2_e6_c64"],
    ["ir_r3_k3_s1_e6_c96"],
    ["ir_r3_k3_s2_e6_c160"],
    ["ir_r1_k3_s1_e6_c320"],
]
_MOBILENET = {"num_features": 1280, "stem_size": 32, "round_chs_fn": round_channels, "act_layer": nn.ReLU6}

ARCHITECTURES: dict[str, tuple[Callable[..., nn.Module], dict[str, Any]]] = {
    name: (RecognitionResNet, arguments)
    for resnet, size in _SIZES.items()
    for name, arguments in (
        (resnet, size),
        (f"{resnet}d", size | _DEEP),
        (f"cifar_{resnet}", size | {"small_stem": True}),
    )
} | {
    "densenet121": (RecognitionDenseNet, {"growth_rate": 32, "block_config": (6, 12, 24, 16)}),
    "mobilenetv2_100": (RecognitionMobileNetV2, _MOBILENET),
}
"""Name of a backbone to its class and the arguments that make it that network."""


def architecture(name: str) -> tuple[Callable[..., nn.Module], dict[str, Any]]:
    """Return the class of a backbone and fresh arguments for it.

    Raises:
        UsageError: for an unknown name.
    """
    full = name if name in ARCHITECTURES else f"{name}_100"
    if full not in ARCHITECTURES:
        raise UsageError(f"backbone is {name!r}; it must be one of {', '.join(sorted(ARCHITECTURES))}")
    kind, arguments = ARCHITECTURES[full]
    arguments = dict(arguments)
    if kind is RecognitionMobileNetV2:
        # Decoded at each call: timm's builder changes the decoded blocks.
        arguments["block_args"] = decode_arch_def(_MOBILENET_ROWS)
    return kind, arguments


def offered_layers(name: str) -> list[str]:
    """List the names in `LAYERS` that a backbone is offered with.

    Raises:
        UsageError: for an unknown backbone.
    """
    kind, _ = architecture(name)
    if kind is RecognitionDenseNet:
        return ["bn", "an", "aw"]
    return [layers for layers in LAYERS if kind is RecognitionResNet or layers not in ("sase", "grouped")]


def create_backbone(
    name: str,
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
    width: float = 1.0,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    **layers: Any,
) -> Any:
    """Build a classification network, untrained.

    Args:
        name: `resnet18`, `resnet34`, `resnet50`, `resnet101`, each also with a final `d` (deep stem) or with the
            prefix `cifar_` (stem for 32 px); `mobilenetv2` (or `mobilenetv2_100`); `densenet121`.
        num_classes: 0 gives pooled features instead of logits.
        drop_rate: dropout before the classifier.
        drop_path_rate: stochastic depth; not for DenseNet.
        width: of `cifar_` networks and those with a `d`, as a multiple of the published one (64 to 512 channels).
        layers: the fields of `LayerChoice`: norm, conv, attention, position and so on.

    Returns:
        A timm model: `forward` maps [N, in_channels, H, W] to [N, num_classes]; `feature_info`, `forward_features`,
        `forward_intermediates`, `reset_classifier` as in timm.

    Raises:
        UsageError: for an unknown name or layer, or a combination that is not offered.

    Example:
        >>> model = create_backbone("resnet50", norm="attentive", device="meta")
        >>> sum(parameter.numel() for parameter in model.parameters())
        25755420
    """
    choice = build(LayerChoice, layers)
    kind, arguments = architecture(name)
    if width != 1.0:
        arguments |= _narrowed(name, width)
    if drop_path_rate:
        if kind is RecognitionDenseNet:
            raise UsageError(f"drop_path_rate is {drop_path_rate}; DenseNet has no residual paths, leave it at 0")
        arguments["drop_path_rate"] = drop_path_rate
    arguments |= {"num_classes": num_classes, "in_chans": in_channels, "drop_rate": drop_rate}
    return kind(choice=choice, device=device, dtype=dtype, **arguments)


def _narrowed(name: str, width: float) -> dict[str, Any]:
    # A deep stem is the only one whose width timm lets choose; the small stem of cifar_ networks replaces it.
    if not name.startswith("cifar_") and not (name.startswith("resnet") and name.endswith("d")):
        raise UsageError(f"width is {width} for {name}; only cifar_ networks and those with a d come in other widths")
    channels = tuple(round(width * full) for full in (64, 128, 256, 512))
    if channels[0] < 2 or channels[0] % 2:
        raise UsageError(f"width is {width}, which gives {channels[0]} channels in stage 1; an even number is required")
    return {"channels": channels, "stem_type": "deep", "stem_width": channels[0] // 2}
