"""At every moment of a run there is a whole checkpoint, what is damaged is never trained on, and a resumed run equals
an uninterrupted one in all that it leaves."""

import json
import os
import random
import re
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from torch import Tensor

from sase_gan.config import resolve
from sase_gan.errors import DataError, SaseGanError
from sase_gan.metrics.records import parse_record
from sase_gan.runs.again import completion
from sase_gan.runs.checkpoints import find_checkpoint
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.history import read_run
from sase_gan.runs.request import TrainRequest
from sase_gan.runs.resuming import recorded_digest
from sase_gan.runs.tasks import config_of_run
from sase_gan.runs.tasks.low_shot import LowShotTask
from sase_gan.runs.train import train
from sase_gan.training.checkpoint_files import CheckpointFiles
from sase_gan.training.config import LowShotConfig
from tests.report.report_fixture import record

DATA = Path(__file__).resolve().parents[2] / "data"
FACES, PICTURE = DATA / "emoji-faces", DATA / "single" / "coffee.png"
# Rows and checkpoints do not fall together, so that half the sums of a row are in a checkpoint.
SET = (
    "schedule.total_images=48",
    "schedule.checkpoint_images=12",
    "schedule.log_images=16",
    "schedule.snapshot_images=16",
    "schedule.evaluation_count=2",
    "schedule.baseline_images=0",
)


def checkpoint(files: CheckpointFiles, images: int) -> None:
    """Write a checkpoint as a run does."""
    files.folder.mkdir(exist_ok=True)
    clock = {"images_seen": images, "steps": images, "data_digest": "ab"}
    with open(files.writing, "wb") as file:
        torch.save({"clock": clock, "weights": torch.full((50,), float(images))}, file)
    files.publish()


@pytest.fixture
def files(tmp_path: Path) -> CheckpointFiles:
    files = CheckpointFiles(RunFolder(tmp_path).checkpoint.parent)
    checkpoint(files, 100)
    checkpoint(files, 200)
    return files


def seen(files: CheckpointFiles) -> tuple[int, list[str]]:
    found = find_checkpoint(RunFolder(files.folder.parent))
    assert found is not None
    return found.content["clock"]["images_seen"], list(found.notes)


class Cut(BaseException):
    """The power is gone."""


