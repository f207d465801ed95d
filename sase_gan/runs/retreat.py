"""A run that left the finite numbers: back to its last checkpoint with a tenth of the rates, at most twice."""

from __future__ import annotations

from typing import Any

from lightning import Callback, Trainer

from sase_gan.errors import SaseGanError
from sase_gan.runs.checkpoints import adopt_checkpoint, find_checkpoint
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.options import RunOptions
from sase_gan.runs.resuming import Position, restore
from sase_gan.runs.tasks.base import RunPlan
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
    found = find_checkpoint(run)
    if found is None or position.retreats >= MOST_RETREATS or options.devices > 1:
        raise SaseGanError(_hopeless(event, position, run, plan, options))
    adopt_checkpoint(run, found)
    back = Position(Position.of(found.content["clock"]).images_seen, position.retreats + 1)
    for note in restore(run, plan, back.images_seen, plan.batch_size * options.devices):
        options.report(note)
    sentence = (
        f"training left the finite numbers ({event.what}): back to {back.images_seen:,} images, on with "
        f"{0.1**back.retreats:g} of the learning rates"
    )
    run.add_note(back.images_seen, sentence)
    options.report(f"{event.images_seen:,} images: {sentence}")
    return back


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
