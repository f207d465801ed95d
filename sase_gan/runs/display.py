"""The progress of a run: a bar with time left on a terminal, one plain line an interval elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from lightning import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from sase_gan.metrics.records import EvaluationRecord, in_order
from sase_gan.progress import readable_seconds
from sase_gan.runs.callbacks import MetricsTable
from sase_gan.runs.snapshots import Snapshots


class TrainingDisplay(Callback):
    """Show thousands of images seen, speed, what the discriminator says of real and generated pictures, time left.

    Args:
        position: words for a number of images seen; thousands of images if None.
        work: share of the whole time that so many images take, 0 to 1, where they do not all take the same.
    """

    def __init__(
        self,
        total_images: int,
        table: MetricsTable,
        snapshots: Snapshots,
        *,
        seconds_a_line: float = 20,
        position: Callable[[int], str] | None = None,
        work: Callable[[int], float] | None = None,
    ) -> None:
        self.total_images, self.seconds_a_line = total_images, seconds_a_line
        self.position = position or (lambda seen: f"{seen / 1000:.1f}/{total_images / 1000:g} kimg")
        self.work = work or (lambda seen: seen / total_images)
        self.console = Console(stderr=True)
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._last_line = 0.0
        table.on_row = self._row
        snapshots.on_figures = self._figures

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Begin the bar, in one process."""
        if trainer.is_global_zero:
            self._begin(module.images_seen)

    def _begin(self, images_seen: int) -> None:
        self._start, self._start_images = time.monotonic(), images_seen
        if not sys.stderr.isatty() or self._progress is not None:
            return
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[kimg]}  {task.fields[left]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[terms]}"),
            console=self.console,
        )
        self._task = self._progress.add_task("training", total=self.total_images, kimg="", left="", terms="")
        self._progress.start()

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Move the bar."""
        if self._progress is None or self._task is None:
            return
        seen = module.images_seen
        self._progress.update(
            self._task,
            completed=seen,
            kimg=self.position(seen),
            left=self._time_left(seen),
        )

    def _time_left(self, seen: int) -> str:
        done = self.work(seen) - self.work(self._start_images)
        if done <= 0:
            return ""
        return f"{readable_seconds((time.monotonic() - self._start) / done * (1 - self.work(seen)))} left"

    def _row(self, row: dict[str, float]) -> None:
        terms = (
            f"{row['images_per_second']:.1f} images/s  D(real) {row['real_logit']:+.2f}  "
            f"D(fake) {row['fake_logit']:+.2f}  G {row['g_adversarial']:+.2f}"
        )
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, terms=terms)
        elif time.monotonic() - self._last_line > self.seconds_a_line:
            self._last_line = time.monotonic()
            seen = int(row["images_seen"])
            print(f"{self.position(seen):>16}  {terms}  {self._time_left(seen)}", file=sys.stderr, flush=True)

    def _figures(self, images_seen: int, figures: EvaluationRecord | None) -> None:
        text = f"snapshot at {self.position(images_seen)}"
        if figures is not None:
            found = [(metric.figure.metric.in_training, metric.value) for _, metric in in_order(figures.metrics)]
            shown = [f"{told[0]} {value:{told[1]}}" for told, value in found if told and value is not None]
            text = f"{text}: {', '.join(shown)} (copying {figures.colour('copying')})"
        self.console.print(text, highlight=False)

    def teardown(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        """End the bar, after an error too."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
