"""Whether the numbers of a training are numbers: told at rows, checkpoints and snapshots, never in every step.

A value that is not finite spreads: once it is in a loss it is in the sums that a row reads, and in the weights from the
next step on. So it is enough to look where something is to be written, and no step waits for the device.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from sase_gan.finite import not_finite


class Diverged(Exception):
    """A training has left the finite numbers; whoever runs it goes back to the last checkpoint.

    Attributes:
        images_seen: when it was noticed.
        what: a few names of what was not finite.
    """

    def __init__(self, images_seen: int, names: list[str]) -> None:
        self.images_seen = images_seen
        self.what = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        super().__init__(f"{self.what} not finite at {images_seen:,} images")


def check_sound(module: Any) -> None:
    """Refuse weights, averages or states of optimisers that are not finite.

    Args:
        module: a training module, with `images_seen`.

    Raises:
        Diverged: with their names.
    """
    if found := not_finite(_all_numbers(module)):
        raise Diverged(module.images_seen, found)


def check_figures(images_seen: int, figures: Mapping[str, float]) -> None:
    """Refuse figures of a row that are not finite.

    Raises:
        Diverged: with their names.
    """
    if found := not_finite((name, torch.tensor(value, dtype=torch.float64)) for name, value in figures.items()):
        raise Diverged(images_seen, found)


def _all_numbers(module: Any) -> Iterator[tuple[str, Any]]:
    yield from module.state_dict().items()
    for index, optimiser in enumerate(module.trainer.optimizers):
        for number, state in enumerate(optimiser.state.values()):
            yield from ((f"optimiser {index} {name} {number}", value) for name, value in state.items())
