"""Making a model without training: a run of its own, or beside a training as what it must beat.

Free of Lightning.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sase_gan.colours import Colours, shown
from sase_gan.config import to_yaml
from sase_gan.datasets.images import ImageSet
from sase_gan.drawing.sampling import draw_inputs, evaluating, sample_images
from sase_gan.errors import DataError
from sase_gan.files import write_atomically
from sase_gan.hardware import Hardware
from sase_gan.metrics.records import EvaluationRecord, Measure, ModelPart
from sase_gan.metrics.verdicts import LEAST_REALS
from sase_gan.pixels import read_image, read_png_text, to_uint8
from sase_gan.progress import batches, readable_seconds
from sase_gan.recombination.aligned import AlignedRecombiner
from sase_gan.recombination.choice import aligned_settings, choose_form
from sase_gan.recombination.evenness import even_prior, use_entropy
from sase_gan.recombination.model import Recombiner, RecombinerConfig
from sase_gan.runs.classes import class_facts
from sase_gan.runs.folder import RunFolder, kimg
from sase_gan.runs.options import RunOptions, RunResult
from sase_gan.sheets import cut_grid, write_sheet
from sase_gan.snapshot import snapshot_digest
from sase_gan.training.config import MaterialSection
from sase_gan.training.instant_config import InstantConfig, RecombinationSection

BASELINE_GRID = "instant.png"
BASELINE_SIDE = 256
FIGURES_FROM = 1_000_000
"""First seed of the pictures that are measured: far from those of grids, which are thus independent of figures."""
MATERIAL_FROM, _MATERIAL_SPAN = 1_500_000_000, 10_000
"""First seed of the pictures that teach a network, and how many each run seed has: apart from all that is measured."""
_WORDS = {
    "aligned": "recombined at the same place",
    "free": "recombined from any place",
}


@dataclass(frozen=True)
class Made:
    """A model that was made without training; `words` say in which form, and why."""

    network: Recombiner
    words: str


def build(
    section: RecombinationSection,
    pictures: Tensor,
    names: tuple[str, ...],
    hardware: Hardware,
    *,
    mirror: bool,
    classes: tuple[str, ...] = (),
    labels: tuple[int, ...] = (),
    colours: Colours = "rgb",
) -> Made:
    """Make the model of pictures uint8 `[N, 3, height, width]`; what `section` leaves open is chosen by them.

    Args:
        colours: of the pictures, which have channels accordingly.
        classes, labels: as of an `ImageSet`; a class is drawn from its own pictures, in the form chosen for all.

    Raises:
        DataError: for pictures that the form cannot recombine.
    """
    if section.form == "auto":
        chosen = choose_form(pictures)
        form, reason = chosen.form, f"because {chosen.reason}"
    else:
        form, reason = section.form, "as was asked for"
    if form == "aligned" and len(pictures) == 1:
        raise DataError("one picture recombined at the same place is a copy of itself; set recombination.form=free")
    shift, variety = aligned_settings(len(pictures)) if form == "aligned" else (0, 1.0)
    if form == "aligned" and section.shift is not None:
        shift = section.shift
    words = f"{_WORDS[form]}, {reason}"
    config = RecombinerConfig(
        form=form,
        count=len(pictures),
        size=(pictures.shape[2], pictures.shape[3]),
        names=names,
        mirror=mirror,
        shift=shift,
        variety=variety if section.variety is None else section.variety,
        classes=classes,
        labels=labels,
        colours=colours,
    )
    network = Recombiner(config).to(hardware.device).eval()
    network.pictures.copy_(pictures)
    if section.even and isinstance(network.engine, AlignedRecombiner) and len(pictures) > 1:
        network.log_prior.copy_(even_prior(network.engine))
        for label in range(len(classes)):
            engine, places = network.engine_of(label), network.places_of(label).to(network.class_prior.device)
            assert isinstance(engine, AlignedRecombiner)
            network.class_prior[places] = even_prior(engine).to(network.class_prior)
    return Made(network, words)


def build_of(config: InstantConfig, images: ImageSet, hardware: Hardware) -> Made:
    """Make the model of a run's pictures, see `build`."""
    return build(
        config.recombination,
        images.images,
        images.names,
        hardware,
        mirror=bool(config.data.mirror),
        classes=images.classes,
        labels=images.labels,
        colours=config.colours,
    )


def build_baseline(
    pictures: Tensor, names: tuple[str, ...], hardware: Hardware, *, mirror: bool, even: bool = True
) -> Made:
    """Make the model that a network trained on these pictures must beat, as a run without training would choose it.

    Args:
        mirror: whether the network saw mirror images; they serve where the pictures are aligned.
    """
    aligned = choose_form(pictures).form == "aligned"
    return build(RecombinationSection(even=even), pictures, names, hardware, mirror=mirror and aligned)


def draw_grid(network: Recombiner, count: int) -> tuple[Tensor, Tensor]:
    """Draw the pictures of the seeds 0 to `count` - 1, uint8, and tell how much each training picture gave, `[N]`."""
    pictures, shares = [], []
    for seeds in batches(range(count), 8):
        inputs = draw_inputs(network, seeds).to(network.pictures.device)
        with evaluating(network):
            drawn = network(inputs.z, inputs.noise)
        pictures.append(shown(to_uint8(drawn.pictures).cpu(), "checkerboard"))
        shares.append(drawn.shares.cpu())
    return torch.cat(pictures), torch.cat(shares).mean(0)


