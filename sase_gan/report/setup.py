"""The setup section of a report: how something was measured, with what, and on which pictures."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sase_gan.metrics.records import EvaluationRecord
from sase_gan.report.numbers import count, format_number

Rows = list[tuple[str, Any]]


def setup_sections(record: EvaluationRecord) -> list[tuple[str, list[tuple[str, str]]]]:
    """Write the sections of the setup as text; what the record lacks is left out."""
    sections: list[tuple[str, Rows]] = [
        ("Real pictures", _real(record)),
        ("Generated pictures", _generated(record)),
        ("Model", _model(record)),
        ("Protocol", [(_words(key), value) for key, value in record.protocol.items()]),
        ("Measurement", _measurement(record)),
        ("Versions", [(key, value) for key, value in record.versions.items()]),
    ]
    written = [
        (title, [(term, _written(value)) for term, value in rows if value is not None]) for title, rows in sections
    ]
    return [(title, rows) for title, rows in written if rows]


def _real(record: EvaluationRecord) -> Rows:
    data = record.data
    return [
        ("Name", data.name),
        ("Folder", data.path_name),
        ("Licence", data.licence or "not recorded"),
        ("Pictures", data.n),
        ("Size (height × width)", _size(data.image_size)),
        ("Mirrored copies in the reference", data.mirror),
        ("From JPEG files", data.jpeg_sources),
        ("Held out", data.holdout),
        ("SHA-256", data.digest),
    ]


def _generated(record: EvaluationRecord) -> Rows:
    fakes = record.fakes
    return [
        ("Name", fakes.name),
        ("Source", fakes.source),
        ("Pictures", fakes.n),
        ("Size (height × width)", _size(fakes.image_size)),
        ("SHA-256", fakes.digest),
    ]


def _model(record: EvaluationRecord) -> Rows:
    model = record.model
    if model is None:
        return []
    return [
        ("Snapshot", model.snapshot),
        ("SHA-256", model.digest),
        ("Images seen", model.images_seen),
        ("Parameters", model.parameters),
        ("Averaged weights", model.averaged),
        ("Truncation", model.truncation),
        ("Seed", model.seed),
        ("Noise", model.noise),
        ("Feature network used in training", model.extractor_used_in_training),
    ]


def _measurement(record: EvaluationRecord) -> Rows:
    return [
        ("When", record.created),
        ("Seconds", record.seconds),
        ("Device", record.device),
        ("Precision", record.precision),
    ]


def without_local_folders(config: str) -> str:
    """Cut absolute paths to their last part: where a disk keeps things concerns nobody that a report is sent to."""
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
