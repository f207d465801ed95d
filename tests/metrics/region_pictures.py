"""Synthetic pictures for the search for regions: textures as different from each other as photographs of one kind."""

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 48


def textures(count: int, seed: int = 0, size: tuple[int, int] = (SIDE, SIDE)) -> Tensor:
    """Random pictures uint8 [count, 3, h, w] with coarse and fine structure."""
    source = torch.Generator().manual_seed(seed)
    total = torch.zeros(count, 3, *size)
    for cells, strength in ((4, 30.0), (12, 25.0), (24, 15.0)):
        noise = torch.randn(count, 3, cells, cells, generator=source)
        total += strength * F.interpolate(noise, size, mode="bicubic")
    return (128 + total).round().clamp(0, 255).to(torch.uint8)


def halves(left: Tensor, right: Tensor) -> Tensor:
    """The left half of one picture beside the right half of another."""
    middle = left.shape[-1] // 2
    return torch.cat([left[..., :middle], right[..., middle:]], -1)


def quarters(pictures: Tensor) -> Tensor:
    """Four quarters, in reading order, of four pictures [4, 3, h, w]."""
    middle = pictures.shape[-2] // 2
    return torch.cat([halves(pictures[0], pictures[1])[:, :middle], halves(pictures[2], pictures[3])[:, middle:]], 1)
