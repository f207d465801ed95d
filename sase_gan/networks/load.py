"""Opening a synthesis snapshot as the right class."""

from pathlib import Path
from typing import Any

from torch import Tensor

from sase_gan.errors import DataError
from sase_gan.networks.finished import FinishedGenerator
from sase_gan.networks.generator import Generator
from sase_gan.networks.pyramid import Pyramid
from sase_gan.recombination.model import Recombiner
from sase_gan.snapshot import WEIGHTS_FILE, read_header
from sase_gan.snapshot_checks import printable

Network = Generator | Pyramid | Recombiner
"""A model that draws pictures; a `FinishedGenerator` is a generator too."""

KINDS: dict[str, type[Network]] = {
    network.kind: network for network in (Generator, FinishedGenerator, Pyramid, Recombiner)
}


def recombiner_of(network: Network) -> Recombiner | None:
    """Return what recombines training pictures in a model: the whole of it, what finishes its pictures, or nothing."""
    if isinstance(network, FinishedGenerator):
        return network.patches
    return network if isinstance(network, Recombiner) else None


def holds_pictures(network: object) -> bool:
    """Tell whether a model's snapshot contains the training pictures, byte for byte."""
    return isinstance(network, Pyramid | Recombiner | FinishedGenerator)


def load_network(folder: Path | str) -> Network:
    """Load the network of a snapshot folder, whatever its kind, on the CPU, in evaluation mode.

    Raises:
        DataError: if the folder holds no snapshot, or one of a kind that this version does not know.
    """
    return network_class(folder).from_pretrained(str(folder))


def network_class(folder: Path | str) -> type[Network]:
    """The class of a snapshot folder's network.

    Raises:
        DataError: as `load_network`.
    """
    kind = read_header(Path(folder) / WEIGHTS_FILE)["kind"]
    if kind not in KINDS:
        known = ", ".join(map(repr, KINDS))
        raise DataError(f"{folder} is a snapshot of kind {printable(repr(kind), 80)}; this version opens {known}")
    return KINDS[kind]


def learned_from_one_picture(folder: Path | str) -> bool:
    """Tell whether a snapshot's model knows one picture only, without loading it.

    Raises:
        DataError: as `load_network`.
    """
    network = network_class(folder)
    header = read_header(Path(folder) / WEIGHTS_FILE)
    return network is Pyramid or (network is Recombiner and header["network"].get("count") == 1)


def mirrors_served(folder: Path | str) -> bool:
    """Tell whether a snapshot's model learned from mirror images of its pictures too, without loading it.

    Raises:
        DataError: as `load_network`.
    """
    return bool(training_facts(folder).get("mirror"))


def training_facts(folder: Path | str) -> dict[str, Any]:
    """Read what a snapshot says of its training pictures: their number, how they became square, and the like.

    Raises:
        DataError: for a file that is no snapshot.
    """
    data: dict[str, Any] | None = read_header(Path(folder) / WEIGHTS_FILE)["provenance"].get("data")
    return data or {}


def own_picture(network: Pyramid | Recombiner) -> Tensor:
    """Return what is seen of the picture that a model learned from, uint8 `[3, height, width]` on the CPU."""
    return (network.seen_pictures[0] if isinstance(network, Recombiner) else network.seen_picture).cpu().contiguous()


def own_colours(network: Pyramid | Recombiner) -> Tensor:
    """Return the picture that a model of one picture learned from in its own colours, uint8 on the CPU."""
    return (network.pictures[0] if isinstance(network, Recombiner) else network.picture).cpu()


def load_generator(folder: Path | str) -> Generator:
    """Load the generator of a snapshot folder that was trained on a set of pictures.

    Raises:
        DataError: as `load_network`, and for a model of one picture.
    """
    network = load_network(folder)
    if not isinstance(network, Generator):
        raise DataError(f"{folder} is a model of one picture; a model of a set of pictures is required here")
    return network


def load_one_picture(folder: Path | str) -> Pyramid | Recombiner:
    """Load a model that pictures can be injected into: a pyramid, or a recombiner of the free form.

    Raises:
        DataError: as `load_network`, and for any other model.
    """
    network = load_network(folder)
    if isinstance(network, Recombiner) and network.config.form == "aligned":
        raise DataError(
            f"{folder} recombines aligned pictures, and pictures are injected into models of one picture; vary a "
            "photograph with: sase-gan recombine MODEL --from PHOTO"
        )
    if isinstance(network, Generator):
        raise DataError(f"{folder} is a model of a set of pictures; a model of one picture is required here")
    return network


def load_pyramid(folder: Path | str) -> Pyramid:
    """Load the pyramid of a snapshot folder that was trained on one picture.

    Raises:
        DataError: as `load_network`, and for a model of a set of pictures.
    """
    network = load_network(folder)
    if not isinstance(network, Pyramid):
        raise DataError(f"{folder} is a model of a set of pictures; a model of one picture is required here")
    return network
