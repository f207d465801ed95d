"""The places that results go to: tried before the work, and what a system says about them in one sentence.

Room for what will be written cannot be foretold here; what a full disk interrupts is told by the same sentence.
"""

import errno
import os
import tempfile
from pathlib import Path

from sase_gan.errors import PlaceError

_ADVICE = {
    errno.ENOSPC: "the disk is full; free some space or choose another place",
    errno.EDQUOT: "your share of the disk is used up; free some space or choose another place",
    errno.EACCES: "permission is denied; choose another place or change its permissions",
    errno.EPERM: "permission is denied; choose another place or change its permissions",
    errno.EROFS: "the disk is read-only; choose another place",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another place",
    errno.EEXIST: "there is a file of that name where a folder is needed; choose another place",
    errno.EISDIR: "there is a folder of that name where a file is needed; choose another name",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.EFBIG: "the file system takes no file of that size; choose another place",
    errno.EMFILE: "too many files are open; close other programs or raise the limit (ulimit -n)",
    errno.EIO: "the disk answers with errors; check it",
}


def place_error(error: OSError) -> PlaceError | None:
    """Word what went wrong with a place as our own error; None for what is no matter of places."""
    advice = _ADVICE.get(error.errno or 0)
    if advice is None:
        return None
    # A temporary name says nothing to anybody: its folder is the place.
    name = Path(str(error.filename)) if error.filename else None
    if name is not None and name.name.startswith("."):
        name = name.parent
    return PlaceError(f"{name or 'the place of the results'} cannot be used: {advice}")


def try_folder(path: Path | str) -> None:
    """Try whether files can be written into a folder that may not exist yet; nothing stays behind.

    Raises:
        PlaceError: if they cannot.
    """
    path = Path(path).expanduser()
    existing = next(folder for folder in (path, *path.absolute().parents) if os.path.lexists(folder))
    try:
        if not existing.is_dir():
            raise NotADirectoryError(errno.ENOTDIR if existing != path else errno.EEXIST, "", str(existing))
        with tempfile.NamedTemporaryFile(prefix=".sase-gan-", dir=existing) as file:
            # A full disk often still takes a name, and no content.
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        error.filename = error.filename or str(existing)  # a full disk names no file
        raise place_error(error) or PlaceError(f"{path} cannot be written ({error}); choose another place") from error


def try_file(path: Path | str) -> None:
    """Try whether a file can be written at a path, replacing one that is there; nothing stays behind.

    Raises:
        PlaceError: if it cannot.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        raise PlaceError(f"{path} cannot be used: {_ADVICE[errno.EISDIR]}")
    try_folder(path.parent)
