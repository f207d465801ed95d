"""The C library's memory within a training or a drawing: blocks that one step frees are kept for the next."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

# malloc.h of the GNU C library.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_KEPT = 2**30

_lock = Lock()
_blocks = 0
"""So many blocks are under way, in all threads: the first changes the library, the last changes it back."""


@contextmanager
def freed_memory_kept() -> Iterator[bool]:
    """Keep what is freed within the block for what is allocated next, and give it back to the system at the end.

    By default the GNU C library asks the system for every block of more than 32 MiB anew, and the system hands it over
    page by page, zeroed: at 256 px that takes five times as long as adding two maps. Yields whether anything was
    changed: not for another C library, and not where the user has set `MALLOC_...` variables. Blocks may lie within
    each other, and in several threads. Only what the main thread allocates is kept: the library gives other threads,
    and the main thread after it once ran out of memory, arenas that hold no block of more than 32 MiB.
    """
    global _blocks
    library = _settable_library()
    if library is None:
        yield False
        return
    with _lock:
        _blocks += 1
        if _blocks == 1:
            library.mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT)
            library.mallopt(_TRIM_THRESHOLD, -1)  # never
    try:
        yield True
    finally:
        with _lock:
            _blocks -= 1
            if not _blocks:
                library.mallopt(_MMAP_THRESHOLD, 2**25)  # where its own rule ends up with blocks of that size
                library.mallopt(_TRIM_THRESHOLD, 2**26)
                library.malloc_trim(0)


def _settable_library() -> ctypes.CDLL | None:
    if platform.libc_ver()[0] != "glibc" or any(name.startswith("MALLOC_") for name in os.environ):
        return None
    return ctypes.CDLL(None)
