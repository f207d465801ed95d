"""One model for each picture of a folder: names, going on, refusing other settings, and the table."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from sase_gan import cli
from sase_gan.colours import CHANNELS, Colours, filed, learnt
from sase_gan.config import build, load_preset, merge
from sase_gan.drawing.sampling import sample_images
from sase_gan.errors import DataError, UsageError
from sase_gan.evaluation.options import EvaluationOptions
from sase_gan.evaluation.pairs import run_pairs
from sase_gan.hardware import Hardware
from sase_gan.networks.load import load_network, load_pyramid
from sase_gan.pixels import read_image, write_png
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.options import RunOptions
from sase_gan.runs.scenes import train_scenes
from sase_gan.training.config import OneShotConfig
from sase_gan.training.instant_config import InstantConfig

SEEDS = ("samples/own/seed000000", "samples/own/seed000001")
OPTIONS = RunOptions(Hardware("cpu", "CPU", "32-true", 1))


def configuration(iterations: int = 1) -> OneShotConfig:
    return build(
        OneShotConfig,
        merge(load_preset("smoke/one_shot"), {"schedule": {"iterations": iterations, "evaluation_count": 0}}),
    )


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    source = torch.Generator().manual_seed(0)
    for name, (height, width) in {"wide": (32, 48), "high": (40, 32)}.items():
        write_png(
            folder / f"{name}.png", torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=source)
        )
    return folder


def train(pictures: Path, out: Path, config: OneShotConfig | InstantConfig, count: int = 2) -> list[str]:
    seen: list[str] = []
    assert train_scenes(pictures, out, config, OPTIONS, count=count, progress=lambda name, *_: seen.append(name))
    return seen


def test_every_picture_gets_its_model_and_samples_of_it(pictures: Path, tmp_path: Path) -> None:
    assert train(pictures, tmp_path / "out", configuration()) == ["high", "wide", ""]
    for name, size in {"wide": (22, 32), "high": (32, 26)}.items():
        pyramid = load_pyramid(RunFolder(tmp_path / "out" / "models" / name).chosen_snapshot())
        assert pyramid.size == size
        assert torch.equal(read_image(tmp_path / "out" / "real" / f"{name}.png"), pyramid.picture)
        drawn = [read_image(path) for path in sorted((tmp_path / "out" / "samples" / name).iterdir())]
        assert torch.equal(torch.stack(drawn), sample_images(pyramid, range(2)))


def test_pictures_without_training_are_made_once(pictures: Path, tmp_path: Path) -> None:
    out, config = tmp_path / "out", build(InstantConfig, {"schedule": {"grid_images": 1}})
    train(pictures, out, config)
    for name in ("wide", "high"):
        network = load_network(RunFolder(out / "models" / name).chosen_snapshot())
        assert torch.equal(read_image(out / "real" / f"{name}.png"), read_image(pictures / f"{name}.png"))
        drawn = [read_image(path) for path in sorted((out / "samples" / name).iterdir())]
        assert torch.equal(torch.stack(drawn), sample_images(network, range(2)))
    shutil.rmtree(out / "samples" / "wide")
    made = (RunFolder(out / "models" / "wide").snapshot(0) / "model.safetensors").stat().st_mtime_ns
    train(pictures, out, config)
    assert (RunFolder(out / "models" / "wide").snapshot(0) / "model.safetensors").stat().st_mtime_ns == made
    shutil.rmtree(out / "samples" / "wide")
    with pytest.raises(UsageError, match="was trained with other settings"):
        train(pictures, out, config.model_copy(update={"seed": 1}))


@pytest.mark.parametrize("colours", ["rgba", "grey"])
def test_files_have_the_colours_of_the_models_and_are_scored_by_what_is_seen(colours: Colours, tmp_path: Path) -> None:
    source = torch.Generator().manual_seed(0)
    drawing = torch.randint(0, 256, (CHANNELS[colours], 32, 40), dtype=torch.uint8, generator=source)
    if colours == "rgba":
        drawing[3, :8] = 0
    write_png(tmp_path / "pictures" / "own.png", drawing)
    out, flat = tmp_path / "out", tmp_path / "flat"
    arguments = ["scenes", str(tmp_path / "pictures"), "--preset", "instant", "--set", "schedule.grid_images=1"]
    wanted = ["--colours", colours, "--out", str(out), "--count", "2", "--metrics", "pixel_diversity"]
    result = CliRunner().invoke(cli.app, [*arguments, *wanted])
    assert result.exit_code == 0, result.output
    network = load_network(RunFolder(out / "models" / "own").chosen_snapshot())
    drawn = sample_images(network, range(2), ground="file")
    for name, expected in (("real/own", filed(learnt(drawing))), *zip(SEEDS, drawn, strict=True)):
        with Image.open(out / f"{name}.png") as image:
            assert image.mode == {"rgba": "RGBA", "grey": "L"}[colours]
            assert torch.equal(torch.from_numpy(np.atleast_3d(np.array(image))).permute(2, 0, 1), expected), name
        write_png(flat / f"{name}.png", read_image(out / f"{name}.png"))
    scoring = EvaluationOptions(flat / "samples", real=flat / "real", out=flat / "scores", metrics=("pixel_diversity",))
    run_pairs(scoring)
    assert (flat / "scores" / "scenes.csv").read_text() == (out / "scores" / "scenes.csv").read_text()


def test_the_same_call_goes_on(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    train(pictures, out, configuration())
    finished, lost = (RunFolder(out / "models" / name).checkpoint for name in ("high", "wide"))
    before = [path.stat().st_mtime_ns for path in (finished, lost)]
    expected = sorted((out / "samples" / "wide").iterdir())[-1]
    pixels = read_image(expected)
    expected.unlink()  # as if stopped while drawing
    train(pictures, out, configuration())
    assert [path.stat().st_mtime_ns for path in (finished, lost)] == before  # nothing was trained again
    assert torch.equal(read_image(expected), pixels)
    run = RunFolder(out / "models" / "wide")
    expected.unlink()
    shutil.rmtree(run.path / "snapshots")
    lost.unlink()  # as if stopped before the first checkpoint
    train(pictures, out, configuration())
    assert finished.stat().st_mtime_ns == before[0]
    assert torch.equal(read_image(expected), pixels)


def test_other_settings_are_refused(pictures: Path, tmp_path: Path) -> None:
    train(pictures, tmp_path / "out", configuration())
    with pytest.raises(UsageError, match="trained with other settings"):
        train(pictures, tmp_path / "out", configuration(iterations=2), count=3)


def test_folders_that_cannot_serve_are_refused(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a folder"):
        train(pictures / "wide.png", tmp_path / "out", configuration())
    read_and_saved = read_image(pictures / "wide.png")
    write_png(pictures / "wide.webp", read_and_saved)
    with pytest.raises(DataError, match="one name"):
        train(pictures, tmp_path / "out", configuration())


def test_the_command_ends_in_a_table(pictures: Path, tmp_path: Path) -> None:
    arguments = ["scenes", str(pictures), "--preset", "smoke/one_shot", "--out", str(tmp_path / "out"), "--count", "2"]
    settings = ["--set", "schedule.iterations=1", "--set", "schedule.evaluation_count=0"]
    misspelt = CliRunner().invoke(cli.app, [*arguments, *settings, "--metrics", "pixel_diversty"])
    assert isinstance(misspelt.exception, UsageError)
    assert not (tmp_path / "out").exists()
    result = CliRunner().invoke(cli.app, [*arguments, *settings, "--metrics", "pixel_diversity"])
    assert result.exit_code == 0, result.output
    assert "2 of 2 pictures are finished" in result.output
    rows = list(csv.DictReader((tmp_path / "out" / "scores" / "scenes.csv").read_text().splitlines()))
    assert [(row["scene"], row["fakes"]) for row in rows] == [("high", "2"), ("wide", "2")]
    assert all(float(row["pixel_diversity"]) > 0 for row in rows)
