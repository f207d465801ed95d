"""Runs side by side, without letting unlike numbers be ranked.

A column is one run, see `columns`; a row is one metric. Its cells may be ranked only when all of them carry the same
`comparability` hash, that is when extractor, weights, resize, counts, reference and sampling agree and the real
pictures are the same ones; otherwise the row goes to a second table without ranking, which names what differs.

A best value is marked only when that is more than luck and more than copying:

* every measured cell has a 95 % interval (its own bootstrap, or Student's t over at least three seeds);
* the leader's interval overlaps no other's; where they overlap, the note says "not distinguishable";
* the leader's copying verdict is not red: copies have the best distances of all.

Overlapping intervals are the cautious criterion: two values whose 95 % intervals just touch differ at about p = 0.006
when their errors are equal and independent, so what is marked is clear and what is not marked may still differ.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from sase_gan.errors import UsageError
from sase_gan.metrics.figures import identify
from sase_gan.metrics.records import EvaluationRecord, MetricRecord
from sase_gan.report.columns import Column, topics_of
from sase_gan.report.numbers import count, format_number
from sase_gan.report.pages import GRID_SIDE, PictureShelf, write_page
from sase_gan.report.plots import interval_svg
from sase_gan.runs.history import images_seen

LEAST_SEEDS = 3
"""Seeds that give a column an interval of its own."""

# Student's t, 97.5 %, for 2 to 10 degrees of freedom; beyond that 2.2, the value for 11, is taken: cautious for more.
_STUDENT = {2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228}


@dataclass(frozen=True)
class Cell:
    """A cell is one metric of one column: a value with its interval, or the reason why there is none."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The error bar, where the value carries one."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    def overlaps(self, other: "Cell") -> bool:
        """Tell whether two intervals share a point.

        Raises:
            ValueError: one of the cells has no interval.
        """
        if self.interval is None or other.interval is None:
            raise ValueError("overlap needs two intervals, got a cell without one")
        return self.interval[0] <= other.interval[1] and other.interval[0] <= self.interval[1]

    @property
    def text(self) -> str:
        """The value as text, or "–"."""
        return "–" if self.value is None else self._written(self.value)

    @property
    def interval_text(self) -> str | None:
        """The interval as text."""
        return self.interval and " to ".join(map(self._written, self.interval))

    def _written(self, number: float) -> str:
        return format_number(number, (self.interval[1] - self.interval[0]) / 2 if self.interval else None)


@dataclass(frozen=True)
class Row:
    """A row is one metric over all columns.

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
    """A comparison has two tables, and sentences that belong above them."""

    columns: tuple[Column, ...]
    ranked: tuple[Row, ...]
    unranked: tuple[Row, ...]
    sentences: tuple[str, ...]


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
        better = next((metric.better for column in columns for _, metric in column.measured(name)), None)
        if difference := _difference([columns[place] for place in measured], name):
            unranked.append(Row(name, cells, better, note=difference))
        else:
            ranked.append(Row(name, cells, better, *_best(cells, measured, columns, better)))
    return Comparison(tuple(columns), tuple(ranked), tuple(unranked), tuple(_sentences(columns, ranked, unranked)))


def cell_of(column: Column, name: str) -> Cell:
    """Take one metric of one column; of several seeds the mean, with Student's interval from three seeds on."""
    metrics = [record.metrics[name] for record in column.records if name in record.metrics]
    values = [metric.value for _, metric in column.measured(name) if metric.value is not None]
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


def _best(
    cells: Sequence[Cell], measured: Sequence[int], columns: Sequence[Column], better: str | None
) -> tuple[int | None, str]:
    """The place of the best value, where one may be marked, and what can be said."""
    if better not in ("lower", "higher"):
        return None, "no better or worse: compare it with the honest level"
    if bare := [columns[place].name for place in measured if not cells[place].interval]:
        return None, f"no best marked: {_listed(bare, 'has', 'have')} no interval"
    sign = 1 if better == "lower" else -1
    leader, *others = sorted(measured, key=lambda place: sign * (cells[place].value or 0.0))
    if tied := [place for place in others if cells[leader].overlaps(cells[place])]:
        group = _listed([columns[place].name for place in (leader, *tied)], "is", "are")
        rest = [columns[place].name for place in others if place not in tied]
        return None, f"{group} not distinguishable" + (f"; {_listed(rest, 'is', 'are')} worse" if rest else "")
    if columns[leader].colour("copying") == "red":
        return None, f"{columns[leader].name} leads, but copies training pictures: no best marked"
    return leader, f"{columns[leader].name} is better, the intervals do not overlap"


def _listed(names: Sequence[str], one: str, several: str) -> str:
    """Names with the verb that fits their number."""
    return f"{names[0]} {one}" if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]} {several}"


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
    if red := [column.name for column in columns if column.colour("copying") == "red"]:
        told = _listed(red, "is", "are")
        sentences.append(f"{told} red for copying: good distances there mean little, and are not marked.")
    if any(len(column.records) < LEAST_SEEDS for column in columns):
        sentences.append(
            "Intervals of a single run tell how much the drawn pictures vary, not how much the luck of training "
            f"matters: give a folder of {LEAST_SEEDS} or more seeds per column to learn that."
        )
    return sentences


# --- why two numbers may not be ranked -------------------------------------------------------------------------------

