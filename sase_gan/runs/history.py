"""The history of a training run, read back: the figures of its snapshots, its curves, and which snapshot is the best.

Imports no torch: reports and the studio read runs without it.
"""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sase_gan.errors import SaseGanError
from sase_gan.metrics.records import EvaluationRecord, in_order, parse_record
from sase_gan.runs.folder import CONFIG_FILE, RESULTS_FILE, TRAINING_FILE, WARNINGS_FILE

KEPT_RUN = "run"
"""Folder in an evaluation made outside its run, with copies of the run's three files above."""


@dataclass(frozen=True)
class RunRecords:
    """A run's records are what its folder tells about its course.

    `results` are the evaluations of its snapshots by images seen; `series` the columns of `metrics.csv`, each as
    (images seen, value) pairs without empty cells; `notes` say what could not be read, and what was worth a warning
    while it trained.
    """

    results: tuple[EvaluationRecord, ...] = ()
    series: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    config: str | None = None
    notes: tuple[str, ...] = ()


def read_run(folder: Path) -> RunRecords:
    """Read a run folder's curves and configuration; what is missing is empty, what is damaged becomes a note."""
    notes: list[str] = []
    results = tuple(_read_results(folder / RESULTS_FILE, notes))
    series = _read_training(folder / TRAINING_FILE, notes)
    notes += (_text(folder / WARNINGS_FILE) or "").splitlines()
    return RunRecords(results, series, _text(folder / CONFIG_FILE), tuple(notes))


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None


def _read_results(path: Path, notes: list[str]) -> list[EvaluationRecord]:
    records = []
    for number, line in enumerate((_text(path) or "").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            records.append(parse_record(json.loads(line), f"{path.name}, line {number}"))
        except SaseGanError as error:
            notes.append(f"{error}; this line was left out.")
        except (ValueError, RecursionError):
            # A run killed while it wrote leaves half a line; the others are as good as ever.
            notes.append(f"Line {number} of {path.name} is not valid JSON and was left out.")
    return sorted(records, key=lambda record: images_seen(record) or 0)


def _read_training(path: Path, notes: list[str]) -> dict[str, tuple[tuple[float, float], ...]]:
    if (text := _text(path)) is None:
        return {}
    reader = csv.DictReader(text.splitlines())
    if "images_seen" not in (reader.fieldnames or ()):
        notes.append(f"{path.name} has no column images_seen, so its curves were left out.")
        return {}
    series: dict[str, list[tuple[float, float]]] = {}
    for row in reader:
        clock = _number(row.pop("images_seen"))
        for name, cell in row.items():
            value = _number(cell)
            if clock is not None and value is not None:
                series.setdefault(name, []).append((clock, value))
    return {name: tuple(points) for name, points in series.items()}


def _number(cell: Any) -> float | None:
    """Read a cell; None for an empty or damaged one, or for the list of those beyond the last column."""
    try:
        value = float(cell)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def images_seen(record: EvaluationRecord) -> int | None:
    """Look up the training clock of the snapshot that a record scores, where one did."""
    return record.model.images_seen if record.model else None


def main_distance(record: EvaluationRecord) -> str | None:
    """Name the record's leading distance: KID on whichever features there are, Inception's first."""
    return next((name for name, metric in in_order(record.metrics) if metric.base == "kid" and metric.measured), None)


def best_record(records: Sequence[EvaluationRecord]) -> EvaluationRecord | None:
    """Pick the lowest KID among the records whose copying verdict is not red; the latest one when none has a KID.

    A red record is chosen only when all are red, because copies have the best KID of all.
    """
    return next(iter(rank_records(records)), None)


def rank_records(records: Sequence[EvaluationRecord]) -> list[EvaluationRecord]:
    """Rank the records among which `best_record` chooses, best first; those without a KID last, the latest first."""
    # The untrained generator, published at 0 images, is no candidate where there is a trained one.
    trained = [record for record in records if images_seen(record) != 0] or list(records)
    allowed = [record for record in trained if record.colour("copying") != "red"] or trained
    return sorted(reversed(allowed), key=_leading_value)


def without_better(results: Sequence[EvaluationRecord]) -> int:
    """Count the results after the best one, in the order in which they were measured; 0 without any."""
    best = best_record(results)
    return 0 if best is None else len(results) - 1 - results.index(best)


def words_of_patience(patience: int) -> str:
    """Say that a run ended because nothing improved."""
    last = "snapshot" if patience == 1 else f"{patience} snapshots"
    return f"the last {last} brought nothing better (schedule.patience={patience})"


def _leading_value(record: EvaluationRecord) -> float:
    name = main_distance(record)
    value = record.metrics[name].value if name else None
    return math.inf if value is None else value
