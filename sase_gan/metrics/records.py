"""Reading evaluation records: `metrics.json`, the lines of a run's `results.jsonl`, and its `metrics.csv`.

Reports and comparisons are made from files alone, possibly a year later and on another computer, so everything that
comes from a file is checked here once and typed from then on. A record of a later schema is refused rather than half
understood; a part that an evaluation left out is `None` or empty, and it is the reader's business to say so.

This module knows the words for metrics (titles, groups, order) that every table shows. It imports neither torch nor
the metrics themselves.
"""

import csv
import json
import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from sase_gan.errors import DataError, SaseGanError, UsageError

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1
"""The schema of `metrics.json` that this version writes and reads."""

RECORD_FILE = "metrics.json"
RESULTS_FILE = "results.jsonl"
TRAINING_FILE = "metrics.csv"
CONFIG_FILE = "config.yaml"
KEPT_RUN = "run"
"""Folder in an evaluation made outside its run, with copies of the run's three files above."""

Colour = Literal["green", "amber", "red", "grey"]
Status = Literal["ok", "skipped", "not_applicable", "failed"]
VERDICT_TOPICS = ("copying", "quality", "diversity")
"""Copying leads: the other two mean little when the pictures are copies."""


def _finite_or_none(value: Any) -> Any:
    """Records never hold NaN or infinity by contract; a file that does anyway is shown as having no value."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(_finite_or_none)]


class _Part(BaseModel):
    """A piece of a record: frozen, and open to keys that a later minor version may add."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())


class MetricRecord(_Part):
    """One number with everything that decides what it may be compared with."""

    status: Status
    value: Number = None
    std: Number = None
    low: Number = None
    high: Number = None
    interval: str | None = None
    n_real: int | None = None
    n_fake: int | None = None
    extractor: str | None = None
    layer: str | None = None
    weights_sha256: str | None = None
    resize: str | None = None
    subset_size: int | None = None
    reference_set: str | None = None
    mirrors: bool | None = None
    reason: str | None = None
    baseline: Number = None
    baseline_std: Number = None
    better: Literal["lower", "higher", "target"] | None = None
    meaning: str | None = None
    comparability: str | None = None

    @property
    def measured(self) -> bool:
        """Whether there is a value to show."""
        return self.status == "ok" and self.value is not None

    @property
    def has_interval(self) -> bool:
        """Whether the value carries an error bar."""
        return self.low is not None and self.high is not None


class DataPart(_Part):
    """The real pictures."""

    name: str = "unnamed pictures"
    path_name: str | None = None
    licence: str | None = None
    digest: str | None = None
    n: int | None = None
    image_size: tuple[int, int] | None = None
    mirror: bool | None = None
    jpeg_sources: int | None = None
    holdout: int | None = None


class FakesPart(_Part):
    """The generated pictures."""

    source: str | None = None
    name: str = "unnamed pictures"
    n: int | None = None
    image_size: tuple[int, int] | None = None
    digest: str | None = None


class ModelPart(_Part):
    """The snapshot that made the pictures, where one did."""

    snapshot: str | None = None
    digest: str | None = None
    images_seen: int | None = None
    averaged: bool | None = None
    truncation: float | None = None
    seed: int | None = None
    noise: str | None = None
    extractor_used_in_training: bool | None = None
    parameters: int | None = None


class VerdictRule(_Part):
    """Why a verdict has its colour."""

    rule: str | None = None
    text: str | None = None
    number: Number | str = None


class CopyPair(_Part):
    """A generated picture beside its nearest training pictures."""

    fake: str | None = None
    nearest: str | None = None
    second: str | None = None
    fake_name: str | None = None
    nearest_name: str | None = None
    second_name: str | None = None
    mirrored: bool | None = None
    distance: Number = None
    second_distance: Number = None
    loo: Number = None
    space: str | None = None


def _as_named_picture(value: Any) -> Any:
    return {"picture": value} if isinstance(value, str) else value


class NamedPicture(_Part):
    """One picture of a list; a bare path is read as a picture without a name."""

    picture: str | None = None
    name: str | None = None
    distance: Number = None


