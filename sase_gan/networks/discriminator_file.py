"""A discriminator beside a snapshot, for whoever trains on from it: one safetensors file, read as strictly as those."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from sase_gan import __version__
from sase_gan.errors import DataError
from sase_gan.files import write_atomically
from sase_gan.networks.discriminator import Discriminator, DiscriminatorConfig
from sase_gan.snapshot_checks import check_finite, check_shapes, printable, read_header

DISCRIMINATOR_FILE = "discriminator.safetensors"
_KIND = "low_shot_discriminator"


def save_discriminator(network: Discriminator, folder: Path, provenance: Mapping[str, Any]) -> None:
    """Write the file into a snapshot's folder, with what is worth knowing about the training."""
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    description = {
        "kind": _KIND,
        "sase_gan": __version__,
        "network": network.config.model_dump(mode="json"),
        "provenance": dict(provenance),
    }
    with write_atomically(folder / DISCRIMINATOR_FILE) as temporary:
        # One entry only, as in snapshots: several are written in random order.
        save_file(state, temporary, metadata={"config": json.dumps(description, sort_keys=True)})


def load_discriminator(folder: Path) -> Discriminator | None:
    """Load the discriminator in a snapshot's folder, on the CPU; None where none was published.

    Raises:
        DataError: for a file that is none, was changed, or has weights that are not finite.
    """
    path = folder / DISCRIMINATOR_FILE
    if not path.is_file():
        return None
    description = read_header(path)
    if description["kind"] != _KIND:
        raise DataError(f"{path} is of kind {printable(repr(description['kind']), 80)}; {_KIND!r} is required")
    try:
        config = DiscriminatorConfig.model_validate(description["network"])
    except (ValidationError, RecursionError) as error:
        raise DataError(f"{path}: its configuration cannot be built: {printable(error)}") from error
    check_shapes(Discriminator, config, path)
    network = Discriminator(config)
    network.load_state_dict(load_file(path))
    check_finite(network, str(path), "its training diverged, or the file was damaged: take an earlier snapshot")
    return network
