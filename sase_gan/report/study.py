"""The pages of a study: `study.html` to read, `study.md` for a repository, `study.csv` for a spreadsheet.

They are made from `study.json` and the cells' grids alone; the page is one file without scripts.
"""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sase_gan.errors import DataError
from sase_gan.files import write_atomically
from sase_gan.metrics.figures import identify
from sase_gan.report.numbers import count, format_number
from sase_gan.report.pages import PictureShelf, write_page

STUDY_FILE = "study.json"
_GRID_SIDE = 640
_MARKS = {"better": "✓", "worse": "✗", "differs": "≠"}
_ARROWS = {"lower": "↓", "higher": "↑"}


def write_study(folder: Path) -> Path:
    """Write the three pages beside `study.json`.

    Raises:
        DataError: if the table is missing or no JSON.
    """
    table = read_study(folder)
    shelf = PictureShelf(folder, [])
    sets = [_set_view(entry, table, shelf) for entry in table["sets"]]
    for name in ("study.html", "study.md"):
        write_page(folder / name, f"{name}.j2", table=table, sets=sets, marks=_MARKS, budget=_about(table))
    with write_atomically(folder / "study.csv") as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["set", "arm", "figure", "runs", "mean", "std", "difference", "standard_error", "pairs", "mark"]
        )
        writer.writerows(_csv_rows(table))
    return folder / "study.html"


def read_study(folder: Path) -> dict[str, Any]:
    """Read the table of a study.

    Raises:
        DataError: if it is missing or no JSON.
    """
    path = folder / STUDY_FILE
    try:
        table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); sase-gan study writes it") from error
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error}); run the study again, which repeats no training") from error
    return table


def _about(table: dict[str, Any]) -> str:
    measured = f"; {count(table['count'])} pictures of each model are measured" if table["task"] == "generate" else ""
    return f"Budget: {table['budget']}{measured}"


def _set_view(entry: dict[str, Any], table: dict[str, Any], shelf: PictureShelf) -> dict[str, Any]:
    """A set's table as the templates read it: texts alone."""
    heads = [f"{figure['title']} {_ARROWS.get(figure['better'], '')}".strip() for figure in table["figures"]]
    facts = [
        (title, name)
        for name, title in (
            ("images_seen", "images seen"),
            ("cpu_seconds", "CPU s"),
            ("seconds", "seconds"),
            ("parameters", "parameters"),
        )
        if any(row.get(name) is not None for row in entry["rows"])
    ]
    judged = any(row["copying"] for row in entry["rows"])
    rows = [
        {
            "arm": row["arm"],
            "runs": str(row["runs"]),
            "facts": [_whole(row.get(name)) for _, name in facts],
            "copying": ", ".join(f"{colour} {number}" for colour, number in sorted(row["copying"].items())),
            "cells": [_cell_view(row["entries"][figure["name"]]) for figure in table["figures"]],
            "grid": shelf.embed(row["grids"][0], _GRID_SIDE) if row["grids"] else None,
            "seed": row["seeds"][0] if row["seeds"] else None,
        }
        for row in entry["rows"]
    ]
    levels = [f"{identify(name).distance.title} {format_number(value)}" for name, value in entry["levels"].items()]
    return {
        "name": entry["name"],
        "heads": heads,
        "facts": [title for title, _ in facts],
        "judged": judged,
        "rows": rows,
        "levels": ", ".join(levels),
        "flattered": ", ".join(row["arm"] for row in entry["rows"] if row["flattered"]),
        "grids": any(row["grid"] for row in rows),
    }


def _cell_view(entry: dict[str, Any]) -> dict[str, str | None]:
    if entry["mean"] is None:
        return {"value": "–", "difference": None, "mark": None}
    value = format_number(entry["mean"])
    difference = None
    if entry["difference"] is not None:
        error = entry["error"]
        told = "" if error is None else f" ± {format_number(error)}"
        difference = f"{'+' if entry['difference'] >= 0 else ''}{format_number(entry['difference'])}{told}"
    return {"value": value, "difference": difference, "mark": entry["mark"]}


def _whole(value: float | None) -> str:
    return "–" if value is None else count(round(value))


def _csv_rows(table: dict[str, Any]) -> Iterator[list[Any]]:
    for entry in table["sets"]:
        for row in entry["rows"]:
            for name, found in row["entries"].items():
                values = [found[key] for key in ("runs", "mean", "std", "difference", "error", "pairs", "mark")]
                yield [entry["name"], row["arm"], name, *("" if value is None else value for value in values)]
