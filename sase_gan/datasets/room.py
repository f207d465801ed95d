"""Room for the pictures of a set: in memory, or where they are many in a file that the system maps and may let go."""

from __future__ import annotations

import math
import mmap
import os
import tempfile
from collections.abc import Sequence

import torch
from torch import Tensor

from sase_gan.errors import DataError

MAPPED_FROM = 2**28
"""Bytes of pictures from which on they lie in a file: 21,846 pictures of 64 px, 1,366 of 256 px."""


class Room:
    """Room holds pictures of one size that are written once and read often.

    From `MAPPED_FROM` bytes on it is a nameless file in the system's folder for temporary files (`TMPDIR`), mapped into
    memory: its pages count as the process's while they are in use, and the system takes them back when it needs them
    or is told to. It is gone with the last tensor that lies in it. Systems that cannot reserve a file's place take
    memory.

    Args:
        shape: of the pictures; kind: uint8, or int16.

    Raises:
        DataError: no room for the file.
    """

    def __init__(self, shape: Sequence[int], kind: torch.dtype = torch.uint8) -> None:
        size = math.prod(shape) * kind.itemsize
        self._map: mmap.mmap | None = None
        if size < MAPPED_FROM or not (hasattr(os, "posix_fallocate") and hasattr(mmap, "MADV_DONTNEED")):
            self.images: Tensor = torch.empty(*shape, dtype=kind)
            return
        try:
            with tempfile.TemporaryFile() as file:
                # Reserved: a page for which there is no room later would end the process without a word.
                os.posix_fallocate(file.fileno(), 0, size)
                self._map = mmap.mmap(file.fileno(), size)
        except OSError as error:
            raise DataError(
                f"{size / 1e9:.1f} GB of pictures find no room in {tempfile.gettempdir()} ({error.strerror}); free "
                "some there, or name another folder by TMPDIR"
            ) from error
        self.images = torch.frombuffer(self._map, dtype=kind).view(*shape)

    @property
    def is_mapped(self) -> bool:
        """Tell whether the pictures lie in a file."""
        return self._map is not None

    def let_go(self) -> None:
        """Let the system take back the pages of a mapped file that were used so far; what was written stays."""
        if self._map is not None:
            self._map.madvise(mmap.MADV_DONTNEED)
