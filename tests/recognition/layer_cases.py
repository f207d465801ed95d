"""The recognition layers with the options that a contract must hold for: (id, builder with channels and keywords)."""

from collections.abc import Callable
from functools import partial

from torch import nn

from sase_gan.layers.attentive_norm import AttentiveNorm
from sase_gan.layers.aw_conv import AWConv2d
from sase_gan.layers.efficient_multi_scale_attention import EfficientMultiScaleAttention
from sase_gan.layers.sase_recognition import SASEConv2d
from sase_gan.layers.squeeze_excitation import SqueezeExcitation


def aw(channels: int, **kwargs) -> AWConv2d:
    return AWConv2d(channels, channels, 3, padding=1, **kwargs)


LAYERS: dict[str, Callable[..., nn.Module]] = {
    "an": AttentiveNorm,
    "an_group": partial(AttentiveNorm, norm="group", num_groups=2, attention_norm="group"),
    "an_none": partial(AttentiveNorm, attention_norm="none", activation="softmax"),
    "sase_a": SASEConv2d,
    "sase_a_group": partial(SASEConv2d, key_norm="group", gate_scale="channels"),
    "sase_b": partial(SASEConv2d, design="B"),
    "aw_in": aw,
    "aw_taps": partial(aw, backend="taps"),
    "aw_unfold": partial(aw, backend="unfold", bias=True),
    "aw_out": partial(aw, expand="out", groups=2),
    "aw_none": partial(aw, expand="none", activation="tanh", residual=False),
    "emsa": partial(EfficientMultiScaleAttention, groups=4),
    "emsa_pre": partial(EfficientMultiScaleAttention, groups=2, variant="pre_norm_pool"),
    "emsa_layer": partial(EfficientMultiScaleAttention, groups=4, variant="layer_gn"),
    "se": SqueezeExcitation,
}
