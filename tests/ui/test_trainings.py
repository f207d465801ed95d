"""Trainings as processes: a small program stands in for `sase-gan train` and leaves the same files."""

import json
import os
import signal
import sys
import time
import zipfile
from functools import partial
from pathlib import Path

import pytest

from sase_gan.errors import UsageError
from sase_gan.progress import readable_seconds
from sase_gan.ui import trainings as trainings_module
from sase_gan.ui.models import Models
from sase_gan.ui.set_training import TrainHandlers
from sase_gan.ui.training_view import Watched, describe_survey, status_html, status_sentence, watched
from sase_gan.ui.trainings import Job, Trainings, TrainingState, checked_name
from sase_gan.ui.uploads import survey_set
from tests.processes import PATIENCE, end, until
from tests.ui.test_handlers import refused
from tests.ui.test_uploads import bomb

# Takes the arguments of the command line; sees 10 images a row until it has seen 50 or is interrupted. What a test is
# to meet at work waits for it: "slow" after two rows for the interruption, and then as "late" does after its last row,
# when no interruption is heeded, until the test lets it end.
PROGRAM = """
import pathlib, signal, sys, time
arguments = sys.argv[1:]
run = pathlib.Path(arguments[arguments.index("--resume" if "--resume" in arguments else "--out") + 1])
if "fail" in run.name:
    sys.exit("sase-gan: the pictures are too few; add some")
stop = []
signal.signal(signal.SIGINT, lambda *_: stop.append(1))
for name in ("snapshots/000000kimg", "grids", "checkpoints"):
    (run / name).mkdir(parents=True, exist_ok=True)
(run / "config.yaml").write_text("schedule: {total_images: 50}")
(run / "checkpoints" / "last.ckpt").write_text("")
seen, rows = 0, ["images_seen,seconds,images_per_second,d_real,d_fake"]
end = 50 if "--kimg" not in arguments else 1000 * float(arguments[arguments.index("--kimg") + 1])
while seen < end and not stop:
    seen += 10
    rows.append(f"{seen},{seen / 10},10,0.5,-0.5")
    (run / "half.csv").write_text("\\n".join(rows) + "\\n")
    (run / "half.csv").replace(run / "metrics.csv")
    while seen == 20 and "slow" in run.name and not stop:
        time.sleep(0.02)
while ("slow" in run.name or "late" in run.name) and not (run / "may-end").exists():
    time.sleep(0.02)
print("interrupted and saved; go on" if stop and seen < end else "the chosen snapshot is x")
"""


