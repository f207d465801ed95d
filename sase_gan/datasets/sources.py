"""Pictures on disk as a sorted list: a nested folder, a zip, or one picture file.

Zips follow StyleGAN's convention (any nesting, pictures by suffix), so its data sets can be read as they are.
"""

import io
import os
import re
import threading
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from torch import Tensor

from sase_gan.datasets.depth import find_white
from sase_gan.datasets.listing import (
    OTHER_FILES,
    LeftOut,
    Listing,
    is_regular,
    list_names,
    members_of,
    readable_name,
    walk,
)
from sase_gan.datasets.own_output import output_folder_at
from sase_gan.errors import DataError, UsageError
from sase_gan.files import check_pictures_exist
from sase_gan.formats import HEIC_PACKAGE, READ_KINDS, needs_package, suffixes
from sase_gan.pixels import WHITE, Colour, Picture, decode_picture, open_regular, to_tensor

MAX_MEMBER_BYTES = 512 * 2**20
"""A zip member that unpacks to more is refused; the number of pixels is limited by `pixels.MAX_PIXELS` besides."""


class ImageSource:
    """Picture files of a folder are listed, sorted, and decoded one at a time on request; several threads may read.

    Attributes:
        path: of the folder, zip or picture.
        names: posix paths below it, in an order that is the same on every computer; control signs and bytes that are
            no UTF-8 are replaced in them.
        left_out: the other files that lie there, by kind; hidden files and `__MACOSX` are not mentioned.
        broken: a sentence about each folder that could not be looked into.
        snapshots: how many of the pictures were drawn by which snapshot, by its hash.
        background: the colour behind transparent pixels.
    """

    def __init__(self, path: Path, listing: Listing, background: Colour = WHITE) -> None:
        self.path, self.background = path, background
        self._places, self.names = tuple(listing.places), tuple(listing.names)
        self.left_out, self.broken, self.snapshots = listing.left_out(), tuple(listing.broken), listing.snapshots
        self._white: int | None = None
        self._lock = threading.Lock()
        if not self.names:
            raise DataError(_nothing(path, self.left_out, self.broken))

    def __len__(self) -> int:
        return len(self.names)

    def __getstate__(self) -> dict[str, Any]:
        """Tell what goes to another process; a lock and an open file cannot."""
        return {name: value for name, value in vars(self).items() if name not in ("_lock", "_opened")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take it, in another process."""
        vars(self).update(state, _lock=threading.Lock())

    @property
    def ignored(self) -> tuple[str, ...]:
        """Names of the files that are no pictures by their suffix."""
        return next((kind.names for kind in self.left_out if kind.why == OTHER_FILES), ())

    def white(self) -> int:
        """Find the value that is white in the set's pictures of 16 bits, see `datasets.depth`; once."""
        with self._lock:
            if self._white is None:
                self._white = find_white(len(self), self.names, self.open)
            return self._white

    def path_of(self, index: int) -> Path:
        """Tell where the file of picture `index` is, of a folder or a single file."""
        return self.path / self._places[index]

    def open(self, index: int) -> BinaryIO:
        """Open the bytes of picture `index`.

        Raises:
            DataError: the file is empty, or no regular file any more.
        """
        return open_regular(self.path_of(index))

    def beside(self, name: str, largest: int) -> bytes | None:
        """Read a file that lies at the top, beside the pictures; None where there is none.

        Raises:
            DataError: it has more than `largest` bytes, or cannot be read.
        """
        path = self.path / name
        try:
            if not is_regular(path):
                return None
            size = path.stat().st_size
            if size <= largest:
                return path.read_bytes()
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}); check its permissions") from error
        raise DataError(f"{path} has {size:,} bytes; at most {largest:,} are read")

    def decode(self, index: int, *, at_least: int | None = None, fine: bool = False) -> Picture:
        """Decode picture `index` and tell what its file was like; `at_least`, `fine` as in `pixels.decode_picture`.

        Raises:
            DataError: the file is missing, broken, of another kind or too large.
        """
        place = self.path.name  # empty for a picture in the working folder
        name = f"{place}: {self.names[index]}" if place else self.names[index]
        white = self.white()
        try:
            with self.open(index) as file:
                how: dict[str, Any] = {"at_least": at_least, "white": white, "name": name, "fine": fine}
                return decode_picture(file, background=self.background, **how)
        except DataError:
            raise
        # Opening fails by OSError; unpacking a damaged or encrypted member by zipfile's, zlib's ...
        except Exception as error:
            raise DataError(f"{name} cannot be read ({error}); check its permissions, replace or remove it") from error

    def read(self, index: int) -> Tensor:
        """Read picture `index` as uint8 [3, H, W].

        Raises:
            DataError: as `decode`.
        """
        return to_tensor(self.decode(index).rgb)


