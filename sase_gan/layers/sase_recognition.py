"""SASE for recognition: a same-layer replacement of the 3x3 convolution of a residual block.

Source: the recognition half of SASE, arXiv 2112.14804, whose abstract says only that the module replaces
convolutions in ResNets. No recognition result, size or recipe of it is known to us, and none is claimed. The layer
follows the description of a module by the paper's second author that is documented as adapted from the paper: per group
of channels, a query map, a key vector and a value map; the value is weighted by a softmax over the group's channels.
Whether it equals the paper's module is unknown.

Deviations of ours: initialisation with the fan-out of one group (torch's fan-out ignores groups and would halve the
spread at four groups), stride 2 by average pooling with ceil mode (a floored pool turns 7 into 3, a strided
convolution and the shortcut give 4), and `gate_scale`.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sase_gan.layers.statistics import check_choice, check_counts, normalise, wide

GateScale = Literal["none", "channels"]


class SASEConv2d(nn.Module):
    """Map `channels` to `channels` like a 3x3 convolution with padding 1, with attention inside the layer.

    With G groups of c = channels / G channels (G is halved until it divides `channels`) and x_g the slice of a group,

        y_g = softmax over channels(q_g * k_g) * v_g, with r = max(4, c // ratio) and
        q_g = conv3x3(r->c) relu norm conv3x3(c->r) x_g            [batch, c, height, width]
        k_g = conv1x1(r->c) relu norm conv1x1(c->r) mean(x_g)      [batch, c, 1, 1]
        v_g = conv3x3(c->c) x_g                                    [batch, c, height, width]

    and with `stride` s the result is average-pooled s x s: the layer works at full size before it pools.

    Parameters: G (20 c r + 4 r + 3 c + 9 c^2), 14,592 at 64 channels where a plain convolution has 36,864. The gate
    averages 1 / c, so at initialisation the output's variance is of order c^-2: follow the layer with a norm, or set
    `gate_scale`. In training a batch of one uses the running statistics of the key's norm.

    Args:
        groups: at most; halved until it divides `channels`.
        ratio: c / r of the inner layers.
        stride: of the output, 1 or more.
        gate_scale: "channels" multiplies the gate by c, so that it averages 1.

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
        ratio: int = 4,
        stride: int = 1,
        *,
        gate_scale: GateScale = "none",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_counts(channels=channels, groups=groups, ratio=ratio, stride=stride)
        check_choice("gate_scale", gate_scale, ("none", "channels"))
        while channels % groups:
            groups //= 2
        self.channels, self.groups, self.stride = channels, groups, stride
        self.ratio, self.gate_scale = ratio, gate_scale
        self.group_channels = channels // groups
        inner = groups * max(4, self.group_channels // ratio)
        where: dict[str, Any] = {"device": device, "dtype": dtype}

        def conv(source: int, target: int, size: int, *, bias: bool) -> nn.Conv2d:
            return nn.Conv2d(source, target, size, padding=size // 2, groups=groups, bias=bias, **where)

        def branch(size: int) -> nn.Sequential:
            return nn.Sequential(
                conv(channels, inner, size, bias=False),
                nn.BatchNorm2d(inner, **where),
                nn.ReLU(inplace=True),
                conv(inner, channels, size, bias=True),
            )

        self.query, self.key = branch(3), branch(1)
        self.value = conv(channels, channels, 3, bias=True)
        pool = nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False)
        self.pool: nn.Module = pool if stride > 1 else nn.Identity()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw convolutions from Kaiming's normal with the fan-out of one group; biases 0, norms the identity."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.out_channels // module.groups * math.prod(module.kernel_size)
                nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / fan_out))
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels out_height out_width"]:
        """Map x to a map of the same channels, of sides divided by the stride and rounded up."""
        gate = self.gate(x)
        if self.gate_scale == "channels":
            gate = gate * self.group_channels
        value = self.value(x)
        return self.pool(value * gate.flatten(1, 2).to(value.dtype))

    def gate(self, x: Tensor) -> Tensor:
        """Compute the attention of x [N, C, H, W], summing to 1 over the channels of each group: [N, G, c, H, W]."""
        logits = _run(self.query, x) * _run(self.key, x.mean((2, 3), keepdim=True))
        return wide(logits).unflatten(1, (self.groups, self.group_channels)).softmax(2)

    def extra_repr(self) -> str:
        """Name what the submodules do not show."""
        options = f"ratio={self.ratio}, stride={self.stride}, gate_scale={self.gate_scale!r}"
        return f"{self.channels}, groups={self.groups}, {options}"


def _run(branch: nn.Module, x: Tensor) -> Tensor:
    """Apply the layers of a branch, its norms in the form that survives one value per channel."""
    for layer in branch.children():
        x = normalise(layer, x)
    return x
