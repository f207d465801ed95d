from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from sase_gan.cli import app
from sase_gan.config import build, load_preset
from sase_gan.errors import DataError
from sase_gan.hardware import Hardware
from sase_gan.runs import speed_record, speed_sweep
from sase_gan.runs.cost import TrainingCost, measure_training
from sase_gan.runs.speed_record import Measurement
from sase_gan.runs.speed_sweep import Case
from sase_gan.training.config import LowShotConfig

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


def test_a_sweep_ends_in_time_and_survives_too_little_memory(monkeypatch):
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(speed_sweep.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(speed_sweep, "peak_flops", lambda *unused: 1e9)

    def measured(config: LowShotConfig, hardware: Hardware, **unused: Any) -> TrainingCost:
        if config.optimiser.batch_size == 64:
            raise torch.OutOfMemoryError
        return TrainingCost(4.0, 2.0, 2.0, 100.0, 1, 1, flops_per_step=5e8)

    monkeypatch.setattr(speed_sweep, "measure_training", measured)
    chosen = [Case("gpu", 64, batch, "32-true") for batch in (8, 64, 8, 8, 8)]
    found = list(speed_sweep.sweep(chosen, CPU, steps=1, seconds=60))
    assert [outcome.share_of_peak for outcome in found] == [0.25, None, 0.25]


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
