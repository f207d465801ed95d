"""The kinds of runs, and which of them a path, a configuration or a run folder belongs to. Nobody else asks.

Free of Lightning: training modules are imported when a run is built.
"""

from pathlib import Path
from typing import Any
from zipfile import is_zipfile

from sase_gan.config import load_yaml, resolve
from sase_gan.datasets.sources import open_images
from sase_gan.errors import UsageError
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.tasks.base import RunConfig, Task
from sase_gan.runs.tasks.low_shot import LowShotTask
from sase_gan.runs.tasks.one_shot import OneShotTask

TASKS: dict[str, Task[Any]] = {task.name: task for task in (LowShotTask(), OneShotTask())}
"""By the word that a configuration's `task` holds."""


def task_for(path: Path) -> Task[Any]:
    """Choose the kind of run for pictures: one picture, be it a file or alone in its folder, is trained on by itself.

    Raises:
        DataError: if there is no picture.
    """
    alone = (path.is_file() and not is_zipfile(path)) or len(open_images(path)) == 1
    return TASKS["one_shot" if alone else "low_shot"]


def task_of(config: RunConfig) -> Task[Any]:
    """Find the kind of run that a configuration describes."""
    return TASKS[config.task]


def task_of_run(run: RunFolder) -> Task[Any]:
    """Find the kind of the run in a folder.

    Raises:
        UsageError: if its configuration cannot be read, or is of an unknown kind.
    """
    name = str(load_yaml(run.config).get("task", "low_shot"))
    if name not in TASKS:
        raise UsageError(f"{run.config} has the task {name!r}; known are {', '.join(TASKS)}")
    return TASKS[name]


def is_of_one_picture(folder: Path) -> bool:
    """Tell whether the folder holds a run on one picture."""
    run = RunFolder(folder)
    return run.config.is_file() and task_of_run(run).of_one_picture


def planned(folder: Path, images_seen: int) -> tuple[int, float]:
    """Tell how many images the run in a folder is to see, and which share of its work is done.

    Raises:
        UsageError: if the folder's configuration is missing or wrong.
    """
    run = RunFolder(folder)
    task = task_of_run(run)
    config = resolve(task.config_type, file=run.config)
    return config.total_images, task.share_done(config, images_seen)
