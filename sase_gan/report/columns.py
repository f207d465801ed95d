"""Columns of a comparison: one run each, read from an evaluation folder, a run folder, or a folder of seeds."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sase_gan.errors import DataError, UsageError
from sase_gan.metrics.records import (
    RECORD_FILE,
    Colour,
    EvaluationRecord,
    MetricRecord,
    read_record,
)
from sase_gan.runs.folder import is_run
from sase_gan.runs.history import best_record, read_run

_WORST: tuple[Colour, ...] = ("red", "amber", "grey", "green")


@dataclass(frozen=True)
class Column:
    """A column is one run: its name, the records of its seeds (usually one), and where their pictures lie."""

    name: str
    records: tuple[EvaluationRecord, ...]
    folders: tuple[Path, ...]

    @property
    def record(self) -> EvaluationRecord:
        """Return the first seed's record, which stands for the column where one must."""
        return self.records[0]

    def colour(self, topic: str) -> Colour:
        """Return the worst verdict among the seeds."""
        found = {record.colour(topic) for record in self.records}
        return next(colour for colour in _WORST if colour in found)


def measured_entries(columns: Sequence[Column], name: str) -> list[tuple[str, EvaluationRecord, MetricRecord]]:
    """List a metric's measured entries with the name of their column and their record."""
    return [
        (column.name, record, record.metrics[name])
        for column in columns
        for record in column.records
        if name in record.metrics and record.metrics[name].measured
    ]


def load_columns(paths: Sequence[Path]) -> list[Column]:
    """Read one column per path and give each a name that no other has.

    Raises:
        UsageError: fewer than two paths, or one twice.
        DataError: a path holds no evaluation.
    """
    resolved = [Path(path).resolve() for path in paths]
    if len(resolved) < 2:
        raise UsageError(f"got {len(resolved)} run to compare, but at least two are needed; name another folder")
    if twice := [path for path, times in Counter(resolved).items() if times > 1]:
        raise UsageError(f"{twice[0].name} was given twice; name each run once")
    found = [_records_of(path) for path in resolved]
    names = _distinct_names(resolved)
    return [
        Column(name, tuple(record for record, _ in pairs), tuple(folder for _, folder in pairs))
        for name, pairs in zip(names, found, strict=True)
    ]


def _records_of(path: Path) -> list[tuple[EvaluationRecord, Path]]:
    single = _single_record(path)
    if single is not None:
        return [single]
    seeds = [_single_record(child) for child in sorted(path.iterdir()) if child.is_dir()] if path.is_dir() else []
    records = [seed for seed in seeds if seed is not None]
    if not records:
        raise DataError(
            f"{path} holds no evaluation ({RECORD_FILE} or results.jsonl, its own or in the folders below); "
            "run `sase-gan evaluate` on it first"
        )
    return records


def _single_record(path: Path) -> tuple[EvaluationRecord, Path] | None:
    if path.is_file() and path.name == RECORD_FILE:
        return read_record(path), path.parent
    if (path / RECORD_FILE).is_file():
        return read_record(path / RECORD_FILE), path
    if not is_run(path):
        return None
    # A finished evaluation says more than the quick ones made while training.
    evaluations = sorted(path.glob(f"*/{RECORD_FILE}"), key=lambda file: file.stat().st_mtime)
    if evaluations:
        return read_record(evaluations[-1]), evaluations[-1].parent
    record = best_record(read_run(path).results)
    return (record, path) if record else None


def _distinct_names(paths: Sequence[Path]) -> list[str]:
    """Name folders, with as many of the parents' names in front as it takes to tell them apart."""
    for parts in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-parts:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]
