"""The exchangeable layers: one family a file, channels first, nothing of ours beneath."""

from sase_gan.layers.attentive_norm import AttentiveNorm
from sase_gan.layers.aw_conv import AWConv2d, AWUpsampleConv
from sase_gan.layers.efficient_multi_scale_attention import EfficientMultiScaleAttention
from sase_gan.layers.excitation import SkipExcitation, SqueezeExcitation
from sase_gan.layers.primitives import GatedLinearUnit, NoiseInjection, UpsampleConv
from sase_gan.layers.sase import SynthesisSASE
from sase_gan.layers.sase_recognition import SASEConv2d

__all__ = [
    "AWConv2d",
    "AWUpsampleConv",
    "AttentiveNorm",
    "EfficientMultiScaleAttention",
    "GatedLinearUnit",
    "NoiseInjection",
    "SASEConv2d",
    "SkipExcitation",
    "SqueezeExcitation",
    "SynthesisSASE",
    "UpsampleConv",
]
