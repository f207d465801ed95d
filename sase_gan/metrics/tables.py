"""Figures as a table of numbers, for other programs."""

import csv
from collections.abc import Mapping
from pathlib import Path

from sase_gan.files import write_atomically
from sase_gan.metrics.records import MetricRecord

_COLUMNS = (
    *("status", "value", "std", "low", "high", "interval", "n_real", "n_fake", "extractor", "layer", "resize"),
    *("subset_size", "baseline", "baseline_std", "better", "comparability", "reason", "meaning"),
)


def write_figures(path: Path, metrics: Mapping[str, MetricRecord]) -> None:
    """Write figures as a table, CSV, one a row."""
    with write_atomically(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["name", *_COLUMNS])
        for name, metric in metrics.items():
            writer.writerow([name, *(getattr(metric, column) for column in _COLUMNS)])
