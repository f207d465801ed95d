"""Which cells are carried out, what is repeated and what is not, and what is written; with cells that cost nothing."""

import csv
import json
from functools import partial
from pathlib import Path

import pytest

from sase_gan.config import list_presets, resolve
from sase_gan.errors import DataError, UsageError
from sase_gan.studies.harness import run_study
from sase_gan.studies.spec import Budget, StudySpec, load_study, parse_paths, plan_cells
from sase_gan.training.config import LowShotConfig
from sase_gan.training.instant_config import InstantConfig
from tests.studies.pretend import pretend

STUDIES = list_presets("studies")


def spec(**changes) -> StudySpec:
    values = {"title": "A study", "sets": {"faces": "data/emoji-faces"}, "seeds": (0, 1), "arms": {"a": {}, "b": {}}}
    return StudySpec(**{**values, **changes})


def test_seeds_are_the_outer_loop_and_settings_are_merged():
    found = spec(
        seeds=(0, 7),
        settings={"loss": {"r1": 1.0, "lecam": 0.5}},
        arms={"a": {}, "b": {"loss": {"r1": 2.0}, "preset": "demo"}},
        budget={"cpu_seconds": 5},
    )
    cells, skipped = plan_cells(found, {})
    assert [cell.name for cell in cells] == ["faces-a-0", "faces-b-0", "faces-a-7", "faces-b-7"]
    assert cells[0].settings == {"loss": {"r1": 1.0, "lecam": 0.5}}
    assert (cells[1].settings, cells[1].preset) == ({"loss": {"r1": 2.0, "lecam": 0.5}}, "demo")
    assert cells[0].schedule["cpu_seconds"] == 5
    assert skipped == {}


def test_sets_that_are_not_here_are_left_out_with_a_reason(tmp_path):
    found = spec(sets={"faces": "data/emoji-faces", "pandas": None, "gone": "no/such/folder"})
    cells, skipped = plan_cells(found, {})
    assert {cell.set for cell in cells} == {"faces"}
    assert "--set-path pandas=FOLDER" in skipped["pandas"]
    assert "no/such/folder does not exist" in skipped["gone"]
    cells, skipped = plan_cells(found, {"pandas": str(tmp_path)})
    assert {cell.path for cell in cells if cell.set == "pandas"} == {str(tmp_path)}
    with pytest.raises(UsageError, match="names 'pand'"):
        plan_cells(found, {"pand": "x"})
    with pytest.raises(UsageError, match="NAME=PATH"):
        parse_paths(["pandas"])


def test_finished_cells_are_not_repeated_and_new_ones_are_added(tmp_path):
    log = tmp_path / "log"
    run_cell = partial(pretend, log=log)
    run_study(spec(seeds=(0,)), tmp_path / "out", run_cell)
    table = run_study(spec(arms={"a": {}, "b": {}, "c": {}}), tmp_path / "out", run_cell)
    assert log.read_text().split() == ["faces-a-0", "faces-b-0", "faces-c-0", "faces-a-1", "faces-b-1", "faces-c-1"]
    (entry,) = table["sets"]
    assert entry["rows"][1]["entries"]["kid_efflite0"]["difference"] == 10.0


def test_a_folder_of_another_study_is_refused(tmp_path):
    run_study(spec(), tmp_path, pretend)
    for changed in ({"arms": {"a": {"loss": {"r1": 1.0}}}}, {"count": 50}, {"preset": "demo"}):
        with pytest.raises(UsageError, match="another configuration"):
            run_study(spec(**changed), tmp_path, pretend)


