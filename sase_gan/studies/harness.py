"""A study is carried out cell by cell, in processes side by side; what is finished is not repeated."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from sase_gan.errors import SaseGanError, UsageError
from sase_gan.files import write_json
from sase_gan.processors import usable_processors
from sase_gan.report.study import STUDY_FILE, write_study
from sase_gan.studies.spec import Cell, StudySpec, plan_cells
from sase_gan.studies.table import build_table

CELL_FILE = "cell.json"

RunCell = Callable[[Cell, Path], dict[str, Any] | None]
"""Carries out a cell in its folder, or goes on with it; None: it was interrupted and saved."""

Told = Callable[[str], None]


def run_study(
    spec: StudySpec,
    folder: Path,
    run_cell: RunCell,
    *,
    paths: Mapping[str, str] | None = None,
    jobs: int = 1,
    report: Told = lambda line: None,
) -> dict[str, Any]:
    """Carry out a study, or go on with it, and write its table: `study.json`, `.html`, `.md` and `.csv`.

    Args:
        folder: a cell has a folder in `cells`, with a `cell.json` once it is finished.
        run_cell: for more than one job it must be importable, or a `partial` of such a function.
        paths: places of sets.
        jobs: cells at the same time; one runs in this process.
        report: gets a line for each cell and each set that is left out.

    Returns:
        The table, see `table.build_table`.

    Raises:
        UsageError: for a folder with cells of another study, or if no set is there.
        SaseGanError: after the others were carried out, the first cell's that failed.
    """
    cells, skipped = plan_cells(spec, paths or {})
    for name, reason in skipped.items():
        report(f"{name} is left out: {reason}")
    if not cells:
        raise UsageError("the study has no set of pictures here; name their places with --set-path NAME=FOLDER")
    done = {cell.name: record for cell in cells if (record := read_cell(folder, cell)) is not None}
    waiting = [cell for cell in cells if cell.name not in done]
    report(f"{len(waiting)} of {len(cells)} trainings are to be carried out, {jobs} at a time, in {folder}")
    failed: list[SaseGanError] = []
    for cell, outcome in _outcomes(waiting, folder, run_cell, jobs):
        if isinstance(outcome, SaseGanError):
            report(f"{cell.name} failed: {outcome}")
            failed.append(outcome)
        elif outcome is None:
            report(f"{cell.name} was interrupted and saved; the same command goes on")
            break
        else:
            done[cell.name] = outcome
            report(f"{cell.name} ({len(done)} of {len(cells)}): {_told(spec, outcome)}")
            _write(spec, folder, list(done.values()), skipped)
    table = _write(spec, folder, list(done.values()), skipped)
    if failed:
        raise failed[0]
    return table


def default_jobs(threads: int) -> int:
    """Tell how many cells of so many threads the cores carry."""
    return max(1, usable_processors() // threads)


def read_cell(folder: Path, cell: Cell) -> dict[str, Any] | None:
    """Read the record of a cell; None where it is not finished.

    Raises:
        UsageError: if it was made with other settings.
    """
    path = _place(folder, cell) / CELL_FILE
    if not path.is_file():
        return None
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if record["identity"] != json.loads(json.dumps(cell.identity())):
        raise UsageError(f"{path} is of a study with another configuration; choose another folder with --out")
    return record


def _place(folder: Path, cell: Cell) -> Path:
    return folder / "cells" / cell.name


def _outcomes(
    cells: Sequence[Cell], folder: Path, run_cell: RunCell, jobs: int
) -> Iterator[tuple[Cell, dict[str, Any] | SaseGanError | None]]:
    """Yield cells with what came of them, as they are finished."""
    if jobs <= 1:
        for cell in cells:
            yield cell, _carry_out(cell, folder, run_cell)
        return
    # A process for each cell: its CPU seconds and memory are its own, and a fork would share torch's threads.
    with ProcessPoolExecutor(jobs, get_context("spawn"), max_tasks_per_child=1) as pool:
        futures = {pool.submit(_carry_out, cell, folder, run_cell): cell for cell in cells}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _carry_out(cell: Cell, folder: Path, run_cell: RunCell) -> dict[str, Any] | SaseGanError | None:
    place = _place(folder, cell)
    place.mkdir(parents=True, exist_ok=True)
    try:
        found = run_cell(cell, place)
    except SaseGanError as error:
        return error
    if found is None:
        return None
    record = {"set": cell.set, "arm": cell.arm, "seed": cell.seed, **found, "identity": cell.identity()}
    if grid := record.get("grid"):
        record["grid"] = (Path("cells") / cell.name / grid).as_posix()
    write_json(place / CELL_FILE, record)
    return record


def _write(
    spec: StudySpec, folder: Path, records: Sequence[Mapping[str, Any]], skipped: Mapping[str, str]
) -> dict[str, Any]:
    table = build_table(spec, records, skipped)
    write_json(folder / STUDY_FILE, table)
    write_study(folder)
    return table


def _told(spec: StudySpec, record: Mapping[str, Any]) -> str:
    figures = record["figures"]
    named = [f"{name} {figures[name]:.4g}" for name in spec.figures[:6] if figures.get(name) is not None]
    return ", ".join([*named, f"copying {record['copying']}"] if record.get("copying") else named)
