"""Pages about recognition runs, in the look of the generator's report: they read the files of a run only."""

import base64
import csv
import json
from pathlib import Path
from typing import Any

from markupsafe import Markup

from sase_gan.errors import DataError
from sase_gan.report.pages import write_page
from sase_gan.report.plots import Line, lines_svg

MOST_CLASSES = 20
"""Larger confusion tables are left to the CSV file."""

# Panels of curves: each column of the run's metrics.csv with its label.
_PANELS = {
    "Loss": {"loss": "training", "test_loss": "held out"},
    "Share recognised (top-1)": {"train_top1": "training", "test_top1": "held out"},
    "Average precision, boxes": {"box_ap": "AP", "box_ap50": "AP50"},
    "Average precision, masks": {"mask_ap": "AP", "mask_ap50": "AP50"},
}


def write_classification_report(folder: Path, *, run_folder: Path | None = None) -> Path:
    """Write `report.html` from `classification.json` in `folder`, with curves from `metrics.csv` of a run folder.

    Raises:
        DataError: when the scores are missing or not JSON.
    """
    scores = _read_json(folder / "classification.json")
    names = scores["classes"]
    confusion = None
    if len(names) <= MOST_CLASSES:
        confusion = [
            (name, [(count, count / max(1, sum(row))) for count in row])
            for name, row in zip(names, scores["confusion"], strict=True)
        ]
    view = {"confusion": confusion, "confused": most_confused(scores), "calibration": _calibration_plot(scores)}
    return _write(folder, "classification.html.j2", run_folder, scores=scores, **view)


def write_detection_report(folder: Path, *, run_folder: Path | None = None) -> Path:
    """Write `report.html` from `detection.json` and the drawn pictures in `drawn/`.

    Raises:
        DataError: when the scores are missing or not JSON.
    """
    scores = _read_json(folder / "detection.json")
    drawn = [
        (path.stem, "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode())
        for path in sorted((folder / "drawn").glob("*.png"))
    ]
    return _write(folder, "detection.html.j2", run_folder, scores=scores, drawn=drawn)


def _write(folder: Path, template: str, run_folder: Path | None, **view: Any) -> Path:
    page = folder / "report.html"
    write_page(page, template, title=folder.resolve().name, panels=_curves(run_folder or folder), **view)
    return page


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text())
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); evaluate first") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{path} is not JSON ({error}); it is damaged, evaluate again") from error
    if not isinstance(data, dict):
        raise DataError(f"{path} holds no record; evaluate again")
    return data


def most_confused(scores: dict[str, Any], count: int = 10) -> list[tuple[str, str, int]]:
    """Return the pairs of classes confused most often: (true, predicted, how often), most first."""
    names = scores["classes"]
    pairs = [
        (names[i], names[j], number)
        for i, row in enumerate(scores["confusion"])
        for j, number in enumerate(row)
        if i != j and number
    ]
    return sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))[:count]


def _calibration_plot(scores: dict[str, Any]) -> Markup | None:
    bins = scores["calibration"]
    if len(bins) < 2:
        return None
    confidence = [b["confidence"] for b in bins]
    ends = [confidence[0], confidence[-1]]
    lines = [
        Line("accuracy", confidence, [b["accuracy"] for b in bins], role="fake"),
        Line("perfectly calibrated", ends, ends, role="real"),
    ]
    return lines_svg(lines, alt="Accuracy by confidence", x_label="confidence")


def _curves(folder: Path) -> list[tuple[str, Markup]]:
    path = folder / "metrics.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if len(rows) < 2:
        return []  # a single point is no curve
    columns = {name: [float(row[name]) for row in rows] for name in rows[0]}
    panels = []
    for title, labels in _PANELS.items():
        lines = [
            Line(labels[name], columns["images_seen"], columns[name], role=role)
            for name, role in zip((name for name in labels if name in columns), ("fake", "real"), strict=False)
        ]
        if lines:
            panels.append((title, lines_svg(lines, alt=title, x_label="images seen")))
    return panels
