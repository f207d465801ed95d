"""Padding and resizing of pictures and maps: pure functions of tensors."""

from collections.abc import Sequence
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

    With "circular" padding the picture counts as periodic, so that a tile stays one.
    """
    height, width = int(size[0]), int(size[1])
    if x.shape[2:] == (height, width):
        return x
    if padding != "circular":
        return F.interpolate(x, (height, width), mode="bicubic", antialias=True)
    # The middle of three tiles in a row knows its neighbours.
    x = F.interpolate(x.repeat(1, 1, 3, 1), (3 * height, x.shape[3]), mode="bicubic", antialias=True)
    x = x[:, :, height : 2 * height].repeat(1, 1, 1, 3)
    return F.interpolate(x, (height, 3 * width), mode="bicubic", antialias=True)[..., width : 2 * width]


def at_size(picture: Tensor, size: Sequence[int]) -> Tensor:
    """Resize a picture uint8 `[3, height, width]`, uint8 again: bicubic, antialiased; equal sizes pass unchanged."""
    if tuple(picture.shape[1:]) == tuple(size):
        return picture
    return resize(picture[None].float(), size).round().clamp(0, 255).to(torch.uint8)[0]
