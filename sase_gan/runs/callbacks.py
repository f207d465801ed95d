"""What happens beside the training step: stopping, rows, snapshots, display. The clock is images seen."""

import csv
import json
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from lightning import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from torch import Tensor

from sase_gan.drawing.sampling import sample_images
from sase_gan.files import write_atomically
from sase_gan.finite import not_finite
from sase_gan.hardware import peak_memory_mb
from sase_gan.metrics.records import EvaluationRecord, Measure, ModelPart, in_order
from sase_gan.networks.load import Network
from sase_gan.progress import readable_seconds
from sase_gan.runs.due import figures_due, is_due
from sase_gan.runs.folder import RunFolder, kimg
from sase_gan.runs.history import best_record, images_seen, rank_records, read_run, without_better
from sase_gan.runs.shared import any_of_all, of_the_first, sample_together
from sase_gan.runs.tasks.base import RunPlan
from sase_gan.sheets import write_sheet
from sase_gan.training.soundness import Diverged, check_figures, check_sound


class Viewer(Protocol):
    """A viewer is shown what a run writes, in the first process."""

    def row(self, row: Mapping[str, float]) -> None:
        """See the newest row of the table."""

    def sheet(self, seen: int, pictures: Tensor) -> None:
        """See the pictures of a snapshot's grid, uint8 `[N, 3, height, width]`."""

    def figures(self, seen: int, figures: EvaluationRecord | None) -> None:
        """See that a snapshot is published, with its figures if it has any."""


class MetricsTable(Callback):
    """Write a row of `metrics.csv` every interval, and log it; notice losses and weights that are no numbers."""

    def __init__(self, run: RunFolder, interval: int, viewers: Sequence[Viewer] = ()) -> None:
        self.run, self.interval, self.viewers = run, interval, viewers

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Start the watch where the last row left it."""
        rows = self.run.rows()
        self._seconds_before = float(rows[-1].get("seconds") or 0.0) if rows else 0.0
        self._start = time.monotonic()
        self._row_time, self._row_images = self._start, module.images_seen

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Write a row when one is due."""
        if not is_due(module, trainer, batch, self.interval):
            return
        terms = module.read_terms()
        self._watch(trainer, module, terms)
        now = time.monotonic()
        row = {
            "images_seen": module.images_seen,
            "seconds": round(self._seconds_before + now - self._start, 2),
            "cpu_seconds": round(module.cpu_seconds, 2),
            "images_per_second": round((module.images_seen - self._row_images) / max(now - self._row_time, 1e-9), 3),
            "peak_memory_mb": round(peak_memory_mb(module.device), 1),
            **{name: round(value, 6) for name, value in terms.items()},
        }
        self._row_time, self._row_images = now, module.images_seen
        if trainer.is_global_zero:
            self._append(row)
            for viewer in self.viewers:
                viewer.row(row)
        for logger in trainer.loggers:
            logger.log_metrics(row, step=module.images_seen)

    def _append(self, row: dict[str, float]) -> None:
        """Rewrite the table with one more row: columns may come later, and no reader meets half a row."""
        rows: list[Mapping[str, object]] = [*self.run.rows(), row]
        columns = list(dict.fromkeys(name for line in rows for name in line))
        with write_atomically(self.run.metrics) as temporary, open(temporary, "w", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)

    def _watch(self, trainer: Trainer, module: Any, terms: dict[str, float]) -> None:
        """Refuse what is not finite; all processes do, or one would wait for the others for ever."""
        found: Diverged | None = None
        try:
            check_figures(module.images_seen, terms)
            check_sound(module)
        except Diverged as error:
            found = error
        if any_of_all(trainer, found is not None):
            found = found or Diverged(module.images_seen, ["figures of another process"])
        if found is not None:
            raise found


