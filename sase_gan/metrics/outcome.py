"""The outcome of an evaluation is its record, with the pictures that a report should show."""

import datetime
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import sase_gan
from sase_gan.metrics.measuring import Measurement
from sase_gan.metrics.records import (
    SCHEMA_VERSION,
    VERDICT_TOPICS,
    CopyPair,
    DataPart,
    EvaluationRecord,
    FakesPart,
    ModelPart,
    Pictures,
    VerdictRule,
)
from sase_gan.metrics.verdicts import Verdict

_PACKAGES = {
    "torch": "torch",
    "torchvision": "torchvision",
    "torch_fidelity": "torch-fidelity",
    "lpips": "lpips",
    "timm": "timm",
}


@dataclass(frozen=True)
class CopyMatch:
    """A generated picture beside its two nearest real ones: indices into the sets as given, and the record's facts."""

    fake: int
    nearest: int
    second: int
    facts: CopyPair


@dataclass(frozen=True)
class Ranked:
    """A generated picture, by its index, and how far it is from the real ones around it."""

    fake: int
    distance: float


@dataclass(frozen=True)
class Evaluation:
    """A record, and which pictures a report should show.

    Attributes:
        record: complete but for its pictures, which are known when files are written.
        copying: the most suspicious generated pictures, first the worst.
        typical: generated pictures nearest to the real ones.
        atypical: those farthest from them.
    """

    record: EvaluationRecord
    copying: Sequence[CopyMatch] = ()
    typical: Sequence[Ranked] = ()
    atypical: Sequence[Ranked] = ()


@dataclass(frozen=True)
class Provenance:
    """What the record says beside the figures; all of it is the caller's knowledge.

    Args:
        command: to repeat the evaluation.
        data: of the real pictures; number, size and digest are filled in.
        fakes: of the generated ones; likewise.
        model: of the snapshot, or None.
        notes: what a reader should know about the pictures' files.
    """

    command: str = ""
    data: DataPart = field(default_factory=DataPart)
    fakes: FakesPart = field(default_factory=FakesPart)
    model: ModelPart | None = None
    notes: Sequence[str] = ()


def start_record(work: Measurement, provenance: Provenance) -> EvaluationRecord:
    """A record without figures: schema, time, versions, and what was measured."""
    reals, fakes = work.reference.pictures, work.fakes
    data: dict[str, Any] = {
        "name": "reals",
        "path_name": None,
        "licence": None,
        "mirror": False,
        "jpeg_sources": 0,
        "holdout": 0,
    }
    data |= provenance.data.model_dump(exclude_unset=True)
    data |= {"digest": reals.digest, "n": len(reals), "image_size": reals.image_size}
    generated: dict[str, Any] = {"source": "folder", "name": "fakes", **provenance.fakes.model_dump(exclude_unset=True)}
    generated |= {"n": len(fakes), "image_size": fakes.image_size, "digest": fakes.digest}
    return EvaluationRecord(
        schema_version=SCHEMA_VERSION,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        seconds=0.0,
        timing={},
        command=provenance.command,
        protocol=work.protocol.to_record(),
        versions=versions(),
        device=str(work.reference.device),
        precision="fp32",
        data=DataPart(**data),
        fakes=FakesPart(**generated),
        model=provenance.model,
        metrics=work.book.metrics,
        verdict={},
        verdict_rules={},
        disagreement=None,
        notes=tuple(provenance.notes),
        pictures=Pictures(),
        histograms={},
        curves=None,
    )


def verdict_fields(copying: Verdict, quality: Verdict, diversity: Verdict) -> dict[str, object]:
    """The fields of a record that hold three verdicts, and why."""
    judged = dict(zip(VERDICT_TOPICS, (copying, quality, diversity), strict=True))
    return {
        "verdict": {topic: verdict.colour for topic, verdict in judged.items()},
        "verdict_rules": {
            topic: VerdictRule(rule=verdict.rule, number=verdict.number, text=verdict.text)
            for topic, verdict in judged.items()
        },
    }


def versions() -> dict[str, str | None]:
    """The versions of everything that makes figures."""
    found: dict[str, str | None] = {
        "sase_gan": sase_gan.__version__,
        "commit": None,
        "python": platform.python_version(),
    }
    for key, package in _PACKAGES.items():
        try:
            found[key] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[key] = None
    return found
