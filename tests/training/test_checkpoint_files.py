"""The files of a run's checkpoints, by themselves: tiny contents in place of a training's."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch

from sase_gan.errors import DataError
from sase_gan.training.checkpoint_files import CheckpointFiles, PlainCheckpointIO


def written(files: CheckpointFiles, number: int) -> None:
    PlainCheckpointIO().save_checkpoint({"number": number, "weights": torch.tensor([number])}, files.writing)


def published(folder: Path, *numbers: int) -> CheckpointFiles:
    files = CheckpointFiles(folder)
    for number in numbers:
        written(files, number)
        files.publish()
    return files


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def found(files: CheckpointFiles) -> tuple[str, int, tuple[str, ...]]:
    one = files.find(lambda content: None)
    assert one is not None
    return one.path.name, one.content["number"], one.notes


def test_the_newest_and_the_one_before_are_kept_with_their_digests(tmp_path: Path) -> None:
    files = published(tmp_path, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.ckpt", "last.sha256"]
    assert found(files) == ("last.ckpt", 1, ())
    files = published(tmp_path, 2, 3, 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.ckpt", "last.sha256", "previous.ckpt"]
    assert found(files) == ("last.ckpt", 4, ())
    assert torch.load(files.previous, weights_only=True) == {"number": 3, "weights": torch.tensor([3])}
    assert (files.writing.name, files.writing.parent) == (".writing.ckpt", tmp_path)
    lines = files.digests.read_text().splitlines()
    assert lines[:2] == [digest(files.last), digest(files.previous)]
    assert len(lines) == 3
    written(files, 4)
    files.publish()  # the same again
    assert files.digests.read_text().splitlines() == lines[:1] + lines[1:2]


def test_no_checkpoint_yet_is_none(tmp_path: Path) -> None:
    files = CheckpointFiles(tmp_path)
    assert files.find(lambda content: None) is None
    written(files, 1)  # cut off before its digest was on record
    assert files.find(lambda content: None) is None


def test_a_damaged_newest_gives_way_to_the_previous_and_is_said(tmp_path: Path) -> None:
    files = published(tmp_path, 1, 2)
    damaged = bytearray(files.last.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    files.last.write_bytes(damaged)
    note = f"{files.last} is damaged: its content is not what was written; going on from previous.ckpt"
    assert found(files) == ("previous.ckpt", 1, (note,))
    one = files.find(lambda content: None)
    assert one is not None
    files.adopt(one)
    assert found(files) == ("last.ckpt", 1, ())
    assert torch.load(files.previous, weights_only=True)["number"] == 1
    assert not (tmp_path / ".previous.ckpt").exists()


def test_a_missing_newest_is_said(tmp_path: Path) -> None:
    files = published(tmp_path, 1, 2)
    files.last.unlink()
    assert found(files) == ("previous.ckpt", 1, (f"{files.last} is missing; going on from previous.ckpt",))


def test_what_was_written_and_not_yet_renamed_is_the_newest_if_it_is_whole(tmp_path: Path) -> None:
    files = published(tmp_path, 1)
    written(files, 2)
    files.digests.write_text(f"{digest(files.writing)}\n{files.digests.read_text()}")
    assert found(files) == ("last.ckpt", 1, ())  # both are whole: the listed newest name goes first
    files.last.unlink()
    (tmp_path / ".previous.ckpt").write_bytes(b"left over")
    one = files.find(lambda content: None)
    assert one is not None
    assert (one.path, one.content["weights"].tolist()) == (files.writing, [2])
    files.adopt(one)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.ckpt", "last.sha256"]
    assert found(files) == ("last.ckpt", 2, ())


def test_half_a_file_under_the_hidden_name_is_nothing_to_speak_of(tmp_path: Path) -> None:
    files = published(tmp_path, 1, 2)
    files.last.unlink()
    files.writing.write_bytes(b"half")
    assert found(files) == ("previous.ckpt", 1, (f"{files.last} is missing; going on from previous.ckpt",))
    one = files.find(lambda content: None)
    assert one is not None
    files.adopt(one)
    assert not files.writing.exists()


def test_digests_of_earlier_versions_and_strange_bytes_are_read(tmp_path: Path) -> None:
    files = published(tmp_path, 1, 2)
    newest, before = files.digests.read_text().split()
    files.digests.write_bytes(newest.encode() + b"\n\xff\xfe\n")
    (tmp_path / "previous.sha256").write_text(before)
    files.last.unlink()
    assert found(files)[:2] == ("previous.ckpt", 1)
    written(files, 3)
    files.publish()
    written(files, 4)
    files.publish()
    assert not (tmp_path / "previous.sha256").exists()


def test_without_digests_a_checkpoint_serves_and_it_is_said(tmp_path: Path) -> None:
    files = published(tmp_path, 1)
    files.digests.unlink()
    note = f"{files.digests} is missing, so last.ckpt could not be checked for damage"
    assert found(files) == ("last.ckpt", 1, (note,))


def test_what_none_can_be_used_of_is_told_one_by_one(tmp_path: Path) -> None:
    files = published(tmp_path, 1, 2)
    torch.save([1], files.last)
    files.previous.write_bytes(b"no zip")
    files.digests.unlink()
    with pytest.raises(DataError) as told:
        files.find(lambda content: None)
    assert str(told.value) == (
        f"{files.last} is no checkpoint of sase_gan: it holds a list; {files.previous} is no checkpoint of sase_gan, "
        "or is damaged: no checkpoint is left to go on from; start the run anew"
    )


def test_what_belongs_to_another_run_is_passed_over(tmp_path: Path) -> None:
    files = published(tmp_path, 1, 2)

    def check(content: dict[str, Any]) -> None:
        if content["number"] == 2:
            raise DataError("of another run")

    one = files.find(check)
    assert one is not None
    assert (one.path, one.notes) == (files.previous, ("of another run; going on from previous.ckpt",))


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    files = CheckpointFiles(tmp_path)
    torch.save({"number": Trap()}, files.last)
    with pytest.raises(DataError, match="no checkpoint of sase_gan, or is damaged"):
        files.find(lambda content: None)
    assert not (tmp_path / "ran").exists()
