"""Runs side by side, without letting unlike numbers be ranked.

A column is one run: an evaluation folder, a run folder, or a folder of such folders, which are then taken as the seeds
of one experiment. A row is one metric. Its cells may be ranked only when all of them carry the same `comparability`
hash, that is when extractor, weights, resize, counts, reference and sampling agree and the real pictures are the same
ones; otherwise the row goes to a second table without ranking, which names what differs.

A best value is marked only when that is more than luck and more than copying:

* every measured cell has a 95 % interval (its own bootstrap, or Student's t over at least three seeds);
* the leader's interval overlaps no other's; where they overlap, the note says "not distinguishable";
* the leader's copying verdict is not red: copies have the best distances of all.

Overlapping intervals are the cautious criterion: two values whose 95 % intervals just touch differ at about p = 0.006
when their errors are equal and independent, so what is marked is clear and what is not marked may still differ.
"""

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from sase_gan.errors import DataError, UsageError
from sase_gan.files import write_atomically
from sase_gan.metrics.figures import identify
from sase_gan.metrics.records import (
    RECORD_FILE,
    VERDICT_TOPICS,
    Colour,
    EvaluationRecord,
    MetricRecord,
    read_record,
)
from sase_gan.report.numbers import count, format_number
from sase_gan.report.pages import GRID_SIDE, Picture, PictureShelf, render_html, render_markdown
from sase_gan.report.plots import interval_svg
from sase_gan.runs.folder import is_run
from sase_gan.runs.history import best_record, images_seen, read_run

LEAST_SEEDS = 3
"""Seeds that give a column an interval of its own."""

# Student's t, 97.5 %, for 2 to 10 degrees of freedom; beyond that 2.2, the value for 11, is taken: cautious for more.
_STUDENT = {2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228}

_WORST: tuple[Colour, ...] = ("red", "amber", "grey", "green")

# What decides whether two numbers mean the same, in the words of the second table.
_METRIC_FIELDS: tuple[tuple[str, str], ...] = (
    ("extractor", "feature network"),
    ("weights_sha256", "weights of the feature network"),
    ("layer", "layer"),
    ("resize", "resize"),
    ("n_fake", "number of generated pictures"),
    ("n_real", "number of real pictures"),
    ("subset_size", "subset size"),
    ("reference_set", "reference"),
    ("mirrors", "mirrored reference"),
)


@dataclass(frozen=True)
class Column:
    """One run: its name, the records of its seeds (usually one), and where their pictures lie."""

    name: str
    records: tuple[EvaluationRecord, ...]
    folders: tuple[Path, ...]

    @property
    def record(self) -> EvaluationRecord:
        """The first seed's record, which stands for the column where one must."""
        return self.records[0]

    def colour(self, topic: str) -> Colour:
        """The worst verdict among the seeds."""
        found = {record.colour(topic) for record in self.records}
        return next(colour for colour in _WORST if colour in found)


@dataclass(frozen=True)
class Cell:
    """One metric of one column: a value with its interval, or the reason why there is none."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str | None = None

    @property
    def has_interval(self) -> bool:
        """Whether the value carries an error bar."""
        return self.low is not None and self.high is not None

    def overlaps(self, other: "Cell") -> bool:
        """Whether two intervals share a point; both must have one."""
        if self.low is None or self.high is None or other.low is None or other.high is None:
            raise ValueError("overlap needs two intervals, got a cell without one")
        return self.low <= other.high and other.low <= self.high

    @property
    def text(self) -> str:
        """The value as text, or "–"."""
        return "–" if self.value is None else format_number(self.value, self._spread)

    @property
    def interval_text(self) -> str | None:
        """The interval as text."""
        if self.low is None or self.high is None:
            return None
        return f"{format_number(self.low, self._spread)} to {format_number(self.high, self._spread)}"

    @property
    def _spread(self) -> float | None:
        return (self.high - self.low) / 2 or None if self.low is not None and self.high is not None else None


@dataclass(frozen=True)
class Row:
    """One metric over all columns.

    Args:
        best: the place of the column that is better than all others beyond its interval, or `None`.
        note: what the intervals allow to be said, or why the row is not ranked.
    """

    name: str
    cells: tuple[Cell, ...]
    better: str | None = None
    best: int | None = None
    note: str = ""

    @property
    def title(self) -> str:
        """The metric in words, with its feature network."""
        return identify(self.name).title_on_network


@dataclass(frozen=True)
class Comparison:
    """The two tables, and the sentences that belong above them."""

    columns: tuple[Column, ...]
    ranked: tuple[Row, ...]
    unranked: tuple[Row, ...]
    sentences: tuple[str, ...]


# --- reading ---------------------------------------------------------------------------------------------------------


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
    """Folder names, with as many of the parents' names in front as it takes to tell them apart."""
    for parts in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-parts:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


# --- comparing -------------------------------------------------------------------------------------------------------


