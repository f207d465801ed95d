"""What a visitor may ask of a recombination: which training pictures serve where, what stays, and where to begin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

FORBIDDEN = -1.0e9
"""Added to the logarithm of a weight. At the last noise a window of 25 pixels can cost 1e5: this must be far more."""
FIRM = 2.5
"""Noise at which what is kept of a picture is compared, see `LevelControl.trust`."""


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
        hidden: bool `[N, height, width]`, what of the training pictures must not be used anywhere; of the free form. At
            levels where it leaves no patch at all it does not count.
    """

    regions: tuple[Region, ...] = ()
    keep: Tensor | None = None
    picture: Tensor | None = None
    strength: float = 1.0
    hidden: Tensor | None = None


class Beginning(NamedTuple):
    """Where drawings begin instead of at the training pictures' mean.

    Attributes:
        pictures: float `[batch, 3, height, width]` in [-1, 1], one for each drawing.
        strength: as of `Control`, below 1.
    """

    pictures: Tensor
    strength: float


def beginning_of(control: Control | None, z: Tensor) -> Beginning | None:
    """Return where a control lets the drawing of each latent begin; None at the mean, as always."""
    if control is None or control.picture is None or control.strength >= 1:
        return None
    return Beginning(control.picture.to(z).expand(len(z), -1, -1, -1), control.strength)


def only(mask: Tensor, pictures: Tensor) -> Region:
    """Bind a region to some training pictures, bool `[N]`."""
    return Region(mask, ~pictures)


def without(mask: Tensor, pictures: Tensor) -> Region:
    """Keep some training pictures, bool `[N]`, out of a region."""
    return Region(mask, pictures)


def of_pictures(control: Control | None, places: Tensor) -> Control | None:
    """Restrict a control to some of the training pictures, int64 `[n]`."""
    if control is None:
        return None
    regions = tuple(
        Region(region.mask, region.forbidden[places.to(region.forbidden.device)]) for region in control.regions
    )
    hidden = None if control.hidden is None else control.hidden[places.to(control.hidden.device)]
    return replace(control, regions=regions, hidden=hidden)


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


@dataclass(frozen=True)
class LevelControl:
    """A control at the size of one level; without any control nothing of it is set.

    Attributes:
        rules: of the regions.
        keep: float `[height, width]`; picture: float `[3, height, width]`.
    """

    rules: Rules | None = None
    keep: Tensor | None = None
    picture: Tensor | None = None

    def kept(self, x: Tensor) -> Tensor:
        """Put what is kept of the picture into pictures `[..., 3, height, width]`."""
        if self.keep is None or self.picture is None:
            return x
        return torch.lerp(x, self.picture, self.keep)

    def trust(self, noise: float) -> Tensor | None:
        """Weigh pixels, `[height, width]`: what is kept has no noise, and the drawn part must come to fit it.

        Taken at full worth it would leave one choice along its border; so it counts as if its noise were `FIRM`, or
        the others' where that is less.
        """
        if self.keep is None or noise <= FIRM:
            return None
        return 1 + self.keep * ((noise / FIRM) ** 2 - 1)


def at_this_level(control: Control | None, size: tuple[int, int], picture: Tensor) -> LevelControl:
    """Bring a control to a level.

    Args:
        picture: int64 `[E]`, the training picture of each example.
    """
    if control is None:
        return LevelControl()
    rules = None
    if control.regions:
        masks = torch.stack([at_level(region.mask.to(picture.device), size) for region in control.regions])
        forbidden = torch.stack([region.forbidden.to(picture.device) for region in control.regions])
        rules = Rules(masks, forbidden[:, picture].float() * FORBIDDEN)
    if control.keep is None or control.picture is None:
        return LevelControl(rules)
    keep, shown = (at_level(part.to(picture.device).float(), size) for part in (control.keep, control.picture))
    return LevelControl(rules, keep, shown)
