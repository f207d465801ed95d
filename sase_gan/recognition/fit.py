"""The run of a classifier or a detector: what both share of the module, the loop and the files.

A run folder has config.yaml, metrics.csv (a row an evaluation), results.jsonl (all scores of an evaluation),
checkpoints/last.ckpt and, at the end, a snapshot.
"""

import csv
import json
import logging
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from lightning import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler

from sase_gan.config import to_yaml
from sase_gan.errors import DataError, SaseGanError, UsageError
from sase_gan.files import write_atomically
from sase_gan.finite import not_finite
from sase_gan.hardware import choose_hardware
from sase_gan.recognition.randomness import seed_cpu
from sase_gan.recognition.settings import FitConfig
from sase_gan.seeds import derive_seed, generator
from sase_gan.training.checkpoint_files import CheckpointFiles, PlainCheckpointIO
from sase_gan.training.quiet import quiet_lightning

logger = logging.getLogger(__name__)

CHECKPOINT = Path("checkpoints", "last.ckpt")
Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Evaluation:
    """Scores of a network on the pictures that it is tested on.

    `results.jsonl` keeps all scores, `metrics.csv` the columns; predictions of each picture are there where they are
    wanted later.
    """

    scores: dict[str, Any]
    columns: dict[str, float | None]
    predictions: list[dict[str, Tensor]]


@dataclass(frozen=True)
class FitResult(Generic[Network]):
    """What a finished run leaves: the network in evaluation mode, on the CPU, and its last evaluation."""

    network: Network
    evaluation: Evaluation
    seconds: float

    @property
    def scores(self) -> dict[str, Any]:
        """Return the scores of the last evaluation."""
        return self.evaluation.scores


class FitModule(LightningModule):
    """A network in training: its clock, which counts images seen, its mean terms, and its evaluations."""

    config: FitConfig
    folder: Path
    clip_norm: float | None

    def __init__(self) -> None:
        super().__init__()
        self.images_seen = 0
        self.started = time.monotonic()
        self.evaluation: Evaluation | None = None
        self._sums: dict[str, float] = {}

    @abstractmethod
    def evaluate(self) -> Evaluation:
        """Score the network as it is."""

    @abstractmethod
    def finish(self, batches: "DataLoader[Any]") -> Any:
        """Return the network that is kept, in evaluation mode; it may be made with some of the training pictures."""

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the clock."""
        checkpoint["images_seen"] = self.images_seen

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the clock."""
        self.images_seen = checkpoint["images_seen"]

    def seed_step(self) -> None:
        """Seed the step from (seed, images seen), so that a resumed run repeats an uninterrupted one."""
        seed = derive_seed("step", self.config.seed, self.images_seen, self.global_rank)
        torch.manual_seed(seed)
        seed_cpu(seed)

    def count_step(self, images: int, terms: dict[str, Tensor]) -> None:
        """Count the images of a step on this device, and add its terms to the sums."""
        self.images_seen += images * self.trainer.world_size
        for name, value in (*terms.items(), ("steps", torch.ones(()))):
            self._sums[name] = self._sums.get(name, 0.0) + float(value.detach())

    def take_terms(self) -> dict[str, float]:
        """Return the mean terms of the steps since the last call, and start anew."""
        sums, self._sums = self._sums, {}
        steps = sums.pop("steps", 1.0)
        return {name: value / steps for name, value in sums.items()}

    def on_train_epoch_end(self) -> None:
        """Evaluate after every so many epochs and after the last; add a row and a record to the run's files."""
        epoch = self.current_epoch + 1
        if epoch % self.config.evaluate_every and epoch != self.config.epochs:
            return
        self.evaluation = self.evaluate()
        row = {
            "images_seen": self.images_seen,
            "seconds": round(time.monotonic() - self.started, 2),
            "epoch": epoch,
            "rate": self.trainer.optimizers[0].param_groups[0]["lr"],
            **self.take_terms(),
            **self.evaluation.columns,
        }
        _append_row(self.folder / "metrics.csv", row)
        _append_line(self.folder / "results.jsonl", {"images_seen": self.images_seen, **self.evaluation.scores})
        logger.info("epoch %d: %s", epoch, row)

    def with_schedule(self, optimiser: torch.optim.Optimizer, factor: Callable[[int], float]) -> dict[str, Any]:
        """Describe to Lightning an optimiser whose rate is multiplied by `factor(step)` at every step."""
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Add a row to a table; rows of the same or of more images are of a run that was killed after them, and go.

    By hand: Lightning's CSVLogger deletes the rows of the run that it goes on with.
    """
    rows: list[Mapping[str, Any]] = []
    if path.is_file():
        for found in csv.DictReader(path.read_text(encoding="utf-8", errors="replace").splitlines()):
            with suppress(ValueError, TypeError, KeyError):  # a damaged row
                if int(found["images_seen"]) < row["images_seen"] and None not in found.values():
                    rows.append(found)
    with write_atomically(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(row), restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows([*rows, row])


def _append_line(path: Path, record: Mapping[str, Any]) -> None:
    lines: list[str] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
        with suppress(ValueError, TypeError, KeyError, RecursionError):
            if json.loads(line)["images_seen"] < record["images_seen"]:
                lines.append(line)
    with write_atomically(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in [*lines, json.dumps(record)]), encoding="utf-8")


class EpochCheckpoints(Checkpoint):
    """Write a checkpoint after every epoch, behind the module's own rows; never one that is not finite."""

    def __init__(self, folder: Path) -> None:
        self.files = CheckpointFiles(folder)

    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        """Save.

        Raises:
            SaseGanError: if a weight is not finite.
        """
        if wrong := not_finite(module.state_dict().items()):
            raise SaseGanError(
                f"training left the finite numbers in epoch {module.current_epoch + 1} ({', '.join(wrong[:3])}); "
                "nothing of that was kept: train anew with a lower learning rate, or in float32"
            )
        self.files.folder.mkdir(parents=True, exist_ok=True)
        trainer.save_checkpoint(self.files.writing)
        self.files.publish()


