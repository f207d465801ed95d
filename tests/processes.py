"""Processes in tests: the real command line, and waiting for what a process does.

No test may depend on how fast the machine is. So a process that a test is to meet at work cannot end by itself, and the
times here are no expectations: they only keep a mistake from hanging for ever.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 300
"""Seconds after which something that must come about is given up."""

COMMAND = (sys.executable, "-m", "sase_gan")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}


def until(condition: Callable[[], object], process: subprocess.Popen | None = None) -> None:
    """Wait for something that must come about, while the process works that is to bring it."""
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert process is None or process.poll() is None or condition(), "the process ended before it came about"
        assert time.monotonic() < limit, "it did not come about"
        time.sleep(0.02)


def run_command(*arguments: str | Path, code: int = 0) -> str:
    """What `sase-gan` says, in a process of its own as a user would call it."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, env=ENVIRONMENT, timeout=PATIENCE
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@contextmanager
def started(*command: str | Path) -> Iterator[subprocess.Popen]:
    """A process whose output can be read, ended with the block."""
    words = [str(word) for word in command]
    process = subprocess.Popen(words, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen) -> None:
    """Kill what still works, and reap it."""
    process.kill()
    process.communicate()
