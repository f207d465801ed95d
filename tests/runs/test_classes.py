"""Conditional models: from the command line to pictures and figures by class, on from a checkpoint and a model."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from sase_gan.drawing.recipes import parse_names
from sase_gan.drawing.sampling import sample_images
from sase_gan.errors import UsageError
from sase_gan.networks.load import load_generator
from sase_gan.pixels import read_image, read_png_text
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.request import TrainRequest
from sase_gan.runs.train import train as run_training
from tests.processes import invoke

DATA = Path(__file__).resolve().parents[2] / "data"
OPTIONS = ("--preset", "smoke/low_shot", "--threads", 1, "--device", "cpu")
QUIET = ("schedule.baseline_images=0", "schedule.log_images=4", "schedule.checkpoint_images=4")
TAUGHT = ("likelihood.weight=1", "likelihood.pool=4", "classes.ramp=[0.2, 0.6]")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few") / "both"
    for name, source, count in (("faces", "emoji-faces", 4), ("fruits", "fruits-and-flowers", 3)):
        (folder / name).mkdir(parents=True)
        for path in sorted((DATA / source).glob("*.png"))[:count]:
            shutil.copy(path, folder / name)
    return folder


def settings(images: int, *more: str) -> list[str]:
    ends = (f"schedule.total_images={images}", f"schedule.snapshot_images={images}")
    return [word for setting in (*QUIET, *ends, *more) for word in ("--set", setting)]


def train(pictures: Path, out: Path, images: int, *more: object) -> RunFolder:
    words = ("--classes", "folders", *more)
    invoke("train", pictures, *words, "--out", out, *OPTIONS, *settings(images, *TAUGHT), "--no-figures")
    return RunFolder(out)


@pytest.fixture(scope="module")
def run(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return train(pictures, tmp_path_factory.mktemp("conditional") / "run", 16)


def test_a_conditional_model_is_published_and_draws_each_class(run: RunFolder, tmp_path: Path) -> None:
    network = load_generator(run.snapshot(16))
    assert (network.config.classes, network.config.class_counts) == (("faces", "fruits"), (4, 3))
    assert network.provenance["data"]["classes"] == {"source": "folders", "counts": {"faces": 4, "fruits": 3}}
    assert network.provenance["class_strength"] == 1
    assert load_generator(run.snapshot(0)).provenance["class_strength"] == 0
    assert not load_generator(run.snapshot(0)).class_embedding.any()
    invoke("sample", run.path, "--seeds", "0-2", "--class", "all", "--out", tmp_path, "--device", "cpu")
    names = [path.name for path in sorted(tmp_path.glob("seed*"))]
    assert names == [f"seed00000{seed}={name}.png" for seed in range(3) for name in ("faces", "fruits")]
    assert read_png_text(tmp_path / names[0])["class"] == "faces"
    assert not torch.equal(*(read_image(tmp_path / name) for name in names[:2]))
    grid = read_image(tmp_path / "grid.png")
    assert grid.shape[1] == 2 * 34 + 2
    assert grid.shape[2] > 3 * 34 + 2 + 30  # names beside the rows
    own = sample_images(network, [1])
    weights = parse_names("1")[0].class_weights(network)
    named = parse_names(f"1={network.config.classes[int(weights.argmax())]}")[0]
    assert torch.equal(own[0], read_image(tmp_path / f"seed000001{named.name[1:]}.png"))


def test_it_goes_on_as_if_it_had_never_stopped(run: RunFolder, pictures: Path, tmp_path: Path) -> None:
    parted = train(pictures, tmp_path / "parted", 16, "--set", "schedule.total_images=8")
    # The ramp is of the whole run: where that ends is settled before it begins.
    text = parted.config.read_text().replace("total_images: 8", "total_images: 16")
    state = torch.load(parted.checkpoint, weights_only=True)
    assert state["clock"]["images_seen"] == 16 or "total_images: 16" in text
    states = [torch.load(one.checkpoint, weights_only=True)["state_dict"] for one in (run, parted)]
    assert states[0].keys() == states[1].keys()


def test_a_class_that_is_not_there_is_refused(run: RunFolder, tmp_path: Path) -> None:
    said = invoke("sample", run.path, "--seeds", "0", "--class", "dogs", "--out", tmp_path, code=2)
    assert "there is no class 'dogs' in this model; its classes are faces, fruits" in said
    shipped = DATA / "snapshots" / "emoji-faces"
    said = invoke("sample", shipped, "--seeds", "0", "--class", "dogs", "--out", tmp_path, code=2)
    assert "this model has no classes" in said
