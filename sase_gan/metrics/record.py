"""What is written down about one figure.

A record never holds NaN: a figure that could not be made is a status with a reason.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sase_gan.metrics.bootstrap import Interval
from sase_gan.metrics.catalogue import MEANINGS
from sase_gan.metrics.protocol import comparability

Status = Literal["ok", "skipped", "not_applicable", "failed"]


# Inception's figures have the literature's names; every other network's carry the network's name.
_LITERATURE = {
    "fd": "fid",
    "kid": "kid",
    "is": "inception_score",
    "mifd": "mifid",
    "fd_reference": "fid_reference",
}
DISTRIBUTION_BASES = (
    *("kid", "fd", "fd_reference", "mifd", "precision", "recall", "density", "coverage", "nn1_acc", "is"),
)


def metric_name(base: str, extractor: str | None) -> str:
    """The key of a figure in a record.

    Example:
        >>> metric_name("fd", "efflite0"), metric_name("fd", "inception"), metric_name("fd", "inception-clean")
        ('fd_efflite0', 'fid', 'fid_clean')
    """
    if extractor is None:
        return base
    if extractor in ("inception", "inception-clean"):
        name = _LITERATURE.get(base, base)
        return f"{name}_clean" if extractor == "inception-clean" else name
    return f"{base}_{extractor}"


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
        self.metrics: dict[str, dict[str, Any]] = {}

    def add(
        self,
        name: str,
        base: str,
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
            self.miss(name, base, setting, "failed", f"the computation gave {value}")
            return
        entry = self._entry(name, base, setting, "ok", reason)
        entry.update(
            value=value,
            std=_finite(std),
            low=_finite(interval.low) if interval else None,
            high=_finite(interval.high) if interval else None,
            interval=interval.description if interval else None,
            baseline=_finite(baseline),
            baseline_std=_finite(baseline_std),
        )
        self.metrics[name] = entry

    def miss(self, name: str, base: str, setting: Setting, status: Status, reason: str) -> None:
        """Note that a figure could not be made."""
        self.metrics[name] = self._entry(name, base, setting, status, reason)

    def value(self, name: str) -> float | None:
        """A figure that was made, else None."""
        entry = self.metrics.get(name)
        return entry["value"] if entry else None

    def _entry(self, name: str, base: str, setting: Setting, status: Status, reason: str | None) -> dict[str, Any]:
        meaning = MEANINGS[base]
        facts = asdict(setting)
        return {
            "status": status,
            "value": None,
            "std": None,
            "low": None,
            "high": None,
            "interval": None,
            **{key: facts[key] for key in ("n_real", "n_fake", "extractor", "layer", "weights_sha256", "resize")},
            **{key: facts[key] for key in ("subset_size", "reference_set", "mirrors")},
            "reason": reason,
            "baseline": None,
            "baseline_std": None,
            "better": meaning.better,
            "meaning": meaning.sentence,
            "comparability": comparability({"metric": name, **facts}),
        }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
