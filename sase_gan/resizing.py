"""Pure tensor functions beneath the layers."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Padding = Literal["zero", "reflect", "circular"]

# Row a, column p: whether kernel tap p of the 3x3 convolution contributes to tap a of the equivalent 4x4 kernel.
_SUMMED_TAPS = ((0.0, 0.0, 1.0), (0.0, 1.0, 1.0), (1.0, 1.0, 0.0), (1.0, 0.0, 0.0))


def upsample_conv(x: Tensor, weight: Tensor) -> Tensor:
    """Nearest upsampling by 2, then a zero-padded 3x3 convolution, as one transposed convolution of stride 2.

    After nearest upsampling, several taps of the 3x3 kernel read the same input pixel; summing them first leaves four
    2x2 kernels, one for each output phase, which together are a 4x4 transposed kernel. Equal to
    `upsample_conv_plain` to rounding, borders included, with 16 instead of 36 multiplications for each input pixel.

    Args:
        x: `[batch, in_channels, height, width]`.
        weight: `[out_channels, in_channels, 3, 3]`.

    Returns:
        `[batch, out_channels, 2 * height, 2 * width]`.
    """
    taps = torch.tensor(_SUMMED_TAPS, dtype=weight.dtype, device=weight.device)
    kernel = torch.einsum("ap,bq,oipq->ioab", taps, taps, weight)
    return F.conv_transpose2d(x, kernel, stride=2, padding=1)


def upsample_conv_plain(x: Tensor, weight: Tensor) -> Tensor:
    """The same by its definition: the reference of `upsample_conv` in tests and benchmarks."""
    return F.conv2d(F.interpolate(x, scale_factor=2, mode="nearest"), weight, padding=1)


def pad(x: Tensor, amount: int, padding: Padding) -> Tensor:
    """`amount` more pixels on every side of `[..., height, width]`: zeros, the mirrored picture, or its other end.

    Unlike torch's, "reflect" and "circular" may reach further than the picture is large.
    """
    if padding == "zero":
        return F.pad(x, (amount,) * 4)
    return wrap(x, amount) if padding == "circular" else _mirrored(x, amount)


def wrap(x: Tensor, amount: int) -> Tensor:
    """Continue `[..., height, width]` periodically by `amount` pixels on every side."""
    rows, columns = (torch.arange(-amount, side + amount, device=x.device) % side for side in x.shape[-2:])
    return x.index_select(-2, rows).index_select(-1, columns)


def _mirrored(x: Tensor, amount: int) -> Tensor:
    if amount < min(x.shape[-2:]):
        return F.pad(x, (amount,) * 4, mode="reflect")
    for axis, side in ((-2, x.shape[-2]), (-1, x.shape[-1])):
        period = max(1, 2 * (side - 1))
        place = torch.arange(-amount, side + amount, device=x.device) % period
        x = x.index_select(axis, torch.minimum(place, (period - place) % period if side > 1 else place))
    return x


def resize(x: Tensor, size: Sequence[int], padding: Padding = "zero") -> Tensor:
    """Bicubic resizing of `[batch, channels, height, width]` with antialiasing and gradients.

    With "circular" padding the picture counts as periodic, so that a tile stays one.
    """
    height, width = int(size[0]), int(size[1])
    if x.shape[2:] == (height, width):
        return x
    if padding != "circular":
        return F.interpolate(x, (height, width), mode="bicubic", antialias=True)
    # The middle of three tiles in a row knows its neighbours.
    x = F.interpolate(x.repeat(1, 1, 3, 1), (3 * height, x.shape[3]), mode="bicubic", antialias=True)
    x = x[:, :, height : 2 * height]
    return F.interpolate(x.repeat(1, 1, 1, 3), (height, 3 * width), mode="bicubic", antialias=True)[
        ..., width : 2 * width
    ]


def at_size(picture: Tensor, size: Sequence[int]) -> Tensor:
    """A picture uint8 `[3, height, width]` at another size, uint8: bicubic, antialiased; equal sizes pass unchanged."""
    if tuple(picture.shape[1:]) == tuple(size):
        return picture
    return resize(picture[None].float(), size).round().clamp(0, 255).to(torch.uint8)[0]
