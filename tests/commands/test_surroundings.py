"""Inputs and outputs of commands: names, folders, several snapshots, few pictures, masks; in this process."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from PIL import Image
from torch import Tensor

from sase_gan import cli
from sase_gan.evaluation.pairs import _match
from sase_gan.metrics import verdicts
from sase_gan.metrics.fidelity import frechet_distance, frechet_distance_gram
from sase_gan.networks.generator import Generator
from sase_gan.pixels import read_png_text, write_png
from sase_gan.runs.tasks.instant import InstantTask
from tests.golden.make_golden import CONFIG
from tests.zoo import picture

Run = Callable[..., tuple[int, str]]
SNAPSHOT = Path(__file__).parents[1] / "golden" / "tiny_snapshot"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line in this process: the exit code, and all that was said."""
    monkeypatch.setenv("SASE_GAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["sase-gan", *map(str, words)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return code, " ".join(f"{said.out} {said.err}".split())

    return call


def faces(count: int) -> Tensor:
    return torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8)


def test_each_snapshot_s_samples_go_into_a_folder_of_their_own(run: Run, tmp_path: Path) -> None:
    for name in ("cats-001", "cats-002"):
        copy = shutil.copytree(SNAPSHOT, tmp_path / "runs" / name / "snapshots" / "000001kimg")
        assert run("sample", copy, "--seeds", "0-1")[0] == 0
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == [
        "cats-001-000001kimg",
        "cats-002-000001kimg",
    ]
    assert run("sample", SNAPSHOT, "--seeds", "0")[0] == 0
    assert (tmp_path / "samples" / "tiny_snapshot" / "grid.png").is_file()


def test_pictures_of_another_snapshot_in_the_folder_are_told(run: Run, tmp_path: Path) -> None:
    write_png(tmp_path / "out" / "seed000009.png", faces(1)[0], {"snapshot": "b" * 64, "seed": "9"})
    code, said = run("sample", SNAPSHOT, "--seeds", "0-1", "--out", "out")
    assert code == 0
    assert "out also holds 1 pictures of another snapshot" in said


def test_a_grid_of_ours_is_no_sample_and_a_mixture_is_told(run: Run, tmp_path: Path) -> None:
    for index, image in enumerate(faces(24)):
        digest = ("a" if index < 20 else "b") * 64
        write_png(tmp_path / "fakes" / f"seed{index:06d}.png", image, {"snapshot": digest, "seed": str(index)})
        write_png(tmp_path / "reals" / f"{index}.png", faces(1)[0])
    write_png(tmp_path / "fakes" / "grid.png", faces(1)[0], {"snapshot": "a" * 64, "seeds": "0-23"})
    options = ("--metrics", "patches", "--no-cache")
    code, said = run("evaluate", "fakes", "--real", "reals", "--out", "out", *options)
    assert code == 0
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["fakes"]["n"] == 24
    assert "fakes mixes pictures of 2 snapshots (20 of aaaaaaaa, 4 of bbbbbbbb)" in said
    assert "fakes: left out, a sheet that sase-gan wrote (a grid, a strip): 1 file (grid.png)." in said
    # The evaluation's own pictures are evidence, and no set of pictures.
    assert read_png_text(tmp_path / "out" / "samples" / "fakes.png") == {"sase_gan": "sheet"}
    code, said = run("evaluate", "fakes", "--real", "out", "--out", "again", *options)
    assert code == 4
    assert "out was written by sase-gan (evaluation)" in said


def test_the_longest_name_owns_a_picture(tmp_path: Path) -> None:
    for name in ("bird", "bird_2", "bird_2_b"):
        write_png(tmp_path / "real" / f"{name}.png", faces(1)[0])
    for name in ("bird", "bird_1", "bird_2", "bird_2_0", "bird_2_1", "bird_2_b_7", "bird_22"):
        write_png(tmp_path / "fakes" / f"{name}.png", faces(1)[0])
    owned = {
        scene.stem: [path.stem for path in own] for scene, own in _match(tmp_path / "fakes", tmp_path / "real").items()
    }
    assert owned == {
        "bird": ["bird", "bird_1", "bird_22"],
        "bird_2": ["bird_2", "bird_2_0", "bird_2_1"],
        "bird_2_b": ["bird_2_b_7"],
    }


