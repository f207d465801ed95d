"""Starting again: complete runs, moved pictures, unfinished runs of the same, locks, what a kill leaves."""

import json
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import torch

from sase_gan.errors import DataError, UsageError
from sase_gan.runs.callbacks import Snapshots
from sase_gan.runs.folder import RunFolder, claim
from sase_gan.runs.lock import clear_leftovers, locked, owner
from sase_gan.runs.request import TrainRequest
from sase_gan.runs.train import train
from tests.processes import invoke

FACES = Path(__file__).resolve().parents[2] / "data" / "emoji-faces"
SHORT = (
    "schedule.total_images=16",
    "schedule.checkpoint_images=8",
    "schedule.log_images=8",
    "schedule.baseline_images=0",
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures") / "faces"
    folder.mkdir()
    for path in sorted(FACES.glob("*.png"))[:6]:
        shutil.copy(path, folder)
    return folder


def make(pictures: Path, out: Path, *settings: str, **more: Any) -> tuple[Any, list[str]]:
    lines: list[str] = []
    request = TrainRequest(
        pictures, out=out, preset="smoke/low_shot", settings=(*SHORT, *settings), figures=False, **more
    )
    return train(request, lines.append), lines


def again(run: Path, **more: Any) -> tuple[Any, list[str]]:
    lines: list[str] = []
    return train(TrainRequest(resume=run, figures=False, **more), lines.append), lines


@pytest.fixture(scope="module")
def whole(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return make(pictures, tmp_path_factory.mktemp("runs") / "whole")[0].run


@pytest.fixture
def run(whole: RunFolder, tmp_path: Path) -> RunFolder:
    shutil.copytree(whole.path, tmp_path / "run")
    return RunFolder(tmp_path / "run")


def content(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()
    }


def test_a_complete_run_says_so_and_is_not_touched(run: RunFolder) -> None:
    before = content(run.path)
    result, lines = again(run.path)
    assert lines == [f"{run.path} is complete at 16 images; --kimg 1 goes on to 1,000"]
    assert (result.images_seen, result.interrupted) == (16, False)
    assert content(run.path) == before


def test_more_images_are_remembered(run: RunFolder) -> None:
    result, _ = again(run.path, kimg=0.024)
    assert result.images_seen == 24
    assert "total_images: 24" in run.config.read_text()
    _, lines = again(run.path)
    assert "is complete at 24 images" in lines[0]


def test_renamed_and_moved_pictures_are_known_by_their_content(run: RunFolder, pictures: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for index, path in enumerate(sorted(pictures.iterdir(), reverse=True)):
        shutil.copy(path, moved / f"{index}.png")
    result, _ = again(run.path, kimg=0.024, path=moved)
    straight, _ = again(shutil.copytree(run.path, tmp_path / "copy"), kimg=0.032)
    continued, _ = again(run.path, kimg=0.032)  # where the pictures are now was kept
    assert result.images_seen == 24
    states = [torch.load(one.run.checkpoint, weights_only=True)["state_dict"] for one in (straight, continued)]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_other_pictures_are_refused_with_what_can_be_done(run: RunFolder, pictures: Path, tmp_path: Path) -> None:
    other = shutil.copytree(pictures, tmp_path / "other")
    first, second = sorted(other.iterdir())[:2]
    shutil.copy(first, second)
    before = content(run.path)
    with pytest.raises(DataError, match=r"are not those that .* began with; .*--resume .* PATH"):
        again(run.path, kimg=0.024, path=other)
    run.config.write_text(run.config.read_text().replace(str(pictures), str(tmp_path / "gone")))
    with pytest.raises(DataError, match=r"if the pictures have moved, say where they are: sase-gan train --resume"):
        again(run.path, kimg=0.024)
    assert content(run.path).keys() == before.keys()


def test_an_unfinished_run_of_the_same_is_offered(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    request = TrainRequest(pictures, preset="smoke/low_shot", settings=SHORT, figures=False)
    with monkeypatch.context() as cut:
        cut.setattr(Snapshots, "_prune", lambda *unused: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            train(request)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["faces-001"]
    asked: list[str] = []

    def yes(question: str) -> bool:
        asked.append(question)
        return True

    other = TrainRequest(pictures, preset="smoke/low_shot", settings=(*SHORT, "seed=4"), figures=False)
    assert train(other, lambda line: None, yes).run.path.name == "faces-002"
    assert asked == []
    lines: list[str] = []
    result = train(request, lines.append)  # nobody to ask
    assert result.run.path.name == "faces-003"
    assert "go on with it: sase-gan train --resume runs/faces-001" in lines[0]
    result = train(request, lambda line: None, yes)
    assert result.run.path.name == "faces-001"
    assert result.images_seen == 16
    assert asked == ["runs/faces-001 is an unfinished run of these pictures with these settings; go on with it?"]
    assert "runs/faces-001 is complete at 16 images" in invoke("train", "--resume")


def test_resume_without_a_name_needs_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "has no run with a checkpoint" in invoke("train", "--resume", code=4)
    assert list(tmp_path.iterdir()) == []


def test_rates_may_change_on_resume_and_nothing_else(run: RunFolder) -> None:
    again(run.path, kimg=0.024, settings=("optimiser.generator_rate=1e-5",))
    assert "generator_rate: 1.0e-05" in run.config.read_text()
    with pytest.raises(UsageError, match="--set cannot be changed on --resume"):
        again(run.path, kimg=0.032, settings=("optimiser.generator_rate=1e-5", "seed=3"))


def test_names_are_claimed_by_making_the_folder(tmp_path: Path) -> None:
    assert [claim(tmp_path, "faces").name for _ in range(3)] == ["faces-001", "faces-002", "faces-003"]


def test_a_failed_start_leaves_no_folder(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sase_gan.runs.space.SPARE", 10**18)
    output = invoke("train", pictures, "--preset", "smoke/low_shot", "--no-figures", code=1)
    assert "MB are needed; make room: nothing was begun" in output
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_second_process_is_refused_and_a_dead_one_taken_over(run: RunFolder) -> None:
    with locked(run):
        assert json.loads(run.lock.read_text())["pid"] == os.getpid()
    assert not run.lock.exists()
    living = {"pid": os.getppid(), "host": socket.gethostname(), "started": None}
    run.lock.write_text(json.dumps(living))
    assert owner(run) == os.getppid()
    with pytest.raises(UsageError, match=rf"process {os.getppid()} trains in .* already; .*remove .*run\.lock"):
        again(run.path, kimg=0.024)
    for stale in ({**living, "pid": 2**22 + 1}, {**living, "started": "1"}, "half a"):
        run.lock.write_text(stale if isinstance(stale, str) else json.dumps(stale))
        with locked(run):
            assert json.loads(run.lock.read_text())["pid"] == os.getpid()
    run.lock.write_text(json.dumps({**living, "host": "elsewhere"}))
    with pytest.raises(UsageError, match="on elsewhere trains in"), locked(run):
        pass


def test_what_a_kill_left_is_cleared_and_what_it_moved_aside_comes_back(run: RunFolder) -> None:
    snapshot = run.snapshot(16)
    aside = run.path / "snapshots" / ".000000.016kimg.old.ab12_x9z"
    aside.mkdir()
    snapshot.rename(aside / snapshot.name)
    (run.path / "snapshots" / ".000000.024kimg.abcdefgh").mkdir()
    (run.path / ".metrics.abcdefgh.csv").write_text("half")
    (run.path / ".gitignore").write_text("*.ckpt")
    clear_leftovers(run)
    assert (snapshot / "model.safetensors").is_file()
    hidden = [path.name for path in run.path.rglob(".*")]
    assert hidden == [".gitignore"]
