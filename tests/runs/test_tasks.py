"""Which kind of run pictures, a configuration or a folder belong to, and what each kind answers."""

import shutil
from pathlib import Path

import pytest

from sase_gan.config import resolve, to_yaml
from sase_gan.errors import DataError, UsageError
from sase_gan.hardware import choose_hardware
from sase_gan.pixels import read_image, write_png
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.request import TrainRequest
from sase_gan.runs.tasks import TASKS, is_of_one_picture, planned, task_for, task_of, task_of_run
from sase_gan.training.config import LowShotConfig, OneShotConfig

DATA = Path(__file__).resolve().parents[2] / "data"
FACES, PICTURE = DATA / "emoji-faces", DATA / "single" / "coffee.png"


def written(folder: Path, text: str) -> RunFolder:
    run = RunFolder(folder)
    run.create()
    run.config.write_text(text)
    return run


def test_a_file_or_a_folder_of_one_is_one_picture_all_else_a_set(tmp_path: Path) -> None:
    def chosen(path: Path, preset: str | None = None) -> str:
        return task_for(TrainRequest(path=path, preset=preset)).name

    write_png(tmp_path / "only" / "picture.png", read_image(PICTURE))
    one = Path(shutil.make_archive(str(tmp_path / "one"), "zip", tmp_path / "only"))
    for path in (PICTURE, tmp_path / "only", one):
        assert chosen(path) == "instant"
        assert chosen(path, "quick") == "one_shot"
        assert task_for(TrainRequest(path=path, colours="rgba")).name == "instant"
        assert task_for(TrainRequest(path=path, minutes=1)).name == "one_shot"
    for path in (FACES, Path(shutil.make_archive(str(tmp_path / "set"), "zip", FACES))):
        assert chosen(path) == "low_shot"
        assert chosen(path, "instant") == "instant"
    with pytest.raises(UsageError, match="for these pictures choose one of"):
        chosen(FACES, "quick")
    with pytest.raises(DataError, match="does not exist"):
        chosen(tmp_path / "missing")


@pytest.mark.parametrize(("config", "name"), [(LowShotConfig(), "low_shot"), (OneShotConfig(), "one_shot")])
def test_a_configuration_and_a_run_folder_name_their_task(config, name: str, tmp_path: Path) -> None:
    assert task_of(config) is TASKS[name]
    assert isinstance(config, TASKS[name].config_type)
    run = written(tmp_path / "run", to_yaml(config))
    assert task_of_run(run) is TASKS[name]
    assert is_of_one_picture(run.path) == (name == "one_shot")
    assert not is_of_one_picture(tmp_path)


def test_a_run_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has the task 'painting'; known are low_shot, one_shot"):
        task_of_run(written(tmp_path, "task: painting\n"))


def test_work_done_follows_images_on_a_set_and_costs_on_one_picture(tmp_path: Path) -> None:
    run = written(tmp_path / "set", "schedule: {total_images: 1000}\n")
    assert planned(run.path, 250) == (1000, 0.25)
    assert planned(run.path, 2000) == (1000, 1.0)
    config = resolve(
        OneShotConfig, preset="smoke/one_shot", flags={"generator": {"sizes": [(16, 16), (32, 32)]}}, task="one_shot"
    )
    run = written(tmp_path / "one", to_yaml(config))
    total, share = planned(run.path, config.stage_starts[1])
    assert total == config.total_images
    assert 0 < share < config.stage_starts[1] / total  # coarse iterations are quick
    assert planned(run.path, total) == (total, 1.0)
    with pytest.raises(UsageError, match="does not exist"):
        planned(tmp_path, 0)


def test_a_resumed_set_takes_more_images_and_a_picture_none(tmp_path: Path) -> None:
    hardware_free = {"resume": tmp_path, "kimg": 2.0}
    run = written(tmp_path / "set", to_yaml(LowShotConfig(seed=3)))
    config = TASKS["low_shot"].reopen(run, TrainRequest(**hardware_free))
    assert (config.seed, config.schedule.total_images) == (3, 2000)
    run = written(tmp_path / "one", to_yaml(OneShotConfig(seed=3)))
    assert TASKS["one_shot"].reopen(run, TrainRequest(resume=tmp_path)).seed == 3
    with pytest.raises(UsageError, match=r"--kimg is 2.0, which is for a set of pictures"):
        TASKS["one_shot"].reopen(run, TrainRequest(**hardware_free))
    with pytest.raises(UsageError, match=r"--minutes is 5.0, .*; leave it out: .* goes on to its last stage"):
        TASKS["one_shot"].reopen(run, TrainRequest(resume=tmp_path, minutes=5.0))


@pytest.mark.parametrize(
    ("name", "place"), [("low_shot", FACES), ("one_shot", PICTURE), ("instant", PICTURE), ("instant", FACES)]
)
def test_a_configuration_names_its_pictures_whole(name: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.parent)
    preset = "instant" if name == "instant" else f"smoke/{name}"
    request = TrainRequest(Path(place.name), preset=preset)
    config = TASKS[name].resolve(request, choose_hardware("cpu", threads=1), print)
    assert config.data.path == str(place)


def test_pictures_that_moved_are_named_whole_in_a_run_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = written(tmp_path / "run", to_yaml(LowShotConfig()))
    monkeypatch.chdir(FACES.parent)
    again = TASKS["low_shot"].reopen(run, TrainRequest(Path(FACES.name), resume=run.path))
    assert again.data.path == str(FACES)


def test_a_set_refuses_the_size_of_one_picture() -> None:
    request = TrainRequest(FACES, max_size=64)
    with pytest.raises(UsageError, match="--max-size is 64, which is for one picture"):
        TASKS["low_shot"].resolve(request, choose_hardware("cpu"), print)


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (TrainRequest(), "no pictures were given"),
        (TrainRequest(FACES, logger="notebook"), "logger is 'notebook'; choose tensorboard or wandb"),
        (TrainRequest(FACES, resume=Path("run"), preset="cpu"), "--preset cannot be changed on --resume"),
        (TrainRequest(resume=Path("run"), seed=3, settings=("a=1",)), "--seed, --set cannot be changed"),
        (TrainRequest(resume=Path("run"), seed=0), "--seed cannot be changed"),
    ],
)
def test_requests_that_contradict_themselves_are_refused(request_: TrainRequest, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        request_.check()
