"""How a run ends beside its goal: nothing improves, a budget is used up, memory runs out; and what resuming it says."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sase_gan.errors import SaseGanError, UsageError
from sase_gan.memory import out_of_memory
from sase_gan.metrics.records import parse_record
from sase_gan.runs import due
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.history import read_run
from sase_gan.runs.request import TrainRequest
from sase_gan.runs.tasks.low_shot import LowShotTask
from sase_gan.runs.tasks.one_shot import OneShotTask
from sase_gan.runs.train import train
from sase_gan.training.low_shot import LowShotModule
from sase_gan.training.one_shot import OneShotModule
from tests.processes import invoke
from tests.report.report_fixture import record

DATA = Path(__file__).resolve().parents[2] / "data"
SHORT = (
    "schedule.total_images=32",
    "schedule.checkpoint_images=8",
    "schedule.log_images=8",
    "schedule.snapshot_images=8",
    "schedule.evaluation_count=2",
    "schedule.baseline_images=0",
)
SHORTER = ("schedule.total_images=32", "schedule.snapshot_images=1000")
CPU = {"device": "cpu", "threads": 1}
# Made anew each time: an error keeps the places that it came through.
NO_MEMORY: tuple[Callable[[], Exception], ...] = (
    lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    lambda: RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
        "allocate 8589934592 bytes. Error code 12 (Cannot allocate memory)"
    ),
    MemoryError,
)


def begin(out: Path, *settings: str, figures: bool = False, batch: int | None = None) -> tuple[Any, list[str]]:
    lines: list[str] = []
    request = TrainRequest(
        DATA / "emoji-faces",
        out=out,
        preset="smoke/low_shot",
        settings=(*SHORT, *settings),
        figures=figures,
        batch_size=batch,
        **CPU,
    )
    return train(request, lines.append), lines


def again(run: Path, *settings: str, figures: bool = False, **more: Any) -> tuple[Any, list[str]]:
    lines: list[str] = []
    return train(TrainRequest(resume=run, settings=settings, figures=figures, **CPU, **more), lines.append), lines


@pytest.fixture
def values(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The KIDs that snapshots get, in turn; each one is measured."""
    given: list[float] = []

    def prepared(*unused: Any) -> Any:
        def measure(pictures: Tensor) -> Any:
            made = record()
            made["metrics"]["kid_efflite0"]["value"] = given.pop(0)
            return parse_record({**made, "model": {}}, "made")

        return measure

    monkeypatch.setattr(LowShotTask, "measure", prepared)
    monkeypatch.setattr(due, "IMAGES_A_PICTURE", 0)
    return given


def test_a_run_that_nothing_improves_is_complete_and_goes_on_with_more_patience(
    values: list[float], tmp_path: Path
) -> None:
    values[:] = [0.9, 0.3, 0.4, 0.2, 0.5]  # at 0, 8, 16 and then 24, 32 images
    result, lines = begin(tmp_path / "run", "schedule.patience=1", figures=True)
    assert (result.images_seen, result.interrupted) == (16, False)
    why = "the last snapshot brought nothing better (schedule.patience=1)"
    assert f"{why}: the run ends at 16 images" in lines
    before = {path: path.read_bytes() for path in result.run.path.rglob("*") if path.is_file()}
    result, lines = again(tmp_path / "run", figures=True)
    assert lines == [f"{tmp_path / 'run'} is complete at 16 images: {why}; --set schedule.patience=2 goes on"]
    assert (result.images_seen, result.interrupted) == (16, False)
    assert {path: path.read_bytes() for path in result.run.path.rglob("*") if path.is_file()} == before
    # The advice works: on to the goal, for 24 is better than 8.
    result, lines = again(tmp_path / "run", "schedule.patience=2", figures=True)
    assert result.images_seen == 32
    assert result.run.measured() == [0, 8, 16, 24, 32]
    assert result.run.chosen_snapshot() == result.run.snapshot(24)
    assert "patience: 2" in result.run.config.read_text()


