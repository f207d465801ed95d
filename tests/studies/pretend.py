"""Cells that cost nothing, in a module that other processes load in no time."""

from sase_gan.errors import DataError


def pretend(cell, folder, log=None):
    """Carry out a cell: KID is its seed, and 10 more in arm b."""
    if log is not None:
        with open(log, "a") as file:
            file.write(f"{cell.name}\n")
    if cell.settings.get("fails"):
        raise DataError("no luck")
    if cell.settings.get("interrupted"):
        return None
    return {"figures": {"kid_efflite0": cell.seed + 10.0 * (cell.arm == "b")}, "copying": "green", "images_seen": 8}
