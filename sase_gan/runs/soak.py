"""A soak of a training process: whether memory, file handles and speed stay what they are over hours."""

from __future__ import annotations

import csv
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from sase_gan.errors import DataError, UsageError
from sase_gan.platforms import memory_and_handles, started_at
from sase_gan.runs.folder import RunFolder

MEMORY, HANDLES, SPEED, COST = "memory, MB", "file handles", "images/s", "CPU s an image"
MEMORY_LIMIT = 0.03
"""Memory whose drift is at most this share is flat."""
SETTLING = 0.1
"""Share of the time at the beginning that does not count: caches fill."""


@dataclass(frozen=True)
class Course:
    """The course of one quantity over a soak says from where to where it went.

    Attributes:
        first: median of the first quarter of the time after settling.
        last: of the last quarter.
        drift: how much `last` exceeds `first`, as a share of it.
        spread: greatest distance of any value from the median of all, as a share of it.
        hours: between the first and the last look, settling left out.
    """

    name: str
    first: float
    last: float
    drift: float
    spread: float
    hours: float

    @classmethod
    def of(cls, name: str, seen: Sequence[tuple[float, float]]) -> Course:
        """Sum up pairs of (seconds, value), at least two, in order."""
        start, end = seen[0][0], seen[-1][0]
        settled = start + SETTLING * (end - start)
        quarter = (end - settled) / 4
        values = [value for at, value in seen if at >= settled]
        first = statistics.median([value for at, value in seen if settled <= at <= settled + quarter] or values[:1])
        last = statistics.median([value for at, value in seen if at >= end - quarter])
        middle = statistics.median(values)
        spread = max(abs(value - middle) for value in values) / middle
        return cls(name, first, last, last / first - 1, spread, (end - settled) / 3600)


def follow(pid: int, run: RunFolder, out: Path, *, seconds: float, every: float) -> None:
    """Write a line of time, memory, handles and the run's own clock every few seconds, until the time or the run ends.

    Ctrl-C ends it too. Each line is written at once, so that a soak that is cut off leaves what it saw.

    Args:
        every: seconds between two looks.

    Raises:
        UsageError: if there is no such process, or the system does not tell about others.
    """
    born, start = started_at(pid), time.monotonic()
    if memory_and_handles(pid) is None:
        raise UsageError(
            f"nothing is told of process {pid}; it must be a running process of yours, on a system with /proc"
        )
    with out.open("w", newline="", buffering=1) as file:
        writer = csv.writer(file)
        writer.writerow(("seconds", MEMORY, HANDLES, "run_seconds"))
        try:
            # Numbers of processes are used again: the one that is followed began when it did.
            while (found := memory_and_handles(pid)) is not None and started_at(pid) == born:
                passed = time.monotonic() - start
                rows = run.rows()
                writer.writerow((f"{passed:.1f}", f"{found[0]:.1f}", found[1], rows[-1]["seconds"] if rows else 0))
                if passed + every > seconds:
                    return
                time.sleep(every)
        except KeyboardInterrupt:
            return


def course(path: Path, run: RunFolder) -> list[Course]:
    """Sum up what `follow` wrote, and the rows that the run wrote meanwhile.

    Images/s is the median's of the rows of `metrics.csv`, which moves with what other processes leave of the machine;
    CPU seconds an image, those of the steps alone, do so much less.

    Raises:
        DataError: if the process was seen less than twice.
    """
    with path.open(newline="") as file:
        looks = [{name: float(cell) for name, cell in row.items()} for row in csv.DictReader(file)]
    if len(looks) < 2:
        raise DataError(f"{path} holds {len(looks)} looks at the process; at least 2 are needed: follow it for longer")
    found = [Course.of(name, [(look["seconds"], look[name]) for look in looks]) for name in (MEMORY, HANDLES)]
    begun = looks[0]["run_seconds"]
    rows = [row for row in run.rows() if float(row["seconds"] or 0) >= begun]
    speeds = [(float(row["seconds"]), float(row["images_per_second"])) for row in rows[1:]]
    costs = [
        (
            float(after["seconds"]),
            (float(after["cpu_seconds"]) - float(before["cpu_seconds"]))
            / (float(after["images_seen"]) - float(before["images_seen"])),
        )
        for before, after in pairwise(rows)
    ]
    return found + [Course.of(name, seen) for name, seen in ((SPEED, speeds), (COST, costs)) if len(seen) > 1]


def too_much(courses: Sequence[Course]) -> list[str]:
    """Say what did not stay: memory that grew by more than `MEMORY_LIMIT`, handles that became more."""
    limits = {MEMORY: MEMORY_LIMIT, HANDLES: 0.0}
    return [
        f"{each.name} {each.first:,.0f} -> {each.last:,.0f} ({each.drift:+.1%})"
        for each in courses
        if each.drift > limits.get(each.name, float("inf"))
    ]
