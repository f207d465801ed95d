"""Room on the disk: told before a run, and before each of its large files."""

import shutil
from pathlib import Path
from typing import Any

from sase_gan.errors import SaseGanError
from sase_gan.runs.folder import RunFolder

COPIES_OF_STATE = 3
"""Checkpoints that lie beside each other while one is written."""
SPARE = 16 * 2**20
"""Bytes that are left for pictures and small files."""


def check_room(run: RunFolder, needed: int, saved: str = "nothing was begun") -> None:
    """Refuse to write so many bytes into a run's folder, or where it will be, if the disk has no room for them.

    Args:
        saved: what is safe already, for the message.

    Raises:
        SaseGanError: with what is free and what is needed.
    """
    place = next(path for path in (run.path, *run.path.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free
    if free < needed + SPARE:
        raise SaseGanError(
            f"the disk of {place} has {free / 2**20:,.0f} MB free, and {(needed + SPARE) / 2**20:,.0f} MB are needed; "
            f"make room: {saved}"
        )


def size_of_state(module: Any) -> int:
    """Estimate the bytes of a checkpoint: weights and averages, and Adam's two moments of what is learnt."""
    weights = sum(value.numel() * value.element_size() for value in module.state_dict().values())
    learnt = sum(one.numel() * one.element_size() for one in module.parameters() if one.requires_grad)
    return int(weights + 2 * learnt)


def disk_error(run: RunFolder, error: OSError) -> SaseGanError:
    """Make one sentence of what a disk did while a run trained."""
    where = Path(error.filename) if error.filename else run.path
    return SaseGanError(f"{where} cannot be written or read ({error.strerror or error}); {words_of_safety(run)}")


def words_of_safety(run: RunFolder) -> str:
    """Say what is safe, and how it goes on."""
    return f"what was checkpointed is safe, and goes on with: sase-gan train --resume {run.path}"
