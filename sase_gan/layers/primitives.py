"""Small parts of the FastGAN family: Liu et al. 2021, arXiv 2101.04775; written from the description."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sase_gan.layers.spectral_norm import spectral_norm

NormFactory = Callable[[int], nn.Module]
"""From channels to a normalisation."""

WEIGHT_STD = 0.02
"""Standard deviation of the first weights. Under spectral normalisation it only sets Adam's relative step."""


def conv(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    stride: int = 1,
    padding: int = 0,
    bias: bool = False,
    spectral: bool = True,
) -> nn.Conv2d:
    """Build a convolution as this family uses it: weights N(0, 0.02^2), no bias, spectrally normalised."""
    module = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=bias)
    nn.init.normal_(module.weight, 0.0, WEIGHT_STD)
    return spectral_norm(module) if spectral else module


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Build a batch normalisation with the family's start: weight N(1, 0.02^2), bias 0."""
    module = nn.BatchNorm2d(channels)
    nn.init.normal_(module.weight, 1.0, WEIGHT_STD)
    return module


def instance_norm(channels: int) -> nn.GroupNorm:
    """Build a norm of each map of each sample by itself, with the family's start: samples do not meet."""
    module = nn.GroupNorm(channels, channels)
    nn.init.normal_(module.weight, 1.0, WEIGHT_STD)
    return module


class GatedLinearUnit(nn.Module):
    """Multiply the first half of the channels by the sigmoid of the second: `[b, 2c, h, w]` to `[b, c, h, w]`."""

    def forward(self, x: Float[Tensor, "batch double height width"]) -> Float[Tensor, "batch half height width"]:
        """Return the gated half."""
        return F.glu(x, dim=1)


class NoiseInjection(nn.Module):
    """Add one map of Gaussian noise, the same for all channels, with a learnt strength that starts at 0.

    The noise is an argument, so that the caller decides whether it is random, fixed, or left out (None).
    """

    def __init__(self) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(
        self, x: Float[Tensor, "batch channels height width"], noise: Float[Tensor, "batch 1 height width"] | None
    ) -> Float[Tensor, "batch channels height width"]:
        """Return `x` with the noise added; `x` itself when `noise` is None."""
        return x if noise is None else x + self.strength.to(x.dtype) * noise.to(x.dtype)
