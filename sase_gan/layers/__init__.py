"""The exchangeable layers: one family a file, channels first, nothing but `ops` beneath."""

from sase_gan.layers.attentive_norm import AttentiveNorm
from sase_gan.layers.primitives import GatedLinearUnit, NoiseInjection, UpsampleConv
from sase_gan.layers.sase import SynthesisSASE
from sase_gan.layers.skip_excitation import SkipExcitation

__all__ = ["AttentiveNorm", "GatedLinearUnit", "NoiseInjection", "SkipExcitation", "SynthesisSASE", "UpsampleConv"]
