import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sase_gan.errors import DataError, UsageError
from sase_gan.report.columns import load_columns
from sase_gan.report.compare import Cell, Comparison, Row, cell_of, compare_columns, write_comparison
from tests.report import report_fixture as fixture


def evaluation(
    folder: Path, *, kid: float = 0.1, half: float | None = 0.005, copying: str = "green", **changes: Any
) -> Path:
    """An evaluation with one KID; `changes` go into that metric."""
    content = fixture.record(copying=copying, kid=kid)
    interval = {"low": kid - half, "high": kid + half} if half is not None else {"low": None, "high": None}
    content["metrics"] = {"kid_efflite0": content["metrics"]["kid_efflite0"] | interval | changes}
    return fixture.write_evaluation(folder, content, pictures=False)


def compared(*folders: Path) -> Comparison:
    return compare_columns(load_columns(folders))


def row(comparison: Comparison) -> Row:
    assert len(comparison.ranked) == 1
    return comparison.ranked[0]


def test_best_is_marked_when_intervals_are_apart(tmp_path: Path) -> None:
    found = row(compared(evaluation(tmp_path / "a", kid=0.20), evaluation(tmp_path / "b", kid=0.10)))
    assert found.best == 1
    assert found.note == "b is better, the intervals do not overlap"


def test_direction_of_better_is_the_records(tmp_path: Path) -> None:
    folders = [evaluation(tmp_path / name, kid=kid, better="higher") for name, kid in (("a", 0.2), ("b", 0.1))]
    assert row(compared(*folders)).best == 0


def test_overlapping_intervals_are_not_distinguishable_and_nothing_is_marked(tmp_path: Path) -> None:
    found = row(compared(evaluation(tmp_path / "a", kid=0.105), evaluation(tmp_path / "b", kid=0.100)))
    assert found.best is None
    assert found.note == "b and a are not distinguishable"


def test_a_clearly_worse_third_is_named(tmp_path: Path) -> None:
    folders = [evaluation(tmp_path / name, kid=kid) for name, kid in (("a", 0.105), ("b", 0.1), ("c", 0.3))]
    assert row(compared(*folders)).note == "b and a are not distinguishable; c is worse"


def test_nothing_is_marked_without_an_interval(tmp_path: Path) -> None:
    found = row(compared(evaluation(tmp_path / "a", kid=0.3), evaluation(tmp_path / "b", kid=0.1, half=None)))
    assert found.best is None
    assert found.note == "no best marked: b has no interval"


def test_a_target_metric_has_no_best(tmp_path: Path) -> None:
    folders = [evaluation(tmp_path / name, kid=kid, better="target") for name, kid in (("a", 0.3), ("b", 0.1))]
    assert row(compared(*folders)).best is None


