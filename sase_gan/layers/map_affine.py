"""Statistics and affine maps of each channel of each sample, in as few passes over a map as torch's kernels allow.

On CPUs a pass over a large map costs what a convolution costs, and an expression such as `(x - mean).square()` takes
one for every operation, forwards and backwards. The kernels of batch normalisation sum and scale a map in one pass,
in float32 whatever the map's type; here they serve maps whose channels are (sample, channel). `reference.plain` has the
definitions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sase_gan.layers.statistics import is_channels_last

Moments = tuple[Tensor, Tensor]


def takes_few_passes(x: Tensor, statistics: torch.dtype) -> bool:
    """Tell whether the functions of this file serve a map: of some pixels, on a CPU, and neither compiled nor exported.

    Of an empty batch torch's kernel ends the process with a division by zero. Compilers fuse the plain expressions
    themselves. `statistics` is the type of the numbers that the map is scaled by.
    """
    on_cpu = x.device.type == "cpu" and not torch.compiler.is_compiling()
    return (
        on_cpu
        and len(x) > 0
        and x.shape[2] * x.shape[3] > 1
        and statistics == torch.promote_types(x.dtype, torch.float32)
    )


def moments(x: Tensor) -> Moments:
    """Compute mean and biased variance over the map, each `[batch, channels]`, of `[batch, channels, height, width]`.

    The sums are in float32, or float64 for such a map. Differentiable twice.
    """
    return _MapMoments.apply(x)


def affine(x: Tensor, scale: Tensor, centre: Tensor, shift: Tensor) -> Tensor:
    """Compute `scale * (x - centre) + shift` with one value of each for every sample and channel: `[batch, channels]`.

    The three are in at least float32; the result has the type and memory format of `x`. Differentiable twice.
    """
    return _MapAffine.apply(x, scale, centre, shift)


class _MapMoments(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Moments:
        mean, variance = _moments(x)
        ctx.save_for_backward(x, mean)
        return mean, variance

    @staticmethod
    def backward(ctx: Any, mean_gradient: Tensor, variance_gradient: Tensor) -> Tensor:
        x, mean = ctx.saved_tensors
        pixels = x.shape[2] * x.shape[3]
        if torch.is_grad_enabled():  # the gradient itself is to be differentiated
            mean = x.to(mean.dtype).mean((2, 3))
            return affine(x, variance_gradient * (2 / pixels), mean, mean_gradient / pixels)
        return _affine(x, variance_gradient * (2 / pixels), mean, mean_gradient / pixels)


class _MapAffine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, centre: Tensor, shift: Tensor) -> Tensor:
        ctx.save_for_backward(x, scale, centre)
        return _affine(x, scale, centre, shift)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, centre = ctx.saved_tensors
        if torch.is_grad_enabled():
            wide = gradient.to(scale.dtype)
            centred = x.to(scale.dtype) - centre[:, :, None, None]
            summed, weighted = wide.sum((2, 3)), (wide * centred).sum((2, 3))
            back = (wide * scale[:, :, None, None]).to(x.dtype)
            return back, weighted, -scale * summed, summed
        gradient = _like(gradient, x)
        weighted, summed = _sums(gradient, x, centre)
        back = _affine(gradient, scale, torch.zeros_like(scale), torch.zeros_like(scale))
        return back, weighted, -scale * summed, summed


def _like(gradient: Tensor, x: Tensor) -> Tensor:
    return gradient.contiguous(memory_format=torch.channels_last if is_channels_last(x) else torch.contiguous_format)


def _slices(x: Tensor) -> list[Tensor]:
    """View a map as maps of a single sample whose channels have values of their own."""
    if is_channels_last(x):
        return list(x.split(1))
    return [x.contiguous().view(1, -1, *x.shape[2:])]


def _moments(x: Tensor) -> Moments:
    count, channels = x.shape[:2]
    pixels = x.shape[2] * x.shape[3]
    if x.dtype in (torch.float32, torch.float64) and not is_channels_last(x):
        # The kernel below is six times slower for float32 channels first.
        mean = x.mean((2, 3))
        return mean, _sums(x, x, mean)[0] / pixels
    # Running statistics of the wide type, with a momentum of 0, tell the kernel to return that type.
    wide = torch.promote_types(x.dtype, torch.float32)
    spare = (torch.zeros(part.shape[1], dtype=wide, device=x.device) for part in _slices(x) for _ in range(2))
    found = [torch.batch_norm_update_stats(part, next(spare), next(spare), 0.0) for part in _slices(x)]
    mean, variance = (torch.stack(values).view(count, channels) for values in zip(*found, strict=True))
    return mean, variance


def _affine(x: Tensor, scale: Tensor, centre: Tensor, shift: Tensor) -> Tensor:
    shift = torch.addcmul(shift, scale, centre, value=-1)
    if is_channels_last(x) and x.dtype == scale.dtype:
        return torch.addcmul(shift[:, :, None, None], scale[:, :, None, None], x)
    result = torch.empty_like(x) if is_channels_last(x) else torch.empty_like(x, memory_format=torch.contiguous_format)
    parts = _slices(x)
    nothing, unit = torch.zeros_like(scale), torch.ones_like(scale)
    rows = (values.reshape(len(parts), -1) for values in (scale, shift, nothing, unit))
    for part, out, *given in zip(parts, _slices(result), *rows, strict=True):
        spare = scale.new_empty(0), scale.new_empty(0)
        torch.ops.aten.native_batch_norm.out(
            part, *given, False, 0.0, 0.0, out=out, save_mean=spare[0], save_invstd=spare[1]
        )
    return result


def _sums(gradient: Tensor, x: Tensor, centre: Tensor) -> Moments:
    """Sum `gradient * (x - centre)` and `gradient` over the map, each `[batch, channels]`."""
    parts, gradients = _slices(x), _slices(gradient)
    unit = torch.ones_like(centre)
    found = []
    for part, given, mean, one in zip(
        parts, gradients, centre.reshape(len(parts), -1), unit.reshape(len(parts), -1), strict=True
    ):
        _, weighted, summed = torch.ops.aten.native_batch_norm_backward(
            given, part, one, None, None, mean, one, True, 0.0, [False, True, True]
        )
        found.append((weighted, summed))
    weighted, summed = (torch.stack(values).view(centre.shape) for values in zip(*found, strict=True))
    return weighted, summed
