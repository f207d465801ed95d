"""The whole life of a run on one picture through the real command line: train, kill, resume, sample, measure."""

import json
from pathlib import Path

import pytest
import torch
import yaml

from sase_gan.networks.load import load_pyramid
from sase_gan.pixels import read_image, read_png_text, write_png
from sase_gan.runs import cost as run_cost
from sase_gan.runs.folder import RunFolder
from sase_gan.snapshot import snapshot_digest
from tests.processes import PATIENCE, invoke, run_until_power_cut, started, until

PICTURE = Path(__file__).resolve().parents[2] / "data" / "single" / "coffee.png"
SMOKE = ("--preset", "smoke/one_shot", "--threads", "1")
TOTAL = 18


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    invoke("train", PICTURE, *SMOKE, "--out", folder)
    return RunFolder(folder)


def test_a_run_leaves_a_model_of_every_stage(finished: RunFolder) -> None:
    assert list(finished.snapshots()) == [0, 6, 12, TOTAL]
    sizes = [load_pyramid(folder).size for folder in finished.snapshots().values()]
    config = yaml.safe_load(finished.config.read_text())
    stages = [tuple(size) for size in config["generator"]["sizes"]]
    assert sizes == [stages[0], *stages]
    assert finished.chosen_snapshot() == finished.snapshot(TOTAL)
    assert all(finished.grid(images).is_file() for images in finished.snapshots())
    (record,) = finished.records()
    assert record["model"]["images_seen"] == TOTAL
    assert record["metrics"]["sifd_efflite0"]["value"] > 0


def test_the_proportions_are_the_pictures(finished: RunFolder) -> None:
    height, width = load_pyramid(finished.chosen_snapshot()).size
    _, real_height, real_width = read_image(PICTURE).shape
    assert max(height, width) == 32
    assert abs(height - 32 * real_height / real_width) <= 1


