"""Pictures on disk as a sorted list: a nested folder, a zip, or one picture file.

Zips follow StyleGAN's convention (any nesting, pictures by suffix), so its data sets can be read as they are.
"""

import io
import os
import unicodedata
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from torch import Tensor

from sase_gan.errors import DataError, UsageError
from sase_gan.files import check_pictures_exist
from sase_gan.pixels import Picture, decode_picture, to_tensor

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"})

MAX_MEMBER_BYTES = 512 * 2**20
"""A zip member that unpacks to more is refused; the number of pixels is limited by `pixels.MAX_PIXELS` besides."""


class ImageSource:
    """Picture files of a folder are listed, sorted, and decoded one at a time on request; several threads may read.

    Attributes:
        path: of the folder, zip or picture.
        names: posix paths below it, in an order that is the same on every computer.
        ignored: names of the other files that lie there; hidden files and `__MACOSX` are not mentioned.
    """

    def __init__(self, path: Path, names: Iterable[str]) -> None:
        visible = sorted((name for name in names if not _hidden(name)), key=_sort_key)
        self.path = path
        self.names = tuple(name for name in visible if _is_picture(name))
        self.ignored = tuple(name for name in visible if not _is_picture(name))
        if not self.names:
            other = f", only {len(self.ignored)} other files such as {self.ignored[0]}" if self.ignored else ""
            raise DataError(f"{path} holds no picture{other}; PNG, JPEG, WebP, BMP, TIFF and GIF files are required")

    def __len__(self) -> int:
        return len(self.names)

    def open(self, index: int) -> BinaryIO:
        """Open the bytes of picture `index`."""
        return (self.path / self.names[index]).open("rb")

    def decode(self, index: int, *, at_least: int | None = None) -> Picture:
        """Decode picture `index` and tell what its file was like; `at_least` as in `pixels.decode_picture`.

        Raises:
            DataError: the file is missing, broken, of another kind or too large.
        """
        place = self.path.name  # empty for a picture in the working folder
        name = f"{place}: {self.names[index]}" if place else self.names[index]
        try:
            with self.open(index) as file:
                return decode_picture(file, at_least=at_least, name=name)
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

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError) as error:
            raise DataError(f"{path} is not a readable zip file ({error}); make it anew or give the folder") from error
        members = [member for member in self._zip.infolist() if not member.is_dir()]
        for member in members:
            name = PurePosixPath(member.filename.replace("\\", "/"))
            if name.is_absolute() or ".." in name.parts or ":" in name.parts[0]:
                raise DataError(
                    f"{path} has a member named {member.filename!r}; names must be relative, without '..': make the "
                    "zip anew"
                )
            if member.file_size > MAX_MEMBER_BYTES:
                raise DataError(_too_large(path, member.filename))
        super().__init__(path, (member.filename for member in members))

    def open(self, index: int) -> BinaryIO:
        """Unpack the bytes of picture `index` in memory.

        Raises:
            DataError: it unpacks to more than `MAX_MEMBER_BYTES`.
        """
        with self._zip.open(self.names[index]) as member:
            # The header may lie about the size; the limit holds for what is really read.
            content = member.read(MAX_MEMBER_BYTES + 1)
        if len(content) > MAX_MEMBER_BYTES:
            raise DataError(_too_large(self.path, self.names[index]))
        return io.BytesIO(content)


def open_images(path: Path | str) -> ImageSource:
    """List the pictures of a folder (nested), a zip, or a single picture file.

    Raises:
        DataError: nothing is there, no picture is in it, or the file is neither a zip nor a picture.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        return ImageSource(path, _walk(path))
    check_pictures_exist(path)
    if path.suffix.lower() == ".zip":
        return ZipSource(path)
    if _is_picture(path.name):
        return ImageSource(path.parent, [path.name])
    raise DataError(f"{path} is no folder, .zip or picture (PNG, JPEG, WebP, BMP, TIFF, GIF); check the path")


def _walk(root: Path) -> Iterable[str]:
    seen = set()
    for folder, children, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            # A link that leads back to where we have been.
            children.clear()
            continue
        seen.add(real)
        # Without a fixed order, the links decide by chance which of two ways to one folder counts.
        children.sort()
        yield from ((Path(folder) / file).relative_to(root).as_posix() for file in files)


def _too_large(path: Path, name: str) -> str:
    return f"{path}: {name} unpacks to more than {MAX_MEMBER_BYTES // 2**20} MiB; scale the picture down first"


def _is_picture(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def _hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def _sort_key(name: str) -> tuple[str, str]:
    # macOS stores accents apart from their letters (NFD), others as one character: equal names must sort equally.
    return unicodedata.normalize("NFC", name), name


_CHECKOUT = Path(__file__).resolve().parents[2]


def bundled_data(name: str) -> Path:
    """Find the folder of a bundled set, "emoji-faces" or "single", in the checkout that this package runs from.

    Raises:
        DataError: the package was installed without its repository (the sets are no part of it), or has no such set.
        UsageError: a path instead of a name.
    """
    if Path(name).name != name:
        raise UsageError(f"{name!r} was given as a bundled set; a plain name such as 'emoji-faces' is required")
    data = _CHECKOUT / "data"
    if not ((_CHECKOUT / "pyproject.toml").is_file() and data.is_dir()):
        raise DataError(
            f"the bundled set {name!r} comes with the repository, not with the installed package; run from a "
            "checkout or give the path of your own pictures"
        )
    folder = data / name
    if not folder.is_dir():
        known = ", ".join(sorted(entry.name for entry in data.iterdir() if any(entry.glob("*.png"))))
        raise DataError(f"there is no bundled set {name!r}; the bundled sets are {known}")
    return folder
