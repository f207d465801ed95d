"""The recognition layers with the options that a contract must hold for: (id, builder with channels and keywords)."""

from collections.abc import Callable
from functools import partial

from torch import nn

from sase_gan.layers.attentive_norm import AttentiveNorm
from sase_gan.layers.aw_conv import AWConv2d
from sase_gan.layers.efficient_multi_scale_attention import EfficientMultiScaleAttention
from sase_gan.layers.excitation import SqueezeExcitation
from sase_gan.layers.sase_recognition import SASEConv2d


def aw(channels: int, **kwargs) -> AWConv2d:
    return AWConv2d(channels, channels, 3, padding=1, **kwargs)


LAYERS: dict[str, Callable[..., nn.Module]] = {
    "an": AttentiveNorm,
    "an_group": partial(AttentiveNorm, norm="group", num_groups=2, attention_norm="group"),
    "an_none": partial(AttentiveNorm, attention_norm="none", activation="softmax"),
    "sase": SASEConv2d,
    "sase_scaled": partial(SASEConv2d, gate_scale="channels"),
    "aw": aw,
    "aw_taps": partial(aw, backend="taps"),
    "aw_groups": partial(aw, bias=True, groups=2),
    "aw_tanh": partial(aw, activation="tanh", residual=False),
    "emsa": partial(EfficientMultiScaleAttention, groups=4),
    "emsa_pre": partial(EfficientMultiScaleAttention, groups=2, variant="pre_norm_pool"),
    "emsa_layer": partial(EfficientMultiScaleAttention, groups=4, variant="layer_gn"),
    "se": SqueezeExcitation,
}