class Snapshots(Callback):
    """Publish the averaged generator every interval: a folder, a grid of fixed seeds, and figures; only finite ones.

    Which snapshots are measured follows from images seen (`due.figures_due`), so that a resumed run chooses among the
    same ones; the first and the last always are.

    Args:
        measure: None for no figures.
        viewers: are shown the sheet and the figures of each snapshot.
        hurried: whether the end comes by a signal; then its snapshot goes without figures, unless it is due anyway.
    """

    def __init__(
        self,
        run: RunFolder,
        plan: RunPlan,
        measure: Measure | None,
        viewers: Sequence[Viewer] = (),
        hurried: Callable[[], bool] = lambda: False,
    ) -> None:
        self.run, self.plan, self.measure, self.viewers, self.hurried = run, plan, measure, viewers, hurried
        self.measuring_seconds = 0.0
        self.out_of_patience = False

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Publish the untrained generator once: the level that training starts from."""
        self._published_at = module.images_seen
        if module.images_seen == 0:
            self._publish(trainer, module, must_measure=True)
        else:
            self._choose()

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Publish when due, and at the end; the callbacks that end a run stand before this one."""
        due = is_due(module, trainer, batch, self.plan.snapshot_images)
        finished = module.images_seen >= self.plan.config.total_images
        if due or trainer.should_stop:
            # All publish, and measure, or none: those of the others would wait for the first for ever.
            ends = finished or (trainer.should_stop and not any_of_all(trainer, self.hurried()))
            if due or ends:
                self._publish(trainer, module, must_measure=ends, regular=due or finished)
                self._published_at = module.images_seen
            # Here and not a step later, so that the run ends with the snapshot that used its patience up.
            trainer.should_stop = trainer.should_stop or any_of_all(trainer, self.out_of_patience)

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        """Publish where a signal stopped the run, without figures; the checkpoint is written by then."""
        if self.hurried() and self._published_at != module.images_seen:
            self._publish(trainer, module, must_measure=False, regular=False)

    def _publish(self, trainer: Trainer, module: Any, *, must_measure: bool, regular: bool = True) -> None:
        """Publish, measure and tidy; with `regular` what an uninterrupted run would publish too."""
        check_sound(module)
        seen = module.images_seen
        network = module.published_generator()
        if wrong := not_finite(network.state_dict().items()):
            raise Diverged(seen, [f"{name} of the average" for name in wrong])
        pictures = self._save(module, network) if trainer.is_global_zero else None
        measured = must_measure or (regular and self._is_turn(trainer, seen))
        # While classes come in a snapshot is none to choose, however good its pictures are.
        measured = measured and of_the_first(trainer, module.published_facts().get("class_strength", 1.0) >= 1)
        drawn = self._drawn(trainer, module, network) if measured else None
        if pictures is None:
            return
        figures = None if drawn is None else self._figures(drawn, seen)
        if figures is not None:
            self.run.append_record(figures.to_json())
            self._choose()
        # What an interrupted run publishes beyond its schedule takes no place from what belongs to it.
        if self.plan.keep is not None and regular:
            self._prune(self.plan.keep)
        for viewer in self.viewers:
            viewer.sheet(seen, pictures)
            viewer.figures(seen, figures)

    def _save(self, module: Any, network: Network) -> Tensor:
        """Write snapshot and sheet, and return the pictures of the sheet."""
        seen = module.images_seen
        network.provenance = {**self.plan.provenance, **module.published_facts(), "images_seen": seen}
        network.save_pretrained(self.run.snapshot(seen))
        if self.plan.beside is not None:
            self.plan.beside(module, self.run.snapshot(seen))
        pictures = sample_images(network, self.plan.seeds)
        write_sheet(self.run.grid(seen), pictures)
        return pictures

    def _is_turn(self, trainer: Trainer, seen: int) -> bool:
        count = self.plan.config.schedule.evaluation_count
        return of_the_first(trainer, figures_due(seen, self.run.measured(), count))

    def _drawn(self, trainer: Trainer, module: Any, network: Network) -> Tensor | None:
        """Draw what is measured, all processes together; None where nothing is."""
        if self.measure is None or not self.plan.measurable(network):
            return None
        start = time.monotonic()
        # Seeds far from those of the grid and of `sample`, so that figures and pictures are independent.
        seeds = range(1_000_000, 1_000_000 + self.plan.config.schedule.evaluation_count)
        drawn = sample_together(trainer, network, seeds, module.device)
        if module.images_seen > 0:
            self.measuring_seconds += time.monotonic() - start
        return drawn

    def _figures(self, drawn: Tensor, seen: int) -> EvaluationRecord:
        assert self.measure is not None
        start = time.monotonic()
        figures = self.measure(drawn)
        if seen > 0:
            self.measuring_seconds += time.monotonic() - start
        names = {"snapshot": kimg(seen), "images_seen": seen}
        return figures.model_copy(update={"model": (figures.model or ModelPart()).model_copy(update=names)})

    def _choose(self) -> None:
        """Name the best snapshot, by the rule of `history.best_record`; notice when none was better for too long."""
        results, patience = read_run(self.run.path).results, self.plan.patience
        best = best_record(results)
        if best is None or best.model is None:
            self.run.best.unlink(missing_ok=True)
            return
        self.out_of_patience = patience is not None and without_better(results) >= patience
        if self.plan.keep is None:
            return
        copies = best.colour("copying") == "red"
        rule = "lowest KID; every snapshot copies" if copies else "lowest KID among the snapshots that do not copy"
        with write_atomically(self.run.best) as temporary:
            temporary.write_text(json.dumps({"snapshot": best.model.snapshot, "rule": rule}, indent=1))

    def _prune(self, keep: int) -> None:
        """Keep the newest snapshot and the best few; grids and figures stay."""
        snapshots = self.run.snapshots()
        kept = {images_seen(record) for record in rank_records(read_run(self.run.path).results)[:keep]}
        for images, folder in snapshots.items():
            if images not in kept | {max(snapshots)}:
                shutil.rmtree(folder)


