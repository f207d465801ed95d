"""The page of a comparison: two tables, the verdicts and a grid of each run's pictures."""

from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from sase_gan.errors import UsageError
from sase_gan.metrics.records import VERDICT_TOPICS, Colour
from sase_gan.report.columns import Column
from sase_gan.report.compare import Cell, Comparison, Row
from sase_gan.report.numbers import count
from sase_gan.report.pages import GRID_SIDE, EmbeddedPicture, PictureShelf, write_page
from sase_gan.report.plots import interval_svg
from sase_gan.runs.history import images_seen


@dataclass(frozen=True)
class ColumnView:
    """The head of a column shows its verdicts and its pictures."""

    name: str
    detail: str
    verdicts: tuple[tuple[str, Colour], ...]
    fakes: EmbeddedPicture | None


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
        write_page(file, f"compare{file.suffix}.j2", **context)
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
    """Draw the cell's interval on an axis that the whole row shares, so that overlaps can be seen."""
    if cell.value is None or not cell.has_interval:
        return None
    ends = [end for other in row.cells for end in (other.value, other.low, other.high) if end is not None]
    alt = f"{cell.text}, interval {cell.interval_text}"
    return Markup(interval_svg(cell.value, alt=alt, low=cell.low, high=cell.high, span=(min(ends), max(ends))))
