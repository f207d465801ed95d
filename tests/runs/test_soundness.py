"""A run that leaves the finite numbers comes back by itself, and what is worth a warning is told."""

import csv
import errno
import json
import re
import shlex
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from sase_gan.errors import SaseGanError
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.history import read_run
from sase_gan.runs.request import TrainRequest
from sase_gan.runs.tasks.base import RunPlan
from sase_gan.runs.train import train
from sase_gan.runs.watching import ROWS, Watch, spread
from sase_gan.snapshot import WEIGHTS_FILE
from sase_gan.training.config import LowShotConfig
from sase_gan.training.low_shot import LowShotModule
from sase_gan.training.one_shot import OneShotModule
from tests.processes import PATIENCE, invoke, started, until

DATA = Path(__file__).resolve().parents[2] / "data"
FACES, PICTURE = DATA / "emoji-faces", DATA / "single" / "coffee.png"
SET = (
    "schedule.total_images=24",
    "schedule.checkpoint_images=8",
    "schedule.log_images=8",
    "schedule.baseline_images=0",
)


def begin(out: Path, *settings: str, lines: list[str] | None = None) -> Any:
    request = TrainRequest(FACES, out=out, preset="smoke/low_shot", settings=(*SET, *settings), figures=False)
    return train(request, (lines if lines is not None else []).append)


def everything_is_finite(run: RunFolder) -> bool:
    tensors: list[torch.Tensor] = []
    for path in (run.path / "checkpoints").glob("*.ckpt"):
        content = torch.load(path, weights_only=True)
        tensors += content["state_dict"].values()
        tensors += [one for o in content["optimizer_states"] for s in o["state"].values() for one in s.values()]
    for folder in run.snapshots().values():
        tensors += load_file(folder / WEIGHTS_FILE).values()
    return bool(tensors) and all(bool(torch.isfinite(one).all()) for one in tensors if torch.is_tensor(one))


def breaking(module: type[Any], name: str, images: int, retreats: int) -> Any:
    """A step that makes a weight infinite after so many images, until the run went back often enough."""
    real = module.training_step

    def step(self: Any, *arguments: Any) -> Any:
        result = real(self, *arguments)
        if self.images_seen >= images and self.retreats < retreats:
            with torch.no_grad():
                parameters = [one for found, one in self.named_parameters() if found.startswith(name)]
                parameters[0].view(-1)[0] = float("inf")
        return result

    return step