class TrainingDisplay(Callback):
    """Show how much is seen, speed, what the discriminator says of real and generated pictures, time left.

    A bar on a terminal, elsewhere a plain line every 20 s.

    Args:
        share_done: of the whole run by the images seen, or by another budget that it has.
        minutes: after which it stops however far it is; the bar is full then too.
        now: the time in seconds.
    """

    def __init__(
        self,
        plan: RunPlan,
        share_done: Callable[[int], float],
        minutes: float | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total_images, self._share_of, self.minutes, self._now = plan.config.total_images, share_done, minutes, now
        self.position = plan.position or (lambda seen: f"{seen / 1000:.1f}/{self.total_images / 1000:g} kimg")
        self.console = Console(stderr=True)
        self._progress: Progress | None = None
        self._last_line = 0.0

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Begin the bar, in one process."""
        self._start = self._now()
        self._start_share = self.share_done(module.images_seen)
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
        self._task = self._progress.add_task("training", total=1.0, kimg="", left="", terms="")
        self._progress.start()

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Move the bar."""
        if self._progress is not None:
            seen = module.images_seen
            done, left = self.share_done(seen), self._time_left(seen)
            self._progress.update(self._task, completed=done, kimg=self.position(seen), left=left)

    def share_done(self, seen: int) -> float:
        """Return how much of the run is done, of whichever budget ends first."""
        by_minutes = (self._now() - self._start) / (60 * self.minutes) if self.minutes else 0.0
        return min(1.0, max(by_minutes, self._share_of(seen)))

    def _time_left(self, seen: int) -> str:
        share, passed = self._share_of(seen), self._now() - self._start
        done = share - self._start_share
        seconds = [passed / done * (1 - share)] if done > 0 else []
        if self.minutes:
            seconds.append(60 * self.minutes - passed)
        return f"{readable_seconds(max(0.0, min(seconds)))} left" if seconds else ""

    def sheet(self, seen: int, pictures: Tensor) -> None:
        """Show no pictures: they are in the run's folder."""

    def row(self, row: Mapping[str, float]) -> None:
        """Show the newest row of the table."""
        names = {"D(real)": "real_logit", "D(fake)": "fake_logit", "G": "g_adversarial", "pull": "g_likelihood"}
        shown = [f"{name} {row[key]:+.2f}" for name, key in names.items() if key in row]
        terms = "  ".join([f"{row['images_per_second']:.1f} images/s", *shown])
        if self._progress is not None:
            self._progress.update(self._task, terms=terms)
        elif time.monotonic() - self._last_line > 20:
            self._last_line = time.monotonic()
            seen = int(row["images_seen"])
            print(f"{self.position(seen):>16}  {terms}  {self._time_left(seen)}", file=sys.stderr, flush=True)

    def figures(self, seen: int, figures: EvaluationRecord | None) -> None:
        """Tell that a snapshot is published, with its figures if it has any."""
        text = f"snapshot at {self.position(seen)}"
        if figures is not None:
            found = [(metric.figure.metric.in_training, metric.value) for _, metric in in_order(figures.metrics)]
            shown = [f"{told[0]} {value:{told[1]}}" for told, value in found if told and value is not None]
            text = f"{text}: {', '.join(shown)} (copying {figures.colour('copying')})"
        self.console.print(text, highlight=False)

    def teardown(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        """End the bar."""
        self._end()

    def on_exception(self, trainer: Trainer, module: LightningModule, exception: BaseException) -> None:
        """End the bar after an error, where Lightning tears nothing down."""
        self._end()

    def _end(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
