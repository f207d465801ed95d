import math
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import pytest
import torch
from typer.testing import CliRunner

from sase_gan.cli import app
from sase_gan.commands import bench
from sase_gan.config import build, load_preset
from sase_gan.drawing.sampling import sample_images
from sase_gan.errors import DataError, UsageError
from sase_gan.hardware import Hardware
from sase_gan.networks.generator import Generator
from sase_gan.runs import drawing_cost, speed_record, speed_sweep
from sase_gan.runs.apart import GivenUp
from sase_gan.runs.cost import TrainingCost, measure_training
from sase_gan.runs.drawing_cost import DrawingRequest
from sase_gan.runs.speed_record import Measurement
from sase_gan.runs.speed_sweep import Case, Outcome
from sase_gan.training.config import LowShotConfig
from tests.processes import PATIENCE, invoke

CPU = Hardware("cpu", "2 CPU cores", "32-true", 1)


def measurement(case: str = "gpu 256 px", ratio: float = 2.5, **changes: Any) -> Measurement:
    values = {"day": "2026-11-26", "commit": "abc", "hardware": "a, b", "command": "c", "case": case, "value": 1.5}
    return Measurement(**{**values, "unit": "images/s", "reference": "paper", "ratio": ratio, **changes})  # type: ignore[arg-type]


def test_rows_come_back_as_they_were_added(tmp_path: Path):
    rows = [measurement(), measurement(share_of_peak=0.25, memory_mb=1024.0)]
    for row in rows:
        speed_record.append(tmp_path / "new" / "speed.csv", [row])
    assert speed_record.read(tmp_path / "new" / "speed.csv") == rows


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", ",".join(speed_record.HEADER) + "\nonly,two\n"])
def test_another_file_is_neither_read_nor_added_to(tmp_path: Path, text: str):
    path = tmp_path / "other.csv"
    path.write_text(text)
    for attempt in (lambda: speed_record.read(path), lambda: speed_record.append(path, [measurement()])):
        with pytest.raises(DataError, match=r"other\.csv"):
            attempt()
    assert path.read_text() == text


def test_cases_are_compared_with_the_released_settings_that_come_before_them():
    found = list(speed_sweep.cases((256, 128), (8,)))
    assert len(found) == 6
    assert all(case.reference in found[: found.index(case) + 1] for case in found)
    assert found[1].reference == Case("paper_256", 256, 8, "32-true")


class Here:
    """Does the work of `Apart` here; a case takes ten seconds of the tests' clock, a hanging one all that it may."""

    now = 0.0
    begun = 0

    def __init__(self, *unused: object) -> None:
        pass

    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *unused: object) -> None:
        pass

    def call(self, function: Any, case: Case, *arguments: Any, seconds: float) -> Outcome:
        Here.begun += 1
        if case.batch_size == 64:
            Here.now += seconds
            raise GivenUp(f"It was not done after {seconds:.0f} s and was given up.")
        if case.batch_size == 32:
            raise GivenUp("The memory does not suffice.")
        Here.now += 10.0
        return cast(Outcome, function(case, *arguments))

    def end(self) -> None:
        pass


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> type[Here]:
    """Stand-ins for the process apart, the clock, the peak and the training: 5e8 operations in two seconds."""
    Here.now = Here.begun = 0
    monkeypatch.setattr(speed_sweep, "Apart", Here)
    monkeypatch.setattr(speed_sweep.time, "monotonic", lambda: Here.now)
    monkeypatch.setattr(speed_sweep, "peak_flops", lambda *unused: 1e9)

    def trained(config: LowShotConfig, hardware: Hardware, **unused: Any) -> TrainingCost:
        return TrainingCost(4.0, 2.0, 2.0, 100.0, 1, 1, flops_per_step=5e8)

    monkeypatch.setattr(speed_sweep, "measure_training", trained)
    return Here


def test_a_sweep_goes_on_after_what_fails_or_hangs(here: type[Here]):
    chosen = [Case("gpu", 64, batch, "32-true") for batch in (8, 32, 64, 16)]
    found = list(speed_sweep.sweep(chosen, CPU, steps=1, seconds=600, limit=100))
    assert [outcome.share_of_peak for outcome in found] == [0.25, None, None, 0.25]
    assert [outcome.problem for outcome in found] == [
        "",
        "The memory does not suffice.",
        "It was not done after 100 s and was given up.",
        "",
    ]
    assert here.now == 120


@pytest.mark.parametrize(
    ("case", "match"),
    [
        (Case("nowhere", 64, 8, "32-true"), "preset is 'nowhere'; choose one of"),
        (Case("gpu", 7, 8, "32-true"), "image_size is 7; choose one of 32"),
        (Case("gpu", 64, 0, "32-true"), "batch_size is 0"),
    ],
)
def test_a_case_that_cannot_be_is_refused_before_any_is_measured(here: type[Here], case: Case, match: str):
    with pytest.raises(UsageError, match=match):
        list(speed_sweep.sweep([Case("gpu", 64, 8, "32-true"), case], CPU, steps=1, seconds=600))
    assert here.begun == 0


@pytest.mark.parametrize("batches", [(8,) * 9, (64,) * 9, (8, 64, 8, 64, 8)])
def test_a_sweep_ends_in_its_time_whatever_hangs(here: type[Here], batches: tuple[int, ...]):
    chosen = [Case("gpu", 64, batch, "32-true") for batch in batches]
    found = list(speed_sweep.sweep(chosen, CPU, steps=1, seconds=55, limit=40))
    assert here.begun == len(found) < len(chosen)
    assert here.now <= 55


