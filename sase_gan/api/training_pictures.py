"""The pictures that a model was trained on, as far as they are still on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from sase_gan.datasets.images import ImageSet, Wanted, load_as_trained, split_holdout
from sase_gan.datasets.sources import bundled_data
from sase_gan.errors import DataError, SaseGanError
from sase_gan.runs.folder import is_run


def run_of(snapshot: Path) -> Path | None:
    """Return the run folder that a snapshot lies in; None for one that lies by itself."""
    folder = snapshot.resolve()
    return folder.parent.parent if folder.parent.name == "snapshots" and is_run(folder.parent.parent) else None


def place_of_training_pictures(run: Path | None, facts: Mapping[str, Any]) -> tuple[Path, dict[str, Any]]:
    """Tell where the training pictures of a model lie, and its run's configuration or nothing.

    Args:
        run: the run folder, of a model that lies in one.
        facts: what the snapshot says of its training pictures, see `networks.load.training_facts`.

    Raises:
        DataError: if they are not on this machine.
    """
    name = facts.get("name")
    if run is not None:
        config = yaml.safe_load((run / "config.yaml").read_text()) or {}
        path = config.get("data", {}).get("path")
        if path and Path(path).exists():
            return Path(path), config
    if isinstance(name, str) and name:
        with suppress(SaseGanError):
            return bundled_data(Path(name).name), {}
    raise DataError("The pictures that this model was trained on are not on this computer, so none can be compared.")


def training_pictures(run: Path | None, facts: Mapping[str, Any], size: Wanted) -> ImageSet:
    """Read the pictures that a model was trained on, without those that were held out.

    Args:
        run, facts: as of `place_of_training_pictures`.
        size: of the model's pictures.

    Raises:
        DataError: if they are not on this machine, or were changed since.
    """
    path, config = place_of_training_pictures(run, facts)
    images = load_as_trained(path, size, facts)
    if share := config.get("data", {}).get("holdout", 0):
        images, _ = split_holdout(images, share, config.get("seed", 0))
    if facts.get("digest") not in (None, images.digest):
        changed = "are not those that this model was trained on: they were changed since."
        raise DataError(f"The pictures in {path.name} {changed}")
    return images
