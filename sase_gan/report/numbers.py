"""Numbers as text with as many decimals as they deserve, and as rows of a report's tables, as the templates read them.

A row tells a metric's value with its interval, its honest level and a strip that shows both.
"""

import math
from typing import Any

from markupsafe import Markup

from sase_gan.metrics.figures import network_title
from sase_gan.metrics.records import MetricRecord
from sase_gan.report.plots import interval_svg


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
    """Write a whole number with thin gaps between the thousands."""
    return f"{number:,}".replace(",", "\u202f")


def number_row(name: str, metric: MetricRecord, recombined: MetricRecord | None = None) -> dict[str, Any]:
    """Put a measured metric into words, with its strip.

    Args:
        name: its key in the record.
        recombined: the same of what recombining the training pictures alone gives.
    """
    assert metric.value is not None
    spread, interval, level = metric.std, None, None
    if metric.low is not None and metric.high is not None:
        spread = (metric.high - metric.low) / 2
        interval = f"{format_number(metric.low, spread)} to {format_number(metric.high, spread)}"
    elif metric.std is not None:
        interval = f"± {format_number(metric.std, metric.std)}"
    if metric.baseline is not None:
        level = format_number(metric.baseline, metric.baseline_std)
        if metric.baseline_std is not None:
            level += f" ± {format_number(metric.baseline_std, metric.baseline_std)}"
    value = format_number(metric.value, spread)
    counted = [(metric.n_fake, "generated"), (metric.n_real, "real")]
    return {
        "name": name,
        "title": metric.figure.title,
        "features": _features(metric),
        "value": value,
        "interval": interval,
        "counts": ", ".join(f"{count(number)} {kind}" for number, kind in counted if number is not None) or None,
        "level": level,
        "recombined": _alone(recombined),
        "strip": _strip(metric, value, interval, level),
        "meaning": metric.meaning,
        "note": _below_level(metric),
        "remark": metric.reason,
    }


def _alone(metric: MetricRecord | None) -> str | None:
    if metric is None or metric.value is None:
        return None
    spread = None if metric.low is None or metric.high is None else (metric.high - metric.low) / 2
    return format_number(metric.value, spread)


def _features(metric: MetricRecord) -> str | None:
    network = metric.extractor or metric.network
    return network_title(network) if network else None


def _strip(metric: MetricRecord, value: str, interval: str | None, level: str | None) -> Markup | None:
    """A strip says something only where there is a level to see the value against: alone it would scale to itself."""
    if metric.value is None or level is None:
        return None
    alt = value + (f", interval {interval}" if interval else "") + f", honest level {level}"
    low, high = metric.low, metric.high
    if low is None and high is None and metric.std is not None:
        low, high = metric.value - metric.std, metric.value + metric.std
    level_std = metric.baseline_std
    return interval_svg(metric.value, alt=alt, low=low, high=high, level=metric.baseline, level_std=level_std)


def _below_level(metric: MetricRecord) -> str | None:
    """The reference level is no floor: copies fall below it, so a value under it is a reason to look, not to cheer."""
    is_distance = metric.base in {"fd", "fd_mid"}
    if not is_distance or metric.baseline is None or metric.value is None or metric.value >= metric.baseline:
        return None
    return (
        f"Below the level of two halves of your own pictures ({format_number(metric.baseline)}). Lower is possible, "
        "and with few pictures it often means copying: see the copying section."
    )


def left_out_row(metric: MetricRecord) -> dict[str, str]:
    """Tell why a metric has no value."""
    title, features = metric.figure.title, _features(metric)
    return {
        "title": f"{title} ({features})" if features else title,
        "status": "no value" if metric.status == "ok" else metric.status.replace("_", " "),
        "reason": metric.reason or "no reason was recorded",
    }