class Walk(_Part):
    """Pictures on the way between two latents, and how far each step moved."""

    strip: str | None = None
    steps: tuple[float, ...] = ()
    seed_from: int | None = None
    seed_to: int | None = None
    space: str | None = None


NamedPictures = tuple[Annotated[NamedPicture, BeforeValidator(_as_named_picture)], ...]


class Pictures(_Part):
    """Where the pictures of an evaluation lie, relative to its folder."""

    reals: str | None = None
    fakes: str | None = None
    fakes_truncated: str | None = None
    walk: Walk | None = None
    copying: tuple[CopyPair, ...] = ()
    typical: NamedPictures = ()
    atypical: NamedPictures = ()


class Histogram(_Part):
    """Shares of two sets of distances over common bins."""

    bins: tuple[float, ...]
    fake_to_train: tuple[float, ...]
    train_to_train: tuple[float, ...]


class EvaluationRecord(_Part):
    """One evaluation: what was measured, how, on what, and what it means."""

    schema_version: int
    created: str | None = None
    seconds: Number = None
    command: str | None = None
    protocol: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, Any] = Field(default_factory=dict)
    device: str | None = None
    precision: str | None = None
    data: DataPart = Field(default_factory=DataPart)
    fakes: FakesPart = Field(default_factory=FakesPart)
    model: ModelPart | None = None
    metrics: dict[str, MetricRecord] = Field(default_factory=dict)
    verdict: dict[str, Colour] = Field(default_factory=dict)
    verdict_rules: dict[str, VerdictRule] = Field(default_factory=dict)
    disagreement: str | None = None
    notes: tuple[str, ...] = ()
    pictures: Pictures = Field(default_factory=Pictures)
    histograms: dict[str, Histogram] = Field(default_factory=dict)
    walk_steps: tuple[float, ...] = ()

    @property
    def protocol_name(self) -> str:
        """The protocol's name, with the one it was changed from, or "unnamed" when the record does not say."""
        name, before = str(self.protocol.get("name") or "unnamed"), self.protocol.get("changed_from")
        return f"{name}, from {before}" if before else name

    def colour(self, topic: str) -> Colour:
        """The verdict on "copying", "quality" or "diversity"; grey where none was given."""
        return self.verdict.get(topic, "grey")


def parse_record(raw: object, origin: str) -> EvaluationRecord:
    """Check one decoded record.

    Args:
        raw: what the JSON held.
        origin: how to call it in an error, usually the file's path.

    Raises:
        UsageError: the record follows another schema than `SCHEMA_VERSION`.
        DataError: it is no record, or a field has an impossible value.
    """
    if not isinstance(raw, Mapping):
        raise DataError(f"{origin} holds {type(raw).__name__}, but an evaluation record is a JSON object")
    version = raw.get("schema_version")
    if version != SCHEMA_VERSION:
        raise UsageError(
            f"{origin} has schema_version {version!r}, but this sase_gan reads {SCHEMA_VERSION}; "
            "update sase_gan, or run `sase-gan evaluate` again with this version"
        )
    try:
        return EvaluationRecord.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DataError(
            f"{origin} has an unusable field {place!r} ({first['msg']}); run `sase-gan evaluate` again"
        ) from error


def read_record(path: Path) -> EvaluationRecord:
    """Read one `metrics.json`.

    Raises:
        DataError: the file is missing, is not JSON, or has an impossible value.
        UsageError: it follows another schema.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist; `sase-gan evaluate` writes it") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); check its permissions") from error
    except ValueError as error:
        raise DataError(f"{path} is not valid JSON ({error}); run `sase-gan evaluate` again") from error
    return parse_record(raw, str(path))


@dataclass(frozen=True)
class RunRecords:
    """What a run folder tells about its course.

    `results` are the evaluations of its snapshots by images seen; `series` the columns of `metrics.csv`, each as
    (images seen, value) pairs without empty cells; `notes` say what could not be read.
    """

    results: tuple[EvaluationRecord, ...] = ()
    series: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    config: str | None = None
    notes: tuple[str, ...] = ()


def read_run(folder: Path) -> RunRecords:
    """Read a run folder's curves and configuration; what is missing is empty, what is damaged becomes a note."""
    notes: list[str] = []
    results = tuple(_read_results(folder / RESULTS_FILE, notes))
    series = _read_training(folder / TRAINING_FILE, notes)
    config_file = folder / CONFIG_FILE
    config = config_file.read_text(encoding="utf-8", errors="replace") if config_file.is_file() else None
    return RunRecords(results, series, config, tuple(notes))


