"""Going on with a run: whether it is complete, with which pictures, and what of its folder is made again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sase_gan.datasets.images import ImageSet, pixel_digest
from sase_gan.errors import DataError
from sase_gan.files import write_atomically
from sase_gan.runs.due import crossed, figures_due
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.tasks.base import RunPlan


@dataclass(frozen=True)
class Position:
    """A position is where a run stands.

    Attributes:
        retreats: how often it went back because it diverged.
        step_images: of the last step on all devices together; a run may go on with others.
    """

    images_seen: int = 0
    retreats: int = 0
    step_images: int = 0

    @classmethod
    def of(cls, clock: dict[str, Any]) -> Position:
        """Read the position in a checkpoint's clock."""
        others = (clock.get(name) for name in ("retreats", "step_images"))  # older checkpoints have none
        return cls(clock["images_seen"], *(number if type(number) is int else 0 for number in others))


def record_pictures(run: RunFolder, images: ImageSet) -> None:
    """Write the digest of the pictures that a run begins with, with their classes, and under it one of each picture."""
    lines = [images.identity, *(pixel_digest(image[None]) for image in images.images)]
    with write_atomically(run.pictures) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines))


def recorded_digest(run: RunFolder) -> str | None:
    """Read the digest of the pictures that a run began with; None where none is on record."""
    lines = _recorded(run)
    return lines[0] if lines else None


def _recorded(run: RunFolder) -> list[str]:
    return run.pictures.read_text(encoding="utf-8", errors="replace").split() if run.pictures.is_file() else []


def in_recorded_order(images: ImageSet, run: RunFolder, digest: str | None) -> ImageSet:
    """Bring pictures into the order in which the run began with them, which other names may have changed.

    Args:
        digest: of the checkpoint; None where there is none yet.

    Raises:
        DataError: if they are not the pictures that the run began with.
    """
    digest = digest or recorded_digest(run)
    if digest is None or images.identity == digest:
        return images
    places: dict[str, list[int]] = {}
    for index, image in enumerate(images.images):
        places.setdefault(pixel_digest(image[None]), []).append(index)
    wanted = _recorded(run)[1:]
    if len(wanted) == len(images) and all(places.get(one) for one in wanted):
        try:
            ordered = images.subset([places[one].pop(0) for one in wanted])
        except IndexError:  # one is wanted more often than it is there
            ordered = images
        if ordered.identity == digest:
            return ordered
    raise DataError(
        f"these pictures are not those that {run.path} began with; restore them, name the place where they are now "
        f"(sase-gan train --resume {run.path} PATH), or start anew"
    )


def restore(run: RunFolder, plan: RunPlan, position: Position) -> list[str]:
    """Bring the folder to where an uninterrupted run would have it at this position.

    What is later is dropped, to be made again; so is what an interrupted run published beyond its schedule when it
    ended, which would take the place of what belongs to it.

    Returns:
        Sentences about what was damaged.
    """
    seen, step = position.images_seen, position.step_images or plan.batch_size
    if seen == 0:  # the start is published again
        return run.forget_after(-1)
    if seen >= plan.config.total_images:
        return run.forget_after(seen)
    if not crossed(seen, step, plan.snapshot_images):
        return run.forget_after(seen, extra=[seen])
    due = figures_due(seen, run.measured(), plan.config.schedule.evaluation_count)
    return run.forget_after(seen, unmeasured=[] if due else [seen])
