"""From an evaluation record to what the report shows: numbers as text, curves as plots, verdicts in words.

The templates hold the page's structure and sentences; this module holds every decision, so that a test can ask it. A
part that the record lacks stays `None` or empty, and the template says so at its place.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from sase_gan.metrics.catalogue import FEWEST_FOR_KID, SECTION_TITLES
from sase_gan.metrics.figures import network_title
from sase_gan.metrics.records import (
    VERDICT_TOPICS,
    Colour,
    CopyPair,
    EvaluationRecord,
    MetricRecord,
    NamedPicture,
    in_order,
    metrics_by_section,
)
from sase_gan.report.numbers import count, format_number
from sase_gan.report.pages import GRID_SIDE, Picture, PictureShelf
from sase_gan.report.plots import MOST_POINTS, Line, bars_svg, histogram_svg, interval_svg, lines_svg
from sase_gan.runs.history import TRAINING_FILE, RunRecords, images_seen, main_distance

STAIRS = 2.0
"""A latent walk whose largest step exceeds this many mean steps is called a stair [ours]."""

_HEADLINES: dict[str, dict[str, str]] = {
    "copying": {
        "green": "No sign of copied training pictures",
        "amber": "Nearer to the training pictures than new pictures should be",
        "red": "These pictures repeat training pictures",
        "grey": "Copying was not judged",
    },
    "quality": {
        "green": "Close to the real pictures",
        "amber": "Some way from the real pictures",
        "red": "Far from the real pictures",
        "grey": "Quality was not judged",
    },
    "diversity": {
        "green": "As varied as the real pictures",
        "amber": "Less varied than the real pictures",
        "red": "Little of the variety of the real pictures",
        "grey": "Diversity was not judged",
    },
}

# In which descriptor a pair was found near, see `metrics.copy_spaces`.
_SPACES = {"mid": "by layout", "pixels": "by pixels"}


# --- what the templates show -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class VerdictView:
    """One of the three verdicts."""

    topic: str
    colour: Colour
    headline: str
    text: str | None
    rule: str | None
    number: str | None


@dataclass(frozen=True)
class PairView:
    """A fake with its two nearest training pictures."""

    fake: Picture | None
    nearest: Picture | None
    second: Picture | None
    fake_name: str
    nearest_name: str
    second_name: str | None
    mirrored: bool
    distance: str | None
    second_distance: str | None
    space: str | None
    percent: int | None


@dataclass(frozen=True)
class FigureView:
    """A picture with its caption."""

    picture: Picture
    title: str
    caption: str
    alt: str


@dataclass(frozen=True)
class NumberRow:
    """One metric of a table."""

    name: str
    title: str
    features: str | None
    value: str
    interval: str | None
    counts: str | None
    level: str | None
    strip: Markup | None
    meaning: str | None
    note: str | None
    remark: str | None


@dataclass(frozen=True)
class LeftOutRow:
    """A metric without a value."""

    title: str
    name: str
    status: str
    reason: str


@dataclass(frozen=True)
class Panel:
    """A plot with its heading."""

    title: str
    svg: Markup
    caption: str | None = None


@dataclass(frozen=True)
class WalkView:
    """The latent walk."""

    picture: Picture | None
    plot: Markup | None
    sentence: str | None


@dataclass
class ReportView:
    """Everything that `report.html` and `report.md` show; `notes` collects what had to be left out."""

    title: str
    record: EvaluationRecord
    facts: list[tuple[str, str]] = field(default_factory=list)
    verdicts: list[VerdictView] = field(default_factory=list)
    hero: PairView | None = None
    hero_rows: list[NumberRow] = field(default_factory=list)
    samples: list[FigureView] = field(default_factory=list)
    pairs: list[PairView] = field(default_factory=list)
    histograms: list[Panel] = field(default_factory=list)
    copying_rows: list[NumberRow] = field(default_factory=list)
    groups: list[tuple[str, list[NumberRow]]] = field(default_factory=list)
    left_out: list[LeftOutRow] = field(default_factory=list)
    cautions: list[str] = field(default_factory=list)
    walk: WalkView | None = None
    curves: list[Panel] = field(default_factory=list)
    curves_missing: str = ""
    typical: list[tuple[NamedPicture, Picture]] = field(default_factory=list)
    atypical: list[tuple[NamedPicture, Picture]] = field(default_factory=list)
    setup: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)
    config: str | None = None
    notes: list[str] = field(default_factory=list)


# --- from a record to the view ---------------------------------------------------------------------------------------


def build_view(record: EvaluationRecord, folder: Path, run: RunRecords, run_folder: Path | None = None) -> ReportView:
    """Gather what the report shows.

    Args:
        record: the evaluation.
        folder: where its pictures lie.
        run: the curves and configuration of its training run, or an empty `RunRecords()`.
        run_folder: the folder of that run, if any.
    """
    view = ReportView(title=_title(record), record=record, notes=list(run.notes))
    shelf = PictureShelf(folder, view.notes)
    view.facts = _facts(record)
    view.verdicts = [_verdict(record, topic) for topic in VERDICT_TOPICS]
    view.samples = _samples(record, shelf)
    view.pairs = _pairs(record, shelf)
    view.hero = next((pair for pair in view.pairs if pair.fake and pair.nearest), None)
    view.histograms = _copying_histograms(record)
    for section, metrics in metrics_by_section(record.metrics):
        told = [(name, metric) for name, metric in metrics if metric.measured and not _told_elsewhere(metric, record)]
        rows = [number_row(name, metric) for name, metric in told]
        if section == "copying":
            view.copying_rows = rows
        elif rows:
            view.groups.append((SECTION_TITLES[section], rows))
    view.left_out = [_left_out(name, metric) for name, metric in in_order(record.metrics) if not metric.measured]
    view.hero_rows = _deciding(view.copying_rows, view.verdicts[0].rule)
    view.cautions = _cautions(record)
    view.walk = _walk(record, shelf)
    view.curves = curve_panels(run, images_seen(record))
    view.curves_missing = _why_no_curves(run_folder)
    view.typical = _named(record.pictures.typical, shelf)
    view.atypical = _named(record.pictures.atypical, shelf)
    view.setup = _setup(record)
    view.config = _without_local_folders(run.config) if run.config else None
    return view


def _title(record: EvaluationRecord) -> str:
    if record.model and record.model.snapshot:
        return f"Snapshot {record.model.snapshot} against {record.data.name}"
    return f"{record.fakes.name} against {record.data.name}"


def _facts(record: EvaluationRecord) -> list[tuple[str, str]]:
    facts = []
    if record.fakes.n is not None:
        facts.append(("generated pictures", count(record.fakes.n)))
    if record.data.n is not None:
        facts.append(("real picture" if record.data.n == 1 else "real pictures", count(record.data.n)))
    if record.fakes.image_size:
        facts.append(("picture size", "{1} × {0} px".format(*record.fakes.image_size)))
    facts.append(("protocol", record.protocol_name))
    if (clock := images_seen(record)) is not None:
        facts.append(("images seen", count(clock)))
    if record.created:
        facts.append(("measured", day(record.created)))
    return facts


def day(moment: str) -> str:
    """The date and minute of an ISO time; other text is returned as it is."""
    match = re.match(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})", moment)
    return f"{match[1]} {match[2]}" if match else moment


def _verdict(record: EvaluationRecord, topic: str) -> VerdictView:
    colour = record.colour(topic)
    rule = record.verdict_rules.get(topic)
    number = rule.number if rule else None
    return VerdictView(
        topic=topic,
        colour=colour,
        headline=_HEADLINES[topic][colour],
        text=rule.text if rule else None,
        # The badge has said the colour already.
        rule=rule.rule.removeprefix(f"{colour}: ") if rule and rule.rule else None,
        number=format_number(number) if isinstance(number, float | int) else number,
    )


def _deciding(rows: Sequence[NumberRow], rule: str | None) -> list[NumberRow]:
    """The three figures of the space whose rule decided, else of the first."""
    pixels = [row for row in rows if row.name.endswith("_pixels")]
    others = [row for row in rows if row not in pixels]
    return (pixels if rule and "_pixels" in rule and pixels else others)[:3]


def _samples(record: EvaluationRecord, shelf: PictureShelf) -> list[FigureView]:
    model, pictures = record.model, record.pictures
    truncation = model.truncation if model and model.truncation is not None else None
    wanted = [
        (
            pictures.fakes,
            "Generated" + (f", truncation {format_number(truncation)}" if truncation is not None else ""),
            "In the order of their seeds, none picked out."
            if model
            else "In the order of their names, none picked out.",
            "Grid of generated pictures",
        ),
        (pictures.reals, "Real", f"From {record.data.name}.", "Grid of real pictures"),
        (
            pictures.fakes_truncated,
            "Generated, truncated",
            "The same seeds drawn towards the average: usually cleaner and less varied. "
            "The numbers below are not about these.",
            "Grid of generated pictures with truncated latents",
        ),
    ]
    figures = []
    for name, title, caption, alt in wanted:
        picture = shelf.embed(name, GRID_SIDE)
        if picture:
            figures.append(FigureView(picture, title, caption, alt))
    return figures


def _pairs(record: EvaluationRecord, shelf: PictureShelf) -> list[PairView]:
    views = []
    for place, pair in enumerate(record.pictures.copying, start=1):
        relative = pair.distance / pair.loo if pair.distance is not None and pair.loo else None
        views.append(
            PairView(
                fake=shelf.embed(pair.fake),
                nearest=shelf.embed(pair.nearest),
                second=shelf.embed(pair.second),
                fake_name=pair.fake_name or f"number {place}",
                nearest_name=pair.nearest_name or "unnamed",
                second_name=pair.second_name,
                mirrored=bool(pair.mirrored),
                distance=_distance(pair.distance, pair),
                second_distance=_distance(pair.second_distance, pair) if pair.second else None,
                space=_SPACES.get(pair.space or ""),
                percent=round(100 * relative) if relative is not None else None,
            )
        )
    return views


def _distance(distance: float | None, pair: CopyPair) -> str | None:
    """To a hundredth of the distances around the pair: how near a near copy is beyond that says nothing."""
    around = max(entry or 0.0 for entry in (pair.distance, pair.second_distance, pair.loo))
    return None if distance is None else format_number(distance, around / 100)


def _copying_histograms(record: EvaluationRecord) -> list[Panel]:
    panels = []
    for key, title in (("copying", "By layout"), ("copying_pixels", "By pixels")):
        histogram = record.histograms.get(key)
        if histogram is None or not sum(histogram.fake_to_train):
            continue
        svg = histogram_svg(
            histogram.bins,
            histogram.fake_to_train,
            histogram.train_to_train,
            alt=f"{title}: distances from generated pictures to their nearest training picture, over the "
            "distances from training pictures to their nearest other training picture",
            x_label="distance to the nearest training picture",
            fakes_label="generated pictures",
            reals_label="training pictures, each to another",
        )
        panels.append(Panel(title, Markup(svg)))
    return panels


def _told_elsewhere(metric: MetricRecord, record: EvaluationRecord) -> bool:
    """A reference level stands beside the distance it belongs to; a row of its own would only repeat it."""
    if not metric.figure.is_level:
        return False
    partner = record.metrics.get(metric.figure.distance.name)
    return partner is not None and partner.measured and partner.baseline is not None


def number_row(name: str, metric: MetricRecord) -> NumberRow:
    """One measured metric as text, with its strip.

    Args:
        name: its key in the record.
        metric: measured, that is with a value.
    """
    assert metric.value is not None
    spread = (metric.high - metric.low) / 2 if metric.low is not None and metric.high is not None else metric.std
    spread = spread or None
    value = format_number(metric.value, spread)
    interval = None
    if metric.low is not None and metric.high is not None:
        interval = f"{format_number(metric.low, spread)} to {format_number(metric.high, spread)}"
    elif metric.std is not None:
        interval = f"± {format_number(metric.std, metric.std or None)}"
    level = None
    if metric.baseline is not None:
        level_std = metric.baseline_std
        level = format_number(metric.baseline, level_std or None)
        level += f" ± {format_number(level_std, level_std or None)}" if level_std is not None else ""
    return NumberRow(
        name=name,
        title=metric.figure.title,
        features=_features(metric),
        value=value,
        interval=interval,
        counts=_counts(metric),
        level=level,
        strip=_strip(metric, value, interval, level),
        meaning=metric.meaning,
        note=_below_level(metric),
        remark=metric.reason,
    )


def _features(metric: MetricRecord) -> str | None:
    network = metric.extractor or metric.network
    return network_title(network) if network else None


def _counts(metric: MetricRecord) -> str | None:
    if metric.n_fake is not None and metric.n_real is not None:
        return f"{count(metric.n_fake)} fake, {count(metric.n_real)} real"
    if metric.n_fake is not None:
        return f"{count(metric.n_fake)} fake"
    return f"{count(metric.n_real)} real" if metric.n_real is not None else None


def _strip(metric: MetricRecord, value: str, interval: str | None, level: str | None) -> Markup | None:
    """A strip says something only where there is a level to see the value against: alone it would scale to itself."""
    if metric.value is None or level is None:
        return None
    alt = f"{value}" + (f", interval {interval}" if interval else "") + f", honest level {level}"
    low, high = metric.low, metric.high
    if low is None and high is None and metric.std is not None:
        low, high = metric.value - metric.std, metric.value + metric.std
    strip = interval_svg(
        metric.value, alt=alt, low=low, high=high, level=metric.baseline, level_std=metric.baseline_std
    )
    return Markup(strip)


def _below_level(metric: MetricRecord) -> str | None:
    """The reference level is no floor: copies fall below it, so a value under it is a reason to look, not to cheer."""
    is_distance = metric.base in {"fd", "fd_mid"}
    if not is_distance or metric.baseline is None or metric.value is None or metric.value >= metric.baseline:
        return None
    return (
        f"Below the level of two halves of your own pictures ({format_number(metric.baseline)}). Lower is possible, "
        "and with few pictures it often means copying: see the copying section."
    )


def _left_out(name: str, metric: MetricRecord) -> LeftOutRow:
    words = {"skipped": "skipped", "not_applicable": "not applicable", "failed": "failed", "ok": "no value"}
    title = metric.figure.title
    features = _features(metric)
    return LeftOutRow(
        f"{title} ({features})" if features else title,
        name,
        words[metric.status],
        metric.reason or "no reason was recorded",
    )


def _cautions(record: EvaluationRecord) -> list[str]:
    cautions = list(record.notes)
    n_real = record.data.n
    # One picture has figures of its own, which do not suffer from being alone.
    if n_real is not None and 1 < n_real < FEWEST_FOR_KID:
        cautions.append(
            f"Only {n_real} real pictures: below {FEWEST_FOR_KID} the distances are unreliable, and the intervals show "
            "only how much the generated pictures vary."
        )
    if record.model and record.model.extractor_used_in_training:
        cautions.append(
            "The feature network behind these numbers also took part in training, so they flatter this model; "
            "trust the pictures, the mid-level and the patch distances more."
        )
    if any("JPEG" in note for note in record.notes):
        return cautions
    if record.data.jpeg_sources and n_real == 1:
        cautions.append(
            "The real picture was a JPEG file: its compression is part of what the fakes are compared with."
        )
    elif record.data.jpeg_sources:
        cautions.append(
            f"{count(record.data.jpeg_sources)} of the real pictures were JPEG files: their compression is part "
            "of what the fakes are compared with."
        )
    return cautions


def _walk(record: EvaluationRecord, shelf: PictureShelf) -> WalkView | None:
    walk = record.pictures.walk
    if walk is None:
        return None
    picture = shelf.embed(walk.strip, GRID_SIDE)
    steps = walk.steps or record.walk_steps
    if not steps:
        return WalkView(picture, None, None) if picture else None
    plot = bars_svg(steps, alt="Size of each step of the latent walk", x_label="step", y_label="distance moved")
    mean = sum(steps) / len(steps)
    largest = max(steps) / mean if mean else 0.0
    if not mean:
        sentence = "No step changes the picture at all: the generator ignores its latent."
    elif largest > STAIRS:
        sentence = (
            f"The largest step is {largest:.1f} times the mean: the walk goes in stairs, which suggests that the "
            "generator jumps between remembered pictures."
        )
    else:
        sentence = f"The steps are even (the largest is {largest:.1f} times the mean), as they should be."
    return WalkView(picture, Markup(plot), sentence)


def _named(pictures: Iterable[NamedPicture], shelf: PictureShelf) -> list[tuple[NamedPicture, Picture]]:
    return [(entry, picture) for entry in pictures if (picture := shelf.embed(entry.picture))]


# --- curves ----------------------------------------------------------------------------------------------------------

# Columns of a run's metrics.csv that belong on one panel, by a pattern on their names; the rest get a panel each.
_FAMILIES: tuple[tuple[str, str], ...] = (
    ("Discriminator's answers", r"(real|fake)_logit"),
    ("Adversarial losses", r"g_adversarial|d_real|d_fake"),
    ("Reconstruction losses", r"[gd]_rebuild.*"),
    ("Regularisers", r"d_r1|d_lecam"),
    ("Augmentation probability", r"augment(ation)?(_.*)?"),
)
_SERIES_LABELS = {
    "real_logit": "reals",
    "fake_logit": "fakes",
    "g_adversarial": "generator",
    "d_real": "discriminator, reals",
    "d_fake": "discriminator, fakes",
    "d_r1": "gradient penalty",
    "d_lecam": "LeCam",
}
# What is about reals or fakes has their colour on every panel.
_SERIES_ROLES = {
    "real_logit": "real",
    "d_real": "real",
    "fake_logit": "fake",
    "d_fake": "fake",
    "g_adversarial": "third",
}
# Clocks and the machine's figures are about the training, not about the model.
_NOT_CURVES = {"seconds", "step", "epoch", "time", "images_per_second", "peak_memory_mb"}
MOST_PANELS = 12


def curve_panels(run: RunRecords, chosen: int | None) -> list[Panel]:
    """Small multiples over thousands of images seen: the snapshots' KID and copying first, then the training's series.

    Args:
        run: what the run folder told.
        chosen: images seen of the evaluated snapshot, marked on each panel.
    """
    panels = _result_panels(run.results, chosen)
    names = [name for name in run.series if name not in _NOT_CURVES]
    for title, pattern in _FAMILIES:
        members = [name for name in names if re.fullmatch(pattern, name)]
        names = [name for name in names if name not in members]
        panels += [
            _series_panel(title, run.series, members[start : start + 4], chosen) for start in range(0, len(members), 4)
        ]
    panels += [_series_panel(name.replace("_", " ").capitalize(), run.series, [name], chosen) for name in names]
    return panels[:MOST_PANELS]


def _result_panels(results: Sequence[EvaluationRecord], chosen: int | None) -> list[Panel]:
    scored = [record for record in results if images_seen(record) is not None]
    if not scored:
        return []
    wanted = [name for name in (main_distance(scored[-1]), "copy_share", "nn_ratio") if name]
    panels: list[Panel] = []
    for name in wanted:
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
    roles = ("fake", "real", "third", "mark")
    lines = [
        Line(
            _SERIES_LABELS.get(name, name.removeprefix("d_rebuild_").replace("_", " ")),
            [clock / 1000 for clock, _ in series[name]],
            [value for _, value in series[name]],
            role=_SERIES_ROLES.get(name, roles[place]),
        )
        for place, name in enumerate(names)
    ]
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
    return Panel(title, Markup(svg), caption)


def _why_no_curves(run_folder: Path | None) -> str:
    if run_folder is None:
        return "No training run was given, so there are no curves; sase-gan report with --run adds them."
    return f"The run folder {run_folder.name} has no readable {TRAINING_FILE} or results.jsonl yet: no curves."


# --- setup -----------------------------------------------------------------------------------------------------------


def _setup(record: EvaluationRecord) -> list[tuple[str, list[tuple[str, str]]]]:
    data, fakes, model = record.data, record.fakes, record.model
    sections: list[tuple[str, list[tuple[str, Any]]]] = [
        (
            "Real pictures",
            [
                ("Name", data.name),
                ("Folder", data.path_name),
                ("Licence", data.licence or "not recorded"),
                ("Pictures", data.n),
                ("Size (height × width)", _size(data.image_size)),
                ("Mirrored copies in the reference", data.mirror),
                ("From JPEG files", data.jpeg_sources),
                ("Held out", data.holdout),
                ("SHA-256", data.digest),
            ],
        ),
        (
            "Generated pictures",
            [
                ("Name", fakes.name),
                ("Source", fakes.source),
                ("Pictures", fakes.n),
                ("Size (height × width)", _size(fakes.image_size)),
                ("SHA-256", fakes.digest),
            ],
        ),
    ]
    if model:
        sections.append(
            (
                "Model",
                [
                    ("Snapshot", model.snapshot),
                    ("SHA-256", model.digest),
                    ("Images seen", model.images_seen),
                    ("Parameters", model.parameters),
                    ("Averaged weights", model.averaged),
                    ("Truncation", model.truncation),
                    ("Seed", model.seed),
                    ("Noise", model.noise),
                    ("Feature network used in training", model.extractor_used_in_training),
                ],
            )
        )
    sections.append(("Protocol", [(_words(key), value) for key, value in record.protocol.items()]))
    measured = [("When", record.created), ("Seconds", record.seconds), ("Device", record.device)]
    measured += [("Precision", record.precision)]
    sections.append(("Measurement", measured))
    sections.append(("Versions", [(key, value) for key, value in record.versions.items()]))
    written = [
        (title, [(term, _written(value)) for term, value in rows if value is not None]) for title, rows in sections
    ]
    return [(title, rows) for title, rows in written if rows]


def _without_local_folders(config: str) -> str:
    """Absolute paths cut to their last part: where a disk keeps things concerns nobody that a report is sent to."""
    return re.sub(r"(?m)(?<=[ '\"])(?:/|[A-Za-z]:\\)[^\n'\"]*[/\\]([^/\\\n'\"]+)", r"\1", config)


def _size(size: tuple[int, int] | None) -> str | None:
    return f"{size[0]} × {size[1]} px" if size else None


def _words(key: str) -> str:
    return key.replace("_", " ").capitalize()


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        return format_number(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_written(entry)}" for key, entry in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_written(entry) for entry in value)
    return str(value)
