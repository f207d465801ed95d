"""When something is due in a run: the clock is images seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightning import Trainer

IMAGES_A_PICTURE = 10
"""So many images are learnt from for each picture that is drawn for figures, which holds their time near a tenth."""


def figures_due(seen: int, measured: int, count: int) -> bool:
    """Tell whether a snapshot is measured by `count` pictures, when the last measured one had seen so many images."""
    return seen - measured >= IMAGES_A_PICTURE * count


def is_due(module: Any, trainer: Trainer, batch: Any, interval: int | Sequence[int]) -> bool:
    """Tell whether this batch crossed a multiple of `interval` images, or one of several given moments."""
    return crossed(module.images_seen, len(batch) * trainer.world_size, interval)


def crossed(seen: int, images: int, interval: int | Sequence[int]) -> bool:
    """Tell whether the last so many of the images seen crossed a multiple of `interval`, or a given moment.

    Example:
        >>> [seen for seen in range(8, 50, 8) if crossed(seen, 8, 20)]
        [24, 40]
    """
    before = seen - images
    if isinstance(interval, int):
        return seen // interval > before // interval
    return any(before < moment <= seen for moment in interval)
