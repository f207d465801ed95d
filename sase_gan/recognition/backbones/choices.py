"""Which of the exchangeable layers a backbone has, and the builders of the replacements."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from timm.layers.create_attn import get_attn
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sase_gan.config import FrozenRecord
from sase_gan.errors import UsageError
from sase_gan.layers.attentive_norm import AttentiveNorm
from sase_gan.layers.aw_conv import AWConv2d
from sase_gan.layers.efficient_multi_scale_attention import EfficientMultiScaleAttention, Variant
from sase_gan.layers.excitation import SqueezeExcitation
from sase_gan.layers.sase_recognition import GateScale, SASEConv2d


class LayerChoice(FrozenRecord):
    """The exchangeable layers of a backbone; the defaults are the plain network.

    Attributes:
        norm: "attentive" puts attentive normalization at `position`, batch normalisation stays elsewhere.
        conv: what takes the place of the 3x3 convolutions: SASE, attention on weights, or plain convolutions in 4
            groups (the control of SASE).
        attention: after the last norm of each block (MobileNetV2: after the depthwise convolution).
        position: which norms of a block are attentive: "bn2" and so on by number, "all" with the stem and the
            shortcuts too; "default" is the paper's (ResNet: norm 1 of basic blocks, norm 2 of bottlenecks).
        num_components: K per stage; None is the paper's.
        decay_affine: whether the tables of attentive normalization take weight decay.
        attention_groups: of the efficient multi-scale attention, as is `attention_variant`; None is 32.
        gate_scale: of the SASE convolution.
    """

    removed_keys: ClassVar[Mapping[str, object]] = {"sase_design": "A"}

    norm: Literal["batch", "attentive"] = "batch"
    conv: Literal["plain", "sase", "aw", "grouped"] = "plain"
    attention: Literal["none", "se", "cbam", "emsa"] = "none"
    position: Literal["default", "bn1", "bn2", "bn12", "bn3", "bn123", "all"] = "default"
    num_components: tuple[Annotated[int, Field(ge=1, le=1024)], ...] | None = None
    decay_affine: bool = True
    attention_groups: int | None = Field(None, ge=1, le=1024)
    attention_variant: Variant = "released"
    gate_scale: GateScale = "none"

    @model_validator(mode="after")
    def _refuse_what_has_no_effect(self) -> Self:
        if self.norm == "batch" and (self.position != "default" or self.num_components is not None):
            raise ValueError('position and num_components have no effect without norm="attentive"')
        if self.attention != "emsa" and (self.attention_groups is not None or self.attention_variant != "released"):
            raise ValueError('attention_groups and attention_variant have no effect without attention="emsa"')
        if self.conv != "sase" and self.gate_scale != "none":
            raise ValueError('gate_scale has no effect without conv="sase"')
        return self


LAYERS = {
    "bn": LayerChoice(),
    "an": LayerChoice(norm="attentive"),
    "sase": LayerChoice(conv="sase"),
    "grouped": LayerChoice(conv="grouped"),
    "aw": LayerChoice(conv="aw"),
    "emsa": LayerChoice(attention="emsa"),
    "se": LayerChoice(attention="se"),
    "aw_se": LayerChoice(conv="aw", attention="se"),
    "aw_cbam": LayerChoice(conv="aw", attention="cbam"),
}
"""Names of choices in tables, in timm's registry and in studies. "grouped" is the control of "sase"."""


def place(tensor: Tensor) -> dict[str, Any]:
    """Name a tensor's device and dtype as keywords of a layer."""
    return {"device": tensor.device, "dtype": tensor.dtype}


def attention_layer(choice: LayerChoice) -> Any:
    """Return a factory `layer(channels, **keywords)` of the attention, or None."""
    if choice.attention == "none":
        return None
    if choice.attention == "emsa":
        groups = 32 if choice.attention_groups is None else choice.attention_groups
        return partial(EfficientMultiScaleAttention, groups=groups, variant=choice.attention_variant)
    return SqueezeExcitation if choice.attention == "se" else get_attn(choice.attention)


