"""The table of a study: means over seeds, and each arm's differences to the first one, paired by seed."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sase_gan.metrics.figures import identify
from sase_gan.studies.spec import StudySpec

FEWEST_PAIRS = 3
"""With fewer seeds a standard error says too little for a mark."""

Record = Mapping[str, Any]
"""What a cell left: set, arm, seed, figures by name, and what else it tells."""

OWN_FIGURES: Mapping[str, tuple[str, Literal["lower", "higher"] | None]] = {
    "gates_closed": ("Pixels that change when a mask is closed, the strongest mask", "higher"),
    "gates_inside": ("Pixels in a region that change with borrowed styles", "higher"),
    "gates_outside": ("Pixels outside it that change", "lower"),
    "top1": ("Share recognised (top-1)", "higher"),
    "loss": ("Loss on the held-out part", "lower"),
    "calibration_error": ("Calibration error", "lower"),
}
"""Title and direction of the figures that the metrics' catalogue does not have."""


def title_of(figure: str) -> str:
    """Put a figure into words."""
    return OWN_FIGURES[figure][0] if figure in OWN_FIGURES else identify(figure).title


def better_of(figure: str) -> str | None:
    """Tell which way is better, where one is."""
    return OWN_FIGURES[figure][1] if figure in OWN_FIGURES else identify(figure).metric.better


def build_table(spec: StudySpec, records: Sequence[Record], skipped: Mapping[str, str]) -> dict[str, Any]:
    """Make the table as JSON values: for each set its rows, one an arm, with an entry a figure.

    Args:
        records: of the finished cells.
        skipped: the sets that were left out, with the reason.
    """
    measured = {name for record in records for name in record["figures"]}
    figures = [name for name in spec.figures if name in measured]
    return {
        "title": spec.title,
        "task": spec.task,
        "budget": str(spec.budget),
        "count": spec.count,
        "first": next(iter(spec.arms)),
        "figures": [{"name": name, "title": title_of(name), "better": better_of(name)} for name in figures],
        "sets": [_set_table(spec, name, figures, records) for name in spec.sets if name not in skipped],
        "skipped": dict(skipped),
    }


def _set_table(spec: StudySpec, name: str, figures: Sequence[str], records: Sequence[Record]) -> dict[str, Any]:
    by_arm = {
        arm: {record["seed"]: record for record in records if (record["set"], record["arm"]) == (name, arm)}
        for arm in spec.arms
    }
    first = next(iter(by_arm.values()))
    rows = [
        _row(arm, found, {} if found is first else first, figures, spec.seeds) for arm, found in by_arm.items() if found
    ]
    levels = next((record.get("levels") or {} for found in by_arm.values() for record in found.values()), {})
    return {"name": name, "rows": rows, "levels": dict(levels)}


def _row(
    arm: str, found: Mapping[int, Record], first: Mapping[int, Record], figures: Sequence[str], seeds: Sequence[int]
) -> dict[str, Any]:
    records = [found[seed] for seed in seeds if seed in found]
    row: dict[str, Any] = {"arm": arm, "runs": len(records), "seeds": [record["seed"] for record in records]}
    for name in ("images_seen", "cpu_seconds", "seconds", "parameters"):
        values = [record[name] for record in records if record.get(name) is not None]
        row[name] = statistics.fmean(values) if values else None
    row["copying"] = dict(Counter(record["copying"] for record in records if record.get("copying")))
    row["flattered"] = any(record.get("flattered") for record in records)
    row["grids"] = [record["grid"] for record in records if record.get("grid")]
    row["entries"] = {name: entry(name, found, first) for name in figures}
    return row


def entry(figure: str, found: Mapping[int, Record], first: Mapping[int, Record]) -> dict[str, Any]:
    """Sum up a figure of an arm.

    Args:
        found, first: records by seed, of the arm and of the first arm; `first` is empty for that arm itself.

    Returns:
        mean; std, the sample standard deviation over seeds; runs; difference to the first arm, paired by seed, with the
        standard error of its mean and the number of pairs; mark: "better", "worse", or "differs" where neither is,
        when the difference exceeds twice its standard error over at least `FEWEST_PAIRS` seeds. What is not known is
        None.
    """
    values = {seed: _value(record, figure) for seed, record in found.items()}
    others = {seed: _value(record, figure) for seed, record in first.items()}
    known = [value for value in values.values() if value is not None]
    both = ((value, others.get(seed)) for seed, value in values.items())
    pairs = [value - other for value, other in both if value is not None and other is not None]
    difference = statistics.fmean(pairs) if pairs else None
    error = statistics.stdev(pairs) / math.sqrt(len(pairs)) if len(pairs) > 1 else None
    return {
        "mean": statistics.fmean(known) if known else None,
        "std": statistics.stdev(known) if len(known) > 1 else None,
        "runs": len(known),
        "difference": difference,
        "error": error,
        "pairs": len(pairs),
        "mark": _mark(figure, difference, error, len(pairs)),
    }


def _mark(figure: str, difference: float | None, error: float | None, pairs: int) -> str | None:
    if difference is None or error is None or pairs < FEWEST_PAIRS or not abs(difference) > 2 * error:
        return None
    better = better_of(figure)
    if better not in ("lower", "higher"):
        return "differs"
    return "better" if (difference < 0) == (better == "lower") else "worse"


def _value(record: Record, figure: str) -> float | None:
    value = record["figures"].get(figure)
    return None if value is None or not math.isfinite(value) else float(value)
