"""From an evaluation record to what the report shows.

The templates hold the page's structure and sentences; this module and those that it calls (`numbers`, `evidence`,
`curves`) hold every decision, so that a test can ask them. A part that the record lacks stays `None` or empty, and the
template says so at its place.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sase_gan.metrics.catalogue import FEWEST_FOR_KID, SECTION_TITLES
from sase_gan.metrics.figures import identify
from sase_gan.metrics.records import (
    EvaluationRecord,
    MetricRecord,
    ModelPart,
    VerdictRule,
    in_order,
    metrics_by_section,
)
from sase_gan.report.classes import classes_view
from sase_gan.report.curves import Panel, curve_panels
from sase_gan.report.evidence import copy_pairs, named_pictures, region_pictures, sample_figures, walk_view
from sase_gan.report.numbers import count, format_number, left_out_row, number_row
from sase_gan.report.pages import PictureShelf
from sase_gan.report.plots import histogram_svg
from sase_gan.report.recombination import recombination_view
from sase_gan.runs.folder import TRAINING_FILE
from sase_gan.runs.history import RunRecords, images_seen

_HEADLINES: dict[str, dict[str, str]] = {
    "copying": {
        "green": "No sign of copied training pictures",
        "amber": "Nearer to the training pictures than new pictures should be",
        "red": "These pictures repeat training pictures",
        "grey": "Copying was not judged",
    },
    "patchwork": {
        "green": "No sign of patchworks of training pictures",
        "amber": "More in common with training pictures, region by region, than real pictures have",
        "red": "These pictures consist of regions of training pictures",
        "grey": "Patchworks were not judged",
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


def build_view(record: EvaluationRecord, folder: Path, run: RunRecords, run_folder: Path | None) -> dict[str, Any]:
    """Gather what `report.html` and `report.md` show; `notes` collects what had to be left out.

    Args:
        folder: where the record's pictures lie.
        run: the curves and configuration of the training run, or an empty `RunRecords()`.
    """
    notes = list(run.notes)
    shelf = PictureShelf(folder, notes)
    verdicts = [_verdict(record, topic) for topic in record.topics]
    samples, pairs = sample_figures(record, shelf), copy_pairs(record, shelf)
    rows = {
        section: [
            number_row(name, metric, record.recombined_metric(name))
            for name, metric in metrics
            if _has_a_row(metric, record)
        ]
        for section, metrics in metrics_by_section(record.metrics)
    }
    copying_rows, region_rows = rows.pop("copying", []), rows.pop("regions", [])
    source = f"Snapshot {record.model.snapshot}" if record.model and record.model.snapshot else record.fakes.name
    missing = "No training run was given, so there are no curves; sase-gan report with --run adds them."
    if run_folder is not None:
        missing = f"The run folder {run_folder.name} has no readable {TRAINING_FILE} or results.jsonl yet: no curves."
    return {
        "title": f"{source} against {record.data.name}",
        "record": record,
        "facts": _facts(record),
        "verdicts": verdicts,
        "hero": next((pair for pair in pairs if pair["fake"] and pair["nearest"]), None),
        "hero_rows": _deciding(copying_rows, verdicts[0]["rule"]),
        "samples": samples,
        "pairs": pairs,
        "histograms": _copying_histograms(record),
        "copying_rows": copying_rows,
        "patchworks": region_pictures(record, shelf),
        "region_rows": region_rows,
        "recombination": recombination_view(record, shelf),
        "classes": classes_view(record, shelf),
        "groups": [(SECTION_TITLES[section], found) for section, found in rows.items() if found],
        "left_out": [left_out_row(metric) for _, metric in in_order(record.metrics) if not metric.measured],
        "cautions": _cautions(record),
        "walk": walk_view(record, shelf),
        "curves": curve_panels(run, images_seen(record)),
        "curves_missing": missing,
        "typical": named_pictures(record.pictures.typical, shelf),
        "atypical": named_pictures(record.pictures.atypical, shelf),
        "setup": _setup_sections(record),
        "config": _without_local_folders(run.config) if run.config else None,
        "notes": notes,
    }


def _facts(record: EvaluationRecord) -> list[tuple[str, str]]:
    size, created = record.fakes.image_size, record.created or ""
    # An ISO time goes without its seconds and zone.
    short = re.match(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})", created)
    facts: dict[str, int | str | None] = {
        "generated pictures": record.fakes.n,
        "real picture" if record.data.n == 1 else "real pictures": record.data.n,
        "picture size": f"{size[1]} × {size[0]} px" if size else None,
        "protocol": record.protocol_name,
        "images seen": images_seen(record),
        "measured": (f"{short[1]} {short[2]}" if short else created) or None,
    }
    return [(term, _written(value)) for term, value in facts.items() if value is not None]


def _verdict(record: EvaluationRecord, topic: str) -> dict[str, Any]:
    """A verdict's colour, its headline and the rule that decided it."""
    colour, rule = record.colour(topic), record.verdict_rules.get(topic, VerdictRule())
    return {
        "topic": topic,
        "colour": colour,
        "headline": _HEADLINES[topic][colour],
        "text": rule.text,
        # The badge has said the colour already.
        "rule": rule.rule.removeprefix(f"{colour}: ") if rule.rule else None,
        "number": format_number(rule.number) if isinstance(rule.number, float | int) else rule.number,
    }