def _read_results(path: Path, notes: list[str]) -> list[EvaluationRecord]:
    if not path.is_file():
        return []
    records = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            records.append(parse_record(json.loads(line), f"{path.name}, line {number}"))
        except json.JSONDecodeError:
            # A run killed while it wrote leaves half a line; the others are as good as ever.
            notes.append(f"Line {number} of {path.name} is not valid JSON and was left out.")
        except SaseGanError as error:
            notes.append(f"{error}; this line was left out.")
    return sorted(records, key=lambda record: images_seen(record) or 0)


def _read_training(path: Path, notes: list[str]) -> dict[str, tuple[tuple[float, float], ...]]:
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or "images_seen" not in rows[0]:
        notes.append(f"{path.name} has no column images_seen, so its curves were left out.")
        return {}
    series: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        clock = _number(row.get("images_seen"))
        if clock is None:
            continue
        for name, cell in row.items():
            value = _number(cell) if isinstance(cell, str) else None
            if name is not None and name != "images_seen" and value is not None:
                series.setdefault(name, []).append((clock, value))
    return {name: tuple(points) for name, points in series.items()}


def _number(cell: str | None) -> float | None:
    try:
        value = float(cell) if cell else None
    except ValueError:
        return None
    return value if value is not None and math.isfinite(value) else None


def images_seen(record: EvaluationRecord) -> int | None:
    """The training clock of the snapshot that a record scores, where one did."""
    return record.model.images_seen if record.model else None


def is_run_folder(folder: Path) -> bool:
    """Whether a folder looks like a training run: it holds `results.jsonl` or `config.yaml`."""
    return (folder / RESULTS_FILE).is_file() or (folder / CONFIG_FILE).is_file()


def main_distance(record: EvaluationRecord) -> str | None:
    """The name of the record's leading distance: KID on whichever features there are, Inception's first."""
    for name in sorted(record.metrics, key=metric_order):
        if metric_base(name) == "kid" and record.metrics[name].measured:
            return name
    return None


def best_record(records: tuple[EvaluationRecord, ...]) -> EvaluationRecord | None:
    """The lowest KID among the records whose copying verdict is not red; the latest one when none has a KID.

    A red record is chosen only when all are red, because copies have the best KID of all.
    """
    ranked = rank_records(records)
    return ranked[0] if ranked else None


def rank_records(records: tuple[EvaluationRecord, ...]) -> list[EvaluationRecord]:
    """The records among which `best_record` chooses, best first; those without a KID last, the latest of them first."""
    # The untrained generator, published at 0 images, is no candidate where there is a trained one.
    trained = [record for record in records if images_seen(record) != 0] or list(records)
    allowed = [record for record in trained if record.colour("copying") != "red"] or trained
    return sorted(reversed(allowed), key=_leading_value)


def _leading_value(record: EvaluationRecord) -> float:
    name = main_distance(record)
    value = record.metrics[name].value if name else None
    return math.inf if value is None else value


# --- the words for metrics -------------------------------------------------------------------------------------------

EXTRACTOR_TITLES = {
    "efflite0": "EfficientNet-Lite0",
    "inception": "Inception v3",
    "inception-clean": "Inception v3, clean resize",
    "inception-tv": "Inception v3, torchvision",
    "vgg16": "VGG16",
    "dinov2": "DINOv2",
    "clip": "CLIP",
    "pixels32": "32-px pictures",
}

