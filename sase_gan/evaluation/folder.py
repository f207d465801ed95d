"""The folder of an evaluation: `metrics.json`, `metrics.csv` and the pictures that a report shows.

The record is written last, so a folder with a `metrics.json` is complete.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from sase_gan.files import write_atomically
from sase_gan.metrics.suite import CopyPair, Evaluation, Ranked
from sase_gan.pixels import grid, write_png

GRID_PICTURES = 64
COLUMNS = (
    *("name", "status", "value", "std", "low", "high", "interval", "n_real", "n_fake", "extractor", "layer", "resize"),
    *("subset_size", "baseline", "baseline_std", "better", "comparability", "reason", "meaning"),
)


@dataclass(frozen=True)
class Walk:
    """Pictures uint8 [K, 3, H, W] between two seeds, for the strip."""

    images: Tensor
    seed_from: int
    seed_to: int


@dataclass(frozen=True)
class ShownPictures:
    """The pictures of an evaluation, in the order in which `evaluate` was given them.

    Args:
        fakes: uint8 [F, 3, H, W].
        fake_names: one a fake.
        reals: uint8 [N, 3, H, W].
        real_names: one a real.
        truncated: further fakes at a truncation below 1, for a second grid.
        walk: for the strip.
    """

    fakes: Tensor
    fake_names: Sequence[str]
    reals: Tensor
    real_names: Sequence[str]
    truncated: Tensor | None = None
    walk: Walk | None = None


def write_evaluation(folder: Path | str, evaluation: Evaluation, shown: ShownPictures) -> Path:
    """Write pictures, table and record; returns the path of `metrics.json`.

    The grids show the first 64 pictures, unselected. Files of an earlier evaluation in the folder's `samples` are
    replaced.
    """
    folder = Path(folder)
    samples = folder / "samples"
    samples.mkdir(parents=True, exist_ok=True)
    for old in samples.glob("*.png"):
        old.unlink()
    pictures: dict[str, Any] = {
        "reals": _write(samples / "reals.png", _grid(shown.reals)),
        "fakes": _write(samples / "fakes.png", _grid(shown.fakes)),
        "fakes_truncated": None,
        "walk": None,
    }
    if shown.truncated is not None:
        pictures["fakes_truncated"] = _write(samples / "fakes_truncated.png", _grid(shown.truncated))
    if shown.walk is not None:
        pictures["walk"] = _write_walk(samples, shown.walk, evaluation.record.get("walk_steps", []))
    pictures["copying"] = [_write_pair(samples, rank, pair, shown) for rank, pair in enumerate(evaluation.copying)]
    pictures["typical"] = _write_ranked(samples, "typical", evaluation.typical, shown)
    pictures["atypical"] = _write_ranked(samples, "atypical", evaluation.atypical, shown)
    evaluation.record["pictures"] = pictures
    write_table(folder / "metrics.csv", evaluation.record["metrics"])
    return write_record(folder / "metrics.json", evaluation.record)


def write_record(path: Path, record: Mapping[str, Any]) -> Path:
    """Write a record as JSON; NaN is refused."""
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def write_table(path: Path, metrics: Mapping[str, Mapping[str, Any]]) -> None:
    """Write figures as CSV, one a row."""
    with write_atomically(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        for name, entry in metrics.items():
            writer.writerow({"name": name, **entry})


def _grid(images: Tensor) -> Tensor:
    chosen = images[:GRID_PICTURES]
    return grid(chosen, columns=8 if len(chosen) > 16 else None)


def _write(path: Path, image: Tensor) -> str:
    write_png(path, image)
    return f"{path.parent.name}/{path.name}"


def _write_walk(samples: Path, walk: Walk, steps: Sequence[float]) -> dict[str, Any]:
    strip = _write(samples / "walk.png", grid(walk.images, columns=len(walk.images)))
    return {
        "strip": strip,
        "steps": [round(step, 5) for step in steps],
        "seed_from": walk.seed_from,
        "seed_to": walk.seed_to,
        "space": "mid-level features of EfficientNet-Lite0",
    }


def _write_pair(samples: Path, rank: int, pair: CopyPair, shown: ShownPictures) -> dict[str, Any]:
    stem = f"copy_{rank:02d}"
    # A mirrored match is shown as found, so that the eye compares like with like.
    nearest = shown.reals[pair.nearest].flip(-1) if pair.mirrored else shown.reals[pair.nearest]
    second = None
    if pair.second != pair.nearest:
        second = _write(samples / f"{stem}_second.png", shown.reals[pair.second])
    return {
        "fake": _write(samples / f"{stem}_fake.png", shown.fakes[pair.fake]),
        "nearest": _write(samples / f"{stem}_first.png", nearest),
        "second": second,
        "fake_name": shown.fake_names[pair.fake],
        "nearest_name": shown.real_names[pair.nearest],
        "second_name": shown.real_names[pair.second] if second else None,
        "mirrored": pair.mirrored,
        "distance": pair.distance,
        "second_distance": pair.second_distance,
        "loo": pair.loo,
        "space": pair.space,
    }


def _write_ranked(samples: Path, kind: str, ranked: Sequence[Ranked], shown: ShownPictures) -> list[dict[str, Any]]:
    return [
        {
            "picture": _write(samples / f"{kind}_{place:02d}.png", shown.fakes[item.fake]),
            "name": shown.fake_names[item.fake],
            "distance": item.distance,
        }
        for place, item in enumerate(ranked)
    ]
