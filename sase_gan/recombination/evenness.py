"""Even use of the training pictures: a log-prior for each, found by drawing at the coarsest level."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from sase_gan.recombination.aligned import AlignedRecombiner
from sase_gan.seeds import generator

ROUNDS = 9
SAMPLES = 64
STEP = 0.5
_LEAST = 0.05  # a share under this part of the even one counts as this part


def even_prior(recombiner: AlignedRecombiner, *, rounds: int = ROUNDS, samples: int = SAMPLES) -> Tensor:
    """Find the log-prior `[N]` with which the training pictures are used most evenly.

    Some pictures fit many others and would be used several times as often as the rest. In every round the coarsest
    level draws, from seeds of its own, and each picture's logarithm moves against that of its share; the prior of the
    round with the smallest largest share is taken, which may be the first one, without any.
    """
    small = _sketched(recombiner)
    count = small.examples.count
    prior = torch.zeros(count)
    best, least = prior, float("inf")
    for round_ in range(rounds + 1):
        source = generator(round_, "even prior")
        z = torch.randn(samples, *small.latent_shape(), generator=source).to(small.prior.device)
        use = small.coarse_shares(z, prior).cpu() * count
        if use.max() < least:
            best, least = prior, use.max().item()
        prior = prior - STEP / (1 + round_ / 4) * use.clamp_min(_LEAST).log().float()
        prior = prior - prior.mean()
    return best


def _sketched(recombiner: AlignedRecombiner) -> AlignedRecombiner:
    """Make a recombiner of pictures at half the coarsest size: a tenth of the cost, nearly the same choices."""
    pictures = recombiner.examples.levels[0].permute(0, 3, 1, 2)
    schedule, size = recombiner.schedule, [side // 2 for side in pictures.shape[2:]]
    half = F.interpolate(pictures.float(), size=size, mode="area").round().to(torch.uint8)
    coarser = replace(
        schedule,
        highest=schedule.highest / 2,
        lowest=schedule.turn,
        density=schedule.density / 2,
        largest=schedule.largest / 2,
        smallest=schedule.smallest / 2,
    )
    return AlignedRecombiner(half, mirror=bool(recombiner.examples.mirrored.any()), schedule=coarser)


def use_entropy(shares: Tensor) -> float:
    """Tell how evenly training pictures are used: the entropy of their shares, as a share of the most that it can be.

    Args:
        shares: `[N]`, of sum 1.

    Example:
        >>> use_entropy(torch.tensor([0.5, 0.5])), use_entropy(torch.tensor([1.0, 0.0]))
        (1.0, 0.0)
    """
    if len(shares) < 2:
        return 1.0
    shares = shares.double()
    entropy = -(shares * shares.clamp_min(1e-300).log()).sum()
    return (entropy / torch.tensor(float(len(shares)), dtype=torch.float64).log()).item() + 0.0
