"""What lies in a folder or a zip: the pictures in a fixed order, and by kind all that is left out or cannot be read."""

import os
import re
import stat
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from sase_gan.datasets.own_output import mark_of, output_folder
from sase_gan.formats import HEIC_PACKAGE, needs_package, suffixes

OTHER_FILES = "no picture by the suffix"
SHEETS = "a sheet that sase-gan wrote (a grid, a strip)"
DRAWN = "drawn by sase-gan"
_NOT_REGULAR = "no regular file (a pipe, a device, a link that leads nowhere)"
_HEIC = f"HEIC, which {HEIC_PACKAGE} reads"


@dataclass(frozen=True)
class LeftOut:
    """Files of one kind were left out of a set: why, and their names."""

    why: str
    names: tuple[str, ...]


@dataclass
class Listing:
    """A listing of a set is filled while its files are looked at.

    Attributes:
        places: of the pictures, where their reader finds them, sorted by what they are called.
        names: what they are called: `readable_name`, each name once.
        broken: a sentence about each folder that could not be looked into.
        snapshots: how many of the pictures were drawn by which snapshot, by its hash.
    """

    places: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    snapshots: Counter[str] = field(default_factory=Counter)
    _others: dict[str, list[str]] = field(default_factory=dict)

    def leave_out(self, why: str, name: str) -> None:
        """Note a file or folder that is left out."""
        self._others.setdefault(why, []).append(readable_name(name))

    def left_out(self) -> tuple[LeftOut, ...]:
        """Tell what was left out, by kind, the most numerous kind first."""
        kinds = sorted(self._others.items(), key=lambda item: (-len(item[1]), item[0]))
        return tuple(LeftOut(why, tuple(sorted(names, key=_sort_key))) for why, names in kinds)


def list_names(
    places: Iterable[str],
    open_place: Callable[[str], BinaryIO],
    listing: Listing,
    *,
    drawn: bool,
    regular: Callable[[str], bool] = lambda place: True,
) -> Listing:
    """Sort the files of a set into pictures and others; hidden files and `__MACOSX` are not mentioned.

    Args:
        open_place: opens a file for its first bytes.
        drawn: whether pictures that this program drew count; its sheets never do.
        regular: tells whether a file may be opened at all.
    """
    for place in sorted((place for place in places if not _hidden(place)), key=_sort_key):
        suffix = PurePosixPath(place).suffix.lower()
        if suffix not in suffixes():
            listing.leave_out(_HEIC if needs_package(suffix) else OTHER_FILES, place)
        elif not regular(place):
            listing.leave_out(_NOT_REGULAR, place)
        elif (mark := _mark(place, suffix, open_place)) and mark[0] == "sheet":
            listing.leave_out(SHEETS, place)
        elif mark and not drawn:
            listing.leave_out(DRAWN, place)
        else:
            listing.places.append(place)
            if mark:
                listing.snapshots[mark[1]] += 1
    listing.names = _kept_apart([readable_name(place) for place in listing.places])
    return listing


def walk(root: Path, listing: Listing) -> Iterator[str]:
    """Find the files of a folder, nested; runs, snapshots and evaluations of ours are left out as a whole."""
    seen = set()

    def note(error: OSError) -> None:
        place = Path(str(error.filename)).name
        listing.broken.append(
            f"{readable_name(f'{root.name}: {place}')} cannot be looked into ({error.strerror}); change its "
            "permissions or take it away"
        )

    for folder, children, files in os.walk(root, followlinks=True, onerror=note):
        real = os.path.realpath(folder)
        if real in seen:
            # A link that leads back to where we have been.
            children.clear()
            continue
        seen.add(real)
        place = Path(folder).relative_to(root)
        if place.parts and (kind := output_folder(set(children), set(files))):
            listing.leave_out(f"written by sase-gan ({kind})", place.as_posix())
            children.clear()
            continue
        # Without a fixed order, the links decide by chance which of two ways to one folder counts.
        children.sort()
        yield from ((place / file).as_posix() for file in files)


def is_regular(path: Path) -> bool:
    """Tell whether there is a regular file, or a link to one: reading another may wait for ever."""
    try:
        found = path.stat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode)


def members_of(archive: zipfile.ZipFile) -> list[str]:
    """Name a zip's files, without folders and without members that have no name of their own."""
    named = (member.filename for member in archive.infolist() if not member.is_dir())
    # Of equal names the zip reader gives the last one.
    return list(dict.fromkeys(name for name in named if PurePosixPath(name.replace("\\", "/")).name))


def readable_name(name: str) -> str:
    """Make a name that every terminal and file can show: bytes that are no UTF-8, and control signs, are replaced.

    Example:
        >>> readable_name("a" + chr(27) + "[31m.png")
        'a�[31m.png'
    """
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", "\ufffd", text)


def _kept_apart(names: list[str]) -> list[str]:
    """Give each picture a name of its own where replaced signs made two equal."""
    taken, result = set(names), []
    seen: set[str] = set()
    for name in names:
        path, number = PurePosixPath(name), 1
        while name in seen or (number > 1 and name in taken):
            number += 1
            name = str(path.with_name(f"{path.stem}~{number}{path.suffix}"))
        seen.add(name)
        result.append(name)
    return result


def _mark(place: str, suffix: str, open_place: Callable[[str], BinaryIO]) -> tuple[str, str] | None:
    if suffix != ".png":
        return None
    try:
        with open_place(place) as file:
            return mark_of(file)
    # What cannot be opened is told when it is to be decoded.
    except Exception:
        return None


def _hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def _sort_key(name: str) -> tuple[str, str]:
    # macOS stores accents apart from their letters (NFD), others as one character: equal names must sort equally.
    return unicodedata.normalize("NFC", name), name
