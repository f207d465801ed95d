"""Plots as inline SVG that follow the page they stand in: light, dark or printed, at any width.

Each function draws one small panel with matplotlib's object interface (no pyplot, no state between calls) and returns
an `<svg>` element that templates need not escape. Three decisions make it fit a report that must open offline and read
well on a telephone:

* text stays text (`svg.fonttype: none`): small, selectable, found by a search, drawn in the page's own font;
* every colour is a role. matplotlib draws it in its light-mode value, which is then written as
  `var(--plot-fake, #b4520f)`, so a page with that variable recolours the plot and a page without it loses nothing;
* panels are small multiples at their natural size (about 360 points), because shrinking one wide figure to the width of
  a telephone makes its text unreadable.

Colour is never the only signal: lines differ in dash and marker, filled areas stand against outlines, and each panel
carries a text alternative.
"""

import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

ROLES = {
    "ink": "#23292f",
    "muted": "#5d6670",
    "grid": "#d9dcd6",
    "fake": "#b4520f",
    "real": "#2f66a3",
    "third": "#6d4fa0",
    "mark": "#1c7c74",
    "alarm": "#b3261e",
}
"""The colours of plots by what they mean, in their light-mode value."""

MOST_POINTS = 300
"""Longer series are averaged over equal stretches: a curve of 300 points looks the same and keeps the page small."""

_DASHES: tuple[Any, ...] = ("-", (0, (4, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)))
_MARKERS = {"green": ("o", "mark"), "amber": ("^", "fake"), "red": ("X", "alarm"), "grey": ("s", "muted")}


