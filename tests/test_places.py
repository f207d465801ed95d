"""Places of results: tried before the work, and told in one sentence with an exit code of their own."""

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from sase_gan.errors import PlaceError
from sase_gan.places import place_error, try_file, try_folder


def test_a_place_that_takes_files_is_left_as_it_was(tmp_path: Path) -> None:
    try_folder(tmp_path)
    try_folder(tmp_path / "new" / "folder")
    try_file(tmp_path / "new" / "file.png")
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_folder_is_needed_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(PlaceError, match=r"taken cannot be used: there is a file of that name where a folder"):
        try_folder(tmp_path / "taken")
    with pytest.raises(PlaceError, match=r"taken cannot be used: a part of the path is a file"):
        try_folder(tmp_path / "taken" / "below" / "it")
    with pytest.raises(PlaceError, match="there is a folder of that name where a file is needed"):
        try_file(tmp_path)
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.mark.parametrize(
    ("number", "word"),
    [(errno.ENOSPC, "disk is full"), (errno.EACCES, "permission is denied"), (errno.EROFS, "read-only")],
)
def test_what_the_system_says_becomes_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, word: str
) -> None:
    def refuse(*arguments: object, **more: object) -> None:
        raise OSError(number, os.strerror(number), str(tmp_path / ".sase-gan-x"))

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refuse)
    with pytest.raises(PlaceError, match=word) as caught:
        try_folder(tmp_path / "out")
    assert caught.value.exit_code == 5
    assert ".sase-gan" not in str(caught.value)  # the place, not a temporary name


def test_other_errors_are_no_matter_of_places() -> None:
    assert place_error(OSError(errno.ECHILD, "No child processes")) is None
    assert place_error(OSError("no number")) is None


@pytest.mark.parametrize(
    "command",
    [
        ["data", "prepare", "set", "taken/x.zip", "--image-size", "16"],
        ["data", "preview", "set", "--out", "taken/x.png"],
        ["train", "set", "--preset", "instant", "--out", "taken/run"],
        ["evaluate", "set", "--real", "set", "--out", "taken"],
        ["classify", "train", "set", "--out", "taken"],
        ["detect", "train", "set", "--out", "taken/x"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
@pytest.mark.slow
def test_commands_say_it_in_one_sentence(tmp_path: Path, command: list[str]) -> None:
    from tests.zoo import picture

    (tmp_path / "set").mkdir()
    for index in range(4):
        picture(index).save(tmp_path / "set" / f"{index}.png")
    (tmp_path / "taken").write_text("mine")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    result = subprocess.run(
        [sys.executable, "-m", "sase_gan", *command], cwd=tmp_path, capture_output=True, text=True, env=environment
    )
    assert result.returncode == 5, result.stderr
    assert "Traceback" not in result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("sase-gan: ")
    assert "taken" in last
    assert (tmp_path / "taken").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set", "taken"]
