"""Training from Python: the lines that are reported, the result, and what further loggers receive."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.loggers import Logger

from sase_gan.errors import UsageError
from sase_gan.networks.load import load_generator
from sase_gan.platforms import stop_signals
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.options import RunOptions
from sase_gan.runs.request import TrainRequest
from sase_gan.runs.run import start_run
from sase_gan.runs.tasks import TASKS
from sase_gan.runs.train import foretell, make_loggers, train

DATA = Path(__file__).resolve().parents[2] / "data"
SHORT = ("schedule.total_images=8", "schedule.log_images=4", "schedule.snapshot_images=8")


def request(**more: Any) -> TrainRequest:
    return TrainRequest(
        DATA / "emoji-faces", preset="smoke/low_shot", settings=SHORT, device="cpu", figures=False, **more
    )


def rows(run: RunFolder) -> list[dict[str, str]]:
    return list(csv.DictReader(run.metrics.read_text().splitlines()))


class Notebook(Logger):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[tuple[int | None, dict[str, float]]] = []

    @property
    def name(self) -> str:
        return "notebook"

    @property
    def version(self) -> int:
        return 0

    def log_hyperparams(self, *arguments: Any, **more: Any) -> None:
        pass

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.given.append((step, metrics))


def test_a_training_reports_its_lines_and_returns_its_run(tmp_path: Path) -> None:
    lines: list[str] = []
    result = train(request(out=tmp_path / "run"), lines.append)
    assert (result.images_seen, result.interrupted) == (8, False)
    assert result.run == RunFolder(tmp_path / "run")
    assert load_generator(result.run.chosen_snapshot()).provenance["images_seen"] == 8
    assert lines.pop(0) == "left out, no picture by the suffix: 1 file (LICENSE.txt)"
    assert lines[0].startswith("96 pictures at 32 px on ")
    assert lines[0].endswith(f"writing to {tmp_path / 'run'}")
    assert lines.pop(1).startswith("what recombining the pictures alone gives")
    assert lines[1].startswith("8 images seen in ")
    assert lines[2] == f"the chosen snapshot is {result.run.snapshot(8)}"
    more = train(TrainRequest(resume=result.run.path, kimg=0.016, device="cpu", figures=False), lines.append)
    assert more.images_seen == 16
    assert lines[4] == f"going on with {result.run.path}"


def test_foretelling_writes_nothing(tmp_path: Path) -> None:
    lines: list[str] = []
    foretell(request(out=tmp_path / "run"), lines.append)
    assert "total_images: 8" in lines[0]
    # Every picture is read, and what is left out is told.
    assert lines[1] == "left out, no picture by the suffix: 1 file (LICENSE.txt)"
    assert lines[2].startswith("96 pictures; timing two steps")
    assert lines[-1] == "dry run: nothing was written"
    assert not (tmp_path / "run").exists()


def test_other_processes_of_a_run_say_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    lines: list[str] = []
    with pytest.raises(UsageError, match="choose one of"):
        train(TrainRequest(DATA / "single" / "coffee.png", preset="demmo"), lines.append)
    assert lines == []


@pytest.mark.slow
def test_two_processes_write_one_run_and_say_everything_once(tmp_path: Path) -> None:
    settings = [word for setting in SHORT for word in ("--set", setting)]
    options = ["--preset", "smoke/low_shot", "--no-figures", "--device", "cpu", "--devices", "2", "--threads", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "sase_gan", "train", str(DATA / "emoji-faces"), *options, *settings],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(DATA.parent), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        ["96", "pictures"],
        ["8", "images"],
        ["the", "chosen"],
    ]
    assert "sase-gan:" not in done.stderr
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["emoji-faces-001"]


def test_loggers_receive_the_rows_of_the_table_by_images_seen(tmp_path: Path) -> None:
    task, notebook = TASKS["low_shot"], Notebook()
    from sase_gan.hardware import choose_hardware

    hardware = choose_hardware("cpu")
    config = task.resolve(request(), hardware, print)
    run = RunFolder(tmp_path / "run")
    start_run(config, task.load(config), run, RunOptions(hardware, loggers=(notebook,)))
    table = rows(run)
    assert [step for step, _ in notebook.given] == [4, 8] == [int(row["images_seen"]) for row in table]
    for (_, given), row in zip(notebook.given, table, strict=True):
        assert {name: str(value) for name, value in given.items()} == row
        assert {"d_real", "d_fake", "g_adversarial"} <= given.keys()


def test_tensorboard_writes_into_the_run_folder(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    result = train(request(out=tmp_path / "run", logger="tensorboard"))
    events = accumulator.EventAccumulator(str(result.run.path / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("d_real")] == [4, 8]
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


@pytest.mark.parametrize(("name", "class_name"), [("tensorboard", "TensorBoardLogger"), ("wandb", "WandbLogger")])
def test_a_missing_logger_gets_one_sentence(
    name: str, class_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*arguments: Any, **more: Any) -> None:
        raise ModuleNotFoundError("there is no such package")

    monkeypatch.setattr(f"lightning.pytorch.loggers.{class_name}", missing)
    with pytest.raises(UsageError, match=rf"{name} is not installed; run: pip install {name}"):
        make_loggers(name, RunFolder(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_precision_is_settled_when_a_run_begins_and_kept_when_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sase_gan.precision.cpu_multiplies_bfloat16", lambda: True)
    lines: list[str] = []
    result = train(request(out=tmp_path / "run"), lines.append)
    assert "precision: bf16-mixed" in result.run.config.read_text()
    assert any("bf16-mixed; writing to" in line for line in lines)
    monkeypatch.setattr("sase_gan.precision.cpu_multiplies_bfloat16", lambda: False)
    seen: list[str] = []
    monkeypatch.setattr("sase_gan.runs.run.make_trainer", lambda *a, **k: seen.append(a[1].precision) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(TrainRequest(resume=result.run.path, kimg=0.016, device="cpu", figures=False))
    with pytest.raises(ZeroDivisionError):
        train(TrainRequest(resume=result.run.path, kimg=0.016, device="cpu", figures=False, precision="32-true"))
    assert seen == ["bf16-mixed", "32-true"]


def test_a_process_that_has_trained_heeds_a_polite_kill_as_before(tmp_path: Path) -> None:
    before = {number: signal.getsignal(number) for number in stop_signals()}
    train(request(out=tmp_path / "run"))
    assert {number: signal.getsignal(number) for number in stop_signals()} == before
