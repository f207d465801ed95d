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
from collections.abc import Sequence
from dataclasses import dataclass

from sase_gan.metrics.figures import identify
from sase_gan.report.columns import Column, measured_entries
from sase_gan.report.differences import difference_of
from sase_gan.report.numbers import format_number

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
    def has_interval(self) -> bool:
        """Tell whether the value carries an error bar."""
        return self.low is not None and self.high is not None

    def overlaps(self, other: "Cell") -> bool:
        """Tell whether two intervals share a point.

        Raises:
            ValueError: one of the cells has no interval.
        """
        if self.low is None or self.high is None or other.low is None or other.high is None:
            raise ValueError("overlap needs two intervals, got a cell without one")
        return self.low <= other.high and other.low <= self.high

    @property
    def text(self) -> str:
        """Write the value as text, or "–"."""
        return "–" if self.value is None else format_number(self.value, self._spread)

    @property
    def interval_text(self) -> str | None:
        """Write the interval as text."""
        if self.low is None or self.high is None:
            return None
        return f"{format_number(self.low, self._spread)} to {format_number(self.high, self._spread)}"

    @property
    def _spread(self) -> float | None:
        return (self.high - self.low) / 2 or None if self.low is not None and self.high is not None else None


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
        """Put the metric into words, with its feature network."""
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
        difference = difference_of(columns, measured, name)
        if difference is None:
            ranked.append(_ranked(name, cells, columns))
        else:
            unranked.append(Row(name, cells, _better(columns, name), note=difference))
    return Comparison(tuple(columns), tuple(ranked), tuple(unranked), tuple(_sentences(columns, ranked, unranked)))


def cell_of(column: Column, name: str) -> Cell:
    """Take one metric of one column; of several seeds the mean, with Student's interval from three seeds on."""
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


def _better(columns: Sequence[Column], name: str) -> str | None:
    return next((metric.better for _, _, metric in measured_entries(columns, name)), None)


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
