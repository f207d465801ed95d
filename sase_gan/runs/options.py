"""What a run depends on beside its configuration, and how it ended; free of Lightning, as not every run trains."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sase_gan.hardware import Hardware
from sase_gan.metrics.records import Measure
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.request import Report

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger


@dataclass(frozen=True)
class RunOptions:
    """What a run depends on beside its configuration, and what does not change its result.

    Attributes:
        minutes: stop after so much training time; None trains to the configured images.
        measure: figures of a snapshot (`metrics.quick`), or None.
        loggers: further Lightning loggers, besides metrics.csv.
        report: gets the lines that a run tells before and after its training.
    """

    hardware: Hardware
    minutes: float | None = None
    devices: int = 1
    measure: Measure | None = None
    weights_dir: Path | None = None
    loggers: tuple[Logger, ...] = ()
    report: Report = lambda line: None


@dataclass(frozen=True)
class RunResult:
    """How a run ended, and how long it and the measuring within it took; `run` knows its chosen snapshot."""

    run: RunFolder
    images_seen: int
    interrupted: bool
    seconds: float
    measuring_seconds: float
