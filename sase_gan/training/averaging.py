"""The running average of the generator's weights, on the clock of images seen."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel

from sase_gan.layers.spectral_norm import frozen_power_iteration

Network = TypeVar("Network", bound=nn.Module)


class WeightAverage(AveragedModel):
    """A copy of a network follows its parameters with a half-life; buffers are copied.

    After `batch` images the average keeps `beta = 0.5^(batch / half_life)` of itself. Early on the half-life is
    shortened to `ramp_up * images_seen`, so that the first weights are forgotten quickly (StyleGAN2, arXiv 1912.04958).

    Args:
        half_life: in images.
        ramp_up: share of the images seen that the half-life may not exceed; 0 turns the ramp off.

    Raises:
        ValueError: for a half-life that is not above 0.
    """

    def __init__(self, network: nn.Module, *, half_life: float, ramp_up: float = 0.05) -> None:
        if half_life <= 0:
            raise ValueError(f"half_life is {half_life} images; it must be above 0 (FastGAN's 0.999 a step is 5541)")
        super().__init__(network)
        self.half_life, self.ramp_up = half_life, ramp_up
        self.module.requires_grad_(False)

    def beta(self, batch: int, images_seen: int) -> float:
        """Return the share of the average that survives a batch; 0 at the very start."""
        half_life = min(self.half_life, self.ramp_up * images_seen) if self.ramp_up > 0 else self.half_life
        return 0.5 ** (batch / max(half_life, 1e-8))

    @torch.no_grad()
    def update(self, network: nn.Module, *, batch: int, images_seen: int) -> None:
        """Follow `network`, after a batch of so many images; `images_seen` includes it.

        In place of torch's `update_parameters`, which reads its counter back from the device in every step.
        """
        share = 1 - self.beta(batch, images_seen)
        torch._foreach_lerp_(list(self.module.parameters()), [p.detach() for p in network.parameters()], share)
        if buffers := list(network.buffers()):
            torch._foreach_copy_(list(self.module.buffers()), buffers)


@torch.no_grad()
def recalibrated(network: Network, batches: Iterable[tuple[Any, ...]]) -> Network:
    """Copy a network, in evaluation mode, with batch-norm statistics that are those of its own weights.

    An averaged network carries the running statistics of the network that it follows, and they do not belong to the
    averaged weights. The copy draws the given batches (arguments of its forward, a tuple a batch) in training mode and
    keeps the plain mean of their statistics.
    """
    copied = copy.deepcopy(network).train()
    norms = [module for module in copied.modules() if isinstance(module, _BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # plain mean over the batches instead of a running one
    for module in copied.modules():
        if hasattr(module, "parametrizations"):
            # The power iterations converge on averaged weights: each reading of a parametrised weight is a step.
            for _ in range(10):
                _ = module.weight
    with frozen_power_iteration(copied):
        for arguments in batches:
            copied(*arguments)
    for norm, original in zip(norms, (m for m in network.modules() if isinstance(m, _BatchNorm)), strict=True):
        norm.momentum = original.momentum
    return copied.eval()
