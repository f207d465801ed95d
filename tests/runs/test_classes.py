"""Conditional models: from the command line to pictures and figures by class, on from a checkpoint and a model."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from sase_gan.drawing.recipes import parse_names
from sase_gan.drawing.sampling import sample_images
from sase_gan.errors import DataError, UsageError
from sase_gan.hardware import choose_hardware
from sase_gan.networks.load import load_generator
from sase_gan.pixels import read_image, read_png_text
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.request import TrainRequest
from sase_gan.runs.starting import begin_from, open_start, settled_start
from sase_gan.runs.tasks.low_shot import LowShotTask
from sase_gan.runs.tasks.one_shot import OneShotTask
from sase_gan.runs.train import train as run_training
from sase_gan.training.config import LowShotConfig
from sase_gan.training.low_shot import LowShotModule
from tests.processes import invoke

DATA = Path(__file__).resolve().parents[2] / "data"
OPTIONS = ("--preset", "smoke/low_shot", "--threads", 1, "--device", "cpu")
QUIET = ("schedule.baseline_images=0", "schedule.log_images=4", "schedule.checkpoint_images=4")
TAUGHT = ("likelihood.weight=1", "likelihood.pool=4", "classes.ramp=[0.2, 1.0]")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return faces_and_fruits(tmp_path_factory.mktemp("few") / "both", 4, 3)


def faces_and_fruits(folder: Path, faces: int, fruits: int) -> Path:
    for name, source, count in (("faces", "emoji-faces", faces), ("fruits", "fruits-and-flowers", fruits)):
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


def test_it_goes_on_within_the_ramp_as_if_it_had_never_stopped(run: RunFolder, tmp_path: Path) -> None:
    parted = RunFolder(tmp_path / "parted")
    shutil.copytree(run.path, parted.path)
    parted.checkpoint.unlink()  # what is left is the one before, of 12 images
    invoke("train", "--resume", parted.path, "--threads", 1, "--device", "cpu", "--no-figures")
    states = [torch.load(one.checkpoint, weights_only=True) for one in (run, parted)]
    assert states[0]["state_dict"].keys() == states[1]["state_dict"].keys()
    assert all(torch.equal(value, states[1]["state_dict"][name]) for name, value in states[0]["state_dict"].items())
    assert torch.equal(states[0]["likelihood"]["latents"], states[1]["likelihood"]["latents"])


def test_it_goes_on_with_the_same_classes_alone(run: RunFolder, pictures: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(pictures, moved)
    first = sorted((moved / "faces").iterdir())[0]
    shutil.move(first, moved / "fruits" / first.name)
    resumed = TrainRequest(moved, resume=run.path, kimg=0.02, device="cpu", threads=1, figures=False)
    with pytest.raises(DataError, match="are not those that"):
        run_training(resumed)


def test_what_does_not_go_together_is_refused(run: RunFolder, pictures: Path, tmp_path: Path) -> None:
    def settled(**options: object) -> LowShotConfig:
        wanted = TrainRequest(pictures, tmp_path / "run", preset="smoke/low_shot", device="cpu", threads=1, **options)
        return LowShotTask().resolve(wanted, choose_hardware("cpu", "32-true", 1), told.append)

    told: list[str] = []
    with pytest.raises(UsageError, match=r"has the classes faces, fruits, and its latents mean nothing without one"):
        settled(start=run.path)
    assert "sub-folders could be classes (faces 4, fruits 3) and are not used; --classes folders makes" in told[0]
    assert settled(start=run.path, classes="folders").classes.ramp == (0.0, 0.0)  # they are known
    with pytest.raises(UsageError, match=r"classes is 'labels'; choose folders, or dataset\.json"):
        settled(classes="labels")
    with pytest.raises(DataError, match=r"fewer than 2 pictures|has no dataset.json"):
        settled(classes="dataset.json")
    one = TrainRequest(next((pictures / "faces").iterdir()), preset="smoke/one_shot", classes="folders")
    with pytest.raises(UsageError, match="one picture has one class"):
        OneShotTask().resolve(one, choose_hardware("cpu", "32-true", 1), told.append)


def test_a_conditional_model_begins_from_one_without_classes_and_from_one_of_others(
    run: RunFolder, tmp_path: Path
) -> None:
    """All but the classes' own weights are taken over, and those of the same classes too."""
    start = open_start(run.path)
    config = load_generator(run.snapshot(16)).config
    wanted = LowShotConfig(**yaml.safe_load(run.config.read_text()))
    for names, whole in ((("faces", "fruits"), True), (("cats", "dogs"), False)):
        classes = {**wanted.classes.model_dump(), "names": names}
        values = wanted.model_dump(exclude={"generator": {"classes"}, "classes": True})
        settled = settled_start(LowShotConfig(**{**values, "classes": classes}), start)
        module = LowShotModule(settled.model_dump(mode="json"))
        before, told = module.generator.class_embedding.clone(), list[str]()
        begin_from(settled, module, told.append)
        assert torch.equal(module.generator.class_embedding, before) != whole
        assert ("generator whole" in told[0]) == whole
        assert module.generator.b4.weight.shape[0] == config.latent_size


