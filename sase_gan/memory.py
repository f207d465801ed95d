"""Memory that ran out: how it is recognised, and the sentence about it. Free of torch, so every command can tell."""

from __future__ import annotations

import traceback

from sase_gan.errors import SaseGanError

_SAID = ("out of memory", "DefaultCPUAllocator: can't allocate", "DefaultCPUAllocator: not enough", "ALLOC_FAILED")
"""What torch's allocators say in errors that have no type of their own: of GPUs, the CPU, and libraries on top."""


def out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that the memory of the device or of the machine does not suffice.

    Example:
        >>> [out_of_memory(error) for error in (MemoryError(), RuntimeError("MPS backend out of memory"), OSError(12))]
        [True, True, False]
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _SAID)


def within(error: BaseException, function: str) -> bool:
    """Tell whether an error came out of a function of that name."""
    return any(frame.f_code.co_name == function for frame, _ in traceback.walk_tb(error.__traceback__))


def memory_error(what: str, advice: str) -> SaseGanError:
    """Make the sentence: what needed more memory than there is, and what needs less."""
    return SaseGanError(f"the memory does not suffice for {what}; close other programs, or {advice}")