def test_evaluate_says_where_it_cannot_write_before_its_work(run: Run, tmp_path: Path) -> None:
    for index, image in enumerate(faces(4)):
        write_png(tmp_path / "fakes" / f"{index}.png", image)
    (tmp_path / "taken").write_text("mine")
    # Before its work: the real pictures would be refused, for there are none.
    code, said = run("evaluate", "fakes", "--real", "fakes/nothing", "--out", "taken")
    assert code == 5
    assert "taken cannot be used: there is a file of that name" in said


def test_what_the_disk_says_in_the_middle_is_a_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*arguments: object, **more: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "out" / ".seed.png"))

    monkeypatch.setattr("sase_gan.api.images.write_png", full)
    code, said = run("sample", SNAPSHOT, "--seeds", "0", "--out", "out")
    assert code == 5
    assert said.endswith(
        f"sase-gan: {tmp_path / 'out'} cannot be used: the disk is full; free some space or choose another place"
    )


def test_ctrl_c_is_said_in_a_sentence_by_every_command(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*unused: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sase_gan.api.images.write_png", interrupted)
    code, said = run("sample", SNAPSHOT, "--seeds", "0", "--out", "out")
    assert code == 130
    assert said.endswith("sase-gan: interrupted")


def test_signs_that_command_a_terminal_are_not_printed(run: Run) -> None:
    code, said = run("data", "check", "no\x1b[31msuch\rfolder")
    assert code == 4
    assert "no\N{REPLACEMENT CHARACTER}[31msuch" in said
    assert "\x1b" not in said


def test_a_dry_run_reads_every_picture(run: Run, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    for index in range(4):
        picture(index, 32).save(tmp_path / "set" / f"{index}.png")
    (tmp_path / "set" / "9.png").write_bytes(b"broken")
    code, said = run("train", "set", "--dry-run", "--preset", "instant", "--image-size", "32")
    assert code == 4
    assert "9.png cannot be read" in said


def test_training_tells_what_is_lost_and_takes_another_background(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two pictures are drawn to foretell the time; not here.
    monkeypatch.setattr(InstantTask, "foretell", lambda self, config, *others: config)
    (tmp_path / "set").mkdir()
    for index in range(4):
        drawing = Image.new("RGBA", (32, 32), (255, 255, 255, 0))
        drawing.paste((255, 255, 255, 255), (index, 4, 12 + 3 * index, 28))
        drawing.save(tmp_path / "set" / f"{index}.png")
    command = ("train", "set", "--dry-run", "--preset", "instant", "--image-size", "32")
    code, said = run(*command)
    assert code == 0
    assert "lost: 4 pictures with a drawing on transparent ground" in said
    assert "alike: all 4 pictures are the same one" in said
    code, said = run(*command, "--background", "black")
    assert code == 0
    assert "background: black" in said
    assert "lost:" not in said
    code, said = run(*command, "--background", "blackish")
    assert code == 2
    assert said.count("blackish") == 1
    assert "data.background is 'blackish'; write a name such as black" in said


def test_few_pictures_get_no_colour() -> None:
    assert verdicts.single_quality(5.0, 9).colour == "grey"
    assert verdicts.single_quality(5.0, 10).colour == "green"
    assert verdicts.single_copying(0, 1).colour == "grey"
    assert verdicts.single_copying(1, 1).colour == "red"  # a copy is one, however few were drawn
    assert verdicts.single_diversity(0.9, 1).colour == "grey"


def test_a_distance_of_equal_sets_is_nought_and_not_less() -> None:
    for seed in range(20):
        x = torch.randn(12, 40, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 100
        for distance in (frechet_distance, frechet_distance_gram):
            assert 0 <= distance(x, x.clone()) < 1e-3


def test_a_card_shows_names_as_they_are(tmp_path: Path) -> None:
    model = Generator(CONFIG)
    model.provenance = {"data": {"licence": "free\n---\n<script>|x|", "name": "a|b\n# [cats](http://x) <img src=y>"}}
    model.save_pretrained(tmp_path / "model")
    text = (tmp_path / "model" / "README.md").read_text()
    assert ModelCard.load(tmp_path / "model" / "README.md").data.to_dict()["license_name"] == "free\n---\n<script>|x|"
    body = text.split("\n---\n\n", 1)[1]
    assert "<script>" not in body
    assert "<img" not in body
    (row,) = [line for line in body.splitlines() if line.startswith("| data name")]
    assert row == "| data name | a&#124;b # &#91;cats&#93;(http:&#47;/x) &lt;img src=y&gt; |"
