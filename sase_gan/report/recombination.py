"""What a report shows of a model without training: how it used the training pictures, and where regions came from."""

from typing import Any

from sase_gan.metrics.records import EvaluationRecord
from sase_gan.report.numbers import format_number
from sase_gan.report.pages import GRID_SIDE, PictureShelf


def recombination_view(record: EvaluationRecord, shelf: PictureShelf) -> dict[str, Any] | None:
    """Gather figures, in words, and the maps; None for other models."""
    part = record.model.recombination if record.model else None
    if part is None:
        return None
    lines = []
    if part.largest_region is not None and part.regions is not None:
        lines.append(
            f"On average the largest region of one training picture covers {part.largest_region:.0%} of a picture, and "
            f"{format_number(part.regions)} regions cover a hundredth of it or more."
        )
    if part.most_used is not None and part.entropy_of_use is not None:
        lines.append(
            f"The training picture that gave most gave {format_number(part.most_used)} times its even share; the use "
            f"of all of them has {part.entropy_of_use:.0%} of the largest possible entropy."
        )
    return {"lines": lines, "maps": shelf.embed(part.maps, GRID_SIDE)}