def test_figures_are_drawn_from_other_seeds_than_the_sheet(
    values: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sase_gan.runs import callbacks, shared

    drawn: list[range] = []
    real = callbacks.sample_images
    for module in (callbacks, shared):
        monkeypatch.setattr(
            module, "sample_images", lambda network, seeds, **how: drawn.append(seeds) or real(network, seeds, **how)
        )
    values[:] = [0.9, 0.3]
    begin(tmp_path / "run", "schedule.total_images=8", figures=True)
    sheet, figures, *_ = drawn
    assert [len(seeds) for seeds in drawn] == [64, 2, 64, 2]
    assert not set(sheet) & set(figures)


def test_results_beyond_the_checkpoint_use_up_no_patience(values: list[float], tmp_path: Path) -> None:
    from sase_gan.runs.checkpoints import Checkpoints

    values[:] = [0.9, 0.3, 0.4]
    with pytest.MonkeyPatch.context() as patch:
        save = Checkpoints._save
        patch.setattr(Checkpoints, "_save", lambda *a: 1 // 0 if a[2].images_seen == 16 else save(*a))
        with pytest.raises(ZeroDivisionError):
            begin(tmp_path / "run", "schedule.patience=1", figures=True)
    assert RunFolder(tmp_path / "run").measured() == [0, 8, 16]
    values[:] = [0.4]
    result, _ = again(tmp_path / "run", figures=True)
    assert values == []
    assert result.images_seen == 16


def test_a_run_whose_seconds_are_used_up_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count()
    monkeypatch.setattr("sase_gan.runs.callbacks.time.process_time", lambda: float(next(clock)))
    result, _ = begin(tmp_path / "run", *SHORTER, "schedule.cpu_seconds=2")
    assert result.images_seen == 8
    result, lines = again(tmp_path / "run")
    assert result.images_seen == 8
    assert lines == [
        f"{tmp_path / 'run'} is complete at 8 images: its 2 CPU seconds are used up; --set schedule.cpu_seconds=4 "
        "goes on"
    ]
    assert again(tmp_path / "run", "schedule.cpu_seconds=3")[0].images_seen == 12


# Memory


def too_little(
    monkeypatch: pytest.MonkeyPatch, error: Callable[[], Exception], module: Any, step: str, most: int
) -> None:
    """Let a step of more than so many pictures fail as torch's allocators do, from the third one on."""
    real = getattr(module, step)

    def failing(self: Any, pictures: Any, *more: Any, **named: Any) -> Any:
        batch = len(pictures.big if hasattr(pictures, "big") else pictures)
        if batch > most and self.steps >= 2:
            raise error()
        return real(self, pictures, *more, **named)

    monkeypatch.setattr(module, step, failing)


@pytest.mark.parametrize("error", NO_MEMORY, ids=["gpu", "cpu", "python"])
def test_errors_of_allocators_are_recognised(error: Callable[[], Exception]) -> None:
    assert out_of_memory(error())
    assert not out_of_memory(RuntimeError("a size does not fit"))


def test_a_set_goes_on_with_half_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        too_little(patch, NO_MEMORY[0], LowShotModule, "_generator_step", 4)
        result, lines = begin(tmp_path / "run", *SHORTER, batch=8)
    assert result.images_seen == 32
    (told,) = [line for line in lines if "memory ran out" in line]
    assert told.startswith("memory ran out with 8 pictures a step: back to 16 images, on with 4 a step")
    assert "batch_size: 4" in result.run.config.read_text()
    assert any("memory ran out" in note for note in read_run(result.run.path).notes)
    assert [int(row["images_seen"]) for row in result.run.rows()] == [8, 16, 24, 32]
    # It equals a run that was stopped there and went on with half the batch.
    begin(tmp_path / "other", *SHORTER, "schedule.total_images=16", batch=8)
    other, _ = again(tmp_path / "other", kimg=0.032, batch_size=4)
    states = [torch.load(one.run.checkpoint, weights_only=True)["state_dict"] for one in (result, other)]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_the_smallest_batch_ends_in_a_sentence_whose_advice_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        too_little(patch, NO_MEMORY[0], LowShotModule, "_generator_step", 0)
        with pytest.raises(
            SaseGanError, match=r"the memory does not suffice for a training step.*--batch-size"
        ) as told:
            begin(tmp_path / "run", *SHORTER, batch=8)
    assert "sase-gan train --resume" in str(told.value)
    run = RunFolder(tmp_path / "run")
    assert "batch_size: 2" in run.config.read_text()
    assert [note for note in read_run(run.path).notes if "memory" in note][-1].endswith("not gathered from parts)")
    assert again(run.path, kimg=0.02, batch_size=2)[0].images_seen == 20


def test_one_picture_has_no_batch_to_halve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = TrainRequest(DATA / "single" / "coffee.png", out=tmp_path / "run", preset="smoke/one_shot", figures=False)
    with monkeypatch.context() as patch:
        too_little(patch, NO_MEMORY[1], OneShotModule, "_generator_step", 0)
        with pytest.raises(SaseGanError, match=r"for a training with these settings; .* choose a smaller --max-size"):
            train(request)
        assert not (tmp_path / "run").exists()
        patch.setattr(OneShotTask, "foretell", lambda self, config, *others: config)
        with pytest.raises(SaseGanError, match=r"does not suffice for a training step; .* a smaller --max-size"):
            train(request)
    with pytest.raises(UsageError, match="--batch-size is 2"):
        again(tmp_path / "run", batch_size=2)
    assert again(tmp_path / "run")[0].images_seen == 18


def test_memory_that_figures_lack_takes_no_pictures_from_the_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*unused: Any) -> Any:
        raise NO_MEMORY[0]()

    with monkeypatch.context() as patch:
        patch.setattr("sase_gan.runs.callbacks.sample_images", failing)
        with pytest.raises(SaseGanError, match="does not suffice for drawing or measuring a snapshot"):
            begin(tmp_path / "run", *SHORTER)
    assert "batch_size: 4" in RunFolder(tmp_path / "run").config.read_text()
    assert again(tmp_path / "run")[0].images_seen == 32


def test_other_errors_are_not_taken_for_a_lack_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    too_little(monkeypatch, lambda: RuntimeError("a size does not fit"), LowShotModule, "_generator_step", 0)
    with pytest.raises(RuntimeError, match="a size does not fit"):
        begin(tmp_path / "run", *SHORTER)


def test_what_the_allocator_of_this_machine_says_is_recognised() -> None:
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        torch.empty(2**55, dtype=torch.uint8)
    assert out_of_memory(caught.value)


def test_every_command_says_it_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*unused: Any, **more: Any) -> Any:
        raise NO_MEMORY[1]()

    monkeypatch.setattr("sase_gan.drawing.recipes.draw_images", failing)
    snapshot = Path(__file__).parents[1] / "golden" / "tiny_snapshot"
    said = invoke("sample", snapshot, "--seeds", "0", "--out", tmp_path / "out", code=1)
    assert "sase-gan: the memory does not suffice for this; close other programs, or ask for fewer" in said
