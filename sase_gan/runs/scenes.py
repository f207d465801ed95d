"""One model for each picture of a folder, and pictures drawn from each: the protocol of one-shot benchmarks.

OUT/models/NAME/    the run of each picture
OUT/samples/NAME/   pictures drawn from its model
OUT/real/NAME.png   the picture at the size of training

Files have the colours of the models, and their transparency; scored is what is seen on white.

Stopped at any time, the same call goes on: finished pictures are left alone, a begun run is resumed.
"""

import logging
import shutil
from pathlib import Path
from typing import Any

from sase_gan.colours import filed
from sase_gan.datasets.sources import open_images
from sase_gan.drawing.sampling import sample_images
from sase_gan.errors import DataError, UsageError
from sase_gan.networks.load import load_network, own_colours
from sase_gan.pixels import write_png
from sase_gan.progress import Progress
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.options import RunOptions
from sase_gan.runs.tasks import TASKS, config_of_run
from sase_gan.snapshot import snapshot_digest
from sase_gan.training.config import OneShotConfig
from sase_gan.training.instant_config import InstantConfig

SceneConfig = OneShotConfig | InstantConfig
"""Of a run on one picture."""

logger = logging.getLogger(__name__)


def train_scenes(
    pictures: Path, out: Path, config: SceneConfig, options: RunOptions, *, count: int = 50, progress: Progress
) -> bool:
    """Make a model of each picture of a folder and draw from it.

    Args:
        config: of every run; the picture's path and the pyramid's sizes are filled in.
        count: pictures drawn from each model, by the seeds from 0 on.
        progress: gets the picture's name, how many are finished, and how many there are.

    Returns:
        Whether all pictures are finished; False after Ctrl-C.

    Raises:
        DataError: if the folder has no pictures, two of one name, or one that cannot be trained on.
        UsageError: if the folder holds models of another configuration.
    """
    paths = _pictures(pictures)
    for index, (name, path) in enumerate(paths.items()):
        progress(name, index, len(paths))
        drawn = out / "samples" / name
        if not (drawn / _file_name(count - 1)).is_file():
            run = RunFolder(out / "models" / name)
            if not _train(path, run, config, options):
                return False
            snapshot = run.chosen_snapshot()
            network: Any = load_network(snapshot).to(options.hardware.device)
            text = {"snapshot": snapshot_digest(snapshot)}
            write_png(out / "real" / f"{name}.png", filed(own_colours(network)))
            for seed, image in enumerate(sample_images(network, range(count), ground="file")):
                write_png(drawn / _file_name(seed), image, {**text, "seed": str(seed)})
    progress("", len(paths), len(paths))
    return True


def _pictures(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; one model for each picture needs a folder of pictures")
    source = open_images(folder)
    found = {Path(name).stem: source.path_of(index) for index, name in enumerate(source.names)}
    if len(found) < len(source):
        raise DataError(f"{folder} holds pictures of one name and different endings; models are named like pictures")
    return found


def _file_name(seed: int) -> str:
    return f"seed{seed:06d}.png"


def _train(path: Path, run: RunFolder, config: SceneConfig, options: RunOptions) -> bool:
    """Make the model of a picture, or go on; whether the run has come to its end."""
    task: Any = TASKS[config.task]
    wanted = task.for_picture(config, path)
    resumed = False
    if run.config.is_file():
        if config_of_run(run) != wanted:
            raise UsageError(
                f"{run.path} was trained with other settings; choose another --out, or repeat its settings"
            )
        if max(run.snapshots(), default=-1) >= wanted.total_images:
            return True
        resumed = run.checkpoint.is_file()
        if not resumed:
            logger.info("%s ended before its first checkpoint and is begun anew", run.path)
            shutil.rmtree(run.path)
    finished: bool = not task.carry_out(wanted, task.load(wanted), run, options, resumed=resumed).interrupted
    return finished
