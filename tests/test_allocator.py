import os
import platform
import resource

import pytest
import torch

from sase_gan.allocator import freed_memory_kept

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or any(name.startswith("MALLOC_") for name in os.environ),
    reason="only the GNU C library, with settings of its own, is changed",
)


def pages_handed_over() -> int:
    """Count the pages that the system hands over while a block of 64 MiB is filled."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.zeros(2**24)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def pages_once_settled() -> int:
    """Count them when the C library has found a place for the block, which takes it a few times."""
    return min(pages_handed_over() for _ in range(8))


def test_a_block_that_was_freed_is_used_again_within_and_given_back_afterwards():
    with freed_memory_kept() as changed:
        assert changed
        assert pages_once_settled() < 100
    assert pages_once_settled() > 1000


def test_a_block_within_another_gives_nothing_back():
    with freed_memory_kept():
        with freed_memory_kept():
            pass
        assert pages_once_settled() < 100
    assert pages_once_settled() > 1000


def test_settings_of_the_user_stay(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    with freed_memory_kept() as changed:
        assert not changed


def test_other_c_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    with freed_memory_kept() as changed:
        assert not changed