@pytest.mark.slow
def test_figures_come_by_class_beside_held_out_pictures(tmp_path: Path) -> None:
    # So many that each class has two left, whichever are held out.
    run = train(faces_and_fruits(tmp_path / "twelve", 6, 6), tmp_path / "run", 8, "--holdout", "0.17")
    words = ("--count", 30, "--out", tmp_path / "report", "--no-cache", "--device", "cpu", "--no-baseline")
    invoke("evaluate", run.path, *words)
    part = json.loads((tmp_path / "report" / "metrics.json").read_text())["classes"]
    assert [(one["name"], one["n_fake"] + 0) for one in part["classes"]] == [
        (name, sum(one["n_fake"] for one in part["classes"] if one["name"] == name)) for name in ("faces", "fruits")
    ]
    assert sum(one["n_fake"] for one in part["classes"]) == 30
    assert "50 are the fewest for a distance" in part["classes"][0]["left_out"]
    assert part["level_of"] == "2 held-out real pictures"
    page = (tmp_path / "report" / "report.html").read_text()
    assert "they were drawn as" in page
    assert read_image(tmp_path / "report" / "samples" / "classes.png").shape[0] == 3


def test_an_instant_model_draws_a_class_from_its_own_pictures(pictures: Path, tmp_path: Path) -> None:
    few = (
        "schedule.grid_images=2",
        "schedule.evaluation_count=0",
        "recombination.form=aligned",
        "recombination.even=false",
    )
    options = [word for setting in few for word in ("--set", setting)]
    kind = ("--preset", "instant", "--image-size", "32", "--classes", "folders", "--threads", 1, "--device", "cpu")
    invoke("train", pictures, *kind, "--out", tmp_path / "run", *options)
    invoke("sample", tmp_path / "run", "--seeds", "0-1", "--class", "fruits", "--sources", "--out", tmp_path / "drawn")
    for seed in range(2):
        origin = json.loads((tmp_path / "drawn" / f"seed00000{seed}=fruits.sources.json").read_text())
        assert all(name.startswith("fruits/") for name in origin["shares"])
    said = invoke("sample", tmp_path / "run", "--seeds", "0=faces.50=fruits.50", "--out", tmp_path / "mixed", code=2)
    assert "has nothing between two" in said


def test_a_class_that_is_not_there_is_refused(run: RunFolder, tmp_path: Path) -> None:
    said = invoke("sample", run.path, "--seeds", "0", "--class", "dogs", "--out", tmp_path, code=2)
    assert "there is no class 'dogs' in this model; its classes are faces, fruits" in said
    shipped = DATA / "snapshots" / "emoji-faces"
    said = invoke("sample", shipped, "--seeds", "0", "--class", "dogs", "--out", tmp_path, code=2)
    assert "this model has no classes" in said
