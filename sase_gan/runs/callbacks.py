"""What happens beside the training step: stopping, rows, checkpoints, snapshots, display. The clock is images seen."""

from __future__ import annotations

import csv
import json
import math
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from sase_gan.drawing.sampling import Network, sample_images
from sase_gan.errors import SaseGanError
from sase_gan.files import file_digest, write_atomically
from sase_gan.metrics.records import EvaluationRecord, ModelPart
from sase_gan.pixels import grid, write_png
from sase_gan.runs.folder import RunFolder, kimg
from sase_gan.runs.history import best_record, images_seen, rank_records, read_run


def is_due(module: Any, trainer: Trainer, batch: Any, interval: int | Sequence[int]) -> bool:
    """Whether this batch crossed a multiple of `interval` images, or one of several given moments."""
    seen = module.images_seen
    before = seen - len(batch) * trainer.world_size
    if isinstance(interval, int):
        return seen // interval > before // interval
    return any(before < moment <= seen for moment in interval)


class Stopping(Callback):
    """End the run when any reason holds; all processes of a run agree, or one would wait for the others for ever.

    Args:
        total_images: the goal.
        minutes: of training time, or None.
        reasons: further ones, asked after every step.
    """

    def __init__(
        self, total_images: int, minutes: float | None = None, reasons: Sequence[Callable[[], bool]] = ()
    ) -> None:
        self.total_images, self.minutes, self.reasons = total_images, minutes, tuple(reasons)
        self._start = time.monotonic()

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Start the watch."""
        self._start = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Stop when a reason holds in any process."""
        late = self.minutes is not None and time.monotonic() - self._start >= 60 * self.minutes
        stop = module.images_seen >= self.total_images or late or any(reason() for reason in self.reasons)
        if trainer.world_size > 1:
            stop = trainer.strategy.reduce_boolean_decision(stop, all=False)
        if stop:
            trainer.should_stop = True


_ONE_SIGNAL_SECONDS = 0.5
"""Signals closer than this are one: `timeout` sends its to the process and to its group."""


