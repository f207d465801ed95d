"""Models by any of their names: a snapshot folder, a run folder, or a name on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from sase_gan.hardware import choose_hardware
from sase_gan.networks.load import Network, load_network
from sase_gan.runs.finding import find_snapshot_folder
from sase_gan.snapshot import WEIGHTS_FILE, read_header


class HasFolder(Protocol):
    """What `train` returns, as far as it matters here."""

    @property
    def folder(self) -> Path:
        """Where it lies."""


def load(source: Path | str | HasFolder, *, device: str = "auto") -> Network:
    """Load the model of a snapshot folder, of a run or its folder (the chosen snapshot), or of a hub name `owner/name`.

    Returns:
        the network in evaluation mode: a `Generator` of a set of pictures, a `Pyramid` of one picture, or a
        `Recombiner`, which was not trained.

    Raises:
        DataError: if the source is none of these, or its files are damaged or of another program.
        UsageError: if the device is not there.

    Example:
        `generator = sase_gan.load("runs/faces-001")`
    """
    return load_network(find_snapshot(source)).to(choose_hardware(device).device)


def find_snapshot(source: Path | str | HasFolder) -> Path:
    """The folder of a snapshot: the source itself, the chosen one of a run, or a download from the hub.

    Raises:
        DataError: if it is none of these, or the hub cannot give it.
    """
    return find_snapshot_folder(source if isinstance(source, Path | str) else source.folder)


def load_published(folder: Path) -> Any:
    """Load the model of a snapshot folder, of whatever kind: one that draws, a classifier or a detector; on the CPU.

    Raises:
        DataError: as `load`.
    """
    kind = read_header(folder / WEIGHTS_FILE)["kind"]
    if kind == "classifier":
        from sase_gan.recognition.classification.classifier import load_classifier

        return load_classifier(folder)
    if kind == "detector":
        from sase_gan.recognition.detection.detector import load_detector

        return load_detector(folder)
    return load_network(folder)