def test_a_killed_run_resumes_to_the_same_weights(finished: RunFolder, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    run_until_power_cut("train", PICTURE, *SMOKE, "--out", folder, images=8)
    checkpoint = RunFolder(folder).checkpoint
    # What lies beyond the checkpoint is made again.
    assert torch.load(checkpoint, weights_only=True)["clock"]["images_seen"] == 4
    assert list(RunFolder(folder).snapshots()) == [0, 6]
    invoke("train", "--resume", folder, "--threads", "1")
    assert snapshot_digest(RunFolder(folder).snapshot(TOTAL)) == snapshot_digest(finished.snapshot(TOTAL))
    states = [torch.load(path, weights_only=True)["state_dict"] for path in (finished.checkpoint, checkpoint)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


@pytest.mark.slow  # a closed terminal is noticed alike, in test_soundness.py
def test_a_politely_killed_run_is_saved(tmp_path: Path) -> None:
    folder = tmp_path / "stopped"
    long = ("--set", "schedule.iterations=100000000", "--set", "schedule.checkpoint_images=100000000", "--no-figures")
    with started("train", PICTURE, *SMOKE, *long, "--out", folder) as process:
        until((folder / "metrics.csv").exists, process)
        process.terminate()
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, output
    assert f"sase-gan train --resume {folder}" in output
    seen = torch.load(RunFolder(folder).checkpoint, weights_only=True)["clock"]["images_seen"]
    assert list(RunFolder(folder).snapshots()) == [0, seen]


def test_a_run_is_foretold_before_it_starts(tmp_path: Path) -> None:
    output = invoke("train", PICTURE, *SMOKE, "--out", tmp_path / "run", "--dry-run")
    assert "trained at 32x22 px" in output
    assert "smaller than the picture" in output
    assert "time     about" in output
    assert "memory   about" in output
    assert "dry run" in output
    assert not (tmp_path / "run").exists()


def test_minutes_set_the_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    # As if an iteration took half a second in each of the three stages.
    cost = run_cost.PictureTrainingCost((0.5, 0.5, 0.5), 6 * 1.5, 3, 100.0)
    monkeypatch.setattr(run_cost, "measure_picture_training", lambda config, hardware: cost)
    output = invoke("train", PICTURE, *SMOKE, "--minutes", "1", "--dry-run")
    resolved = yaml.safe_load(output[output.index("task:") : output.index("dry run")])
    assert resolved["schedule"]["iterations"] == 40


def test_other_sizes_and_start_scales_are_drawn(finished: RunFolder, tmp_path: Path) -> None:
    invoke("sample", finished.path, "--seeds", "3,4", "--width", "88", "--height", "20", "--out", tmp_path)
    assert read_image(tmp_path / "seed000003.png").shape == (3, 20, 88)
    assert not torch.equal(read_image(tmp_path / "seed000003.png"), read_image(tmp_path / "seed000004.png"))
    invoke("sample", finished.path, "--seeds", "3", "--start-scale", "2", "--out", tmp_path / "fine")
    assert read_png_text(tmp_path / "fine" / "seed000003.png")["start_scale"] == "2"
    drawn = []
    for stages in (0, 1, 2):
        out = tmp_path / f"finished{stages}"
        invoke("sample", finished.path, "--seeds", "3", "--finished-stages", stages, "--out", out)
        drawn.append(read_image(out / "seed000003.png"))
    assert read_png_text(out / "seed000003.png")["finished_stages"] == "2"
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[1], drawn[2])


def test_a_run_is_measured_against_the_picture_that_it_holds(finished: RunFolder, tmp_path: Path) -> None:
    output = invoke("evaluate", finished.path, "--count", "4", "--out", tmp_path, "--no-cache")
    record = json.loads((tmp_path / "metrics.json").read_text())
    assert record["data"]["n"] == 1
    assert record["data"]["name"] == "coffee"
    assert record["fakes"]["n"] == 4
    assert record["metrics"]["sifd_efflite0"]["status"] == "ok"
    assert "report.html" in output
    real = read_image(next((tmp_path / "samples").glob("real*")))
    assert real.shape[1] >= 22


def _saved(tmp_path: Path, name: str) -> Path:
    """Pictures of kinds that cameras, scanners and broken disks make."""
    from PIL import Image

    path = tmp_path / f"{name}.png"
    picture = Image.open(PICTURE).convert("RGB")
    if name == "tiny":
        picture.resize((10, 10)).save(path)
    if name == "large":
        path = path.with_suffix(".jpg")
        picture.resize((5472, 3648)).save(path)
    if name == "grey":
        picture.convert("L").save(path)
    if name == "transparent":
        picture.putalpha(128)
        picture.save(path)
    if name == "long":
        picture.resize((400, 20)).save(path)
    if name == "broken":
        path.write_bytes(PICTURE.read_bytes()[:2000])
    return path


@pytest.mark.parametrize("name", ["large", "grey", "transparent"])
def test_every_kind_of_picture_is_trained_on(name: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    output = invoke(
        "train", _saved(tmp_path, name), *SMOKE, "--out", out, "--no-figures", "--set", "schedule.iterations=1"
    )
    picture = load_pyramid(RunFolder(out).chosen_snapshot()).picture
    assert picture.shape == (3, 22, 32)
    if name == "large":
        assert "5472x3648 px, trained at 32x22 px" in output
    if name == "grey":
        assert torch.equal(picture[0], picture[1])
    if name == "transparent":  # half over white
        opaque = load_pyramid_picture_of(tmp_path)
        assert (picture.float() - (opaque.float() * 128 + 255 * 127) / 255).abs().max() <= 3


def load_pyramid_picture_of(tmp_path: Path) -> torch.Tensor:
    """The opaque picture at the size of training."""
    from sase_gan.datasets.images import fitted, open_picture

    return fitted(open_picture(PICTURE), (22, 32)).images[0]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("tiny", "the picture is 10x10 px; its shorter side must be at least 14 px"),
        ("long", "its shorter side must stay at least 14 px: crop it, or raise pyramid.max_size"),
        ("broken", "cannot be read"),
        ("missing", "does not exist"),
    ],
)
def test_a_picture_that_cannot_be_used_is_explained(name: str, sentence: str, tmp_path: Path) -> None:
    assert sentence in invoke("train", _saved(tmp_path, name), *SMOKE, "--out", tmp_path / "run", code=4)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--image-size", "64"], "--max-size sets the longer side"),
        (["--kimg", "1"], "--minutes or --set schedule.iterations=N"),
        (["--batch-size", "4"], "--batch-size is 4, which is for a set of pictures"),
        (["--holdout", "0.1"], "--holdout is 0.1"),
        (["--set", "pyramid.stage=3"], "pyramid.stage is not a known key"),
    ],
)
def test_flags_of_sets_are_refused_for_one_picture(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    assert sentence in invoke("train", PICTURE, *SMOKE, *arguments, "--out", tmp_path / "run", code=2)


def test_a_folder_with_one_picture_is_one_picture(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    write_png(tmp_path / "folder" / "only.png", read_image(PICTURE))
    output = invoke("train", tmp_path / "folder", *SMOKE, "--dry-run")
    assert "trained at 32x22 px" in output


def test_signals_at_once_count_as_one() -> None:
    """`timeout` signals the process and its group; only a later signal means to stop at once."""
    import signal

    from sase_gan.runs.stopping import StopNow, StopOnSignal

    watch = StopOnSignal()
    watch._note(signal.SIGTERM, None)
    watch._note(signal.SIGTERM, None)
    assert watch.was_received()
    watch._received_at -= 60
    with pytest.raises(StopNow):
        watch._note(signal.SIGTERM, None)
