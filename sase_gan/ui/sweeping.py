"""Temporary files of the studio: what is old goes, and the oldest where there is too much, while it runs."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path

KEPT_SECONDS = 3600.0
SECONDS_BETWEEN = 300.0
MOST_BYTES = 2 * 2**30
"""Far more than visitors look at; a drawn picture that is gone is drawn again by its seed."""


def sweep(folder: Path, now: float | None = None, *, most_bytes: int = MOST_BYTES) -> None:
    """Remove files that nobody has changed for an hour, the oldest until so many bytes are left, and empty folders."""
    now = time.time() if now is None else now
    files: list[tuple[float, int, Path]] = []
    for path in folder.rglob("*"):
        with suppress(OSError):
            if path.is_file() or path.is_symlink():
                found = path.lstat()
                files.append((found.st_mtime, found.st_size, path))
    held = sum(size for _, size, _ in files)
    for changed, size, path in sorted(files):
        if now - changed <= KEPT_SECONDS and held <= most_bytes:
            break
        with suppress(OSError):
            path.unlink()
            held -= size
    for parent, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):
            # Not those that were made a moment ago to take a file.
            if Path(parent) != folder and now - os.stat(parent).st_mtime > SECONDS_BETWEEN:
                os.rmdir(parent)


def keep_swept(folder: Path) -> None:
    """Sweep every few minutes for as long as the process works."""

    def go_on() -> None:
        while folder.is_dir():
            sweep(folder)
            time.sleep(SECONDS_BETWEEN)

    threading.Thread(target=go_on, name="sweep", daemon=True).start()
