"""Squeeze and excitation, the plain channel attention that the others are compared with: Hu et al., arXiv 1709.01507.

Deviation: the hidden width is rounded to a multiple of 8, at least 8, as in timm, whose weights fit.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class SqueezeExcitation(nn.Module):
    """Scale each channel by a gate read from all channels' means: y = x * sigmoid(W2 relu(W1 mean(x) + b1) + b2).

    Parameters: 2 C h + h + C with the hidden width h, C / reduction rounded to a multiple of `divisor` (1,096 at 64
    channels). Multiply-adds: 2 C h for each sample.

    Args:
        channels: of input and output.
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
        for name, value in (("channels", channels), ("reduction", reduction), ("divisor", divisor)):
            if value < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1")
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
        return x * gate.to(x.dtype)
