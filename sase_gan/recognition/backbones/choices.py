"""Which of the exchangeable layers a backbone has, and the builders of the replacements."""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Literal, Self

import torch
from pydantic import model_validator
from timm.layers.create_attn import get_attn
from torch import nn

from sase_gan.config import FrozenRecord
from sase_gan.errors import UsageError
from sase_gan.layers.aw_conv import AWConv2d
from sase_gan.layers.efficient_multi_scale_attention import EfficientMultiScaleAttention, Variant
from sase_gan.layers.excitation import SqueezeExcitation
from sase_gan.layers.sase_recognition import GateScale, SASEConv2d

Norm = Literal["batch", "attentive"]
Conv = Literal["plain", "sase", "aw", "grouped"]
Attention = Literal["none", "se", "cbam", "emsa"]
Position = Literal["default", "bn1", "bn2", "bn12", "bn3", "bn123", "all"]


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
        attention_groups: of the efficient multi-scale attention; None is 32.
        attention_variant: of the efficient multi-scale attention.
        gate_scale: of the SASE convolution.
    """

    removed_keys: ClassVar[Mapping[str, object]] = {"sase_design": "A"}

    norm: Norm = "batch"
    conv: Conv = "plain"
    attention: Attention = "none"
    position: Position = "default"
    num_components: tuple[int, ...] | None = None
    decay_affine: bool = True
    attention_groups: int | None = None
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
    where: dict[str, Any] = {"device": conv.weight.device, "dtype": conv.weight.dtype}
    if choice.conv == "plain":
        return conv
    if choice.conv == "sase":
        if conv.in_channels != conv.out_channels or conv.groups != 1:
            raise UsageError(
                f"conv is 'sase' but the convolution maps {conv.in_channels} to {conv.out_channels} channels in "
                f"{conv.groups} groups; SASE takes the place of ungrouped convolutions of one width"
            )
        return SASEConv2d(
            conv.in_channels,
            stride=conv.stride[0],
            gate_scale=choice.gate_scale,
            **where,
        )
    geometry: dict[str, Any] = {
        "stride": conv.stride,
        "padding": conv.padding,
        "dilation": conv.dilation,
        "groups": 4 if choice.conv == "grouped" else conv.groups,
        "bias": conv.bias is not None,
    }
    kind = nn.Conv2d if choice.conv == "grouped" else AWConv2d
    layer = kind(conv.in_channels, conv.out_channels, conv.kernel_size, **geometry, **where)  # type: ignore[arg-type]
    if choice.conv == "grouped":
        # torch's fan-out ignores groups, so it is corrected by hand.
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        with torch.no_grad():
            layer.weight.mul_(2.0)
    else:
        with torch.no_grad():
            layer.weight.copy_(conv.weight)
    return layer


def components(choice: LayerChoice, stage: int, published: tuple[int, ...]) -> int:
    """Return K of a stage (counted from 0), the published one unless the choice says otherwise.

    Raises:
        UsageError: when the choice has another number of stages than the network.
    """
    table = published if choice.num_components is None else choice.num_components
    if len(table) != len(published):
        raise UsageError(f"num_components has {len(table)} numbers; this network has {len(published)} stages")
    return table[stage]
