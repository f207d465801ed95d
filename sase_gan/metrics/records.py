"""Evaluation records follow one schema from measuring to the page: `metrics.json`, and lines of `results.jsonl`.

Reports and comparisons are made from files alone, possibly a year later and on another computer, so everything that
comes from a file is checked here once and typed from then on. A record of a later schema is refused rather than half
understood; a part that an evaluation left out is `None` or empty, and it is the reader's business to say so. What was
never set is not written, so that a record read and written again says no more than before. This module imports neither
torch nor the computation of metrics.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from sase_gan.errors import DataError, UsageError
from sase_gan.metrics.catalogue import Better, Section
from sase_gan.metrics.class_record import ClassesPart
from sase_gan.metrics.figures import Figure, figure, identify
from sase_gan.metrics.recombination_record import RecombinationPart

if TYPE_CHECKING:
    from torch import Tensor

SCHEMA_VERSION = 1
"""The schema of `metrics.json` that this version writes and reads."""

RECORD_FILE = "metrics.json"
FIGURES_FILE = "figures.csv"

Colour = Literal["green", "amber", "red", "grey"]
Status = Literal["ok", "skipped", "not_applicable", "failed"]
VERDICT_TOPICS = ("copying", "quality", "diversity")
"""Copying leads: the other two mean little when the pictures are copies."""
PATCHWORK = "patchwork"
"""The topic of a verdict that only records since the search for regions have."""


def _finite_or_none(value: Any) -> Any:
    """Records never hold NaN or infinity by contract; a file that does anyway is shown as having no value."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


# Whole numbers stay whole, so that a record is written as it was measured.
Number = Annotated[float | int | None, BeforeValidator(_finite_or_none)]


