import os
import platform
import subprocess
import sys

import pytest

from sase_gan.allocator import freed_memory_kept

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or any(name.startswith("MALLOC_") for name in os.environ),
    reason="only the GNU C library, with settings of its own, is changed",
)

PAGES = """
import ctypes, resource
from sase_gan.allocator import freed_memory_kept

library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p

def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = ctypes.c_void_p(library.malloc(ctypes.c_size_t(2**26)))
    ctypes.memset(block, 1, 2**26)
    library.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
"""


def pages_printed(script: str) -> list[int]:
    """Run lines that print how many pages the system handed over while a block of 64 MiB was filled.

    In a process of its own: a test that once asked for more memory than there is leaves this process's main thread
    with another arena of the C library, whose blocks of that size are never kept.
    """
    done = subprocess.run([sys.executable, "-c", PAGES + script], capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


def test_a_block_that_was_freed_is_used_again_within_and_given_back_afterwards():
    script = """
with freed_memory_kept() as changed:
    assert changed
    print(pages(), pages(), pages())
print(pages())
"""
    first, second, third, afterwards = pages_printed(script)
    assert first > 10_000
    assert second < 100
    assert third < 100
    assert afterwards > 10_000


def test_a_block_within_another_gives_nothing_back():
    script = """
with freed_memory_kept():
    pages()
    with freed_memory_kept():
        pass
    print(pages())
print(pages())
"""
    within, afterwards = pages_printed(script)
    assert within < 100
    assert afterwards > 10_000


def test_settings_of_the_user_stay(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    with freed_memory_kept() as changed:
        assert not changed


def test_other_c_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    with freed_memory_kept() as changed:
        assert not changed
