"""Open a synthesis snapshot as the right class."""

from pathlib import Path

from sase_gan.errors import DataError
from sase_gan.networks.generator import Generator
from sase_gan.snapshot import WEIGHTS_FILE, read_header

KINDS = {Generator.kind: Generator}


def load_generator(folder: Path | str) -> Generator:
    """The generator of a snapshot folder, on the CPU, in evaluation mode.

    Raises:
        DataError: if the folder holds no snapshot, or one of a kind that this version does not know.
    """
    kind = read_header(Path(folder) / WEIGHTS_FILE)["kind"]
    if kind not in KINDS:
        raise DataError(f"{folder} is a snapshot of kind {kind!r}; this version opens {', '.join(map(repr, KINDS))}")
    return KINDS[kind].from_pretrained(str(folder))
