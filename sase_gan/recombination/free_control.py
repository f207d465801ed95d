"""A control of the free form at one level: what each patch costs where, and what of a visitor's picture stays."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from sase_gan.recombination.control import FORBIDDEN, Control, LevelControl, at_level, at_this_level
from sase_gan.recombination.free_examples import ExampleLevel
from sase_gan.recombination.free_planes import Plane, Size


class FreeControl(NamedTuple):
    """A free control says what holds at one level for a picture of one size.

    A rule holds for the patches whose middle lies in its region.

    Attributes:
        level: of the training pictures.
        held: rules by training picture, and what is kept, at the size of the drawn picture.
        where: float `[regions, places]`, how much each patch of the drawn picture lies in each region.
        hidden: float `[patches]`, 1 for patches of the training pictures that show what must not be used; None: none.
    """

    level: ExampleLevel
    held: LevelControl
    where: Tensor | None
    hidden: Tensor | None

    @property
    def binds(self) -> bool:
        """Tell whether some patch may not be used somewhere."""
        return self.where is not None or self.hidden is not None

    def costs(self, index: Tensor) -> Tensor:
        """Tell what patches `index` `[places, n]` gain (0) or lose at their places, as logarithms of weights."""
        total = torch.zeros(index.shape, device=index.device)
        if self.hidden is not None:
            total = total + FORBIDDEN * self.hidden[index]
        if self.where is not None and self.held.rules is not None:
            costs = self.held.rules.costs[:, self.pictures(index)]  # [regions, places, n]
            total = total + (self.where[:, :, None] * costs).sum(0)
        return total

    def pictures(self, index: Tensor) -> Tensor:
        """Tell which training picture patches are of; mirror images count as theirs."""
        return self.level.split(index)[0] % self.held_pictures

    @property
    def held_pictures(self) -> int:
        """Return the number of training pictures, without mirror images."""
        rules = self.held.rules
        return len(self.level.pictures) if rules is None else rules.costs.shape[1]


def free_control(control: Control | None, level: ExampleLevel, size: Size, plane: Plane, count: int) -> FreeControl:
    """Bring a control to a level, for a drawn picture of a size.

    Args:
        count: of training pictures, without mirror images.
    """
    device = level.keys.device
    held = at_this_level(control, size, torch.arange(count, device=device))
    where = None
    if held.rules is not None:
        middles = [
            plane.beside(torch.arange(places, device=device) + level.patch // 2, side)
            for places, side in zip(plane.places(size, level.patch), size, strict=True)
        ]
        where = held.rules.masks[:, middles[0][:, None], middles[1]].flatten(1)
    hidden = None
    if control is not None and control.hidden is not None:
        pixels = at_level(control.hidden.to(device).float(), level.size)
        if len(level.pictures) > count:
            pixels = torch.cat([pixels, pixels.flip(-1)])
        hidden = (F.max_pool2d(pixels[:, None], level.patch, 1) > 0).float().flatten()
        hidden = None if hidden.all() else hidden
    return FreeControl(level, held, where, hidden)