@pytest.fixture
def trainings(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    made = Trainings(tmp_path / "runs", command=(sys.executable, str(tmp_path / "program.py")))
    yield made
    if made._process is not None:
        end(made._process)


def let_end(trainings: Trainings) -> None:
    (trainings.runs / trainings.last().run / "may-end").touch()


def until_ended(trainings: Trainings) -> None:
    until(lambda: not trainings.is_alive(trainings.last()))


def pictures(folder: Path) -> Path:
    return folder / "set"


def test_a_training_runs_to_its_end_and_leaves_its_state_in_files(trainings):
    assert trainings.state() is None
    job = trainings.start(pictures, "my faces", ["--seed", "1"], minutes=3)
    assert job.run == "my-faces-001"
    until_ended(trainings)
    state = trainings.state()
    assert (state.state, state.images_seen, state.total_images) == ("finished", 50, 50)
    # A studio that is started anew finds it in the same state.
    assert Trainings(trainings.runs).state().state == "finished"
    assert trainings.names() == ["my-faces-001"]


def test_the_newest_samples_are_shown(trainings):
    """By their number: among the names of parts of thousands the first would come last."""
    trainings.start(pictures, "faces", [])
    until_ended(trainings)
    for name in ("000000kimg", "000000.263kimg", "reals"):
        (trainings.runs / "faces-001" / "grids" / f"{name}.png").write_bytes(b"")
    assert trainings.state().grid.name == "000000.263kimg.png"
    assert not trainings.state().one_picture


def test_the_process_gets_the_options_and_the_pictures(trainings, tmp_path):
    (tmp_path / "program.py").write_text("import sys, json; print(json.dumps(sys.argv[1:]))")
    trainings.start(pictures, "faces", ["--seed", "1"], minutes=3)
    until_ended(trainings)
    said = json.loads(trainings.log("faces-001").read_text())
    runs = tmp_path / "runs"
    options = ["--seed", "1", "--minutes", "3", "--device", "auto", "--out", str(runs / "faces-001")]
    assert said == ["train", *options, "--", str(runs / "pictures" / "set")]


def test_there_is_one_training_at_a_time_and_it_stops_on_request(trainings):
    job = trainings.start(pictures, "slow", [])
    until(lambda: trainings.state().images_seen == 20)
    state = trainings.state()
    assert state.state == "running"
    assert state.seconds_left == pytest.approx(3, abs=0.1)
    with pytest.raises(UsageError, match="slow-001 is being trained; one training at a time"):
        trainings.start(pictures, "second", [])
    # Another studio over the same folder knows of it too, by the process's own words.
    other = Trainings(trainings.runs)
    assert other.is_alive(job)
    with pytest.raises(UsageError, match="one training at a time"):
        other.start(pictures, "second", [])
    with pytest.raises(UsageError, match="one training at a time"):
        other.resume("slow-001")
    assert trainings.stop().state == "stopping"
    let_end(trainings)
    until_ended(trainings)
    assert trainings.state().state == "stopped"
    with pytest.raises(UsageError, match="No training is running"):
        trainings.stop()


def test_a_stop_after_the_last_step_stops_nothing(trainings):
    """The process measures what it has drawn, and ends by itself."""
    trainings.start(pictures, "late", [])
    until(lambda: trainings.state().images_seen == 50)
    state = trainings.stop()
    assert state.state == "running"
    assert "late-001 has seen all its images" in status_sentence(state)
    let_end(trainings)
    until_ended(trainings)
    assert trainings.state().state == "finished"


def test_a_training_that_ends_before_the_signal_reaches_it_is_finished(trainings, monkeypatch):
    trainings.start(pictures, "late", [])
    until(lambda: trainings.state().images_seen == 50)
    sent = []

    def too_late(pid: int, number: int) -> None:
        let_end(trainings)
        trainings._process.wait(PATIENCE)
        sent.append((pid, number))

    with monkeypatch.context() as patch:
        patch.setattr(trainings_module.os, "kill", too_late)
        state = trainings.stop()
    assert sent == [(trainings.last().pid, signal.SIGINT)]
    assert status_sentence(state).startswith("late-001 is finished after 50 images")
    with pytest.raises(UsageError, match="No training is running"):
        trainings.stop()


def test_a_training_that_ends_while_its_files_are_read_has_not_failed(trainings, monkeypatch):
    trainings.start(pictures, "late", [])
    until(lambda: trainings.state().images_seen == 50)
    read = trainings_module._progress

    def and_then_it_ends(folder: Path) -> TrainingState:
        found = read(folder)
        let_end(trainings)
        trainings._process.wait(PATIENCE)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(trainings_module, "_progress", and_then_it_ends)
        assert trainings.state().state == "running"
    assert trainings.state().state == "finished"


def test_a_time_limit_counts_for_the_time_left(trainings, monkeypatch):
    trainings.start(pictures, "slow", [], minutes=0.04)
    until(lambda: trainings.state().images_seen == 20)
    row_written = (trainings.runs / "slow-001" / "metrics.csv").stat().st_mtime
    # Of 2.4 s the row says that 2 are gone, and it was written so long ago.
    for ago, left in ((0.0, 0.4), (0.3, 0.1), (9.0, 0.0)):
        monkeypatch.setattr(trainings_module.time, "time", lambda ago=ago: row_written + ago)
        state = trainings.state()
        assert state.seconds_left == pytest.approx(left, abs=1e-6)
        # The bar is full when the minutes end the run, however few of its images were seen.
        assert state.share == pytest.approx(1 - left / 2.4, abs=1e-6)


def test_a_stopped_run_goes_on_and_a_finished_one_needs_more_images(trainings):
    trainings.start(pictures, "faces", [])
    until_ended(trainings)
    with pytest.raises(UsageError, match="faces-001 has seen 50 images and was to end at 50; give more"):
        trainings.resume("faces-001")
    trainings.resume("faces-001", kimg=0.08)
    until_ended(trainings)
    state = trainings.state()
    assert (state.state, state.images_seen, state.total_images) == ("finished", 80, 80)
    for name in ("nothing", "../faces-001", None):
        with pytest.raises(UsageError, match="choose one of the list"):
            trainings.resume(name)


def test_a_run_on_one_picture_goes_on_without_a_time_limit(trainings, monkeypatch):
    trainings.start(pictures, "face", [], minutes=5, one_picture=True)
    until_ended(trainings)
    monkeypatch.setattr(trainings_module, "is_of_one_picture", lambda run: True)
    commands = []
    monkeypatch.setattr(trainings, "_launch", lambda job, arguments: commands.append(arguments) or job)
    assert trainings.resume("face-001", minutes=5, kimg=0.08).minutes is None
    assert "--minutes" not in commands[0]


def test_a_failed_training_says_why(trainings):
    trainings.start(pictures, "fail", [])
    until_ended(trainings)
    state = trainings.state()
    assert state.state == "failed"
    assert state.message == "the pictures are too few; add some"
    assert "fail-001 failed: the pictures are too few" in status_html(state)


def test_the_number_of_a_process_that_is_reused_is_not_taken_for_the_training(trainings):
    trainings._remember(Job("faces-001", os.getpid(), time.time()))
    assert not trainings.is_alive(trainings.last())
    trainings._remember(Job("faces-001", 2**22 + 7, time.time()))
    assert not trainings.is_alive(trainings.last())


@pytest.mark.parametrize("name", ["", " ", "../x", "a/b", "x" * 41, ".hidden", "-flag", None, 3, "a\tb", "ü"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(UsageError, match="Give the run a name of 1 to 40"):
        checked_name(name)


# --- the tab ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def handlers(trainings, temporary, models_folder):
    return TrainHandlers(trainings, Models([models_folder]))


def put(temporary: Path, paths: list[Path]) -> list[str]:
    for path in paths:
        (temporary / path.name).write_bytes(path.read_bytes())
    return [str(temporary / path.name) for path in paths]


def test_pictures_are_checked_and_nothing_is_kept(handlers, temporary, few_pictures, trainings):
    files = put(temporary, few_pictures)
    words, preview = handlers.check("upload", files)
    assert "### 8 pictures" in words
    assert "All are 40 × 40 px" in words
    assert "No duplicates" in words
    assert "very few: expect near copies" in words
    assert preview.width > 400
    assert sorted(str(path) for path in temporary.iterdir()) == sorted(files)
    assert not trainings.runs.exists()


def test_duplicates_and_broken_pictures_are_named(few_pictures, tmp_path):
    for path in few_pictures:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "again.png").write_bytes(few_pictures[0].read_bytes())
    (tmp_path / "broken.png").write_bytes(b"no")
    words = describe_survey(survey_set(tmp_path, 32, "crop"))
    assert "**1 near-duplicate pair**" in words
    assert f"again.png = {few_pictures[0].name} (exact)" in words
    assert "**1 cannot be read and is left out: " in words
    assert "broken.png" in words


def test_uploaded_pictures_are_kept_for_the_run_alone(handlers, temporary, few_pictures, trainings):
    words = handlers.start("upload", put(temporary, few_pictures), "my faces", 5, 32, way="network")
    assert "my-faces-001" in words
    until_ended(trainings)
    assert len(list((trainings.runs / "pictures" / "my-faces-001").iterdir())) == 8
    assert handlers.status() == "my-faces-001 is finished after 50 images; it is in the list of models."


def test_unusable_uploads_start_nothing_and_leave_nothing(handlers, temporary, few_pictures, trainings):
    with refused("3 pictures were uploaded that can be read; at least 4 are required"):
        handlers.start("upload", put(temporary, few_pictures[:3]), "x", way="network")
    (temporary / "bad.png").write_bytes(b"no")
    with refused(r"3 pictures were uploaded .*bad\.png"):
        handlers.start("upload", [*put(temporary, few_pictures[:3]), str(temporary / "bad.png")], "x", way="network")
    assert list((trainings.runs / "pictures").iterdir()) == []
    assert trainings.last() is None


@pytest.mark.parametrize("packed", [False, True])
def test_one_unreadable_upload_refuses_no_others(handlers, temporary, few_pictures, trainings, packed):
    files = put(temporary, few_pictures)
    for name, content in (("bad.png", b"no"), ("large.png", bomb(8000, 6000))):
        (temporary / name).write_bytes(content)
        files.append(str(temporary / name))
    if packed:
        with zipfile.ZipFile(temporary / "set.zip", "w") as archive:
            for file in files:
                archive.write(file, Path(file).name)
        files = [str(temporary / "set.zip")]
    looked = handlers.look("upload", files)
    assert "2 cannot be read and are left out: large.png has 48 megapixels" in looked.words
    assert looked.start == "Leave out 2 unreadable files and start"
    words = handlers.start("upload", files, "x", 5, 32, way="network")
    assert "2 cannot be read and are left out" in words
    until_ended(trainings)
    kept = next((trainings.runs / "pictures").iterdir())
    names = zipfile.ZipFile(kept).namelist() if packed else [path.name for path in kept.iterdir()]
    assert sorted(names) == [path.name for path in few_pictures]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("faces", None, "../x"), "Give the run a name"),
        (("faces", None, "x", 0), "The time limit in minutes is 0; it must be between 0.1 and 10080"),
        (("faces", None, "x", 5, 48), "The image size is '48'"),
        (("faces", None, "x", 5, 0, "stretch"), "choose one of crop, pad"),
        (("faces", None, "x", 5, 0, "crop", -1), "Thousand images is -1"),
        (("/etc", None, "x"), "choose one of upload, faces, fruits"),
        (("upload", ["/etc/passwd"], "x"), "Only files that were uploaded"),
    ],
)
def test_impossible_trainings_are_refused(handlers, arguments, message):
    with refused(message):
        handlers.start(*arguments)


