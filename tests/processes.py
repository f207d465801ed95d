"""The command line in tests, in this process or in one of its own, and waiting for what a process does.

No test may depend on how fast the machine is. So a process that a test is to meet at work cannot end by itself, one
that is to die dies at a given image, and the seconds here are no expectations: they keep a mistake from hanging for
ever.
"""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from unittest.mock import patch

from sase_gan import cli

PATIENCE = 300
"""Seconds after which something that must come about is given up."""

COMMAND = (sys.executable, "-m", "sase_gan")
# A message is a line, whatever the terminal.
WIDE = {"COLUMNS": "200"}

# A power cut in the middle of a run: the checkpoint of so many images is due, and will never be written.
POWER_CUT = """
import os, signal, sys
from sase_gan.runs.checkpoints import Checkpoints
from sase_gan.cli import main

save, last = Checkpoints._save, int(sys.argv.pop(1))

def save_or_die(self, trainer, module):
    if module.images_seen == last:
        os.kill(os.getpid(), signal.SIGKILL)
    save(self, trainer, module)

Checkpoints._save = save_or_die
main()
"""


def invoke(*arguments: object, code: int = 0) -> str:
    """What `sase-gan` says when it is called in this process, which spares the imports; an error that no user should
    see is raised."""
    said, found = io.StringIO(), 0
    with patch.object(sys, "argv", ["sase-gan", *map(str, arguments)]), patch.dict(os.environ, WIDE):
        try:
            with redirect_stdout(said), redirect_stderr(said):
                cli.main()
        except SystemExit as end:
            found = int(end.code or 0)
    assert found == code, said.getvalue()
    return said.getvalue()


def run_command(*arguments: object, code: int = 0) -> str:
    """What `sase-gan` says in a process of its own, as a user calls it."""
    with started(*arguments) as process:
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, output
    return output


def run_until_power_cut(*arguments: object, images: int) -> None:
    """`sase-gan`, killed when the checkpoint of so many images is to be written."""
    with started(images, *arguments, program=(sys.executable, "-c", POWER_CUT)) as process:
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGKILL, output


@contextmanager
def started(*arguments: object, program: tuple[str, ...] = COMMAND) -> Iterator[subprocess.Popen]:
    """A process whose output can be read, ended with the block."""
    command = [*program, *map(str, arguments)]
    environment = {**os.environ, **WIDE}
    process = subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
    )
    with process:
        try:
            yield process
        finally:
            end(process)


def end(process: subprocess.Popen) -> None:
    """Kill what still works, and reap it."""
    process.kill()
    process.wait()


def until(condition: Callable[[], object], process: subprocess.Popen | None = None) -> None:
    """Wait for something that must come about, while the process works that is to bring it."""
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert process is None or process.poll() is None or condition(), "the process ended before it came about"
        assert time.monotonic() < limit, "it did not come about"
        time.sleep(0.02)
