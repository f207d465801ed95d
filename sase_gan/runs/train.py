"""A training from its request to its result: what the command `train` does, and whoever trains from Python.

Lightning takes seconds to import: only when nothing is left that may have been mistyped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sase_gan.config import to_yaml
from sase_gan.datasets.images import ImageSet
from sase_gan.datasets.notes import losses_in_words
from sase_gan.errors import DataError, UsageError
from sase_gan.hardware import Hardware, choose_hardware, is_first_process
from sase_gan.memory import memory_error, out_of_memory
from sase_gan.places import try_folder
from sase_gan.runs.again import NEWEST, RUNS, completion, going_on, newest_run, unfinished_like
from sase_gan.runs.folder import RunFolder, claim, next_free, open_run
from sase_gan.runs.options import RunOptions, RunResult
from sase_gan.runs.request import Report, TrainRequest
from sase_gan.runs.tasks import task_for, task_of_run
from sase_gan.runs.tasks.base import RunConfig, Task

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger


def train(
    request: TrainRequest, report: Report = lambda line: None, ask: Callable[[str], bool] | None = None
) -> RunResult:
    """Train as requested, from the beginning or going on with a run; a complete one is told and left as it is.

    Args:
        report: gets the lines that tell what is chosen, what it costs, and how it ended; from the first process only.
        ask: puts a question that is answered with yes or no; None where nobody can be asked.

    Raises:
        UsageError: for a request that contradicts itself, a wrong setting, or a run folder that is taken.
        DataError: for pictures or a run folder that cannot be trained on.
        WeightsError: if a pretrained network that the configuration needs is missing.
    """
    first = is_first_process()
    report = report if first else (lambda line: None)
    task, config, hardware, run = _settle(request, report)
    if request.resume is not None and (end := completion(run, config)) is not None:
        report(end.words(run))
        return RunResult(run, end.images_seen, False, 0.0, 0.0)
    if first:
        try_folder(run.path)
    images = _load(task, config, request)
    _tell_losses(images, report)
    if request.resume is None and (equal := unfinished_like(config, images.identity, run.path.parent)) is not None:
        question = f"{equal.path} is an unfinished run of these pictures with these settings"
        if ask is not None and ask(f"{question}; go on with it?"):
            return train(going_on(request, equal), report)
        report(f"{question}; go on with it: sase-gan train --resume {equal.path}")
    with _claimed(request, run, first) as run:
        loggers = make_loggers(request.logger, run)
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


def _load(task: Task[Any], config: RunConfig, request: TrainRequest) -> ImageSet:
    try:
        return task.load(config)
    except DataError as error:
        if request.resume is None or request.path is not None:
            raise
        raise DataError(
            f"{error}; if the pictures have moved, say where they are: sase-gan train --resume {request.resume} PATH"
        ) from error


def _tell_losses(images: ImageSet, report: Report) -> None:
    """Say what of the files is not in the pictures, and what spoils them, before anything is trained."""
    for line in losses_in_words(images.notes, len(images)):
        report(line)


@contextmanager
def _claimed(request: TrainRequest, run: RunFolder, first: bool) -> Iterator[RunFolder]:
    """Take the name of a new run without `out` by making its folder; it goes again if nothing comes into it."""
    if request.resume is not None or request.out is not None or not first:
        yield run
        return
    assert request.path is not None  # checked
    run = RunFolder(claim(RUNS, name_of(request.path)))
    try:
        yield run
    finally:
        with suppress(OSError):  # it is not empty
            run.path.rmdir()


def name_of(path: Path) -> str:
    """Name a run after its pictures, also where they are named by a dot.

    Example:
        >>> name_of(Path("pictures/faces.zip")), name_of(Path("/"))
        ('faces', 'pictures')
    """
    return path.expanduser().resolve().stem or "pictures"


def foretell(request: TrainRequest, report: Report) -> None:
    """Tell settings, time and memory of a training, and write nothing.

    Raises:
        UsageError, DataError, WeightsError: as `train`.
    """
    task, config, hardware, _ = _settle(request, report)
    report(to_yaml(config))
    _tell_losses(_load(task, config, request), report)
    if request.resume or not task.foretold:
        _foretell(task, config, request, hardware, report)
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
        raise UsageError(f"{name} is not installed; run: pip install {name}") from error


def _settle(request: TrainRequest, report: Report) -> tuple[Task[Any], RunConfig, Hardware, RunFolder]:
    """Decide everything that a request leaves open; nothing of the run folder is written yet."""
    if request.resume == NEWEST:
        request = replace(request, resume=newest_run())
    request.check()
    hardware = choose_hardware(request.device, request.precision, request.threads, processes=request.devices)
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
        config = _foretell(task, config, request, hardware, report)
    return task, config, hardware, RunFolder(request.out or next_free(RUNS, name_of(path)))


def _foretell(
    task: Task[Any], config: RunConfig, request: TrainRequest, hardware: Hardware, report: Report
) -> RunConfig:
    try:
        told: RunConfig = task.foretell(config, request, hardware, report)
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        smaller = "--max-size" if task.of_one_picture(config) else "--batch-size or --image-size"
        raise memory_error("a training with these settings", f"choose a smaller {smaller}") from error
    return told


def _with_precision(task: Task[Any], config: RunConfig, request: TrainRequest, hardware: Hardware) -> Hardware:
    return hardware if request.precision else replace(hardware, precision=task.precision(config, hardware))


def _tell_end(lines: list[str], result: RunResult, report: Report) -> None:
    for line in lines:
        report(line)
    if result.interrupted:
        report(f"interrupted and saved; go on with: sase-gan train --resume {result.run.path}")
    else:
        report(f"the chosen snapshot is {result.run.chosen_snapshot()}")
