"""Back to the last checkpoint, and on with less.

A tenth of the rates where a run left the finite numbers, half the batch where memory ran out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lightning import Callback, Trainer

from sase_gan.errors import SaseGanError
from sase_gan.memory import memory_error, within
from sase_gan.runs.checkpoints import adopt_checkpoint, find_checkpoint
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.options import RunOptions
from sase_gan.runs.resuming import Position, restore
from sase_gan.runs.space import words_of_safety
from sase_gan.runs.tasks.base import RunPlan, TrainedConfig
from sase_gan.training.config import LowShotConfig
from sase_gan.training.soundness import Diverged

MOST_RETREATS = 2


class Cautious(Callback):
    """Train with the rates of a run that went back so often, whatever its checkpoint says."""

    def __init__(self, retreats: int) -> None:
        self.retreats = retreats

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Tell the module."""
        module.retreats = self.retreats


def go_back(event: Diverged, position: Position, run: RunFolder, plan: RunPlan, options: RunOptions) -> Position:
    """Bring the run's folder back to its last checkpoint; tell where it goes on, and that its rates fall.

    Args:
        position: where the training that diverged had begun.

    Raises:
        SaseGanError: if it went back too often already; with what can be tried.
    """
    if (
        position.retreats >= MOST_RETREATS
        or options.devices > 1
        or (found := _last_position(run, plan, options)) is None
    ):
        raise SaseGanError(_hopeless(event, position, run, plan, options))
    back = replace(found, retreats=position.retreats + 1)
    sentence = (
        f"training left the finite numbers ({event.what}): back to {back.images_seen:,} images, on with "
        f"{0.1**back.retreats:g} of the learning rates"
    )
    run.add_note(back.images_seen, sentence)
    options.report(f"{event.images_seen:,} images: {sentence}")
    return back


def _last_position(run: RunFolder, plan: RunPlan, options: RunOptions) -> Position | None:
    """Bring the run's folder back to its last checkpoint; None if it has none yet."""
    found = find_checkpoint(run)
    if found is None:
        return None
    adopt_checkpoint(run, found)
    back = Position.of(found.content["clock"])
    for note in restore(run, plan, back):
        options.report(note)
    return back


def halve_batch(
    error: Exception, position: Position, run: RunFolder, plan: RunPlan, options: RunOptions
) -> tuple[TrainedConfig, Position]:
    """Bring a run that has no memory for its step back to its last checkpoint; give it half the batch, and its place.

    Both networks of a run on a set take statistics over the batch, so a step cannot be gathered from smaller parts.

    Raises:
        SaseGanError: if there is no batch to halve, or something else needed the memory; with what needs less.
    """
    config, half = plan.config, plan.batch_size // 2
    if not within(error, "training_step") or not isinstance(config, LowShotConfig) or half < 2 or options.devices > 1:
        raise _too_large(error, run, plan) from error
    back = _last_position(run, plan, options) or Position()
    section = config.optimiser.model_copy(update={"batch_size": half})
    sentence = (
        f"memory ran out with {plan.batch_size} pictures a step: back to {back.images_seen:,} images, on with {half} a "
        "step (both networks take statistics over a step's pictures, which therefore are not gathered from parts)"
    )
    run.add_note(back.images_seen, sentence)
    options.report(sentence)
    return config.model_copy(update={"optimiser": section}), replace(back, retreats=position.retreats)


def _too_large(error: Exception, run: RunFolder, plan: RunPlan) -> SaseGanError:
    """Say what can be done where a run on one picture, or with the smallest batch, has too little memory."""
    resumed = words_of_safety(run)
    if not within(error, "training_step"):
        return memory_error("drawing or measuring a snapshot", f"choose smaller settings in a new run; {resumed}")
    if isinstance(plan.config, LowShotConfig):
        advice = (
            f"give fewer pictures a step (--batch-size, at least 2), or a smaller --image-size to a new run; {resumed}"
        )
    else:
        advice = f"give a smaller --max-size to a new run; {resumed}"
    return memory_error("a training step", advice)


def _hopeless(event: Diverged, position: Position, run: RunFolder, plan: RunPlan, options: RunOptions) -> str:
    tried = f", with {0.1**position.retreats:g} of the learning rates too" if position.retreats else ""
    section: Any = plan.config.optimiser
    defaults = type(section)()
    settings = " ".join(
        f"--set optimiser.{name}={min(getattr(defaults, name), getattr(section, name) / 1000):.2g}"
        for name in type(section).model_fields
        if name == "rate" or name.endswith("_rate")
    )
    precision = "" if options.hardware.precision == "32-true" else " --precision 32-true"
    return (
        f"training left the finite numbers after {event.images_seen:,} images ({event.what}){tried}; nothing of that "
        f"was kept: go on from the last checkpoint with lower rates, sase-gan train --resume {run.path} "
        f"{settings}{precision}"
    )
