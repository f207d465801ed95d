import csv
import json
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sase_gan import cli
from sase_gan.datasets.images import load_image_set
from sase_gan.features import known_weights, weights
from sase_gan.pixels import read_image, write_png

Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """The command line in this process, without a network, weights or a cache of before; returns the exit code."""

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("something tried to reach the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.delenv(weights.ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setenv("SASE_GAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> int:
        monkeypatch.setattr(sys, "argv", ["sase-gan", *map(str, words)])
        try:
            cli.main()
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    return call


@pytest.fixture(scope="module")
def faces() -> Tensor:
    path = Path(__file__).parents[2] / "data" / "emoji-faces"
    return load_image_set(path, image_size=48, max_images=48).images


def save(images: Tensor, folder: Path) -> Path:
    for index, image in enumerate(images):
        write_png(folder / f"{index:03d}.png", image)
    return folder


def record(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return found


def test_mirrored_copies_are_red_in_the_record(run: Run, faces: Tensor, tmp_path: Path) -> None:
    fakes, reals = save(faces[:24].flip(-1), tmp_path / "fakes"), save(faces[:24], tmp_path / "reals")
    assert run("evaluate", fakes, "--real", reals, "--out", tmp_path / "out", "--metrics", "copying") == 0
    found = record(tmp_path / "out")
    assert found["verdict"]["copying"] == "red"
    assert len(found["pictures"]["copying"]) == 16
    for pair in found["pictures"]["copying"]:
        assert read_image(tmp_path / "out" / pair["fake"]).shape == (3, 48, 48)
        assert pair["fake_name"] == pair["nearest_name"]


def test_whole_evaluation_offline_writes_everything(
    run: Run, faces: Tensor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fakes, reals = save(faces[24:], tmp_path / "fakes"), save(faces[:24], tmp_path / "reals")
    (fakes / "notes.txt").write_text("no picture")
    assert run("evaluate", fakes, "--real", reals, "--out", "out", "--licence", "OFL-1.1", "--holdout", "20%") == 0
    out = tmp_path / "out"
    found = record(out)
    text = capsys.readouterr()
    assert "fakes: left out, no picture by the suffix: 1 file (notes.txt)." in text.err
    assert "kid_efflite0" in text.out
    assert found["data"]["licence"] == "OFL-1.1"
    assert found["data"]["holdout"] > 0
    assert found["data"]["holdout"] + found["data"]["n"] == 24
    assert found["metrics"]["holdout_nearer_share"]["status"] == "ok"
    # 24 pictures are not the thousand that the name stands for.
    assert (found["protocol"]["name"], found["protocol"]["changed_from"]) == ("custom", "quick")
    assert found["protocol"]["num_fakes"] == 24
    assert found["command"] == "sase-gan evaluate fakes --real reals --holdout 20% --licence OFL-1.1"
    assert str(tmp_path) not in (out / "metrics.json").read_text() + (out / "report.html").read_text()
    with (out / "figures.csv").open() as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert float(rows["kid_efflite0"]["value"]) == found["metrics"]["kid_efflite0"]["value"]
    for name in ("report.html", "report.md"):
        assert "FID" not in (out / name).read_text()
    for picture in (found["pictures"]["reals"], found["pictures"]["typical"][0]["picture"]):
        assert (out / picture).is_file()


def test_fid_without_its_weights_ends_before_any_work(
    run: Run, faces: Tensor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fakes, reals = save(faces[24:], tmp_path / "fakes"), save(faces[:24], tmp_path / "reals")
    assert run("evaluate", fakes, "--real", reals, "--out", "out", "--metrics", "fid,kid_vgg16") == 3
    text = capsys.readouterr().err
    assert "FID was asked for, and the Inception weights were not found." in text
    assert "the VGG16 weights" in text
    assert not (tmp_path / "out").exists()


def test_missing_weights_can_be_skipped(run: Run, faces: Tensor, tmp_path: Path) -> None:
    fakes, reals = save(faces[24:], tmp_path / "fakes"), save(faces[:24], tmp_path / "reals")
    words = ("--metrics", "fid,copy_share", "--skip-missing", "--no-cache")
    assert run("evaluate", fakes, "--real", reals, "--out", "out", *words) == 0
    metrics = record(tmp_path / "out")["metrics"]
    assert metrics["fid"] == {**metrics["fid"], "status": "skipped", "reason": "weights missing: inception"}
    assert metrics["copy_share"]["status"] == "ok"
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("content", "code", "sentence"),
    [
        ("empty", 4, "fakes holds no picture; PNG"),
        ("mixed rectangles", 4, "wide.png is 64 x 48 and wider.png is 80 x 48"),
        ("text only", 4, r"only other files \(1 no picture by the suffix, such as a.txt\)"),
        ("broken", 4, "broken.png"),
        ("absent", 4, "does not exist"),
    ],
)
def test_unusable_folders_end_in_a_sentence(
    run: Run, faces: Tensor, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, code: int, sentence: str
) -> None:
    import re

    reals, fakes = save(faces[:12], tmp_path / "reals"), tmp_path / "fakes"
    if content != "absent":
        fakes.mkdir()
    if content == "mixed rectangles":
        write_png(fakes / "wide.png", torch.zeros(3, 48, 64, dtype=torch.uint8))
        write_png(fakes / "wider.png", torch.zeros(3, 48, 80, dtype=torch.uint8))
    if content == "broken":
        save(faces[12:16], fakes)
        (fakes / "broken.png").write_bytes(b"half a pict")
    if content == "text only":
        (fakes / "a.txt").write_text("x")
    assert run("evaluate", fakes, "--real", reals, "--out", "out") == code
    text = capsys.readouterr().err
    assert re.search(sentence, text)
    assert text.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_mixed_sizes_can_be_brought_to_one(run: Run, faces: Tensor, tmp_path: Path) -> None:
    fakes, reals = save(faces[12:36], tmp_path / "fakes"), save(faces[:12], tmp_path / "reals")
    write_png(fakes / "big.png", torch.full((3, 64, 90), 200, dtype=torch.uint8))
    words = ("--image-size", 32, "--metrics", "patches")
    assert run("evaluate", fakes, "--real", reals, "--out", "out", *words) == 0
    assert record(tmp_path / "out")["fakes"]["image_size"] == [32, 32]


def test_mixed_sizes_are_measured_at_that_of_most(
    run: Run, faces: Tensor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fakes, reals = save(faces[12:18], tmp_path / "fakes"), save(faces[:12], tmp_path / "reals")
    write_png(fakes / "grid.png", torch.full((3, 96, 96), 200, dtype=torch.uint8))
    assert run("evaluate", fakes, "--real", reals, "--out", "out", "--metrics", "patches") == 0
    sentence = "6 pictures in fakes are 48 x 48 and 1 other not, such as grid.png (96 x 96)"
    assert sentence in capsys.readouterr().err
    found = record(tmp_path / "out")
    assert found["fakes"]["image_size"] == [48, 48]
    assert found["notes"][0].startswith(sentence)
    assert sentence in (tmp_path / "out" / "report.md").read_text()


def test_more_pictures_than_the_protocol_asks_for_are_left_out_with_a_note(
    run: Run, faces: Tensor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fakes, reals = save(faces[12:22], tmp_path / "fakes"), save(faces[:12], tmp_path / "reals")
    words = ("--count", 8, "--metrics", "patches", "--out", "out")
    assert run("evaluate", fakes, "--real", reals, *words) == 0
    assert "fakes holds 10 pictures; the first 8 by name were measured" in capsys.readouterr().err
    assert record(tmp_path / "out")["fakes"]["n"] == 8


def test_one_fake_is_measured_as_far_as_possible(run: Run, faces: Tensor, tmp_path: Path) -> None:
    fakes, reals = save(faces[40:41], tmp_path / "fakes"), save(faces[:12], tmp_path / "reals")
    assert run("evaluate", fakes, "--real", reals, "--out", "out", "--metrics", "copying,distribution") == 0
    found = record(tmp_path / "out")
    assert found["metrics"]["fd_efflite0"]["status"] == "not_applicable"
    assert found["metrics"]["copy_share"]["status"] == "ok"
    assert found["verdict"]["copying"] == "grey"


def test_real_pictures_must_be_named(
    run: Run, faces: Tensor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("evaluate", save(faces[:3], tmp_path / "fakes")) == 2
    assert "--real FOLDER" in capsys.readouterr().err


def test_wrong_options_end_in_a_sentence(
    run: Run, faces: Tensor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fakes = save(faces[:4], tmp_path / "fakes")
    for words, sentence in (
        (("--protocol", "fast"), "no protocol 'fast'"),
        (("--metrics", "fdi"), "no figure called 'fdi'"),
        (("--extractor", "resnet"), "no feature extractor 'resnet'"),
        (("--fit", "stretch"), "fit is 'stretch'"),
        (("--holdout", "some"), "holdout is 'some'"),
    ):
        assert run("evaluate", fakes, "--real", fakes, *words) == 2
        assert sentence in capsys.readouterr().err


def test_one_real_picture_gives_single_image_figures(run: Run, faces: Tensor, tmp_path: Path) -> None:
    fakes = save(faces[1:3], tmp_path / "fakes")
    write_png(tmp_path / "real.png", faces[0])
    assert run("evaluate", fakes, "--real", tmp_path / "real.png", "--out", "out") == 0
    found = record(tmp_path / "out")
    assert found["metrics"]["sifd_efflite0"]["status"] == "ok"
    assert found["metrics"]["kid_efflite0"]["status"] == "not_applicable"
    assert (tmp_path / "out" / "report.html").is_file()


def test_scenes_are_paired_by_name(run: Run, faces: Tensor, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reals, fakes = tmp_path / "reals", tmp_path / "fakes"
    for index, name in enumerate(("10", "9", "b")):
        write_png(reals / f"{name}.png", faces[index, :, :40])
    write_png(fakes / "10.png", faces[0, :, :40])
    write_png(fakes / "9.png", faces[5, :, :40])
    write_png(fakes / "b_0.png", faces[6, :, :40, :47])  # a pixel narrower than its scene
    write_png(fakes / "b_1.png", faces[7, :, :40, :47])
    assert run("evaluate", fakes, "--real", reals, "--pairs", "--out", "out") == 0
    table = json.loads((tmp_path / "out" / "scenes.json").read_text())
    rows = {scene["name"]: scene for scene in table["scenes"]}
    assert rows["10"]["metrics"]["sifd_efflite0"]["value"] == pytest.approx(0, abs=1e-6)
    assert rows["10"]["verdict"]["copying"] == "red"
    assert rows["9"]["metrics"]["sifd_efflite0"]["value"] > 0
    assert rows["b"]["fakes"]["n"] == 2
    assert "sifd_efflite0" in (tmp_path / "out" / "scenes.md").read_text()
    assert run("evaluate", fakes, "--real", reals, "--pairs", "--image-size", "30", "--out", "small") == 0
    table = json.loads((tmp_path / "small" / "scenes.json").read_text())
    assert [scene["fakes"]["image_size"] for scene in table["scenes"]] == [[25, 30]] * 3
    assert table["scenes"][0]["metrics"]["pixel_difference"]["value"] == 0
    (fakes / "9.png").unlink()
    capsys.readouterr()
    assert run("evaluate", fakes, "--real", reals, "--pairs", "--out", "out2") == 4
    assert "has no generated picture called 9" in capsys.readouterr().err


def test_snapshot_is_sampled_walked_and_repeatable(run: Run, faces: Tensor, tmp_path: Path) -> None:
    from sase_gan.networks.generator import Generator, GeneratorConfig

    reals = save(faces[:12], tmp_path / "reals")
    network = Generator(GeneratorConfig(image_size=32, width=8))
    network.provenance = {"images_seen": 7, "averaged": True, "extractor_used_in_training": True}
    network.save_pretrained(tmp_path / "snapshot")
    words = ("--real", reals, "--count", 6, "--metrics", "copying,smoothness", "--no-cache")
    for out in ("one", "two"):
        assert run("evaluate", tmp_path / "snapshot", *words, "--out", out) == 0
    one, two = record(tmp_path / "one"), record(tmp_path / "two")
    assert one["model"]["images_seen"] == 7
    assert one["model"]["extractor_used_in_training"]
    assert one["protocol"]["name"] == "custom"
    assert one["pictures"]["walk"]["strip"] == "samples/walk.png"
    assert len(one["pictures"]["walk"]["steps"]) == 8
    for found in (one, two):
        for key in ("created", "seconds", "timing"):
            del found[key]
    assert one == two


def test_evaluation_of_a_run_keeps_what_its_report_tells_about_the_run(run: Run, faces: Tensor, tmp_path: Path) -> None:
    from sase_gan.networks.generator import Generator, GeneratorConfig

    reals, folder = save(faces[:12], tmp_path / "reals"), tmp_path / "run"
    Generator(GeneratorConfig(image_size=32, width=8)).save_pretrained(folder / "snapshots" / "000001kimg")
    (folder / "config.yaml").write_text(f"task: low_shot\ndata:\n  path: {reals}\n  fit: crop\n")
    (folder / "metrics.csv").write_text("images_seen,g_adversarial\n500,1.0\n1000,0.5\n")
    words = ("--count", 3, "--metrics", "patches", "--no-cache", "--out", "elsewhere")
    assert run("evaluate", folder, *words) == 0
    out = tmp_path / "elsewhere"
    assert record(out)["command"].startswith("sase-gan evaluate run --count 3")
    page = (out / "report.html").read_text()
    assert "Adversarial losses" in page
    assert "path: reals" in page
    assert str(tmp_path) not in page
    shutil.rmtree(folder)
    (out / "report.html").unlink()
    assert run("report", out) == 0
    assert "Adversarial losses" in (out / "report.html").read_text()


def test_weights_commands(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("weights", "list") == 0
    assert "inception" in capsys.readouterr().out
    assert run("weights", "verify") == 0
    assert "efflite0: whole (579344248a93" in capsys.readouterr().out
    damaged = tmp_path / "folder" / known_weights.KNOWN["lpips-squeeze"].filename
    damaged.parent.mkdir()
    damaged.write_bytes(b"cut")
    assert run("weights", "verify", "--dir", damaged.parent) == 3
    assert "cut short" in capsys.readouterr().err
    assert run("weights", "import", "inception", damaged) == 3
    assert run("weights", "fetch", "nothing") == 2
    shutil.rmtree(damaged.parent)
    assert run("weights", "import", "inception", damaged) == 3
    assert "There is no file" in capsys.readouterr().err


TINY = Path(__file__).parents[1] / "golden" / "tiny_snapshot"


def test_fid_fastgan_draws_and_prepares_as_fastgans_evaluation(
    run: Run, faces: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a stand-in for Inception: 48 means, of pictures at 256 px from either side."""
    from sase_gan.drawing.training_mode import sample_in_training_mode
    from sase_gan.metrics import extractors
    from sase_gan.metrics.fidelity import frechet_distance
    from sase_gan.metrics.measuring import _truncation
    from sase_gan.metrics.records import ModelPart
    from sase_gan.networks.load import load_network

    seen: list[torch.Size] = []

    def means(_network: object, images: Tensor) -> Tensor:
        seen.append(images.shape[1:])
        return torch.nn.functional.adaptive_avg_pool2d(images.float(), 4).flatten(1)

    find = weights.find
    stand_in = {"inception": TINY / "config.json"}
    monkeypatch.setattr(weights, "find", lambda name, *_rest: stand_in.get(name) or find(name))
    monkeypatch.setattr(extractors, "library_extractor", lambda *_args: torch.nn.Identity())
    monkeypatch.setattr(extractors, "fastgan_inception_features", means)
    wide = torch.nn.functional.interpolate(faces[:12], size=(48, 80))
    words = ("--protocol", "fid_fastgan", "--count", "20", "--metrics", "fid_fastgan")
    assert run("evaluate", TINY, "--real", save(wide, tmp_path / "reals"), "--out", "out", *words) == 0
    found = record(tmp_path / "out")
    assert set(seen) == {(3, 256, 256)}
    fakes = sample_in_training_mode(load_network(TINY), range(1_000_000, 1_000_016))
    reals = load_image_set(tmp_path / "reals", image_size=256, fit="squash").images
    expected = frechet_distance(means(None, fakes), means(None, reals))
    assert found["metrics"]["fid_fastgan"]["value"] == pytest.approx(expected, rel=1e-4)
    protocol = found["protocol"]
    assert (protocol["changed_from"], protocol["num_fakes"], protocol["pipeline"]) == ("fid_fastgan", 16, "fastgan")
    # Beside pictures that were drawn one by one no figure of these is ranked.
    drawn = ModelPart(truncation=1.0, noise=found["model"]["noise"])
    assert _truncation(drawn) != _truncation(ModelPart(truncation=1.0, noise="random"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--count", 15), "count is 15; fid_fastgan draws whole batches of 16"),
        (("--image-size", 64), "fid_fastgan scores at 256 px"),
        (("--pairs",), "--pairs scores pictures one by one"),
    ],
)
def test_options_that_do_not_fit_fid_fastgan_are_refused(
    run: Run, faces: Tensor, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[Any, ...], sentence: str
) -> None:
    reals = save(faces[:4], tmp_path / "reals")
    command = ("evaluate", TINY, "--real", reals, "--protocol", "fid_fastgan", "--skip-missing", *words)
    assert run(*command) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())
