"""Which snapshots a run keeps and chooses, and when it stops for want of better ones."""

import itertools
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from sase_gan.config import build, load_preset, merge
from sase_gan.datasets.images import load_image_set
from sase_gan.hardware import Hardware
from sase_gan.metrics.records import EvaluationRecord, parse_record
from sase_gan.runs import due
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.history import read_run
from sase_gan.runs.options import RunOptions, RunResult
from sase_gan.runs.run import start_run
from sase_gan.training.config import LowShotConfig
from tests.report.report_fixture import record

FACES = Path(__file__).resolve().parents[2] / "data" / "emoji-faces"
STEP = 8
"""Images between two snapshots."""


def measure_of(
    figures: list[tuple[float, str]], before: Callable[[], object] = lambda: None
) -> Callable[[Tensor], EvaluationRecord]:
    """A measure that gives these pairs of KID and copying verdict, one after the other."""
    waiting = iter(figures)

    def measure(pictures: Tensor) -> EvaluationRecord:
        before()
        kid, copying = next(waiting)
        made = record()
        made["metrics"]["kid_efflite0"]["value"] = kid
        made["verdict"]["copying"] = copying
        return parse_record({**made, "model": {}}, "made")

    return measure


def train(
    folder: Path, figures: list[tuple[float, str]], *, before: Callable[[], object] = lambda: None, **schedule: Any
) -> RunResult:
    """A run of 4 pictures a step with a snapshot every second step; `before` comes before each measuring."""
    timing = {"total_images": STEP * (len(figures) - 1), "snapshot_images": STEP, "evaluation_count": 2, **schedule}
    config = build(LowShotConfig, merge(load_preset("smoke/low_shot"), {"schedule": timing}))
    images = load_image_set(FACES, image_size=32, max_images=8)
    hardware = Hardware("cpu", "CPU", "32-true", 1)
    measure = measure_of(figures, before)
    return start_run(config, images, RunFolder(folder), RunOptions(hardware, measure=measure))


def free_measuring(monkeypatch: Any) -> None:
    """Let figures take any share of a run's work, so that none is left out in these short ones."""
    monkeypatch.setattr(due, "IMAGES_A_PICTURE", 0)


def test_the_chosen_snapshot_has_the_lowest_kid_among_those_that_do_not_copy(tmp_path, monkeypatch):
    free_measuring(monkeypatch)
    # Copies have the best KID of all, and the untrained generator is no candidate.
    figures = [(0.01, "green"), (0.30, "green"), (0.20, "amber"), (0.05, "red"), (0.25, "green"), (0.40, "green")]
    train(tmp_path / "run", figures)
    run = RunFolder(tmp_path / "run")
    assert [r.model.images_seen for r in read_run(run.path).results if r.model] == [0, 8, 16, 24, 32, 40]
    assert json.loads(run.best.read_text())["snapshot"] == run.chosen_snapshot().name
    assert run.chosen_snapshot() == run.snapshot(16)
    # The three best that do not copy, and the newest: 16 (0.20), 32 (0.25), 8 (0.30), 40.
    assert sorted(run.snapshots()) == [8, 16, 32, 40]


def test_where_every_snapshot_copies_the_best_of_them_is_named_with_a_word_of_it(tmp_path, monkeypatch):
    free_measuring(monkeypatch)
    train(tmp_path / "run", [(0.5, "green"), (0.2, "red"), (0.1, "red")])
    run = RunFolder(tmp_path / "run")
    assert run.chosen_snapshot() == run.snapshot(16)
    assert "every snapshot copies" in json.loads(run.best.read_text())["rule"]


def test_a_run_stops_after_so_many_snapshots_without_a_better_one(tmp_path, monkeypatch):
    free_measuring(monkeypatch)
    figures = [(0.9, "green"), (0.3, "green"), (0.2, "green"), (0.25, "green"), (0.22, "green"), *[(0.1, "green")] * 5]
    result = train(tmp_path / "run", figures, patience=1)
    # Best at 16; 24 is the first without a better one, and the last.
    assert result.images_seen == 24
    run = RunFolder(tmp_path / "run")
    assert run.chosen_snapshot() == run.snapshot(16)
    assert run.measured() == [0, 8, 16, 24]


@pytest.mark.parametrize(
    ("images", "measured"),
    [
        (8, [0, 16, 32, 40]),
        pytest.param(4, [0, 8, 16, 24, 32, 40], marks=pytest.mark.slow),
        pytest.param(20, [0, 40], marks=pytest.mark.slow),
    ],
)
def test_figures_are_taken_by_images_seen_and_of_the_last(tmp_path, monkeypatch, images, measured):
    """Two pictures are drawn for figures, a snapshot is 8 images: a tenth of the work would be every 20 images."""
    monkeypatch.setattr(due, "IMAGES_A_PICTURE", images)
    train(tmp_path / "run", [(0.5, "green")] * 6)
    assert RunFolder(tmp_path / "run").measured() == measured


@pytest.mark.parametrize(("moment", "interrupted"), [(2, True), (3, False)])
def test_a_signal_after_the_last_step_interrupts_nothing(tmp_path, monkeypatch, moment, interrupted):
    free_measuring(monkeypatch)
    measurings = itertools.count()

    def interrupt() -> None:
        if next(measurings) == moment:
            signal.raise_signal(signal.SIGINT)

    result = train(tmp_path / "run", [(0.5, "green")] * 4, before=interrupt)
    assert result.interrupted == interrupted
    assert result.images_seen == (20 if interrupted else 24)
