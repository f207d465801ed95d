"""Inversions: photographs as a model can say them, kept in files, from which recipes begin instead of from a seed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sase_gan.class_names import Mixture, parse_mixture, written
from sase_gan.drawing.sampling import Inputs, NoiseMode, draw_inputs
from sase_gan.errors import DataError, UsageError
from sase_gan.files import write_atomically
from sase_gan.networks.generator import Generator
from sase_gan.networks.load import Network
from sase_gan.snapshot_checks import printable

SUFFIX = ".recipe"
_LARGEST_FILE = 256 * 2**20
"""Bytes; noise maps of 1,024 px take a tenth of that."""


@dataclass(frozen=True, eq=False)
class Inversion:
    """An inversion is what a generator draws a photograph from, as near as it comes.

    Attributes:
        name: how it is typed: the path of its file.
        z: `[latent_size]`.
        shift: what is added to the first map, `[channels, height, width]`.
        noise: the noise maps, each `[1, height, width]`.
        snapshot: the hash of the snapshot that it was found in, empty for a network in memory.
        facts: what is worth knowing of it, such as how near it came.
        classes: as which it was found, in a model with classes.
    """

    name: str
    z: Tensor
    shift: Tensor
    noise: tuple[Tensor, ...]
    snapshot: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    classes: Mixture = ()

    @property
    def stem(self) -> str:
        """Return its name without folder and suffix."""
        return Path(self.name).name.removesuffix(SUFFIX)

    def inputs(self, network: Network, z: Tensor, noise: NoiseMode) -> Inputs:
        """Return what a batch of this picture alone is drawn from, its latent moved to `z`.

        Raises:
            UsageError: a network of other sizes than that which it was found in.
        """
        self._check(network)
        if noise == "random":  # the maps that were found are this picture's own
            return Inputs(z[None], [maps[None] for maps in self.noise], shift=self.shift[None])
        return Inputs(z[None], draw_inputs(network, [0], noise=noise).noise, shift=self.shift[None])

    def _check(self, network: Network) -> None:
        if not isinstance(network, Generator):
            raise UsageError(f"{self.name} was found in a generator of a set of pictures, and this model is none")
        wanted = {"latent": network.latent_shape(), "first map": shift_shape(network)}
        wanted |= {f"noise map {index}": shape for index, shape in enumerate(network.noise_shapes())}
        found = {"latent": self.z, "first map": self.shift}
        found |= {f"noise map {index}": maps for index, maps in enumerate(self.noise)}
        for part in dict.fromkeys([*wanted, *found]):
            shape = tuple(found[part].shape) if part in found else None
            if shape != wanted.get(part):
                raise UsageError(
                    f"{self.name} was found in another model: its {part} is {shape}, and {wanted.get(part)} is "
                    "required here; bring the photograph into this model with sase-gan invert"
                )

    def save(self, path: Path | str) -> None:
        """Write it to a file whose name ends in `.recipe`."""
        tensors = {"z": self.z, "shift": self.shift}
        tensors |= {f"noise.{index}": maps for index, maps in enumerate(self.noise)}
        tensors = {name: value.detach().cpu().float().contiguous() for name, value in tensors.items()}
        more = {"classes": written(self.classes)} if self.classes else {}
        description = json.dumps({"snapshot": self.snapshot, "facts": dict(self.facts), **more}, sort_keys=True)
        with write_atomically(path) as temporary:
            save_file(tensors, temporary, metadata={"recipe": description})


def shift_shape(network: Generator) -> tuple[int, int, int]:
    """Return the shape of what is added to a generator's first map."""
    channels, height, width = network.mean_first_map().shape[1:]
    return channels, height, width


def read_inversion(path: Path | str) -> Inversion:
    """Read what `Inversion.save` wrote.

    Raises:
        DataError: a missing or damaged file, or one of another program.
    """
    file = Path(path)
    if not file.is_file():
        raise DataError(f"{path} does not exist; sase-gan invert MODEL PHOTO writes such files")
    if (size := file.stat().st_size) > _LARGEST_FILE:
        raise DataError(f"{path} has {size:,} bytes; a recipe has at most {_LARGEST_FILE:,}")
    try:
        with safe_open(file, framework="pt") as opened:
            description = json.loads((opened.metadata() or {}).get("recipe", ""))
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - it is no mapping
        noise = tuple(tensors.pop(f"noise.{index}") for index in range(len(tensors) - 2))
        z, shift, facts = tensors.pop("z"), tensors.pop("shift"), description["facts"]
        snapshot, classes = str(description["snapshot"]), description.get("classes")
        mixture = parse_mixture(str(classes)) if classes else ()
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError, UsageError) as error:
        raise DataError(
            f"{path} is no recipe of a photograph ({printable(error, 80)}); sase-gan invert writes such files"
        ) from error
    if not all(value.dtype == torch.float32 and value.isfinite().all() for value in (z, shift, *noise)):
        raise DataError(f"{path} holds numbers that are no finite 32-bit numbers; it was damaged, or not written here")
    known = {printable(key, 80): printable(value) for key, value in dict(facts).items()}
    return Inversion(str(path), z, shift, noise, snapshot, known, mixture)
