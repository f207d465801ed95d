"""The record of measured speed: a CSV file; a row is a measurement beside its reference in the same run."""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sase_gan.errors import DataError

if TYPE_CHECKING:
    from sase_gan.hardware import Hardware


@dataclass(frozen=True)
class Measurement:
    """One measurement says what was run where, how fast it was, and how that compares.

    Attributes:
        day: in ISO form.
        commit: of the checkout, short; empty outside of one.
        command: with which it can be repeated.
        case: what of the command's output the row is about; rows of one case form a line of the plot.
        value: for instance images/s.
        reference: the case, of the same run, that `ratio` compares with.
        ratio: how many times as fast as the reference.
        share_of_peak: of this device's matrix product in the same precision, in [0, 1]; None where not measured.
        memory_mb: peak; None where not measured.
        note: where nothing could be measured, a sentence that says why; `value` and `ratio` are NaN then.
    """

    day: str
    commit: str
    hardware: str
    command: str
    case: str
    value: float
    unit: str
    reference: str
    ratio: float
    share_of_peak: float | None = None
    memory_mb: float | None = None
    note: str = ""


HEADER = tuple(field.name for field in fields(Measurement))


def append(path: Path, rows: Iterable[Measurement]) -> None:
    """Add rows to the record, which is made where there is none.

    Raises:
        DataError: if the file is another one.
    """
    new = not path.exists()
    if not new:
        read(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, HEADER, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows({key: _text(value) for key, value in asdict(row).items()} for row in rows)


def read(path: Path) -> list[Measurement]:
    """Read all rows, in the order of their measurement.

    Raises:
        DataError: if the file is missing or no such record.
    """
    try:
        with path.open(newline="") as file:
            lines = list(csv.reader(file))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); measure first: sase-gan bench gpu") from error
    if not lines or tuple(lines[0]) != HEADER:
        raise DataError(f"{path} is no record of speed; its first line must be {','.join(HEADER)}")
    try:
        return [_measurement(line) for line in lines[1:]]
    except (TypeError, ValueError) as error:
        raise DataError(f"{path} has a row that cannot be read ({error}); mend it, or take it out") from error


def by_case(rows: Sequence[Measurement]) -> dict[str, list[Measurement]]:
    """Sort the rows that measured something by hardware and case, each in the order of measurement."""
    cases: dict[str, list[Measurement]] = {}
    for row in (row for row in rows if not row.note):
        cases.setdefault(f"{row.case}, {row.hardware}", []).append(row)
    return cases


def today() -> str:
    """Return the date in ISO form."""
    return date.today().isoformat()


def commit_of(folder: Path) -> str:
    """Ask git for the short hash of a checkout, with a plus where files were changed; empty outside of one."""
    command = ["git", "-C", str(folder), "describe", "--always", "--exclude", "*", "--dirty=+"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def measured_now(hardware: Hardware, **figures: Any) -> Measurement:
    """Make the row of what was measured today, by this commit of the package, on this hardware."""
    of = f"{hardware.name}, {hardware.threads} threads"
    return Measurement(day=today(), commit=commit_of(Path(__file__).parent), hardware=of, **figures)


def _measurement(line: list[str]) -> Measurement:
    values = dict(zip(HEADER, line, strict=True))
    numbers = {name: float(values.pop(name) or "nan") for name in ("value", "ratio")}
    optional = {name: float(text) if (text := values.pop(name)) else None for name in ("share_of_peak", "memory_mb")}
    return Measurement(**values, **numbers, **optional)  # type: ignore[arg-type]


def _text(value: str | float | None) -> str:
    if isinstance(value, float):
        return "" if isnan(value) else f"{value:.4g}"
    return value or ""
