"""What a visitor may ask of a recombination: which training pictures serve where, what stays, and where to begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

FORBIDDEN = -1.0e4
"""Added to the logarithm of a weight: nothing that is allowed anywhere near is lighter."""


@dataclass(frozen=True)
class Region:
    """A region is a part of the picture in which some training pictures do not serve.

    Attributes:
        mask: float `[height, width]` of the picture, 0 to 1; 1 where the rule holds.
        forbidden: bool `[N]`, the training pictures, with their mirror images, that are kept out.
    """

    mask: Tensor
    forbidden: Tensor


@dataclass(frozen=True)
class Control:
    """A control binds what is drawn; one serves all pictures of a batch.

    Attributes:
        regions: rules on which pictures serve where.
        keep: float `[height, width]`, 1 where `picture` is to stay and 0 where it is drawn anew.
        picture: float `[3, height, width]` in [-1, 1], what stays, and what a drawing with `strength` begins from.
        strength: 0 to 1, how much noise the beginning gets: 1 begins from the training pictures' mean as always; less
            begins from `picture`, and the nearer to 0 the more of its layout stays.
    """

    regions: tuple[Region, ...] = ()
    keep: Tensor | None = None
    picture: Tensor | None = None
    strength: float = 1.0


def only(mask: Tensor, pictures: Tensor) -> Region:
    """Bind a region to some training pictures, bool `[N]`."""
    return Region(mask, ~pictures)


def without(mask: Tensor, pictures: Tensor) -> Region:
    """Keep some training pictures, bool `[N]`, out of a region."""
    return Region(mask, pictures)


def at_level(values: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring a mask or a picture `[..., height, width]` to the size of a level, by averaging."""
    if tuple(values.shape[-2:]) == tuple(size):
        return values
    lead = values.shape[:-2]
    resized = F.interpolate(values.reshape(1, -1, *values.shape[-2:]).float(), size=size, mode="area")
    return resized.view(*lead, *size)


class Rules(NamedTuple):
    """The regions of a control at one level.

    Attributes:
        masks: float `[regions, height, width]`.
        costs: float `[regions, E]`, what each example's logarithm gains (0) or loses in the region.
    """

    masks: Tensor
    costs: Tensor

    def bias(self) -> Tensor:
        """Add them up: `[height, width, E]`."""
        return torch.einsum("rhw,re->hwe", self.masks, self.costs)


def rules(control: Control | None, size: tuple[int, int], picture: Tensor) -> Rules | None:
    """Bring the regions of a control to a level; None without any.

    Args:
        picture: int64 `[E]`, the training picture of each example.
    """
    if control is None or not control.regions:
        return None
    masks = torch.stack([at_level(region.mask.to(picture.device), size) for region in control.regions])
    forbidden = torch.stack([region.forbidden.to(picture.device) for region in control.regions])
    return Rules(masks, forbidden[:, picture].float() * FORBIDDEN)
