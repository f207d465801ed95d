import hashlib
import os
import stat

import pytest

from sase_gan.files import file_digest, write_atomically, write_folder_atomically


def fail_within(writing, name: str, error: type[BaseException]) -> None:
    with writing as temporary:
        (temporary / name if name else temporary).write_text("half")
        raise error


def test_file_appears_whole_under_its_name(tmp_path):
    path = tmp_path / "deep" / "note.txt"
    with write_atomically(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
        assert temporary.parent == path.parent
        assert temporary.suffix == ".txt"
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failed_writing_leaves_the_old_file_and_no_traces(tmp_path, error):
    path = tmp_path / "note.txt"
    path.write_text("old")
    with pytest.raises(error):
        fail_within(write_atomically(path), "", error)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_written_files_and_folders_take_the_users_permissions(tmp_path, mask):
    before = os.umask(mask)
    try:
        with write_atomically(tmp_path / "file") as temporary:
            temporary.write_text("x")
        with write_folder_atomically(tmp_path / "folder") as temporary:
            (temporary / "inner").mkdir()
            (temporary / "inner" / "file").write_text("x")
            (temporary / "inner" / "file").chmod(0o600)
        modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("file", "folder", "folder/inner/file")]
        assert modes == [0o666 & ~mask, 0o777 & ~mask, 0o666 & ~mask]
    finally:
        os.umask(before)


def test_folder_appears_whole_and_replaces_the_old_one(tmp_path):
    path = tmp_path / "deep" / "model"
    for content in ("first", "second"):
        with write_folder_atomically(path) as temporary:
            (temporary / content).write_text(content)
            assert temporary.parent == path.parent
        assert [found.name for found in path.iterdir()] == [content]
    assert list(path.parent.iterdir()) == [path]


def test_failed_folder_leaves_the_old_one_and_no_traces(tmp_path):
    path = tmp_path / "model"
    path.mkdir()
    (path / "old").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        fail_within(write_folder_atomically(path), "half", KeyboardInterrupt)
    assert [found.name for found in path.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [path]


def test_failing_rename_puts_the_old_folder_back(tmp_path, monkeypatch):
    path = tmp_path / "model"
    path.mkdir()
    (path / "old").write_text("old")
    rename = os.replace

    def fails_onto_the_place(source, target):
        if os.fspath(target) == os.fspath(path) and ".old." not in os.fspath(source):
            raise OSError("disk gone")
        rename(source, target)

    monkeypatch.setattr("sase_gan.files.os.replace", fails_onto_the_place)
    with pytest.raises(OSError, match="disk gone"), write_folder_atomically(path) as temporary:
        (temporary / "new").write_text("new")
    assert [found.name for found in path.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [path]


def test_file_digest_is_sha256(tmp_path):
    (tmp_path / "file").write_bytes(b"content" * 100_000)
    assert file_digest(tmp_path / "file") == hashlib.sha256(b"content" * 100_000).hexdigest()
