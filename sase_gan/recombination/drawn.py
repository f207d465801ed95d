"""What recombination draws: pictures, and where every pixel of them came from."""

from typing import NamedTuple

import torch
from torch import Tensor

NOWHERE = -1
"""Index, row and column of the source of a pixel that was kept of a visitor's picture."""


class Drawn(NamedTuple):
    """Pictures drawn by recombination, each pixel with its source.

    Attributes:
        pictures: float `[batch, 3, height, width]` in about [-1, 1].
        sources: int32 `[batch, height, width, 3]`: index of the training picture, row and column in it. From N on, the
            number of training pictures, an index means the mirror image of picture `index - N`; the column is then
            the mirrored one, so that `picture[:, row, column]` is the source in every case. Three times `NOWHERE` means
            that the pixel was kept of a visitor's picture.
        shares: float64 `[batch, N]`: how much of each picture every training picture gave, by the weights of the last
            step; sums to 1.
    """

    pictures: Tensor
    sources: Tensor
    shares: Tensor

    @property
    def big(self) -> Tensor:
        """Return the pictures, under the name that they have in what a generator or a pyramid returns."""
        return self.pictures


def among_all(drawn: Drawn, places: Tensor, count: int) -> Drawn:
    """Name the sources of pictures drawn from some of the training pictures as those of all `count`.

    Args:
        places: int64 `[n]`, which ones.
    """
    own, places = len(places), places.to(drawn.sources.device)
    index = drawn.sources[..., 0].long()
    named = places[index.clamp_min(0) % own] + torch.where(index >= own, count, 0)
    sources = drawn.sources.clone()
    sources[..., 0] = torch.where(index == NOWHERE, index, named).int()
    shares = drawn.shares.new_zeros(len(drawn.shares), count)
    shares[:, places.to(shares.device)] = drawn.shares
    return Drawn(drawn.pictures, sources, shares)


def shares_of(sources: Tensor, count: int) -> Tensor:
    """Tell how much of each picture every one of `count` training pictures gave, `[batch, count]`, by its pixels.

    What was kept of a visitor's picture does not count.

    Example:
        >>> shares_of(torch.tensor([[[[0, 0, 0], [3, 0, 1]]]]), 2)
        tensor([[0.5000, 0.5000]], dtype=torch.float64)
    """
    pictures = sources[..., 0].long().flatten(1).cpu()  # some devices have no float64
    found = torch.zeros(len(sources), count, dtype=torch.float64)
    drawn = (pictures != NOWHERE).double()
    return found.scatter_add_(1, pictures % count, drawn) / drawn.sum(1, keepdim=True).clamp_min(1)
