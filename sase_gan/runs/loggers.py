"""Further loggers of a run besides metrics.csv; what they write lies in the run folder too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sase_gan.errors import UsageError
from sase_gan.runs.folder import RunFolder

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger


def make_loggers(name: str | None, run: RunFolder) -> tuple[Logger, ...]:
    """Make the logger of that name, `tensorboard` or `wandb`; None gives none. Nothing is written before a run begins.

    Weights & Biases writes offline, into `wandb/` of the run folder; `wandb sync` uploads it.

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
        raise UsageError(f"{name} is not installed; run: pip install 'sase_gan[logging]'") from error
