"""From an evaluation record to what the report shows.

The templates hold the page's structure and sentences; this module and those that it calls (`number_rows`, `evidence`,
`curves`, `setup`) hold every decision, so that a test can ask them. A part that the record lacks stays `None` or empty,
and the template says so at its place.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from markupsafe import Markup

from sase_gan.metrics.catalogue import FEWEST_FOR_KID, SECTION_TITLES
from sase_gan.metrics.records import (
    VERDICT_TOPICS,
    Colour,
    EvaluationRecord,
    MetricRecord,
    NamedPicture,
    in_order,
    metrics_by_section,
)
from sase_gan.report.curves import Panel, curve_panels
from sase_gan.report.evidence import (
    FigureView,
    PairView,
    WalkView,
    copy_pairs,
    named_pictures,
    sample_figures,
    walk_view,
)
from sase_gan.report.number_rows import LeftOutRow, NumberRow, left_out_row, number_row
from sase_gan.report.numbers import count, format_number
from sase_gan.report.pages import EmbeddedPicture, PictureShelf
from sase_gan.report.plots import histogram_svg
from sase_gan.report.setup import setup_sections, without_local_folders
from sase_gan.runs.history import TRAINING_FILE, RunRecords, images_seen

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


@dataclass(frozen=True)
class VerdictView:
    """A verdict is told by its colour, a headline and the rule that decided it."""

    topic: str
    colour: Colour
    headline: str
    text: str | None
    rule: str | None
    number: str | None


@dataclass
class ReportView:
    """The view holds everything that `report.html` and `report.md` show; `notes` collects what had to be left out."""

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
    typical: list[tuple[NamedPicture, EmbeddedPicture]] = field(default_factory=list)
    atypical: list[tuple[NamedPicture, EmbeddedPicture]] = field(default_factory=list)
    setup: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)
    config: str | None = None
    notes: list[str] = field(default_factory=list)


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
    view.samples = sample_figures(record, shelf)
    view.pairs = copy_pairs(record, shelf)
    view.hero = next((pair for pair in view.pairs if pair.fake and pair.nearest), None)
    view.histograms = _copying_histograms(record)
    for section, metrics in metrics_by_section(record.metrics):
        told = [(name, metric) for name, metric in metrics if metric.measured and not _told_elsewhere(metric, record)]
        rows = [number_row(name, metric) for name, metric in told]
        if section == "copying":
            view.copying_rows = rows
        elif rows:
            view.groups.append((SECTION_TITLES[section], rows))
    view.left_out = [left_out_row(name, metric) for name, metric in in_order(record.metrics) if not metric.measured]
    view.hero_rows = _deciding(view.copying_rows, view.verdicts[0].rule)
    view.cautions = _cautions(record)
    view.walk = walk_view(record, shelf)
    view.curves = curve_panels(run, images_seen(record))
    view.curves_missing = _why_no_curves(run_folder)
    view.typical = named_pictures(record.pictures.typical, shelf)
    view.atypical = named_pictures(record.pictures.atypical, shelf)
    view.setup = setup_sections(record)
    view.config = without_local_folders(run.config) if run.config else None
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
    """Shorten an ISO time to its date and minute; other text is returned as it is."""
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
    """Pick the three figures of the space whose rule decided, else of the first."""
    pixels = [row for row in rows if row.name.endswith("_pixels")]
    others = [row for row in rows if row not in pixels]
    return (pixels if rule and "_pixels" in rule and pixels else others)[:3]


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


def _why_no_curves(run_folder: Path | None) -> str:
    if run_folder is None:
        return "No training run was given, so there are no curves; sase-gan report with --run adds them."
    return f"The run folder {run_folder.name} has no readable {TRAINING_FILE} or results.jsonl yet: no curves."
