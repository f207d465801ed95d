"""A disk that is really full, a place that is really read-only, another user's folder, and signals: nothing is lost.

Small file systems are mounted where that is allowed (as root on Linux); elsewhere these tests are skipped.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from sase_gan.runs.callbacks import MetricsTable
from sase_gan.runs.folder import RunFolder
from tests.processes import PATIENCE, invoke, started

REPOSITORY = Path(__file__).resolve().parents[2]
FACES, SNAPSHOT = REPOSITORY / "data" / "emoji-faces", REPOSITORY / "tests" / "golden" / "tiny_snapshot"
SETTINGS = ("schedule.checkpoint_images=8", "schedule.log_images=8", "schedule.snapshot_images=1000")
OPTIONS = ("--preset", "smoke/low_shot", "--no-figures", "--device", "cpu", "--threads", "1")
QUICK = (*OPTIONS, *(word for one in (*SETTINGS, "schedule.baseline_images=0") for word in ("--set", one)))
NOBODY = 65534


def mount(place: Path, *options: str) -> None:
    done = subprocess.run(["mount", *options, str(place)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here ({done.stderr.strip()})")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 30 MB."""
    if shutil.which("mount") is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    place = tmp_path / "disk"
    place.mkdir()
    mount(place, "-t", "tmpfs", "-o", "size=30m", "none")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path) -> Path:
    """Take all the room that a disk has left."""
    path = disk / "filler"
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(2**16))
        except OSError:
            return path


def seen(run: Path) -> int:
    return int(torch.load(RunFolder(run).checkpoint, weights_only=True)["clock"]["images_seen"])


