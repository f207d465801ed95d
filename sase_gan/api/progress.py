"""The bars that the Python API and the command line show: what is done, how far it is, the time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from sase_gan.progress import Progress


class ProgressBars:
    """Show a bar for each piece of work, on a terminal and in a notebook; elsewhere only an estimate of long work."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bars = RichProgress(*columns, console=console)
        self._shown = console.is_terminal or console.is_jupyter
        self._tasks: dict[str, TaskID] = {}
        self._started: dict[str, float] = {}
        self._told: set[str] = set()

    def __enter__(self) -> ProgressBars:
        if self._shown:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._bars.stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Move the bar of a piece of work, which appears with its first step."""
        if self._shown:
            if what not in self._tasks:
                self._tasks[what] = self._bars.add_task(what, total=total)
            self._bars.update(self._tasks[what], completed=done, total=total)
            return
        elapsed = time.monotonic() - self._started.setdefault(what, time.monotonic())
        if what not in self._told and elapsed > 1 and done < total:
            self._told.add(what)
            print(f"{what}: about {elapsed * (total - done) / done:.0f} s for {total - done} more", file=sys.stderr)


@contextmanager
def shown(progress: Progress | bool) -> Iterator[Progress | None]:
    """Show bars within the block, and hand out what moves them.

    Args:
        progress: True for bars, False for nothing, or a function that is handed out as it is.
    """
    if not isinstance(progress, bool):
        yield progress
    elif progress:
        with ProgressBars() as bars:
            yield bars
    else:
        yield None
