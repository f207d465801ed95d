"""What an export is made of: a module of tensors alone, its inputs and outputs, and the original it is held against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

Tensors = tuple[Tensor, ...]


@dataclass(frozen=True)
class Port:
    """An input or output of an exported file has a name, a shape and a meaning.

    Attributes:
        shape: without the batch, which is free and comes first.
        meaning: for whoever reads the file's description.
    """

    name: str
    shape: tuple[int, ...]
    meaning: str

    def describe(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"name": self.name, "shape": ["batch", *self.shape], "meaning": self.meaning}


@dataclass(frozen=True)
class Subject:
    """A subject is a model, or a part of one, in the form in which it is exported.

    Attributes:
        module: maps the tensors of `inputs`, in their order, to one tensor or several.
        original: computes the same from the same tensors by the model as it is used otherwise; an exported file is
            held against it.
        examples: makes valid inputs of a batch of so many.
        facts: what the file says of the model besides: JSON values.
    """

    module: nn.Module
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    original: Callable[..., Tensors]
    examples: Callable[[int], Tensors]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @torch.no_grad()
    def expected(self, inputs: Tensors) -> Tensors:
        """Compute what an exported file is to give for these inputs."""
        return self.original(*inputs)

    def description(self) -> dict[str, Any]:
        """Return facts, inputs and outputs as JSON values."""
        ports = {"inputs": [one.describe() for one in self.inputs], "outputs": [one.describe() for one in self.outputs]}
        return {**self.facts, **ports}
