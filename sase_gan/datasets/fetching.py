"""Public sets arrive on this computer: downloaded in parts that go on where they stopped, checked, unpacked."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import tarfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from sase_gan.datasets.public_sets import PublicSet
from sase_gan.datasets.sources import MAX_MEMBER_BYTES
from sase_gan.errors import DataError
from sase_gan.files import write_folder_atomically
from sase_gan.formats import suffixes
from sase_gan.progress import Count

_BLOCK = 1 << 20
NOTE = "SOURCE.txt"
"""Beside the pictures: where they came from, and whose they are."""


def download(record: PublicSet, target: Path, *, progress: Count | None = None, timeout: float = 30.0) -> Path:
    """Download the archive of a public set; what an earlier attempt brought is not asked for again.

    Until it is whole and checked it is called `NAME.part`, and beside it `NAME.part.tag` says of which version of the
    file that is a part: of another version nothing is kept.

    Args:
        progress: called with bytes received and bytes expected (0 when the server does not say).
        timeout: seconds without an answer after which the network counts as absent.

    Raises:
        DataError: no network, a connection that broke, a set that is given out by hand, or another file than expected.
    """
    if record.by_hand:
        raise DataError(
            f"{record.name} is given out to people alone: open {record.address}, and give what you get with sase-gan "
            f"data fetch {record.name} --archive FILE"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    part, tag = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.tag")
    try:
        _receive(record.address, part, tag, progress, timeout)
    except urllib.error.HTTPError as error:
        error.close()
        raise DataError(
            f"{record.name}: {record.address} answers {error.code} ({error.reason}); the set may have moved: see "
            f"{record.page}, and give the archive with sase-gan data fetch {record.name} --archive FILE"
        ) from error
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise DataError(
            f"{record.name}: there is no way from this computer to {record.address} ({reason}); check the network, or "
            f"fetch the file elsewhere and run sase-gan data fetch {record.name} --archive FILE"
        ) from error
    except (http.client.HTTPException, EOFError) as error:
        kept = part.stat().st_size if part.exists() else 0
        raise DataError(
            f"{record.name}: the connection broke ({error}); {kept:,} bytes are kept: run the same command again, "
            "which goes on from there"
        ) from error
    try:
        check_archive(record, part)
    except DataError:
        part.unlink()
        tag.unlink(missing_ok=True)
        raise
    os.replace(part, target)
    tag.unlink(missing_ok=True)
    return target


def _receive(address: str, part: Path, tag: Path, progress: Count | None, timeout: float) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address)
    if have:
        request.add_header("Range", f"bytes={have}-")
        if tag.exists():
            request.add_header("If-Range", tag.read_text())
    try:
        answer = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        error.close()
        return  # nothing lies behind what is here
    with answer:
        # A server that knows no ranges, or has another file now, sends all of it.
        goes_on = answer.status == 206
        have = have if goes_on else 0
        length = answer.headers.get("Content-Length")
        expected = have + int(length) if length else 0
        if known := answer.headers.get("ETag") or answer.headers.get("Last-Modified"):
            tag.write_text(known)
        with part.open("ab" if goes_on else "wb") as stream:
            while block := answer.read(_BLOCK):
                stream.write(block)
                have += len(block)
                if progress is not None:
                    progress(have, expected)
    if expected and have < expected:
        raise EOFError(f"{have:,} of {expected:,} bytes came")


def check_archive(record: PublicSet, archive: Path) -> None:
    """Refuse an archive that is not the one that was published.

    Raises:
        DataError: another checksum than the published one, or no archive at all.
    """
    if record.md5:
        with archive.open("rb") as file:
            found = hashlib.file_digest(file, "md5").hexdigest()
        if found != record.md5:
            raise DataError(
                f"{record.name}: {archive.name.removesuffix('.part')} has the MD5 {found}, and {record.md5} is "
                "published: it was damaged on its way, or changed; fetch it again"
            )
    if not (zipfile.is_zipfile(archive) or tarfile.is_tarfile(archive)):
        raise DataError(
            f"{record.name}: what came from {record.address} is no archive; a page that asks something may have come "
            f"instead: see {record.page}"
        )


def unpack(record: PublicSet, archive: Path, folder: Path, *, progress: Count | None = None) -> int:
    """Unpack the pictures of an archive, and nothing else, into a folder that appears whole or not at all.

    Returns:
        how many there are.

    Raises:
        DataError: a damaged archive, names that lead out of the folder, or another number of pictures than published.
    """
    check_archive(record, archive)
    try:
        with write_folder_atomically(folder) as temporary:
            count = 0
            for name, file, total in _members(archive):
                place = PurePosixPath(name.replace("\\", "/"))
                if place.is_absolute() or ".." in place.parts or ":" in name:
                    raise DataError(f"{record.name}: {archive} holds {name!r}, which leads out of the folder")
                goal = temporary / place
                goal.parent.mkdir(parents=True, exist_ok=True)
                with goal.open("wb") as stream:
                    shutil.copyfileobj(file, stream)
                count += 1
                if progress is not None:
                    progress(count, total)
            if not count or (record.count is not None and count != record.count):
                published = "some" if record.count is None else f"{record.count:,}"
                raise DataError(
                    f"{record.name}: {archive} holds {count:,} pictures, and {published} are published; see "
                    f"{record.page}"
                )
            (temporary / NOTE).write_text(describe(record))
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(f"{record.name}: {archive} is damaged ({error}); fetch it again") from error
    return count


def _members(archive: Path) -> Iterator[tuple[str, BinaryIO, int]]:
    """Give name and content of each picture of an archive, and how many there are, 0 where that is not known."""
    known = suffixes()

    def wanted(name: str) -> bool:
        place = PurePosixPath(name)
        shown = not any(part.startswith((".", "__MACOSX")) for part in place.parts if part not in (".", ".."))
        return shown and place.suffix.lower() in known

    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            members = [one for one in packed.infolist() if not one.is_dir() and wanted(one.filename)]
            for one in members:
                _check_member(one.filename, one.file_size)
                with packed.open(one) as file:
                    yield one.filename, file, len(members)  # type: ignore[misc]
        return
    with tarfile.open(archive) as bundle:
        for member in bundle:
            if member.isfile() and wanted(member.name):
                _check_member(member.name, member.size)
                content = bundle.extractfile(member)
                assert content is not None
                yield member.name, content, 0  # type: ignore[misc]


def _check_member(name: str, size: int) -> None:
    if size > MAX_MEMBER_BYTES:
        raise DataError(f"{name} in the archive unpacks to {size:,} bytes; at most {MAX_MEMBER_BYTES:,} are taken")


def describe(record: PublicSet) -> str:
    """Say of a set where it came from, and whose it is."""
    licence = record.licence or "none is stated; ask whoever published it before you publish anything made from it"
    return f"{record.name}: {record.what}\nfrom: {record.address}\nread on: {record.page}\nlicence: {licence}\n"
