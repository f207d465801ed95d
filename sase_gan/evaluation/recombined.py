"""What recombining the training pictures alone gives, without training: the level that a trained network must beat.

As many pictures, of the same size and from the same seeds, are drawn and measured as of the network. That takes longer
than a network's drawing, so the figures are kept beside the features, under the digest of the first pictures.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sase_gan.datasets.images import pixel_digest
from sase_gan.drawing.sampling import sample_images
from sase_gan.errors import DataError
from sase_gan.evaluation.options import Plan
from sase_gan.evaluation.pictures import RealPictures
from sase_gan.files import write_atomically
from sase_gan.hardware import choose_hardware
from sase_gan.metrics.records import EvaluationRecord, RecombinedPart
from sase_gan.metrics.request import Protocol
from sase_gan.networks.load import mirrors_served
from sase_gan.progress import Progress, named
from sase_gan.runs.instant import build_baseline

GRID_PICTURES = 64
LARGEST_WORK = {"aligned": 2**24, "free": 2**21}
"""Pixels that a CPU draws at most, in about seven minutes: 1,000 pictures of 128 px, or 50 of 200 px from one; the
free form's are fewer by the root of the number of training pictures."""
_KEPT = ("base", "network", "scale", "status", "value", "low", "high")

Measured = Callable[[Tensor], EvaluationRecord]


@dataclass(frozen=True)
class Recombined:
    """What was measured, the first pictures for a grid, and a note where it was left out instead."""

    part: RecombinedPart | None = None
    pictures: Tensor | None = None
    note: str | None = None


def measure_recombined(
    plan: Plan, real: RealPictures, protocol: Protocol, measure: Measured, progress: Progress | None = None
) -> Recombined:
    """Draw and measure recombinations of the pictures that the plan's network learned from.

    Args:
        protocol: with the number of pictures that were measured of the network.
        measure: measures pictures as those of the network were.
    """
    start = time.monotonic()
    mirror = mirrors_served(plan.options.source)
    try:
        made = build_baseline(real.images, real.names, choose_hardware(plan.options.device), mirror=mirror)
    except DataError as error:
        return Recombined(note=f"What recombining alone gives was left out: {error}.")
    height, width = real.images.shape[2:]
    form = made.network.config.form
    work = protocol.num_fakes * height * width
    most = LARGEST_WORK[form] if form == "aligned" else round(LARGEST_WORK[form] / math.sqrt(len(real.images)))
    if plan.device.type == "cpu" and work > most:
        return Recombined(
            note=f"What recombining alone gives was left out, because {protocol.num_fakes:,} pictures of {width} x "
            f"{height} px take long on a CPU; --count {max(1, most // (height * width))} has it."
        )
    seeds = range(plan.options.seed, plan.options.seed + protocol.num_fakes)
    told = named(progress, "recombining the training pictures")
    first = sample_images(made.network, seeds[:GRID_PICTURES], progress=told)
    kept = _place(plan, real, protocol, first)
    part = _read(kept)
    if part is None:
        rest = seeds[GRID_PICTURES:]
        images = torch.cat([first, sample_images(made.network, rest, progress=told)]) if rest else first
        record = measure(images)
        part = RecombinedPart(
            words=made.words,
            n=len(images),
            seconds=round(time.monotonic() - start, 1),
            metrics={
                name: metric.model_copy(update={field: None for field in metric.model_fields_set if field not in _KEPT})
                for name, metric in record.metrics.items()
                if metric.measured
            },
            verdict=record.verdict,
        )
        _write(kept, part)
    return Recombined(part, first)


def _place(plan: Plan, real: RealPictures, protocol: Protocol, first: Tensor) -> Path | None:
    """Name the file that keeps the figures by everything that they depend on; None where nothing is kept."""
    if plan.store.folder is None:
        return None
    request = plan.request
    parts = (
        pixel_digest(first),
        pixel_digest(real.images),
        "" if real.holdout is None else pixel_digest(real.holdout),
        json.dumps(protocol.to_record(), sort_keys=True),
        repr((request.names, request.extractors, request.missing, request.lpips)),
    )
    key = hashlib.sha256("|".join(parts).encode()).hexdigest()[:40]
    return plan.store.folder.parent / "recombined" / f"{key}.json"


def _read(path: Path | None) -> RecombinedPart | None:
    if path is not None:
        with suppress(OSError, ValueError):  # damaged or of another version: it is measured again
            return RecombinedPart.model_validate_json(path.read_text(encoding="utf-8"))
    return None


def _write(path: Path | None, part: RecombinedPart) -> None:
    if path is not None:
        with suppress(OSError), write_atomically(path) as temporary:  # a full disk must not end the evaluation
            temporary.write_text(part.model_dump_json(exclude_none=True), encoding="utf-8")
