"""Records of early versions, which wrote names alone, are read as records of today."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sase_gan.metrics.records import DataPart, EvaluationRecord, MetricRecord, parse_record, read_record
from sase_gan.metrics.tables import write_figures
from sase_gan.report.write import write_report
from sase_gan.runs.folder import is_run
from sase_gan.runs.history import best_record, main_distance, read_run

# An evaluation outside its run, as `sase-gan evaluate` wrote it before entries told which figure they are: with the
# kept records of the run (a line of them), and with few of its pictures.
EARLY = Path(__file__).parents[1] / "golden" / "early_evaluation"


@pytest.fixture
def early(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EARLY, tmp_path / "evaluation"))


def test_entries_of_an_early_record_tell_which_figure_they_are() -> None:
    record = read_record(EARLY / "metrics.json")
    assert len(record.metrics) > 30
    for name, metric in record.metrics.items():
        assert metric.figure.name == name
        assert metric.figure.metric.section != "other"
    scale = record.metrics["patch_swd_32"]
    assert (scale.base, scale.scale, scale.figure.title) == ("patch_swd_level", 32, "Patch distance at 32 px")
    assert record.metrics["kid_mid_efflite0"].network == "efflite0"
    assert main_distance(record) == "kid_efflite0"


def test_an_early_record_is_written_as_it_was_read() -> None:
    raw = json.loads((EARLY / "metrics.json").read_text(encoding="utf-8"))
    written = read_record(EARLY / "metrics.json").to_json()
    for metric in written["metrics"].values():
        for key in ("base", "network", "scale"):
            del metric[key]
    assert written == raw


def test_the_report_of_an_early_folder_is_whole(early: Path) -> None:
    page = write_report(early).read_text(encoding="utf-8")
    for text in ("Patch distance at 32 px", "Fréchet distance", "Share of suspiciously near pictures", "KID"):
        assert text in page
    assert "there are no curves" not in page
    markdown = (early / "report.md").read_text(encoding="utf-8")
    record = read_record(EARLY / "metrics.json")
    assert record.verdict_rules["copying"].text in markdown
    # The table has its early name already, and is not written a second time.
    assert not (early / "figures.csv").exists()
    (early / "metrics.csv").unlink()
    write_report(early)
    assert (early / "figures.csv").read_text(encoding="utf-8").startswith("name,status,value")


def test_the_kept_records_of_an_early_run_are_read() -> None:
    assert is_run(EARLY / "run")
    assert not is_run(EARLY)
    run = read_run(EARLY / "run")
    assert run.notes == ()
    assert best_record(run.results) == run.results[0]
    assert run.results[0].model is not None
    assert run.results[0].model.images_seen == 40
    assert run.series["g_adversarial"]


def test_what_was_never_set_is_not_written() -> None:
    record = EvaluationRecord(schema_version=1, data=DataPart(name="faces"), notes=())
    assert record.to_json() == {"schema_version": 1, "data": {"name": "faces"}, "notes": []}


def test_a_figure_of_another_version_stands_for_itself(tmp_path: Path) -> None:
    entry: dict[str, Any] = {"base": "aura", "network": "orb", "status": "ok", "value": 1, "meaning": "Glow."}
    record = parse_record({"schema_version": 1, "metrics": {"aura_orb": entry}}, "here")
    metric = record.metrics["aura_orb"]
    assert (metric.figure.title, metric.figure.metric.section) == ("aura_orb", "other")
    write_figures(tmp_path / "figures.csv", record.metrics)
    assert (tmp_path / "figures.csv").read_text().splitlines()[1].startswith("aura_orb,ok,1,")


def test_whole_numbers_and_gaps_stay_what_they_are() -> None:
    metric = MetricRecord(base="kid", status="ok", value=0, low=float("nan"))
    assert metric.low is None
    assert isinstance(metric.value, int)
