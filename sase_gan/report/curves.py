"""Curves of a training run as small plots: the snapshots' main figures, then the series of its log."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sase_gan.metrics.records import EvaluationRecord
from sase_gan.report.plots import MOST_POINTS, Line, lines_svg
from sase_gan.runs.history import RunRecords, images_seen, main_distance

# Columns of a run's metrics.csv that belong on one panel, by a pattern on their names; the rest get a panel each.
_FAMILIES = (
    ("Discriminator's answers", r"(real|fake)_logit"),
    ("Adversarial losses", r"g_adversarial|d_real|d_fake"),
    ("Reconstruction losses", r"[gd]_rebuild.*"),
    ("Regularisers", r"d_r1|d_lecam"),
    ("Augmentation probability", r"augment(ation)?(_.*)?"),
)
# Label and role; what is about real or generated images has their colour on every panel.
_SERIES = {
    "real_logit": ("real", "real"),
    "fake_logit": ("generated", "fake"),
    "g_adversarial": ("generator", "third"),
    "d_real": ("discriminator, real", "real"),
    "d_fake": ("discriminator, generated", "fake"),
    "d_r1": ("gradient penalty", None),
    "d_lecam": ("LeCam", None),
}
# Clocks and the machine's figures are about the training, not about the model.
_NOT_CURVES = {"seconds", "cpu_seconds", "step", "epoch", "time", "images_per_second", "peak_memory_mb"}
MOST_PANELS = 12


@dataclass(frozen=True)
class Panel:
    """A panel is a plot with its heading."""

    title: str
    svg: Markup
    caption: str | None = None


def curve_panels(run: RunRecords, chosen: int | None) -> list[Panel]:
    """Draw small plots over thousands of images seen: the snapshots' KID and copying first, then the training's series.

    Args:
        chosen: images seen of the evaluated snapshot, marked on each panel.
    """
    panels = _result_panels(run.results, chosen)
    names = [name for name in run.series if name not in _NOT_CURVES]
    for title, pattern in _FAMILIES:
        members = [name for name in names if re.fullmatch(pattern, name)]
        names = [name for name in names if name not in members]
        fours = [members[start : start + 4] for start in range(0, len(members), 4)]
        panels += [_series_panel(title, run.series, four, chosen) for four in fours]
    panels += [_series_panel(name.replace("_", " ").capitalize(), run.series, [name], chosen) for name in names]
    return panels[:MOST_PANELS]


def _result_panels(results: Sequence[EvaluationRecord], chosen: int | None) -> list[Panel]:
    scored = [record for record in results if images_seen(record) is not None]
    main = main_distance(scored[-1]) if scored else None
    panels: list[Panel] = []
    for name in filter(None, (main, "copy_share", "nn_ratio")):
        points = [record for record in scored if name in record.metrics and record.metrics[name].measured]
        if not points:
            continue
        metrics = [record.metrics[name] for record in points]
        banded = all(metric.has_interval for metric in metrics)
        line = Line(
            "",
            [(images_seen(record) or 0) / 1000 for record in points],
            [metric.value or 0.0 for metric in metrics],
            [metric.low or 0.0 for metric in metrics] if banded else None,
            [metric.high or 0.0 for metric in metrics] if banded else None,
            verdicts=[record.colour("copying") for record in points],
        )
        words = ("The band is the 95 % interval; the markers" if banded else "The markers") + " tell each snapshot's"
        # Said once: the panels beside it are read alike.
        caption = None if panels else f"{words} copying verdict."
        panels.append(_panel(metrics[-1].figure.title, [line], chosen, level=metrics[-1].baseline, caption=caption))
    return panels


def _series_panel(
    title: str, series: Mapping[str, Sequence[tuple[float, float]]], names: Sequence[str], chosen: int | None
) -> Panel:
    lines = []
    for name, next_role in zip(names, ("fake", "real", "third", "mark"), strict=False):
        label, role = _SERIES.get(name, (name.removeprefix("d_rebuild_").replace("_", " "), None))
        clock, values = [clock / 1000 for clock, _ in series[name]], [value for _, value in series[name]]
        lines.append(Line(label, clock, values, role=role or next_role))
    longest = max(len(series[name]) for name in names)
    caption = f"{longest} points, averaged over equal stretches." if longest > MOST_POINTS else None
    return _panel(title, lines, chosen, caption=caption)


def _panel(
    title: str, lines: list[Line], chosen: int | None, *, level: float | None = None, caption: str | None = None
) -> Panel:
    svg = lines_svg(
        lines,
        alt=f"{title} over thousands of images seen",
        x_label="thousand images seen",
        marked_x=chosen / 1000 if chosen is not None else None,
        mark_label="this snapshot",
        level=level,
        level_label="honest level",
    )
    return Panel(title, svg, caption)
