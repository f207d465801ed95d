"""The book is where an evaluation notes its figures: what each was made of, and why one could not be made.

A record never holds NaN: a figure that could not be made is a status with a reason.
"""

import math
from dataclasses import asdict, dataclass

from sase_gan.metrics.bootstrap import Interval
from sase_gan.metrics.figures import Figure
from sase_gan.metrics.protocol import comparability
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
    truncation: float | None = None
    extractor: str | None = None
    layer: str | None = None
    weights_sha256: str | None = None
    resize: str | None = None
    subset_size: int | None = None
    mirrors: bool = False
    neighbours: int | None = None


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
        baseline: float | None = None,
        baseline_std: float | None = None,
        reason: str | None = None,
    ) -> None:
        """Note a figure; one that is not finite is noted as failed."""
        if not math.isfinite(value):
            self.miss(figure, setting, "failed", f"the computation gave {value}")
            return
        self.metrics[figure.name] = _entry(figure, setting, "ok", reason).model_copy(
            update={
                "value": value,
                "std": _finite(std),
                "low": _finite(interval.low) if interval else None,
                "high": _finite(interval.high) if interval else None,
                "interval": interval.description if interval else None,
                "baseline": _finite(baseline),
                "baseline_std": _finite(baseline_std),
            }
        )

    def miss(self, figure: Figure, setting: Setting, status: Status, reason: str) -> None:
        """Note that a figure could not be made."""
        self.metrics[figure.name] = _entry(figure, setting, status, reason)

    def value(self, name: str) -> float | None:
        """A figure that was made, else None."""
        return self.metrics[name].value if name in self.metrics else None

    def interval(self, figure: Figure) -> Interval | None:
        """The error bar of a figure that was made with one, else None."""
        entry = self.metrics.get(figure.name)
        if entry is None or entry.low is None or entry.high is None:
            return None
        return Interval(entry.low, entry.high, str(entry.interval))

    def baseline(self, name: str) -> float | None:
        """What a figure that was made would be for equal sets, else None."""
        return self.metrics[name].baseline if name in self.metrics else None


def _entry(figure: Figure, setting: Setting, status: Status, reason: str | None) -> MetricRecord:
    facts, metric = asdict(setting), figure.metric
    # Of the identity only what there is: most figures have neither network nor scale.
    identity = {"network": figure.network, "scale": figure.scale}
    return MetricRecord(
        base=metric.base,
        **{key: value for key, value in identity.items() if value is not None},
        status=status,
        value=None,
        std=None,
        low=None,
        high=None,
        interval=None,
        **{key: facts[key] for key in ("n_real", "n_fake", "extractor", "layer", "weights_sha256", "resize")},
        **{key: facts[key] for key in ("subset_size", "reference_set", "mirrors")},
        reason=reason,
        baseline=None,
        baseline_std=None,
        better=metric.better,
        meaning=metric.meaning,
        comparability=comparability({"metric": figure.name, **facts}),
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
