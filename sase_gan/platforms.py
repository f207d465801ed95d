"""What operating systems do differently, in one place: each call that not all have, and what stands in for it.

Nothing else of the package asks for a POSIX-only module, constant or call; `tests/test_platforms.py` holds the code to
that, and trains with all of them absent.
"""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

_WINDOWS = sys.platform == "win32"


def peak_process_memory_mb() -> float | None:
    """Ask for the most memory that this process has used; None where that cannot be told."""
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def free_process_memory_mb() -> float | None:
    """Ask how much memory of the machine is free; None where that cannot be told."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**20
    except (AttributeError, ValueError, OSError):
        return None


def allowed_processors() -> set[int] | None:
    """Return which processors this process may use; None where the system does not tell, as macOS and Windows."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None


def own_niceness() -> int:
    """Return how readily this process gives way to others; 0 where the system does not tell."""
    return os.nice(0) if hasattr(os, "nice") else 0


def load_average() -> float:
    """Return how many processes wanted a processor during the last minute; 0 where the system does not tell."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def ticks_per_second() -> int:
    """Return the unit of the system's clocks of processor time."""
    return os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def stop_signals() -> tuple[signal.Signals, ...]:
    """List the signals that ask a program to end: Ctrl-C, a polite kill, a closed terminal, as far as there are any."""
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    return tuple(getattr(signal, name) for name in names if hasattr(signal, name))


def ask_to_stop(pid: int) -> None:
    """Ask another process to save and end, as Ctrl-C does; nothing happens where it has ended already."""
    # Windows ends a process at once on any signal but this one, which reaches those with a process group of their own.
    number = getattr(signal, "CTRL_BREAK_EVENT", signal.SIGINT) if _WINDOWS else signal.SIGINT
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def own_group() -> dict[str, Any]:
    """Give the arguments of `subprocess.Popen` for a process that `ask_to_stop` reaches, and no key pressed here."""
    if _WINDOWS:
        return {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
    return {"start_new_session": True}


def give_way(pid: int, politeness: int) -> None:
    """Let a process give way to others by so much, 0 to 19, on systems that know of it."""
    with suppress(AttributeError, OSError):
        os.setpriority(os.PRIO_PROCESS, pid, politeness)


def is_alive(pid: int) -> bool:
    """Tell whether a process of that number runs on this machine."""
    if pid <= 0:
        return False
    if _WINDOWS:
        return _is_alive_on_windows(pid)
    try:
        os.kill(pid, 0)
    except PermissionError:  # it is another user's
        return True
    except (OSError, OverflowError):
        return False
    return True


def _is_alive_on_windows(pid: int) -> bool:
    import ctypes  # where `os.kill` would end the process instead of asking

    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined,unused-ignore]
    handle = kernel.OpenProcess(0x1000, False, pid)  # PROCESS_QUERY_LIMITED_INFORMATION
    if not handle:
        return False
    code = ctypes.c_ulong()
    found = kernel.GetExitCodeProcess(handle, ctypes.byref(code))
    kernel.CloseHandle(handle)
    return bool(found) and code.value == 259  # STILL_ACTIVE


def started_at(pid: int) -> str | None:
    """Tell when a process began, in the system's own ticks; numbers of processes are used again. None if unknown."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def memory_and_handles(pid: int) -> tuple[float, int] | None:
    """Ask how many MB of memory a process holds now, and how many file handles; None if it ended or nobody tells."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(errors="replace")
        memory = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(memory.split()[1]) / 2**10, len(os.listdir(f"/proc/{pid}/fd"))
    except (OSError, StopIteration):
        return None


def sync_file(path: Path) -> None:
    """Have the disk keep the content of a file, so that a power cut cannot leave an empty one under its name."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Have the disk keep the names in a folder; systems that open no folders keep them by themselves."""
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def give_second_name(path: Path, name: Path) -> None:
    """Have a file under a second name, which must be free: the same bytes, or a copy where a disk knows no links."""
    try:
        os.link(path, name)
    except (AttributeError, OSError):
        shutil.copyfile(path, name)
        sync_file(name)
