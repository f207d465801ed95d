"""Telling whether numbers are finite, of many tensors at once."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


@torch.no_grad()
def not_finite(tensors: Iterable[tuple[str, Any]]) -> list[str]:
    """Name the tensors that hold a value which is no finite number; waits for the device once.

    Example:
        >>> not_finite([("a", torch.zeros(2)), ("b", torch.tensor([1.0, float("nan")])), ("count", torch.tensor(3))])
        ['b']
    """
    named = [(name, one) for name, one in tensors if isinstance(one, Tensor) and one.is_floating_point()]
    if not named:
        return []
    device = named[0][1].device
    sound = torch.stack([one.isfinite().all().to(device) for _, one in named]).tolist()
    return [name for (name, _), fine in zip(named, sound, strict=True) if not fine]
