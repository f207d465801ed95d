"""Nothing but `platforms` asks for what only some systems have, and a run trains where it is absent."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sase_gan import platforms

PACKAGE = Path(platforms.__file__).parent
POSIX_ONLY = {
    "os": {
        "sysconf", "kill", "fork", "forkpty", "getuid", "geteuid", "getppid", "killpg", "setsid", "getpgid", "mkfifo",
        "statvfs", "getloadavg", "sched_getaffinity", "uname", "chown", "nice", "setpriority",
    },
    "signal": {
        "SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCHLD", "SIGQUIT", "alarm", "pause", "setitimer",
    },
}  # fmt: skip
MODULES = {"resource", "fcntl", "pwd", "grp", "termios", "tty", "pty"}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_other_file_asks_for_what_only_some_systems_have(path: Path) -> None:
    if path.name == "platforms.py":
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not MODULES & {name.name for name in node.names}, node.lineno
        if isinstance(node, ast.ImportFrom):
            assert node.module not in MODULES, node.lineno
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert node.attr not in POSIX_ONLY.get(node.value.id, ()), (
                f"line {node.lineno}: {node.value.id}.{node.attr}"
            )


BARE = """
import os, signal, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in {modules!r}:
            raise ModuleNotFoundError(name)

from importlib.abc import MetaPathFinder
# What the libraries need of these they have loaded by now.
import torch, lightning, rich, PIL.Image, yaml, tempfile, multiprocessing, socket, shutil
for name in {modules!r}:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Absent())
for name in {calls!r}:
    if hasattr(os, name):
        delattr(os, name)
del os.link
for name in ("SIGHUP",):
    if hasattr(signal, name):
        delattr(signal, name)

from sase_gan.cli import main
main()
"""


def test_a_run_trains_and_resumes_without_them(tmp_path: Path) -> None:
    # What Python's own modules use, and replace on other systems, stays; ours is looked for above.
    calls = sorted(POSIX_ONLY["os"] - {"kill", "fork", "getuid", "getppid", "sched_getaffinity", "uname", "statvfs"})
    code = BARE.format(modules=sorted(MODULES), calls=calls)
    faces = PACKAGE.parent / "data" / "emoji-faces"
    options = ["--preset", "smoke/low_shot", "--out", str(tmp_path / "run"), "--no-figures", "--threads", "1"]
    settings = ["--set", "schedule.total_images=8", "--set", "schedule.log_images=4"]
    for arguments in (
        ["train", str(faces), *options, *settings],
        ["train", "--resume", str(tmp_path / "run"), "--kimg", "0.012", "--no-figures"],
    ):
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "12 images seen" in done.stdout
    assert (tmp_path / "run" / "checkpoints" / "previous.ckpt").is_file()
    assert "0.0" in (tmp_path / "run" / "metrics.csv").read_text()  # memory that cannot be told


def test_processes_are_told_by_number_and_beginning() -> None:
    assert platforms.is_alive(os.getpid())
    assert not platforms.is_alive(0)
    assert not platforms.is_alive(2**22 + 1)
    assert not platforms.is_alive(10**30)
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert not platforms.is_alive(child.pid)
    platforms.ask_to_stop(2**22 + 1)  # nobody to ask


def test_a_disk_without_links_gets_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one").write_bytes(b"content")

    def refuse(*unused: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    platforms.give_second_name(tmp_path / "one", tmp_path / "two")
    assert (tmp_path / "two").read_bytes() == b"content"
    assert (tmp_path / "one").stat().st_ino != (tmp_path / "two").stat().st_ino
