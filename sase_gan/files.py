"""Files: telling that one is missing, naming one by its content, writing so that no reader meets half of one."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sase_gan.errors import DataError
from sase_gan.platforms import sync_file, sync_folder


def check_pictures_exist(path: Path) -> None:
    """Refuse a place where there is nothing; here, and not where pictures are read, because that imports torch.

    Raises:
        DataError: if there is neither file nor folder.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist; give a folder of pictures, a zip of pictures, or one picture")


def file_digest(path: Path | str) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def write_atomically(path: Path | str, *, synced: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends without an error.

    With `synced` the disk keeps the content before the name, so that not even a power cut leaves half a file under it;
    without, a file that is easily made again is written some milliseconds faster. The parent folder is made when
    missing. On an error the temporary file is removed and `path` is left as it was.
    The suffix is kept, because some writers choose their format by it.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with write_atomically(folder / "note.txt") as temporary:
        ...     _ = temporary.write_text("whole")
        >>> (folder / "note.txt").read_text()
        'whole'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _publish(temporary, synced=synced)
        os.replace(temporary, path)
        if synced:
            sync_folder(path.parent)
    except BaseException as error:
        with suppress(FileNotFoundError):
            temporary.unlink()
        _name_place(error, path)
        raise


@contextmanager
def write_folder_atomically(path: Path | str) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; when the block succeeds it becomes `path`, replacing what was there."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield temporary
        _publish(temporary)
        if path.exists():
            # A folder cannot be replaced in one step: the old one is moved aside first, so either is always whole.
            aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent))
            os.replace(path, aside / path.name)
            try:
                os.replace(temporary, path)
            except BaseException:
                os.replace(aside / path.name, path)
                aside.rmdir()
                raise
            shutil.rmtree(aside)
        else:
            os.replace(temporary, path)
        sync_folder(path.parent)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        _name_place(error, path)
        raise


def _name_place(error: BaseException, path: Path) -> None:
    """Have an error of a full disk name what was written: systems name no file where an open one cannot grow."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT) and error.filename is None:
        error.filename = str(path)


def _publish(path: Path, *, synced: bool = True) -> None:
    """Give a file, or a folder and all in it, the user's permissions, as temporary ones are private; have them kept."""
    mask = os.umask(0)
    os.umask(mask)
    for found in (path, *path.rglob("*")) if path.is_dir() else (path,):
        if synced and found.is_file():
            sync_file(found)
        found.chmod((0o777 if found.is_dir() else 0o666) & ~mask)


def write_json(path: Path, content: Mapping[str, Any]) -> Path:
    """Write a record, or a table of records, as JSON; NaN is refused."""
    with write_atomically(path) as temporary:
        text = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    return path