def replace_conv(conv: nn.Conv2d, choice: LayerChoice) -> nn.Module:
    """Build the layer that takes the place of a freshly built 3x3 convolution, initialised for its network.

    Raises:
        UsageError: for a SASE convolution where input and output channels differ.
    """
    if choice.conv == "plain":
        return conv
    if choice.conv == "sase":
        if conv.in_channels != conv.out_channels or conv.groups != 1:
            raise UsageError(
                f"conv is 'sase' but the convolution maps {conv.in_channels} to {conv.out_channels} channels in "
                f"{conv.groups} groups; SASE takes the place of ungrouped convolutions of one width"
            )
        stride = conv.stride[0]
        return SASEConv2d(conv.in_channels, stride=stride, gate_scale=choice.gate_scale, **place(conv.weight))
    if choice.conv == "aw":
        return aw_like(conv)
    layer = nn.Conv2d(**{**geometry(conv), "groups": 4})
    # torch's fan-out ignores groups, so it is corrected by hand.
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    with torch.no_grad():
        layer.weight.mul_(2.0)
    return layer


def geometry(conv: nn.Conv2d) -> dict[str, Any]:
    """List the keywords that build a convolution of the same shape in the same place."""
    names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
    return {name: getattr(conv, name) for name in names} | {"bias": conv.bias is not None} | place(conv.weight)


def aw_like(conv: nn.Conv2d, **options: Any) -> AWConv2d:
    """Build an AW-convolution of the same shape and with the same weights; the map is initialised anew."""
    layer = AWConv2d(**geometry(conv), **options)
    with torch.no_grad():
        layer.weight.copy_(conv.weight)
        if conv.bias is not None and layer.bias is not None:
            layer.bias.copy_(conv.bias)
    return layer


def replace_norm(parent: nn.Module, name: str, choice: LayerChoice, stage: int, published: tuple[int, ...]) -> None:
    """Put a fresh attentive norm into the slot of a batch norm where the choice has them, with its activation if any.

    Args:
        stage: counted from 0.
        published: K of each stage, which count unless the choice says otherwise.

    Raises:
        UsageError: when the choice has another number of stages than the network.
    """
    if choice.norm == "batch":
        return
    table = published if choice.num_components is None else choice.num_components
    if len(table) != len(published):
        raise UsageError(f"num_components has {len(table)} numbers; this network has {len(published)} stages")
    norm: Any = getattr(parent, name)
    options = {**place(norm.running_mean), "eps": norm.eps, "decay_affine": choice.decay_affine}
    setattr(parent, name, _with_activation(_kind_for(norm)(norm.num_features, table[stage], **options), norm))


class AttentiveNormAct(AttentiveNorm):
    """Attentive normalization, then `drop`, then `act`, for the slots where timm has its `BatchNormAct2d`.

    Example:
        >>> AttentiveNormAct(4, 2)(torch.randn(2, 4, 3, 3)).min().item() >= 0
        True
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.drop: nn.Module = nn.Identity()
        self.act: nn.Module = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Normalise, drop, activate; the shape stays."""
        return self.act(self.drop(super().forward(x)))


def norm_from_trained(norm: Any, num_components: int, mode: Literal["exact", "expectation"]) -> AttentiveNorm:
    """Build an attentive norm that starts as a trained batch norm, with its activation (`from_batchnorm`)."""
    return _with_activation(_kind_for(norm).from_batchnorm(norm, num_components, mode=mode), norm)


def _kind_for(norm: nn.Module) -> type[AttentiveNorm]:
    return AttentiveNormAct if isinstance(getattr(norm, "act", None), nn.Module) else AttentiveNorm


def _with_activation(layer: AttentiveNorm, norm: Any) -> AttentiveNorm:
    if isinstance(layer, AttentiveNormAct):
        layer.act, layer.drop = norm.act, norm.drop
    return layer


def freeze_statistics(model: nn.Module) -> None:
    """Hold every batch norm of a model in evaluation, the inner ones of our layers too; weights still train.

    Call it after each `model.train()`. Attentive normalization's tables, SASE's and AW-convolution's weights stay
    trainable.
    """
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.eval()
