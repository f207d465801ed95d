"""A training from its request to its result: what the command `train` does, and whoever trains from Python.

Lightning takes seconds to import: only when nothing is left that may have been mistyped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sase_gan.config import to_yaml
from sase_gan.hardware import Hardware, choose_hardware, is_first_process
from sase_gan.progress import readable_seconds
from sase_gan.runs.folder import RunFolder, next_free, open_run
from sase_gan.runs.loggers import make_loggers
from sase_gan.runs.request import Report, TrainRequest
from sase_gan.runs.tasks import task_for, task_of_run
from sase_gan.runs.tasks.base import RunConfig, Task

if TYPE_CHECKING:
    from sase_gan.runs.run import RunResult


def train(request: TrainRequest, report: Report = lambda line: None) -> RunResult:
    """Train as requested, from the beginning or going on with a run.

    Args:
        report: gets the lines that tell what is chosen, what it costs, and how it ended.

    Raises:
        UsageError: for a request that contradicts itself, a wrong setting, or a run folder that is taken.
        DataError: for pictures or a run folder that cannot be trained on.
        WeightsError: if a pretrained network that the configuration needs is missing.
    """
    first = is_first_process()
    if not first:
        report = _silent
    job = _settle(request, report)
    loggers = make_loggers(request.logger, job.run)
    images = job.task.load(job.config)
    from sase_gan.runs.run import RunOptions, resume_run, start_run

    report(f"going on with {job.run.path}" if request.resume else job.greeting(images))
    options = RunOptions(
        job.hardware,
        minutes=request.minutes if job.task.cut_short else None,
        devices=request.devices,
        measure=job.task.measure(job.config, images, job.hardware) if request.figures else None,
        weights_dir=None if request.weights_dir is None else str(request.weights_dir),
        loggers=loggers,
    )
    result = (resume_run if request.resume else start_run)(job.config, images, job.run, options)
    if first:  # the others need not know the name that a run without `out` got
        _tell_end(result, report)
    return result


def foretell(request: TrainRequest, report: Report) -> None:
    """Tell settings, time and memory of a training, and write nothing.

    Raises:
        UsageError, DataError, WeightsError: as `train`.
    """
    job = _settle(request, report)
    report(to_yaml(job.config))
    if not job.foretold:
        job.task.foretell(job.config, request, job.hardware, report)
    report("dry run: nothing was written")


@dataclass(frozen=True)
class _Job:
    """A request with everything decided; of the run folder nothing is written yet.

    Attributes:
        foretold: its cost was told.
    """

    task: Task[Any]
    config: RunConfig
    hardware: Hardware
    run: RunFolder
    foretold: bool

    def greeting(self, images: Any) -> str:
        return self.task.greeting(self.config, images, self.hardware, self.run)


def _settle(request: TrainRequest, report: Report) -> _Job:
    request.check()
    hardware = choose_hardware(request.device, request.precision, request.threads)
    if request.resume is not None:
        run = open_run(request.resume)
        task = task_of_run(run)
        return _Job(task, task.reopen(run, request), hardware, run, foretold=False)
    assert request.path is not None  # checked
    path = request.path.expanduser()
    request = replace(request, path=path)
    task = task_for(path)
    config = task.resolve(request, hardware, report)
    if task.foretold:
        config = task.foretell(config, request, hardware, report)
    run = RunFolder(request.out or next_free(Path("runs"), path.stem))
    return _Job(task, config, hardware, run, task.foretold)


def _tell_end(result: RunResult, report: Report) -> None:
    share = result.measuring_seconds / max(result.seconds, 1e-9)
    report(
        f"{result.images_seen:,} images seen in {readable_seconds(result.seconds)}, {share:.0%} of it for figures; "
        f"the run is in {result.run.path}"
    )
    if result.interrupted:
        report(f"interrupted and saved; go on with: sase-gan train --resume {result.run.path}")
    else:
        report(f"the chosen snapshot is {result.run.chosen_snapshot()}")


def _silent(line: str) -> None:
    """Say nothing: of several processes only the first one speaks."""
