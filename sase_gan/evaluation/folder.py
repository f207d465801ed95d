"""The folder of an evaluation holds `metrics.json`, `figures.csv` and the pictures that a report shows.

The record is written last, so a folder with a `metrics.json` is complete.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from sase_gan.metrics.measuring import CopyMatch, Evaluation, Ranked
from sase_gan.metrics.records import (
    FIGURES_FILE,
    RECORD_FILE,
    CopyPair,
    EvaluationRecord,
    NamedPicture,
    Pictures,
    Walk,
    write_figures,
    write_json,
)
from sase_gan.pixels import grid, write_png

GRID_PICTURES = 64


@dataclass(frozen=True)
class ShownPictures:
    """Shown pictures are those of an evaluation, in the order in which they were measured.

    Args:
        fakes: the generated ones, uint8 [F, 3, H, W].
        fake_names: one a generated picture.
        reals: the real ones, uint8 [N, 3, H, W].
        real_names: one a real picture.
        truncated: further generated ones at a truncation below 1, for a second grid.
        walk: pictures uint8 [K, 3, H, W] on the way between two latents, for the strip.
        walk_seeds: of the two latents.
    """

    fakes: Tensor
    fake_names: Sequence[str]
    reals: Tensor
    real_names: Sequence[str]
    truncated: Tensor | None = None
    walk: Tensor | None = None
    walk_seeds: tuple[int, int] | None = None


def write_evaluation(folder: Path | str, evaluation: Evaluation, shown: ShownPictures) -> EvaluationRecord:
    """Write pictures, table and record; returns the record, now with the places of its pictures.

    The grids show the first 64 pictures, unselected. Files of an earlier evaluation in the folder's `samples` are
    replaced.
    """
    folder = Path(folder)
    samples = folder / "samples"
    samples.mkdir(parents=True, exist_ok=True)
    for old in samples.glob("*.png"):
        old.unlink()
    pictures = Pictures(
        reals=_write(samples / "reals.png", _grid(shown.reals)),
        fakes=_write(samples / "fakes.png", _grid(shown.fakes)),
        fakes_truncated=(
            None if shown.truncated is None else _write(samples / "fakes_truncated.png", _grid(shown.truncated))
        ),
        walk=_write_walk(samples, shown, evaluation.record.walk_steps),
        copying=tuple(_write_match(samples, rank, match, shown) for rank, match in enumerate(evaluation.copying)),
        typical=_write_ranked(samples, "typical", evaluation.typical, shown),
        atypical=_write_ranked(samples, "atypical", evaluation.atypical, shown),
    )
    record = evaluation.record.model_copy(update={"pictures": pictures})
    write_figures(folder / FIGURES_FILE, record.metrics)
    write_json(folder / RECORD_FILE, record.to_json())
    return record


def _grid(images: Tensor) -> Tensor:
    chosen = images[:GRID_PICTURES]
    return grid(chosen, columns=8 if len(chosen) > 16 else None)


def _write(path: Path, image: Tensor) -> str:
    write_png(path, image)
    return f"{path.parent.name}/{path.name}"


def _write_walk(samples: Path, shown: ShownPictures, steps: Sequence[float]) -> Walk | None:
    if shown.walk is None:
        return None
    first, last = shown.walk_seeds or (None, None)
    return Walk(
        strip=_write(samples / "walk.png", grid(shown.walk, columns=len(shown.walk))),
        steps=tuple(round(step, 5) for step in steps),
        seed_from=first,
        seed_to=last,
        space="mid-level features of EfficientNet-Lite0",
    )


def _write_match(samples: Path, rank: int, match: CopyMatch, shown: ShownPictures) -> CopyPair:
    stem = f"copy_{rank:02d}"
    # A mirrored match is shown as found, so that the eye compares like with like.
    nearest = shown.reals[match.nearest].flip(-1) if match.facts.mirrored else shown.reals[match.nearest]
    second = None
    if match.second != match.nearest:
        second = _write(samples / f"{stem}_second.png", shown.reals[match.second])
    return match.facts.model_copy(
        update={
            "fake": _write(samples / f"{stem}_fake.png", shown.fakes[match.fake]),
            "nearest": _write(samples / f"{stem}_first.png", nearest),
            "second": second,
            "fake_name": shown.fake_names[match.fake],
            "nearest_name": shown.real_names[match.nearest],
            "second_name": shown.real_names[match.second] if second else None,
        }
    )


def _write_ranked(samples: Path, kind: str, ranked: Sequence[Ranked], shown: ShownPictures) -> tuple[NamedPicture, ...]:
    return tuple(
        NamedPicture(
            picture=_write(samples / f"{kind}_{place:02d}.png", shown.fakes[item.fake]),
            name=shown.fake_names[item.fake],
            distance=item.distance,
        )
        for place, item in enumerate(ranked)
    )
