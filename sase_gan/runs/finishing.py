"""Finishing the pictures of a trained generator out of patches of its training pictures: a snapshot of its own.

Free of Lightning.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from sase_gan.datasets.images import ImageSet
from sase_gan.drawing.sampling import sample_images
from sase_gan.errors import UsageError
from sase_gan.files import write_atomically
from sase_gan.hardware import Hardware
from sase_gan.metrics.records import EvaluationRecord, Measure, ModelPart
from sase_gan.networks.finished import STRENGTH, VARIETY, FinishedGenerator, finished
from sase_gan.networks.generator import Generator
from sase_gan.networks.load import load_network
from sase_gan.progress import readable_seconds
from sase_gan.runs.folder import FINISHED, RunFolder
from sase_gan.runs.history import best_record, main_distance, read_run
from sase_gan.runs.instant import FIGURES_FROM, build
from sase_gan.runs.options import RunOptions
from sase_gan.runs.request import Report
from sase_gan.sheets import write_sheet
from sase_gan.snapshot import snapshot_digest
from sase_gan.training.config import FinishSection
from sase_gan.training.instant_config import RecombinationSection

GRID = "finished.png"
GRID_SEEDS = range(64)
TRIED = 100
"""Pictures by which a way is chosen, and that are measured where no record says how many the snapshot's figures had."""
_TRIED_FROM = 2_000_000
_COLOURS = ("green", "grey", "amber", "red")


class Way(NamedTuple):
    """A way of finishing: how freely pictures are redrawn, and how small the pieces are."""

    strength: float
    variety: float


WAYS = (Way(0.2, 2.0), Way(0.6, 1.5), Way(0.6, 1.0))
"""Among these is chosen, from the nearest to what the network drew to the nearest to the training pictures."""
NEARLY, CLOSE = 1.25, 0.005
"""A way is nearly as good as the best one up to so many times its distance, and so much more."""


def finish_generator(
    network: Generator, images: ImageSet, way: Way, *, hardware: Hardware, mirror: bool, detail: float
) -> FinishedGenerator:
    """Join a published generator with the patches of pictures as large as its own, in evaluation mode.

    Which pictures serve follows from what the network drew, so their use is not evened out: on the faces that changed
    no figure.

    Args:
        mirror: whether mirror images serve too.
        detail: how many times the details that the network drew count.
    """
    recipe = RecombinationSection(form="aligned", variety=way.variety, even=False)
    colours = network.config.colours
    patches = build(recipe, images.images, images.names, hardware, mirror=mirror, colours=colours).network
    return finished(network, patches, way.strength, detail)


def finishable(network: object) -> Generator:
    """Return a generator whose pictures can be finished out of patches of a set; refuse any other model.

    Raises:
        UsageError: with what can be done.
    """
    if isinstance(network, FinishedGenerator):
        raise UsageError("this model finishes its pictures already; give the snapshot that it was made of")
    if not isinstance(network, Generator):
        raise UsageError(
            "only the pictures of a network that learned from a set are finished so; models of one picture finish "
            "theirs by themselves, and a model without training draws out of patches anyway"
        )
    return network


def choose_way(
    made: Callable[[Way], FinishedGenerator],
    section: FinishSection,
    measure: Measure | None,
    report: Report = lambda line: None,
) -> Way:
    """Choose how to finish: as `section` says, or by the figures of `TRIED` pictures of each of `WAYS`.

    Larger pieces and more freedom bring any set's pictures nearer to the real ones, up to copies of them, and how far
    one must go differs: photographs look patched together out of small pieces, drawings do not. So of the ways with
    the best copying verdict the first is taken, the one that keeps most of what the network drew, whose leading
    distance is nearly as low as the lowest.

    Args:
        made: makes the model of a way.
        measure: None where nothing measures; then the usual way is taken.
        report: gets a line for each way that was tried.
    """
    if measure is None or section.strength is not None or section.variety is not None:
        strength = STRENGTH if section.strength is None else section.strength
        return Way(strength, VARIETY if section.variety is None else section.variety)
    seeds = range(_TRIED_FROM, _TRIED_FROM + TRIED)
    found = []
    for way in WAYS:
        record = measure(sample_images(made(way), seeds, ground="white"))
        name = main_distance(record)
        distance = None if name is None else record.value(name)
        colour = record.colour("copying")
        found.append((_COLOURS.index(colour), float("inf") if distance is None else distance))
        said = "not measured" if distance is None else f"KID {distance:.3f}"
        report(f"finishing with strength {way.strength:g}, variety {way.variety:g}: {said}, copying {colour}")
    verdict, lowest = min(found)
    allowed = NEARLY * lowest + CLOSE
    return next(way for way, one in zip(WAYS, found, strict=True) if one[0] == verdict and one[1] <= allowed)


def publish(model: FinishedGenerator, made_of: Path, images: ImageSet, folder: Path) -> None:
    """Write the snapshot of a finished generator, which says of which snapshot and pictures it was made, and how."""
    way = {"strength": model.strength, "variety": model.patches.config.variety, "detail": model.detail}
    about = {"made_of": snapshot_digest(made_of), "pictures": images.digest, **way}
    model.provenance = {**model.provenance, "finished": about}
    model.save_pretrained(folder)


def finish_run(run: RunFolder, images: ImageSet, section: FinishSection, options: RunOptions, *, mirror: bool) -> str:
    """Finish the chosen snapshot of a run: a snapshot, a grid and, where the run measures, figures; tell it in words.

    Raises:
        UsageError: see `finishable`.
    """
    start, chosen = time.monotonic(), run.chosen_snapshot()
    network = finishable(load_network(chosen)).to(options.hardware.device)
    made = partial(finish_generator, network, images, hardware=options.hardware, mirror=mirror, detail=section.detail)
    model = made(choose_way(made, section, options.measure, options.report))
    publish(model, chosen, images, run.finished)
    write_sheet(run.path / "grids" / GRID, sample_images(model, GRID_SEEDS))
    before, told = best_record(read_run(run.path).results), ""
    run.finished_figures.unlink(missing_ok=True)
    if options.measure is not None and before is not None:
        record = figures(model, options.measure, before)
        with write_atomically(run.finished_figures) as temporary:
            temporary.write_text(json.dumps(record.to_json(), indent=1))
        told = _compared(record, before)
    seconds = readable_seconds(time.monotonic() - start)
    return (
        f"finished with patches of the training pictures in {seconds}{told}; {run.finished} contains these pictures, "
        f"and {chosen.name} does not; draw with: sase-gan sample {run.finished}"
    )


def figures(model: FinishedGenerator, measure: Measure, before: EvaluationRecord) -> EvaluationRecord:
    """Measure a finished model by as many pictures, of the same seeds, as the snapshot that it was made of."""
    count = before.fakes.n or TRIED
    drawn = sample_images(model, range(FIGURES_FROM, FIGURES_FROM + count), ground="white")
    found = measure(drawn)
    seen = before.model.images_seen if before.model else None
    about = {"snapshot": FINISHED, "images_seen": seen, "finished": model.provenance.get("finished")}
    return found.model_copy(update={"model": (found.model or ModelPart()).model_copy(update=about)})


def _compared(after: EvaluationRecord, before: EvaluationRecord) -> str:
    name = main_distance(after)
    now, then = (None, None) if name is None else (after.value(name), before.value(name))
    if now is None or then is None:
        return ""
    return f": KID {now:.3f} (the network alone {then:.3f}), copying {after.colour('copying')}"
