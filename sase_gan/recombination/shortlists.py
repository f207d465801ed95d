"""A finer level of the aligned form: every cell of a picture looks at a few examples only."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sase_gan.pixels import to_float
from sase_gan.recombination.box_sums import margin, window_sums
from sase_gan.recombination.control import Rules
from sase_gan.recombination.examples import Examples

CELL = 16
"""Pixels a side of a cell."""
_CELLS_AT_ONCE = 64
_NEIGHBOUR = 3.0  # what an example's logarithm loses where only the next cell likes it


class Shortlists:
    """The shortlists of one picture at one level weigh in every cell a few examples at every pixel.

    Args:
        level: whose size the picture has.
        chosen: int64 `[cells, K]`, the examples of each cell, row by row.
        widest: the largest window that will be asked for.
    """

    def __init__(self, examples: Examples, level: int, chosen: Tensor, widest: float) -> None:
        self.examples, self.level, self.chosen = examples, level, chosen
        self.size = tuple(examples.levels[level].shape[1:3])
        self.cells = cells(self.size)
        self.reach = margin(widest)
        # Every cell with what its windows reach, in bytes: pixels as they are, to be read in every step.
        self.cut = examples.cut(level, chosen, *self._places(self.reach)).permute(0, 1, 4, 2, 3).contiguous()

    def estimate(
        self, x: Tensor, noise: float, window: float, prior: Tensor, rules: Rules | None
    ) -> tuple[Tensor, Tensor]:
        """Estimate the clean picture behind a noisy one.

        Args:
            x: `[3, height, width]`, with noise of this deviation.
            prior: `[E]`, added to the logarithms of the weights, as `rules` are.

        Returns:
            The estimate, as `x`, and the weights' logits, `[cells, K, 16, 16]`.
        """
        reach = margin(window)
        skip = self.reach - reach
        side = CELL + 2 * reach
        own = self._own(x, reach)
        means, parts = [], []
        for first in range(0, len(self.chosen), _CELLS_AT_ONCE):
            part = slice(first, first + _CELLS_AT_ONCE)
            cut = to_float(self.cut[part, :, :, skip : skip + side, skip : skip + side])
            distances = (cut - own[part, None]).square_().sum(2)
            distances = window_sums(window_sums(distances, window, 2), window, 3)
            logits = distances.div_(-2 * noise * noise) + prior[self.chosen[part]][:, :, None, None]
            if rules is not None:
                logits += torch.einsum(
                    "rmhw,rmk->mkhw", self._own(rules.masks, 0)[part].movedim(1, 0), rules.costs[:, self.chosen[part]]
                )
            middle = cut[:, :, :, reach : reach + CELL, reach : reach + CELL]
            means.append((logits.softmax(1)[:, :, None] * middle).sum(1))
            parts.append(logits)
        return whole(torch.cat(means), self.size), torch.cat(parts)

    def next(self, logs: Tensor, keep: int) -> Tensor:
        """Choose the examples of the next level's cells, int64 `[cells, keep]`, by this level's last weights."""
        rows, columns = self.cells
        quarters = F.max_pool2d(logs.flatten(0, 1)[None], CELL // 2)[0].view(rows, columns, -1, 2, 2)
        scores = quarters.permute(0, 3, 1, 4, 2).reshape(2 * rows, 2 * columns, -1)
        chosen = self.chosen.view(rows, columns, -1).repeat_interleave(2, 0).repeat_interleave(2, 1)
        whole = scores.new_full((2 * rows, 2 * columns, len(self.examples)), -torch.inf).scatter(2, chosen, scores)
        wanted = cells((2 * self.size[0], 2 * self.size[1]))
        return most_weighty(whole[: wanted[0], : wanted[1]], keep)

    def _places(self, reach: int) -> tuple[Tensor, Tensor]:
        """Rows and columns, `[cells, CELL + 2 * reach]`, of every cell with what its windows reach."""
        device = self.chosen.device
        steps = torch.arange(-reach, CELL + reach, device=device)
        row, column = (torch.arange(count, device=device) * CELL for count in self.cells)
        rows = (row[:, None] + steps)[:, None].expand(-1, self.cells[1], -1).flatten(0, 1)
        columns = (column[:, None] + steps)[None].expand(self.cells[0], -1, -1).flatten(0, 1)
        return rows, columns

    def _own(self, x: Tensor, reach: int) -> Tensor:
        """Cut a picture as the examples are cut: `[cells, 3, side, side]`."""
        rows, columns = self._places(reach)
        rows, columns = rows.clamp(0, self.size[0] - 1), columns.clamp(0, self.size[1] - 1)
        return x[:, rows[:, :, None], columns[:, None, :]].movedim(0, 1)


def whole(parts: Tensor, size: tuple[int, ...]) -> Tensor:
    """Join cells `[cells, channels, CELL, CELL]` to `[channels, *size]`."""
    rows, columns = cells(size)
    joined = parts.view(rows, columns, -1, CELL, CELL).permute(2, 0, 3, 1, 4)
    return joined.reshape(-1, rows * CELL, columns * CELL)[:, : size[0], : size[1]]


def cells(size: tuple[int, ...]) -> tuple[int, int]:
    """Count the rows and columns of cells that cover a size."""
    return -(-size[0] // CELL), -(-size[1] // CELL)


def first_choice(logs: Tensor, size: tuple[int, int], keep: int) -> Tensor:
    """Choose the examples of a level's cells, int64 `[cells, keep]`, by the coarsest level's weights before it.

    Args:
        logs: `[rows, columns, E]`, logarithms of the weights at the coarser level's blocks.
        size: of the finer level.
    """
    rows, columns = cells(size)
    spread = F.max_pool2d(logs.permute(2, 0, 1)[None], 3, 1, 1)
    return most_weighty(F.adaptive_max_pool2d(spread, (rows, columns))[0].permute(1, 2, 0), keep)


def most_weighty(scores: Tensor, keep: int) -> Tensor:
    """Choose the examples of each cell by their scores there, and lower by the neighbours': int64 `[cells, keep]`."""
    around = F.max_pool2d(scores.permute(2, 0, 1)[None], 3, 1, 1)[0].permute(1, 2, 0) - _NEIGHBOUR
    return torch.maximum(scores, around).flatten(0, 1).topk(keep, dim=1).indices
