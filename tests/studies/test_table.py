"""The statistics of a study against closed forms."""

import math

import pytest

from sase_gan.studies.spec import StudySpec
from sase_gan.studies.table import build_table, entry, title_of


def record(arm, seed, **figures):
    return {"set": "s", "arm": arm, "seed": seed, "figures": figures, "copying": "green"}


def by_seed(arm, values, figure="kid_efflite0"):
    return {seed: record(arm, seed, **{figure: value}) for seed, value in enumerate(values)}


def test_differences_are_paired_by_seed():
    found = entry("kid_efflite0", by_seed("b", [1.0, 2.0, 4.0]), by_seed("a", [2.0, 4.0, 3.0]))
    # Differences -1, -2, 1: mean -2/3, sample deviation sqrt(7/3), standard error sqrt(7)/3.
    assert found["mean"] == pytest.approx(7 / 3)
    assert found["std"] == pytest.approx(math.sqrt(7 / 3))
    assert found["difference"] == pytest.approx(-2 / 3)
    assert found["error"] == pytest.approx(math.sqrt(7) / 3)
    assert (found["pairs"], found["mark"]) == (3, None)


@pytest.mark.parametrize(
    ("figure", "difference", "mark"),
    [
        ("kid_efflite0", -1.0, "better"),
        ("kid_efflite0", 1.0, "worse"),
        ("recall_efflite0", 1.0, "better"),
        ("recall_efflite0", -1.0, "worse"),
        ("gates_closed", 1.0, "better"),
        ("nn_ratio", 1.0, "differs"),
    ],
)
def test_what_lies_beyond_two_standard_errors_is_marked(figure, difference, mark):
    base = [0.0, 5.0, 2.0]
    others = [value + difference * scale for value, scale in zip(base, (0.9, 1.0, 1.1), strict=True)]
    assert entry(figure, by_seed("b", others, figure), by_seed("a", base, figure))["mark"] == mark


def test_exactly_two_standard_errors_are_not_enough():
    # Differences 0, 3, 3: mean 2, standard error 1.
    found = entry("kid_efflite0", by_seed("b", [0.0, 3.0, 3.0]), by_seed("a", [0.0, 0.0, 0.0]))
    assert (found["difference"], found["error"]) == pytest.approx((2.0, 1.0))
    assert found["mark"] is None


def test_two_seeds_are_too_few_for_a_mark():
    assert entry("kid_efflite0", by_seed("b", [9.0, 9.1]), by_seed("a", [1.0, 1.0]))["mark"] is None


def test_seeds_without_a_partner_and_values_that_are_no_numbers_count_for_nothing():
    found = entry("kid_efflite0", by_seed("b", [1.0, math.nan, 3.0, 5.0]), by_seed("a", [0.0, 0.0]))
    assert (found["mean"], found["runs"], found["pairs"], found["difference"]) == (3.0, 3, 1, 1.0)
    assert found["error"] is None


def test_a_table_has_a_row_for_each_arm_that_was_run_and_the_figures_that_were_measured():
    spec = StudySpec(title="t", sets={"s": "x", "gone": None}, arms={"a": {}, "b": {}, "c": {}}, seeds=(0, 1))
    records = [record("a", 0, kid_efflite0=1.0, other=3.0), record("b", 0, kid_efflite0=0.5), record("a", 1)]
    table = build_table(spec, records, {"gone": "it is gone"})
    (found,) = table["sets"]
    assert [row["arm"] for row in found["rows"]] == ["a", "b"]
    assert [figure["name"] for figure in table["figures"]] == ["kid_efflite0"]
    assert found["rows"][0]["entries"]["kid_efflite0"]["difference"] is None
    assert found["rows"][1]["entries"]["kid_efflite0"]["difference"] == -0.5
    assert found["rows"][0]["copying"] == {"green": 2}
    assert table["skipped"] == {"gone": "it is gone"}
    assert table["first"] == "a"


def test_figures_of_the_catalogue_and_of_studies_have_titles():
    assert title_of("kid_efflite0") == "KID"
    assert title_of("top1").startswith("Share recognised")
