"""The kinds of runs, and which of them a path, a configuration or a run folder belongs to. Nobody else asks.

Free of Lightning: training modules are imported when a run is built.
"""

from pathlib import Path
from typing import Any
from zipfile import is_zipfile

from sase_gan.config import list_presets, load_yaml, resolve
from sase_gan.datasets.sources import open_images
from sase_gan.errors import UsageError
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.presets import choose_kind
from sase_gan.runs.request import TrainRequest
from sase_gan.runs.tasks.base import RunConfig, Task, TrainedConfig, TrainedTask
from sase_gan.runs.tasks.instant import InstantTask
from sase_gan.runs.tasks.low_shot import LowShotTask
from sase_gan.runs.tasks.one_shot import OneShotTask

TASKS: dict[str, Task[Any]] = {task.name: task for task in (LowShotTask(), OneShotTask(), InstantTask())}
"""By the word that a configuration's `task` holds."""

_OF_TRAINING = ("kimg", "minutes", "batch_size", "devices", "logger", "start", "publish_discriminator")


def task_for(request: TrainRequest) -> Task[Any]:
    """Choose the kind of run for pictures.

    A preset and a configuration file say it; where neither is given, the number of pictures does, unless something is
    asked for that only a training has. One picture, be it a file or alone in its folder, is trained on by itself.

    Raises:
        DataError: if there is no picture.
        UsageError: for a preset of neither kind, or a configuration file that cannot be read.
    """
    path = request.path
    assert path is not None
    count = 1 if path.is_file() and not is_zipfile(path) else len(open_images(path))
    trained = "one_shot" if count == 1 else "low_shot"
    if request.preset is not None:
        return TASKS[kind_of_preset(request.preset, trained)]
    if request.config is not None:
        named = load_yaml(request.config).get("task")
        return TASKS[named if named == "instant" else trained]
    return TASKS[trained if request.given(*_OF_TRAINING) else choose_kind(count)[0]]


def kind_of_preset(preset: str, trained: str) -> str:
    """Tell which kind of run a preset is for, `instant` or the one that trains on so many pictures.

    Raises:
        UsageError: if it is for neither; the message lists those that are.
    """
    for kind in ("instant", trained):
        if preset in (f"smoke/{kind}", *list_presets(kind)) or f"{kind}/{preset}" in list_presets(kind):
            return kind
    known = ", ".join(name for kind in ("instant", trained) for name in list_presets(kind))
    raise UsageError(f"preset is {preset!r}; for these pictures choose one of {known}")


def task_of(config: RunConfig) -> Task[Any]:
    """Find the kind of run that a configuration describes."""
    return TASKS[config.task]


def trained_task_of(config: TrainedConfig) -> TrainedTask[Any]:
    """Find the kind of training that a configuration describes."""
    task = TASKS[config.task]
    assert isinstance(task, TrainedTask)
    return task


def task_of_run(run: RunFolder) -> Task[Any]:
    """Find the kind of the run in a folder.

    Raises:
        UsageError: if its configuration cannot be read, or is of an unknown kind.
    """
    name = str(load_yaml(run.config).get("task", "low_shot"))
    if name not in TASKS:
        raise UsageError(f"{run.config} has the task {name!r}; known are {', '.join(TASKS)}")
    return TASKS[name]


def config_of_run(run: RunFolder) -> RunConfig:
    """Read the configuration of the run in a folder.

    Raises:
        UsageError: if it is missing or wrong.
    """
    config: RunConfig = resolve(task_of_run(run).config_type, file=run.config)
    return config


def is_of_one_picture(folder: Path) -> bool:
    """Tell whether the folder holds a run on one picture."""
    run = RunFolder(folder)
    return run.config.is_file() and task_of_run(run).of_one_picture(config_of_run(run))


def planned(folder: Path, images_seen: int) -> tuple[int, float]:
    """Tell how many images the run in a folder is to see, and which share of its work is done.

    Raises:
        UsageError: if the folder's configuration is missing or wrong.
    """
    config = config_of_run(RunFolder(folder))
    return config.total_images, task_of(config).share_done(config, images_seen)