@pytest.mark.parametrize("retreats", [1, 2])
def test_a_run_that_diverged_goes_back_with_lower_rates(
    retreats: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: dict[int, float] = {}
    monkeypatch.setattr(LowShotModule, "training_step", breaking(LowShotModule, "generator.", 12, retreats))
    set_rates = LowShotModule._set_rates

    def watched(self: Any) -> None:
        set_rates(self)
        rates[self.images_seen] = self.optimizers()[0].param_groups[0]["lr"]

    monkeypatch.setattr(LowShotModule, "_set_rates", watched)
    lines: list[str] = []
    result = begin(tmp_path / "run", lines=lines)
    assert result.images_seen == 24
    assert everything_is_finite(result.run)
    told = [line for line in lines if "left the finite numbers" in line]
    assert len(told) == retreats
    assert "back to 8 images, on with 0.1 of the learning rates" in told[0]
    assert rates[4] == pytest.approx(2e-4)
    assert rates[20] == pytest.approx(2e-4 * 0.1**retreats)
    assert any("left the finite numbers" in note for note in read_run(result.run.path).notes)
    assert torch.load(result.run.checkpoint, weights_only=True)["clock"]["retreats"] == retreats
    assert [int(row["images_seen"]) for row in result.run.rows()] == [8, 16, 24]


def test_a_run_on_one_picture_goes_back_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = breaking(OneShotModule, "generator.stages.0.", 3, 1)
    monkeypatch.setattr(OneShotModule, "training_step", step)
    result = train(TrainRequest(PICTURE, out=tmp_path / "run", preset="smoke/one_shot", figures=False))
    assert result.images_seen == 18
    assert everything_is_finite(result.run)
    assert torch.load(result.run.checkpoint, weights_only=True)["clock"]["retreats"] == 1


def test_rates_without_hope_end_in_a_sentence_whose_advice_works(tmp_path: Path) -> None:
    with pytest.raises(SaseGanError, match="left the finite numbers") as caught:
        begin(tmp_path / "run", "optimiser.generator_rate=1e20", "optimiser.discriminator_rate=1e20")
    run = RunFolder(tmp_path / "run")
    assert everything_is_finite(run)
    assert "with 0.01 of the learning rates too; nothing of that was kept" in str(caught.value)
    command = re.search(r"sase-gan (train --resume .*)", str(caught.value))
    assert command is not None
    invoke(*shlex.split(command[1]), "--no-figures")
    assert everything_is_finite(run)
    assert max(run.snapshots()) == 24


@pytest.mark.parametrize("place", ["room", "error"])
def test_a_disk_that_fills_up_loses_nothing(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder(tmp_path / "run")
    usage, save = shutil.disk_usage, torch.save

    def full(path: Any) -> Any:
        return usage(path)._replace(free=0 if run.metrics.exists() else 10**12)

    def failing(content: Any, file: Any) -> None:
        if run.metrics.exists():
            raise OSError(errno.ENOSPC, "No space left on device", str(run.checkpoint))
        save(content, file)

    with monkeypatch.context() as patch:
        if place == "room":
            patch.setattr(shutil, "disk_usage", full)
        else:
            patch.setattr(torch, "save", failing)
        with pytest.raises(
            SaseGanError, match=r"what was checkpointed is safe, and goes on with: .*--resume"
        ) as caught:
            begin(run.path)
    assert ("MB are needed" in str(caught.value)) == (place == "room")
    assert ("No space left on device" in str(caught.value)) == (place == "error")
    assert train(TrainRequest(resume=run.path, figures=False)).images_seen == 24
    assert [int(row["images_seen"]) for row in run.rows()] == [8, 16, 24]
    assert not list((run.path / "checkpoints").glob(".*"))


@pytest.fixture
def watch(tmp_path: Path) -> tuple[Watch, list[str], RunFolder]:
    run, told = RunFolder(tmp_path), list[str]()
    plan = RunPlan(LowShotConfig(), lambda: None, 4, False, 8, {})
    return Watch(run, plan, 50.0, told.append), told, run


def table(run: RunFolder, **values: float) -> dict[str, float]:
    row = {
        "images_seen": 8000,
        "seconds": 1.0,
        "d_real": 0.5,
        "d_fake": 0.5,
        "real_logit": 0.2,
        "fake_logit": -0.2,
        **values,
    }
    with open(run.metrics, "w", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerows([row] * ROWS)
    return row


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, None),
        ({"d_real": 0.01, "d_fake": 0.01}, "the discriminator has long told all real pictures from generated ones"),
        ({"real_logit": -0.3}, "the discriminator has long taken generated pictures for real ones"),
    ],
)
def test_one_player_winning_for_long_is_told_once(
    values: dict[str, float], sentence: str | None, watch: tuple[Watch, list[str], RunFolder]
) -> None:
    viewer, told, run = watch
    for _ in range(2):
        viewer.row(table(run, **values))
    assert len(told) == (sentence is not None)
    if sentence is not None:
        assert told[0].startswith(f"warning at 8,000 images: {sentence}")
        assert read_run(run.path).notes[-1].startswith(f"8,000 images: {sentence}")
    run.forget_after(7000)
    assert read_run(run.path).notes == ()


def test_collapse_is_told_by_how_much_pictures_differ(watch: tuple[Watch, list[str], RunFolder]) -> None:
    viewer, told, _ = watch
    base = torch.randint(0, 200, (1, 3, 8, 8), dtype=torch.uint8)
    alike = base + torch.tensor([0, 2], dtype=torch.uint8).view(2, 1, 1, 1)
    assert spread(alike) == 1.0
    viewer.sheet(1000, alike)  # too early to tell
    viewer.sheet(100_000, torch.stack([torch.zeros(3, 8, 8), torch.full((3, 8, 8), 200.0)]).to(torch.uint8))
    assert told == []
    viewer.sheet(100_000, alike)
    assert "the generator has collapsed: its pictures differ by 2% of how much the training pictures do" in told[0]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_a_closed_terminal_saves_the_run(tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = ("--preset", "smoke/low_shot", "--out", out, "--kimg", "1000000", "--no-figures", "--threads", "1")
    with started("train", FACES, *options, "--set", "schedule.checkpoint_images=100000000") as process:
        until((out / "metrics.csv").exists, process)
        assert process.stdout is not None
        process.stdout.close()  # nobody reads any more
        process.send_signal(signal.SIGHUP)
        process.wait(timeout=PATIENCE)
    assert process.returncode == 130
    seen = torch.load(RunFolder(out).checkpoint, weights_only=True)["clock"]["images_seen"]
    assert seen > 0
    assert max(RunFolder(out).snapshots()) == seen
    assert json.loads((RunFolder(out).snapshot(seen) / "config.json").read_text())["provenance"]["images_seen"] == seen
    assert not RunFolder(out).lock.exists()
