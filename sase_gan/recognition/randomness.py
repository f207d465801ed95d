"""Random numbers of training: seeding the libraries that draw from global generators, and the order of pictures."""

import random
from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import Sampler

from sase_gan.seeds import generator


def seed_all(seed: int) -> None:
    """Seed every global generator, those of GPUs too."""
    torch.manual_seed(seed)
    seed_cpu(seed)


def seed_cpu(seed: int) -> None:
    """Seed torch's, Python's and NumPy's global generators, which torchvision's and timm's augmentations draw from.

    Without the GPUs' generators: `torch.manual_seed` took half of the time of a small picture for them.
    """
    torch.default_generator.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)


class EpochOrder(Sampler[int]):
    """A random order of `count` pictures that depends on (seed, epoch) only, so that a resumed run repeats it.

    What it gives is `epoch * count + index`, the key of a training picture.
    """

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed, self.epoch = count, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Take the epoch that Lightning announces at its start."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        """Draw the order of the current epoch."""
        order = torch.randperm(self.count, generator=generator("order", self.seed, self.epoch))
        return iter((order + self.epoch * self.count).tolist())

    def __len__(self) -> int:
        return self.count
