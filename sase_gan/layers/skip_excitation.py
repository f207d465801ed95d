"""Skip-layer excitation, the baseline that SASE replaces. FastGAN: Liu et al. 2021, arXiv 2101.04775.

Deviation: the convolutions come from a factory, so spectral normalisation is the network's choice.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sase_gan.layers.primitives import conv


class SkipExcitation(nn.Module):
    """Scale each channel of one map by a gate read from another: y = x * sigmoid(W2 silu(W1 pool(source))).

    Parameters: `pool_size^2 * source_channels * target_channels + target_channels^2`.

    Args:
        source_channels: of the map that the gate is read from.
        target_channels: of the map that is scaled.
        pool_size: side to which the source is averaged before the first convolution.
        conv: makes a convolution from (in_channels, out_channels, kernel_size).

    Raises:
        ValueError: if `pool_size` is below 1.
    """

    def __init__(
        self, source_channels: int, target_channels: int, *, pool_size: int = 4, conv: Callable[..., nn.Module] = conv
    ) -> None:
        super().__init__()
        if pool_size < 1:
            raise ValueError(f"pool_size is {pool_size}; it must be at least 1 (the usual value is 4)")
        self.pool_size = pool_size
        self.squeeze = conv(source_channels, target_channels, pool_size)
        self.excite = conv(target_channels, target_channels, 1)

    def forward(
        self,
        source: Float[Tensor, "batch source_channels source_height source_width"],
        target: Float[Tensor, "batch target_channels height width"],
        noise: None = None,
    ) -> Float[Tensor, "batch target_channels height width"]:
        """Scale the target. `noise` is part of the skip contract; this layer takes none."""
        pooled = F.adaptive_avg_pool2d(source, self.pool_size)
        return target * self.excite(F.silu(self.squeeze(pooled))).sigmoid()
