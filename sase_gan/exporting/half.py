"""Weights in 16 bit: rounded once, so that what an exported file stores in half the room is exactly what it draws with.

Files compute in 32 bit all the same: a graph widens the weights when it is loaded. Norms' statistics, biases and other
small tensors stay as they are, which costs little room and keeps most of the digits.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

FEWEST_VALUES = 1024
"""Smaller tensors are not rounded."""


def large_weights(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Iterate over the parameters that are stored in 16 bit, by name."""
    for name, parameter in module.named_parameters():
        if parameter.dtype == torch.float32 and parameter.numel() >= FEWEST_VALUES:
            yield name, parameter


@torch.no_grad()
def round_weights(module: nn.Module) -> None:
    """Round the large weights to what 16 bit can hold, in place; their type stays float32."""
    for _, parameter in large_weights(module):
        parameter.copy_(parameter.half().float())


class StoredInHalf(nn.Module):
    """Hold the large weights of a module in 16 bit and widen them at every call: equal to the module once rounded."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.names = [name for name, _ in large_weights(module)]
        with torch.no_grad():
            for name in self.names:
                parameter = module.get_parameter(name)
                parameter.data = parameter.data.half()

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Compute what the module does."""
        wide = {name: self.module.get_parameter(name).float() for name in self.names}
        return torch.func.functional_call(self.module, wide, inputs)