def _check_clock(content: dict[str, Any]) -> None:
    if type(content.get("images_seen")) is not int:
        raise DataError("the checkpoint has no clock of images seen; it is not one of such a run")


class EpochOrder(Sampler[int]):
    """A random order of `count` pictures that depends on (seed, epoch) only, so that a resumed run repeats it.

    What it gives is `epoch * count + index`, the key of a training picture.
    """

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed, self.epoch = count, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Take the epoch that Lightning announces at its start."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        """Draw the order of the current epoch."""
        order = torch.randperm(self.count, generator=generator("order", self.seed, self.epoch))
        return iter((order + self.epoch * self.count).tolist())

    def __len__(self) -> int:
        return self.count


def open_run(
    config: FitConfig, folder: Path, pictures: "Dataset[Any]", *, resume: bool, **options: Any
) -> "DataLoader[Any]":
    """Refuse what cannot be trained, write config.yaml, seed the network's first weights, and load the pictures.

    Their order depends on (seed, epoch) only; an incomplete batch is left out.

    Args:
        folder: of the run; without a run in it unless `resume`, which goes on from its checkpoints/last.ckpt.
        options: of the loader.

    Raises:
        UsageError: when the folder holds another run, nothing can be resumed, or the pictures do not fill a batch.
        DataError: when every checkpoint is damaged.
    """
    count = len(pictures)  # type: ignore[arg-type]
    if count < config.batch_size:
        raise UsageError(f"batch_size is {config.batch_size} with {count} training pictures; make it at most that many")
    files = CheckpointFiles((folder / CHECKPOINT).parent)
    found = files.find(_check_clock) if resume else None
    if resume and found is None:
        raise UsageError(f"{files.last} does not exist, so there is nothing to resume; start without --resume")
    if found is not None:
        for note in found.notes:
            logger.warning(note)
        files.adopt(found)
    if not resume and (folder / "config.yaml").exists():
        raise UsageError(f"{folder} holds a run already; choose another folder, or --resume to go on with it")
    seed_everything(config.seed, workers=True, verbose=False)
    with write_atomically(folder / "config.yaml") as path:
        path.write_text(to_yaml(config))
    options |= {"num_workers": config.workers, "persistent_workers": config.workers > 0}
    return DataLoader(pictures, config.batch_size, sampler=EpochOrder(count, config.seed), drop_last=True, **options)


def train(
    module: FitModule, batches: "DataLoader[Any]", folder: Path, *, resume: bool, device: str, show_progress: bool
) -> FitResult[Any]:
    """Train to the end, with checkpoints and evaluations on the way, and write the snapshot of what is kept.

    Raises:
        UsageError: for a device that this machine lacks.
    """
    module.folder, module.started = folder, time.monotonic()
    with quiet_lightning():
        trainer = Trainer(
            max_epochs=module.config.epochs,
            accelerator=choose_device(device),
            devices=1,
            precision=module.config.precision,
            gradient_clip_val=module.clip_norm,
            logger=False,
            enable_progress_bar=show_progress,
            enable_model_summary=False,
            callbacks=[EpochCheckpoints(folder / CHECKPOINT.parent)],
            plugins=[PlainCheckpointIO()],
        )
        trainer.fit(module, batches, ckpt_path=str(folder / CHECKPOINT) if resume else None, weights_only=True)
    seconds = time.monotonic() - module.started
    network = module.finish(batches)
    # A finished run that is resumed ends at once and has not been scored.
    evaluation = module.evaluation or module.evaluate()
    network.provenance = {
        "images_seen": module.images_seen,
        "epochs": module.config.epochs,
        "num_train": len(batches.dataset),  # type: ignore[arg-type]
        **{name: evaluation.scores[name] for name in ("top1",) if name in evaluation.scores},
    }
    network.cpu().save_pretrained(folder / "snapshots" / f"{module.images_seen // 1000:06d}kimg")
    return FitResult(network, evaluation, seconds)


def choose_device(name: str, threads: int | None = None) -> str:
    """Resolve auto, cpu, cuda or mps, and set the number of CPU threads if one is given.

    Raises:
        UsageError: for a device that this machine lacks, or a thread count below 1.
    """
    # A former word for whichever there is.
    if name == "gpu":
        name = "mps" if torch.backends.mps.is_available() else "cuda"
    return choose_hardware(name, threads=threads).kind
