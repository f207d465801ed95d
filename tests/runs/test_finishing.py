"""Finishing the best snapshot of a run: by itself at the end, and by `sase-gan finish`."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

import sase_gan
from sase_gan import cli
from sase_gan.errors import DataError, UsageError
from sase_gan.metrics.records import SCHEMA_VERSION, EvaluationRecord
from sase_gan.networks.finished import STRENGTH, VARIETY, FinishedGenerator
from sase_gan.networks.generator import Generator
from sase_gan.networks.load import load_network
from sase_gan.runs import finishing
from sase_gan.runs.finding import model_name
from sase_gan.runs.finishing import WAYS, choose_way
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.request import TrainRequest
from sase_gan.runs.starting import open_start
from sase_gan.runs.tasks import low_shot
from sase_gan.runs.train import train
from sase_gan.snapshot import read_header, snapshot_digest
from sase_gan.training.config import FinishSection
from sase_gan.ui.entries import GENERATOR, entries_of

DATA = Path(__file__).resolve().parents[2] / "data"
SHORT = (
    "schedule.total_images=8",
    "schedule.log_images=4",
    "schedule.snapshot_images=8",
    "schedule.baseline_images=0",
    "finish.enabled=true",
    "finish.strength=0.3",
)


def trained(out: Path, *settings: str, path: Path = DATA / "emoji-faces", **more: Any) -> tuple[RunFolder, str]:
    lines: list[str] = []
    asked = TrainRequest(path, preset="smoke/low_shot", settings=(*SHORT, *settings), out=out, device="cpu", **more)
    return train(asked, lines.append).run, "\n".join(lines)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, str]:
    """A run of 8 images on the faces, measured, whose pictures are finished at the end, and what it told."""
    return trained(tmp_path_factory.mktemp("run") / "faces", "schedule.evaluation_count=60")


def test_a_run_ends_with_its_best_snapshot_finished(run: tuple[RunFolder, str]) -> None:
    folder, told = run
    model = load_network(folder.finished)
    assert isinstance(model, FinishedGenerator)
    assert model.strength == 0.3
    assert model.patches.config.count == 96
    assert "finished with patches of the training pictures in" in told
    assert f"sase-gan sample {folder.finished}" in told
    assert (folder.path / "grids" / "finished.png").is_file()
    chosen = folder.chosen_snapshot()
    assert chosen != folder.finished
    assert type(load_network(chosen)) is Generator
    assert model.provenance["finished"]["made_of"] == snapshot_digest(chosen)
    assert model.provenance["images_seen"] == 8


def test_its_figures_are_of_the_seeds_of_the_others_and_choose_no_snapshot(run: tuple[RunFolder, str]) -> None:
    folder, told = run
    record = EvaluationRecord.model_validate(json.loads(folder.finished_figures.read_text()))
    assert record.fakes.n == 60
    assert record.model is not None
    assert record.model.snapshot == "finished"
    assert record.model.finished == load_network(folder.finished).provenance["finished"]
    value = record.value("kid_efflite0")
    assert f"KID {value:.3f} (the network alone" in told
    assert "finished" not in folder.results.read_text()


def test_it_is_a_model_like_any_other(run: tuple[RunFolder, str], tmp_path: Path) -> None:
    folder, _ = run
    entries = {entry.name: entry for entry in entries_of(folder.path)}
    assert list(entries)[:2] == ["faces, finished", "faces"]
    assert entries["faces, finished"].kind == GENERATOR
    assert model_name(folder.finished) == "faces-finished"
    images = sase_gan.sample(folder.finished, range(2), sources=True, device="cpu", progress=False)
    assert images.origins is not None
    alone = sase_gan.sample(folder.finished, range(2), unfinished=True, device="cpu", progress=False)
    network = sase_gan.sample(folder.chosen_snapshot(), range(2), device="cpu", progress=False)
    assert torch.equal(alone.pixels, network.pixels)
    assert alone.text["unfinished"] == "yes"
    with pytest.raises(UsageError, match="this model's pictures are not finished"):
        sase_gan.sample(folder.chosen_snapshot(), range(2), unfinished=True, device="cpu", progress=False)
    start = open_start(folder.finished)
    assert type(start.generator).__name__ == "GeneratorConfig"
    assert not any(name.startswith("patches.") for name in start.states["generator"])


def test_the_command_finishes_a_run_another_way(run: tuple[RunFolder, str], tmp_path: Path) -> None:
    folder, _ = run
    out = tmp_path / "new"
    given = ["finish", str(folder.path), "--strength", "0.5", "--variety", "1.5", "--out", str(out)]
    result = CliRunner().invoke(cli.app, given)
    assert result.exit_code == 0, result.output
    assert "out of patches of 96 pictures, its training pictures, and contains them" in result.output
    model = load_network(out)
    assert isinstance(model, FinishedGenerator)
    assert (model.strength, model.patches.config.variety) == (0.5, 1.5)


def test_without_settings_figures_choose_also_with_other_pictures(
    run: tuple[RunFolder, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = run
    monkeypatch.setattr(finishing, "TRIED", 2)
    answers = iter([verdict(0.02, "green"), verdict(0.03, "green"), verdict(0.01, "amber")])
    monkeypatch.setattr("sase_gan.api.finish.prepare_measure", lambda *_, **__: lambda _: next(answers))
    done = sase_gan.finish(folder.chosen_snapshot(), DATA / "fruits-and-flowers", out=tmp_path / "other", device="cpu")
    assert not done.own
    assert done.way == WAYS[0]
    model = load_network(done.folder)
    assert isinstance(model, FinishedGenerator)
    assert (model.strength, model.patches.config.variety) == WAYS[0]


def verdict(kid: float, copying: str) -> EvaluationRecord:
    metrics = {"kid_efflite0": {"value": kid, "base": "kid", "status": "ok"}}
    return EvaluationRecord.model_validate(
        {"schema_version": SCHEMA_VERSION, "metrics": metrics, "verdict": {"copying": copying}}
    )


@pytest.mark.parametrize(
    ("answers", "best"),
    [
        ([(0.05, "green"), (0.03, "green"), (0.01, "green")], 2),
        ([(0.05, "green"), (0.0174, "green"), (0.01, "green")], 1),  # nearly as near: 1.25 times, and 0.005
        ([(0.05, "green"), (0.0176, "green"), (0.01, "green")], 2),
        ([(0.02, "green"), (0.03, "green"), (0.01, "amber")], 0),
        ([(0.02, "red"), (0.03, "amber"), (0.01, "red")], 1),
        ([(0.02, "red"), (0.02, "red"), (0.02, "red")], 0),  # the nearest to what the network drew
    ],
)
def test_the_nearest_way_that_copies_least_is_chosen(
    answers: list[tuple[float, str]], best: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finishing, "sample_images", lambda model, seeds, ground: (model, len(seeds)))
    found = {way: verdict(*answer) for way, answer in zip(WAYS, answers, strict=True)}

    def measure(drawn: Any) -> EvaluationRecord:
        way, count = drawn
        assert count == 100
        return found[way]

    made: Any = lambda way: way  # noqa: E731
    assert choose_way(made, FinishSection(), measure) == WAYS[best]


def test_what_is_said_is_not_measured() -> None:
    def never(_: Any) -> Any:
        raise AssertionError("nothing is to be measured")

    assert choose_way(never, FinishSection(), None) == (STRENGTH, VARIETY)
    assert choose_way(never, FinishSection(strength=0.1), never) == (0.1, VARIETY)
    assert choose_way(never, FinishSection(variety=3.0), never) == (STRENGTH, 3.0)


def test_what_cannot_be_finished_is_refused_in_a_sentence(run: tuple[RunFolder, str], tmp_path: Path) -> None:
    folder, _ = run
    with pytest.raises(UsageError, match="finishes its pictures already; give the snapshot"):
        sase_gan.finish(folder.finished, out=tmp_path / "twice", device="cpu")
    with pytest.raises(UsageError, match="only the pictures of a network that learned from a set"):
        sase_gan.finish(DATA / "snapshots" / "instant-coffee", out=tmp_path / "instant", device="cpu")
    with pytest.raises(UsageError, match="lies in no run; say with out"):
        sase_gan.finish(DATA / "snapshots" / "emoji-faces", device="cpu")
    for strength in (-0.1, 1.0):
        with pytest.raises(UsageError, match=f"strength is {strength}; it must be at least 0"):
            sase_gan.finish(folder.path, strength=strength, device="cpu")
    with pytest.raises(UsageError, match=r"variety is 0; it must be over 0 and at most 4"):
        sase_gan.finish(folder.path, variety=0, device="cpu")
    with pytest.raises(DataError):
        sase_gan.finish(folder.path, tmp_path / "nothing", device="cpu")
    assert not any(tmp_path.iterdir())
    kept = tmp_path / "own" / "picture.txt"
    kept.parent.mkdir()
    kept.write_text("mine")
    with pytest.raises(UsageError, match="own exists and is no snapshot; choose another --out"):
        sase_gan.finish(folder.path, out=kept.parent, strength=0.2, device="cpu")
    assert kept.read_text() == "mine"


@pytest.mark.parametrize("colours", ["rgba", pytest.param("grey", marks=pytest.mark.slow)])
def test_pictures_in_other_colours_are_finished_in_these(colours: str, tmp_path: Path) -> None:
    folder, told = trained(tmp_path / "run", f"colours={colours}", figures=False)
    assert "finished with patches of the training pictures in" in told
    model = load_network(folder.finished)
    assert isinstance(model, FinishedGenerator)
    assert model.config.colours == model.config.patches.colours == colours
    images = sase_gan.sample(folder.finished, range(2), sources=True, device="cpu", progress=False)
    assert images.pixels.shape[1] == model.patches.pictures.shape[1] == {"grey": 1, "rgba": 4}[colours]
    if colours == "rgba":
        assert (images.pixels[:, 3] >= 254).all()  # these training pictures are opaque, and so is all of their matter
    with pytest.raises(UsageError, match="16 bits were asked for"):
        sase_gan.sample(folder.finished, [0], bits=16, device="cpu", progress=False)


def test_a_run_that_goes_on_is_finished_anew(tmp_path: Path) -> None:
    folder, _ = trained(tmp_path / "run", figures=False)
    first = read_header(folder.finished / "model.safetensors")["provenance"]["images_seen"]
    train(TrainRequest(None, resume=folder.path, kimg=0.016, device="cpu", figures=False))
    second = read_header(folder.finished / "model.safetensors")["provenance"]["images_seen"]
    assert (first, second) == (8, 16)


def test_an_interrupted_finish_leaves_the_run_whole_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(low_shot, "finish_run", interrupted)
    with pytest.raises(KeyboardInterrupt, match=f"sase-gan finish {tmp_path / 'run'}"):
        trained(tmp_path / "run", figures=False)
    folder = RunFolder(tmp_path / "run")
    assert folder.checkpoint.is_file()
    assert not folder.finished.exists()
    sase_gan.finish(folder.path, strength=0.2, device="cpu")
    assert isinstance(load_network(folder.finished), FinishedGenerator)
