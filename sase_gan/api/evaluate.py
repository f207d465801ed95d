"""Measuring from Python: generated images in, a report out."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sase_gan.api.models import HasFolder
from sase_gan.api.options import checked_options
from sase_gan.api.progress import shown
from sase_gan.evaluation.options import EvaluationOptions
from sase_gan.evaluation.run import run_evaluation
from sase_gan.metrics.records import EvaluationRecord
from sase_gan.progress import Progress
from sase_gan.report.write import write_report


@dataclass(frozen=True)
class Report:
    """A finished evaluation; in a notebook it shows its page.

    Attributes:
        record: every figure with its interval and settings, and the verdicts.
        page: `report.html` in the folder of the evaluation.
        notes: what the user should know beside it.
    """

    record: EvaluationRecord
    page: Path
    notes: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Where the record, the page and the images lie."""
        return self.page.parent

    def __repr__(self) -> str:
        verdicts = ", ".join(f"{topic} {colour}" for topic, colour in self.record.verdict.items())
        return f"report {self.page}: {verdicts}"

    def _repr_html_(self) -> str:
        page = html.escape(self.page.read_text(encoding="utf-8"))
        return f'<iframe sandbox style="width: 100%; height: 600px; border: 0" srcdoc="{page}"></iframe>'


def evaluate(
    source: Path | str | HasFolder, real: Path | str | None = None, *, progress: Progress | bool = True, **options: Any
) -> Report:
    """Measure generated images against real ones: distances, copying, diversity, with a report.

    Args:
        source: a folder or zip of images by anybody, a snapshot, a run folder, or what `train` returned.
        real: the real pictures, or one picture; a run knows its own.
        progress: True shows bars, False nothing; or a function of (what, done, total).
        options: the other fields of `EvaluationOptions`, such as `count=1000`, `metrics=["copying"]` or `out="report"`.

    Raises:
        UsageError: for an option that is not known, or options that do not fit together.
        WeightsError: if what was asked for needs files that are missing; nothing is written then.
        DataError: for pictures that cannot be used.

    Example:
        `sase_gan.evaluate(run, count=1000)`
    """
    options = checked_options(EvaluationOptions, "evaluate", options, without=("source", "real"))
    place = Path(source) if isinstance(source, Path | str) else source.folder
    return measure(EvaluationOptions(place, None if real is None else Path(real), **options), progress=progress)


def measure(options: EvaluationOptions, *, progress: Progress | bool = True) -> Report:
    """Measure as the options say, and write the report; arguments and errors as of `evaluate`.

    Raises:
        UsageError, WeightsError, DataError: see `evaluate`.
    """
    with shown(progress) as told:
        result = run_evaluation(options, told)
    page = write_report(result.folder, run_folder=result.run_folder)
    return Report(result.record, page, result.notes)
