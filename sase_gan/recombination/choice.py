"""Which form of recombination suits pictures, and why: aligned where they predict each other at the same place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

A_FEW = 30
"""Fewer pictures than these serve shifted too, or what is drawn would be near copies."""


@dataclass(frozen=True)
class FormChoice:
    """A choice of form, with its reason.

    Attributes:
        shift: of the aligned form, in 32nds of the side.
        reason: in words that go on after "recombined at the same place:" or its like.
    """

    form: Literal["aligned", "free"]
    shift: int
    reason: str


def choose_form(pictures: Tensor) -> FormChoice:
    """Choose the form for pictures uint8 `[N, 3, height, width]`."""
    if len(pictures) == 1:
        return FormChoice("free", 0, "one picture has nothing beside it at the same place")
    return FormChoice("aligned", 1 if len(pictures) < A_FEW else 0, "")
