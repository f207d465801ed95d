"""A training from a configuration and its pictures to its folder, and its continuation; of sets and single pictures."""

import math
import time
from pathlib import Path
from typing import Any

import torch
from lightning import Callback
from torch.utils.data import DataLoader

from sase_gan.config import to_yaml
from sase_gan.datasets.images import ImageSet
from sase_gan.datasets.low_shot import EndlessBatches
from sase_gan.errors import DataError
from sase_gan.files import write_atomically
from sase_gan.hardware import is_first_process
from sase_gan.pixels import grid, write_png
from sase_gan.runs.callbacks import Checkpoints, MetricsTable, Snapshots, StopOnSignal, Stopping, TrainingDisplay
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.instant import show_baseline
from sase_gan.runs.options import RunOptions, RunResult
from sase_gan.runs.tasks import trained_task_of
from sase_gan.runs.tasks.base import RunPlan, TrainedConfig
from sase_gan.runs.trainer import make_trainer
from sase_gan.training.quiet import quiet_lightning


def start_run(config: TrainedConfig, images: ImageSet, run: RunFolder, options: RunOptions) -> RunResult:
    """Train from the beginning.

    Args:
        images: prepared as the configuration says: `image_size` squares, or one picture at the pyramid's finest size.

    Raises:
        UsageError: if the folder holds a run already.
        DataError: if the number of pictures or their size is not what the configuration takes.
    """
    plan = trained_task_of(config).plan(config, images, weights_dir=options.weights_dir)
    module = plan.build()  # before the folder: a missing weights file leaves nothing behind
    if is_first_process():
        run.create()
        with write_atomically(run.config) as temporary:
            temporary.write_text(to_yaml(config))
        shown = images.images[:64]
        write_png(run.path / "grids" / "reals.png", grid(shown, columns=math.isqrt(len(shown))))
        if plan.baseline_images:
            show_baseline(images, run, options, count=plan.baseline_images, mirror=plan.mirror)
    return _fit(plan, module, images, run, options)


def resume_run(config: TrainedConfig, images: ImageSet, run: RunFolder, options: RunOptions) -> RunResult:
    """Go on from the last checkpoint; what the folder holds beyond it is made again.

    Raises:
        DataError: if there is no checkpoint, it is damaged, or the pictures changed.
    """
    plan = trained_task_of(config).plan(config, images, weights_dir=options.weights_dir)
    clock = _read_clock(run.checkpoint)
    if clock["data_digest"] != images.digest:
        raise DataError(
            f"the pictures in {config.data.path} are not those that this run began with; restore them, or start anew"
        )
    if is_first_process():
        run.forget_after(clock["images_seen"])
    module = plan.build()
    module.images_seen = clock["images_seen"]
    return _fit(plan, module, images, run, options, checkpoint=run.checkpoint)


def _read_clock(checkpoint: Path) -> dict[str, Any]:
    """Read images seen, steps and the hash of the pictures of a checkpoint, without unpickling code."""
    if not checkpoint.is_file():
        raise DataError(f"{checkpoint} does not exist; the run was ended before its first checkpoint: start it anew")
    try:
        clock: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)["clock"]
    except Exception as error:
        raise DataError(
            f"{checkpoint} cannot be read ({error}); rename previous.ckpt beside it to last.ckpt and resume again"
        ) from error
    return clock


def _fit(
    plan: RunPlan, module: Any, images: ImageSet, run: RunFolder, options: RunOptions, checkpoint: Path | None = None
) -> RunResult:
    module.data_digest = images.digest
    config = plan.config
    shown = images.images if plan.prepare is None else plan.prepare(module, options)

    def share_done(images_seen: int) -> float:
        by_budget = module.cpu_seconds / plan.cpu_seconds if plan.cpu_seconds else 0.0
        return max(by_budget, trained_task_of(config).share_done(config, images_seen))

    display, signals = TrainingDisplay(plan, share_done), StopOnSignal()
    snapshots = Snapshots(run, plan, options.measure, display.show_snapshot)
    callbacks: list[Callback] = [
        signals,
        Stopping(
            config.total_images,
            options.minutes,
            signals.was_received,
            lambda: snapshots.out_of_patience,
            cpu_seconds=plan.cpu_seconds,
        ),
        MetricsTable(run, config.schedule.log_images, display.show_row),
        snapshots,
        # After the snapshots, so that a checkpoint never lies behind a snapshot that a resumed run would skip.
        Checkpoints(run, config.schedule.checkpoint_images),
        display,
    ]
    trainer = make_trainer(callbacks, options.hardware, devices=options.devices, loggers=options.loggers)
    batches = EndlessBatches(
        shown,
        batch_size=plan.batch_size,
        seed=config.seed,
        images_seen=module.images_seen,
        rank=trainer.global_rank,
        world_size=trainer.world_size,
        mirror=plan.mirror,
    )
    start = time.monotonic()
    with quiet_lightning():
        loader = DataLoader(batches, batch_size=None, pin_memory=options.hardware.kind == "cuda")
        trainer.fit(module, loader, ckpt_path=checkpoint, weights_only=True)
    seconds = time.monotonic() - start
    # A signal after the last step interrupts nothing.
    interrupted = signals.was_received() and module.images_seen < config.total_images
    return RunResult(run, module.images_seen, interrupted, seconds, snapshots.measuring_seconds)