@dataclass(frozen=True)
class Line:
    """A line is one curve with its label, its role and perhaps a band.

    Args:
        label: for the legend; empty for a line that the panel's heading names.
        x, y: of equal length, finite.
        low, high: a band.
        role: a key of `ROLES`.
        verdicts: a colour word per point, drawn as a marker whose shape differs too.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    role: str = "fake"
    verdicts: Sequence[str] | None = None

    def __post_init__(self) -> None:
        for name in ("y", "low", "high", "verdicts"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.x):
                raise ValueError(f"line {self.label!r} has {len(values)} values in {name}, but {len(self.x)} in x")


def lines_svg(
    lines: Sequence[Line],
    *,
    alt: str,
    x_label: str = "",
    marked_x: float | None = None,
    mark_label: str = "",
    level: float | None = None,
    level_label: str = "",
) -> Markup:
    """Draw curves over a common axis.

    Args:
        lines: at most four, so that dashes tell them apart.
        alt: the text alternative, as of all plots here.
        marked_x: where to draw a vertical mark, such as the chosen snapshot's.
        level: where to draw a horizontal reference level.

    Raises:
        ValueError: no line, or more than four.
    """
    if not 1 <= len(lines) <= len(_DASHES):
        raise ValueError(f"a panel takes 1 to {len(_DASHES)} lines, got {len(lines)}; use more panels")
    figure, axes = _panel()
    for line, dash in zip(lines, _DASHES, strict=False):
        _draw_line(axes, line, dash)
    if level is not None:
        axes.axhline(level, color=ROLES["real"], linewidth=1.1, linestyle=(0, (1, 2)), label=level_label or None)
    if marked_x is not None:
        axes.axvline(marked_x, color=ROLES["mark"], linewidth=1.4, linestyle=(0, (6, 2)), label=mark_label or None)
    axes.set_xlabel(x_label)
    axes.margins(x=0.02)
    _legend(axes)
    return _svg(figure, alt)


def _draw_line(axes: Axes, line: Line, dash: Any) -> None:
    colour = ROLES[line.role]
    if line.low is not None and line.high is not None:
        axes.fill_between(line.x, line.low, line.high, color=colour, alpha=0.16, linewidth=0)
    # A single evaluation is a dot: a line of one point would be invisible.
    look: dict[str, Any] = {"linestyle": dash, "linewidth": 1.5, "marker": "o" if len(line.x) <= 1 else ""}
    axes.plot(*thinned(line.x, line.y), color=colour, label=line.label or "_hidden", **look)
    for word, (marker, role) in _MARKERS.items():
        chosen = [place for place, verdict in enumerate(line.verdicts or ()) if verdict == word]
        if chosen:
            x, y = [line.x[place] for place in chosen], [line.y[place] for place in chosen]
            look = {"linestyle": "none", "marker": marker, "markersize": 6}
            axes.plot(x, y, color=ROLES[role], label=f"copying: {word}", **look)


def thinned(x: Sequence[float], y: Sequence[float], most: int = MOST_POINTS) -> tuple[list[float], list[float]]:
    """Average a series over equal stretches of its points until it has at most `most`; shorter ones are unchanged.

    Example:
        >>> thinned([0, 1, 2, 3], [0, 2, 4, 8], most=2)
        ([0.5, 2.5], [1.0, 6.0])
    """
    stretch = math.ceil(len(x) / most)
    if stretch <= 1:
        return list(x), list(y)
    pieces = [slice(start, start + stretch) for start in range(0, len(x), stretch)]
    return [_mean(x[piece]) for piece in pieces], [_mean(y[piece]) for piece in pieces]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def histogram_svg(
    bins: Sequence[float],
    fakes: Sequence[float],
    reals: Sequence[float],
    *,
    alt: str,
    x_label: str,
    fakes_label: str,
    reals_label: str,
) -> Markup:
    """Draw two histograms over each other as shares of their own sum: fakes filled, reals as a dashed outline.

    Args:
        bins: edges (one more than there are counts), or the centres of equal bins.
        fakes, reals: counts or shares.

    Raises:
        ValueError: the lengths do not fit each other.
    """
    if len(fakes) != len(reals) or len(bins) - len(fakes) not in (0, 1) or not fakes:
        raise ValueError(
            f"{len(bins)} bins do not fit {len(fakes)} and {len(reals)} counts; edges or centres are needed"
        )
    edges = list(bins)
    if len(bins) == len(fakes):
        half = (bins[1] - bins[0]) / 2 if len(bins) > 1 else 0.5
        edges = [bins[0] - half, *(centre + half for centre in bins)]
    figure, axes = _panel(width=420, height=220)
    axes.stairs(_shares(fakes), edges, fill=True, color=ROLES["fake"], alpha=0.55, linewidth=0, label=fakes_label)
    axes.stairs(_shares(fakes), edges, color=ROLES["fake"], linewidth=1.2)
    axes.stairs(_shares(reals), edges, color=ROLES["real"], linewidth=1.6, linestyle=(0, (4, 2)), label=reals_label)
    axes.set_xlabel(x_label)
    axes.set_ylabel("share of pictures")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    axes.set_ylim(bottom=0)
    _legend(axes)
    return _svg(figure, alt)


def _shares(counts: Sequence[float]) -> list[float]:
    total = sum(counts)
    return [count / total for count in counts] if total else list(counts)


def bars_svg(values: Sequence[float], *, alt: str, x_label: str, y_label: str) -> Markup:
    """Draw a bar per value, their mean as a dashed line; for a latent walk, whose steps should be even.

    Raises:
        ValueError: no value.
    """
    if not values:
        raise ValueError("got no values; a bar panel needs at least one")
    figure, axes = _panel(width=420, height=160)
    axes.bar(range(1, len(values) + 1), values, color=ROLES["fake"], alpha=0.65, width=0.82)
    axes.axhline(_mean(values), color=ROLES["ink"], linewidth=1, linestyle=(0, (4, 2)), label="mean step")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.set_ylim(bottom=0)
    axes.set_xlim(0.4, len(values) + 0.6)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(axes)
    return _svg(figure, alt)


def interval_svg(
    value: float,
    *,
    alt: str,
    low: float | None = None,
    high: float | None = None,
    level: float | None = None,
    level_std: float | None = None,
    span: tuple[float, float] | None = None,
) -> Markup:
    """Draw a strip for a table cell: the value as a dot on its interval, over the reference level as a bar with a tick.

    Args:
        low, high: the ends of the 95 % interval.
        level: the reference level, such as that of two halves of the reals.
        level_std: its standard deviation; the bar spans three of them to each side.
        span: the ends of the axis, for strips that must share one; by default what is drawn, with a margin.
    """
    ends = [value, *(end for end in (low, high) if end is not None)]
    if level is not None:
        around = 3 * (level_std or 0)
        ends += [level - around, level + around]
    start, stop = span or (min(ends), max(ends))
    room = 0.08 * (stop - start) or max(abs(value), 1.0) * 0.1
    start, stop = start - room, stop + room

    def x(number: float) -> str:
        return f"{160 * (number - start) / (stop - start):.1f}"

    parts = [f'<line class="strip-axis" x1="0" x2="160" y1="14" y2="14" stroke="var(--plot-grid, {ROLES["grid"]})"/>']
    if level is not None:
        colour = f"var(--plot-real, {ROLES['real']})"
        if level_std:
            left, right = float(x(level - around)), float(x(level + around))
            size = f'x="{left:.1f}" y="9" width="{max(right - left, 1):.1f}" height="10"'
            parts.append(f'<rect {size} fill="{colour}" opacity="0.22"/>')
        parts.append(f'<line x1="{x(level)}" x2="{x(level)}" y1="5" y2="23" stroke="{colour}" stroke-width="2"/>')
    colour = f"var(--plot-fake, {ROLES['fake']})"
    if low is not None and high is not None:
        parts.append(f'<line x1="{x(low)}" x2="{x(high)}" y1="14" y2="14" stroke="{colour}" stroke-width="2.5"/>')
    parts.append(f'<circle cx="{x(value)}" cy="14" r="4.5" fill="{colour}"/>')
    opening = f'<svg class="strip" viewBox="0 0 160 28" role="img" aria-label="{escape(alt)}">'
    return Markup(f"{opening}{''.join(parts)}</svg>")


# --- the look of a panel ---------------------------------------------------------------------------------------------

# Any: matplotlib types its settings as a Literal of every key it knows.
_STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": ROLES["muted"],
    "axes.labelcolor": ROLES["muted"],
    "text.color": ROLES["ink"],
    "xtick.color": ROLES["muted"],
    "ytick.color": ROLES["muted"],
    "axes.unicode_minus": True,
}


def panels_svg(panels: Mapping[str, str], *, columns: int = 2) -> str:
    """Put panels, each under its heading, into one SVG document that stands alone, in rows of `columns`."""
    width, height, line = 380, 232, 22
    parts = []
    for place, (heading, panel) in enumerate(panels.items()):
        left, top = place % columns * width, place // columns * (height + line)
        parts.append(f'<text x="{left + 10}" y="{top + 15}" font-size="13">{escape(heading)}</text>')
        where = f'x="{left}" y="{top + line}" width="{width - 20}" height="{height - 16}"'
        parts.append(f"<svg {where} {panel.removeprefix('<svg ')}")
    size = width * min(columns, len(panels)), (height + line) * -(-len(panels) // columns)
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}" font-family="sans-serif">'
    ground = '<rect width="100%" height="100%" fill="#ffffff"/>'
    return f"{opening}{ground}{''.join(parts)}</svg>\n"


def _panel(width: int = 360, height: int = 216) -> tuple[Figure, Axes]:
    """An empty plot of a size in points."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=ROLES["grid"], linewidth=0.7)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    return figure, axes