def test_the_page_follows_and_is_quiet_when_nothing_is_new(handlers, trainings):
    watch = partial(watched, trainings, Models([trainings.runs]))
    first = watch("none yet")
    assert "No training is running" in first.status
    assert first.stop["visible"] is False
    mark = first.mark
    assert watch(mark) == Watched()
    assert all(value == {"__type__": "update"} for value in vars(Watched()).values())
    handlers.start("faces", None, "slow", 5)
    until(lambda: trainings.state().images_seen == 20)
    now = watch(mark)
    assert "slow-001 is being trained: 20 of 50 images seen." in now.status
    assert "width:40.0%" in now.status
    assert now.stop["visible"] is True
    # The tab One picture says who works, and has nothing to stop.
    assert "slow-001 is being trained, see the tab Train." in now.picture_status
    assert now.picture_samples is None
    assert now.picture_stop["visible"] is False
    assert now.mark != mark
    assert now.curves.count("<svg") == 1
    again = watch(now.mark)
    assert "is being trained" in again.status
    assert again == Watched(status=again.status, picture_status=again.picture_status)


def test_durations_and_states_have_words():
    assert [readable_seconds(s) for s in (45, 600, 12_000)] == ["45 s", "10 min", "3 h 20 min"]
    assert "is being measured" in status_sentence(TrainingState("faces-001", "running", 10, 10))
    for state in ("preparing", "running", "stopping", "finished", "stopped", "failed"):
        words = status_sentence(TrainingState("faces-001", state, 5, 10))
        assert words.startswith("faces-001 ")
    assert status_html(TrainingState("<b>", "running", 5, 10)).count("<b>") == 0
