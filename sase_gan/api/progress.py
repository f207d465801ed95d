"""The bar that the Python API and the command line show: what is done, how far it is, the time left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[int, int], None]
"""A function of (done, total)."""


@contextmanager
def shown(progress: Progress | bool, words: str, total: int) -> Iterator[Progress | None]:
    """Show a bar within the block, in a terminal or a notebook, and hand out what moves it.

    Args:
        progress: True for the bar, False for nothing, or a function that is handed out as it is.
    """
    if not isinstance(progress, bool):
        yield progress
        return
    if not progress:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns) as bar:
        task = bar.add_task(words, total=total)
        yield lambda done, of: bar.update(task, completed=done, total=of)
