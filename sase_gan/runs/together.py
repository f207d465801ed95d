"""Several processes of one run: what it means for the others when one of them ends."""

from __future__ import annotations

import subprocess
import threading
from typing import Any

from sase_gan.errors import SaseGanError
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.space import words_of_safety

_LOST = ("gloo", "Connection closed by peer", "Connection reset by peer", "NCCL", "ProcessGroup", "Broken pipe")
"""What torch's ways of talking between processes say, in errors of no type of their own, when nobody answers."""

_PATIENCE = 60
"""Seconds that another process gets to end by itself."""


def lost_process(error: BaseException) -> bool:
    """Tell whether an error says that another process of the run has ended or does not answer.

    Example:
        >>> lost_process(RuntimeError("[pair.cc:553] Connection closed by peer [127.0.0.1]:8901"))
        True
    """
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _LOST)


def lost_error(run: RunFolder) -> SaseGanError:
    """Make the sentence of a process that is left alone, and let it end in its own time."""
    _see_others_off()
    return SaseGanError(
        f"another process of this run has ended, so this one stops too; {words_of_safety(run)}, with as many "
        "--devices as there are now"
    )


def _see_others_off() -> None:
    """Wait for the processes that this one started, each of which notices by itself; Lightning's own watch ends.

    It would kill this process too, within five seconds and without a word.
    """
    for thread in threading.enumerate():
        if thread.name == "child-process-observer":
            children: Any = getattr(thread, "_child_processes", [])
            others = list(children)
            children.clear()
            for other in others:
                try:
                    other.wait(_PATIENCE)
                except subprocess.TimeoutExpired:
                    other.kill()