def _legend(axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1.01), "ncols": 2, "borderaxespad": 0}
    look: dict[str, Any] = {"frameon": False, "fontsize": 9, "labelcolor": ROLES["ink"]}
    if handles:
        axes.legend(handles, labels, handlelength=2.2, columnspacing=1.4, **place, **look)


def _svg(figure: Figure, alt: str) -> Markup:
    buffer = io.StringIO()
    # The salt makes element names equal from run to run and unequal between the panels of a page.
    with mpl.rc_context({**_STYLE, "svg.hashsalt": alt}):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    return Markup(_inline(buffer.getvalue(), alt))


def _inline(document: str, alt: str) -> str:
    """Turn matplotlib's SVG document into an element for an HTML page: no prologue, no addresses, roles for colours."""
    element = document[document.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->\s*", "", element, flags=re.DOTALL)
    view_box = re.search(r'viewBox="([^"]+)"', element)
    assert view_box is not None
    width = float(view_box[1].split()[2])
    look = f"max-width: {width:.0f}pt; stroke-linejoin: round"
    opening = f'<svg class="plot" viewBox="{view_box[1]}" style="{look}" role="img" aria-label="{escape(alt)}">'
    element = re.sub(r"<svg[^>]*>", lambda _: opening, element, count=1)
    # A page has many panels: names that nothing refers to ("axes_1") would only collide.
    used = set(re.findall(r'(?:url\(|xlink:href="|href=")#([^")]+)', element))
    element = re.sub(r' id="([^"]+)"', lambda match: match[0] if match[1] in used else "", element)
    element = element.replace("xlink:href", "href")
    element = re.sub(r"font-family: [^;\"]*", "font-family: var(--plot-font, sans-serif)", element)
    # matplotlib's one style rule would reach the whole page; inherited properties do the same from here.
    element = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", element, flags=re.DOTALL)
    element = re.sub(r"\s*\n\s*", " ", element).replace("> <", "><")
    for role, value in ROLES.items():
        element = element.replace(value, f"var(--plot-{role}, {value})")
    return element.strip()
