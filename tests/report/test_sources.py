"""The report's section on the sources of a model without training."""

from pathlib import Path

from sase_gan.report.write import write_report
from tests.report.report_fixture import blended, record, write_evaluation


def page_of(folder: Path, part: dict[str, object] | None) -> str:
    content = record(copying="green")
    if part is not None:
        content["model"] = {**(content.get("model") or {}), "recombination": part}
    write_evaluation(folder, content)
    blended(0, 1, 0.5).save(folder / "samples" / "maps.png")
    return write_report(folder).read_text(encoding="utf-8")


def test_a_model_without_training_says_what_its_pictures_are_made_of(tmp_path: Path) -> None:
    part = {
        "entropy_of_use": 0.93,
        "most_used": 2.5,
        "largest_region": 0.22,
        "regions": 16.31,
        "maps": "samples/maps.png",
    }
    page = page_of(tmp_path, part)
    section = page[page.index('<section id="sources"') :].partition("</section>")[0]
    assert "new arrangements, not new matter" in section
    assert "covers 22% of a picture, and 16.3 regions" in section
    assert "2.50 times its even share" in section
    assert "93% of the largest possible entropy" in section
    assert section.count("<img") == 1
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "new arrangements, not new matter" in markdown
    assert "2.50 times its even share" in markdown


def test_of_one_picture_there_is_no_even_share(tmp_path: Path) -> None:
    section = page_of(tmp_path, {"largest_region": 0.1, "regions": 7.0})
    assert "the largest region of one training picture covers 10%" in section
    assert "even share" not in section


def test_other_models_have_no_such_section(tmp_path: Path) -> None:
    assert 'id="sources"' not in page_of(tmp_path, None)