def cut_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the n-th call that changes the disk not happen, nor any after it."""
    calls = iter(range(1000))

    def cut(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            if next(calls) >= number:
                raise Cut
            return real(*arguments, **more)

        return call

    for name in ("replace", "link", "unlink", "fsync"):
        monkeypatch.setattr(os, name, cut(getattr(os, name)))
    monkeypatch.setattr(Path, "unlink", cut(Path.unlink))


@pytest.mark.parametrize("number", range(14))
def test_a_cut_at_any_moment_of_writing_leaves_a_whole_checkpoint(
    number: int, files: CheckpointFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        cut_at(patch, number)
        try:
            checkpoint(files, 300)
            ended = True
        except Cut:
            ended = False
    images, notes = seen(files)
    assert images in ((300,) if ended else (200, 300))
    assert notes == []
    assert files.last.is_file()


def test_the_first_writing_may_be_cut_before_its_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = CheckpointFiles(tmp_path / "checkpoints")
    checkpoint(files, 100)
    files.last.rename(files.writing)
    assert seen(files) == (100, [f"{files.last} is missing; going on from .writing.ckpt"])
    found = find_checkpoint(RunFolder(tmp_path))
    assert found is not None
    files.adopt(found)
    assert seen(files) == (100, [])
    assert not files.writing.exists()


def test_every_flipped_bit_is_noticed_and_the_previous_one_taken(files: CheckpointFiles) -> None:
    whole = files.last.read_bytes()
    source = random.Random(0)
    for _ in range(50):
        place = source.randrange(len(whole))
        files.last.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << source.randrange(8)]) + whole[place + 1 :])
        images, (note,) = seen(files)
        assert images == 100
        assert note == f"{files.last} is damaged: its content is not what was written; going on from previous.ckpt"


def test_the_damaged_one_does_not_become_the_previous_one(files: CheckpointFiles) -> None:
    files.last.write_bytes(b"nothing")
    found = find_checkpoint(RunFolder(files.folder.parent))
    assert found is not None
    files.adopt(found)
    checkpoint(files, 250)
    files.last.write_bytes(b"nothing again")
    assert seen(files)[0] == 100


def test_where_both_are_damaged_one_sentence_says_so(files: CheckpointFiles) -> None:
    for path in (files.last, files.previous):
        path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"last.ckpt is damaged.*previous.ckpt is damaged.*no checkpoint is left"):
        seen(files)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"state_dict": {}}, "has no clock"),
        ({"clock": {"images_seen": "7", "steps": 1, "data_digest": ""}}, "has no clock"),
        ({"clock": {"images_seen": 7, "steps": 1}}, "does not name its training pictures"),
        ([1], "it holds a list"),
        (b"a file that torch did not write", "is no checkpoint of sase_gan, or is damaged"),
    ],
)
def test_a_torch_file_of_another_kind_gets_our_sentence(content: Any, message: str, tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.checkpoint.parent.mkdir()
    if isinstance(content, bytes):
        run.checkpoint.write_bytes(content)
    else:
        torch.save(content, run.checkpoint)
    with pytest.raises(DataError, match=message) as caught:
        find_checkpoint(run)
    assert "weights_only" not in str(caught.value)


def test_digests_of_earlier_versions_are_read_and_their_absence_is_told(files: CheckpointFiles) -> None:
    first, second = files.digests.read_text().split()
    files.digests.write_text(first)
    files.digests.with_name("previous.sha256").write_text(second)
    assert seen(files) == (200, [])
    files.digests.unlink()
    files.digests.with_name("previous.sha256").unlink()
    images, (note,) = seen(files)
    assert images == 200
    assert "could not be checked for damage" in note


# Whole runs


def begin(out: Path, *settings: str) -> Any:
    request = TrainRequest(FACES, out=out, preset="smoke/low_shot", settings=(*SET, *settings), device="cpu", threads=1)
    return train(request)


@pytest.fixture(autouse=True, scope="module")
def quick_figures() -> Iterator[None]:
    """Figures that follow from the pictures without a network, so that the tests are about runs."""

    def prepared(*unused: Any) -> Any:
        def measure(pictures: Tensor) -> Any:
            made = record()
            made["metrics"]["kid_efflite0"]["value"] = float(pictures.double().std())
            return parse_record({**made, "model": {}}, "made")

        return measure

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LowShotTask, "measure", prepared)
        yield


def leaves(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else None
    if items is None:
        yield where, value
        return
    for key, inner in items:
        yield from leaves(inner, f"{where}/{key}")


def same(left: Any, right: Any) -> bool:
    if isinstance(left, Tensor):
        return left.dtype == right.dtype and torch.equal(left, right)
    return type(left) is type(right) and bool(left == right)


TIMES = re.compile(r'"(seconds|created|total|features|[a-z_]*seconds)": ?[^,}]+|"timing": ?\{[^}]*\}')


def assert_equal_runs(one: RunFolder, other: RunFolder) -> None:
    """All that two runs left is equal, but for what clocks told."""
    assert {p.relative_to(one.path) for p in one.path.rglob("*")} == {
        p.relative_to(other.path) for p in other.path.rglob("*")
    }
    for name in ("last.ckpt", "previous.ckpt"):
        states = [dict(leaves(torch.load(run.path / "checkpoints" / name, weights_only=True))) for run in (one, other)]
        assert states[0].keys() == states[1].keys()
        assert [key for key, value in states[0].items() if not same(value, states[1][key])] in (
            [],
            ["/clock/cpu_seconds"],
        )
    for path in one.path.rglob("*"):
        twin = other.path / path.relative_to(one.path)
        if path.suffix in (".png", ".safetensors", ".json", ".yaml", ".txt"):
            assert path.read_bytes() == twin.read_bytes(), path.name
    timed = ("seconds", "cpu_seconds", "images_per_second", "peak_memory_mb")
    tables = [[{k: v for k, v in row.items() if k not in timed} for row in run.rows()] for run in (one, other)]
    assert tables[0] == tables[1]
    records = [[TIMES.sub("", json.dumps(record)) for record in run.records()] for run in (one, other)]
    assert records[0] == records[1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return begin(tmp_path_factory.mktemp("runs") / "run").run


def killed(out: Path, images: int, place: str, *settings: str) -> RunFolder:
    """A run that dies without a word, in this process, when it is at `place` after so many images."""
    owner, name = place.split(".")
    from sase_gan.runs import callbacks, checkpoints

    kind = getattr(callbacks, owner, None) or getattr(checkpoints, owner)
    real = getattr(kind, name)

    def die(self: Any, trainer: Any, module: Any, *more: Any, **named: Any) -> Any:
        if module.images_seen == images:
            raise Cut
        return real(self, trainer, module, *more, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, name, die)
        with pytest.raises(Cut):
            begin(out, *settings)
    return RunFolder(out)


@pytest.mark.parametrize(
    ("images", "place"),
    [
        (16, "Snapshots._publish"),
        (32, "Checkpoints.on_train_batch_end"),
        pytest.param(48, "Checkpoints._save", marks=pytest.mark.slow),
    ],
)
def test_a_killed_run_that_goes_on_leaves_all_that_an_uninterrupted_one_does(
    images: int, place: str, whole: RunFolder, tmp_path: Path
) -> None:
    run = killed(tmp_path / "run", images, place)
    train(TrainRequest(resume=run.path, device="cpu", threads=1))
    assert_equal_runs(whole, run)


@pytest.mark.parametrize("images", [20, pytest.param(32, marks=pytest.mark.slow)])
def test_a_run_stopped_by_a_signal_and_by_minutes_goes_on_to_the_same(
    images: int, whole: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sase_gan.runs.stopping import Stopping

    real = Stopping.on_train_batch_end

    def stop(self: Any, trainer: Any, module: Any, *more: Any) -> None:
        real(self, trainer, module, *more)
        trainer.should_stop = trainer.should_stop or module.images_seen == images

    with monkeypatch.context() as patch:
        patch.setattr(Stopping, "on_train_batch_end", stop)
        run = begin(tmp_path / "run").run
    assert images in run.snapshots()
    assert images in run.measured()  # a run that its minutes end is measured
    train(TrainRequest(resume=run.path, device="cpu", threads=1))
    assert_equal_runs(whole, run)


@pytest.mark.parametrize("images", [20, pytest.param(32, marks=pytest.mark.slow)])
def test_what_a_signal_stopped_is_saved_before_pictures_of_it_are_drawn(
    images: int, whole: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two snapshots, and where one is due: there it comes first, as in every run."""
    from sase_gan.runs.callbacks import Snapshots
    from sase_gan.runs.checkpoints import Checkpoints
    from sase_gan.runs.stopping import StopOnSignal

    seen: list[int] = []
    saved: list[int] = []
    real_save, real_publish = Checkpoints._save, Snapshots._publish

    def save(self: Any, trainer: Any, module: Any) -> None:
        real_save(self, trainer, module)
        saved.append(module.images_seen)

    def publish(self: Any, trainer: Any, module: Any, **more: Any) -> None:
        if module.images_seen == images and images in saved:
            raise Cut
        real_publish(self, trainer, module, **more)

    def step(self: Any, trainer: Any, module: Any, *more: Any) -> None:
        seen.append(module.images_seen)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "_save", save)
        patch.setattr(Snapshots, "_publish", publish)
        patch.setattr(StopOnSignal, "on_train_batch_end", step)
        patch.setattr(StopOnSignal, "was_received", lambda self: images in seen)
        if images == 20:
            with pytest.raises(Cut):
                begin(tmp_path / "run")
        else:
            begin(tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    assert max(seen) == images == saved[-1]
    assert (images in run.snapshots()) == (images == 32)
    train(TrainRequest(resume=run.path, device="cpu", threads=1))
    assert_equal_runs(whole, run)


def test_damaged_small_files_lose_only_what_is_damaged(whole: RunFolder, tmp_path: Path) -> None:
    run = RunFolder(shutil.copytree(whole.path, tmp_path / "run"))
    run.results.write_text(run.results.read_text() + '{"model": {"images_s')
    run.metrics.write_text(run.metrics.read_text() + "4")
    run.best.write_text('{"snapshot": "/etc')
    lines: list[str] = []
    train(TrainRequest(resume=run.path, kimg=0.052, device="cpu", threads=1), lines.append)
    assert f"1 damaged lines of {run.results} were left out" in lines
    assert f"1 damaged rows of {run.metrics} were left out" in lines
    assert [int(row["images_seen"]) for row in run.rows()] == [16, 32, 48]
    for content in ('{"snapshot": "/etc"}', '{"snapshot": "../../x"}', "[", "[[[[", "3", '{"snapshot": ["a"]}'):
        run.best.write_text(content)
        assert run.chosen_snapshot() == max(run.snapshots().items())[1]
    run.config.write_text("seed: [")
    with pytest.raises(SaseGanError, match="is not YAML"):
        train(TrainRequest(resume=run.path))
    run.config.write_bytes(b"\xff\xfe\x00seed")
    with pytest.raises(SaseGanError, match=r"config.yaml"):
        train(TrainRequest(resume=run.path))


def test_sixty_mutations_of_small_files_end_in_our_error_or_a_run(whole: RunFolder, tmp_path: Path) -> None:
    try_mutations(whole, tmp_path, range(60))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_two_thousand_mutations_of_small_files_end_in_our_error_or_a_run(whole: RunFolder, tmp_path: Path) -> None:
    try_mutations(whole, tmp_path, range(60, 2060))


def try_mutations(whole: RunFolder, folder: Path, numbers: range) -> None:
    """Change a file of a run at random, and do all that reads it."""
    run = RunFolder(folder / "run")
    shutil.copytree(whole.path, run.path)
    config = resolve(LowShotConfig, file=whole.config)
    files = [run.config, run.metrics, run.results, run.best, run.pictures, run.checkpoint]
    for number in numbers:
        source = random.Random(number)
        path = files[number % len(files)]
        before = path.read_bytes()
        path.write_bytes(damaged(before, source))
        start = time.process_time()
        for read in (
            run.chosen_snapshot,
            run.records,
            run.rows,
            partial(read_run, run.path),
            partial(config_of_run, run),
            partial(recorded_digest, run),
            # Reading it takes a while, so only where it is what was damaged.
            *([partial(completion, run, config)] if path == run.checkpoint else []),
        ):
            try:
                read()
            except SaseGanError:
                continue
            except Exception as error:
                raise AssertionError(f"mutation {number} of {path.name}: {type(error).__name__}: {error}") from error
        # Processor time; ours is a few hundredths of a second, quadratic parsing took fifteen.
        assert time.process_time() - start < 5, f"mutation {number} of {path.name}"
        assert run.chosen_snapshot().is_relative_to(run.path)
        path.write_bytes(before)


def damaged(content: bytes, source: random.Random) -> bytes:
    place = source.randrange(len(content))
    match source.randrange(5):
        case 0:
            return content[:place]
        case 1:
            return content[:place] + bytes([content[place] ^ 1 << source.randrange(8)]) + content[place + 1 :]
        case 2:
            return content[:place] + source.randbytes(30) + content[place:]
        case 3:
            return b"[" * 20_000 + content
    strange = (b"../../../etc", b"1e999", b"-1", b"null", b"&a [*a]", b'"', b"{}", b"\x1b[31m", b"nan", b"9" * 5000)
    return content[:place] + source.choice(strange) + content[place + source.randrange(40) :]


def in_a_child(work: Callable[[], Any], operation: int) -> int:
    """Work in a copy of this process, which kills itself for good at its n-th call that changes the disk.

    Returns:
        0, or -9 where it was killed; anything else fails with what the copy said.
    """
    with tempfile.TemporaryFile() as said:
        pid = os.fork()
        if pid == 0:
            work_until(work, operation, said.fileno())
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        said.seek(0)
        assert code in (0, -9), said.read().decode(errors="replace")[-5000:]
    return code


def work_until(work: Callable[[], Any], operation: int, said: int) -> NoReturn:
    """Work, be killed at the n-th call that changes the disk, and never return; what is said goes to a file."""
    calls = iter(range(10**9))

    def deadly(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            if next(calls) >= operation:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **more)

        return call

    for name in ("replace", "link", "fsync", "mkdir", "rmdir"):
        setattr(os, name, deadly(getattr(os, name)))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(said, 2)
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def kill_and_compare(whole: RunFolder, out: Path, begin_one: Callable[[Path], Any], source: random.Random) -> int:
    """Train, killed at random operations of the disk and taken up again until it is complete; how often it died."""
    for dead in range(50):
        begun = (out / "config.yaml").exists()
        work = partial(train, TrainRequest(resume=out, device="cpu", threads=1)) if begun else partial(begin_one, out)
        code = in_a_child(work, source.randrange(1, 60))
        if code == 0:
            assert_equal_runs(whole, RunFolder(out))
            return dead
        if not (out / "config.yaml").exists():
            shutil.rmtree(out, ignore_errors=True)
    raise AssertionError("it did not end")


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system copies no processes")


@needs_fork
def test_kills_at_random_operations_of_the_disk_lose_nothing(whole: RunFolder, tmp_path: Path) -> None:
    assert kill_and_compare(whole, tmp_path / "run", begin, random.Random(3)) >= 4


def begin_picture(out: Path) -> Any:
    settings = ("schedule.evaluation_count=2",)
    request = TrainRequest(PICTURE, out=out, preset="smoke/one_shot", settings=settings, device="cpu", threads=1)
    return train(request)


@needs_fork
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_hundred_kills_lose_nothing(whole: RunFolder, tmp_path: Path) -> None:
    """Eighty on a set, a fifth of them or more while a checkpoint is written, and twenty on one picture."""
    source, dead, number = random.Random(0), 0, 0
    while dead < 80:
        dead += kill_and_compare(whole, tmp_path / f"set {number}", begin, source)
        number += 1
    picture, dead = begin_picture(tmp_path / "picture").run, 0
    while dead < 20:
        dead += kill_and_compare(picture, tmp_path / f"picture {number}", begin_picture, source)
        number += 1
