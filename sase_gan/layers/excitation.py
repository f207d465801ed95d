"""Channel gates without attention: squeeze and excitation, and the skip-layer excitation that SASE replaces.

Squeeze and excitation: Hu et al., arXiv 1709.01507. Skip-layer excitation: FastGAN, Liu et al. 2021, arXiv 2101.04775.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sase_gan.layers.primitives import conv
from sase_gan.layers.statistics import check_counts


class SkipExcitation(nn.Module):
    """Scale each channel of one map by a gate read from another: y = x * sigmoid(W2 silu(W1 pool(source))).

    Parameters: `pool_size^2 * source_channels * target_channels + target_channels^2`. Deviation: the convolutions come
    from a factory, so spectral normalisation is the network's choice.

    Args:
        pool_size: side to which the source is averaged before the first convolution.
        conv: makes a convolution from (in_channels, out_channels, kernel_size).

    Raises:
        ValueError: if `pool_size` is below 1.
    """

    def __init__(
        self, source_channels: int, target_channels: int, *, pool_size: int = 4, conv: Callable[..., nn.Module] = conv
    ) -> None:
        super().__init__()
        check_counts(pool_size=pool_size)
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


class SqueezeExcitation(nn.Module):
    """Scale each channel by a gate read from all channels' means: y = x * sigmoid(W2 relu(W1 mean(x) + b1) + b2).

    Parameters: 2 C h + h + C with the hidden width h, C / reduction rounded to a multiple of `divisor` (1,096 at 64
    channels). Multiply-adds: 2 C h for each sample. Deviation: the rounding is timm's, whose weights fit.

    Args:
        reduction: C / h before rounding.
        divisor: of h, and the least h.
        bias: whether W1 and W2 have shifts b1 and b2.
        act_layer: accepted for slots that pass one; unused.

    Raises:
        ValueError: for a number below 1.

    Example:
        >>> SqueezeExcitation(64)(torch.zeros(2, 64, 5, 7)).shape
        torch.Size([2, 64, 5, 7])
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 16,
        divisor: int = 8,
        bias: bool = True,
        act_layer: Any = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_counts(channels=channels, reduction=reduction, divisor=divisor)
        hidden = max(divisor, int(channels / reduction + divisor / 2) // divisor * divisor)
        self.fc1 = nn.Conv2d(channels, hidden, 1, bias=bias, device=device, dtype=dtype)
        self.fc2 = nn.Conv2d(hidden, channels, 1, bias=bias, device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Draw all weights as torch does by default."""
        self.fc1.reset_parameters()
        self.fc2.reset_parameters()

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Scale every channel."""
        gate = self.fc2(F.relu(self.fc1(x.mean((2, 3), keepdim=True)))).sigmoid()
        return x * gate
