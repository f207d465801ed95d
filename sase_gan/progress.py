"""Progress of long work, how those who do it tell those who show it; and durations in words."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is in all."""

Count = Callable[[int, int], None]
"""The same for one piece of work: done, in all."""


def named(progress: Progress | None, what: str) -> Count | None:
    """The progress of one piece of work, told under its name."""
    return None if progress is None else lambda done, total: progress(what, done, total)


def batches(items: Any, size: int, progress: Count | None = None) -> Iterator[Any]:
    """Take a sequence or a tensor in parts of at most `size`, and tell after each how many items are done."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
        if progress is not None:
            progress(min(start + size, len(items)), len(items))


def readable_seconds(seconds: float) -> str:
    """Write a duration such as `45 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    hours, rest = divmod(round(seconds / 60), 60)
    return f"{hours} h {rest:02d} min"


class _Surviving:
    """A stream that falls silent when its reader is gone: a closed terminal or pipe ends no work."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.broken = stream, False

    def write(self, text: str) -> int:
        if not self.broken:
            try:
                return self.stream.write(text)
            except (OSError, ValueError):  # ValueError: it was closed in this process
                self.broken = True
        return len(text)

    def flush(self) -> None:
        if not self.broken:
            try:
                self.stream.flush()
            except (OSError, ValueError):
                self.broken = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def surviving_streams() -> Iterator[None]:
    """Let nobody who stops listening, such as a closed terminal or `head`, end the work of the block."""
    before = sys.stdout, sys.stderr
    silent = [_Surviving(stream) for stream in before]
    sys.stdout, sys.stderr = silent
    try:
        yield
    finally:
        for stream in silent:
            stream.flush()
        # What is broken stays away: Python would fail at its end for what it could not write.
        nowhere = [open(os.devnull, "w") if stream.broken else None for stream in silent]  # noqa: SIM115 - until the end
        sys.stdout, sys.stderr = (new or old for new, old in zip(nowhere, before, strict=True))
