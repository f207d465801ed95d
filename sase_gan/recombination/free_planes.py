"""How a drawn picture of the free form hangs together: with borders, round like a tile, or as its own mirror image.

A plane knows which patches a picture has, what lies beside each, and how patches are laid back; the training pictures
always have borders.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from sase_gan.resizing import resize

Size = tuple[int, int]
"""Height and width in pixels."""
Kind = Literal["open", "round", "mirrored"]


class Plane:
    """A plane is "open" (it ends at its borders), "round" (it goes on at the other side), or "mirrored".

    A mirrored plane is open, and its right half is always the left one's mirror image.
    """

    def __init__(self, kind: Kind = "open") -> None:
        self.kind = kind
        self.round = kind == "round"

    def places(self, size: Size, patch: int) -> Size:
        """Count the rows and columns of patches in a picture."""
        return size if self.round else (size[0] - patch + 1, size[1] - patch + 1)

    def extended(self, x: Tensor, patch: int) -> Tensor:
        """Continue `[..., h, w]` to the right and below so that every place has a whole patch."""
        if not self.round:
            return x
        rows, columns = (torch.arange(side + patch - 1, device=x.device) % side for side in x.shape[-2:])
        return x[..., rows[:, None], columns]

    def folded_back(self, total: Tensor, patch: int) -> Tensor:
        """Add what lies beyond the right and lower side of `[..., h, w]` to where it goes on: `extended` transposed."""
        if not self.round:
            return total
        for axis in (-2, -1):
            side, rest = total.shape[axis] - patch + 1, patch - 1
            inside, first = total.narrow(axis, 0, side).clone(), 0
            while first < rest:  # a patch may reach further than a small picture is large
                part = min(side, rest - first)
                inside.narrow(axis, 0, part).add_(total.narrow(axis, side + first, part))
                first += part
            total = inside
        return total

    def fold(self, patches: Tensor, size: Size, weights: Tensor) -> Tensor:
        """Average overlapping patches `[3 * k * k, places]` into a picture `[1, 3, *size]`.

        Args:
            weights: of the pixels of a patch, `[k * k]`.
        """
        patch = math.isqrt(len(weights))
        whole = (size[0] + patch - 1, size[1] + patch - 1) if self.round else size
        total = F.fold(
            (patches.view(-1, len(weights), patches.shape[1]) * weights[:, None]).view(1, len(patches), -1),
            whole,
            patch,
        )
        cover = F.fold(weights[None, :, None].expand(1, -1, patches.shape[1]), whole, patch)
        return self.folded_back(total, patch) / self.folded_back(cover, patch)

    def beside(self, place: Tensor, count: int) -> Tensor:
        """Bring rows or columns back among `count` ones: to the border, or round."""
        return place % count if self.round else place.clamp(0, count - 1)

    def shift(self, here: Tensor, there: Tensor) -> Tensor:
        """Tell how far places lie apart, `[here, there]`, both in shares of a side."""
        apart = here[:, None] - there
        return apart - apart.round() if self.round else apart

    def resized(self, x: Tensor, size: Sequence[int]) -> Tensor:
        """Resize pictures `[batch, 3, h, w]` that lie in this plane."""
        return resize(x, size, "circular" if self.round else "zero")

    def settled(self, x: Tensor) -> Tensor:
        """Make `[..., h, w]` hold what the plane asks: the right half of a mirrored one is the left half's image."""
        if self.kind != "mirrored":
            return x
        left = torch.arange(x.shape[-1], device=x.device)
        return x[..., torch.minimum(left, x.shape[-1] - 1 - left)]

    def sources(self, sources: Tensor, count: int) -> Tensor:
        """Do to sources `[h, w, 3]` as `settled` does to pixels; the images count as those of mirrored pictures.

        Args:
            count: of training pictures.
        """
        if self.kind != "mirrored":
            return sources
        width = sources.shape[1]
        settled = self.settled(sources.movedim(2, 0)).movedim(0, 2).clone()
        right = settled[:, width - width // 2 :, 0]
        settled[:, width - width // 2 :, 0] = (right + count) % (2 * count)
        return settled


OPEN = Plane()
