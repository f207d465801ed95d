"""The examples of the local denoiser: training pictures, their mirror images and small shifts, at every level."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from sase_gan.pixels import to_float

_CHUNK = 64


class Examples:
    """The training pictures as the denoiser sees them: an example is a picture, perhaps mirrored, perhaps shifted.

    Nothing of it is multiplied in memory but the coarsest level: mirroring and shifting are done by indices.

    Args:
        pictures: uint8 `[N, 3, height, width]`.
        sizes: of the levels, coarse to fine, each half of the next; the last is the pictures' own.
        mirror: whether mirror images count as examples.
        shift: examples are also shifted by up to so many pixels of the coarsest level in both directions, each pixel
            at the edge repeated outwards.

    Attributes:
        picture, mirrored, offset: of each example, int64 `[E]`, bool `[E]` and int64 `[E, 2]` in pixels of the coarsest
            level; example e shows at (y, x) its picture at (y + offset).
    """

    def __init__(self, pictures: Tensor, sizes: Sequence[tuple[int, int]], *, mirror: bool, shift: int = 0) -> None:
        self.count = len(pictures)
        # Rounded to bytes at every level: half a level of error is nothing beside the noise at which they are used.
        levels = [pictures]
        for _ in sizes[1:]:
            levels.insert(0, _halved(levels[0]))
        self.levels = [level.permute(0, 2, 3, 1).contiguous() for level in levels]
        offsets = sorted(
            product(range(-shift, shift + 1), repeat=2), key=lambda step: (abs(step[0]) + abs(step[1]), step)
        )
        made = list(product(range(len(offsets)), (False, True) if mirror else (False,), range(self.count)))
        device = pictures.device
        self.picture = torch.tensor([picture for _, _, picture in made], device=device)
        self.mirrored = torch.tensor([mirrored for _, mirrored, _ in made], device=device)
        self.offset = torch.tensor([offsets[offset] for offset, _, _ in made], device=device).view(-1, 2)

    def __len__(self) -> int:
        return len(self.picture)

    def coarsest(self) -> Tensor:
        """Return all examples at the coarsest level, float `[E, 3, height, width]`."""
        whole = torch.arange(len(self), device=self.picture.device)[None]
        height, width = self.levels[0].shape[1:3]
        rows, columns = (torch.arange(side, device=whole.device)[None] for side in (height, width))
        return to_float(self.cut(0, whole, rows, columns)[0].movedim(-1, 1))

    def places(self, level: int, examples: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Tell where in their own pictures examples `[..., K]` have these rows and columns of a level.

        Args:
            rows, columns: int64 `[..., R]`; outside of the picture the nearest edge is meant.

        Returns:
            Rows and columns, int64 `[..., K, R]`.
        """
        height, width = self.levels[level].shape[1:3]
        offset = self.offset[examples] * 2**level
        down = (rows[..., None, :].clamp(0, height - 1) + offset[..., :1]).clamp(0, height - 1)
        right = (columns[..., None, :].clamp(0, width - 1) + offset[..., 1:]).clamp(0, width - 1)
        return down, torch.where(self.mirrored[examples][..., None], width - 1 - right, right)

    def cut(self, level: int, examples: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Cut the same places out of examples.

        Args:
            examples: int64 `[M, K]`; rows: int64 `[M, R]`; columns: int64 `[M, C]`.

        Returns:
            uint8 `[M, K, R, C, 3]`.
        """
        height, width = self.levels[level].shape[1:3]
        down, right = self.places(level, examples, rows, columns)
        index = ((self.picture[examples][..., None] * height + down) * width)[..., None] + right[..., None, :]
        flat = self.levels[level].flatten(0, 2)
        return flat.index_select(0, index.flatten()).view(*index.shape, -1)


def _halved(pictures: Tensor) -> Tensor:
    """Average squares of four pixels of uint8 pictures, rounded to bytes."""
    parts = [F.avg_pool2d(part.float(), 2).round_().to(torch.uint8) for part in pictures.split(_CHUNK)]
    return torch.cat(parts)
