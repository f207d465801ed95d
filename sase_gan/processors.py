"""The processors of a machine that is shared with others: how many are idle, and threads that sleep while they wait.

A network's threads meet hundreds of times a step. Where each has a processor it is fastest to wait in a loop; beside a
busy neighbour the one that waits takes the time slice that the other one needs, and a step takes ten times as long.
"""

import os
import sys
import time
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sase_gan.platforms import allowed_processors, load_average, own_niceness, ticks_per_second

# Turns in a loop, or milliseconds, before a thread sleeps: GNU's OpenMP, which torch uses on Linux, and LLVM's and
# Intel's, which it uses elsewhere. A few microseconds still catch the next piece of work of a quiet step.
PATIENCE = {"GOMP_SPINCOUNT": "1000", "KMP_BLOCKTIME": "0"}
_USERS_CHOICE = ("OMP_WAIT_POLICY", *PATIENCE)
# Ticks of the clock are 10 ms: a reading over less says little, one over more is of the past.
_SHORTEST, _LONGEST, _FRESH = 0.25, 30.0, 5.0


def sleep_while_waiting(environment: MutableMapping[str, str] | None = None) -> None:
    """Let OpenMP's threads sleep soon when they wait, here and in processes that are started from here.

    It must come before torch is imported, which reads these variables once. What the user has set stays, and nothing
    is set beside it.
    """
    environment = os.environ if environment is None else environment
    if not any(name in environment for name in _USERS_CHOICE):
        environment.update(PATIENCE)


def usable_processors() -> int:
    """Count the processors that this process may use: its affinity, and its control groups' quota rounded up."""
    count = os.cpu_count() or 1
    with suppress(OSError):
        count = len(allowed_processors() or range(count))
    quota = processor_quota()
    return count if quota is None else max(1, min(count, -int(-quota // 1)))


def processor_quota(
    groups: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")
) -> float | None:
    """Read how many processors' time the control groups of this process allow; None for no limit, or none known."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return None
    quotas = []
    for line in lines:
        _, controllers, place = line.split(":", 2)
        root = groups if controllers == "" else groups / controllers
        if controllers != "" and "cpu" not in controllers.split(","):
            continue
        # A container often sees its own group as the root, so each level that exists counts.
        path = root / place.lstrip("/")
        for folder in (path, *path.parents):
            quotas += _quota_of(folder)
            if folder == root:
                break
    return min(quotas, default=None)


def _quota_of(folder: Path) -> list[float]:
    """Read one group's quota in processors, of the second version's file or of the first's two."""
    try:
        if (folder / "cpu.max").exists():
            words = (folder / "cpu.max").read_text().split()
        else:
            words = [(folder / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period")]
        return [] if words[0] in ("max", "-1") else [int(words[0]) / int(words[1])]
    except (OSError, ValueError, IndexError, ZeroDivisionError):
        return []


@dataclass(frozen=True)
class Reading:
    """A reading of the clocks tells how much work was done until now, in seconds.

    Attributes:
        moment: on a clock that only goes forward.
        busy: processor time of all that runs on the processors that this process may use, or None where unknown.
        own: processor time of this process.
    """

    moment: float
    busy: float | None
    own: float


def read_clocks(statistics: Path = Path("/proc/stat")) -> Reading:
    """Read the clocks of this machine."""
    return Reading(time.monotonic(), _busy_seconds(statistics), time.process_time())


def _busy_seconds(statistics: Path) -> float | None:
    try:
        allowed = allowed_processors()
        lines = statistics.read_text().splitlines()
    except OSError:
        return None
    if allowed is None:
        return None
    # What runs at lower priority gives way to us, and is idle time as good as any, unless we are as polite.
    polite, ticks = own_niceness() > 0, 0
    for line in lines:
        name, *numbers = line.split()
        if name.startswith("cpu") and name[3:].isdecimal() and int(name[3:]) in allowed:
            user, nice, system, _idle, _waiting, interrupts, soft, stolen = map(int, numbers[:8])
            ticks += user + nice * polite + system + interrupts + soft + stolen
    return ticks / ticks_per_second()


def busy_between(before: Reading, after: Reading) -> float:
    """Tell how many processors others kept busy between two readings, of which the second is later."""
    busy = (after.busy or 0.0) - (before.busy or 0.0)
    return max(0.0, busy - (after.own - before.own)) / (after.moment - before.moment)


def threads_for(usable: int, busy: float, processes: int = 1) -> int:
    """Choose how many threads each of `processes` of ours is to have: what is idle, rounded, and one at least.

    More threads than idle processors do not get more of the machine: they wait for the one that shares its processor.

    Example:
        >>> [threads_for(4, busy) for busy in (0.0, 0.4, 1.0, 2.6, 9.0)]
        [4, 4, 3, 1, 1]
    """
    return max(1, int(usable - busy + 0.5) // processes)


class Neighbours:
    """What others do on this machine is known from one reading to the next.

    Args:
        read, wait: as `read_clocks` and `time.sleep`.
    """

    def __init__(self, read: Callable[[], Reading] = read_clocks, wait: Callable[[float], None] = time.sleep) -> None:
        self._read, self._wait = read, wait
        self._last = read()
        self._answer: float | None = None

    def busy(self) -> float:
        """Tell how many processors others keep busy: since the last reading, of at most 30 seconds ago.

        An answer is good for five seconds. Where only the load of a minute is known (macOS), that; where nothing is, 0.
        """
        now = self._read()
        if now.busy is None:
            return load_average() if sys.platform == "darwin" else 0.0
        since = now.moment - self._last.moment
        if self._answer is not None and since < _FRESH:
            return self._answer
        if not _SHORTEST <= since <= _LONGEST:
            self._last = now
            self._wait(_SHORTEST)
            now = self._read()
        self._answer = busy_between(self._last, now)
        self._last = now
        return self._answer


# The first reading, when the package is imported: until a network is to compute, torch has been imported, which takes
# long enough.
neighbours = Neighbours()
