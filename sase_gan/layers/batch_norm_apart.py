"""Batch normalisation of several batches in one pass through a network, each by its own statistics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class BatchNormApart(nn.BatchNorm2d):
    """Normalise as `torch.nn.BatchNorm2d`; within `batches_apart`, equal parts of the batch as batches of their own.

    The running statistics advance once for each part, in their order. Parts that are normalised together take one call
    of every other layer instead of several. Differentiable once where there are several parts.
    """

    parts = 1

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `[parts * batch, channels, height, width]`."""
        if self.parts == 1 or not self.training:
            return super().forward(x)
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(self.parts)
        running = self.running_mean, self.running_var
        return _Apart.apply(x, self.weight, self.bias, *running, self.momentum, self.eps, self.parts)


@contextmanager
def batches_apart(network: nn.Module, parts: int) -> Iterator[None]:
    """Let every such norm of a network treat so many equal parts of its batch apart within the block."""
    norms = [module for module in network.modules() if isinstance(module, BatchNormApart)]
    for norm in norms:
        norm.parts = parts
    try:
        yield
    finally:
        for norm in norms:
            norm.parts = 1


class _Apart(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        running_mean: Tensor,
        running_var: Tensor,
        momentum: float,
        eps: float,
        parts: int,
    ) -> Tensor:
        result = torch.empty_like(x)
        saved = []
        for part, out in zip(x.chunk(parts), result.chunk(parts), strict=True):
            mean, deviation = torch.empty_like(running_mean), torch.empty_like(running_mean)
            torch.ops.aten.native_batch_norm.out(
                part,
                weight,
                bias,
                running_mean,
                running_var,
                True,
                momentum,
                eps,
                out=out,
                save_mean=mean,
                save_invstd=deviation,
            )
            saved += [mean, deviation]
        ctx.save_for_backward(x, weight, *saved)
        ctx.eps, ctx.parts = eps, parts
        return result

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, *saved = ctx.saved_tensors
        mask = list(ctx.needs_input_grad[:3])
        found = [
            torch.ops.aten.native_batch_norm_backward(
                given, part, weight, None, None, mean, deviation, True, ctx.eps, mask
            )
            for given, part, mean, deviation in zip(
                gradient.chunk(ctx.parts), x.chunk(ctx.parts), saved[::2], saved[1::2], strict=True
            )
        ]
        by_x, by_weight, by_bias = zip(*found, strict=True)
        joined = torch.cat(by_x) if mask[0] else None
        sums = [sum(each) if needed else None for each, needed in zip((by_weight, by_bias), mask[1:], strict=True)]
        return joined, *sums, *[None] * 5