def test_what_a_case_became_is_a_row_of_the_record(here: type[Here], tmp_path: Path):
    record = tmp_path / "speed.csv"
    options = ("--device", "cpu", "--threads", 1, "--image-size", 64, "--out", record)
    said = invoke("bench", "gpu", *options, *(f"--batch-size={batch}" for batch in (8, 32)))
    assert "The memory does not suffice." in said
    rows = speed_record.read(record)
    assert [row.note for row in rows] == [""] * 3 + ["The memory does not suffice."] * 3
    assert [row.ratio for row in rows[:3]] == [1.0] * 3
    assert all(math.isnan(row.value) for row in rows[3:])
    # They are no points of a line.
    assert len(speed_record.by_case(rows)) == 3


@pytest.mark.slow
def test_a_case_is_measured_in_a_process_apart():
    case = Case("smoke/low_shot", 64, 4, "32-true")
    (found,) = speed_sweep.sweep([case], CPU, steps=1, seconds=PATIENCE, limit=PATIENCE, measure=named)
    assert found == Outcome(case, None, problem="1 step")


def named(case: Case, hardware: Hardware, steps: int) -> Outcome:
    return Outcome(case, None, problem=f"{steps} step")


def test_operations_of_a_step_are_counted_and_grow_with_the_batch():
    config = build(LowShotConfig, load_preset("smoke/low_shot"))
    double = config.model_copy(update={"optimiser": config.optimiser.model_copy(update={"batch_size": 8})})
    one, two = (
        measure_training(each, CPU, steps=1, warm_up=1, count_flops=True).flops_per_step for each in (config, double)
    )
    assert one is not None
    assert two is not None
    # Spectral norms and kernels of upsampling do not grow.
    assert 1.5 < two / one <= 2
    assert measure_training(config, CPU, steps=1, warm_up=1).flops_per_step is None


def test_history_draws_a_panel_for_each_case(tmp_path: Path):
    record = tmp_path / "speed.csv"
    speed_record.append(record, [measurement(ratio=1.5), measurement(ratio=2.0), measurement("demo < 64", 3.0)])
    result = CliRunner().invoke(app, ["bench", "history", str(record)])
    assert result.exit_code == 0, result.output
    assert "2.00x" in result.output
    page = (tmp_path / "speed.html").read_text()
    assert page.count("<svg") == 2
    assert "demo &lt; 64" in page


def test_drawing_is_timed_and_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bench, "in_own_process", lambda measure, *given, **settings: measure(*given, **settings))
    monkeypatch.setattr(drawing_cost, "peak_flops", lambda *unused: 1e9)
    record = tmp_path / "speed.csv"
    options = ("--image-size", 64, "--passes", 1, "--batch-size", 2, "--out", record)
    invoke("bench", "sample", "cpu", *options)
    (row,) = speed_record.read(record)
    assert row.case == "drawing cpu 64x64 px batch 2"
    assert row.unit == "CPU s a picture"
    assert row.value > 0
    assert row.ratio > 0
    assert row.share_of_peak is not None
    assert "leave it out" in invoke("bench", "sample", tmp_path, *options, code=2)


def test_untrained_weights_draw_as_published_ones(tmp_path: Path):
    network = drawing_cost.opened(DrawingRequest(preset="cpu", image_size=64))
    assert isinstance(network, Generator)
    assert not network.training
    assert not network.config.spectral_norm
    network.save_pretrained(tmp_path / "published")
    again = drawing_cost.opened(DrawingRequest(snapshot=tmp_path / "published"))
    assert torch.equal(*(sample_images(each, [0, 1]) for each in (network, again)))


def test_cost_against_size_and_batch_is_a_table_and_a_plot(here: type[Here], tmp_path: Path):
    table = tmp_path / "sizes.md"
    options = ("--image-size", 64, "--image-size", 128, "--precision", "32-true", "--device", "cpu", "--out", table)
    said = invoke("bench", "sizes", "gpu", *options, *(f"--batch-size={batch}" for batch in (8, 32, 16)))
    assert "gpu 128 px batch 32 32-true: The memory does not suffice." in said
    lines = table.read_text().splitlines()
    assert lines[0].startswith("| preset | px | batch | precision | CPU s a step |")
    assert lines[2:5] == [
        "| gpu | 64 | 8 | 32-true | 2 | 0.25 | 0.10 |",
        "| gpu | 64 | 32 | 32-true | The memory does not suffice. | | |",
        "| gpu | 64 | 16 | 32-true | 2 | 0.125 | 0.10 |",
    ]
    plot = ElementTree.parse(table.with_suffix(".svg")).getroot()
    headings = [text.text for text in plot.findall("{http://www.w3.org/2000/svg}text")]
    assert headings == ["gpu: CPU s a step", "gpu: memory, GB"]
    assert len(plot.findall("{http://www.w3.org/2000/svg}svg")) == 2


def test_a_table_that_had_no_time_names_what_is_left(here: type[Here], tmp_path: Path):
    options = ("--image-size", 64, "--batch-size", 8, "--batch-size", 4, "--minutes", 0.2, "--device", "cpu")
    said = invoke("bench", "sizes", "gpu", *options, "--precision", "32-true", "--out", tmp_path / "sizes.md")
    assert "no time was left for: gpu 64 px batch 4 32-true" in said
