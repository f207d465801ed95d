"""Padding and resizing of pictures and maps: pure functions of tensors."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Padding = Literal["zero", "reflect", "circular"]


def pad(x: Tensor, amount: int, padding: Padding) -> Tensor:
    """Add `amount` pixels on every side of `[..., height, width]`: zeros, the mirrored picture, or its other end.

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
    """Resize `[batch, channels, height, width]` by bicubic interpolation, with antialiasing and gradients.

    With "circular" padding the picture counts as periodic, so that a tile stays one. Another size is in at least
    float32: not every device enlarges bfloat16, and a picture has more steps than that.
    """
    height, width = int(size[0]), int(size[1])
    if x.shape[2:] == (height, width):
        return x
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    if padding != "circular":
        return F.interpolate(x, (height, width), mode="bicubic", antialias=True)
    # The middle of three tiles in a row knows its neighbours.
    x = F.interpolate(x.repeat(1, 1, 3, 1), (3 * height, x.shape[3]), mode="bicubic", antialias=True)
    x = x[:, :, height : 2 * height].repeat(1, 1, 1, 3)
    return F.interpolate(x, (height, 3 * width), mode="bicubic", antialias=True)[..., width : 2 * width]


def resize_by_factor(x: Tensor, size: Sequence[int], factor: float) -> Tensor:
    """Resize `[batch, channels, height, width]` on the grid of a factor, of which the first `size` pixels are kept.

    Pixel i of the result lies at `(i + 1/2) / factor - 1/2` of `x`, whatever the ratio of both sizes: the grid of
    SinGAN's pyramids (arXiv 1905.01164), whose sizes are rounded up and then cropped. The kernel is Keys' cubic with
    a = -1/2 (1981), widened by `1 / factor` when reducing; the border is mirrored, its own pixel included.
    """
    rows, columns = (
        _cubic_weights(side, int(new), factor).to(x.device, x.dtype)
        for side, new in zip(x.shape[2:], size, strict=True)
    )
    return rows @ x @ columns.T


@lru_cache(maxsize=64)
def _cubic_weights(length: int, size: int, factor: float) -> Tensor:
    """Compute what each of `length` pixels gives to each of `size`, `[size, length]`."""
    narrow = min(factor, 1.0)
    centre = (torch.arange(size, dtype=torch.float64)[:, None] + 0.5) / factor - 0.5
    reach = math.ceil(2 / narrow)
    place = centre.floor() + torch.arange(-reach, reach + 2)
    x = ((place - centre) * narrow).abs()
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    weights = torch.where(x <= 1, near, torch.where(x < 2, far, 0))
    place = place.long() % (2 * length)
    mirrored = torch.minimum(place, 2 * length - 1 - place)
    return torch.zeros(size, length, dtype=torch.float64).scatter_add_(
        1, mirrored, weights / weights.sum(1, keepdim=True)
    )


def at_size(picture: Tensor, size: Sequence[int], factor: float | None = None) -> Tensor:
    """Resize a picture uint8 `[3, height, width]`, uint8 again: bicubic, antialiased; equal sizes pass unchanged.

    With a factor on its grid, and truncated to bytes instead of rounded, as released; a millionth is forgiven.
    """
    if factor is not None:
        # One channel at a time: a photograph in float64 is large.
        levels = [resize_by_factor(channel[None, None].double(), size, factor)[0, 0] for channel in picture]
        return (torch.stack(levels) + 1e-6).clamp(0, 255).to(torch.uint8)
    if tuple(picture.shape[1:]) == tuple(size):
        return picture
    return resize(picture[None].float(), size).round().clamp(0, 255).to(torch.uint8)[0]
