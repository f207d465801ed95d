"""A cell of a study of classifiers: trained as `sase-gan classify train` trains, and scored on the held-out part."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sase_gan.studies.spec import Budget, Cell, StudySpec

if TYPE_CHECKING:
    from sase_gan.recognition.classification.data import LabelledSet

FIGURES = ("top1", "loss", "calibration_error")
TITLE = "Layers on one small network"


def study_of_layers(settings: dict[str, Any], data: str, variants: Sequence[str], seeds: Sequence[int]) -> StudySpec:
    """Make the study that `sase-gan classify study` carries out: variants of layers under the same settings.

    Raises:
        UsageError: for an unknown variant.
    """
    from sase_gan.errors import UsageError
    from sase_gan.recognition.classification.study import VARIANTS

    unknown = sorted(set(variants) - set(VARIANTS))
    if unknown:
        raise UsageError(f"variant {', '.join(unknown)} is unknown; known are {', '.join(VARIANTS)}")
    arms = {name: {"backbone": {"layers": VARIANTS[name].model_dump(mode="json")}} for name in variants}
    return StudySpec(
        title=TITLE,
        task="classify",
        preset="none",
        sets={"data": data},
        seeds=tuple(seeds),
        budget=Budget(),
        settings=settings,
        arms=arms,
        figures=FIGURES,
    )


def run_classification(
    cell: Cell, folder: Path, *, device: str = "auto", threads: int | None = None
) -> dict[str, Any] | None:
    """Train a cell anew in its folder; a training without a record was interrupted, and is short.

    Raises:
        UsageError, DataError: for a wrong setting, or data that cannot be read.
    """
    from sase_gan.config import build, load_preset, merge
    from sase_gan.recognition.classification.study import trained_record
    from sase_gan.recognition.fit import choose_device
    from sase_gan.recognition.settings import ClassifyConfig

    preset = {} if cell.preset == "none" else load_preset(cell.preset, task="classify")
    config = build(ClassifyConfig, merge(preset, cell.settings, {"seed": cell.seed}))
    kind = choose_device(device, threads)
    # Which pictures are held out does not follow the seed of a cell, so that all arms and seeds are scored alike.
    train_set, held_out = _parts(cell.path, config.held_out)
    record = trained_record(config, folder / "run", train_set, held_out, kind)
    return {
        "figures": {name: record[name] for name in FIGURES if record.get(name) is not None},
        "seconds": record["seconds"],
        "parameters": record["parameters"],
    }


@cache
def _parts(path: str, held_out: float) -> tuple[LabelledSet, LabelledSet]:
    from sase_gan.recognition.classification.data import open_labelled

    train_set, test_set = (open_labelled(path, part, held_out=held_out, seed=0) for part in ("train", "test"))
    return train_set, test_set
