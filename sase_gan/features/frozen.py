"""What all feature networks share: they are frozen, and building one leaves the program's random state alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import torch
from torch import Tensor, nn


class FrozenModule(nn.Module):
    """A frozen network is never trained: no gradients go to its parameters, and it is always in eval mode."""

    def freeze(self) -> Self:
        """Take the gradients from the parameters and go to eval mode."""
        self.requires_grad_(False)
        return self.eval()

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode: a frozen network that updates its running statistics would no longer be the same ruler."""
        return super().train(False)


def to_unit(images: Tensor) -> Tensor:
    """Convert uint8 levels, or float in [-1, 1], to float32 in [0, 1].

    Args:
        images: [N, 3, H, W].

    Raises:
        ValueError: another shape or type.
    """
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"Images must have the shape [N, 3, H, W]; {list(images.shape)} was given.")
    if images.dtype == torch.uint8:
        return images.float() / 255
    if not images.is_floating_point():
        raise ValueError(f"Images must be uint8, or float in [-1, 1]; {images.dtype} was given.")
    return (images.float() + 1) / 2


@contextmanager
def own_random_state() -> Iterator[None]:
    """Build a network in this block: its first weights are always the same, and the program's random state stays."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
