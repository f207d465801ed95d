"""Rows of a report's tables: each metric as text, with its interval, its honest level and a strip that shows both."""

from dataclasses import dataclass

from markupsafe import Markup

from sase_gan.metrics.figures import network_title
from sase_gan.metrics.records import MetricRecord
from sase_gan.report.numbers import count, format_number
from sase_gan.report.plots import interval_svg


@dataclass(frozen=True)
class NumberRow:
    """A row tells one metric of a table."""

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
    """A row tells why a metric has no value."""

    title: str
    name: str
    status: str
    reason: str


def number_row(name: str, metric: MetricRecord) -> NumberRow:
    """Put one measured metric into words, with its strip.

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


def left_out_row(name: str, metric: MetricRecord) -> LeftOutRow:
    """Tell why a metric has no value."""
    words = {"skipped": "skipped", "not_applicable": "not applicable", "failed": "failed", "ok": "no value"}
    title, features = metric.figure.title, _features(metric)
    return LeftOutRow(
        f"{title} ({features})" if features else title,
        name,
        words[metric.status],
        metric.reason or "no reason was recorded",
    )