# What decides whether two numbers mean the same, in the words of the second table: fields of the metric's record.
_METRIC_FIELDS = {
    "feature network": "extractor",
    "weights of the feature network": "weights_sha256",
    "layer": "layer",
    "resize": "resize",
    "number of generated pictures": "n_fake",
    "number of real pictures": "n_real",
    "subset size": "subset_size",
    "reference": "reference_set",
    "mirrored reference": "mirrors",
}
_AVERAGED = "averaged weights"
_MODEL_FIELDS = {"truncation": "truncation", _AVERAGED: "averaged", "noise": "noise"}

# What follows from another difference says nothing new beside it.
_CONSEQUENCES = {
    "real pictures": {"reference", "number of real pictures"},
    "number of generated pictures": {"subset size"},
    "number of real pictures": {"subset size"},
}


def _difference(columns: Sequence[Column], name: str) -> str | None:
    """Say why the values of a metric may not be ranked, naming the field; `None` when they may."""
    if len(columns) < 2:
        return f"only {columns[0].name} has it"
    found = [(column.name, record, metric) for column in columns for record, metric in column.measured(name)]
    hashes = {metric.comparability for _, _, metric in found}
    if len(hashes) == 1 and None not in hashes and len({record.data.digest for _, record, _ in found}) == 1:
        return None
    settings = [_settings(record, metric) for _, record, metric in found]
    differing = [words for words in settings[0] if len({setting[words] for setting in settings}) > 1]
    if _AVERAGED in differing and any(_is_weightless(record) for _, record, _ in found):
        differing.remove(_AVERAGED)
        if not differing:
            return None
    implied = {consequence for words in differing for consequence in _CONSEQUENCES.get(words, ())}
    # A protocol is the name of the settings: it is told only when no setting is.
    causes = [words for words in differing if words not in implied and words != "protocol"] or differing
    if not causes:
        if None in hashes:
            return "a record does not say how it was measured (no comparability)"
        return "measured differently (comparability differs, though every recorded setting agrees: other versions?)"
    told = []
    for words in causes:
        values = {column: _plain(setting[words]) for (column, _, _), setting in zip(found, settings, strict=True)}
        told.append(f"{words}: " + ", ".join(f"{column} {value}" for column, value in values.items()))
    return "differs in " + "; ".join(told)


def _is_weightless(record: EvaluationRecord) -> bool:
    """Tell whether a model without training drew the pictures: whether its weights are averages is no question."""
    return record.model is not None and record.model.parameters == 0


def _settings(record: EvaluationRecord, metric: MetricRecord) -> dict[str, Any]:
    """Everything recorded that decides what a number means; two sets of one name are told apart by their digests."""
    return {
        "real pictures": f"{record.data.name} ({(record.data.digest or 'unknown')[:8]})",
        **{words: getattr(metric, field) for words, field in _METRIC_FIELDS.items()},
        **{words: getattr(record.model, field, None) for words, field in _MODEL_FIELDS.items()},
        "picture size": record.fakes.image_size,
        "protocol": record.protocol_name,
    }


def _plain(value: Any) -> str:
    match value:
        case None:
            return "unknown"
        case bool():
            return "yes" if value else "no"
        case int():
            return count(value)
        case tuple():
            return "×".join(str(part) for part in reversed(value))
    text = str(value)
    return f"{text[:8]}…" if len(text) == 64 else text


# --- the page --------------------------------------------------------------------------------------------------------


def write_comparison(comparison: Comparison, out: Path) -> list[Path]:
    """Write `compare.html` and `compare.md` into a folder, or the one file that `out` names.

    Raises:
        UsageError: `out` has a suffix other than .html and .md.
    """
    out = Path(out)
    is_folder = out.is_dir() or not out.suffix
    if not is_folder and out.suffix not in (".html", ".md"):
        raise UsageError(f"--out is {out.name}, but a folder or a name ending in .html or .md is needed")
    topics = topics_of(comparison.columns)
    columns = [_column_view(column, topics) for column in comparison.columns]
    files = [out / "compare.html", out / "compare.md"] if is_folder else [out]
    for file in files:
        template = f"compare{file.suffix}.j2"
        write_page(file, template, comparison=comparison, columns=columns, strip=_strip_of, topics=topics)
    return files


def _column_view(column: Column, topics: Sequence[str]) -> dict[str, Any]:
    """The head of a column, as the templates read it: its verdicts and its pictures."""
    record = column.record
    parts = [record.data.name, f"protocol {record.protocol_name}"]
    if (clock := images_seen(record)) is not None:
        parts.append(f"{count(clock)} images seen")
    if len(column.records) > 1:
        parts.append(f"{len(column.records)} seeds")
    return {
        "name": column.name,
        "detail": ", ".join(parts),
        "verdicts": [(topic, column.colour(topic)) for topic in topics],
        "fakes": PictureShelf(column.folders[0], []).embed(record.pictures.fakes, GRID_SIDE // 2),
    }


def _strip_of(row: Row, cell: Cell) -> Markup | None:
    """Draw the cell's interval on an axis that the whole row shares, so that overlaps can be seen."""
    if cell.value is None or not cell.interval:
        return None
    ends = [end for other in row.cells for end in (other.value, other.low, other.high) if end is not None]
    alt = f"{cell.text}, interval {cell.interval_text}"
    return interval_svg(cell.value, alt=alt, low=cell.low, high=cell.high, span=(min(ends), max(ends)))
