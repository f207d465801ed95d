"""The report's section on regions: words, pictures with their colours, and silence where nothing was looked for."""

import re
from pathlib import Path
from typing import Any

import pytest

from sase_gan.errors import DataError
from sase_gan.report.columns import load_columns
from sase_gan.report.compare import compare_columns, write_comparison
from sase_gan.report.write import write_report
from tests.report.report_fixture import blended, metric, record, write_evaluation

NAME = "7.png <b>"


def with_regions() -> dict[str, Any]:
    content = record(copying="green")
    level = {"baseline": 0.09, "baseline_std": 0.01, "n_fake": 256, "better": "target"}
    content["metrics"]["patchwork_share"] = metric(0.76, low=0.74, high=0.78, **level)
    content["metrics"]["region_count"] = metric(8.5, low=8.0, high=8.9, better=None)
    content["verdict"]["patchwork"] = "red"
    rule = {"rule": "red: patchwork_pictures >= 0.5", "number": 0.97, "text": "97% are put together."}
    content["verdict_rules"]["patchwork"] = rule
    source = {"share": 0.31, "regions": 2, "mirrored": True, "colour": [230, 159, 0]}
    content["pictures"]["regions"] = [
        {
            "fake": "samples/regions_00_fake.png",
            "map": "samples/regions_00_map.png",
            "fake_name": "seed 12",
            "share": 0.91,
            "regions": 6,
            "sources": [
                {"picture": "samples/regions_00_source_0.png", "name": NAME, **source},
                {"picture": "samples/regions_00_source_1.png", "name": "8.png", **source, "mirrored": False},
            ],
        }
    ]
    return content


def folder_with_regions(folder: Path) -> Path:
    write_evaluation(folder, with_regions())
    for place, name in enumerate(("fake", "map", "source_0", "source_1")):
        blended(place, place + 5, 0.5).save(folder / "samples" / f"regions_00_{name}.png")
    return folder


def section(page: str) -> str:
    found = re.search(r'<section id="regions".*?</section>', page, re.DOTALL)
    assert found
    return found[0]


def test_patchworks_are_shown_with_their_sources_in_colour(tmp_path: Path) -> None:
    page = write_report(folder_with_regions(tmp_path / "one")).read_text(encoding="utf-8")
    part = section(page)
    assert part.count("<img") == 4
    assert part.count('style="background: rgb(230, 159, 0)"') == 2
    for words in ("91% in 6 regions", "31%</b>, mirrored", "7.png &lt;b&gt;", "Share that comes in regions", "0.090"):
        assert words in part
    assert '<a href="#regions">' in page
    assert "These pictures consist of regions of training pictures" in page
    assert "97% are put together." in page
    # The headline stays that of whole pictures, and says so.
    assert "No sign of copied training pictures" in page
    assert "Of whole pictures only:" in page


def test_markdown_has_the_same(tmp_path: Path) -> None:
    folder = folder_with_regions(tmp_path / "one")
    write_report(folder)
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "**Patchwork: red.**" in text
    assert "| seed 12 | 91% | 6 | 7.png &lt;b&gt; (31%, mirrored), 8.png (31%) |" in text
    assert "This is about whole pictures only" in text


def test_a_record_without_regions_says_nothing_of_them(tmp_path: Path) -> None:
    page = write_report(write_evaluation(tmp_path / "one")).read_text(encoding="utf-8")
    assert 'id="regions"' not in page
    assert "atchwork" not in page.partition("<body")[2]
    assert "Of whole pictures only" not in page


@pytest.mark.parametrize("colour", ["red; position: fixed", [1, 2], ["url(x)", 0, 0]])
def test_a_colour_that_is_none_is_refused(tmp_path: Path, colour: Any) -> None:
    content = with_regions()
    content["pictures"]["regions"][0]["sources"][0]["colour"] = colour
    with pytest.raises(DataError, match="colour"):
        write_report(write_evaluation(tmp_path / "one", content))


def test_comparisons_show_the_verdict_where_one_has_it(tmp_path: Path) -> None:
    new, old = folder_with_regions(tmp_path / "new"), write_evaluation(tmp_path / "old")
    write_comparison(compare_columns(load_columns([new, old])), tmp_path / "out")
    text = (tmp_path / "out" / "compare.md").read_text(encoding="utf-8")
    assert "| Patchwork | red | grey |" in text
    other = write_evaluation(tmp_path / "older")
    write_comparison(compare_columns(load_columns([other, old])), tmp_path / "out")
    assert "Patchwork" not in (tmp_path / "out" / "compare.md").read_text(encoding="utf-8")
