"""Trainings started from the studio: one at a time, each a process of its own that outlives the page and the studio.

What is known of a training lies in files: the run folder that `sase-gan train` writes, the log of the process, and
`.studio/training.json` that says which process it is. So a reloaded page, or a studio that is started anew, finds it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from sase_gan.errors import SaseGanError, UsageError
from sase_gan.files import write_atomically
from sase_gan.platforms import ask_to_stop, give_way, is_alive, own_group
from sase_gan.runs.folder import RunFolder, images_of, is_run, next_free
from sase_gan.runs.history import read_run
from sase_gan.runs.tasks import is_of_one_picture, planned
from sase_gan.ui.limits import Limits

State = Literal["preparing", "running", "stopping", "finished", "stopped", "failed"]

MEMORY = ".studio"
PICTURES = "pictures"
PYTHON = (sys.executable, "-m", "sase_gan")
# A checkout need not be installed, and the process works elsewhere.
PACKAGE = Path(__file__).resolve().parents[2]
# The page keeps answering while a training takes the processors.
POLITENESS = 5
# The first pictures count here; the tab Evaluate measures when it is asked.
INSTANT_OPTIONS = ("--preset", "instant", "--no-figures", "--set", "schedule.grid_images=8")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,39}")


@dataclass(frozen=True)
class Job:
    """A training that was started here.

    Attributes:
        run: name of its folder.
        started: seconds since the epoch.
        minutes: its time limit.
        seconds_before: training time of the run before this process went on with it.
        stopping: whether the user asked it to stop.
        total_images: where it is to end, if that is not what the run began with.
        instant: whether a model is made without training.
    """

    run: str
    pid: int
    started: float
    minutes: float | None = None
    seconds_before: float = 0.0
    stopping: bool = False
    one_picture: bool = False
    total_images: int | None = None
    instant: bool = False


@dataclass(frozen=True)
class TrainingState:
    """How far a training is.

    Attributes:
        images_seen, total_images: the clock and its end; 0 where they are not known yet.
        images_per_second: of the newest row.
        seconds_left: until the end or the time limit, or None while unknown.
        message: why it failed.
        grid: the newest sample grid.
        share: of the work that is done, 0 to 1; on one picture an iteration of a fine stage is more work.
    """

    run: str
    state: State
    images_seen: int = 0
    total_images: int = 0
    images_per_second: float | None = None
    seconds: float = 0.0
    seconds_left: float | None = None
    message: str = ""
    grid: Path | None = None
    share: float = 0.0
    one_picture: bool = False
    instant: bool = False

    @property
    def alive(self) -> bool:
        """Whether the process works."""
        return self.state in ("preparing", "running", "stopping")


class Trainings:
    """The trainings of a folder, in which uploaded pictures lie too; safe to use from several threads."""

    def __init__(
        self, runs: Path, *, device: str = "auto", command: Sequence[str] = PYTHON, limits: Limits | None = None
    ) -> None:
        self.runs, self.device, self.command = runs, device, tuple(command)
        self.limits = limits or Limits()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    # --- what there is -----------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """The runs of the folder that can be gone on with, the newest first."""
        if not self.runs.is_dir():
            return []
        runs = [RunFolder(path) for path in self.runs.iterdir() if is_run(path)]
        found = [run.path for run in runs if run.checkpoint.exists() and (run.path / "snapshots").is_dir()]
        return [path.name for path in sorted(found, key=lambda p: p.stat().st_mtime, reverse=True)]

    def last(self) -> Job | None:
        """The training that was started last, working or not."""
        try:
            return Job(**json.loads((self.runs / MEMORY / "training.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def is_alive(self, job: Job) -> bool:
        """Whether its process still works."""
        process = self._process
        if process is not None and process.pid == job.pid:
            return process.poll() is None
        return _is_training(job.pid, job.run)

    def state(self) -> TrainingState | None:
        """Of the training that was started last; None if there was none."""
        job = self.last()
        return None if job is None else self._describe(job)

    def fingerprint(self) -> str:
        """Changes whenever the state has something new to show."""
        job = self.last()
        if job is None:
            return ""
        run = RunFolder(self.runs / job.run)
        times = [_modified(path) for path in (run.metrics, run.results, run.path / "grids", self.log(job.run))]
        return f"{job.run} {job.pid} {job.stopping} {self.is_alive(job)} {times}"

    def log(self, run: str) -> Path:
        """What the process said."""
        return self.runs / MEMORY / f"{run}.log"

    # --- what can be done --------------------------------------------------------------------------------------------

    def start(
        self,
        prepare: Callable[[Path], Path],
        name: object,
        options: Sequence[str],
        *,
        minutes: float | None = None,
        one_picture: bool = False,
        instant: bool = False,
    ) -> Job:
        """Start a training on new pictures; a number is added to the run's name.

        Args:
            prepare: puts the pictures below the folder that it is given and returns where they lie.
            options: further arguments of `sase-gan train`.
            instant: whether a model is made without training, which takes no minutes.

        Raises:
            UsageError: for a name that is none, while another training works, or beyond the limits.
        """
        stem = checked_name(name)
        with self._lock:
            self._refuse_beyond(minutes)
            pictures = prepare(self.runs / PICTURES)
            run = next_free(self.runs, stem)
            if instant:
                options, minutes = (*INSTANT_OPTIONS, *options), None
            limit = [] if minutes is None else ["--minutes", f"{minutes:g}"]
            arguments = ["train", *options, *limit, "--device", self.device, "--out", str(run), "--", str(pictures)]
            job = Job(run.name, 0, 0.0, minutes, one_picture=one_picture, instant=instant)
            return self._launch(job, arguments)

    def resume(self, run: object, *, minutes: float | None = None, kimg: float | None = None) -> Job:
        """Go on with a run.

        Raises:
            UsageError: for an unknown run, one that has seen all its images, while another works, or beyond the limits.
        """
        if not isinstance(run, str) or run not in self.names():
            raise UsageError("This run cannot be gone on with; choose one of the list.")
        with self._lock:
            self._refuse_beyond(minutes)
            state = _progress(self.runs / run)
            end = state.total_images if kimg is None else round(kimg * 1000)
            if state.images_seen >= end:
                raise UsageError(
                    f"{run} has seen {state.images_seen:,} images and was to end at {end:,}; give more thousand images."
                )
            one_picture = is_of_one_picture(self.runs / run)
            if one_picture:
                minutes = None  # such a run goes on to its last stage
            arguments = ["train", "--resume", str(self.runs / run), "--device", self.device]
            arguments += [] if minutes is None else ["--minutes", f"{minutes:g}"]
            arguments += [] if kimg is None else ["--kimg", f"{kimg:g}"]
            total = None if kimg is None else end
            job = Job(run, 0, 0.0, minutes, state.seconds, one_picture=one_picture, total_images=total)
            return self._launch(job, arguments)

    def stop(self) -> TrainingState:
        """Ask the training to stop after its step, with everything saved; asked again, it stops at once.

        One that has made its last step ends as if it had not been asked.

        Raises:
            UsageError: if none works.
        """
        with self._lock:
            job = self.last()
            if job is None or not self.is_alive(job):
                raise UsageError("No training is running.")
            ask_to_stop(job.pid)
            job = replace(job, stopping=True)
            self._remember(job)
        return self._describe(job)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _refuse_beyond(self, minutes: float | None) -> None:
        """Refuse a second training at a time, and what the limits do not allow."""
        self.limits.check_minutes(minutes)
        self.limits.check_room(self.runs)
        job = self.last()
        if job is not None and self.is_alive(job):
            raise UsageError(f"{job.run} is being trained; one training at a time: stop it, or wait for its end.")

    def _launch(self, planned: Job, arguments: list[str]) -> Job:
        log = self.log(planned.run)
        path = [str(PACKAGE), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            # In a session of its own: Ctrl-C in the studio's window is not meant for the training.
            process = subprocess.Popen(
                [*self.command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.runs,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))},
                **own_group(),
            )
        give_way(process.pid, POLITENESS)
        self._process = process
        job = replace(planned, pid=process.pid, started=time.time())
        self._remember(job)
        return job

    def _remember(self, job: Job) -> None:
        with write_atomically(self.runs / MEMORY / "training.json") as temporary:
            temporary.write_text(json.dumps(asdict(job)))

    def _describe(self, job: Job) -> TrainingState:
        # Before the files are read: a process that ends in between has left them incomplete, not failed.
        alive = self.is_alive(job)
        found = _progress(self.runs / job.run)
        if job.total_images is not None:
            share = min(1.0, found.images_seen / job.total_images)
            found = replace(found, total_images=job.total_images, share=share)
        state: State = "running" if found.images_seen else "preparing"
        message = ""
        if not alive:
            state, message = _ending(job, _said(self.log(job.run)))
        elif job.stopping and not 0 < found.total_images <= found.images_seen:
            # One that has seen all its images has nothing left to stop, whatever was asked.
            state = "stopping"
        left = None
        if state == "running" and found.share > 0:
            left = found.seconds * (1 - found.share) / found.share
            if job.minutes is not None:
                since = max(0.0, time.time() - _modified(self.runs / job.run / "metrics.csv"))
                spent = found.seconds - job.seconds_before + since
                left = min(left, max(0.0, 60 * job.minutes - spent))
                # What ends first is what the bar counts: all images seen, or the minutes gone.
                found = replace(found, share=max(found.share, min(1.0, spent / (60 * job.minutes))))
        return replace(
            found, state=state, seconds_left=left, message=message, one_picture=job.one_picture, instant=job.instant
        )


def _ending(job: Job, said: list[str]) -> tuple[State, str]:
    """How a training has ended, by what its process said, and why if it failed."""
    if any(line.startswith("the chosen snapshot is") for line in said):
        return "finished", ""
    if job.stopping or any(line.startswith("interrupted and saved") for line in said):
        return "stopped", ""
    error = next((line.partition(": ")[2] for line in reversed(said) if line.startswith("sase-gan: ")), "")
    return "failed", error or (said[-1] if said else "The process ended without a word.")


def checked_name(name: object) -> str:
    """A run's name as a folder's.

    Raises:
        UsageError: unless it is 1 to 40 letters, digits, spaces, hyphens and underscores.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name.strip()):
        raise UsageError("Give the run a name of 1 to 40 letters, digits, spaces, hyphens or underscores.")
    return name.strip().replace(" ", "-")