class ZipSource(ImageSource):
    """A zip file gives the pictures in it; nothing is unpacked to disk.

    Raises:
        DataError: no zip, a member with an absolute path or `..`, or one that unpacks to more than `MAX_MEMBER_BYTES`.
    """

    _opened: tuple[int, zipfile.ZipFile] | None = None

    def __init__(self, path: Path, background: Colour = WHITE, *, drawn: bool = False) -> None:
        self.path = path
        try:
            members = self._zip.infolist()
        # A damaged directory is answered with nearly any kind of exception, names that are no UTF-8 among them.
        except Exception as error:
            raise DataError(f"{path} is not a readable zip file ({error}); make it anew or give the folder") from error
        for member in members:
            name = PurePosixPath(member.filename.replace("\\", "/"))
            if name.is_absolute() or ".." in name.parts or re.match("[A-Za-z]:/", str(name)):
                raise DataError(
                    f"{path} has a member named {member.filename!r}; names must be relative, without '..': make the "
                    "zip anew"
                )
            if member.file_size > MAX_MEMBER_BYTES:
                raise DataError(_too_large(path, member.filename))
        listing = list_names(members_of(self._zip), self._open, Listing(), drawn=drawn)
        super().__init__(path, listing, background)

    @property
    def _zip(self) -> zipfile.ZipFile:
        """The archive as this process opened it: of a file that is open in several, each moves the others' place."""
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = os.getpid(), zipfile.ZipFile(self.path)
        return self._opened[1]

    def open(self, index: int) -> BinaryIO:
        """Unpack the bytes of picture `index` in memory.

        Raises:
            DataError: it unpacks to more than `MAX_MEMBER_BYTES`.
        """
        with self._open(self._places[index]) as member:
            # The header may lie about the size; the limit holds for what is really read.
            content = member.read(MAX_MEMBER_BYTES + 1)
        if len(content) > MAX_MEMBER_BYTES:
            raise DataError(_too_large(self.path, self.names[index]))
        return io.BytesIO(content)

    def beside(self, name: str, largest: int) -> bytes | None:
        """Read a file at the top of the zip, as `ImageSource.beside`.

        Raises:
            DataError: as there.
        """
        if name not in self._zip.namelist():
            return None
        try:
            with self._open(name) as member:
                content = member.read(largest + 1)
        except Exception as error:  # zipfile's, zlib's ...
            raise DataError(f"{self.path}: {name} cannot be read ({error}); make the zip anew") from error
        if len(content) > largest:
            raise DataError(f"{self.path}: {name} unpacks to more than {largest:,} bytes, which is no list of labels")
        return content

    def _open(self, place: str) -> BinaryIO:
        return self._zip.open(place)  # type: ignore[return-value]


def open_images(path: Path | str, *, background: Colour = WHITE, drawn: bool = False) -> ImageSource:
    """List the pictures of a folder (nested), a zip, or a single picture file.

    What this program wrote is never a picture to learn from: runs, snapshots, evaluations and sheets are left out, and
    so are drawn pictures, unless `drawn` asks for them. A single file is taken as what it is.

    Raises:
        DataError: nothing is there, no picture is in it, or the file is neither a zip nor a picture.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        if kind := output_folder_at(path):
            raise DataError(
                f"{path} was written by sase-gan ({kind}) and is no set of pictures; give the pictures' folder"
            )
        listing = Listing()
        places = list(walk(path, listing))
        return ImageSource(
            path,
            list_names(
                places,
                lambda place: open_regular(path / place),
                listing,
                drawn=drawn,
                regular=lambda place: is_regular(path / place),
            ),
            background,
        )
    check_pictures_exist(path)
    if not is_regular(path):
        raise DataError(f"{path} is no regular file but a pipe or a device; give a folder, a zip or a picture")
    if path.suffix.lower() == ".zip":
        return ZipSource(path, background, drawn=drawn)
    if path.suffix.lower() in suffixes():
        return ImageSource(path.parent, Listing([path.name], [readable_name(path.name)]), background)
    raise DataError(f"{path} is no folder, .zip or picture ({READ_KINDS} are read){_advice(path)}; check the path")


def _nothing(path: Path, left_out: tuple[LeftOut, ...], broken: tuple[str, ...]) -> str:
    """Say that a set holds no picture, and what it holds instead."""
    if broken:
        return f"{path} holds no picture that can be read: {broken[0]}"
    kinds = "; ".join(f"{len(kind.names)} {kind.why}, such as {kind.names[0]}" for kind in left_out)
    return f"{path} holds no picture{f', only other files ({kinds})' if kinds else ''}; {READ_KINDS} are read"


def _advice(path: Path) -> str:
    return f"; {HEIC_PACKAGE} brings HEIC" if needs_package(path.suffix.lower()) else ""


def _too_large(path: Path, name: str) -> str:
    return f"{path}: {name} unpacks to more than {MAX_MEMBER_BYTES // 2**20} MiB; scale the picture down first"


_CHECKOUT = Path(__file__).resolve().parents[2]
_PACKAGED = Path(__file__).resolve().parents[1] / "bundled"
"""What of the checkout's `data` an installed package carries: pyproject.toml says what."""


def bundled_data(name: str) -> Path:
    """Find the folder of a bundled set, such as "emoji-faces", in the checkout or in the installed package.

    Raises:
        DataError: there is no such set, or none that an installed package carries.
        UsageError: a path instead of a name.
    """
    if Path(name).name != name:
        raise UsageError(f"{name!r} was given as a bundled set; a plain name such as 'emoji-faces' is required")
    place = _bundled_place()
    if place is None:
        raise DataError(
            f"the bundled set {name!r} comes with the repository or the installed package, and neither is whole here; "
            "install anew or give the path of your own pictures"
        )
    if not (place / name).is_dir():
        known = ", ".join(entry.name for entry in bundled_sets())
        raise DataError(f"there is no bundled set {name!r}; the bundled sets are {known}")
    return place / name


def bundled_sets() -> list[Path]:
    """List the folders of the bundled sets of pictures, sorted by name."""
    place = _bundled_place()
    return [] if place is None else sorted(entry for entry in place.iterdir() if any(entry.glob("*.png")))


def _bundled_place() -> Path | None:
    checkout = _CHECKOUT / "data"
    if (_CHECKOUT / "pyproject.toml").is_file() and checkout.is_dir():
        return checkout
    return _PACKAGED if _PACKAGED.is_dir() else None
