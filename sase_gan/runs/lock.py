"""One process trains in a run folder at a time, and begins by clearing what an earlier one left half done."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sase_gan.errors import UsageError
from sase_gan.hardware import is_first_process
from sase_gan.platforms import give_second_name, is_alive, started_at
from sase_gan.runs.folder import RunFolder, images_of

_TEMPORARY = re.compile(r"\.(?P<stem>.+?)\.(old\.)?[a-z0-9_]{8}(\.\w+)?")
"""Names of unfinished files and folders, as `files` gives them."""


@contextmanager
def locked(run: RunFolder) -> Iterator[None]:
    """Hold the run within the block; its lock names this process. What a dead process held is taken over.

    Raises:
        UsageError: if a living process trains in the folder.
    """
    if not is_first_process():  # the others of a run work under the first one's lock
        yield
        return
    _take(run)
    try:
        yield
    finally:
        run.lock.unlink(missing_ok=True)


def owner(run: RunFolder) -> int | None:
    """Tell the number of the living process that trains in the folder; None if there is none.

    A process of another computer counts as living: nobody here can tell.
    """
    return _living(_read(run.lock))


def _take(run: RunFolder) -> None:
    mine = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "started": started_at(os.getpid())})
    for _ in range(100):
        try:
            handle = os.open(run.lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            _remove_stale(run)
            continue
        with open(handle, "w") as file:
            file.write(mine)
        return
    raise UsageError(f"{run.lock} cannot be taken; remove it if no process trains in {run.path}")


def _remove_stale(run: RunFolder) -> None:
    found = _read(run.lock)
    if (pid := _living(found)) is not None:
        place = "" if found.get("host") == socket.gethostname() else f" on {found.get('host')}"
        raise UsageError(
            f"process {pid}{place} trains in {run.path} already; wait until it ends or stop it, or train in another "
            f"folder (--out); if there is no such process, remove {run.lock}"
        )
    # Moved aside first: of several that find it stale, one gets it, and none removes the lock of the next.
    aside = run.lock.with_name(f".run.lock.{os.getpid()}")
    with suppress(FileNotFoundError):
        os.replace(run.lock, aside)
        if (moved := _read(aside)) != found and _living(moved) is not None:
            with suppress(OSError):
                give_second_name(aside, run.lock)
        aside.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _living(content: dict[str, object]) -> int | None:
    pid = content.get("pid")
    if not isinstance(pid, int):
        return None
    if content.get("host") != socket.gethostname():
        return pid
    if not is_alive(pid) or pid == os.getpid():
        return None
    # Numbers are used again: the owner is the process that began when the lock says.
    began, recorded = started_at(pid), content.get("started")
    return pid if None in (began, recorded) or began == recorded else None


def clear_leftovers(run: RunFolder) -> None:
    """Remove half files and half snapshots of a process that was killed; bring back a snapshot that it moved aside."""
    for folder in (run.path, run.path / "grids", run.path / "snapshots", run.path / "checkpoints"):
        for path in folder.glob(".*") if folder.is_dir() else ():
            match = _TEMPORARY.fullmatch(path.name)
            if match is None:
                continue
            if path.is_dir() and not path.is_symlink():
                kept = path / match["stem"]
                if images_of(match["stem"]) is not None and kept.is_dir() and not (folder / match["stem"]).exists():
                    os.replace(kept, folder / match["stem"])
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
