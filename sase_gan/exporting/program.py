"""torch.export with a free batch: the program that both kinds of file are made of."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sase_gan.exporting.subject import Subject

EXAMPLE_BATCH = 3
"""Programs are traced with it; any batch from 1 runs."""


class _Flat(nn.Module):
    """Take every input by place, whatever a module calls them: so their shapes can be written in one row."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        return self.module(*inputs)


@torch.no_grad()
def exported_program(subject: Subject, module: nn.Module | None = None) -> Any:
    """Trace a subject's module, or one that computes the same, into a program whose batch is free."""
    inputs = subject.examples(EXAMPLE_BATCH)
    batch = torch.export.Dim("batch", min=1)
    flat = _Flat(module or subject.module).eval()
    return torch.export.export(flat, inputs, dynamic_shapes=(tuple({0: batch} for _ in inputs),))
