"""What this program wrote itself, by its own marks: it may lie among the pictures, and is none of them.

A picture that was drawn carries `snapshot` and `seed` in its text; a sheet (a grid, a strip, a report's picture)
carries `sase_gan: sheet`. Runs, snapshots and evaluations are folders, known by the files in them.
"""

import struct
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_LOOKED_AT = 16384
"""Bytes of a PNG that are read for its text, which we write in front of the pixels; a list of seeds may be long."""

_PNG = b"\x89PNG\r\n\x1a\n"


def output_folder(folders: set[str], files: set[str]) -> str | None:
    """Name the kind of output that a folder with these entries is; None for a folder of anybody's.

    Example:
        >>> output_folder({"snapshots", "grids"}, {"config.yaml"})
        'run'
        >>> output_folder(set(), {"config.yaml", "cat.png"})
    """
    if "config.yaml" in files and (folders & {"snapshots", "checkpoints"} or files & {"metrics.csv", "results.jsonl"}):
        return "run"
    if {"config.json", "model.safetensors"} <= files:
        return "snapshot"
    if "metrics.json" in files and (folders & {"samples", "drawn"} or "report.html" in files):
        return "evaluation"
    if {"scenes.json", "scenes.csv"} <= files or {"models", "samples", "real"} <= folders:
        return "set of scenes"
    return None


def output_folder_at(path: Path) -> str | None:
    """Name the kind of output that the folder at a path is; None for anybody's, or where it cannot be listed."""
    try:
        entries = list(path.iterdir())
    except OSError:
        return None
    folders = {entry.name for entry in entries if entry.is_dir()}
    return output_folder(folders, {entry.name for entry in entries} - folders)


def drawn_in(folder: Path) -> Counter[str]:
    """Count the pictures in a folder that were drawn by a snapshot, by its hash."""
    found: Counter[str] = Counter()
    for path in folder.glob("*.png"):
        with suppress(OSError), path.open("rb") as file:
            if (mark := mark_of(file)) and mark[0] == "drawn":
                found[mark[1]] += 1
    return found


def mark_of(file: BinaryIO) -> tuple[str, str] | None:
    """Read the mark of a file open at its start: ("drawn", the snapshot's hash), ("sheet", ""), or None for others."""
    text = _first_text(file.read(_LOOKED_AT))
    if text.get("sase_gan") == "sheet" or "seeds" in text:
        return "sheet", ""
    if "snapshot" in text:
        return ("drawn", text["snapshot"]) if "seed" in text else ("sheet", "")
    if {"seed", "truncation", "noise"} <= text.keys():
        return "drawn", ""
    return None


def _first_text(head: bytes) -> dict[str, str]:
    """Read the text chunks at the start of a PNG, as far as these bytes reach; empty for another file."""
    text: dict[str, str] = {}
    if not head.startswith(_PNG):
        return text
    place = len(_PNG)
    while place + 8 <= len(head):
        length, kind = struct.unpack_from(">I4s", head, place)
        if kind == b"IDAT":
            break
        if kind == b"tEXt":
            key, _, value = head[place + 8 : place + 8 + length].partition(b"\0")
            text[key.decode("latin-1")] = value.decode("latin-1")
        place += length + 12
    return text
