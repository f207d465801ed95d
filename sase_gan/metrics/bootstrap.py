"""Error bars are 95 % intervals from resampled pictures.

A statistic of a resampled set has a bias that the set's own value does not have (a set drawn with replacement holds
fewer different pictures), so only the spread of the resampled values is used: it is centred on the value measured.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor

from sase_gan.seeds import generator

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """An interval holds the value with 95 % and says in words where it came from."""

    low: float
    high: float
    description: str


def resampled_counts(n: int, draws: int, seed: int = 0) -> Tensor:
    """How often each of `n` items occurs in each of `draws` resamplings with replacement: float64 [draws, n].

    Rows sum to n. The same for the same arguments on every computer.
    """
    indices = torch.randint(n, (draws, n), generator=generator(seed, "bootstrap", n, draws))
    counts = torch.zeros(draws, n, dtype=torch.float64)
    return counts.scatter_add_(1, indices, torch.ones_like(indices, dtype=torch.float64))


def centred_interval(
    value: float, resampled: Tensor, description: str, *, lowest: float = -inf, highest: float = inf
) -> Interval:
    """The 95 % interval of `value` whose spread is that of the resampled values [draws].

    Args:
        value: measured on all pictures.
        resampled: the same statistic of each resampling.
        description: what was resampled, and how often.
        lowest, highest: the statistic's bounds, where it has some.
    """
    deviations = resampled.double() - resampled.double().mean()
    tail = (1 - LEVEL) / 2
    low, high = torch.quantile(deviations, torch.tensor([tail, 1 - tail], dtype=torch.float64)).tolist()
    return Interval(max(value + low, lowest), min(value + high, highest), description)


def mean_interval(
    items: Tensor, what: str, draws: int, *, lowest: float = -inf, highest: float = inf
) -> Interval | None:
    """Interval of the mean of `items` [n], resampling them; None for fewer than two.

    Shares of none or of all, where resampling shows no spread, get the interval of `share_interval`.
    """
    if len(items) < 2:
        return None
    items = items.double()
    if (lowest, highest) == (0, 1) and items.min() == items.max() and items[0].item() in (0, 1):
        return share_interval(int(items.sum().item()), len(items), what)
    means = resampled_counts(len(items), draws) @ items / len(items)
    return centred_interval(items.mean().item(), means, describe(what, draws), lowest=lowest, highest=highest)


def share_interval(count: int, n: int, what: str) -> Interval:
    """Wilson's score interval of a share, also honest where nothing or everything was counted: 0 of 200 is 0-2 %."""
    z = 1.959964
    share, square = count / n, z**2 / n
    centre, spread = share + square / 2, z * (share * (1 - share) / n + square / (4 * n)) ** 0.5
    low, high = (centre - spread) / (1 + square), (centre + spread) / (1 + square)
    return Interval(min(max(low, 0.0), share), max(min(high, 1.0), share), f"95 %, Wilson score of {n} {what}")


def resampled_interval(
    items: Tensor, statistic: Callable[[Tensor], Tensor], what: str, draws: int, *, lowest: float = -inf
) -> Interval | None:
    """Interval of a statistic of `items` [n] that maps the last axis to one number; None for fewer than two."""
    if len(items) < 2:
        return None
    n = len(items)
    indices = torch.randint(n, (draws, n), generator=generator(0, "bootstrap", n, draws))
    value = statistic(items[None]).item()
    return centred_interval(value, statistic(items[indices]), describe(what, draws), lowest=lowest)


def describe(what: str, draws: int) -> str:
    """Put an interval's origin into words."""
    return f"95 %, bootstrap over {what}, {draws} draws"
