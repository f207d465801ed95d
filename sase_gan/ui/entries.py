"""What of models lies in a folder: snapshots and the snapshots of runs, each with its name and its kind."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sase_gan.errors import SaseGanError
from sase_gan.networks.finished import FinishedGenerator
from sase_gan.networks.generator import Generator
from sase_gan.networks.pyramid import Pyramid
from sase_gan.recombination.model import Recombiner
from sase_gan.runs.folder import RunFolder, is_run
from sase_gan.snapshot import WEIGHTS_FILE, is_snapshot, read_header

GENERATOR, PYRAMID, CLASSIFIER, DETECTOR = Generator.kind, Pyramid.kind, "classifier", "detector"
# A model without training says by its pictures what it is for: their number is in its header.
INSTANT, INSTANT_OF_ONE = Recombiner.kind, f"{Recombiner.kind} of one picture"
DRAWING = (GENERATOR, INSTANT, INSTANT_OF_ONE)
"""The kinds whose pictures have seeds and need nothing else."""
OF_ONE_PICTURE = (PYRAMID, INSTANT_OF_ONE)
"""The kinds that know one picture and do with it what the tab One picture offers."""


@dataclass(frozen=True)
class Entry:
    """A snapshot in the list, and the run it comes from.

    Attributes:
        kind: what its header says. One that cannot be read counts as a generator, so that it is listed and refused in
            a sentence when it is chosen, not left out in silence.
    """

    name: str
    folder: Path
    run: Path | None
    kind: str


def entries_of(place: Path) -> list[Entry]:
    """List those of a snapshot, of a run, or of the snapshots and runs in a folder."""
    if found := _entries_at(place):
        return found
    if not place.is_dir():
        return []
    children = [child for child in sorted(place.iterdir()) if child.is_dir() and not child.name.startswith(".")]
    return [entry for child in children for entry in _entries_at(child)]


def _entries_at(folder: Path) -> list[Entry]:
    """A snapshot; of a run the finished one, the chosen one under the run's name, then the others, newest first."""
    if is_snapshot(folder):
        return [_entry(folder.name, folder, None)]
    run = RunFolder(folder)
    snapshots = run.snapshots() if is_run(folder) else {}
    if not snapshots:
        return []
    chosen = run.chosen_snapshot()
    others = [path for _, path in sorted(snapshots.items(), reverse=True) if path != chosen]
    crisp = [(f"{folder.name}, finished", run.finished)] if is_snapshot(run.finished) else []
    named = [*crisp, (folder.name, chosen), *((f"{folder.name} at {path.name}", path) for path in others)]
    return [_entry(name, path, folder) for name, path in named]


def _entry(name: str, folder: Path, run: Path | None) -> Entry:
    weights = folder / WEIGHTS_FILE
    try:
        return Entry(name, folder, run, _kind(weights, weights.stat().st_mtime_ns))
    except OSError:  # removed since it was listed
        return Entry(name, folder, run, GENERATOR)


@lru_cache(maxsize=512)
def _kind(weights: Path, modified: int) -> str:
    try:
        header = read_header(weights)
    except SaseGanError:
        return GENERATOR
    if header["kind"] == FinishedGenerator.kind:
        return GENERATOR  # whatever a generator can do
    if header["kind"] == INSTANT and header["network"].get("count") == 1:
        return INSTANT_OF_ONE
    return str(header["kind"])
