"""The book is where an evaluation notes its figures: what each was made of, and why one could not be made.

A record never holds NaN: a figure that could not be made is a status with a reason.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sase_gan.metrics.bootstrap import Interval
from sase_gan.metrics.figures import Figure
from sase_gan.metrics.records import MetricRecord, Status


class NotApplicable(ValueError):
    """A metric has no meaning for what it was given: too few pictures, too small ones, or pictures without variation.

    The text names the bound.
    """


@dataclass(frozen=True)
class Setting:
    """What a figure was made of, as far as it decides what the figure may be compared with."""

    n_real: int
    n_fake: int
    reference_set: str
    image_size: tuple[int, int]
    averaged: bool | None = None
    truncation: float | str | None = None
    extractor: str | None = None
    layer: str | None = None
    weights_sha256: str | None = None
    resize: str | None = None
    subset_size: int | None = None
    mirrors: bool = False
    neighbours: int | None = None


@dataclass(frozen=True)
class Level:
    """A level is what sets without a difference score in a figure: mean and, where it was measured, its spread."""

    mean: float
    std: float | None = None
    interval: Interval | None = None


class RecordBook:
    """Collects the figures of one evaluation as the `metrics` part of its record."""

    def __init__(self) -> None:
        self.metrics: dict[str, MetricRecord] = {}

    def __contains__(self, figure: Figure) -> bool:
        return figure.name in self.metrics

    def add(
        self,
        figure: Figure,
        value: float,
        setting: Setting,
        *,
        std: float | None = None,
        interval: Interval | None = None,
        level: Level | None = None,
        reason: str | None = None,
    ) -> None:
        """Note a figure; one that is not finite is noted as failed."""
        if not math.isfinite(value):
            self.miss(figure, setting, "failed", f"the computation gave {value}")
            return
        measured = {
            "value": value,
            "std": _finite(std),
            "low": _finite(interval.low) if interval else None,
            "high": _finite(interval.high) if interval else None,
            "interval": interval.description if interval else None,
            "baseline": _finite(level.mean) if level else None,
            "baseline_std": _finite(level.std) if level else None,
        }
        self.metrics[figure.name] = _entry(figure, setting, "ok", reason).model_copy(update=measured)

    def miss(self, figure: Figure, setting: Setting, status: Status, reason: str) -> None:
        """Note that a figure could not be made."""
        self.metrics[figure.name] = _entry(figure, setting, status, reason)

    def value(self, name: str) -> float | None:
        """Look up the value of a figure that was made; None for another."""
        return self.metrics[name].value if name in self.metrics else None

    def interval(self, figure: Figure) -> Interval | None:
        """Look up the error bar of a figure that was made with one; None for another."""
        entry = self.metrics.get(figure.name)
        if entry is None or entry.low is None or entry.high is None:
            return None
        return Interval(entry.low, entry.high, str(entry.interval))


def comparability(settings: Mapping[str, Any]) -> str:
    """A short hash of everything that a figure's meaning depends on; figures with unlike hashes are not compared."""
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


_MEASURED = ("value", "std", "low", "high", "interval", "baseline", "baseline_std")


def _entry(figure: Figure, setting: Setting, status: Status, reason: str | None) -> MetricRecord:
    facts, metric = asdict(setting), figure.metric
    # Of the identity only what there is: most figures have neither network nor scale.
    identity = {"network": figure.network, "scale": figure.scale}
    content: dict[str, Any] = {key: value for key, value in identity.items() if value is not None}
    content |= dict.fromkeys(_MEASURED) | {
        key: value for key, value in facts.items() if key in MetricRecord.model_fields
    }
    return MetricRecord(
        base=metric.base,
        status=status,
        reason=reason,
        better=metric.better,
        meaning=metric.meaning,
        comparability=comparability({"metric": figure.name, **facts}),
        **content,
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
