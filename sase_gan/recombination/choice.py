"""Which form of recombination suits pictures, and why: aligned where they predict each other at the same place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from sase_gan.colours import seen
from sase_gan.pixels import to_float
from sase_gan.seeds import generator

A_FEW = 30
"""Fewer pictures than these serve shifted too, or what is drawn would be near copies."""
BY_COUNT = ((A_FEW, 0, 1.0), (15, 1, 1.0), (0, 1, 1.3))
"""Of the aligned form: from so many pictures on, shift in 32nds of the side, and variety; docs/instant.md measures."""
ALIGNED_BELOW = 0.9
"""Of `alignment`. Measured: 96 drawn faces 0.55, 2 to 100 pandas 0.75 to 0.85, 200 flags 0.79; 100 pictures of
scattered shapes 0.96, 5 to 50 scenes of Places 0.93 to 0.97, overlapping crops of one scene 0.91 to 1.10."""
_SIDE, _PATCH, _STEP, _ROUNDS, _MOST = 32, 8, 4, 8, 200


@dataclass(frozen=True)
class FormChoice:
    """A choice of form, with its reason.

    Attributes:
        reason: a clause that goes on after "because".
    """

    form: Literal["aligned", "free"]
    reason: str


def choose_form(pictures: Tensor) -> FormChoice:
    """Choose the form for pictures uint8 `[N, 3, height, width]`."""
    count = len(pictures)
    if count == 1:
        return FormChoice("free", "one picture has nothing beside it at the same place")
    ratio = alignment(pictures)
    if ratio < ALIGNED_BELOW:
        return FormChoice(
            "aligned", f"at the same place the pictures are {1 - ratio:.0%} more alike than at different ones"
        )
    unlike = f"at the same place the pictures are hardly more alike than at different ones ({1 - ratio:.0%})"
    if count < A_FEW:
        return FormChoice("free", unlike)
    return FormChoice("aligned", f"{count} pictures are too many to search at every place, although {unlike}")


def aligned_settings(count: int) -> tuple[int, float]:
    """Choose shift and variety of the aligned form by the number of pictures.

    The fewer there are, the more often one of them fits best in the whole of a large window, and is copied.
    """
    return next((shift, variety) for fewest, shift, variety in BY_COUNT if count >= fewest)


def alignment(pictures: Tensor) -> float:
    """Tell how much nearer the nearest patch of another picture is at the same place than at a random place.

    A ratio of mean distances: patches of 8 px at 32 px, each to the nearest of the patches that the other pictures have
    at its place, over the same with every picture's patches shuffled. About 1 where places mean nothing.

    Args:
        pictures: uint8 `[N, 3, height, width]`, N >= 2; the first 200 are looked at.
    """
    few = F.interpolate(to_float(seen(pictures[:_MOST])), size=(_SIDE, _SIDE), mode="area")
    patches = F.unfold(few, _PATCH, stride=_STEP).permute(2, 0, 1)  # [places, N, values]
    source = generator(0, "alignment")
    shuffled = []
    for _ in range(_ROUNDS):
        orders = torch.rand(patches.shape[:2], generator=source).argsort(0).to(patches.device)
        shuffled.append(_nearest(patches, patches.gather(0, orders[:, :, None].expand_as(patches))))
    return _nearest(patches, patches) / max(sum(shuffled) / _ROUNDS, 1e-9)


def _nearest(patches: Tensor, others: Tensor) -> float:
    """Average the distance of each picture's patch at each place to the nearest of the others' patches there."""
    distances = torch.cdist(patches, others)
    own = torch.eye(patches.shape[1], dtype=torch.bool, device=patches.device)
    return distances.masked_fill(own, float("inf")).min(2).values.mean().item()
