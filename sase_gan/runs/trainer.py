"""Lightning's trainer as runs and their costs use it."""

import os
from collections.abc import Sequence

from lightning import Callback, Trainer
from lightning.pytorch.loggers import Logger

from sase_gan.errors import UsageError
from sase_gan.hardware import Hardware
from sase_gan.training.checkpoint_files import PlainCheckpointIO
from sase_gan.training.quiet import quiet_lightning


def make_trainer(
    callbacks: list[Callback], hardware: Hardware, *, devices: int = 1, loggers: Sequence[Logger] = ()
) -> Trainer:
    """Make Lightning's trainer with its own counting, saving and logging turned off: the clock is images seen.

    Raises:
        UsageError: for fewer than one device.
    """
    if devices < 1:
        raise UsageError(f"devices is {devices}; it must be at least 1")
    if devices > 1:
        # Lightning gives each process an equal part of all processors unless this says otherwise.
        os.environ.setdefault("OMP_NUM_THREADS", str(hardware.threads))
    with quiet_lightning():
        return Trainer(
            accelerator=hardware.kind,
            devices=devices,
            # In a GAN's step each player uses a part of the parameters.
            strategy="ddp_find_unused_parameters_true" if devices > 1 else "auto",
            precision=hardware.precision,  # type: ignore[arg-type]
            max_epochs=-1,
            logger=list(loggers) or False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=callbacks,
            plugins=[PlainCheckpointIO()],
        )
