"""Seeding the global generators that libraries draw from in training, those of GPUs apart."""

import random

import numpy as np
import torch


def seed_cpu(seed: int) -> None:
    """Seed torch's, Python's and NumPy's global generators, which torchvision's and timm's augmentations draw from.

    Without the GPUs' generators: `torch.manual_seed` took half of the time of a small picture for them.
    """
    torch.default_generator.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)
