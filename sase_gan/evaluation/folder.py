"""The folder of an evaluation holds `metrics.json`, `figures.csv` and the pictures that a report shows.

The record is written last, so a folder with a `metrics.json` is complete.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from sase_gan.evaluation.pictures import GeneratedPictures, RealPictures
from sase_gan.evaluation.recombined import Recombined
from sase_gan.evaluation.region_pictures import Write, write_match
from sase_gan.files import write_json
from sase_gan.metrics.measuring import CopyMatch, Evaluation, Ranked
from sase_gan.metrics.records import (
    FIGURES_FILE,
    RECORD_FILE,
    CopyPair,
    EvaluationRecord,
    NamedPicture,
    Pictures,
    Walk,
)
from sase_gan.metrics.tables import write_figures
from sase_gan.pixels import write_png
from sase_gan.sheets import SHEET, grid, named_rows

GRID_PICTURES = 64
CLASS_PICTURES, MOST_CLASSES = 10, 20


def write_evaluation(
    folder: Path,
    evaluation: Evaluation,
    generated: GeneratedPictures,
    real: RealPictures,
    seed: int,
    *,
    recombined: Recombined | None = None,
) -> EvaluationRecord:
    """Write pictures, table and record; returns the record, now with the places of its pictures.

    The grids show the first 64 pictures, unselected. Files of an earlier evaluation in the folder's `samples` are
    replaced.

    Args:
        generated, real: as they were measured.
        seed: of the first walk's first latent; the second has the next.
        recombined: what recombining the training pictures alone gives, where that was measured.
    """
    samples = folder / "samples"
    samples.mkdir(parents=True, exist_ok=True)
    for old in samples.glob("*.png"):
        old.unlink()
    truncated, walks, steps = generated.truncated, generated.walks, evaluation.record.walk_steps
    matches = enumerate(evaluation.copying)

    def write(name: str, image: Tensor) -> str:
        return _write(samples / name, image)

    pictures = Pictures(
        reals=_write(samples / "reals.png", _grid(real.images)),
        fakes=_write(samples / "fakes.png", _grid(generated.images)),
        fakes_truncated=None if truncated is None else _write(samples / "fakes_truncated.png", _grid(truncated)),
        walk=None if walks is None else _write_walk(samples, walks[0], steps, seed),
        copying=tuple(_write_match(samples, rank, match, generated, real) for rank, match in matches),
        **_regions(evaluation, generated, real, write),
        typical=_write_ranked(samples, "typical", evaluation.typical, generated),
        atypical=_write_ranked(samples, "atypical", evaluation.atypical, generated),
    )
    changes: dict[str, Any] = {"pictures": pictures, **_maps(evaluation, generated, write)}
    if recombined is not None and recombined.part is not None and recombined.pictures is not None:
        sheet = write("recombined.png", _grid(recombined.pictures))
        changes["recombined"] = recombined.part.model_copy(update={"grid": sheet})
    if recombined is not None and recombined.note:
        changes["notes"] = (*evaluation.record.notes, recombined.note)
    if evaluation.record.classes is not None:
        sheet = write("classes.png", _class_grid(generated))
        changes["classes"] = evaluation.record.classes.model_copy(update={"grid": sheet})
    record = evaluation.record.model_copy(update=changes)
    write_figures(folder / FIGURES_FILE, record.metrics)
    write_json(folder / RECORD_FILE, record.to_json())
    return record


def _grid(images: Tensor) -> Tensor:
    chosen = images[:GRID_PICTURES]
    return grid(chosen, columns=8 if len(chosen) > 16 else None)


def _class_grid(generated: GeneratedPictures) -> Tensor:
    """Set the first pictures of each class in a row, unselected."""
    rows = {
        name: [index for index, one in enumerate(generated.labels) if one == label][:CLASS_PICTURES]
        for label, name in enumerate(generated.classes[:MOST_CLASSES])
    }
    rows = {name: row for name, row in rows.items() if row}
    order = [index for row in rows.values() for index in row]
    return named_rows(generated.images[order], list(rows), [len(row) for row in rows.values()])


def _write(path: Path, image: Tensor) -> str:
    write_png(path, image, SHEET)
    return f"{path.parent.name}/{path.name}"


def _write_walk(samples: Path, walk: Tensor, steps: Sequence[float], seed: int) -> Walk:
    return Walk(
        strip=_write(samples / "walk.png", grid(walk, columns=len(walk))),
        steps=tuple(round(step, 5) for step in steps),
        seed_from=seed,
        seed_to=seed + 1,
        space="mid-level features of EfficientNet-Lite0",
    )


def _maps(evaluation: Evaluation, generated: GeneratedPictures, write: Write) -> dict[str, Any]:
    """The model's part with the pictures beside the maps of their sources, where the model knows these."""
    model = evaluation.record.model
    if generated.maps is None or model is None or model.recombination is None:
        return {}
    path = write("maps.png", grid(generated.maps, columns=4))
    part = model.recombination.model_copy(update={"maps": path})
    return {"model": model.model_copy(update={"recombination": part})}


def _regions(evaluation: Evaluation, generated: GeneratedPictures, real: RealPictures, write: Write) -> dict[str, Any]:
    """The patchworks, where there are any: a record says nothing of what was not looked for."""
    found = [write_match(rank, match, generated, real, write) for rank, match in enumerate(evaluation.regions)]
    return {"regions": tuple(found)} if found else {}


def _write_match(
    samples: Path, rank: int, match: CopyMatch, generated: GeneratedPictures, real: RealPictures
) -> CopyPair:
    stem, second = f"copy_{rank:02d}", None
    # A mirrored match is shown as found, so that the eye compares like with like.
    nearest = real.images[match.nearest].flip(-1) if match.facts.mirrored else real.images[match.nearest]
    if match.second != match.nearest:
        second = _write(samples / f"{stem}_second.png", real.images[match.second])
    found = {
        "fake": _write(samples / f"{stem}_fake.png", generated.images[match.fake]),
        "nearest": _write(samples / f"{stem}_first.png", nearest),
        "second": second,
        "fake_name": generated.names[match.fake],
        "nearest_name": real.names[match.nearest],
        "second_name": real.names[match.second] if second else None,
    }
    return match.facts.model_copy(update=found)


def _write_ranked(
    samples: Path, kind: str, ranked: Sequence[Ranked], generated: GeneratedPictures
) -> tuple[NamedPicture, ...]:
    return tuple(
        NamedPicture(
            picture=_write(samples / f"{kind}_{place:02d}.png", generated.images[item.fake]),
            name=generated.names[item.fake],
            distance=item.distance,
        )
        for place, item in enumerate(ranked)
    )
