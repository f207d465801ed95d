"""Starting again: which run to go on with, whether one is complete, and where an unfinished one of the same lies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sase_gan.errors import DataError, SaseGanError
from sase_gan.runs.folder import RunFolder, is_run
from sase_gan.runs.history import images_seen, read_run, without_better, words_of_patience
from sase_gan.runs.request import TrainRequest
from sase_gan.runs.resuming import recorded_digest
from sase_gan.runs.tasks import config_of_run, task_of
from sase_gan.runs.tasks.base import RunConfig, TrainedTask
from sase_gan.training.config import LowShotConfig

RUNS = Path("runs")
"""Where runs without `out` are made."""
NEWEST = Path("-")
"""What `resume` is for the run that was written to last; `commands.options` spells it too."""


def newest_run(parent: Path = RUNS) -> Path:
    """Find the trained run in a folder of runs whose checkpoint is the newest.

    Raises:
        DataError: if there is none.
    """
    found = [run for run in _runs(parent) if run.checkpoint.is_file()]
    if not found:
        raise DataError(f"{parent.resolve()} has no run with a checkpoint; name the run folder: --resume RUN")
    return max(found, key=lambda run: run.checkpoint.stat().st_mtime_ns).path


def _runs(parent: Path) -> list[RunFolder]:
    return [RunFolder(path) for path in sorted(parent.iterdir()) if is_run(path)] if parent.is_dir() else []


@dataclass(frozen=True)
class Completion:
    """A run is complete: the images it has seen, and why it ended there with what can be done."""

    images_seen: int
    reason: str

    def words(self, run: RunFolder) -> str:
        """Write the sentence about it."""
        return f"{run.path} is complete at {self.images_seen:,} images{self.reason}"


def completion(run: RunFolder, config: RunConfig) -> Completion | None:
    """Tell whether a run has come to one of the ends that its configuration names; None if it can go on.

    Raises:
        DataError: if every checkpoint is damaged.
    """
    from sase_gan.runs.checkpoints import find_checkpoint

    found = find_checkpoint(run)
    clock = {} if found is None else found.content["clock"]
    seen = int(clock.get("images_seen", 0))
    if seen >= config.total_images:
        if task_of(config).of_one_picture(config):
            return Completion(seen, ": a run on one picture ends with its last stage")
        more = max(1, round(2 * seen / 1000))
        return Completion(seen, f"; --kimg {more} goes on to {1000 * more:,}")
    if not isinstance(config, LowShotConfig):
        return None
    budget, patience = config.schedule.cpu_seconds, config.schedule.patience
    if budget is not None and clock.get("cpu_seconds", 0.0) >= budget:
        reason = f": its {budget:g} CPU seconds are used up; --set schedule.cpu_seconds={2 * budget:g} goes on"
        return Completion(seen, reason)
    # What was measured after the checkpoint will be made again.
    results = [one for one in read_run(run.path).results if (images_seen(one) or 0) <= seen]
    if patience is not None and without_better(results) >= patience:
        return Completion(seen, f": {words_of_patience(patience)}; --set schedule.patience={2 * patience} goes on")
    return None


def unfinished_like(config: RunConfig, digest: str, parent: Path) -> RunFolder | None:
    """Find an unfinished run of the same pictures and settings, the newest of several; None if there is none."""
    if not isinstance(task_of(config), TrainedTask):
        return None
    wanted, found = _settings(config), list[RunFolder]()
    for run in _runs(parent):
        try:
            if recorded_digest(run) != digest:
                continue
            theirs = config_of_run(run)
            if _settings(theirs) == wanted and completion(run, theirs) is None:
                found.append(run)
        except SaseGanError:  # what cannot be read is none to go on with
            continue
    return max(found, key=lambda run: run.config.stat().st_mtime_ns, default=None)


def _settings(config: RunConfig) -> dict[str, Any]:
    """List the settings, but not the place of the pictures, which the digest stands for."""
    values = config.model_dump(mode="json")
    values["data"].pop("path")
    return values


def going_on(request: TrainRequest, run: RunFolder) -> TrainRequest:
    """Make of a request for a new run the one that goes on with an equal one."""
    asked = TrainRequest(resume=run.path)
    kept = ("path", "device", "devices", "precision", "threads", "weights_dir", "logger", "figures")
    return replace(asked, **{name: getattr(request, name) for name in kept})
