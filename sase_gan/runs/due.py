"""When something is due in a run: the clock is images seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightning import Trainer

IMAGES_A_PICTURE = 10
"""So many images are learnt from for each picture that is drawn for figures, which holds their time near a tenth."""


def figures_due(seen: int, measured: Iterable[int], count: int) -> bool:
    """Tell whether a snapshot is measured by `count` pictures.

    Args:
        measured: the images seen of measured snapshots; those that are not earlier do not count.

    Example:
        >>> figures_due(300, [0, 100, 300], 20), figures_due(299, [0, 100], 20)
        (True, False)
    """
    return seen - max((at for at in measured if at < seen), default=0) >= IMAGES_A_PICTURE * count


def is_due(module: Any, trainer: Trainer, batch: Any, interval: int | Sequence[int]) -> bool:
    """Tell whether this batch crossed a multiple of `interval` images, or one of several given moments.

    Args:
        batch: pictures, or pictures and the labels of their classes.
    """
    images = len(batch[0] if isinstance(batch, tuple | list) else batch)
    return crossed(module.images_seen, images * trainer.world_size, interval)


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
