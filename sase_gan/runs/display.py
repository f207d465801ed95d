"""The progress of a run: a bar with time left on a terminal, one plain line an interval elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any

from lightning import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from sase_gan.metrics.records import EvaluationRecord, in_order
from sase_gan.progress import readable_seconds
from sase_gan.runs.callbacks import MetricsTable
from sase_gan.runs.snapshots import Snapshots
from sase_gan.runs.tasks.base import RunPlan

_SECONDS_A_LINE = 20


class TrainingDisplay(Callback):
    """Show how much is seen, speed, what the discriminator says of real and generated pictures, time left."""

    def __init__(self, plan: RunPlan, table: MetricsTable, snapshots: Snapshots) -> None:
        self.total_images, self.work = plan.total_images, plan.work
        self.position = plan.position or (lambda seen: f"{seen / 1000:.1f}/{plan.total_images / 1000:g} kimg")
        self.console = Console(stderr=True)
        self._progress: Progress | None = None
        self._last_line = 0.0
        table.on_row = self._row
        snapshots.on_figures = self._figures

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Begin the bar, in one process."""
        self._start, self._start_images = time.monotonic(), module.images_seen
        if not (trainer.is_global_zero and sys.stderr.isatty()):
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
        if self._progress is not None:
            seen = module.images_seen
            self._progress.update(self._task, completed=seen, kimg=self.position(seen), left=self._time_left(seen))

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
        if self._progress is not None:
            self._progress.update(self._task, terms=terms)
        elif time.monotonic() - self._last_line > _SECONDS_A_LINE:
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
