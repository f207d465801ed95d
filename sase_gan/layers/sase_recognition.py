"""SASE for recognition: a same-layer replacement of the 3x3 convolution of a residual block.

Source: the recognition half of SASE, arXiv 2112.14804, whose abstract says only that the module replaces
convolutions in ResNets. No recognition result, size or recipe of it is known to us, and none is claimed. Two designs:

* Design "A" (default) follows the description of a module by the paper's second author that is documented as adapted
  from the paper: per group of channels, a query map, a key vector and a value map; the value is weighted by a softmax
  over the group's channels. Whether it equals the paper's module is unknown.
* Design "B" is our literal reading of the abstract: masks by position, styles by image, a grouped convolution.

Deviations of ours: initialisation with the fan-out of one group (torch's fan-out ignores groups and would halve the
spread at four groups), stride 2 by average pooling with ceil mode (a floored pool turns 7 into 3, a strided
convolution and the shortcut give 4), `gate_scale` and `key_norm`.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sase_gan.layers.statistics import normalise, wide

Design = Literal["A", "B"]
GateScale = Literal["none", "channels"]
KeyNorm = Literal["batch", "group"]


class SASEConv2d(nn.Module):
    """Map `channels` to `channels` like a 3x3 convolution with padding 1, with attention inside the layer.

    With G groups of c = channels / G channels (G is halved until it divides `channels`) and x_g the slice of a group:

    * A: y_g = softmax over channels(q_g * k_g) * v_g, with r = max(4, c // ratio) and
      q_g = conv3x3(r->c) relu norm conv3x3(c->r) x_g, a map [N, c, H, W];
      k_g = conv1x1(r->c) relu norm conv1x1(c->r) mean(x_g), a vector [N, c, 1, 1];
      v_g = conv3x3(c->c) x_g. With `stride` s the result is average-pooled s x s.
    * B: y = X * (1 + sum_g m_g s_g / (sum_g m_g + 1e-6)), X a 3x3 convolution in G groups with `stride`,
      s_g a style of all channels from the mean of x_g, m_g in (0, 1) a mask [N, 1, H, W] from x_g, resized to X.

    Parameters: A: G (20 c r + 4 r + 3 c + 9 c^2), 14,592 at 64 channels where a plain convolution has 36,864;
    B: G (2 c r + 13 r + r p + p + 18 r^2 + 1) + 9 p^2 / G with p = channels, 12,372 at 64. A works at full size
    before it pools. In A the gate averages 1 / c, so at initialisation the output's variance is of order
    c^-2: follow the layer with a norm, or set `gate_scale`.

    Args:
        channels: of the input and of the output.
        groups: at most; halved until it divides `channels`.
        ratio: c / r of the inner layers; None takes 4 for design A and 16 for B.
        stride: of the output, 1 or more.
        design: which of the two readings.
        gate_scale: "channels" multiplies design A's gate by c, so that it averages 1.
        key_norm: norm of the pooled branch. "batch" is noisy for small batches, and in training a batch of one uses
            its running statistics; "group" normalises each group's r values within an image.

    Raises:
        ValueError: when an argument is out of its range.

    Example:
        >>> SASEConv2d(64, stride=2)(torch.zeros(2, 64, 7, 7)).shape
        torch.Size([2, 64, 4, 4])
    """

    def __init__(
        self,
        channels: int,
        groups: int = 4,
        ratio: int | None = None,
        stride: int = 1,
        *,
        design: Design = "A",
        gate_scale: GateScale = "none",
        key_norm: KeyNorm = "batch",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        _check(channels, groups, ratio, stride, design, gate_scale, key_norm)
        while channels % groups:
            groups //= 2
        self.channels, self.groups, self.stride = channels, groups, stride
        self.ratio = ratio if ratio is not None else {"A": 4, "B": 16}[design]
        self.design, self.gate_scale, self.key_norm = design, gate_scale, key_norm
        self.group_channels = channels // groups
        inner = groups * max(4, self.group_channels // self.ratio)
        self.inner_channels = inner
        where: dict[str, Any] = {"device": device, "dtype": dtype}

        def conv(source: int, target: int, size: int, *, bias: bool, dilation: int = 1, stride: int = 1) -> nn.Conv2d:
            padding = dilation * (size // 2)
            return nn.Conv2d(source, target, size, stride, padding, dilation, groups, bias, **where)

        def pooled_norm() -> nn.Module:
            return nn.BatchNorm2d(inner, **where) if key_norm == "batch" else nn.GroupNorm(groups, inner, **where)

        if design == "A":
            self.query = nn.Sequential(
                conv(channels, inner, 3, bias=False),
                nn.BatchNorm2d(inner, **where),
                nn.ReLU(inplace=True),
                conv(inner, channels, 3, bias=True),
            )
            self.key = nn.Sequential(
                conv(channels, inner, 1, bias=False),
                pooled_norm(),
                nn.ReLU(inplace=True),
                conv(inner, channels, 1, bias=True),
            )
            self.value = conv(channels, channels, 3, bias=True)
            self.pool: nn.Module = nn.Identity()
            if stride > 1:
                self.pool = nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False)
        else:
            self.style = nn.Sequential(
                conv(channels, inner, 1, bias=True),
                pooled_norm(),
                nn.ReLU(inplace=True),
                conv(inner, groups * channels, 1, bias=True),
            )
            self.mask = nn.Sequential(
                conv(channels, inner, 1, bias=True),
                nn.BatchNorm2d(inner, **where),
                nn.ReLU(inplace=True),
                conv(inner, inner, 3, bias=True, dilation=2),
                nn.BatchNorm2d(inner, **where),
                nn.ReLU(inplace=True),
                conv(inner, inner, 3, bias=True, dilation=2),
                nn.BatchNorm2d(inner, **where),
                nn.ReLU(inplace=True),
                conv(inner, groups, 1, bias=True),
            )
            self.value = conv(channels, channels, 3, bias=False, stride=stride)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw convolutions from Kaiming's normal with the fan-out of one group; biases 0, norms the identity."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.out_channels // module.groups * math.prod(module.kernel_size)
                nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / fan_out))
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
                module.reset_parameters()

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels out_height out_width"]:
        """Map x to a map of the same channels, of sides divided by the stride and rounded up."""
        return self._attend(x) if self.design == "A" else self._restyle(x)

    def gate(self, x: Tensor) -> Tensor:
        """Design A's attention of x [N, C, H, W], summing to 1 over the channels of each group: [N, G, c, H, W]."""
        if self.design != "A":
            raise ValueError('only design "A" has a channel gate; design "B" has masks and styles')
        query = _run(self.query, x)
        logits = query * _run(self.key, x.mean((2, 3), keepdim=True))
        return wide(logits).unflatten(1, (self.groups, self.group_channels)).softmax(2)

    def _attend(self, x: Tensor) -> Tensor:
        gate = self.gate(x)
        if self.gate_scale == "channels":
            gate = gate * self.group_channels
        value = self.value(x)
        return self.pool(value * gate.flatten(1, 2).to(value.dtype))

    def _restyle(self, x: Tensor) -> Tensor:
        value = self.value(x)
        style = wide(_run(self.style, x.mean((2, 3), keepdim=True)))
        style = style.reshape(-1, self.groups, self.channels)
        mask = wide(_run(self.mask, x)).sigmoid()
        mask = F.interpolate(mask, size=value.shape[-2:], mode="nearest")
        weights = (mask / (mask.sum(1, keepdim=True) + 1e-6)).flatten(2)
        gain = torch.matmul(style.transpose(1, 2), weights).reshape(value.shape)
        return value * (1.0 + gain).to(value.dtype)

    def extra_repr(self) -> str:
        """Name what the submodules do not show."""
        return (
            f"{self.channels}, groups={self.groups}, ratio={self.ratio}, stride={self.stride}, design={self.design!r}, "
            f"gate_scale={self.gate_scale!r}, key_norm={self.key_norm!r}"
        )


def _run(branch: nn.Module, x: Tensor) -> Tensor:
    """Apply the layers of a branch, its norms in the form that survives one value per channel."""
    for layer in branch.children():
        x = normalise(layer, x)
    return x


def _check(
    channels: int, groups: int, ratio: int | None, stride: int, design: str, gate_scale: str, key_norm: str
) -> None:
    for name, value in (("channels", channels), ("groups", groups), ("stride", stride)):
        if value < 1:
            raise ValueError(f"{name} is {value}; it must be at least 1")
    if ratio is not None and ratio < 1:
        raise ValueError(f"ratio is {ratio}; it must be at least 1 (the usual value is 4)")
    if design not in ("A", "B"):
        raise ValueError(f'design is {design!r}; it must be "A" or "B"')
    if gate_scale not in ("none", "channels"):
        raise ValueError(f'gate_scale is {gate_scale!r}; it must be "none" or "channels"')
    if design == "B" and gate_scale != "none":
        raise ValueError('gate_scale has no effect in design "B"; leave it at "none"')
    if key_norm not in ("batch", "group"):
        raise ValueError(f'key_norm is {key_norm!r}; it must be "batch" or "group"')