def _progress(folder: Path) -> TrainingState:
    """What the files of a run say."""
    series = read_run(folder).series if folder.is_dir() else {}

    def newest(name: str) -> float | None:
        return series[name][-1][1] if name in series else None

    rows = [points[-1][0] for points in series.values() if points]
    seen = int(max([0, *rows, *RunFolder(folder).snapshots()]))
    total, share = 0, 0.0
    with suppress(SaseGanError, OSError):  # a folder in which nothing is planned yet
        total, share = planned(folder, seen)
    # By number: 000000.263kimg would come before 000000kimg by name.
    grid = max((folder / "grids").glob("*kimg.png"), key=lambda path: images_of(path.stem) or 0, default=None)
    rate, seconds = newest("images_per_second"), newest("seconds") or 0.0
    return TrainingState(folder.name, "running", seen, total, rate, seconds, grid=grid, share=share)


def _said(log: Path) -> list[str]:
    """The last lines of a log that are not empty."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip()]


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _is_training(pid: int, run: str) -> bool:
    """Whether a process that this studio did not start is the training of `run`: numbers of processes are reused."""
    if not is_alive(pid):
        return False
    if not Path("/proc/self/cmdline").exists():
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return state != "Z" and any(word.endswith(f"/{run}".encode()) for word in words)