def test_pages_are_one_file_each_and_tell_the_same(tmp_path):
    found = spec(
        title="<b>A study</b>", sets={"faces": "data/emoji-faces", "x|y".replace("|", "."): None}, seeds=(0, 1, 2)
    )
    run_study(found, tmp_path, pretend)
    page, text = (tmp_path / "study.html").read_text(), (tmp_path / "study.md").read_text()
    assert "<script" not in page
    assert "&lt;b&gt;A study" in page
    assert "✗ worse" in page
    assert "| b | 3 | 8 | 11 (+10 ± 0, worse) | green 3 |" in text
    assert "Left out: x.y" in text
    rows = list(csv.DictReader((tmp_path / "study.csv").read_text().splitlines()))
    assert [(row["arm"], row["mean"], row["difference"], row["mark"]) for row in rows] == [
        ("a", "1.0", "", ""),
        ("b", "11.0", "10.0", "worse"),
    ]
    assert json.loads((tmp_path / "study.json").read_text())["budget"] == "as the presets say"


def test_arms_that_the_measuring_network_taught_are_named(tmp_path):
    def flattering(cell, folder):
        return {**pretend(cell, folder), "flattered": cell.arm == "b"}

    run_study(spec(), tmp_path, flattering)
    for name in ("study.html", "study.md"):
        assert "also took part in training b, so it flatters" in (tmp_path / name).read_text()
    run_study(spec(), tmp_path / "other", pretend)
    assert "flatters" not in (tmp_path / "other" / "study.md").read_text()


def test_one_failed_cell_does_not_stop_the_others(tmp_path):
    lines = []
    with pytest.raises(DataError, match="no luck"):
        run_study(spec(arms={"a": {"fails": True}, "b": {}}), tmp_path, pretend, report=lines.append)
    assert "faces-a-0 failed: no luck" in lines
    assert len(list(tmp_path.glob("cells/*/cell.json"))) == 2


def test_an_interrupted_cell_ends_the_study_which_goes_on_later(tmp_path):
    lines = []
    run_study(spec(arms={"a": {}, "b": {"interrupted": True}}), tmp_path, pretend, report=lines.append)
    assert [line for line in lines if "interrupted and saved" in line]
    assert [path.parent.name for path in tmp_path.glob("cells/*/cell.json")] == ["faces-a-0"]


def test_cells_run_in_processes_side_by_side(tmp_path):
    run_study(spec(), tmp_path, pretend, jobs=2)
    assert len(list(tmp_path.glob("cells/*/cell.json"))) == 4


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"arms": {}}, "at least one arm"),
        ({"arms": {"a/b": {}}}, "cannot be a file's"),
        ({"budget": {"cpu_seconds": 5, "images": 3}}, "give one of them"),
    ],
)
def test_what_is_no_study_is_refused(changes, match):
    with pytest.raises(ValueError, match=match):
        spec(**changes)


def test_budgets_tell_themselves():
    assert str(Budget(cpu_seconds=600)) == "600 CPU seconds of training each"
    assert Budget(images=5).schedule() == {"total_images": 5}
    assert str(Budget()) == "as the presets say"


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_of_the_repository_can_be_carried_out(name):
    found = load_study(name)
    cells, _ = plan_cells(found, {name: "." for name, place in found.sets.items() if place is None})
    assert len(cells) == len(found.sets) * len(found.seeds) * len(found.arms)
    for cell in cells:
        instant = cell.preset == "instant"
        known = {key: value for key, value in cell.settings.items() if not instant or key in InstantConfig.model_fields}
        task = "instant" if instant else "low_shot"
        record = InstantConfig if instant else LowShotConfig
        resolve(record, preset=cell.preset, flags={**known, "seed": cell.seed}, task=task)


def test_an_unknown_study_is_told_with_the_known_ones():
    with pytest.raises(UsageError, match="judge"):
        load_study("no-such-study")
    assert load_study("judge") == load_study("studies/judge")


def test_the_judges_sets_and_budget_stay_as_they_were_fixed():
    judge = load_study("judge")
    assert (judge.seeds, judge.budget.cpu_seconds, set(judge.sets)) == ((0, 1, 2), 600, {"faces", "pandas"})
    assert Path(str(judge.sets["faces"])).name == "emoji-faces"
