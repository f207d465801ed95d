import base64
import csv
import io
import itertools
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from sase_gan.errors import DataError, UsageError
from sase_gan.markdown import escaped
from sase_gan.metrics.catalogue import METRICS
from sase_gan.metrics.figures import identify
from sase_gan.metrics.records import parse_record
from sase_gan.report.numbers import format_number
from sase_gan.report.pages import GRID_SIDE, THUMBNAIL_SIDE
from sase_gan.report.write import write_report
from sase_gan.runs.history import best_record, read_run
from tests.report import report_fixture as fixture

SECTIONS = ["verdict", "samples", "copying", "numbers", "walk", "curves", "extremes", "setup"]
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """What a browser would meet: tags with attributes, the text, and tags that were closed out of order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = fixture.write_run(tmp_path_factory.mktemp("report") / "run")
    return write_report(fixture.write_evaluation(run / "evaluation"))


@pytest.fixture(scope="module")
def page(written: Path) -> Page:
    return Page(written.read_text(encoding="utf-8"))


def page_of(folder: Path, content: dict[str, Any], *, pictures: bool = False) -> Page:
    return Page(write_report(fixture.write_evaluation(folder, content, pictures=pictures)).read_text(encoding="utf-8"))


# --- the page --------------------------------------------------------------------------------------------------------


def test_page_is_closed_in_order_and_has_the_sections_in_the_documented_order(page: Page) -> None:
    assert page.open == []
    assert [tag["id"] for tag in page.all("section") if "id" in tag] == SECTIONS


def test_page_loads_nothing_and_runs_nothing(written: Path, page: Page) -> None:
    html = written.read_text(encoding="utf-8")
    assert "http://" not in html
    assert "https://" not in html
    assert "@import" not in html
    assert not page.all("script")
    assert not page.all("link")
    assert all(str(image["src"]).startswith("data:image/") for image in page.all("img"))
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert all(str(link["href"]).startswith("#") for link in page.all("a"))


def test_links_inside_the_page_arrive(page: Page) -> None:
    names = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(names) == len(set(names))
    used = {str(attributes[key])[1:] for _, attributes in page.tags for key in ("href",) if key in attributes}
    used |= {str(attributes["aria-labelledby"]) for _, attributes in page.tags if "aria-labelledby" in attributes}
    assert used <= set(names)


def test_every_picture_has_a_text_alternative_and_headings_skip_no_level(page: Page) -> None:
    assert page.all("img")
    assert all(image["alt"] for image in page.all("img"))
    plots = [attributes for attributes in page.all("svg") if "aria-hidden" not in attributes]
    assert all(plot["role"] == "img" and plot["aria-label"] for plot in plots)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_page_leads_with_copying_and_shows_the_evidence_beside_it(page: Page) -> None:
    text = re.sub(r"[ \n]+", " ", page.text)
    assert text.index("Copying: amber") < text.index("Quality: amber") < text.index("Diversity: green")
    verdict = text[text.index("Copying: amber") : text.index("Quality: amber")]
    assert "What decided it: nn_ratio < 0.950, the honest mean - 3 deviations (measured: 0.94)" in verdict
    assert "its distance is 31\xa0% of what is usual" in verdict
    # The first two pictures of the page are the most suspicious pair.
    assert [image["alt"].split(" picture")[0] for image in page.all("img")[:2]] == ["Generated", "Nearest training"]


@pytest.mark.parametrize("colour", ["green", "amber", "red", "grey"])
def test_each_colour_has_its_own_word_and_shape(tmp_path: Path, colour: str) -> None:
    html = write_report(fixture.write_evaluation(tmp_path, fixture.record(copying=colour), pictures=False)).read_text()
    word = "not judged" if colour == "grey" else colour
    assert f"Copying: {word}" in html
    shape = {"green": "M7.5 12.5l3", "amber": "M12 3l10", "red": "M8 2.5h8", "grey": "stroke-dasharray"}[colour]
    badge = html[html.index('class="badge"') : html.index(f"Copying: {word}")]
    assert shape in badge


def test_fid_is_not_mentioned_where_only_efflite0_ran(written: Path) -> None:
    for file in (written, written.with_name("report.md"), written.with_name("figures.csv")):
        text = re.sub(r"base64,[^\"]+", "", file.read_text(encoding="utf-8"))
        assert not re.search(r"(?<![A-Za-z])fid(?![A-Za-z])", text.replace("torch_fidelity", ""), re.IGNORECASE), (
            file.name
        )


def test_fid_is_called_so_where_inception_ran(tmp_path: Path) -> None:
    content = fixture.record()
    content["metrics"]["fid"] = fixture.metric(41.0, extractor="inception")
    assert re.search(r"FID on\s*Inception v3", re.sub(r"\s+", " ", page_of(tmp_path, content).text))


def test_kid_comes_first_with_interval_level_features_and_counts(page: Page) -> None:
    numbers = re.sub(r"\s+", " ", page.text[page.text.index("How far the generated pictures are") :])
    row = numbers[: numbers.index("Fréchet distance")]
    for part in (
        "KID",
        "EfficientNet-Lite0",
        "0.081",
        "0.072 to 0.090",
        "0.0001 ± 0.0009",
        "1 000 generated, 100 real",
    ):
        assert part in row.replace("\u202f", " ")


def test_a_distance_below_the_level_of_the_reals_points_to_copying(tmp_path: Path) -> None:
    content = fixture.record()
    assert "Below the level of two halves" not in page_of(tmp_path / "above", content).text
    content["metrics"]["fd_efflite0"] |= {"value": 9.3, "low": 9.0, "high": 9.6}
    assert "Below the level of two halves of your own pictures (24.8)" in page_of(tmp_path / "below", content).text


def test_skipped_and_failed_metrics_are_listed_with_their_reason_and_not_among_the_numbers(page: Page) -> None:
    assert "weights missing: lpips-alex" in page.text
    assert "the distance matrix did not fit into memory" in page.text
    assert page.text.count("LPIPS diversity") == 1


def test_cautions_follow_from_the_record(tmp_path: Path) -> None:
    content = fixture.record()
    text = page_of(tmp_path / "a", content).text
    assert "also took part in training" in text
    assert "12 of the real pictures were JPEG" in text
    assert "the distances are unreliable" not in text
    assert "drawn again out of patches" not in text
    content["data"] |= {"n": 20, "jpeg_sources": 0}
    content["model"]["extractor_used_in_training"] = False
    content["model"]["finished"] = {"made_of": "ab" * 32, "pictures": "cd" * 32, "strength": 0.4, "variety": 1.5}
    text = page_of(tmp_path / "b", content).text
    assert "Only 20 real pictures" in text
    assert "also took part in training" not in text
    assert "drawn again out of patches of the training pictures, which the model contains" in text
    assert "Finished with patches" in text
    assert "JPEG files:" not in text


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [([1, 1, 1, 1], "The steps are even"), ([0.1, 0.1, 0.1, 3.0], "goes in stairs"), ([0, 0], "ignores its latent")],
)
def test_latent_walk_is_put_into_words(tmp_path: Path, steps: list[float], sentence: str) -> None:
    content = fixture.record()
    content["pictures"]["walk"] = {"strip": None, "steps": steps}
    assert sentence in page_of(tmp_path, content).text


def test_embedded_pictures_are_bounded_and_true(written: Path, page: Page) -> None:
    sizes = []
    for image in page.all("img"):
        content = base64.b64decode(str(image["src"]).split("base64,")[1])
        with Image.open(io.BytesIO(content)) as decoded:
            sizes.append(max(decoded.size))
            assert decoded.size == (int(str(image["width"])), int(str(image["height"])))
    assert max(sizes) <= GRID_SIDE
    assert sorted(sizes)[len(sizes) // 2] <= THUMBNAIL_SIDE
    assert written.stat().st_size < 3_000_000


def test_report_is_the_same_twice(written: Path) -> None:
    before = written.read_bytes()
    assert write_report(written.parent).read_bytes() == before


# --- missing and hostile parts ---------------------------------------------------------------------------------------


def test_an_empty_record_gives_a_page_that_says_what_is_missing(tmp_path: Path) -> None:
    page = page_of(tmp_path, {"schema_version": 1})
    assert page.open == []
    for sentence in (
        "Copying was not judged",
        "No sample pictures were kept",
        "No pairs of generated and training pictures were kept",
        "Copying was not measured",
        "No distance or quality figure could be computed",
        "A walk needs the generator",
        "No training run was given",
        "No most and least typical pictures were kept",
    ):
        assert sentence in page.text


def test_missing_and_broken_picture_files_are_named(tmp_path: Path) -> None:
    folder = fixture.write_evaluation(tmp_path)
    (folder / "samples" / "reals.png").unlink()
    (folder / "samples" / "fakes.png").write_bytes(b"not a picture")
    text = Page(write_report(folder).read_text(encoding="utf-8")).text
    assert "samples/reals.png is missing." in text
    assert "samples/fakes.png is no readable picture." in text


def test_pictures_outside_the_folder_are_not_followed(tmp_path: Path) -> None:
    fixture.face(1).save(tmp_path / "secret.png")
    content = fixture.record()
    content["pictures"]["fakes"] = "../secret.png"
    content["pictures"]["reals"] = str(tmp_path / "secret.png")
    text = page_of(tmp_path / "evaluation", content).text
    assert text.count("lies outside the report's folder and was not followed") == 2


HOSTILE = "<img src=x onerror=alert(1)> \"&' {{ 7*7 }} | `x` [a](javascript:1)"


def test_hostile_names_stay_text_in_html(tmp_path: Path) -> None:
    content = fixture.record()
    content["command"] = content["disagreement"] = content["data"]["name"] = content["fakes"]["name"] = HOSTILE
    content["model"]["snapshot"] = content["data"]["licence"] = content["protocol"]["name"] = HOSTILE
    content["metrics"]["kid_efflite0"]["meaning"] = content["metrics"]["lpips_diversity"]["reason"] = HOSTILE
    content["metrics"][HOSTILE] = fixture.metric(1.0, extractor=HOSTILE)
    content["verdict_rules"]["copying"] = {"rule": HOSTILE, "text": HOSTILE}
    content["pictures"]["copying"][0] |= {"fake_name": HOSTILE, "nearest_name": HOSTILE, "second": HOSTILE}
    content["versions"][HOSTILE] = HOSTILE
    page = page_of(tmp_path, content, pictures=True)
    assert page.open == []
    assert page.text.count(HOSTILE) >= 12
    assert all(str(image["src"]).startswith("data:") for image in page.all("img"))
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("onerror")]


def test_hostile_names_stay_text_in_markdown(tmp_path: Path) -> None:
    content = fixture.record()
    content["data"]["name"] = content["pictures"]["copying"][0]["nearest_name"] = HOSTILE
    content["pictures"]["reals"] = "samples/a) ![x](evil.png"
    write_report(fixture.write_evaluation(tmp_path, content, pictures=False))
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "<img" not in text
    assert "](javascript" not in text.replace("\\]", "")
    assert "](samples/a%29%20%21%5Bx%5D%28evil.png)" in text
    row = next(line for line in text.splitlines() if line.startswith("| seed") and "onerror" in line)
    assert len(re.findall(r"(?<!\\)\|", row)) == 6


def test_markdown_escape_keeps_a_cell_on_one_line() -> None:
    assert escaped("a\nb|c") == "a b&#124;c"


def test_unknown_schema_is_refused_with_what_to_do(tmp_path: Path) -> None:
    folder = fixture.write_evaluation(tmp_path, fixture.record() | {"schema_version": 2}, pictures=False)
    with pytest.raises(
        UsageError, match=r"metrics.json has schema_version 2, but this sase_gan reads 1; update sase_gan"
    ):
        write_report(folder)
    assert not (folder / "report.html").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not valid JSON"),
        ("[]", "holds list, but an evaluation record is a JSON object"),
        ('{"schema_version": 1, "data": {"n": "many"}}', r"unusable field 'data\.n'"),
        ('{"schema_version": 1, "verdict": {"copying": "pink"}}', r"unusable field 'verdict\.copying'"),
    ],
)
def test_damaged_records_are_refused_by_name(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(DataError, match=message):
        write_report(tmp_path)


def test_a_folder_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither metrics\.json nor a usable line of results\.jsonl"):
        write_report(tmp_path)


def test_nan_in_a_record_is_no_value(tmp_path: Path) -> None:
    content = fixture.record()
    content["metrics"]["kid_efflite0"]["value"] = float("nan")
    page = page_of(tmp_path, content)
    assert "nan" not in page.text
    assert "no reason was recorded" in page.text


# --- files beside the page -------------------------------------------------------------------------------------------


def test_csv_has_a_row_per_metric_and_an_existing_one_is_kept(tmp_path: Path) -> None:
    folder = fixture.write_evaluation(tmp_path, pictures=False)
    write_report(folder)
    with (folder / "figures.csv").open(newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert set(rows) == set(fixture.metrics())
    assert float(rows["kid_efflite0"]["value"]) == 0.081
    assert rows["lpips_diversity"]["value"] == ""
    (folder / "figures.csv").write_text("mine")
    write_report(folder)
    assert (folder / "figures.csv").read_text() == "mine"


def test_markdown_tells_verdicts_numbers_and_pictures(written: Path) -> None:
    text = written.with_name("report.md").read_text(encoding="utf-8")
    assert text.index("**Copying: amber.**") < text.index("**Quality: amber.**")
    assert "| KID | EfficientNet-Lite0 | 0.081 | 0.072 to 0.090 | 0.0001 ± 0.0009 |" in text
    assert "![Generated pictures](samples/fakes.png)" in text


# --- runs ------------------------------------------------------------------------------------------------------------


def test_curves_mark_the_snapshot_and_carry_the_copying_verdicts(page: Page) -> None:
    curves = page.text[page.text.index("Curves") : page.text.rindex("Extremes")]
    for title in (
        "KID",
        "Share of suspiciously near pictures",
        "Discriminator's answers",
        "Adversarial losses",
        "Reconstruction losses",
        "Augmentation probability",
    ):
        assert title in curves
    assert "this snapshot" in curves
    assert "copying: red" in curves


def test_a_run_is_reported_by_its_best_snapshot_that_does_not_copy(tmp_path: Path) -> None:
    run = fixture.write_run(tmp_path / "run")
    log = (run / "metrics.csv").read_bytes()
    text = Page(write_report(run).read_text(encoding="utf-8")).text
    # KID falls to the end, but the last snapshot is red; the one before is amber.
    assert "Snapshot 000280kimg against faces" in text
    assert (run / "metrics.csv").read_bytes() == log


def test_a_run_without_figures_still_shows_its_pictures_and_curves(tmp_path: Path) -> None:
    run = fixture.write_run(tmp_path / "run")
    (run / "results.jsonl").unlink()
    fixture.face(1).save(run / "grids" / "000012.345kimg.png")
    fixture.face(2).save(run / "grids" / "reals.png")
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert "Snapshot 000240kimg against faces" in page.text
    assert "Copying was not judged" in page.text
    assert "Adversarial losses" in page.text
    assert len(page.all("img")) == 2


def test_the_untrained_snapshot_is_never_the_best() -> None:
    records = [
        parse_record(fixture.record(copying="green", kid=kid, images_seen=seen), "x")
        for kid, seen in ((0.1, 0), (0.2, 9))
    ]
    assert best_record(tuple(records)).model.images_seen == 9


def test_records_of_another_schema_in_a_run_are_left_out_and_said(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_text(json.dumps({"schema_version": 9}) + "\n")
    records = read_run(tmp_path)
    assert records.results == ()
    assert "schema_version 9" in records.notes[0]


def test_best_record_prefers_honest_snapshots_and_falls_back_to_the_last() -> None:
    def one(kid: float | None, copying: str, seen: int) -> Any:
        content = fixture.record(copying=copying, kid=kid or 1.0, images_seen=seen)
        if kid is None:
            content["metrics"] = {}
        return parse_record(content, "x")

    assert best_record(()) is None
    assert best_record((one(0.3, "green", 1), one(0.1, "red", 2), one(0.2, "amber", 3))).model.images_seen == 3
    assert best_record((one(0.3, "red", 1), one(0.1, "red", 2))).model.images_seen == 2
    assert best_record((one(None, "green", 1), one(None, "green", 2))).model.images_seen == 2


def test_half_a_line_of_results_is_left_out_and_said(tmp_path: Path) -> None:
    run = fixture.write_run(tmp_path / "run")
    with (run / "results.jsonl").open("a") as file:
        file.write('{"schema_version": 1, "crea')
    records = read_run(run)
    assert len(records.results) == 8
    assert records.notes == ("Line 9 of results.jsonl is not valid JSON and was left out.",)


def test_empty_and_wrong_cells_of_the_training_log_are_gaps(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("images_seen,loss,extra\n10,0.5,\n20,,x\n30,nan,1\n,9,9\n40,0.25,2\n")
    series = read_run(tmp_path).series
    assert series["loss"] == ((10, 0.5), (40, 0.25))
    assert series["extra"] == ((30, 1), (40, 2))


def test_run_folder_is_found_above_an_evaluation(written: Path) -> None:
    assert "base_channels: 32" in written.read_text(encoding="utf-8")


# --- command, imports, words -----------------------------------------------------------------------------------------


def command() -> Any:
    import typer

    from sase_gan.commands.report import report

    app = typer.Typer()
    app.command()(report)
    return app


def test_command_rebuilds_a_report_and_refuses_other_places(tmp_path: Path) -> None:
    folder = fixture.write_evaluation(tmp_path / "evaluation", pictures=False)
    result = CliRunner().invoke(command(), [str(folder)])
    assert result.exit_code == 0
    assert result.output.strip().endswith("report.html")
    missing = CliRunner().invoke(command(), [str(tmp_path / "nowhere")])
    assert isinstance(missing.exception, UsageError)
    wrong = CliRunner().invoke(command(), [str(folder), "--run", str(tmp_path)])
    assert "neither results.jsonl nor config.yaml" in str(wrong.exception)


def loaded_by(modules: str, *suspects: str) -> str:
    code = f"import {modules}, sys; print([name for name in {suspects} if name in sys.modules])"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_report_and_compare_import_neither_torch_nor_pyplot() -> None:
    assert loaded_by("sase_gan.report.write, sase_gan.report.compare", "torch", "matplotlib.pyplot") == "[]"


def test_importing_the_commands_loads_nothing_heavy() -> None:
    commands = "sase_gan.commands.report, sase_gan.commands.compare"
    assert loaded_by(commands, "jinja2", "matplotlib", "pydantic", "rich") == "[]"


@pytest.mark.parametrize(
    ("value", "spread", "text"),
    [
        (0.081, 0.0178, "0.081"),
        (0.0001, 0.0009, "0.0001"),
        (24.81, 0.6, "24.8"),
        (132.9, None, "133"),
        (1.0, None, "1"),
        (0.0, None, "0"),
        (-0.0018, None, "−0.0018"),
        (-0.00001, 0.01, "0.000"),
        (12345.6, None, "12\u202f346"),
        (5.0, 0.0, "5"),
    ],
)
def test_numbers_get_the_decimals_that_their_spread_deserves(value: float, spread: float | None, text: str) -> None:
    assert format_number(value, spread) == text


@pytest.mark.parametrize(
    ("name", "base", "extractor", "title"),
    [
        ("kid_mid_efflite0", "kid_mid", "efflite0", "KID, mid-level features"),
        ("fid", "fd", "inception", "FID"),
        ("fid_clean", "fd", "inception-clean", "FID"),
        ("precision", "precision", "inception", "Precision"),
        ("sifid64_tv", "sifid64", "inception-tv", "SIFID, 64 channels"),
        ("precision_dinov2", "precision", "dinov2", "Precision"),
        ("copy_share_pixels", "copy_share_pixels", None, "Share of suspiciously near pictures, by pixels"),
        ("patch_swd_16", "patch_swd_level", None, "Patch distance at 16 px"),
        ("something_new", "something_new", None, "something_new"),
    ],
)
def test_names_of_metrics_are_taken_apart(name: str, base: str, extractor: str | None, title: str) -> None:
    found = identify(name)
    assert (found.metric.base, found.network, found.title) == (base, extractor, title)
    assert found.name == name


def test_metrics_are_listed_kid_first_and_scales_by_size() -> None:
    names = ["patch_swd_128", "patch_swd_16", "authpct", "fd_efflite0", "kid_efflite0", "kid", "patch_swd", "new"]
    ordered = ["kid", "kid_efflite0", "fd_efflite0", "patch_swd", "patch_swd_16", "patch_swd_128", "authpct", "new"]
    assert sorted(names, key=lambda name: identify(name).place) == ordered


def test_every_figure_of_the_metrics_has_words_and_a_group() -> None:
    assert [metric.base for metric in METRICS if metric.title == metric.base] == []
    assert [metric.base for metric in METRICS if metric.section == "other"] == []
    assert len({metric.base for metric in METRICS}) == len(METRICS)


def test_the_verdict_shows_the_figures_of_the_space_that_decided(tmp_path: Path) -> None:
    content = fixture.record()
    content["metrics"]["nn_ratio_pixels"] = fixture.metric(0.123)
    html = write_report(fixture.write_evaluation(tmp_path, content, pictures=False)).read_text(encoding="utf-8")
    assert "0.123" not in html[: html.index('id="samples"')]
    content["verdict_rules"]["copying"]["rule"] = "red: nn_ratio_pixels < 0.80"
    html = write_report(fixture.write_evaluation(tmp_path, content, pictures=False)).read_text(encoding="utf-8")
    assert "0.123" in html[: html.index('id="samples"')]


def test_fixture_is_a_record_of_the_documented_schema() -> None:
    assert parse_record(json.loads(json.dumps(fixture.record())), "fixture").metrics["kid_efflite0"].measured


def test_reference_levels_stand_beside_their_distance_only(tmp_path: Path) -> None:
    content = fixture.record()
    content["metrics"]["fd_reference_efflite0"] = fixture.metric(24.8, better=None)
    assert "Reference level: halves of the real pictures" not in page_of(tmp_path / "a", content).text
    del content["metrics"]["fd_efflite0"]
    assert "Reference level: halves of the real pictures" in page_of(tmp_path / "b", content).text


def test_a_remark_on_a_measured_figure_is_shown(tmp_path: Path) -> None:
    content = fixture.record()
    content["metrics"]["kid_efflite0"]["reason"] = "unreliable with fewer than 50 real pictures"
    assert "Note: unreliable with fewer than 50 real pictures." in page_of(tmp_path, content).text


def test_both_spaces_of_the_copying_check_get_a_histogram(tmp_path: Path) -> None:
    content = fixture.record()
    assert "By pixels" not in page_of(tmp_path / "a", content).text
    content["histograms"]["copying_pixels"] = content["histograms"]["copying"]
    text = page_of(tmp_path / "b", content).text
    assert "By layout" in text
    assert "By pixels" in text


def test_a_green_verdict_beside_red_copying_says_that_it_says_little(tmp_path: Path) -> None:
    warning = "copies of real pictures are as good and as varied"
    assert warning not in page_of(tmp_path / "amber", fixture.record(copying="amber")).text
    text = page_of(tmp_path / "red", fixture.record(copying="red")).text
    # Diversity is green in the fixture, quality amber.
    assert text.count(warning) == 1
    assert text.index("Diversity: green") < text.index(warning)


def test_a_single_picture_gets_no_talk_of_sets(tmp_path: Path) -> None:
    content = fixture.record()
    content["data"]["n"] = 1
    for pair in content["pictures"]["copying"]:
        pair |= {"second": None, "loo": 0.0}
    text = page_of(tmp_path, content, pictures=True).text
    assert "Only 1 real" not in text
    assert "The real picture was a JPEG file" in text
    assert "compared with the training picture and its mirror image" in text
    assert "“usual”" not in text
    assert "% of the usual" not in text
    assert "second nearest" not in text


def test_green_copying_of_bad_pictures_says_little(tmp_path: Path) -> None:
    content = fixture.record(copying="green")
    warning = "pictures that are far from all real ones cannot be copies"
    assert warning not in page_of(tmp_path / "amber", content).text
    content["verdict"]["quality"] = "red"
    assert warning in page_of(tmp_path / "red", content).text
    assert warning in (tmp_path / "red" / "report.md").read_text(encoding="utf-8")


def test_columns_that_would_stand_empty_are_left_out(tmp_path: Path) -> None:
    content = fixture.record()
    # Counted in headers: the fixture's distances have a level, its diversity has none.
    heads = [page_of(tmp_path / "a", content).text.count(head) for head in ("Honest level", "Counted over")]
    assert heads[0] < heads[1]
    for metric in content["metrics"].values():
        metric["baseline"] = None
    text = page_of(tmp_path / "b", content).text
    assert "Honest level" not in text
    assert "value and its 95 % interval" not in text
