"""Attention on convolution weights, after AW-convolution: Zhu, Hofstee, Lee, Al-Ars, ICANN 2021, arXiv 2108.08205.

Our reading of the paper; no parity with the authors' network is claimed and no public code of theirs is known.
Known: each sample has an attention map of the kernel's shape, O = Conv(I, A * K) elementwise, made by average pooling
and two pointwise convolutions. Ours: the reduction, the norms, the last activation, that the map is copied along input
channels, and the residual K + A * K. A full map for every kernel entry would make ResNet-50 60.2 M parameters, so some
copying along an axis is needed. In training one image and a 1x1 kernel leave the map's norms one value a channel: that
call uses their running statistics.
"""

from __future__ import annotations

import operator
from functools import reduce
from itertools import product
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sase_gan.layers.statistics import check_choice, check_counts, like, normalise

Activation = Literal["sigmoid", "tanh", "none"]
Backend = Literal["auto", "grouped", "taps"]


class AWConv2d(nn.Conv2d):
    """Convolve as `torch.nn.Conv2d`, with a kernel scaled for every sample: O_n = Conv(x_n, K * (1 + A_n)).

    A_n = activation(norm(conv1x1(relu(norm(conv1x1(pool(x_n))))))), the pool being adaptive to the kernel's size, has
    one map for each output channel, which serves all input channels. All arguments of `torch.nn.Conv2d` are accepted;
    its `weight` and `bias` keep their names, and the bias is not scaled.

    Extra parameters: r (C1 + C2) + 2 r + 2 C2 with r = max(rd_min, C1 // reduction); 648 at 64 channels.
    The kernel depends on the input in evaluation mode too, so no norm can be folded into it. Counters of
    multiply-adds miss the scaling itself: kh kw C1 C2 / groups multiplications per sample.

    Args:
        reduction: C1 / r of the generator of the map.
        rd_min: least r.
        residual: whether the kernel is K (1 + A) or K A.
        backend: two equal ways to compute it. "grouped": one convolution with N groups, keeps N kernels; "taps": a
            sum over kernel positions of scaled 1x1 convolutions, keeps kh kw output maps. "auto" takes the smaller by
            shape, and "taps", which exports with a free batch size, when exported.
        chunk: at most so many samples at a time, to bound the memory.

    Raises:
        ValueError: for an argument out of its range.

    Example:
        >>> AWConv2d(8, 16, 3, stride=2, padding=1)(torch.zeros(2, 8, 9, 9)).shape
        torch.Size([2, 16, 5, 5])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = False,
        padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros",
        *,
        reduction: int = 16,
        rd_min: int = 4,
        activation: Activation = "sigmoid",
        residual: bool = True,
        backend: Backend = "auto",
        chunk: int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_counts(in_channels=in_channels, out_channels=out_channels, reduction=reduction, rd_min=rd_min)
        check_counts(chunk=1 if chunk is None else chunk)
        check_choice("activation", activation, ("sigmoid", "tanh", "none"))
        check_choice("backend", backend, ("auto", "grouped", "taps"))
        where: dict[str, Any] = {"device": device, "dtype": dtype}
        geometry = kernel_size, stride, padding, dilation, groups
        super().__init__(in_channels, out_channels, *geometry, bias, padding_mode, **where)
        self.activation, self.residual, self.backend, self.chunk = activation, residual, backend, chunk
        inner = max(rd_min, in_channels // reduction)
        self.squeeze = nn.Conv2d(in_channels, inner, 1, bias=False, **where)
        self.squeeze_norm = nn.BatchNorm2d(inner, **where)
        self.excite = nn.Conv2d(inner, out_channels, 1, bias=False, **where)
        self.excite_norm = nn.BatchNorm2d(out_channels, **where)

    def reset_parameters(self) -> None:
        """Draw all weights as torch does by default."""
        super().reset_parameters()
        # torch's constructor calls this before the generator of the map exists; its parts then draw their own.
        for module in self.children():
            module.reset_parameters()  # type: ignore[operator]

    def attention(self, x: Tensor) -> Tensor:
        """Return the maps A [N, C2, kh, kw] of x [N, C1, H, W]."""
        pooled = F.adaptive_avg_pool2d(x, self.kernel_size)  # type: ignore[arg-type]
        hidden = F.relu(normalise(self.squeeze_norm, self.squeeze(pooled)))
        raw = normalise(self.excite_norm, self.excite(hidden))
        if self.activation == "none":
            return raw
        return raw.sigmoid() if self.activation == "sigmoid" else raw.tanh()

    def factor(self, x: Tensor) -> Tensor:
        """Return what the kernel is scaled by, 1 + A or A [N, C2, kh, kw]."""
        return 1.0 + self.attention(x) if self.residual else self.attention(x)

    def forward(
        self, input: Float[Tensor, "batch in_channels height width"]
    ) -> Float[Tensor, "batch out_channels out_height out_width"]:
        """Convolve as `torch.nn.Conv2d` would, each sample with its own kernel."""
        factor = self.factor(input)
        if self.chunk is None or input.shape[0] <= self.chunk:
            return self._convolve(input, factor)
        pieces = zip(input.split(self.chunk), factor.split(self.chunk), strict=True)
        return torch.cat([self._convolve(x, a) for x, a in pieces])

    def kernels(self, factor: Tensor) -> Tensor:
        """Return the kernels K * factor of every sample, [N, C2, C1 / groups, kh, kw], in the weight's dtype."""
        # Read once: under spectral normalisation each reading computes the weight.
        weight = self.weight
        return weight * factor.to(weight.dtype).unsqueeze(2)

    def _convolve(self, x: Tensor, factor: Tensor) -> Tensor:
        x = self._padded(x)
        size = self._output_size(x)
        result = (self._taps if self._backend(x, size) == "taps" else self._grouped)(x, factor, size)
        return result if self.bias is None else result + self.bias.to(result.dtype).reshape(1, -1, 1, 1)

    def _backend(self, x: Tensor, size: tuple[int, int]) -> str:
        if self.backend != "auto":
            return self.backend
        if x.shape[0] == 0 or torch.compiler.is_exporting() or torch._C._get_tracing_state():
            return "taps"
        # What is kept for the backward pass: kh kw maps of the output, or one kernel for each sample.
        return "taps" if size[0] * size[1] <= self.in_channels // self.groups else "grouped"

    def _padded(self, x: Tensor) -> Tensor:
        # torch has already resolved "same", "valid" and numbers into one list for torch.nn.functional.pad.
        pads, mode = self._reversed_padding_repeated_twice, self.padding_mode
        return F.pad(x, pads, mode="constant" if mode == "zeros" else mode) if any(pads) else x

    def _output_size(self, padded: Tensor) -> tuple[int, int]:
        height, width = (
            (padded.shape[axis - 2] - self.dilation[axis] * (self.kernel_size[axis] - 1) - 1) // self.stride[axis] + 1
            for axis in range(2)
        )
        return height, width

    def _grouped(self, x: Tensor, factor: Tensor, size: tuple[int, int]) -> Tensor:
        num = x.shape[0]
        # reshape, not view: a channels_last batch cannot be folded in place.
        folded = x.reshape(1, num * self.in_channels, *x.shape[-2:])
        # Contiguous, like the folded input: with kernels kept channels-last this convolution is twice as slow.
        kernels = self.kernels(factor).flatten(0, 1).contiguous()
        result = F.conv2d(folded, kernels, None, self.stride, 0, self.dilation, num * self.groups)
        return like(result.reshape(num, self.out_channels, *size), x)

    def _taps(self, x: Tensor, factor: Tensor, size: tuple[int, int]) -> Tensor:
        weight = self.weight  # read once: a spectral norm advances with every reading
        result: Tensor | None = None
        for i, j in product(*map(range, self.kernel_size)):
            window = x[:, :, self._positions(i, 0, size), self._positions(j, 1, size)]
            tap = F.conv2d(window, weight[:, :, i : i + 1, j : j + 1], groups=self.groups)
            tap = tap * factor[:, :, i : i + 1, j : j + 1].to(tap.dtype)
            # Added at once: with all taps kept until the end a pass takes half as long again.
            result = tap if result is None else result + tap
        assert result is not None
        return result

    def _positions(self, tap: int, axis: int, size: tuple[int, int]) -> slice:
        start = tap * self.dilation[axis]
        return slice(start, start + (size[axis] - 1) * self.stride[axis] + 1, self.stride[axis])

    def extra_repr(self) -> str:
        """Add the options of the map to torch's text."""
        options = f"activation={self.activation!r}, residual={self.residual}, backend={self.backend!r}"
        return f"{nn.Conv2d.extra_repr(self)}, {options}"


