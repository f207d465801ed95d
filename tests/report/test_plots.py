import re
import xml.etree.ElementTree as ElementTree

import pytest

from sase_gan.report.plots import ROLES, Line, bars_svg, histogram_svg, interval_svg, lines_svg, thinned


def a_line(alt: str = "KID over images") -> str:
    return lines_svg([Line("KID", [1, 2, 3], [0.3, 0.2, 0.1])], alt=alt, x_label="thousand images seen")


@pytest.fixture(params=["lines", "histogram", "bars", "interval"])
def svg(request: pytest.FixtureRequest) -> str:
    alt = 'a "quoted" <alt>'
    return {
        "lines": lambda: a_line(alt),
        "histogram": lambda: histogram_svg(
            [0, 1, 2], [3, 1], [1, 1], alt=alt, x_label="d", fakes_label="fakes", reals_label="reals"
        ),
        "bars": lambda: bars_svg([1.0, 2.0], alt=alt, x_label="step", y_label="moved"),
        "interval": lambda: interval_svg(0.5, alt=alt, low=0.4, high=0.6, level=0.1, level_std=0.02),
    }[request.param]()


def test_a_plot_is_one_well_formed_element_with_its_text_alternative(svg: str) -> None:
    element = ElementTree.fromstring(svg)
    assert element.tag == "svg"
    assert element.get("role") == "img"
    assert element.get("aria-label") == 'a "quoted" <alt>'


def test_a_plot_names_no_address_and_carries_no_style_rule(svg: str) -> None:
    assert "http" not in svg
    assert "<style" not in svg


def test_every_colour_is_a_role_that_the_page_may_override(svg: str) -> None:
    bare = re.sub(r"var\(--plot-[a-z]+, #[0-9a-f]{6}\)", "", svg)
    assert "var(--plot-" in svg
    assert not set(re.findall(r"#[0-9a-f]{6}\b", bare)) & set(ROLES.values())
    # Black and white would be invisible on one of the two backgrounds.
    assert not re.search(r"(fill|stroke): (#000000|#ffffff)", bare)


def test_text_stays_text_in_the_font_of_the_page() -> None:
    svg = a_line()
    assert "thousand images seen" in svg
    assert set(re.findall(r"font-family: ([^;\"]+)", svg)) == {"var(--plot-font, sans-serif)"}


def test_panels_of_one_page_share_no_element_names_and_repeat_exactly() -> None:
    def names(svg: str) -> set[str]:
        return set(re.findall(r' id="([^"]+)"', svg))

    first, second = a_line("first"), a_line("second")
    assert names(first)
    assert not names(first) & names(second)
    assert first == a_line("first")


def test_every_reference_has_its_element() -> None:
    svg = a_line()
    assert set(re.findall(r'(?:url\(|href=")#([^")]+)', svg)) <= set(re.findall(r' id="([^"]+)"', svg))


def test_thinning_keeps_the_mean_and_the_bound() -> None:
    x, y = thinned(range(1000), [float(value) for value in range(1000)], most=100)
    assert len(x) == len(y) == 100
    assert sum(y) / 100 == pytest.approx(499.5)
    assert thinned([1, 2], [5, 6], most=100) == ([1, 2], [5, 6])


def test_verdict_markers_differ_in_shape_not_only_in_colour() -> None:
    verdicts = ["green", "amber", "red"]
    svg = lines_svg([Line("KID", [1, 2, 3], [3, 2, 1], verdicts=verdicts)], alt="k")
    markers = {}
    for role in ("mark", "fake", "alarm"):
        shapes = re.findall(rf'<path id="[^"]+" d="([^"]+)" style="[^"]*fill: var\(--plot-{role},', svg)
        shapes += re.findall(rf'<path id="[^"]+" d="([^"]+)" style="[^"]*stroke: var\(--plot-{role},', svg)
        markers[role] = shapes[0]
    assert len(set(markers.values())) == 3


def test_histogram_takes_edges_or_centres_and_refuses_the_rest() -> None:
    words = {"alt": "h", "x_label": "d", "fakes_label": "f", "reals_label": "r"}
    assert histogram_svg([0, 1, 2], [3, 1], [1, 1], **words) == histogram_svg([0.5, 1.5], [3, 1], [1, 1], **words)
    with pytest.raises(ValueError, match="5 bins do not fit 2 and 2 counts"):
        histogram_svg([0, 1, 2, 3, 4], [3, 1], [1, 1], **words)


def test_histograms_are_drawn_as_shares() -> None:
    words = {"alt": "h", "x_label": "d", "fakes_label": "f", "reals_label": "r"}
    assert histogram_svg([0, 1, 2], [300, 100], [1, 1], **words) == histogram_svg([0, 1, 2], [3, 1], [7, 7], **words)


def test_interval_puts_numbers_where_they_belong() -> None:
    svg = interval_svg(5.0, alt="x", low=2.0, high=8.0, span=(0.0, 10.0))
    # 0 to 10 with a margin of 0.8 on both sides over 160 units.
    assert float(re.search(r'<circle cx="([\d.]+)"', svg)[1]) == pytest.approx(80, abs=0.05)
    left, right = re.search(r'<line x1="([\d.]+)" x2="([\d.]+)"[^>]*stroke-width="2.5"', svg).groups()
    assert float(left) == pytest.approx(160 * 2.8 / 11.6, abs=0.06)
    assert float(right) == pytest.approx(160 * 8.8 / 11.6, abs=0.06)


def test_interval_of_a_single_number_is_drawn() -> None:
    assert 'cx="80.0"' in interval_svg(0.0, alt="x")


@pytest.mark.parametrize("lines", [0, 5])
def test_a_panel_refuses_more_lines_than_dashes_tell_apart(lines: int) -> None:
    with pytest.raises(ValueError, match=f"takes 1 to 4 lines, got {lines}"):
        lines_svg([Line("a", [1], [1])] * lines, alt="x")


def test_a_line_of_unequal_lengths_is_refused() -> None:
    with pytest.raises(ValueError, match="1 values in y, but 2 in x"):
        Line("a", [1, 2], [1])


def test_bars_without_values_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        bars_svg([], alt="x", x_label="x", y_label="y")