def make_run(config: InstantConfig, images: ImageSet, run: RunFolder, options: RunOptions) -> RunResult:
    """Make the model of a run's pictures, its grid and its figures.

    Raises:
        UsageError: if the folder holds a run already.
        DataError: for pictures that cannot be recombined as the configuration says.
    """
    start = time.monotonic()
    made = build_of(config, images, options.hardware)
    options.report(made.words)
    if 1 < len(images) < LEAST_REALS:
        options.report(
            f"{len(images)} pictures are very few: expect variations of each of them rather than new pictures; a "
            f"verdict on copying takes {LEAST_REALS} pictures or more"
        )
    run.create(trained=False)
    with write_atomically(run.config) as temporary:
        temporary.write_text(to_yaml(config))
    first = shown(images.images[:64], "checkerboard")
    write_sheet(run.path / "grids" / "reals.png", first, columns=math.isqrt(len(first)))
    facts = {"fit": None if config.of_one_picture else config.data.fit, "mirror": config.data.mirror}
    data: dict[str, Any] = {"name": Path(str(config.data.path)).name, "licence": config.data.licence, **facts}
    if config.colours != "rgb":
        data["colours"] = config.colours
    if images.classes:
        data["classes"] = class_facts(images, config.classes.source)
    count = config.schedule.grid_images or 64
    publish(made, images, run.snapshot(0), run.grid(0), data=data, count=count)
    options.report(f"{count} pictures after {readable_seconds(time.monotonic() - start)}: {run.grid(0)}")
    measuring = 0.0
    if options.measure is not None:
        begun = time.monotonic()
        run.append_record(figures(made.network, options.measure, config.schedule.evaluation_count or 0).to_json())
        measuring = time.monotonic() - begun
    return RunResult(run, 0, False, time.monotonic() - start, measuring)


def publish(made: Made, images: ImageSet, snapshot: Path, sheet: Path, *, data: Mapping[str, Any], count: int) -> None:
    """Draw the grid of a model, and write both; the snapshot says how evenly the grid used the training pictures.

    The grid says whose it is and how many it shows, so that nobody need draw the same again (`grid_pictures`).
    """
    drawn, shares = draw_grid(made.network, count)
    made.network.provenance = {
        "images_seen": 0,
        "data": {**data, "count": len(images), "digest": images.digest},
        "form": made.words,
        "entropy_of_use": round(use_entropy(shares), 4),
        "most_used": round(float(shares.max()) * len(shares), 3),
        "extractor_used_in_training": False,
    }
    made.network.save_pretrained(snapshot)
    write_sheet(sheet, drawn, {"snapshot": snapshot_digest(snapshot), "pictures": str(count)})


def grid_pictures(run: Path, digest: str, size: tuple[int, int]) -> Tensor | None:
    """Read the pictures of a run's grid, uint8 `[n, 3, *size]`: those of the seeds 0 to n - 1.

    Args:
        digest: of the snapshot that they must be of; None is returned for others, and where there is no such grid.
    """
    sheet = RunFolder(run).grid(0)
    if not sheet.exists():
        return None
    text = read_png_text(sheet)
    count = text.get("pictures", "")
    if text.get("snapshot") != digest or not count.isdecimal() or int(count) < 1:
        return None
    return cut_grid(read_image(sheet), size, int(count))


def show_baseline(images: ImageSet, run: RunFolder, options: RunOptions, *, count: int, mirror: bool) -> None:
    """Draw a grid without training into the folder of a run that is about to train: what its network must beat.

    Pictures of more than `BASELINE_SIDE` pixels are drawn at half or a quarter of their size. Nothing is kept of the
    model; make it with the preset `instant`.
    """
    start = time.monotonic()
    pictures = images.images
    while pictures.shape[2] > BASELINE_SIDE:
        parts = [F.avg_pool2d(part.float(), 2).round().to(torch.uint8) for part in pictures.split(64)]
        pictures = torch.cat(parts)
    made = build_baseline(pictures, images.names, options.hardware, mirror=mirror, even=False)
    count = min(count, 16) if made.network.config.form == "free" else count  # these cost seconds each
    sheet = run.path / "grids" / BASELINE_GRID
    write_sheet(sheet, draw_grid(made.network, count)[0])
    options.report(
        f"what recombining the pictures alone gives, after {readable_seconds(time.monotonic() - start)} and without "
        f"training: {sheet}"
    )


def draw_material(section: MaterialSection, images: ImageSet, hardware: Hardware, *, seed: int, mirror: bool) -> Tensor:
    """Draw recombinations that a network is taught with, uint8 `[count, 3, side, side]`.

    They come from seeds of their own, another range for each run seed, and are no part of any figure or reference.

    Args:
        seed: of the run.
        mirror: whether mirror images serve, where the pictures are aligned.
    """
    aligned = choose_form(images.images).form == "aligned"
    recipe = RecombinationSection(variety=section.variety)
    made = build(recipe, images.images, images.names, hardware, mirror=mirror and aligned)
    first = MATERIAL_FROM + seed % 50_000 * _MATERIAL_SPAN
    return sample_images(made.network, range(first, first + section.count))


def figures(network: Recombiner, measure: Measure, count: int) -> EvaluationRecord:
    """Measure a model by pictures of seeds of their own."""
    found = measure(sample_images(network, range(FIGURES_FROM, FIGURES_FROM + count), ground="white"))
    facts = {"snapshot": kimg(0), "images_seen": 0, "parameters": 0}
    return found.model_copy(update={"model": (found.model or ModelPart()).model_copy(update=facts)})