def compare_columns(columns: Sequence[Column]) -> Comparison:
    """Sort every metric that any column has into the ranked or the unranked table."""
    found = [metric.figure for column in columns for record in column.records for metric in record.metrics.values()]
    # Reference levels are about the real pictures, not about the runs.
    figures = sorted({figure for figure in found if not figure.is_level}, key=lambda figure: figure.place)
    ranked, unranked = [], []
    for name in (figure.name for figure in figures):
        cells = tuple(cell_of(column, name) for column in columns)
        measured = [place for place, cell in enumerate(cells) if cell.value is not None]
        if not measured:
            continue
        difference = _difference(columns, measured, name)
        if difference is None:
            ranked.append(_ranked(name, cells, columns))
        else:
            unranked.append(Row(name, cells, _better(columns, name), note=difference))
    return Comparison(tuple(columns), tuple(ranked), tuple(unranked), tuple(_sentences(columns, ranked, unranked)))


def cell_of(column: Column, name: str) -> Cell:
    """One metric of one column; over several seeds their mean, with Student's interval from three seeds on."""
    metrics = [record.metrics[name] for record in column.records if name in record.metrics]
    values = [metric.value for metric in metrics if metric.measured and metric.value is not None]
    if not values:
        return Cell(reason=(metrics[0].reason or metrics[0].status) if metrics else "not measured")
    if len(column.records) == 1:
        return Cell(values[0], metrics[0].low, metrics[0].high)
    if len(values) < len(column.records):
        return Cell(reason=f"measured for {len(values)} of {len(column.records)} seeds")
    mean = statistics.fmean(values)
    if len(values) < LEAST_SEEDS:
        return Cell(mean)
    half = _STUDENT.get(len(values) - 1, 2.2) * statistics.stdev(values) / math.sqrt(len(values))
    return Cell(mean, mean - half, mean + half)


def _measured(columns: Sequence[Column], name: str) -> list[tuple[str, EvaluationRecord, MetricRecord]]:
    return [
        (column.name, record, record.metrics[name])
        for column in columns
        for record in column.records
        if name in record.metrics and record.metrics[name].measured
    ]


def _better(columns: Sequence[Column], name: str) -> str | None:
    return next((metric.better for _, _, metric in _measured(columns, name)), None)


def _difference(columns: Sequence[Column], measured: Sequence[int], name: str) -> str | None:
    """Why the measured cells of a metric may not be ranked, naming the field; `None` when they may."""
    if len(measured) < 2:
        return f"only {columns[measured[0]].name} has it"
    entries = _measured([columns[place] for place in measured], name)
    digests = {record.data.digest for _, record, _ in entries}
    hashes = {metric.comparability for _, _, metric in entries}
    if len(hashes) == 1 and None not in hashes and len(digests) == 1:
        return None
    return _named_difference(entries)


def _named_difference(entries: Sequence[tuple[str, EvaluationRecord, MetricRecord]]) -> str:
    candidates: list[tuple[str, list[Any]]] = [("real pictures", [_data_words(record) for _, record, _ in entries])]
    candidates += [(words, [getattr(metric, field) for _, _, metric in entries]) for field, words in _METRIC_FIELDS]
    for words, field in (("truncation", "truncation"), ("averaged weights", "averaged"), ("noise", "noise")):
        candidates.append((words, [getattr(record.model, field) if record.model else None for _, record, _ in entries]))
    candidates.append(("picture size", [record.fakes.image_size for _, record, _ in entries]))
    candidates.append(("protocol", [record.protocol_name for _, record, _ in entries]))
    differing = [(words, values) for words, values in candidates if len(set(values)) > 1]
    differing = _causes(differing)
    if not differing:
        if any(metric.comparability is None for _, _, metric in entries):
            return "a record does not say how it was measured (no comparability)"
        return "measured differently (comparability differs, though every recorded setting agrees: other versions?)"
    names = [name for name, _, _ in entries]
    told = [
        f"{words}: "
        + ", ".join(f"{name} {_plain(value)}" for name, value in dict(zip(names, values, strict=True)).items())
        for words, values in differing
    ]
    return "differs in " + "; ".join(told)


# What follows from another difference says nothing new beside it.
_CONSEQUENCES = {
    "real pictures": {"reference", "number of real pictures"},
    "number of generated pictures": {"subset size"},
    "number of real pictures": {"subset size"},
}


def _causes(differing: list[tuple[str, list[Any]]]) -> list[tuple[str, list[Any]]]:
    named = {words for words, _ in differing}
    implied = {consequence for words in named for consequence in _CONSEQUENCES.get(words, ())}
    # A protocol is the name of the settings: it is told only when no setting is.
    causes = [(words, values) for words, values in differing if words not in implied and words != "protocol"]
    return causes or differing


def _data_words(record: EvaluationRecord) -> str:
    """Two sets of the same name are told apart by the start of their digest."""
    return f"{record.data.name} ({(record.data.digest or 'unknown')[:8]})"


