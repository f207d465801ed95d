"""`sase-gan compare`: runs side by side in the terminal, and as a page with `--out`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from sase_gan.metrics.records import Colour
    from sase_gan.report.compare import Comparison, Row


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Two or more evaluation or run folders; a folder of several is read as the seeds of one column."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="A folder for compare.html and compare.md, or the name of one such file."),
    ] = None,
) -> None:
    """Put runs side by side; only numbers made alike are ranked."""
    from rich.console import Console
    from rich.text import Text

    from sase_gan.report.columns import load_columns
    from sase_gan.report.compare import compare_columns, write_comparison

    comparison = compare_columns(load_columns(runs))
    console = Console()
    console.print(_verdict_table(comparison))
    if comparison.ranked:
        console.print(_number_table("Measured alike", comparison, comparison.ranked))
    if comparison.unranked:
        console.print(_number_table("Measured differently: not ranked", comparison, comparison.unranked))
    for sentence in comparison.sentences:
        console.print(Text(f"• {sentence}"))
    for path in write_comparison(comparison, out) if out is not None else []:
        typer.echo(str(path))


def verdict_text(colour: "Colour") -> "Text":
    """Write a verdict in its colour."""
    from rich.text import Text

    return Text(colour, style={"green": "green", "amber": "yellow", "red": "bold red", "grey": "dim"}[colour])


def _verdict_table(comparison: "Comparison") -> "Table":
    from rich.table import Table
    from rich.text import Text

    from sase_gan.report.columns import topics_of

    table = Table("Verdict")
    for column in comparison.columns:
        table.add_column(Text(column.name))
    for topic in topics_of(comparison.columns):
        table.add_row(topic.capitalize(), *(verdict_text(column.colour(topic)) for column in comparison.columns))
    return table


def _number_table(title: str, comparison: "Comparison", rows: "tuple[Row, ...]") -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table("Measure", title=title, title_justify="left", show_lines=True)
    # Names come from folders: as Text they cannot be read as markup.
    for name in (*(column.name for column in comparison.columns), "Note"):
        table.add_column(Text(name))
    for row in rows:
        cells = []
        for place, cell in enumerate(row.cells):
            if cell.value is None:
                cells.append(Text(cell.reason or "–", style="dim"))
                continue
            text = Text(f"★ {cell.text}" if row.best == place else cell.text, style="bold" if row.best == place else "")
            cells.append(text.append(f"\n{cell.interval_text}", style="dim") if cell.interval_text else text)
        table.add_row(Text(row.title), *cells, Text(row.note))
    return table
