"""A training from its request to its result: what the command `train` does, and whoever trains from Python.

Lightning takes seconds to import: only when nothing is left that may have been mistyped.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sase_gan.config import to_yaml
from sase_gan.errors import UsageError
from sase_gan.hardware import Hardware, choose_hardware, is_first_process
from sase_gan.runs.folder import RunFolder, next_free, open_run
from sase_gan.runs.options import RunOptions, RunResult
from sase_gan.runs.request import Report, TrainRequest
from sase_gan.runs.tasks import task_for, task_of_run
from sase_gan.runs.tasks.base import RunConfig, Task

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger


def train(request: TrainRequest, report: Report = lambda line: None) -> RunResult:
    """Train as requested, from the beginning or going on with a run.

    Args:
        report: gets the lines that tell what is chosen, what it costs, and how it ended; from the first process only.

    Raises:
        UsageError: for a request that contradicts itself, a wrong setting, or a run folder that is taken.
        DataError: for pictures or a run folder that cannot be trained on.
        WeightsError: if a pretrained network that the configuration needs is missing.
    """
    first = is_first_process()
    report = report if first else (lambda line: None)
    task, config, hardware, run = _settle(request, report)
    loggers = make_loggers(request.logger, run)
    images = task.load(config)
    report(f"going on with {run.path}" if request.resume else task.greeting(config, images, hardware, run))
    measured = request.figures and bool(config.schedule.evaluation_count)
    options = RunOptions(
        hardware,
        minutes=request.minutes if task.cut_short else None,
        devices=request.devices,
        measure=task.measure(config, images, hardware) if measured else None,
        weights_dir=request.weights_dir,
        loggers=loggers,
        report=report,
    )
    result = task.carry_out(config, images, run, options, resumed=request.resume is not None)
    if first:  # the others need not know the name that a run without `out` got
        _tell_end(task.ending(config, result), result, report)
    return result


def foretell(request: TrainRequest, report: Report) -> None:
    """Tell settings, time and memory of a training, and write nothing.

    Raises:
        UsageError, DataError, WeightsError: as `train`.
    """
    task, config, hardware, _ = _settle(request, report)
    report(to_yaml(config))
    if request.resume or not task.foretold:
        task.foretell(config, request, hardware, report)
    report("dry run: nothing was written")


def make_loggers(name: str | None, run: RunFolder) -> tuple[Logger, ...]:
    """Make the logger besides metrics.csv, `tensorboard` or `wandb`; None gives none. A run that begins lets it write.

    Both write into the run folder, Weights & Biases offline: `wandb sync` uploads it.

    Raises:
        UsageError: if its package is not installed.
    """
    if name is None:
        return ()
    try:
        from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger

        if name == "tensorboard":
            return (TensorBoardLogger(run.path, name="tensorboard", version=""),)
        return (WandbLogger(project="sase_gan", name=run.path.name, save_dir=run.path, offline=True),)
    except ModuleNotFoundError as error:
        raise UsageError(f"{name} is not installed; run: pip install 'sase_gan[logging]'") from error


def _settle(request: TrainRequest, report: Report) -> tuple[Task[Any], RunConfig, Hardware, RunFolder]:
    """Decide everything that a request leaves open; nothing of the run folder is written yet."""
    request.check()
    hardware = choose_hardware(request.device, request.precision, request.threads)
    if request.resume is not None:
        run = open_run(request.resume)
        task = task_of_run(run)
        config = task.reopen(run, request)
        return task, config, _with_precision(task, config, request, hardware), run
    assert request.path is not None  # checked
    path = request.path.expanduser()
    request = replace(request, path=path)
    task = task_for(request)
    config = task.resolve(request, hardware, report)
    hardware = _with_precision(task, config, request, hardware)
    if task.foretold:
        config = task.foretell(config, request, hardware, report)
    return task, config, hardware, RunFolder(request.out or next_free(Path("runs"), path.stem))


def _with_precision(task: Task[Any], config: RunConfig, request: TrainRequest, hardware: Hardware) -> Hardware:
    return hardware if request.precision else replace(hardware, precision=task.precision(config, hardware))


def _tell_end(lines: list[str], result: RunResult, report: Report) -> None:
    for line in lines:
        report(line)
    if result.interrupted:
        report(f"interrupted and saved; go on with: sase-gan train --resume {result.run.path}")
    else:
        report(f"the chosen snapshot is {result.run.chosen_snapshot()}")
