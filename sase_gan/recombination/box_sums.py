"""Sums over square windows whose side is a real number, by running sums."""

import math

import torch
from torch import Tensor


def window_sums(values: Tensor, side: float, dim: int) -> Tensor:
    """Sum along one dimension over windows of a real side, about every place that has its whole window.

    The window about a place reaches `side / 2` to both sides of the place's middle; places that it covers in part count
    by that part. The result is shorter by `2 * margin(side)`.

    Example:
        >>> window_sums(torch.tensor([1.0, 1.0, 4.0, 1.0, 1.0]), 2.0, 0)
        tensor([3.5000, 5.0000, 3.5000])
    """
    reach = margin(side)
    count = values.shape[dim] - 2 * reach
    if reach == 0:
        return values.clone()
    part = (side - (2 * reach - 1)) / 2  # of the two outermost places, 0 to 1
    total = values.cumsum(dim)
    first = torch.zeros_like(total.narrow(dim, 0, 1))
    total = torch.cat([first, total], dim)
    inner = total.narrow(dim, 2 * reach, count) - total.narrow(dim, 1, count)
    outer = values.narrow(dim, 0, count) + values.narrow(dim, 2 * reach, count)
    return inner.add_(outer, alpha=part)


def margin(side: float) -> int:
    """Count the places on each side of a window's middle that it touches.

    Example:
        >>> margin(1.0), margin(2.0), margin(3.0), margin(5.5)
        (0, 1, 1, 3)
    """
    return max(0, math.ceil((side - 1) / 2 - 1e-9))
