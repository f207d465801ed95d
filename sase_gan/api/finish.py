"""Finishing the pictures of a trained model with patches of its training pictures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sase_gan.api.models import HasFolder, find_snapshot
from sase_gan.api.training_pictures import run_of, training_pictures
from sase_gan.colours import seen
from sase_gan.datasets.images import load_as_trained
from sase_gan.errors import UsageError
from sase_gan.hardware import choose_hardware
from sase_gan.metrics.quick import prepare_measure
from sase_gan.networks.finished import DETAIL, LEAST_DETAIL, MOST_DETAIL
from sase_gan.networks.load import load_network, training_facts
from sase_gan.places import try_folder
from sase_gan.recombination.model import LARGEST_VARIETY
from sase_gan.runs.finishing import Way, choose_way, finish_generator, finishable, publish
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.request import Report
from sase_gan.snapshot import check_replaceable
from sase_gan.training.config import FinishSection


@dataclass(frozen=True)
class FinishedModel:
    """A finished model was published in a folder; `sample`, `evaluate` and the like take it.

    Attributes:
        way: how freely pictures are redrawn, and how small the pieces are.
        own: whether the pictures are those that the network learned from.
    """

    folder: Path
    way: Way
    pictures: int
    own: bool


def finish(
    model: Path | str | HasFolder,
    pictures: Path | str | None = None,
    *,
    strength: float | None = None,
    variety: float | None = None,
    detail: float | None = None,
    out: Path | str | None = None,
    device: str = "auto",
    report: Report = lambda line: None,
) -> FinishedModel:
    """Publish a trained model once more, so that its pictures are drawn again out of patches of the training pictures.

    Args:
        model: a snapshot, a run (its chosen snapshot), or a hub name.
        pictures: the training pictures; None: where the run or the snapshot says that they are. Others may be given.
        strength: 0 to 1, how freely pictures are redrawn; near 0 all that the network drew stays in its place.
        variety: above 1 smaller pieces serve, below 1 larger ones. Where neither is given, some ways are tried, and the
            figures of 100 pictures of each choose.
        detail: how many times the details that the network drew count; at 1 more blurred patches serve. None: 3,
            see `networks.finished`.
        out: folder of the new snapshot; None: `snapshots/finished` of the run.
        report: gets a line for each way that is tried.

    Raises:
        DataError: no such model, or no pictures.
        UsageError: for a number out of range, a model that cannot be finished, no `out` outside a run, or one that
            holds something else than a snapshot.

    Example:
        `sase_gan.finish("runs/faces-001")`, and then `sase_gan.sample("runs/faces-001/snapshots/finished")`
    """
    if strength is not None and not 0 <= strength < 1:
        raise UsageError(f"strength is {strength}; it must be at least 0 (all stays in its place) and below 1")
    if variety is not None and not 0 < variety <= LARGEST_VARIETY:
        raise UsageError(f"variety is {variety}; it must be over 0 and at most {LARGEST_VARIETY:g} (1 is usual)")
    detail = DETAIL if detail is None else detail
    if not LEAST_DETAIL <= detail <= MOST_DETAIL:
        raise UsageError(
            f"detail is {detail}; it must be between {LEAST_DETAIL:g} and {MOST_DETAIL:g} ({DETAIL:g} is usual)"
        )
    snapshot = find_snapshot(model)
    run = run_of(snapshot)
    if out is None and run is None:
        raise UsageError(f"{snapshot} lies in no run; say with out where the finished snapshot is to be written")
    folder = RunFolder(run).finished if out is None and run is not None else Path(str(out))
    check_replaceable(folder)
    try_folder(folder.parent)
    network = finishable(load_network(snapshot))
    facts, size = training_facts(snapshot), network.config.picture_size
    images = training_pictures(run, facts, size) if pictures is None else load_as_trained(pictures, size, facts)
    hardware = choose_hardware(device)
    network = network.to(hardware.device)
    mirror = bool(facts.get("mirror"))
    made = partial(finish_generator, network, images, hardware=hardware, mirror=mirror, detail=detail)
    measure = prepare_measure(seen(images.images), device=hardware.device)
    done = made(choose_way(made, FinishSection(strength=strength, variety=variety), measure, report))
    publish(done, snapshot, images, folder)
    way = Way(done.strength, done.patches.config.variety)
    return FinishedModel(folder, way, len(images), images.digest == facts.get("digest"))