def test_a_copier_is_never_marked_best(tmp_path: Path) -> None:
    honest, copier = evaluation(tmp_path / "a", kid=0.2), evaluation(tmp_path / "b", kid=0.01, copying="red")
    comparison = compared(honest, copier)
    assert row(comparison).best is None
    assert row(comparison).note.startswith("b leads, but copies training pictures")
    assert any(sentence.startswith("b is red for copying") for sentence in comparison.sentences)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_fake": 5000}, "number of generated pictures: a 1 000, b 5 000"),
        ({"extractor": "inception"}, "feature network: a efflite0, b inception"),
        ({"resize": "clean"}, "resize: a pil-bicubic-224, b clean"),
        ({"subset_size": 50}, "subset size: a 100, b 50"),
        ({"weights_sha256": "77" * 32}, "weights of the feature network: a 57575757…, b 77777777…"),
        ({"mirrors": True}, "mirrored reference: a no, b yes"),
        ({}, "comparability differs, though every recorded setting agrees"),
    ],
)
def test_unlike_numbers_are_kept_apart_and_the_field_is_named(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    comparison = compared(evaluation(tmp_path / "a"), evaluation(tmp_path / "b", comparability="k2", **changes))
    assert comparison.ranked == ()
    assert comparison.unranked[0].best is None
    assert words in comparison.unranked[0].note.replace("\u202f", " ")


def test_a_model_without_weights_is_ranked_whether_or_not_anothers_are_averages(tmp_path: Path) -> None:
    def without_weights(name: str, **changes: Any) -> Path:
        content = fixture.record(kid=0.3)
        content["metrics"] = {"kid_efflite0": content["metrics"]["kid_efflite0"] | {"comparability": "k2"} | changes}
        content["model"] |= {"parameters": 0, "averaged": None}
        return fixture.write_evaluation(tmp_path / name, content, pictures=False)

    assert len(compared(evaluation(tmp_path / "a"), without_weights("b")).ranked) == 1
    kept_apart = compared(evaluation(tmp_path / "c"), without_weights("d", n_fake=5000))
    assert "number of generated pictures" in kept_apart.unranked[0].note
    assert "averaged" not in kept_apart.unranked[0].note


def test_other_real_pictures_are_never_ranked_even_with_equal_hashes(tmp_path: Path) -> None:
    first = evaluation(tmp_path / "a")
    content = fixture.record(kid=0.3)
    content["metrics"] = {"kid_efflite0": content["metrics"]["kid_efflite0"]}
    content["data"] |= {"name": "dogs", "digest": "12" * 32}
    comparison = compared(first, fixture.write_evaluation(tmp_path / "b", content, pictures=False))
    assert comparison.ranked == ()
    assert "real pictures: a faces (abababab), b dogs (12121212)" in comparison.unranked[0].note
    assert any("real pictures differ" in sentence for sentence in comparison.sentences)


def test_unlike_protocols_are_refused_in_a_sentence(tmp_path: Path) -> None:
    content = fixture.record()
    content["protocol"]["name"] = "standard"
    other = fixture.write_evaluation(tmp_path / "b", content, pictures=False)
    sentences = compared(evaluation(tmp_path / "a"), other).sentences
    assert any("unlike protocols (a by quick, b by standard)" in sentence for sentence in sentences)


def test_a_metric_of_one_run_only_is_not_ranked(tmp_path: Path) -> None:
    comparison = compared(evaluation(tmp_path / "a"), fixture.write_evaluation(tmp_path / "b", pictures=False))
    notes = {found.name: found.note for found in comparison.unranked}
    assert notes["precision_efflite0"] == "only b has it"


def test_the_reason_of_a_missing_cell_is_shown(tmp_path: Path) -> None:
    skipped = evaluation(tmp_path / "c", status="skipped", value=None, reason="weights missing: x")
    found = row(compared(evaluation(tmp_path / "a"), evaluation(tmp_path / "b"), skipped))
    assert found.cells[2] == Cell(reason="weights missing: x")


# --- seeds -----------------------------------------------------------------------------------------------------------


def test_a_folder_of_seeds_is_one_column_with_student_intervals(tmp_path: Path) -> None:
    for place, kid in enumerate((1.0, 2.0, 3.0)):
        evaluation(tmp_path / "seeds" / str(place), kid=kid)
    column = load_columns([tmp_path / "seeds", evaluation(tmp_path / "single")])[0]
    cell = cell_of(column, "kid_efflite0")
    # mean 2, standard deviation 1, t of two degrees of freedom 4.303.
    assert (cell.value, cell.low) == pytest.approx((2.0, 2.0 - 4.303 / 3**0.5))


def test_two_seeds_give_no_interval(tmp_path: Path) -> None:
    for place, kid in enumerate((1.0, 2.0)):
        evaluation(tmp_path / "seeds" / str(place), kid=kid)
    column = load_columns([tmp_path / "seeds", evaluation(tmp_path / "single")])[0]
    assert cell_of(column, "kid_efflite0") == Cell(1.5)


def test_a_value_missing_for_a_seed_is_not_averaged_over_the_others(tmp_path: Path) -> None:
    evaluation(tmp_path / "seeds" / "0")
    evaluation(tmp_path / "seeds" / "1", status="failed", value=None, reason="no memory")
    column = load_columns([tmp_path / "seeds", evaluation(tmp_path / "single")])[0]
    assert cell_of(column, "kid_efflite0").reason == "measured for 1 of 2 seeds"


def test_the_worst_verdict_of_the_seeds_is_the_columns(tmp_path: Path) -> None:
    evaluation(tmp_path / "seeds" / "0", copying="green")
    evaluation(tmp_path / "seeds" / "1", copying="red")
    assert load_columns([tmp_path / "seeds", evaluation(tmp_path / "single")])[0].colour("copying") == "red"


# --- reading ---------------------------------------------------------------------------------------------------------


def test_runs_are_read_by_their_evaluation_else_by_their_best_record(tmp_path: Path) -> None:
    trained, evaluated = fixture.write_run(tmp_path / "trained"), fixture.write_run(tmp_path / "evaluated")
    evaluation(evaluated / "evaluation", kid=0.07)
    first, second = load_columns([trained, evaluated])
    assert first.record.model.images_seen == 280_000
    assert second.record.metrics["kid_efflite0"].value == 0.07


def test_columns_of_equal_folder_names_are_told_apart(tmp_path: Path) -> None:
    columns = load_columns([evaluation(tmp_path / "x" / "evaluation"), evaluation(tmp_path / "y" / "evaluation")])
    assert [column.name for column in columns] == ["x/evaluation", "y/evaluation"]


def test_one_run_twice_or_alone_or_empty_is_refused(tmp_path: Path) -> None:
    one = evaluation(tmp_path / "a")
    with pytest.raises(UsageError, match="got 1 run to compare, but at least two"):
        load_columns([one])
    with pytest.raises(UsageError, match="a was given twice"):
        load_columns([one, one / ".." / "a"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no evaluation"):
        load_columns([one, tmp_path / "empty"])


def test_overlap_is_symmetric_and_needs_intervals() -> None:
    first, second, third = Cell(1, 0.5, 1.5), Cell(2, 1.5, 2.5), Cell(3, 2.6, 3.4)
    assert first.overlaps(second)
    assert second.overlaps(first)
    assert not second.overlaps(third)
    assert not third.overlaps(second)
    with pytest.raises(ValueError, match="needs two intervals"):
        first.overlaps(Cell(1))


# --- pages and command -----------------------------------------------------------------------------------------------


def test_pages_are_self_contained_and_escaped(tmp_path: Path) -> None:
    hostile = "<img src=x onerror=alert(1)>|[a]"
    folders = [evaluation(tmp_path / hostile, kid=0.3), evaluation(tmp_path / "b", kid=0.1)]
    written = write_comparison(compared(*folders), tmp_path / "out")
    html, markdown = (path.read_text(encoding="utf-8") for path in written)
    assert [path.name for path in written] == ["compare.html", "compare.md"]
    assert "<img src=x" not in html
    assert "<script" not in html
    assert "http" not in html
    assert "&lt;img src=x" in html
    assert "<img" not in markdown
    assert "★ 0.10" in markdown
    table = [line for line in markdown.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table[:4]} == {4}


def test_strips_of_a_row_share_one_axis(tmp_path: Path) -> None:
    comparison = compared(evaluation(tmp_path / "a", kid=0.3), evaluation(tmp_path / "b", kid=0.1))
    html = write_comparison(comparison, tmp_path / "page.html")[0].read_text(encoding="utf-8")
    first, second = (float(x) for x in re.findall(r'<circle cx="([\d.]+)" cy="14"', html))
    assert second < 20 < 140 < first


def test_out_of_another_kind_is_refused(tmp_path: Path) -> None:
    comparison = compared(evaluation(tmp_path / "a"), evaluation(tmp_path / "b"))
    with pytest.raises(UsageError, match=r"--out is page\.pdf"):
        write_comparison(comparison, tmp_path / "page.pdf")


def test_command_prints_names_as_text_and_writes_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import typer

    from sase_gan.commands.compare import compare

    monkeypatch.setenv("COLUMNS", "160")
    app = typer.Typer()
    app.command()(compare)
    first, second = evaluation(tmp_path / "[red]a", kid=0.3), evaluation(tmp_path / "b", kid=0.1)
    result = CliRunner().invoke(app, [str(first), str(second), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "[red]a" in result.output
    assert "★ 0.10" in result.output
    assert (tmp_path / "out" / "compare.html").is_file()


def test_reference_levels_are_not_compared(tmp_path: Path) -> None:
    folders = []
    for name in ("a", "b"):
        content = fixture.record()
        content["metrics"] = {"fd_reference_efflite0": fixture.metric(24.8, better=None)}
        folders.append(fixture.write_evaluation(tmp_path / name, content, pictures=False))
    comparison = compared(*folders)
    assert comparison.ranked == comparison.unranked == ()


def test_what_follows_from_a_difference_is_not_told_beside_it(tmp_path: Path) -> None:
    other = evaluation(tmp_path / "b", n_fake=30, subset_size=30, comparability="k2")
    note = compared(evaluation(tmp_path / "a"), other).unranked[0].note.replace("\u202f", " ")
    assert note == "differs in number of generated pictures: a 1 000, b 30"