@pytest.mark.parametrize("moment", ["row", "checkpoint"])
def test_a_disk_that_fills_up_while_a_run_trains(moment: str, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append, filler, save = MetricsTable._append, list[Path](), torch.save

    def filling(self: MetricsTable, row: dict[str, float]) -> None:
        append(self, row)
        if row["images_seen"] == 16 and moment == "row":
            filler.append(fill(disk))

    def writing(content: object, file: object) -> None:
        if moment == "checkpoint" and content["clock"]["images_seen"] == 16:  # type: ignore[index]
            filler.append(fill(disk))
        save(content, file)

    with monkeypatch.context() as patch:
        patch.setattr(MetricsTable, "_append", filling)
        patch.setattr(torch, "save", writing)
        said = invoke("train", FACES, "--out", disk / "run", "--kimg", 0.024, *QUICK, code=1)
    last = said.strip().splitlines()[-1]
    assert last.startswith("sase-gan: ")
    assert ("MB are needed" in last) == (moment == "row")
    assert f"what was checkpointed is safe, and goes on with: sase-gan train --resume {disk / 'run'}" in last
    assert seen(disk / "run") == 8
    full = " cannot be used: the disk is full; free some space or choose another place"
    said = invoke("sample", SNAPSHOT, "--seeds", 0, "--out", disk / "s", code=5)
    assert said.startswith(f"sase-gan: {disk}")
    assert full in said
    assert f"{disk / 'run'}{full}" in invoke("train", "--resume", disk / "run", "--no-figures", code=5)
    assert seen(disk / "run") == 8
    filler[0].unlink()
    invoke("train", "--resume", disk / "run", "--no-figures", "--device", "cpu", "--threads", 1)
    assert seen(disk / "run") == 24
    assert [int(row["images_seen"]) for row in RunFolder(disk / "run").rows()] == [8, 16, 24]
    assert not list((disk / "run").rglob(".*"))


COMMANDS: dict[str, Callable[[Path], tuple[object, ...]]] = {
    "train": lambda place: ("train", FACES, "--out", place / "run", *QUICK),
    "sample": lambda place: ("sample", SNAPSHOT, "--seeds", 0, "--out", place / "samples"),
    "evaluate": lambda place: ("evaluate", FACES, "--real", FACES, "--out", place / "evaluation"),
    "prepare": lambda place: ("data", "prepare", FACES, place / "faces.zip", "--image-size", 32),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_read_only_disk_is_told_before_any_work(command: str, disk: Path) -> None:
    mount(disk, "-o", "remount,ro")
    said = invoke(*COMMANDS[command](disk), code=5).strip().splitlines()
    assert said[-1].startswith(f"sase-gan: {disk}")
    assert said[-1].endswith("cannot be used: the disk is read-only; choose another place")
    assert list(disk.iterdir()) == []


@contextmanager
def without_rights() -> Iterator[Path]:
    """A folder that this process may look into and not write into; another user's where this one is root."""
    with tempfile.TemporaryDirectory() as name:
        place, root = Path(name), hasattr(os, "geteuid") and os.geteuid() == 0
        place.chmod(0o755 if root else 0o555)
        if root:
            os.seteuid(NOBODY)
        try:
            yield place
        finally:
            if root:
                os.seteuid(0)
            place.chmod(0o755)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="this system has other rights")
@pytest.mark.parametrize("command", COMMANDS)
def test_another_users_folder_is_told_before_any_work(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody has a home, and sees no folder of root's tests.
    monkeypatch.chdir("/")
    for name in ("HOME", "SASE_GAN_CACHE", "TORCH_HOME"):
        monkeypatch.setenv(name, "/nowhere")
    with without_rights() as place:
        if not os.access(FACES, os.R_OK | os.X_OK, effective_ids=True):
            pytest.skip("another user cannot read this checkout")
        said = invoke(*COMMANDS[command](place), code=5).strip().splitlines()
        assert said[-1].startswith(f"sase-gan: {place}")
        assert "permission is denied; choose another place or change its permissions" in said[-1]
        assert list(place.iterdir()) == []


SLOW_STEP = """
import sys, time
from sase_gan.cli import main
from sase_gan.training.low_shot import LowShotModule

step = LowShotModule.training_step

def slow(self, batch, batch_idx):
    step(self, batch, batch_idx)
    if self.images_seen == 20:
        print("in a long step", flush=True)
        end = time.monotonic() + 600
        while time.monotonic() < end and not stop():
            time.sleep(0.05)

def stop():
    from pathlib import Path
    return Path(sys.argv[sys.argv.index("--out") + 1], "go").exists()

LowShotModule.training_step = slow
main()
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has other signals")
@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_saves_after_the_running_step(number: str, tmp_path: Path) -> None:
    with started(*COMMANDS["train"](tmp_path), program=(sys.executable, "-c", SLOW_STEP)) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("in a long step"):
                break
        process.send_signal(getattr(signal, number))
        for line in process.stdout:
            if line.startswith("stopping after this step"):
                break
        (tmp_path / "run" / "go").touch()
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, output
    assert f"interrupted and saved; go on with: sase-gan train --resume {tmp_path / 'run'}" in output
    assert seen(tmp_path / "run") == 20


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has other signals")
def test_a_second_ctrl_c_stops_at_once_and_loses_what_is_after_the_checkpoint(tmp_path: Path) -> None:
    with started(*COMMANDS["train"](tmp_path), program=(sys.executable, "-c", SLOW_STEP)) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("in a long step"):
                break
        process.send_signal(signal.SIGINT)
        for line in process.stdout:
            if line.startswith("stopping after this step"):
                break
        time.sleep(1)  # signals within half a second count as one
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    last = output.strip().splitlines()[-1]
    assert last == (
        "sase-gan: interrupted; what was checkpointed is safe, and goes on with: sase-gan train --resume "
        f"{tmp_path / 'run'}"
    )
    assert seen(tmp_path / "run") == 16
    assert not RunFolder(tmp_path / "run").lock.exists()
    invoke("train", "--resume", tmp_path / "run", "--kimg", 0.024, "--no-figures")
    assert seen(tmp_path / "run") == 24


def test_signals_are_given_back_after_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    monkeypatch.setattr(MetricsTable, "_append", lambda *unused: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        invoke(*COMMANDS["train"](tmp_path))
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == before
