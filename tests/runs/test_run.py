"""The whole life of a run through the real command line: train, kill, resume, interrupt, sample."""

import csv
import json
import signal
from pathlib import Path

import pytest
import torch

from sase_gan.networks.load import load_generator
from sase_gan.pixels import read_png_text
from sase_gan.runs.folder import RunFolder, kimg
from sase_gan.snapshot import snapshot_digest
from tests.processes import PATIENCE, invoke, run_command, run_until_power_cut, started, until

FACES = Path(__file__).resolve().parents[2] / "data" / "emoji-faces"


def read_rows(run_folder: RunFolder) -> list[dict[str, str]]:
    return list(csv.DictReader(run_folder.metrics.read_text().splitlines()))


def train(out: Path, *more: str) -> list[str]:
    return [
        "train",
        str(FACES),
        "--preset",
        "smoke/low_shot",
        "--out",
        str(out),
        "--no-figures",
        "--threads",
        "1",
        *more,
    ]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    invoke(*train(folder))
    return RunFolder(folder)


def test_a_run_leaves_a_folder_that_explains_itself(finished: RunFolder) -> None:
    rows = read_rows(finished)
    assert [int(row["images_seen"]) for row in rows] == [20, 40, 60, 80]
    assert all(float(row["d_real"]) > 0 and float(row["seconds"]) > 0 for row in rows)
    assert (finished.path / "README.md").read_text().startswith("# A training run")
    assert {path.name for path in (finished.path / "grids").iterdir()} >= {
        "reals.png",
        f"{kimg(0)}.png",
        f"{kimg(80)}.png",
    }
    assert list(finished.snapshots()) == [80]
    assert load_generator(finished.snapshot(80)).provenance["images_seen"] == 80


def test_a_killed_run_resumes_to_the_same_weights(finished: RunFolder, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    run_until_power_cut(*train(folder), images=60)
    killed = RunFolder(folder)
    # What lies beyond the checkpoint is made again.
    assert torch.load(killed.checkpoint, weights_only=True)["clock"]["images_seen"] == 40
    assert [int(row["images_seen"]) for row in read_rows(killed)] == [20, 40, 60]
    invoke("train", "--resume", folder, "--no-figures", "--threads", "1")
    assert snapshot_digest(RunFolder(folder).snapshot(80)) == snapshot_digest(finished.snapshot(80))
    whole = torch.load(finished.checkpoint, weights_only=True)
    resumed = torch.load(RunFolder(folder).checkpoint, weights_only=True)
    assert whole["state_dict"].keys() == resumed["state_dict"].keys()
    for name, value in whole["state_dict"].items():
        assert torch.equal(value, resumed["state_dict"][name]), name
    columns = ("images_seen", "d_real", "d_fake", "g_adversarial")
    tables = [read_rows(finished), read_rows(RunFolder(folder))]
    assert [[row[c] for c in columns] for row in tables[0]] == [[row[c] for c in columns] for row in tables[1]]


def test_an_interrupted_run_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "interrupted"
    with started(*train(folder, "--kimg", "1000000")) as process:
        until((folder / "metrics.csv").exists, process)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, output
    assert f"sase-gan train --resume {folder}" in output
    seen = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["clock"]["images_seen"]
    assert max(RunFolder(folder).snapshots()) == seen
    assert "Traceback" not in output


def test_samples_carry_their_seed_and_snapshot(finished: RunFolder, tmp_path: Path) -> None:
    invoke("sample", finished.path, "--seeds", "3,7-8", "--out", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "grid.png",
        "seed000003.png",
        "seed000007.png",
        "seed000008.png",
    }
    text = read_png_text(tmp_path / "seed000007.png")
    assert text["seed"] == "7"
    assert text["snapshot"] == snapshot_digest(finished.snapshot(80))


def test_a_walk_becomes_a_film(finished: RunFolder, tmp_path: Path) -> None:
    output = invoke("sample", finished.path, "--seeds", "1,2,3", "--walk", "4", "--out", tmp_path)
    assert "12 frames" in output
    import imageio.v3 as imageio

    assert len(list(imageio.imiter(tmp_path / "walk.mp4", plugin="pyav"))) == 12


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    output = invoke(*train(tmp_path / "dry", "--dry-run"))
    assert "parameters" in output
    assert "dry run: nothing was written" in output
    assert not (tmp_path / "dry").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["train", "nowhere"], 4, "nowhere"),
        (["train", "EMPTY"], 4, "holds no picture"),
        (["train", "BROKEN"], 4, "broken.png"),
        (["train", "FACES", "--preset", "demmo"], 2, "choose one of"),
        (["train", "FACES", "--set", "loss.r2=1"], 2, "loss.r2 is not a known key"),
        (["train", "FACES", "--image-size", "100"], 2, "choose one of 32, 64"),
        (["train", "FACES", "--batch-size", "1"], 2, "optimiser.batch_size is 1"),
        (["train", "FACES", "--fit", "stretch"], 2, "data.fit"),
        (["train", "FACES", "--device", "tpu"], 2, "this machine has"),
        (["train"], 2, "no pictures were given"),
        (["train", "--resume", "nowhere"], 4, "holds no run"),
        (["sample", "nowhere"], 4, "does not exist"),
        (["train", "FACES", "--no-such-option"], 2, "No such option"),
    ],
)
def test_a_mistake_gets_one_sentence(arguments: list[str], code: int, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    for number in range(4):
        (tmp_path / "broken" / f"{number}.png").write_bytes((FACES / "angry-face.png").read_bytes())
    (tmp_path / "broken" / "broken.png").write_bytes(b"this is no picture")
    places = {"EMPTY": tmp_path / "empty", "BROKEN": tmp_path / "broken", "FACES": FACES}
    out = ["--out", str(tmp_path / "run")] if arguments[0] == "train" and "--resume" not in arguments else []
    output = invoke(*(places.get(a, a) for a in arguments), *out, code=code)
    assert sentence in output
    assert "Traceback" not in output
    assert not (tmp_path / "run").exists()


def test_a_mistake_ends_the_process_with_its_code() -> None:
    output = run_command("train", "nowhere", code=4)
    assert output.startswith("sase-gan: nowhere does not exist; give")
    assert output.count("\n") == 1


def test_records_survive_a_resume(finished: RunFolder, tmp_path: Path) -> None:
    run_folder = RunFolder(tmp_path)
    for images in (0, 40, 80):
        run_folder.append_record({"model": {"images_seen": images}, "metrics": {}})
    run_folder.forget_after(40)
    assert [record["model"]["images_seen"] for record in run_folder.records()] == [0, 40]
    assert json.loads(run_folder.results.read_text().splitlines()[1])["model"]["images_seen"] == 40