GROUP_TITLES = {
    "distance": "How far the fakes are from the reals",
    "coverage": "How good each fake is, how much of the set they cover",
    "single": "Against the one training picture",
    "copying": "Copying",
    "diversity": "How much the fakes differ from each other",
    "smoothness": "Between two latents",
    "other": "Other measurements",
}

# One row a metric, in the order of every table: base name, group, title.
_METRICS: tuple[tuple[str, str, str], ...] = (
    ("kid", "distance", "KID"),
    ("kid_mid", "distance", "KID, mid-level features"),
    ("fid", "distance", "FID"),
    ("fid_reference", "distance", "Reference level of FID: halves of the reals"),
    ("fd", "distance", "Fréchet distance"),
    ("fd_reference", "distance", "Reference level: halves of the reals"),
    ("fd_mid", "distance", "Fréchet distance, mid-level features"),
    ("fd_mid_reference", "distance", "Reference level, mid-level features"),
    ("mifid", "distance", "MiFID, a distance that punishes copies"),
    ("mifd", "distance", "Fréchet distance that punishes copies"),
    ("patch_swd", "distance", "Patch distance, mean over scales"),
    ("patch_swd_reference", "distance", "Reference level of the patch distance"),
    ("precision", "coverage", "Precision"),
    ("recall", "coverage", "Recall"),
    ("density", "coverage", "Density"),
    ("coverage", "coverage", "Coverage"),
    ("nn1_acc", "coverage", "1-NN accuracy"),
    ("inception_score", "coverage", "Inception Score"),
    ("is", "coverage", "Inception-Score formula"),
    ("sifid64", "single", "SIFID, 64 channels"),
    ("sifid192", "single", "SIFID, 192 channels"),
    ("sifd", "single", "Texture distance (single-image Fréchet)"),
    ("single_patch_swd", "single", "Patch distance"),
    ("distance_to_train", "copying", "Perceptual distance to the training picture"),
    ("lpips_to_train", "copying", "LPIPS to the training picture"),
    ("copy_rate", "copying", "Patches copied in one piece"),
    ("copy_share", "copying", "Share of suspiciously near fakes"),
    ("nn_ratio", "copying", "Distance to the training set, relative"),
    ("authpct", "copying", "Authentic fakes (AuthPct), percent"),
    ("copy_share_pixels", "copying", "Share of suspiciously near fakes, by pixels"),
    ("nn_ratio_pixels", "copying", "Distance to the training set, relative, by pixels"),
    ("authpct_pixels", "copying", "Authentic fakes (AuthPct), percent, by pixels"),
    ("holdout_nearer_share", "copying", "Fakes nearer than held-out pictures"),
    ("holdout_nn_ratio", "copying", "Distance relative to held-out pictures"),
    ("div", "diversity", "Diversity, relative to the reals"),
    ("div_within", "diversity", "Diversity around one training picture"),
    ("lpips_diversity", "diversity", "LPIPS diversity"),
    ("lpips_diversity_within", "diversity", "LPIPS diversity around one training picture"),
    ("pixel_diversity", "diversity", "Pixel diversity"),
    ("pixel_difference", "diversity", "Pixel difference from the training picture"),
    ("perceptual_diversity", "diversity", "Perceptual diversity"),
    ("smoothness_path", "smoothness", "Change over a whole walk, squared"),
    ("smoothness_evenness", "smoothness", "Unevenness of the steps"),
    ("smoothness_largest_step", "smoothness", "Largest step over the mean step"),
    ("smoothness_detour", "smoothness", "Detour"),
)
_TITLES = {base: title for base, _, title in _METRICS}
_GROUPS = {base: group for base, group, _ in _METRICS}
_ORDER = {base: place for place, (base, _, _) in enumerate(_METRICS)}
_GROUP_ORDER = {group: place for place, group in enumerate(GROUP_TITLES)}

# Inception's figures have the literature's plain names; those of its clean resize and of torchvision's weights end so.
_CLEAN = "_clean"
_TORCHVISION = "_tv"
_PLAIN_INCEPTION = {"kid", "fid", "fid_reference", "mifid", "precision", "recall", "density", "coverage", "nn1_acc"} | {
    "inception_score"
}