class StopOnSignal(Callback):
    """Notice the first Ctrl-C (or a polite kill): the run stops after the running step, with everything saved."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._received_at = 0.0
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Listen in Lightning's place, whose own handling of a polite kill ends a run without saving."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)

    def teardown(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        """Give the signals back."""
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)

    def _note(self, number: int, frame: Any) -> None:
        now = time.monotonic()
        if self.received is not None:
            if now - self._received_at < _ONE_SIGNAL_SECONDS:
                return
            raise KeyboardInterrupt  # the second one means now
        self.received, self._received_at = number, now
        print("\nstopping after this step; everything will be saved (once more to stop at once)", file=sys.stderr)

    def was_received(self) -> bool:
        """A reason to stop."""
        return self.received is not None


class MetricsTable(Callback):
    """A row of `metrics.csv` every interval, for Lightning's loggers too; stops a run whose losses are no numbers.

    Attributes:
        last_row: the newest row, for the display.
    """

    def __init__(self, run: RunFolder, interval: int, *, max_bad_rows: int = 2) -> None:
        self.run, self.interval, self.max_bad_rows = run, interval, max_bad_rows
        self.last_row: dict[str, float] = {}
        self.on_row: Callable[[dict[str, float]], None] | None = None
        self._bad_rows = 0

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Start the watch where the last row left it."""
        self._seconds_before = self._last_seconds()
        self._start = time.monotonic()
        self._row_time, self._row_images = self._start, module.images_seen

    def _last_seconds(self) -> float:
        if not self.run.metrics.exists():
            return 0.0
        with open(self.run.metrics, newline="") as file:
            rows = list(csv.DictReader(file))
        return float(rows[-1]["seconds"]) if rows else 0.0

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Write a row when one is due."""
        if not is_due(module, trainer, batch, self.interval):
            return
        terms = module.read_terms()
        now = time.monotonic()
        row = {
            "images_seen": module.images_seen,
            "seconds": round(self._seconds_before + now - self._start, 2),
            "images_per_second": round((module.images_seen - self._row_images) / max(now - self._row_time, 1e-9), 3),
            "peak_memory_mb": round(peak_memory_mb(module.device), 1),
            **{name: round(value, 6) for name, value in terms.items()},
        }
        self._row_time, self._row_images = now, module.images_seen
        if trainer.is_global_zero:
            self._append(row)
        for logger in trainer.loggers:
            logger.log_metrics(row, step=module.images_seen)
        self.last_row = row
        if self.on_row is not None and trainer.is_global_zero:
            self.on_row(row)
        self._watch(terms)

    def _append(self, row: dict[str, float]) -> None:
        """Rewrite the table with one more row: columns may come later, and no reader meets half a row."""
        rows: list[dict[str, Any]] = []
        if self.run.metrics.exists():
            with open(self.run.metrics, newline="") as file:
                rows = list(csv.DictReader(file))
        rows.append(row)
        columns = list(dict.fromkeys(name for line in rows for name in line))
        with write_atomically(self.run.metrics) as temporary, open(temporary, "w", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)

    def _watch(self, terms: dict[str, float]) -> None:
        bad = [name for name, value in terms.items() if not math.isfinite(value)]
        self._bad_rows = self._bad_rows + 1 if bad else 0
        if self._bad_rows >= self.max_bad_rows:
            raise SaseGanError(
                f"{', '.join(bad)} has not been a number for {self.max_bad_rows} rows; resume from the last checkpoint "
                "with a lower learning rate (--set optimiser.generator_rate=1e-4), or in float32 (--precision 32-true)"
            )


class Checkpoints(Callback):
    """Write `checkpoints/last.ckpt` every interval and at the end; the one before stays as `previous.ckpt`."""

    def __init__(self, run: RunFolder, interval: int) -> None:
        self.run, self.interval = run, interval
        self._saved_at = -1

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Save when due."""
        if is_due(module, trainer, batch, self.interval):
            self._save(trainer, module)

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        """Save the end, or the place where the run was stopped."""
        if self._saved_at != module.images_seen:
            self._save(trainer, module)

    def _save(self, trainer: Trainer, module: Any) -> None:
        last = self.run.checkpoint
        temporary = last.with_name(".writing.ckpt")
        trainer.save_checkpoint(temporary)
        if trainer.is_global_zero:
            if last.exists():
                for path in (last, _digest_file(last)):
                    if path.exists():
                        os.replace(path, path.with_name(path.name.replace("last", "previous")))
            with write_atomically(_digest_file(last)) as digest:
                digest.write_text(file_digest(temporary))
            os.replace(temporary, last)
        self._saved_at = module.images_seen


def _digest_file(checkpoint: Path) -> Path:
    return checkpoint.with_suffix(".sha256")


