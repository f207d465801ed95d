"""What both training modules share: the clock that a run goes by, how a step is taken, and the figures of steps."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor

from sase_gan.training.recorded import RecordedSteps, Step, Terms, make_recordable, plain_groups


class TrainingClock(LightningModule):
    """A training module steps its optimisers itself, counts the images seen, and collects figures until they are read.

    Everything that changes in the course of a run derives from the clock, so a checkpoint needs to hold nothing else
    but the figures that the next row will be the mean of.

    Attributes:
        images_seen: by the discriminator, on all devices together.
        cpu_seconds: of this process in steps, and in preparing them; kept with the clock, so that budgets go on.
        data_digest: hash of the training pictures, which the clock belongs to.
        retreats: how often the run went back because it had diverged; each divides the rates by ten.
        step_images: of the last step, on all devices together.
        recorded: the recordings that steps are repeated from; None where each is taken anew.
        time_share: of the minutes that this part of the run may take, 0 to 1; 0 where none are given. Not kept: a run
            that goes on is given minutes anew.
    """

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.images_seen, self.steps, self.data_digest, self.retreats = 0, 0, "", 0
        self.step_images = 0
        self.cpu_seconds = self.time_share = 0.0
        self.recorded: RecordedSteps | None = None
        self._sums: dict[str, Tensor] = {}
        self._sum_counts: dict[str, int] = {}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the clock, and the hash of the pictures that it counts; the trainer's own counts starts."""
        plain_groups(checkpoint)
        checkpoint.pop("loops", None)
        checkpoint["epoch"] = checkpoint["global_step"] = 0
        checkpoint["clock"] = {
            "images_seen": self.images_seen,
            "steps": self.steps,
            "step_images": self.step_images,
            "cpu_seconds": self.cpu_seconds,
            "data_digest": self.data_digest,
            "retreats": self.retreats,
            "sums": dict(self._sums),
            "sum_counts": dict(self._sum_counts),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the clock."""
        clock = checkpoint["clock"]
        self.images_seen, self.steps, self.retreats = clock["images_seen"], clock["steps"], clock.get("retreats", 0)
        self.cpu_seconds = clock.get("cpu_seconds", 0.0)  # older checkpoints have none of these
        self.step_images = clock.get("step_images", 0)
        self._sums = {name: value.to(self.device) for name, value in clock.get("sums", {}).items()}
        self._sum_counts = dict(clock.get("sum_counts", {}))

    def record_steps(self) -> None:
        """Let a CUDA device record steps, unless several share the work."""
        if self.device.type == "cuda" and self.trainer.world_size == 1:
            self.recorded = RecordedSteps(self.device, self._make_recordable)

    def _make_recordable(self) -> None:
        for index in (0, 1):
            make_recordable(self.optimiser(index), self.device)

    def taken(self, kind: Hashable, source: torch.Generator, inputs: Sequence[Tensor], step: Step) -> Terms:
        """Take a step as `RecordedSteps.take` does, or anew where nothing is recorded."""
        return step(tuple(inputs), source) if self.recorded is None else self.recorded.take(kind, source, inputs, step)

    @property
    def caution(self) -> float:
        """Return what all learning rates are multiplied by: a tenth for each time that the run went back."""
        return 0.1**self.retreats

    def published_facts(self) -> dict[str, Any]:
        """Tell what a snapshot of now says beside what all of the run say."""
        return {}

    def advance(self, images: int) -> None:
        """Count a finished step on so many images."""
        self.images_seen += images
        self.step_images = images
        self.steps += 1

    def collect(self, terms: dict[str, Tensor]) -> None:
        """Add figures of a step, kept on the device until someone reads them."""
        for name, value in terms.items():
            value = value.detach().float().mean()
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._sum_counts[name] = self._sum_counts.get(name, 0) + 1

    def read_terms(self) -> dict[str, float]:
        """Read the mean of every figure since the last call; the only place that waits for the device."""
        means = {name: value.item() / self._sum_counts[name] for name, value in self._sums.items()}
        self._sums, self._sum_counts = {}, {}
        return means

    def optimiser(self, index: int) -> Any:
        """Return optimiser 0, the generator's, or 1, the discriminator's, as Lightning wraps it."""
        return self.optimizers()[index]  # type: ignore[index]