def _plain(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    if isinstance(value, tuple):
        return "×".join(str(part) for part in reversed(value))
    text = str(value)
    return f"{text[:8]}…" if len(text) == 64 else text


def _ranked(name: str, cells: tuple[Cell, ...], columns: Sequence[Column]) -> Row:
    better = _better(columns, name)
    measured = [place for place, cell in enumerate(cells) if cell.value is not None]
    if better not in ("lower", "higher"):
        return Row(name, cells, better, note="no better or worse: compare it with the honest level")
    bare = [columns[place].name for place in measured if not cells[place].has_interval]
    if bare:
        return Row(name, cells, better, note=f"no best marked: {_listed(bare)} {_has(bare)} no interval")
    sign = 1 if better == "lower" else -1
    order = sorted(measured, key=lambda place: sign * (cells[place].value or 0.0))
    leader = order[0]
    tied = [place for place in order[1:] if cells[leader].overlaps(cells[place])]
    if tied:
        group = _listed([columns[place].name for place in (leader, *tied)])
        rest = [columns[place].name for place in order[1:] if place not in tied]
        note = f"{group} are not distinguishable" + (f"; {_listed(rest)} {_is(rest)} worse" if rest else "")
        return Row(name, cells, better, note=note)
    if columns[leader].colour("copying") == "red":
        return Row(
            name, cells, better, note=f"{columns[leader].name} leads, but copies training pictures: no best marked"
        )
    return Row(name, cells, better, leader, note=f"{columns[leader].name} is better, the intervals do not overlap")


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _has(names: Sequence[str]) -> str:
    return "has" if len(names) == 1 else "have"


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _sentences(columns: Sequence[Column], ranked: Sequence[Row], unranked: Sequence[Row]) -> list[str]:
    sentences = []
    protocols = {column.name: column.record.protocol_name for column in columns}
    if len(set(protocols.values())) > 1:
        told = ", ".join(f"{name} by {protocol}" for name, protocol in protocols.items())
        sentences.append(f"Measured by unlike protocols ({told}): numbers that mean different things are not ranked.")
    if len({column.record.data.digest for column in columns}) > 1:
        sentences.append("The real pictures differ between the runs, so none of their distances is ranked.")
    if not ranked and unranked:
        sentences.append("Nothing here may be ranked; evaluate the runs again with one protocol on the same pictures.")
    red = [column.name for column in columns if column.colour("copying") == "red"]
    if red:
        sentences.append(
            f"{_listed(red)} {_is(red)} red for copying: good distances there mean little, and are not marked."
        )
    if any(len(column.records) < LEAST_SEEDS for column in columns):
        sentences.append(
            "Intervals of a single run tell how much the drawn pictures vary, not how much the luck of training "
            f"matters: give a folder of {LEAST_SEEDS} or more seeds per column to learn that."
        )
    return sentences


# --- showing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ColumnView:
    """The head of a column: its verdicts and its pictures."""

    name: str
    detail: str
    verdicts: tuple[tuple[str, Colour], ...]
    fakes: Picture | None


def write_comparison(comparison: Comparison, out: Path) -> list[Path]:
    """Write `compare.html` and `compare.md` into a folder, or the one file that `out` names.

    Raises:
        UsageError: `out` has a suffix other than .html and .md.
    """
    out = Path(out)
    if out.suffix and out.suffix not in (".html", ".md") and not out.is_dir():
        raise UsageError(f"--out is {out.name}, but a folder or a name ending in .html or .md is needed")
    files = [out] if out.suffix in (".html", ".md") and not out.is_dir() else [out / "compare.html", out / "compare.md"]
    views = [_column_view(column) for column in comparison.columns]
    for file in files:
        context = {"comparison": comparison, "columns": views, "strip": _strip_of, "topics": VERDICT_TOPICS}
        render = render_html if file.suffix == ".html" else render_markdown
        text = render(f"compare{file.suffix}.j2", **context)
        with write_atomically(file) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return files


def _column_view(column: Column) -> ColumnView:
    shelf = PictureShelf(column.folders[0], [])
    record = column.record
    clock = images_seen(record)
    parts = [record.data.name, f"protocol {record.protocol_name}"]
    if clock is not None:
        parts.append(f"{count(clock)} images seen")
    if len(column.records) > 1:
        parts.append(f"{len(column.records)} seeds")
    return ColumnView(
        column.name,
        ", ".join(parts),
        tuple((topic, column.colour(topic)) for topic in VERDICT_TOPICS),
        shelf.embed(record.pictures.fakes, GRID_SIDE // 2),
    )


def _strip_of(row: Row, cell: Cell) -> Markup | None:
    """The cell's interval on an axis that the whole row shares, so that overlaps can be seen."""
    if cell.value is None or not cell.has_interval:
        return None
    ends = [end for other in row.cells for end in (other.value, other.low, other.high) if end is not None]
    alt = f"{cell.text}, interval {cell.interval_text}"
    return Markup(interval_svg(cell.value, alt=alt, low=cell.low, high=cell.high, span=(min(ends), max(ends))))
