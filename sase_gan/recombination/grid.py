"""The coarsest level of the aligned form: every example is weighed, in blocks, by matrix products."""

from __future__ import annotations

from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from sase_gan.recombination.box_sums import margin, window_sums
from sase_gan.recombination.control import Rules

BLOCKS_A_WINDOW = 4
"""Weights are computed in blocks of the largest power of two that goes so often into the window's side."""


class Grid:
    """A grid weighs all examples at every block of a small picture.

    |x - x_i|^2 = |x|^2 - 2 x . x_i + |x_i|^2: the first part is the same for all examples, the second is a matrix
    product for all pictures and examples of a block, the third is known.

    Args:
        examples: float `[E, 3, height, width]`.
    """

    def __init__(self, examples: Tensor) -> None:
        self.examples = examples
        self._blocks: dict[int, tuple[Tensor, Tensor]] = {}

    def start(self, prior: Tensor, rules: Rules | None) -> Tensor:
        """Return the mean picture `[3, height, width]`, weighed as the examples are before anything is seen."""
        if rules is None:
            return torch.einsum("e,echw->chw", prior.softmax(0), self.examples)
        return torch.einsum("hwe,echw->chw", (prior + rules.bias()).softmax(2), self.examples)

    def estimate(
        self,
        x: Tensor,
        noise: float,
        window: float,
        prior: Tensor,
        rules: Rules | None = None,
        trust: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Estimate the clean picture behind noisy ones.

        Args:
            x: `[batch, 3, height, width]`, with noise of this deviation.
            prior: `[E]`, added to the logarithms of the weights, as `rules` are.
            trust: `[height, width]`, with which squared differences count; 1 everywhere if None.

        Returns:
            The estimates, as `x`, and the weights' logits at the blocks, `[batch, rows, columns, E]`.
        """
        side = self._side(window)
        blocks, squares = self._of(side)
        rows, columns = (length // side for length in x.shape[2:])
        own = _to_blocks(x, side)
        if trust is not None:
            worth = _to_blocks(trust.expand(1, x.shape[1], -1, -1), side)
            own, squares = own * worth, torch.bmm(blocks.square(), worth.transpose(1, 2))[..., 0]
        distances = torch.baddbmm(squares[:, None].expand(-1, len(x), -1), own, blocks.transpose(1, 2), alpha=-2)
        distances = _summed(distances.view(rows, columns, -1), window / side)
        logits = distances.view(rows, columns, len(x), -1) / (-2 * noise * noise) + prior
        if rules is not None:
            logits += Rules(F.avg_pool2d(rules.masks, side), rules.costs).bias()[:, :, None]
        return self._mixed(logits.softmax(3), side), logits.permute(2, 0, 1, 3)

    def _side(self, window: float) -> int:
        height, width = self.examples.shape[2:]
        side = 1
        while 2 * side * BLOCKS_A_WINDOW <= window and height % (2 * side) == 0 and width % (2 * side) == 0:
            side *= 2
        return side

    def _of(self, side: int) -> tuple[Tensor, Tensor]:
        if side not in self._blocks:
            blocks = _to_blocks(self.examples, side).contiguous()
            self._blocks[side] = blocks, blocks.square().sum(2)
        return self._blocks[side]

    def _mixed(self, weights: Tensor, side: int) -> Tensor:
        """Mix the examples by weights `[rows, columns, batch, E]` that lie bilinearly between the blocks' middles."""
        blocks, _ = self._of(side)
        rows, columns, batch, count = weights.shape
        size = (rows * side, columns * side)
        if side == 1:
            return _from_blocks(torch.bmm(weights.reshape(-1, batch, count), blocks), side, size)
        padded = F.pad(weights.permute(2, 3, 0, 1), (1, 1, 1, 1), mode="replicate")
        within = (torch.arange(side, device=weights.device) + 0.5) / side - 0.5
        total = weights.new_zeros(batch, blocks.shape[2] // side**2, *size)
        for down, right in product((-1, 0, 1), repeat=2):
            shares = (1 - (within - down).abs()).clamp_min(0)[:, None] * (1 - (within - right).abs()).clamp_min(0)
            moved = padded[:, :, 1 + down : 1 + down + rows, 1 + right : 1 + right + columns]
            part = torch.bmm(moved.permute(2, 3, 0, 1).reshape(-1, batch, count), blocks)
            total += _from_blocks(part, side, size) * shares.repeat(rows, columns)
        return total


def _summed(distances: Tensor, window: float) -> Tensor:
    """Sum `[rows, columns, K]` over windows of blocks; outside the nearest edge counts."""
    reach = margin(window)
    for dim in (0, 1):
        first, last = distances.narrow(dim, 0, 1), distances.narrow(dim, distances.shape[dim] - 1, 1)
        distances = torch.cat([first] * reach + [distances] + [last] * reach, dim)
        distances = window_sums(distances, window, dim)
    return distances


def _to_blocks(pictures: Tensor, side: int) -> Tensor:
    """Cut pictures `[n, 3, height, width]` into `[blocks, n, 3 * side * side]`."""
    n, channels, height, width = pictures.shape
    cut = pictures.view(n, channels, height // side, side, width // side, side)
    return cut.permute(2, 4, 0, 1, 3, 5).reshape(-1, n, channels * side * side)


def _from_blocks(blocks: Tensor, side: int, size: tuple[int, int]) -> Tensor:
    n = blocks.shape[1]
    cut = blocks.view(size[0] // side, size[1] // side, n, -1, side, side)
    return cut.permute(2, 3, 0, 4, 1, 5).reshape(n, -1, *size)
