"""Columns of a comparison: one run each, read from an evaluation folder, a run folder, or a folder of seeds."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sase_gan.errors import DataError, UsageError
from sase_gan.metrics.records import (
    PATCHWORK,
    RECORD_FILE,
    VERDICT_TOPICS,
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
        """The first seed's record, which stands for the column where one must."""
        return self.records[0]

    def colour(self, topic: str) -> Colour:
        """The worst verdict among the seeds."""
        return min((record.colour(topic) for record in self.records), key=_WORST.index)

    def measured(self, name: str) -> list[tuple[EvaluationRecord, MetricRecord]]:
        """The seeds' records in which a metric was measured, and its part of each."""
        found = [(record, record.metrics.get(name)) for record in self.records]
        return [(record, metric) for record, metric in found if metric is not None and metric.measured]


def topics_of(columns: Sequence[Column]) -> tuple[str, ...]:
    """List the topics of the verdicts to show of columns: patchwork where one of them was judged on it."""
    judged = any(PATCHWORK in record.topics for column in columns for record in column.records)
    return (*VERDICT_TOPICS, PATCHWORK) if judged else VERDICT_TOPICS


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
    found = [zip(*_records_of(path), strict=True) for path in resolved]
    return [Column(name, *parts) for name, parts in zip(_distinct_names(resolved), found, strict=True)]


def _records_of(path: Path) -> list[tuple[EvaluationRecord, Path]]:
    if single := _single_record(path):
        return [single]
    seeds = [_single_record(child) for child in sorted(path.iterdir()) if child.is_dir()] if path.is_dir() else []
    records = list(filter(None, seeds))
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
    if evaluations := sorted(path.glob(f"*/{RECORD_FILE}"), key=lambda file: file.stat().st_mtime):
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