class _Part(BaseModel):
    """A piece of a record: frozen, and open to keys that a later minor version may add."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())


class MetricRecord(_Part):
    """A metric's record is one number with everything that decides what it may be compared with.

    `base`, `network` and `scale` say which figure it is, see `figures.Figure`; `extractor` is the network that its
    features came from, which not every figure is named by.
    """

    base: str
    network: str | None = None
    scale: int | None = None
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
    better: Better | None = None
    meaning: str | None = None
    comparability: str | None = None

    @property
    def figure(self) -> Figure:
        """Which figure this is: its name, title and place in tables."""
        return figure(self.base, self.network, self.scale)

    @property
    def measured(self) -> bool:
        """Whether there is a value to show."""
        return self.status == "ok" and self.value is not None

    @property
    def has_interval(self) -> bool:
        """Whether the value carries an error bar."""
        return self.low is not None and self.high is not None


class DataPart(_Part):
    """The data part tells of the real pictures."""

    name: str = "unnamed pictures"
    path_name: str | None = None
    licence: str | None = None
    mirror: bool | None = None
    jpeg_sources: int | None = None
    holdout: int | None = None
    digest: str | None = None
    n: int | None = None
    image_size: tuple[int, int] | None = None


class FakesPart(_Part):
    """The fakes part tells of the generated pictures."""

    source: str | None = None
    name: str = "unnamed pictures"
    n: int | None = None
    image_size: tuple[int, int] | None = None
    digest: str | None = None


class ModelPart(_Part):
    """The model part tells of the snapshot that made the pictures, where one did.

    Attributes:
        averaged, truncation: part of every figure's comparability.
        extractor_used_in_training, taught_by: did the feature network serve in training, and what beside the pictures.
        started_from: name and digest of the model that training started from, and how.
        finished: of what snapshot and pictures its pictures are finished with patches, and how freely.
        discriminator_extractor: the network that the discriminator was built on: its pooled features judge nothing.
    """

    snapshot: str | None = None
    digest: str | None = None
    images_seen: int | None = None
    averaged: bool | None = None
    truncation: float | None = None
    seed: int | None = None
    noise: str | None = None
    extractor_used_in_training: bool | None = None
    taught_by: dict[str, Number] | None = None
    started_from: dict[str, str | Number | bool | None] | None = None
    finished: dict[str, str | Number] | None = None
    discriminator_extractor: str | None = None
    parameters: int | None = None
    recombination: RecombinationPart | None = None


class VerdictRule(_Part):
    """A rule tells why a verdict has its colour."""

    rule: str | None = None
    number: Number | str = None
    text: str | None = None


class CopyPair(_Part):
    """A pair shows a generated picture beside its nearest training pictures; files and names come on writing."""

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


class RegionSource(_Part):
    """A source is a training picture with the regions that a generated picture has of it, in the colour they share."""

    picture: str | None = None
    name: str | None = None
    share: Number = None
    regions: int | None = None
    mirrored: bool | None = None
    colour: tuple[int, int, int] | None = None


class RegionPicture(_Part):
    """A region picture shows a generated picture, the map of its regions, and the training pictures they come from."""

    fake: str | None = None
    map: str | None = None
    fake_name: str | None = None
    share: Number = None
    regions: int | None = None
    sources: tuple[RegionSource, ...] = ()


def _as_named_picture(value: Any) -> Any:
    return {"picture": value} if isinstance(value, str) else value


class NamedPicture(_Part):
    """One picture of a list; a bare path is read as a picture without a name."""

    picture: str | None = None
    name: str | None = None
    distance: Number = None


class Walk(_Part):
    """A walk shows pictures on the way between two latents, and how far each step moved."""

    strip: str | None = None
    steps: tuple[float, ...] = ()
    seed_from: int | None = None
    seed_to: int | None = None
    space: str | None = None


NamedPictures = tuple[Annotated[NamedPicture, BeforeValidator(_as_named_picture)], ...]


class Pictures(_Part):
    """The pictures part tells where the pictures of an evaluation lie, relative to its folder."""

    reals: str | None = None
    fakes: str | None = None
    fakes_truncated: str | None = None
    walk: Walk | None = None
    copying: tuple[CopyPair, ...] = ()
    regions: tuple[RegionPicture, ...] = ()
    typical: NamedPictures = ()
    atypical: NamedPictures = ()


class RecombinedPart(_Part):
    """The recombined part tells what the training pictures give without training, recombined and measured likewise.

    Attributes:
        words: from where their parts come, and why.
        metrics: of which only the values and their intervals are kept.
        grid: the first pictures, relative to the folder.
    """

    words: str | None = None
    n: int | None = None
    seconds: Number = None
    metrics: dict[str, MetricRecord] = Field(default_factory=dict)
    verdict: dict[str, Colour] = Field(default_factory=dict)
    grid: str | None = None


class Histogram(_Part):
    """A histogram holds the shares of two sets of distances over common bins."""

    bins: tuple[float, ...]
    fake_to_train: tuple[float, ...]
    train_to_train: tuple[float, ...]


class EvaluationRecord(_Part):
    """An evaluation's record tells what was measured, how, on what, and what it means."""

    schema_version: int
    created: str | None = None
    seconds: Number = None
    timing: dict[str, Any] = Field(default_factory=dict)
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
    recombined: RecombinedPart | None = None
    classes: ClassesPart | None = None
    histograms: dict[str, Histogram] = Field(default_factory=dict)
    curves: Any = None
    walk_steps: tuple[float, ...] = ()

    @property
    def protocol_name(self) -> str:
        """The protocol's name, with the one it was changed from, or "unnamed" when the record does not say."""
        name, before = str(self.protocol.get("name") or "unnamed"), self.protocol.get("changed_from")
        return f"{name}, from {before}" if before else name

    def colour(self, topic: str) -> Colour:
        """Look up the verdict on a topic; grey where none was given."""
        return self.verdict.get(topic, "grey")

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics of the verdicts to show: the three of every record, and patchwork where it was judged."""
        return (*VERDICT_TOPICS, PATCHWORK) if PATCHWORK in self.verdict else VERDICT_TOPICS

    def value(self, name: str) -> float | None:
        """Look up the value of a figure that was measured; None for another."""
        return self.metrics[name].value if name in self.metrics else None

    def recombined_metric(self, name: str) -> MetricRecord | None:
        """Look up a figure of what recombining the training pictures alone gives; None where it was not measured."""
        found = self.recombined.metrics.get(name) if self.recombined else None
        return found if found is not None and found.measured else None

    def to_json(self) -> dict[str, Any]:
        """Write the record as JSON values, without what was never set."""
        return self.model_dump(mode="json", exclude_unset=True)


Measure = Callable[["Tensor"], EvaluationRecord]
"""From generated pictures, uint8 [F, 3, H, W], to a record with error bars and verdicts."""


def metrics_by_section(metrics: Mapping[str, MetricRecord]) -> Iterator[tuple[Section, list[tuple[str, MetricRecord]]]]:
    """Sort the metrics of a record into (section, [(name, metric), ...]) in the order of every table."""
    for section, found in groupby(in_order(metrics), key=lambda item: item[1].figure.metric.section):
        yield section, list(found)


def in_order(metrics: Mapping[str, MetricRecord]) -> list[tuple[str, MetricRecord]]:
    """Sort the metrics of a record in the order of every table."""
    return sorted(metrics.items(), key=lambda item: item[1].figure.place)


# --- files -----------------------------------------------------------------------------------------------------------


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
        return EvaluationRecord.model_validate(_with_bases(raw))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DataError(
            f"{origin} has an unusable field {place!r} ({first['msg']}); run `sase-gan evaluate` again"
        ) from error


def _with_bases(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """The record with every entry saying which figure it is: early versions wrote only names."""
    metrics = raw.get("metrics")
    if not isinstance(metrics, Mapping):
        return raw
    entries = {}
    for name, entry in metrics.items():
        if isinstance(entry, Mapping) and "base" not in entry:
            found = identify(str(name))
            entry = {"base": found.metric.base, "network": found.network, "scale": found.scale, **entry}
        entries[name] = entry
    return {**raw, "metrics": entries}


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
