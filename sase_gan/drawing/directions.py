"""Directions in a generator's latent space, kept in files so that pictures can be moved along them again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sase_gan.drawing.latents import DirectionMethod, directions
from sase_gan.errors import DataError, UsageError
from sase_gan.files import write_atomically
from sase_gan.networks.generator import Generator
from sase_gan.networks.load import Network
from sase_gan.snapshot_checks import printable

SUFFIX = ".direction"
_METHODS: dict[str, DirectionMethod] = {"f": "factorisation", "c": "components"}
_LARGEST_FILE = 2**20


@dataclass(frozen=True, eq=False)
class Direction:
    """A direction is a unit vector in the latent space of one model.

    Attributes:
        vector: `[latent_size]`.
        snapshot: the hash of the model's snapshot, empty for a network in memory.
        what: what it leads to, in words.
    """

    vector: Tensor
    snapshot: str = ""
    what: str = ""

    def save(self, path: Path | str) -> None:
        """Write it to a file whose name ends in `.direction`."""
        description = json.dumps({"snapshot": self.snapshot, "what": self.what}, sort_keys=True)
        with write_atomically(path) as temporary:
            save_file({"vector": self.vector.contiguous()}, temporary, metadata={"direction": description})


def read_direction(path: Path | str) -> Direction:
    """Read what `Direction.save` wrote.

    Raises:
        DataError: a missing or damaged file, or one of another program.
    """
    file = Path(path)
    if not file.is_file():
        raise DataError(f"{path} does not exist; sase-gan directions MODEL --save writes such files")
    try:
        if file.stat().st_size > _LARGEST_FILE:
            raise ValueError("it is too large")
        with safe_open(file, framework="pt") as opened:
            description = json.loads((opened.metadata() or {}).get("direction", ""))
            vector = opened.get_tensor("vector")
        found = Direction(vector, str(description["snapshot"]), printable(description["what"]))
        if vector.ndim != 1 or vector.dtype != torch.float32 or not vector.isfinite().all():
            raise ValueError("its vector is none")
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            f"{path} is no direction ({printable(error, 80)}); sase-gan directions MODEL --save writes such files"
        ) from error
    return found


def own_direction(network: Network, name: str) -> Tensor:
    """Compute one of a generator's own directions, see `latents.directions`.

    Args:
        name: `f0`, `f1` and so on by factorisation, `c0` and so on by components, the strongest first.

    Raises:
        UsageError: no generator, or more directions than its latent has values.
    """
    if not isinstance(network, Generator):
        raise UsageError(f"{name} is a direction of a generator of a set of pictures, and this model is none")
    number = int(name[1:])
    return directions(network, _METHODS[name[0]], number + 1)[number]


def direction_between(before: Tensor, after: Tensor) -> tuple[Tensor, float]:
    """Return the unit vector from the mean of some latents `[n, latent_size]` to that of others, and their distance.

    Raises:
        UsageError: means that are the same.
    """
    way = after.mean(0) - before.mean(0)
    length = way.norm().item()
    if length < 1e-6:
        raise UsageError("the pictures before and after are the same ones; name others to find what leads there")
    return way / length, length
