"""Opening a synthesis snapshot as the right class."""

from pathlib import Path

from sase_gan.errors import DataError
from sase_gan.networks.generator import Generator
from sase_gan.networks.pyramid import Pyramid
from sase_gan.snapshot import WEIGHTS_FILE, read_header

KINDS: dict[str, type[Generator] | type[Pyramid]] = {Generator.kind: Generator, Pyramid.kind: Pyramid}


def load_network(folder: Path | str) -> Generator | Pyramid:
    """Load the network of a snapshot folder, trained on a set or on one picture, on the CPU, in evaluation mode.

    Raises:
        DataError: if the folder holds no snapshot, or one of a kind that this version does not know.
    """
    return network_class(folder).from_pretrained(str(folder))


def network_class(folder: Path | str) -> type[Generator] | type[Pyramid]:
    """The class of a snapshot folder's network.

    Raises:
        DataError: as `load_network`.
    """
    kind = read_header(Path(folder) / WEIGHTS_FILE)["kind"]
    if kind not in KINDS:
        raise DataError(f"{folder} is a snapshot of kind {kind!r}; this version opens {', '.join(map(repr, KINDS))}")
    return KINDS[kind]


def load_generator(folder: Path | str) -> Generator:
    """Load the generator of a snapshot folder that was trained on a set of pictures.

    Raises:
        DataError: as `load_network`, and for a model of one picture.
    """
    network = load_network(folder)
    if not isinstance(network, Generator):
        raise DataError(f"{folder} is a model of one picture; a model of a set of pictures is required here")
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
