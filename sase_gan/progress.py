"""Progress of long work: how those who do it tell those who show it."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is in all."""

Count = Callable[[int, int], None]
"""The same for one piece of work: done, in all."""


def named(progress: Progress | None, what: str) -> Count | None:
    """The progress of one piece of work, told under its name."""
    return None if progress is None else lambda done, total: progress(what, done, total)


def readable_seconds(seconds: float) -> str:
    """Write a duration such as `45 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    hours, rest = divmod(round(seconds / 60), 60)
    return f"{hours} h {rest:02d} min"
