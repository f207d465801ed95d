"""What a report shows of classes: a table by class, and how often pictures look like their class."""

from typing import Any

from sase_gan.metrics.class_record import ClassFigures
from sase_gan.metrics.figures import network_title
from sase_gan.metrics.records import EvaluationRecord
from sase_gan.report.numbers import format_number
from sase_gan.report.pages import GRID_SIDE, PictureShelf


def classes_view(record: EvaluationRecord, shelf: PictureShelf) -> dict[str, Any] | None:
    """Gather the sentence on agreement, a row for each class, and their grid; None where there are no classes."""
    part = record.classes
    if part is None:
        return None
    line = None
    if part.agreement is not None and part.agreement_level is not None:
        spread = ""
        if part.agreement_low is not None and part.agreement_high is not None:
            spread = f" (95 %: {part.agreement_low:.0%} to {part.agreement_high:.0%})"
        line = (
            f"Of {part.agreement:.0%} of the generated pictures{spread} the nearest real picture has the class that "
            f"they were drawn as; of {part.level_of} it has it in {part.agreement_level:.0%}."
        )
    return {
        "line": line,
        "network": network_title(part.extractor) if part.extractor else None,
        "rows": [_row(one) for one in part.classes],
        "grid": shelf.embed(part.grid, GRID_SIDE),
    }


def _row(one: ClassFigures) -> dict[str, Any]:
    return {
        "name": one.name,
        "counts": f"{one.n_fake} / {one.n_real}",
        "kid": _value(one.kid, one.kid_low, one.kid_high),
        "kid_level": _value(one.kid_level),
        "fd": _value(one.fd, one.fd_low, one.fd_high),
        "fd_level": _value(one.fd_level),
        "agreement": "–" if one.agreement is None else f"{one.agreement:.0%}",
        "agreement_level": "–" if one.agreement_level is None else f"{one.agreement_level:.0%}",
        "left_out": one.left_out,
    }


def _value(value: float | None, low: float | None = None, high: float | None = None) -> str:
    if value is None:
        return "–"
    if low is None or high is None:
        return format_number(value)
    spread = (high - low) / 2
    return f"{format_number(value, spread)} ({format_number(low, spread)} to {format_number(high, spread)})"
