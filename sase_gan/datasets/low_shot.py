"""Endless training batches from pictures that lie in memory, each a pure function of (seed, position)."""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from sase_gan.colours import CHANNELS
from sase_gan.errors import UsageError
from sase_gan.seeds import generator


class Labelled(NamedTuple):
    """A batch of pictures uint8 [B, 3, H, W] with the index of each one's class, int64 [B]."""

    images: Tensor
    labels: Tensor


class EndlessBatches(IterableDataset[Tensor | Labelled]):
    """The data set gives batches uint8 [batch_size, 3, H, W] for ever, shuffled each epoch, mirrored by a fair coin.

    The clock is `images_seen`, counted over all ranks. Position p shows picture `permutation(epoch p // N)[p % N]`,
    mirrored by coin `coins(epoch p // N)[p % N]`; permutation and coins depend on (seed, epoch) alone. Rank r takes the
    positions `images_seen + r * batch_size` and on, then skips the other ranks' share. So starting at `images_seen=k`
    equals continuing from there, and two ranks together see exactly what one rank with twice the batch sees. An epoch
    may be shorter than a batch.

    Each `iter()` starts at the attribute `images_seen`, which iterating does not change (a loader fetches ahead of what
    training has used): set it before a new iterator is made. With loader workers, worker w of W makes every W-th batch;
    the loader hands them out in turn, so the order is that of no workers. Use `DataLoader(dataset, batch_size=None)`.

    Args:
        images: uint8 [N, 3, H, W], kept by reference; of other colours with other channels, of 16 bits int16.
        batch_size: of one rank.
        mirror: False leaves all pictures as they are; it does not change their order.
        labels: of each picture; batches are `Labelled` then.
        balanced: classes are shown equally often: pictures of the smaller ones come again within an epoch.

    Raises:
        UsageError: for images of another kind, or a number out of its range.

    Example:
        >>> pictures = torch.arange(3, dtype=torch.uint8).reshape(3, 1, 1, 1).expand(3, 3, 4, 4)
        >>> next(iter(EndlessBatches(pictures, batch_size=8, seed=0))).shape
        torch.Size([8, 3, 4, 4])
    """

    def __init__(
        self,
        images: Tensor,
        *,
        batch_size: int,
        seed: int,
        images_seen: int = 0,
        rank: int = 0,
        world_size: int = 1,
        mirror: bool = True,
        labels: Sequence[int] | None = None,
        balanced: bool = False,
    ) -> None:
        channels = tuple(CHANNELS.values())
        if (
            images.dtype not in (torch.uint8, torch.int16)
            or images.ndim != 4
            or images.shape[1] not in channels
            or len(images) == 0
        ):
            raise UsageError(f"images are {images.dtype} {tuple(images.shape)}; uint8 [N >= 1, 3, H, W] is required")
        if batch_size < 1:
            raise UsageError(f"batch_size is {batch_size}; it must be at least 1")
        if images_seen < 0:
            raise UsageError(f"images_seen is {images_seen}; it counts from 0")
        if not 0 <= rank < world_size:
            raise UsageError(f"rank is {rank} of {world_size}; it must lie in 0..{world_size - 1}")
        self.images, self.batch_size, self.seed, self.mirror = images, batch_size, seed, mirror
        self.images_seen, self.rank, self.world_size = images_seen, rank, world_size
        self.labels = None if labels is None else torch.tensor(labels)
        self._places = balanced_places(labels) if balanced and labels is not None else torch.arange(len(images))
        self._epochs: dict[int, tuple[Tensor, Tensor]] = {}

    def __iter__(self) -> Iterator[Tensor | Labelled]:
        worker = get_worker_info()
        first, stride = (0, 1) if worker is None else (worker.id, worker.num_workers)
        step = self.batch_size * self.world_size
        for images_seen in count(self.images_seen + first * step, stride * step):
            indices, mirrored = self._choices_at(images_seen)
            batch = self.images[indices]
            batch = torch.where(mirrored[:, None, None, None], batch.flip(3), batch) if self.mirror else batch
            yield batch if self.labels is None else Labelled(batch, self.labels[indices])

    def _choices_at(self, images_seen: int) -> tuple[Tensor, Tensor]:
        """Draw this rank's batch at that count: picture indices int64 [batch_size] and coins bool [batch_size]."""
        start = images_seen + self.rank * self.batch_size
        num = len(self._places)
        first_epoch, last_epoch = start // num, (start + self.batch_size - 1) // num
        # Only the epochs of the current batch are kept: the next one usually lies in the last of them.
        self._epochs = {epoch: self._epoch(epoch) for epoch in range(first_epoch, last_epoch + 1)}
        permutations, coins = zip(*self._epochs.values(), strict=True)
        within = torch.arange(start, start + self.batch_size) - first_epoch * num
        return self._places[torch.cat(permutations)[within]], torch.cat(coins)[within]

    def _epoch(self, epoch: int) -> tuple[Tensor, Tensor]:
        if epoch in self._epochs:
            return self._epochs[epoch]
        num = len(self._places)
        permutation = torch.randperm(num, generator=generator(self.seed, "shuffle", epoch))
        coins = torch.randint(2, (num,), generator=generator(self.seed, "mirror", epoch)).bool()
        return permutation, coins


def balanced_places(labels: Sequence[int]) -> Tensor:
    """List the pictures of an epoch in which every class comes equally often, int64: as often as the largest one.

    Example:
        >>> balanced_places([0, 0, 0, 1, 1])
        tensor([0, 1, 2, 3, 4, 3])
    """
    found = torch.tensor(labels)
    most = int(found.bincount().max())
    rows = [(found == label).nonzero()[:, 0] for label in found.unique()]
    return torch.cat([row.repeat(-(-most // len(row)))[:most] for row in rows])