def _deciding(rows: Sequence[dict[str, Any]], rule: str | None) -> list[dict[str, Any]]:
    """Pick the three figures of the space whose rule decided, else of the first."""
    pixels = [row for row in rows if identify(row["name"]).metric.space == "pixels"]
    others = [row for row in rows if row not in pixels]
    return (pixels if rule and any(row["name"] in rule for row in pixels) else others)[:3]


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
        panels.append(Panel(title, svg))
    return panels


def _has_a_row(metric: MetricRecord, record: EvaluationRecord) -> bool:
    """A reference level stands beside the distance it belongs to; a row of its own would only repeat it."""
    partner = record.metrics.get(metric.figure.distance.name) if metric.figure.is_level else None
    return metric.measured and not (partner and partner.measured and partner.baseline is not None)


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
    if record.model and record.model.finished:
        cautions.append(
            "What the network drew was drawn again out of patches of the training pictures, which the model contains: "
            "layouts are the network's, and matter is theirs."
        )
    if any("JPEG" in note for note in record.notes):
        return cautions
    if n_jpeg := record.data.jpeg_sources:
        which = f"{count(n_jpeg)} of the real pictures were JPEG files: their"
        which = "The real picture was a JPEG file: its" if n_real == 1 else which
        cautions.append(f"{which} compression is part of what generated pictures are compared with.")
    return cautions


def _setup_sections(record: EvaluationRecord) -> list[tuple[str, list[tuple[str, str]]]]:
    """How it was measured, with what, and on which pictures, as text; what the record lacks is left out."""
    data, fakes, model = record.data, record.fakes, record.model or ModelPart()
    sections: dict[str, dict[str, Any]] = {
        "Real pictures": {
            "Name": data.name,
            "Folder": data.path_name,
            "Licence": data.licence or "not recorded",
            "Pictures": data.n,
            "Size (height × width)": _size(data.image_size),
            "Mirrored copies in the reference": data.mirror,
            "From JPEG files": data.jpeg_sources,
            "Held out": data.holdout,
            "SHA-256": data.digest,
        },
        "Generated pictures": {
            "Name": fakes.name,
            "Source": fakes.source,
            "Pictures": fakes.n,
            "Size (height × width)": _size(fakes.image_size),
            "SHA-256": fakes.digest,
        },
        "Model": {
            "Snapshot": model.snapshot,
            "SHA-256": model.digest,
            "Images seen": model.images_seen,
            "Parameters": model.parameters,
            "Averaged weights": model.averaged,
            "Truncation": model.truncation,
            "Seed": model.seed,
            "Noise": model.noise,
            "Feature network used in training": model.extractor_used_in_training,
            "Taught beside its pictures by": model.taught_by,
            "Started from": model.started_from,
            "Finished with patches": model.finished,
        },
        "Protocol": {key.replace("_", " ").capitalize(): value for key, value in record.protocol.items()},
        "Measurement": {
            "When": record.created,
            "Seconds": record.seconds,
            "Device": record.device,
            "Precision": record.precision,
        },
        "Versions": dict(record.versions),
    }
    written = {
        title: [(term, _written(value)) for term, value in rows.items() if value is not None]
        for title, rows in sections.items()
    }
    return [(title, rows) for title, rows in written.items() if rows]


def _without_local_folders(config: str) -> str:
    """Cut absolute paths to their last part: where a disk keeps things concerns nobody that a report is sent to."""
    return re.sub(r"(?m)(?<=[ '\"])(?:/|[A-Za-z]:\\)[^\n'\"]*[/\\]([^/\\\n'\"]+)", r"\1", config)


def _size(size: tuple[int, int] | None) -> str | None:
    return f"{size[0]} × {size[1]} px" if size else None


def _written(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int():
            return count(value)
        case float():
            return format_number(value)
        case Mapping():
            return ", ".join(f"{key}: {_written(entry)}" for key, entry in value.items())
        case Sequence() if not isinstance(value, str):
            return ", ".join(_written(entry) for entry in value)
    return str(value)
