"""A training from a configuration and its pictures to its folder, and its continuation; of sets and single pictures."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from lightning import Callback
from torch.utils.data import DataLoader

from sase_gan.allocator import freed_memory_kept
from sase_gan.colours import seen, shown
from sase_gan.config import load_yaml, to_yaml
from sase_gan.datasets.classes import some_of_each
from sase_gan.datasets.images import ImageSet
from sase_gan.datasets.low_shot import EndlessBatches
from sase_gan.files import write_atomically
from sase_gan.hardware import is_first_process, release_memory
from sase_gan.memory import out_of_memory
from sase_gan.runs.callbacks import (
    MetricsTable,
    Snapshots,
    TrainingDisplay,
)
from sase_gan.runs.checkpoints import Checkpoints, adopt_checkpoint, find_checkpoint
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.follow import FollowIdle
from sase_gan.runs.history import words_of_patience
from sase_gan.runs.instant import show_baseline
from sase_gan.runs.lock import clear_leftovers, locked
from sase_gan.runs.options import RunOptions, RunResult
from sase_gan.runs.resuming import Position, in_recorded_order, record_pictures, restore
from sase_gan.runs.retreat import Cautious, go_back, halve_batch
from sase_gan.runs.space import COPIES_OF_STATE, check_room, disk_error, size_of_state, words_of_safety
from sase_gan.runs.stopping import StopNow, StopOnSignal, Stopping, signals_given_back
from sase_gan.runs.tasks import trained_task_of
from sase_gan.runs.tasks.base import RunPlan, TrainedConfig
from sase_gan.runs.together import lost_error, lost_process
from sase_gan.runs.trainer import make_trainer
from sase_gan.runs.watching import Watch, spread
from sase_gan.sheets import write_sheet
from sase_gan.training.quiet import quiet_lightning
from sase_gan.training.soundness import Diverged


def start_run(config: TrainedConfig, images: ImageSet, run: RunFolder, options: RunOptions) -> RunResult:
    """Train from the beginning.

    Args:
        images: prepared as the configuration says: of the configured size, or one picture at the pyramid's finest size.

    Raises:
        UsageError: if the folder holds a run already.
        DataError: if the number of pictures or their size is not what the configuration takes.
        SaseGanError: if the disk is full, or the training leaves the finite numbers whatever is tried.
    """
    plan = trained_task_of(config).plan(config, images, weights_dir=options.weights_dir)
    module = plan.build()  # before the folder: a missing weights file leaves nothing behind
    check_room(run, COPIES_OF_STATE * size_of_state(module))
    if is_first_process():
        run.create()
    with _failing_in_a_sentence(run), locked(run), signals_given_back():
        if is_first_process():
            _begin(plan, config, images, run, options)
        return _fit_soundly(plan, module, images, run, options)


def resume_run(config: TrainedConfig, images: ImageSet, run: RunFolder, options: RunOptions) -> RunResult:
    """Go on from the newest whole checkpoint; what the folder holds beyond it is made again.

    Raises:
        UsageError: if another process trains in the folder.
        DataError: if every checkpoint is damaged, or the pictures are not those that the run began with.
        SaseGanError: as `start_run`.
    """
    with _failing_in_a_sentence(run), locked(run), signals_given_back():
        found = find_checkpoint(run)
        images = in_recorded_order(images, run, None if found is None else found.content["clock"]["data_digest"])
        plan = trained_task_of(config).plan(config, images, weights_dir=options.weights_dir)
        module = plan.build()
        check_room(run, (COPIES_OF_STATE - 1) * size_of_state(module), f"{run.path} is as it was")
        position = Position() if found is None else Position.of(found.content["clock"])
        before = load_yaml(run.config).get("optimiser", {})
        before.pop("batch_size", None)
        if config.optimiser.model_dump(mode="json", exclude={"batch_size"}) != before:  # new rates
            position = replace(position, retreats=0)
        if is_first_process():
            clear_leftovers(run)
            notes = restore(run, plan, position)
            if found is None:
                options.report("no checkpoint was written yet: it begins anew with the same settings")
                _begin(plan, config, images, run, options)
            else:
                adopt_checkpoint(run, found)
                notes = [*found.notes, *notes]
                _write_config(config, run)
            for note in notes:
                options.report(note)
        del found  # the whole state, which the trainer reads again
        return _fit_soundly(plan, module, images, run, options, position)


def _begin(plan: RunPlan, config: TrainedConfig, images: ImageSet, run: RunFolder, options: RunOptions) -> None:
    """Write what a run begins with."""
    record_pictures(run, images)
    _write_config(config, run)
    first = shown(images.images[some_of_each(images, 64)], "checkerboard")
    write_sheet(run.path / "grids" / "reals.png", first, columns=math.isqrt(len(first)))
    if plan.baseline_images:
        visible = replace(images, images=seen(images.images))
        show_baseline(visible, run, options, count=plan.baseline_images, mirror=plan.mirror)


def _write_config(config: TrainedConfig, run: RunFolder) -> None:
    with write_atomically(run.config) as temporary:
        temporary.write_text(to_yaml(config), encoding="utf-8")


@contextmanager
def _failing_in_a_sentence(run: RunFolder) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise disk_error(run, error) from error


def _fit_soundly(
    plan: RunPlan,
    module: Any,
    images: ImageSet,
    run: RunFolder,
    options: RunOptions,
    position: Position = Position(),  # noqa: B008 - frozen
) -> RunResult:
    """Train; go back with lower rates where the numbers become infinite, with half the batch where memory runs out."""
    signals, start = StopOnSignal(), time.monotonic()
    while True:
        try:
            return _fit(plan, module, images, run, options, position, signals, start)
        except StopNow:
            raise KeyboardInterrupt(words_of_safety(run)) from None
        except Diverged as event:
            position = go_back(event, position, run, plan, options)
        except (MemoryError, RuntimeError) as error:
            if options.devices > 1 and lost_process(error):
                raise lost_error(run) from error
            if not out_of_memory(error):
                raise
            config, position = halve_batch(error, position, run, plan, options)
            _write_config(config, run)
            plan = trained_task_of(config).plan(config, images, weights_dir=options.weights_dir)
        # The error is gone by here, and with it what its frames held.
        module = None
        release_memory()
        module = plan.build()


def _checkpoint_or_start(plan: RunPlan, module: Any, run: RunFolder, options: RunOptions) -> Path | None:
    """Find what the trainer goes on from; without a checkpoint the module gets what the run starts from."""
    if run.checkpoint.exists():
        return run.checkpoint
    if plan.begin is not None:
        plan.begin(module, options.report)
    return None


def _fit(
    plan: RunPlan,
    module: Any,
    images: ImageSet,
    run: RunFolder,
    options: RunOptions,
    position: Position,
    signals: StopOnSignal,
    start: float,
) -> RunResult:
    module.data_digest, module.images_seen = images.identity, position.images_seen
    config = plan.config
    checkpoint = _checkpoint_or_start(plan, module, run, options)
    material = images.learnt if plan.prepare is None else plan.prepare(module, options)

    def share_done(images_seen: int) -> float:
        by_budget = module.cpu_seconds / plan.cpu_seconds if plan.cpu_seconds else 0.0
        return max(by_budget, trained_task_of(config).share_done(config, images_seen))

    display = TrainingDisplay(plan, share_done, options.minutes)
    watch = Watch(run, plan, spread(seen(images.images)) if len(images) > 1 else 0.0, options.report)
    snapshots = Snapshots(run, plan, options.measure, (display, watch), signals.was_received)
    callbacks: list[Callback] = [
        signals,
        Cautious(position.retreats),
        Stopping(
            config.total_images,
            options.minutes,
            signals.was_received,
            cpu_seconds=plan.cpu_seconds,
        ),
        MetricsTable(run, config.schedule.log_images, (display, watch)),
        snapshots,
        # After the snapshots, so that a checkpoint never lies behind a snapshot that a resumed run would skip.
        Checkpoints(run, config.schedule.checkpoint_images, partial(check_room, run, saved=words_of_safety(run))),
        display,
    ]
    if options.hardware.follows and options.devices == 1:  # several processes of ours would run from each other
        callbacks.append(FollowIdle())
    trainer = make_trainer(callbacks, options.hardware, devices=options.devices, loggers=options.loggers)
    place = {"images_seen": module.images_seen, "rank": trainer.global_rank, "world_size": trainer.world_size}
    shown_as: dict[str, Any] = {"mirror": plan.mirror, "labels": images.labels or None, "balanced": plan.balanced}
    batches = EndlessBatches(material, batch_size=plan.batch_size, seed=config.seed, **place, **shown_as)
    with quiet_lightning(), freed_memory_kept():
        loader = DataLoader(batches, batch_size=None, pin_memory=options.hardware.kind == "cuda")
        trainer.fit(module, loader, ckpt_path=checkpoint, weights_only=True)
    seconds = time.monotonic() - start
    if snapshots.out_of_patience:
        assert plan.patience is not None
        options.report(f"{words_of_patience(plan.patience)}: the run ends at {module.images_seen:,} images")
    # A signal after the last step interrupts nothing.
    ended = snapshots.out_of_patience or module.images_seen >= config.total_images
    interrupted = signals.was_received() and not ended
    return RunResult(run, module.images_seen, interrupted, seconds, snapshots.measuring_seconds)
