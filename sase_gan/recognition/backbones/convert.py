"""Putting our layers into a trained network, so that its outputs are unchanged at the start."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from sase_gan.errors import UsageError
from sase_gan.layers.attentive_norm import AttentiveNorm
from sase_gan.layers.aw_conv import AWConv2d
from sase_gan.recognition.backbones.backbone import create_backbone
from sase_gan.recognition.backbones.choices import aw_like, norm_from_trained

Mode = Literal["exact", "expectation"]
Select = str | Callable[[str, nn.Module], bool]

# Where the papers put the layers, by the class name of a block: the same in timm and in torchvision.
_NORMS = {
    "BasicBlock": ("bn1",),
    "Bottleneck": ("bn2",),
    "DenseLayer": ("norm2",),
    "_DenseLayer": ("norm2",),
    "DepthwiseSeparableConv": ("bn1",),
    "InvertedResidual": ("bn2", "conv.1.1"),
}
_CONVS = {"BasicBlock": ("conv1", "conv2"), **dict.fromkeys(("Bottleneck", "DenseLayer", "_DenseLayer"), ("conv2",))}


def convert(
    model: nn.Module,
    *,
    norm: Literal["attentive"] | None = None,
    conv: Literal["aw"] | None = None,
    num_components: int | Callable[[str], int] = 10,
    mode: Mode = "exact",
    select: Select | None = None,
) -> nn.Module:
    """Replace layers of a trained model in place and return it.

    An attentive norm starts as the batch norm it replaces, statistics included; an AW-convolution as the convolution,
    with a map (tanh) that starts at zero. Everything else is untouched.

    Args:
        model: of timm, torchvision or your own.
        norm: "attentive" replaces batch norms (also frozen and synchronised ones).
        conv: "aw" replaces convolutions.
        num_components: K, or K by the name of the norm.
        mode: "exact": outputs are equal at the start, in training and evaluation; "expectation": on average only,
            with attention that already differs between images.
        select: which layers, a regular expression searched in the name or a function of name and module; without it
            the papers' places in the blocks of ResNet, DenseNet and MobileNetV2.

    Raises:
        UsageError: when nothing is asked for or nothing is found.

    Example:
        >>> import torchvision
        >>> model = convert(torchvision.models.resnet18(), norm="attentive")
        >>> type(model.layer1[0].bn1).__name__
        'AttentiveNorm'
    """
    if norm is None and conv is None:
        raise UsageError('nothing to convert; give norm="attentive", conv="aw" or both')
    for name, value, known in (("norm", norm, "attentive"), ("conv", conv, "aw")):
        if value not in (None, known):
            raise UsageError(f"{name} is {value!r}; only {known!r} can take over trained weights")
    if norm is not None:
        for path in _find(model, _NORMS, _is_batch_norm, select):
            number = num_components if isinstance(num_components, int) else num_components(path)
            model.set_submodule(path, norm_from_trained(model.get_submodule(path), number, mode))
    if conv is not None:
        for path in _find(model, _CONVS, lambda module: type(module) is nn.Conv2d, select):
            model.set_submodule(path, _aw_from_conv(model.get_submodule(path)))
    return model


def _aw_from_conv(conv: Any) -> AWConv2d:
    layer = aw_like(conv, activation="tanh")
    # Zero gain and offset of the last norm: the map is tanh(0), and the gain has a gradient from the first step.
    nn.init.zeros_(layer.excite_norm.weight)
    return layer.train(conv.training)


def convert_pretrained(
    name: str, weights: Mapping[str, Tensor] | Path | str, *, mode: Mode = "exact", **layers: Any
) -> Any:
    """Build a backbone with our layers from the weights of timm's plain network of the same name.

    Args:
        name: as in `create_backbone`.
        weights: a state dict of timm, or a file of one (`.safetensors`, or what `torch.save` wrote).
        mode: as in `convert`.
        layers: the fields of `LayerChoice`; norms and AW-convolutions start as the trained layers, SASE and attention
            start anew. `num_classes` and `in_channels` may be given too.

    Raises:
        UsageError: when the weights are not of the plain network.
    """
    fixed = {key: layers.pop(key) for key in ("num_classes", "in_channels") if key in layers}
    plain = create_backbone(name, **fixed)
    if not isinstance(weights, Mapping):
        path = Path(weights)
        weights = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    try:
        plain.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise UsageError(f"the weights are not those of {name} ({str(error).splitlines()[1].strip()})") from error
    target = create_backbone(name, **fixed, **layers)
    state = {key: value for key, value in plain.state_dict().items() if key in target.state_dict()}
    target.load_state_dict(state, strict=False)
    trained = dict(plain.named_modules())
    for name, module in list(target.named_modules()):
        if isinstance(module, AttentiveNorm):
            fresh = norm_from_trained(trained[name], module.num_components, mode)
            fresh.decay_affine = module.decay_affine
            target.set_submodule(name, fresh)
        elif isinstance(module, AWConv2d) and mode == "exact":
            target.set_submodule(name, _aw_from_conv(trained[name]))
    return target


def _find(
    model: nn.Module, places: dict[str, tuple[str, ...]], fits: Callable[[Any], bool], select: Select | None
) -> list[str]:
    modules = dict(model.named_modules(remove_duplicate=False))
    if select is None:
        blocks = ((name, places.get(type(block).__name__, ())) for name, block in model.named_modules())
        inner = (f"{name}.{child}".removeprefix(".") for name, children in blocks for child in children)
        found = [path for path in inner if fits(modules.get(path))]
    else:
        chosen = select if callable(select) else lambda name, _: re.search(select, name) is not None
        found = [name for name, module in model.named_modules() if name and fits(module) and chosen(name, module)]
    if not found:
        raise UsageError(
            f"{type(model).__name__} has no layer that fits; give select=, a regular expression for the names"
        )
    return found


def _is_batch_norm(module: nn.Module | None) -> bool:
    """Tell whether a module normalises by batch or frozen statistics of one vector."""
    mean = getattr(module, "running_mean", None)
    return isinstance(mean, Tensor) and mean.ndim == 1 and hasattr(module, "eps")
