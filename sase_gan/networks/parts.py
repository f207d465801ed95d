"""The only tables from a configuration's name to a factory of parts."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

from torch import nn

from sase_gan.layers.attentive_norm import AttentiveNorm
from sase_gan.layers.aw_conv import AWConv2d, AWUpsampleConv
from sase_gan.layers.efficient_multi_scale_attention import EfficientMultiScaleAttention
from sase_gan.layers.excitation import SkipExcitation, SqueezeExcitation
from sase_gan.layers.primitives import WEIGHT_STD, NormFactory, UpsampleConv, batch_norm, conv, instance_norm
from sase_gan.layers.sase import SynthesisSASE
from sase_gan.layers.spectral_norm import spectral_norm

ConvFactory = Callable[[int, int], nn.Module]
AttentionFactory = Callable[[int], nn.Module]

ConvName = Literal["plain", "aw"]
AttentionName = Literal["none", "efficient_multi_scale", "se"]

GROUP_CHANNELS = 4
"""Least channels in a group of the efficient multi-scale attention: with one its two softmaxes would be constant."""


def norm_factory(
    name: str,
    *,
    num_components: int,
    init_scale: str,
    attention_norm: str = "batch",
    statistics: Literal["batch", "instance"] = "batch",
) -> NormFactory:
    """Return a factory `channels -> module` of the named normalisation.

    Statistics of the "batch" keep running ones for evaluation; those of the "instance" are each sample's own, always.

    Raises:
        ValueError: for an unknown name.
    """
    options: dict[str, Any] = {"num_components": num_components, "init_scale": init_scale}
    attentive = partial(AttentiveNorm, attention_norm=attention_norm, **options)  # type: ignore[arg-type]

    def by_instance(channels: int) -> nn.Module:
        # The attention norm goes: over a batch of one it would have one value per component.
        return AttentiveNorm(channels, norm="group", num_groups=channels, attention_norm="none", **options)

    known: Mapping[str, NormFactory] = {"batch": batch_norm, "attentive": attentive, "none": nn.Identity}
    if statistics == "instance":
        known = {"batch": instance_norm, "attentive": by_instance, "none": nn.Identity}
    return _look_up(known, name, "norm")


def conv_factory(name: ConvName, *, spectral: bool) -> ConvFactory:
    """Return a factory `(in_channels, out_channels) -> module` of the named 3x3 convolution that keeps the size.

    "aw" scales the kernel for every sample (`layers.aw_conv`); only the kernel is spectrally normalised, the two small
    convolutions that read its scale are followed by norms.

    Raises:
        ValueError: for an unknown name.
    """
    known: Mapping[str, ConvFactory] = {
        "plain": lambda i, o: conv(i, o, 3, padding=1, spectral=spectral),
        "aw": lambda i, o: _as_family(AWConv2d(i, o, 3, padding=1), spectral),
    }
    return _look_up(known, name, "conv")


def upsample_conv_factory(name: ConvName, *, spectral: bool) -> ConvFactory:
    """Return a factory as `conv_factory` does, for the 3x3 convolution after an upsampling by 2.

    Raises:
        ValueError: for an unknown name.
    """
    known: Mapping[str, ConvFactory] = {
        "plain": partial(UpsampleConv, spectral=spectral),
        "aw": lambda i, o: _as_family(AWUpsampleConv(i, o), spectral),
    }
    return _look_up(known, name, "conv")


def _as_family(module: AWConv2d, spectral: bool) -> nn.Module:
    nn.init.normal_(module.weight, 0.0, WEIGHT_STD)
    return spectral_norm(module) if spectral else module


def attention_factory(name: AttentionName) -> AttentionFactory:
    """Return a factory `channels -> module` of the named attention, which keeps the shape; "none": the identity.

    Raises:
        ValueError: for an unknown name.
    """

    def multi_scale(channels: int) -> nn.Module:
        return EfficientMultiScaleAttention(channels, groups=max(1, min(32, channels // GROUP_CHANNELS)))

    known: Mapping[str, AttentionFactory] = {
        "none": nn.Identity,
        "efficient_multi_scale": multi_scale,
        "se": SqueezeExcitation,
    }
    return _look_up(known, name, "attention")


def skip_factory(name: str) -> Callable[..., nn.Module]:
    """Return the class of the named skip gate, called with (source_channels, target_channels, ...).

    Raises:
        ValueError: for an unknown name.
    """
    known: Mapping[str, Callable[..., nn.Module]] = {"sase": SynthesisSASE, "sle": SkipExcitation}
    return _look_up(known, name, "skip")


def _look_up(known: Mapping[str, Any], name: str, what: str) -> Any:
    if name not in known:
        raise ValueError(f"{what} is {name!r}; choose one of {', '.join(known)}")
    return known[name]