def metric_extractor(name: str) -> str | None:
    """The feature network that a metric's name tells of: `kid_efflite0` gives "efflite0", `fid` gives "inception"."""
    if name.endswith(_CLEAN):
        return "inception-clean"
    if name.endswith(_TORCHVISION):
        return "inception-tv"
    if name in _PLAIN_INCEPTION:
        return "inception"
    return next((key for key in EXTRACTOR_TITLES if name.endswith(f"_{key}")), None)


def metric_base(name: str) -> str:
    """A metric's name without its feature network: `kid_mid_efflite0` gives "kid_mid", `fid_clean` gives "fid"."""
    extractor = metric_extractor(name)
    return name.removesuffix(_CLEAN).removesuffix(_TORCHVISION).removesuffix(f"_{extractor}")


def is_reference_level(name: str) -> bool:
    """Whether a metric is not about fakes at all but what halves of the reals score."""
    return metric_base(name).endswith("_reference")


def metric_title(name: str) -> str:
    """A metric's name in words, without the feature network; an unknown one keeps its name."""
    base = metric_base(name)
    if base in _TITLES:
        return _TITLES[base]
    if base.startswith("patch_swd_"):
        return f"Patch distance at {base.removeprefix('patch_swd_')} px"
    return name


def metric_group(name: str) -> str:
    """The key of `GROUP_TITLES` under which a metric is listed."""
    base = metric_base(name)
    families = {"patch_swd": "distance", "holdout": "copying", "smoothness": "smoothness"}
    return _GROUPS.get(base) or next((group for start, group in families.items() if base.startswith(start)), "other")


def metric_order(name: str) -> tuple[int, int, int, str]:
    """Sort key: groups in the order of `GROUP_TITLES`; in one, KID first, Inception's before other networks'."""
    base = metric_base(name)
    place = _ORDER.get(base, _ORDER["patch_swd"] if base.startswith("patch_swd") else len(_ORDER))
    # Scales of the patch distance from coarse to fine: by number, not by text.
    size = base.removeprefix("patch_swd_")
    extractor = metric_extractor(name)
    network = list(EXTRACTOR_TITLES).index(extractor) if extractor else 0
    rank = int(size) if size.isdigit() else 0 if extractor == "inception" else network + 1
    return _GROUP_ORDER[metric_group(name)], place, rank, name


def metrics_by_group(metrics: Mapping[str, MetricRecord]) -> Iterator[tuple[str, list[tuple[str, MetricRecord]]]]:
    """The metrics of a record as (group, [(name, metric), ...]) in the order of every table."""
    groups: dict[str, list[tuple[str, MetricRecord]]] = {}
    for name in sorted(metrics, key=metric_order):
        groups.setdefault(metric_group(name), []).append((name, metrics[name]))
    yield from groups.items()


def format_number(value: float, spread: float | None = None) -> str:
    """Write a number with as many decimals as its spread deserves, or with three figures when there is no spread.

    A spread is trusted to one figure, to two when it begins with 1, 2 or 3, where one figure would be too coarse.

    Example:
        >>> format_number(0.012345, spread=0.0021)
        '0.0123'
        >>> format_number(24.81, spread=0.6)
        '24.8'
        >>> format_number(0.2)
        '0.2'
        >>> format_number(-0.0018)
        '−0.0018'
    """
    scale = abs(spread) if spread else abs(value)
    exponent = math.floor(math.log10(scale)) if scale else 0
    figures = 3 if not spread else 2 if scale / 10**exponent < 4 else 1
    decimals = min(max(figures - 1 - exponent, 0), 6)
    text = f"{value:,.{decimals}f}".replace(",", "\u202f") if abs(value) >= 10_000 else f"{value:.{decimals}f}"
    if not spread and "." in text and (abs(value) < 1 or value == int(value)):
        text = text.rstrip("0").rstrip(".") or "0"
    if not text.strip("-0."):
        text = text.lstrip("-")
    return text.replace("-", "−")


def count(number: int) -> str:
    """A whole number with thin gaps between the thousands."""
    return f"{number:,}".replace(",", "\u202f")