class AWUpsampleConv(AWConv2d):
    """Upsample by 2 (nearest), then AW-convolve 3x3: `[b, i, h, w]` to `[b, o, 2h, 2w]`, for generators. Ours.

    y_n = Conv(up(x_n), K * (1 + A_n)), zero-padded, without bias; the map A_n is read from the small x_n, one for each
    output channel. A 1x1 convolution commutes with nearest upsampling, so the nine taps are convolved at the small
    size, scaled, and summed where they belong: 9 multiplications for each input pixel and pair of channels, where the
    definition needs 36 and the fused plain convolution 16. Kept for the backward pass: nine small maps.

    Raises:
        ValueError: as `AWConv2d`, whose arguments these are.

    Example:
        >>> AWUpsampleConv(8, 16)(torch.zeros(2, 8, 4, 5)).shape
        torch.Size([2, 16, 8, 10])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        activation: Activation = "sigmoid",
        residual: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        where: dict[str, Any] = {"device": device, "dtype": dtype}
        super().__init__(in_channels, out_channels, 3, padding=1, activation=activation, residual=residual, **where)

    def forward(
        self, input: Float[Tensor, "batch in_channels height width"]
    ) -> Float[Tensor, "batch out_channels double_height double_width"]:
        """Convolve at twice the size, each sample with its own kernel."""
        factor = self.factor(input)
        num, (height, width) = input.shape[0], input.shape[-2:]
        taps = F.conv2d(input, self.weight.permute(2, 3, 0, 1).reshape(9 * self.out_channels, self.in_channels, 1, 1))
        taps = taps.reshape(num, 3, 3, self.out_channels, height, width)
        taps = taps * factor.permute(0, 2, 3, 1)[..., None, None].to(taps.dtype)
        taps = F.pad(taps, (1, 1, 1, 1))
        rows = [_phase(taps, 1, -2, phase, height) for phase in range(2)]
        columns = [[_phase(row, 1, -1, phase, width) for phase in range(2)] for row in rows]
        # From [b, o, h, w] of each phase to interleaved pixels.
        wide = [torch.stack(pair, -1).flatten(-2) for pair in columns]
        return like(torch.stack(wide, -2).flatten(2, 3), input)


def _phase(taps: Tensor, tap_axis: int, side_axis: int, phase: int, side: int) -> Tensor:
    """Sum three taps of one axis for the upsampled pixels 2 h + phase; `taps` has a border of one zero."""
    # Upsampled pixel 2 h + phase + tap - 1 is a copy of the small one at h + (phase + tap - 1) // 2.
    parts = (taps.select(tap_axis, tap).narrow(side_axis, 1 + (phase + tap - 1) // 2, side) for tap in range(3))
    return reduce(operator.add, parts)
