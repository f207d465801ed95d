"""When a run writes a checkpoint, and which one it goes on from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightning import Callback, Trainer

from sase_gan.errors import DataError
from sase_gan.runs.due import is_due
from sase_gan.runs.folder import RunFolder
from sase_gan.training.checkpoint_files import CheckpointFiles, FoundCheckpoint
from sase_gan.training.soundness import check_sound


class Checkpoints(Callback):
    """Write a checkpoint at the start, every interval and at the end; never one that is not finite.

    Args:
        before: called before each writing, with the bytes of the last one: to see whether there is room.
    """

    def __init__(self, run: RunFolder, interval: int, before: Callable[[int], None] = lambda size: None) -> None:
        self.files, self.interval, self.before = CheckpointFiles(run.checkpoint.parent), interval, before
        self._saved_at = -1

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Save the start, so that whatever happens there is a place to go on from, or back to."""
        self._saved_at = module.images_seen
        if not self.files.last.exists():
            self._save(trainer, module)

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Save when due."""
        if is_due(module, trainer, batch, self.interval):
            self._save(trainer, module)

    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        """Save the end, or the place where the run was stopped: before anything that is only published there.

        What a run learns from is one epoch without end.
        """
        if self._saved_at != module.images_seen:
            self._save(trainer, module)

    def _save(self, trainer: Trainer, module: Any) -> None:
        check_sound(module)
        if trainer.is_global_zero:
            self.before(self.files.last.stat().st_size if self.files.last.exists() else 0)
        trainer.save_checkpoint(self.files.writing)
        if trainer.is_global_zero:
            self.files.publish()
        self._saved_at = module.images_seen


def find_checkpoint(run: RunFolder) -> FoundCheckpoint | None:
    """Find the newest whole checkpoint of a run; None if it has none yet.

    Raises:
        DataError: if it has some, and none can be used.
    """
    return CheckpointFiles(run.checkpoint.parent).find(_check_clock)


def adopt_checkpoint(run: RunFolder, found: FoundCheckpoint) -> None:
    """Let the run go on from a checkpoint that was found: it becomes the newest."""
    CheckpointFiles(run.checkpoint.parent).adopt(found)


def _check_clock(content: dict[str, Any]) -> None:
    clock = content.get("clock")
    clock = clock if isinstance(clock, dict) else {}
    if not all(type(number) is int and number >= 0 for number in (clock.get("images_seen"), clock.get("steps"))):
        raise DataError("the checkpoint has no clock of images seen; it is not one of a sase_gan run")
    if not isinstance(clock.get("data_digest"), str):
        raise DataError("the checkpoint does not name its training pictures; it is not one of a sase_gan run")