class Snapshots(Callback):
    """Publish the averaged generator every interval: a folder, a grid of fixed seeds, and figures.

    Args:
        interval: in images, or the moments themselves.
        measure: from uint8 pictures to a record of figures with its verdicts, or None for no figures. The time that it
            takes is held below `budget` of the run's; snapshots that would exceed it go without, except the first and
            the last.
        seeds: of the grid.
        describe: what goes into a snapshot's provenance beside the images seen.
        keep: so many of the best snapshots stay, and one is chosen; None keeps all, and the newest is the one to use.
        measurable: whether a network that is to be published can be measured at all; None: always.
    """

    def __init__(
        self,
        run: RunFolder,
        interval: int | Sequence[int],
        *,
        measure: Callable[[Tensor], EvaluationRecord] | None = None,
        count: int = 500,
        seeds: range = range(64),
        describe: dict[str, Any] | None = None,
        budget: float = 0.1,
        keep: int | None = 3,
        patience: int | None = None,
        measurable: Callable[[Any], bool] | None = None,
    ) -> None:
        self.run, self.interval, self.measure, self.count, self.seeds = run, interval, measure, count, seeds
        self.describe, self.budget, self.keep, self.patience = describe or {}, budget, keep, patience
        self.measurable = measurable
        self.measuring_seconds = 0.0
        self.out_of_patience = False
        self.on_figures: Callable[[int, EvaluationRecord | None], None] | None = None
        self._measuring_cost = 0.0
        self._published_at = -1

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Publish the untrained generator once: the level that training starts from."""
        self._start = time.monotonic()
        if module.images_seen == 0:
            self._publish(trainer, module, must_measure=True)

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Publish when due."""
        if is_due(module, trainer, batch, self.interval) or trainer.should_stop:
            # The callbacks that end a run stand before this one: its last snapshot always gets its figures.
            self._publish(trainer, module, must_measure=trainer.should_stop)

    def _publish(self, trainer: Trainer, module: Any, *, must_measure: bool = False) -> None:
        self._published_at = seen = module.images_seen
        if not trainer.is_global_zero:
            return
        network = module.published_generator()
        network.provenance = {**self.describe, "images_seen": seen}
        network.save_pretrained(self.run.snapshot(seen))
        write_png(self.run.grid(seen), grid(sample_images(network, self.seeds)))
        figures = self._figures(network, seen, must_measure)
        if figures is not None:
            self.run.append_record(figures.to_json())
        if self.keep is not None:
            self._choose_and_prune(self.keep, measured=figures is not None)
        if self.on_figures is not None:
            self.on_figures(seen, figures)
        if figures is not None:
            self.out_of_patience = self._is_out_of_patience()

    def _figures(self, network: Network, seen: int, must_measure: bool) -> EvaluationRecord | None:
        if self.measure is None or not (self.measurable is None or self.measurable(network)):
            return None
        elapsed = time.monotonic() - self._start
        if not must_measure and self.measuring_seconds + self._measuring_cost > self.budget * elapsed:
            return None
        start = time.monotonic()
        # Seeds far from those of the grid and of `sample`, so that figures and pictures are independent.
        figures = self.measure(sample_images(network, range(1_000_000, 1_000_000 + self.count)))
        self._measuring_cost = time.monotonic() - start
        if seen > 0:
            self.measuring_seconds += self._measuring_cost
        facts = figures.model.model_dump(exclude_unset=True) if figures.model else {}
        model = ModelPart(**{"snapshot": kimg(seen), "images_seen": seen, **facts})
        return figures.model_copy(update={"model": model})

    def _choose_and_prune(self, keep: int, *, measured: bool) -> None:
        if measured:
            self._choose()
        self._prune(keep)

    def _choose(self) -> None:
        """Name the best snapshot; `history.best_record` is the one place of the rule."""
        best = best_record(read_run(self.run.path).results)
        if best is None or best.model is None:
            return
        copies = best.colour("copying") == "red"
        rule = "lowest KID; every snapshot copies" if copies else "lowest KID among the snapshots that do not copy"
        text = json.dumps({"snapshot": best.model.snapshot, "rule": rule}, indent=1)
        with write_atomically(self.run.best) as temporary:
            temporary.write_text(text)

    def _is_out_of_patience(self) -> bool:
        results = read_run(self.run.path).results
        best = best_record(results)
        return self.patience is not None and best is not None and len(results) - results.index(best) > self.patience

    def _prune(self, keep: int) -> None:
        """Keep the newest snapshot and the best few; grids and figures stay."""
        snapshots = self.run.snapshots()
        kept = {images_seen(record) for record in rank_records(read_run(self.run.path).results)[:keep]}
        for images, folder in snapshots.items():
            if images not in kept | {max(snapshots)}:
                shutil.rmtree(folder)


def peak_memory_mb(device: torch.device) -> float:
    """Most memory used so far: of the device on a GPU, of the process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
