"""Publishing a run's models: snapshots, their grids and figures, and which of them stay. The clock is images seen."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from typing import Any

from lightning import Callback, Trainer
from torch import Tensor

from sase_gan.drawing.sampling import Network, sample_images
from sase_gan.files import write_atomically
from sase_gan.metrics.records import EvaluationRecord, ModelPart
from sase_gan.pixels import grid, write_png
from sase_gan.runs.callbacks import is_due
from sase_gan.runs.folder import RunFolder, kimg
from sase_gan.runs.history import best_record, images_seen, rank_records, read_run


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
