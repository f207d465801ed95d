"""The checkpoints of a run on disk: at every moment there is a whole one, and what is damaged is never trained on.

`last.ckpt` is the newest, `previous.ckpt` the one before, `last.sha256` lists the digests of both, the newest first.
A checkpoint is written in this order, and whatever ends the program in between, a listed file is there:

1. `.writing.ckpt` is written, kept by the disk, and its digest found;
2. the digest is added to `last.sha256`;
3. `last.ckpt` gets `previous.ckpt` as a second name;
4. `.writing.ckpt` is renamed to `last.ckpt`, in one step.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from sase_gan.errors import DataError
from sase_gan.files import file_digest, write_atomically
from sase_gan.platforms import give_second_name, sync_file, sync_folder


class PlainCheckpointIO(TorchCheckpointIO):
    """Checkpoints are written straight to their place.

    Lightning's own way holds a second copy in memory and goes through the system's temporary folder, which may be
    full, or on another disk, where a rename is a copy that can be cut off.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write the file; through an open one, because the path would otherwise become a part of its content."""
        with open(path, "wb") as file:
            torch.save(checkpoint, file)


@dataclass(frozen=True)
class FoundCheckpoint:
    """A checkpoint that can be gone on from: its place, its content on the CPU, and what must be said about it."""

    path: Path
    content: dict[str, Any]
    notes: tuple[str, ...]


class CheckpointFiles:
    """The checkpoints in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.last, self.previous = folder / "last.ckpt", folder / "previous.ckpt"
        self.writing, self.digests = folder / ".writing.ckpt", folder / "last.sha256"

    def publish(self) -> None:
        """Make the whole file that lies at `writing` the newest checkpoint."""
        sync_file(self.writing)
        known = [file_digest(self.writing), *self._listed()][:3]
        with write_atomically(self.digests) as temporary:
            temporary.write_text("".join(f"{digest}\n" for digest in dict.fromkeys(known)))
        if self.last.exists():
            aside = self.folder / ".previous.ckpt"
            aside.unlink(missing_ok=True)
            give_second_name(self.last, aside)
            os.replace(aside, self.previous)
            (self.folder / "previous.sha256").unlink(missing_ok=True)  # versions before 0.2 wrote one
        os.replace(self.writing, self.last)
        sync_folder(self.folder)

    def _listed(self) -> list[str]:
        """List the digests that are on record; also those in the manner of earlier versions, a file each."""
        lines: list[str] = []
        for path in (self.digests, self.folder / "previous.sha256"):
            if path.is_file():
                lines += path.read_text(encoding="ascii", errors="replace").split()
        return lines

    def find(self, check: Callable[[dict[str, Any]], None]) -> FoundCheckpoint | None:
        """Find the newest checkpoint that is whole; None if none was written yet.

        Args:
            check: raises `DataError` for a content that is not of such a run.

        Raises:
            DataError: if there are checkpoints, and none can be used; the message tells each and why.
        """
        listed, complaints = self._listed(), []
        for path in (self.last, self.writing, self.previous):
            if not path.is_file() or (path == self.writing and not listed):
                continue
            try:
                content = self._read(path, listed)
                check(content)
            except DataError as error:
                # A half file under the hidden name is what an interrupted writing leaves: nothing to speak of.
                complaints += [] if path == self.writing else [str(error)]
                continue
            notes = [f"{complaint}; going on from {path.name}" for complaint in complaints]
            if not self.last.exists():
                notes.append(f"{self.last} is missing; going on from {path.name}")
            if not listed:
                notes.append(f"{self.digests} is missing, so {path.name} could not be checked for damage")
            return FoundCheckpoint(path, content, tuple(notes))
        if complaints:
            raise DataError(f"{'; '.join(complaints)}: no checkpoint is left to go on from; start the run anew")
        return None

    def adopt(self, found: FoundCheckpoint) -> None:
        """Make a checkpoint that was found the newest, and remove what an interrupted writing left."""
        if found.path == self.previous:  # what bears the newest name is damaged; it must not become the previous one
            aside = self.folder / ".previous.ckpt"
            aside.unlink(missing_ok=True)
            give_second_name(self.previous, aside)
            os.replace(aside, self.last)
        elif found.path == self.writing:
            os.replace(self.writing, self.last)
        for path in (self.writing, self.folder / ".previous.ckpt"):
            path.unlink(missing_ok=True)

    def _read(self, path: Path, listed: list[str]) -> dict[str, Any]:
        """Read a checkpoint after its digest was found on record, without unpickling code."""
        try:
            if listed and file_digest(path) not in listed:
                raise DataError(f"{path} is damaged: its content is not what was written")
            content = torch.load(path, map_location="cpu", weights_only=True)
        except DataError:
            raise
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror})") from error
        except Exception as error:  # torch and its zip reader raise whatever comes, with advice that must not be taken
            raise DataError(f"{path} is no checkpoint of sase_gan, or is damaged") from error
        if not isinstance(content, dict):
            raise DataError(f"{path} is no checkpoint of sase_gan: it holds a {type(content).__name__}")
        return content
