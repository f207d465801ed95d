"""Many pictures lie in a mapped file, few in memory; what is read from them is the same."""

import dataclasses
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from sase_gan.datasets import room as place
from sase_gan.datasets.images import load_image_set
from sase_gan.datasets.room import Room
from sase_gan.errors import DataError
from sase_gan.pixels import write_png

MAPS = pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system reserves no place for a file")


@pytest.fixture
def everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "MAPPED_FROM", 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (7, 3, 24, 20), np.uint8))
    for index, image in enumerate(pixels):
        write_png(tmp_path / "set" / f"{index}.png", image)
    return tmp_path / "set"


def test_few_pictures_lie_in_memory():
    few = Room((5, 3, 64, 64))
    assert not few.is_mapped
    few.let_go()


@MAPS
def test_pictures_that_are_let_go_are_there_again_and_the_file_is_nameless(tmp_path, monkeypatch, everything_is_large):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    room = Room((5, 3, 64, 64))
    assert room.is_mapped
    assert list(tmp_path.iterdir()) == []
    written = torch.randint(0, 256, (5, 3, 64, 64), dtype=torch.uint8)
    room.images.copy_(written)
    room.let_go()
    images = room.images[1:]
    del room
    assert torch.equal(images, written[1:])


@MAPS
def test_a_mapped_set_is_the_same_set(folder: Path, monkeypatch: pytest.MonkeyPatch):
    in_memory = load_image_set(folder, image_size=16)
    monkeypatch.setattr(place, "MAPPED_FROM", 1)
    monkeypatch.setattr("sase_gan.datasets.images._BLOCK", 2)
    mapped = load_image_set(folder, image_size=16)
    assert torch.equal(mapped.images, in_memory.images)
    # Field by field: from Python 3.13 on, == of the whole compares the pictures too, number by number.
    others = [field.name for field in dataclasses.fields(mapped) if field.name != "images"]
    assert len(others) > 3
    assert all(getattr(mapped, name) == getattr(in_memory, name) for name in others)
    assert torch.equal(mapped.subset([3, 0]).images, in_memory.images[[3, 0]])


@MAPS
def test_a_full_disk_is_told_before_pictures_are_read(folder: Path, monkeypatch, everything_is_large):
    def full(*unused: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DataError, match=r"find no room in .* name another folder by TMPDIR"):
        load_image_set(folder, image_size=16)
