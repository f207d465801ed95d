"""Small parts of the FastGAN family: Liu et al. 2021, arXiv 2101.04775; written from the description."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sase_gan.layers.spectral_norm import spectral_norm
from sase_gan.layers.statistics import constant, like

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
        return gated_halves(x)


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


def gated_halves(x: Tensor) -> Tensor:
    """Compute `F.glu(x, dim=1)`; on a CPU with a gradient in the memory format of `x`, and fast channels-last.

    Torch's own gradient is always channels first, and every layer before it would leave its fast path.
    """
    if x.device.type != "cpu" or not x.requires_grad or torch.compiler.is_compiling():
        return F.glu(x, dim=1)
    return _GatedHalves.apply(x)


class _GatedHalves(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        # Half precision on runs of a few channels is five times slower than float32.
        return F.glu(x.float(), dim=1).to(x.dtype) if _is_half_channels_last(x) else F.glu(x, dim=1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient itself is to be differentiated
            value, gate = x.chunk(2, 1)
            gate = gate.sigmoid()
            return torch.cat([gradient * gate, gradient * value * gate * (1 - gate)], 1)
        wide = x.float() if _is_half_channels_last(x) else x
        result = torch.empty_like(wide)
        torch.ops.aten.glu_backward.grad_input(gradient.to(wide.dtype), wide, 1, grad_input=result)
        return result.to(x.dtype)


def _is_half_channels_last(x: Tensor) -> bool:
    return x.dtype in (torch.bfloat16, torch.float16) and not x.is_contiguous()


# Row a, column p: whether kernel tap p of the 3x3 convolution contributes to tap a of the equivalent 4x4 kernel.
_SUMMED_TAPS = ((0.0, 0.0, 1.0), (0.0, 1.0, 1.0), (1.0, 1.0, 0.0), (1.0, 0.0, 0.0))

FEW_PIXELS = 16
"""Up to so many pixels of its input, an upsampling convolution is two matrix products."""


def upsample_conv(x: Tensor, weight: Tensor) -> Tensor:
    """Upsample by 2 (nearest), then convolve 3x3 with zero padding, as one transposed convolution of stride 2.

    After nearest upsampling, several taps of the 3x3 kernel read the same input pixel; summing them first leaves four
    2x2 kernels, one for each output phase, which together are a 4x4 transposed kernel. Equal to
    the definition to rounding, borders included, with 16 instead of 36 multiplications for each input pixel. The
    weight is `[out_channels, in_channels, 3, 3]`.

    A map of a few pixels has less numbers than the weight, so there nothing is done to the weight: its nine taps are
    applied to every input pixel, and the products are summed where they fall.
    """
    if x.shape[2] * x.shape[3] <= FEW_PIXELS:
        return _upsample_conv_of_few_pixels(x, weight)
    taps = constant(_summed_taps, weight.dtype, weight.device)
    kernel = torch.einsum("ap,bq,oipq->ioab", taps, taps, weight)
    return F.conv_transpose2d(x, kernel, stride=2, padding=1)


def _upsample_conv_of_few_pixels(x: Tensor, weight: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    products = x.permute(0, 2, 3, 1).reshape(-1, channels) @ weight.permute(0, 2, 3, 1).reshape(-1, channels).T
    products = products.view(batch, height * width, -1, 9).transpose(1, 2).reshape(-1, height * width * 9)
    falls = constant(partial(_where_taps_fall, height, width), products.dtype, x.device)
    return like((products @ falls).view(batch, -1, 2 * height, 2 * width), x)


def _summed_taps() -> Tensor:
    return torch.tensor(_SUMMED_TAPS)


def _where_taps_fall(height: int, width: int) -> Tensor:
    """Tell which output pixels `[4 * height * width]` each tap of each input pixel `[height * width * 9]` adds to."""
    pixels = torch.eye(height * width).view(-1, 1, height, width)
    upsampled = F.interpolate(pixels, scale_factor=2, mode="nearest")
    return F.unfold(upsampled, 3, padding=1).reshape(height * width * 9, -1)


class UpsampleConv(nn.Module):
    """Upsample by 2 (nearest), then convolve 3x3 without bias: `[b, i, h, w]` to `[b, o, 2h, 2w]`.

    Computed as one transposed convolution (`upsample_conv`), which is exact and needs 2.25 times fewer multiplications.
    """

    def __init__(self, in_channels: int, out_channels: int, *, spectral: bool = True) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.weight = conv(in_channels, out_channels, 3, spectral=False).weight
        if spectral:
            spectral_norm(self)

    def forward(
        self, x: Float[Tensor, "batch in_channels height width"]
    ) -> Float[Tensor, "batch out_channels double_height double_width"]:
        """Convolve at twice the size."""
        return upsample_conv(x, self.weight)

    def extra_repr(self) -> str:
        """Name the channels in a printed model."""
        return f"{self.in_channels}, {self.out_channels}"
