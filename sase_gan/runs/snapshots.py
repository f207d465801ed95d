"""Publishing a run's models: snapshots, their grids and figures, and which of them stay. The clock is images seen."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from typing import Any

from lightning import Callback, Trainer

from sase_gan.drawing.sampling import Network, sample_images
from sase_gan.files import write_atomically
from sase_gan.metrics.records import EvaluationRecord, ModelPart
from sase_gan.pixels import grid, write_png
from sase_gan.runs.callbacks import is_due
from sase_gan.runs.folder import RunFolder, kimg
from sase_gan.runs.history import best_record, images_seen, rank_records, read_run
from sase_gan.runs.tasks.base import Measure, RunPlan


class Snapshots(Callback):
    """Publish the averaged generator every interval: a folder, a grid of fixed seeds, and figures.

    Args:
        measure: None for no figures. The time that it takes is held below `budget` of the run's; snapshots that would
            exceed it go without, except the first and the last.
        on_snapshot: called with the images seen and the figures.
    """

    def __init__(
        self,
        run: RunFolder,
        plan: RunPlan,
        measure: Measure | None,
        on_snapshot: Callable[[int, EvaluationRecord | None], None],
        *,
        budget: float = 0.1,
    ) -> None:
        self.run, self.plan, self.measure, self.on_snapshot, self.budget = run, plan, measure, on_snapshot, budget
        self.measuring_seconds = 0.0
        self.out_of_patience = False
        self._measuring_cost = 0.0

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Publish the untrained generator once: the level that training starts from."""
        self._start = time.monotonic()
        if module.images_seen == 0:
            self._publish(trainer, module, must_measure=True)

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Publish when due."""
        if is_due(module, trainer, batch, self.plan.snapshot_images) or trainer.should_stop:
            # The callbacks that end a run stand before this one: its last snapshot always gets its figures.
            self._publish(trainer, module, must_measure=trainer.should_stop)

    def _publish(self, trainer: Trainer, module: Any, *, must_measure: bool) -> None:
        if not trainer.is_global_zero:
            return
        seen = module.images_seen
        network = module.published_generator()
        network.provenance = {**self.plan.provenance, "images_seen": seen}
        network.save_pretrained(self.run.snapshot(seen))
        write_png(self.run.grid(seen), grid(sample_images(network, self.plan.seeds)))
        figures = self._figures(network, seen, must_measure)
        if figures is not None:
            self.run.append_record(figures.to_json())
            self._choose()
        if self.plan.keep is not None:
            self._prune(self.plan.keep)
        self.on_snapshot(seen, figures)

    def _figures(self, network: Network, seen: int, must_measure: bool) -> EvaluationRecord | None:
        if self.measure is None or not self.plan.measurable(network):
            return None
        elapsed = time.monotonic() - self._start
        if not must_measure and self.measuring_seconds + self._measuring_cost > self.budget * elapsed:
            return None
        start = time.monotonic()
        # Seeds far from those of the grid and of `sample`, so that figures and pictures are independent.
        count = self.plan.config.schedule.evaluation_count
        figures = self.measure(sample_images(network, range(1_000_000, 1_000_000 + count)))
        self._measuring_cost = time.monotonic() - start
        if seen > 0:
            self.measuring_seconds += self._measuring_cost
        facts = figures.model.model_dump(exclude_unset=True) if figures.model else {}
        model = ModelPart(**{"snapshot": kimg(seen), "images_seen": seen, **facts})
        return figures.model_copy(update={"model": model})

    def _choose(self) -> None:
        """Name the best snapshot, by the rule of `history.best_record`; notice when none was better for too long."""
        results, patience = read_run(self.run.path).results, self.plan.patience
        best = best_record(results)
        if best is None or best.model is None:
            return
        self.out_of_patience = patience is not None and len(results) - results.index(best) > patience
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
