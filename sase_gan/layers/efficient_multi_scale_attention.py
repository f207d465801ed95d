"""Efficient multi-scale attention with cross-spatial learning: Ouyang et al., ICASSP 2023, arXiv 2305.13563.

Written from the formulae of the released module; the paper's own short name is not used here, because it means the
averaging of weights elsewhere. Notes on the released form:

* One channel per normalisation group makes every channel's spatial mean equal to its bias, so the first of the two
  descriptors is a learned constant, the same for every image. `variant="released"` keeps that; "pre_norm_pool" pools
  before the normalisation and "layer_gn" normalises all channels of a group together, at the same parameters.
* The released code fails on channel counts that its 32 groups do not divide; `divisor_fallback` takes the largest
  divisor that is not above `groups`.
* At initialisation the gate is near 0.5, which halves the activations of a pretrained network.

Deviation: plain means instead of adaptive pools, whose backward pass is not deterministic on CUDA.
"""

from __future__ import annotations

import warnings
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sase_gan.layers.statistics import check_choice, check_counts, like, wide

Variant = Literal["released", "pre_norm_pool", "layer_gn"]


class EfficientMultiScaleAttention(nn.Module):
    """Gate every position of every channel group: y = u * sigmoid(m), u = x folded to [N G, c, H, W], c = channels / G.

    The groups share all weights. With r and s the means over the width and over the height, passed together through
    one 1x1 convolution: e = u sigmoid(r) sigmoid(s), a = GroupNorm(e), b = conv3x3(u),
    p = softmax over channels of mean(a), q = softmax over channels of mean(b), m = sum_c p_c b_c + sum_c q_c a_c.

    Parameters: 10 c^2 + 4 c (48 at c = 2, 41,216 at c = 64). Multiply-adds: about 9 channels c H W; cheap in
    parameters, not in compute (ResNet-50: 5.04 instead of 4.09 G).

    Args:
        groups: wanted number of groups.
        variant: where the first descriptor comes from, see the module's text.
        divisor_fallback: whether to take fewer groups when `groups` does not divide `channels`.
        act_layer: accepted for slots that pass one; unused.

    Raises:
        ValueError: for an unknown variant, counts below 1, or groups that do not divide without the fallback.

    Example:
        >>> EfficientMultiScaleAttention(144)(torch.zeros(1, 144, 5, 7)).shape
        torch.Size([1, 144, 5, 7])
    """

    def __init__(
        self,
        channels: int,
        groups: int = 32,
        *,
        variant: Variant = "released",
        divisor_fallback: bool = True,
        act_layer: Any = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_counts(channels=channels, groups=groups)
        check_choice("variant", variant, ("released", "pre_norm_pool", "layer_gn"))
        if channels % groups:
            if not divisor_fallback:
                raise ValueError(
                    f"{channels} channels cannot be split into {groups} groups; "
                    "choose a divisor or set divisor_fallback=True"
                )
            groups = max(divisor for divisor in range(1, min(groups, channels) + 1) if channels % divisor == 0)
        self.channels, self.groups, self.variant = channels, groups, variant
        self.group_channels = inner = channels // groups
        if inner == 1:
            warnings.warn(
                f"{channels} channels in {groups} groups leave one channel a group: both softmaxes are 1; "
                "use fewer groups",
                stacklevel=2,
            )
        self.conv1x1 = nn.Conv2d(inner, inner, 1, device=device, dtype=dtype)
        self.conv3x3 = nn.Conv2d(inner, inner, 3, padding=1, device=device, dtype=dtype)
        self.norm = nn.GroupNorm(1 if variant == "layer_gn" else inner, inner, device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Draw all weights as torch does by default, as the released module leaves them."""
        for part in (self.conv1x1, self.conv3x3, self.norm):
            part.reset_parameters()

    def descriptors(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return p and q, each [N, groups, c] and summing to 1 over c, for x [N, channels, H, W]."""
        p, q = (part.reshape(x.shape[0], self.groups, self.group_channels) for part in self._branches(x)[3:])
        return p, q

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Gate every position of every group of channels."""
        u, a, b, p, q = self._branches(x)
        m = torch.matmul(p.unsqueeze(1), b.flatten(2)) + torch.matmul(q.unsqueeze(1), a.flatten(2))
        gate = m.reshape(m.shape[0], 1, *x.shape[-2:]).sigmoid().to(u.dtype)
        # The reshape of a channels_last map may be another layout than the input's: the copy keeps the caller's.
        return like((u * gate).reshape(x.shape), x)

    def _branches(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        # The batch size is written out: with an empty batch a -1 would be ambiguous.
        height, width = x.shape[-2:]
        u = x.reshape(x.shape[0] * self.groups, self.group_channels, height, width)
        rows = u.mean(3, keepdim=True)
        columns = u.mean(2, keepdim=True).transpose(2, 3)
        joint = self.conv1x1(torch.cat([rows, columns], dim=2)).sigmoid()
        rows, columns = joint.split([height, width], dim=2)
        e = wide(u * rows * columns.transpose(2, 3))
        norm = self.norm
        # The functional form of nn.GroupNorm refuses a single 1x1 map; here its result is simply the bias.
        a = torch.group_norm(e, norm.num_groups, norm.weight.to(e.dtype), norm.bias.to(e.dtype), norm.eps)
        b = wide(self.conv3x3(u))
        p = (e if self.variant == "pre_norm_pool" else a).mean((2, 3)).softmax(1)
        q = b.mean((2, 3)).softmax(1)
        return u, a, b, p, q

    def extra_repr(self) -> str:
        """Name what the submodules do not show."""
        return f"{self.channels}, groups={self.groups}, variant={self.variant!r}"
