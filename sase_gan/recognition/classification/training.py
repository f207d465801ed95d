"""Training a classifier: the Lightning module, the rate over time, and `fit_classifier`."""

import csv
import json
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from timm.data.mixup import Mixup
from timm.data.random_erasing import RandomErasing
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Sampler

from sase_gan.config import to_yaml
from sase_gan.errors import UsageError
from sase_gan.files import write_atomically
from sase_gan.pixels import to_float
from sase_gan.recognition.classification.classifier import Classifier, ClassifierConfig, predict_logits
from sase_gan.recognition.classification.data import (
    EvaluationPictures,
    LabelledSet,
    TrainingPictures,
    seed_all,
    take_evenly,
)
from sase_gan.recognition.classification.scores import classification_scores
from sase_gan.recognition.settings import ClassifyConfig, OptimiserSection
from sase_gan.seeds import derive_seed, generator
from sase_gan.training.averaging import WeightAverage, recalibrated
from sase_gan.training.quiet import quiet_lightning

logger = logging.getLogger(__name__)

RECALIBRATION_BATCHES = 20


def rate_factor(epoch: float, settings: OptimiserSection, epochs: int) -> float:
    """Return the learning rate at a (fractional) epoch as a share of the full rate.

    Linear from 0 to 1 over `warmup_epochs`; then 1, or cosine from 1 to `minimum_rate / rate` at the last epoch, or 1
    times `factor` for each milestone passed.
    """
    warmup = settings.warmup_epochs
    if epoch < warmup:
        return epoch / warmup
    if settings.schedule == "steps":
        return settings.factor ** sum(epoch >= milestone for milestone in settings.milestones)
    if settings.schedule == "constant" or epochs <= warmup:
        return 1.0
    least = settings.minimum_rate / settings.rate
    share = min(1.0, (epoch - warmup) / (epochs - warmup))
    return least + (1 - least) * 0.5 * (1 + math.cos(math.pi * share))


def parameter_groups(model: nn.Module, weight_decay: float, *, decay_all: bool) -> list[dict[str, Any]]:
    """Split parameters by decay: with `decay_all` everything but what the network lists, else matrices only."""
    listed = {name for name, _ in model.named_parameters() if _is_listed(model, name)}
    groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, parameter in model.named_parameters():
        groups[name not in listed and (decay_all or parameter.ndim > 1)].append(parameter)
    return [
        {"params": group, "weight_decay": weight_decay if decay else 0.0} for decay, group in groups.items() if group
    ]


def _is_listed(model: nn.Module, name: str) -> bool:
    for prefix, module in model.named_modules():
        names = getattr(module, "no_weight_decay", None)
        if names is not None and name in {f"{prefix}.{inner}" if prefix else inner for inner in names()}:
            return True
    return False


class ClassifierModule(LightningModule):
    """One step of classification, its optimiser, and what a checkpoint holds.

    Args:
        config: a `ClassifyConfig` as a plain dictionary, so that a checkpoint reloads alone.
        classes: their names.
        channels: of the pictures.
    """

    def __init__(self, config: dict[str, Any], classes: list[str], channels: int) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.config = ClassifyConfig(**config)
        pictures = self.config.pictures
        described = ClassifierConfig(
            backbone=self.config.backbone, pictures=pictures, classes=tuple(classes), channels=channels
        )
        # Channels last: most of these layers run faster so, on CPU and GPU alike; nothing else changes.
        self.classifier = Classifier(described).to(memory_format=torch.channels_last)
        half_life = self.config.average_half_life
        self.average = WeightAverage(self.classifier, half_life=half_life) if half_life else None
        self.images_seen = 0
        self.sums: dict[str, float] = {}
        mixes = pictures.mixup > 0 or pictures.cutmix > 0
        self._mix = (
            Mixup(pictures.mixup, pictures.cutmix, label_smoothing=pictures.label_smoothing, num_classes=len(classes))
            if mixes
            else None
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the clock."""
        checkpoint["images_seen"] = self.images_seen

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the clock."""
        self.images_seen = checkpoint["images_seen"]

    def configure_optimizers(self) -> Any:
        """Build the optimiser of the config with a rate that changes every step."""
        section, config = self.config.optimiser, self.config
        rate = section.rate * (config.batch_size / section.reference_batch if section.reference_batch else 1)
        groups = parameter_groups(self.classifier, section.weight_decay, decay_all=section.decay_all)
        optimiser: torch.optim.Optimizer
        if section.name == "sgd":
            optimiser = torch.optim.SGD(groups, lr=rate, momentum=section.momentum)
        else:
            optimiser = torch.optim.AdamW(groups, lr=rate)
        # Each step has the rate of its middle: neither the first nor the last is taken at rate 0.
        steps = self.trainer.estimated_stepping_batches / config.epochs
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: rate_factor((step + 0.5) / steps, section, config.epochs)
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the loss of uint8 pictures [N, C, S, S] and classes [N]."""
        images, labels = batch
        # Dropout, mixing and erasing depend on (seed, images seen), so a resumed run repeats an uninterrupted one.
        seed_all(derive_seed("step", self.config.seed, self.images_seen, self.global_rank))
        pictures = self.config.pictures
        x, target = to_float(images).contiguous(memory_format=torch.channels_last), labels
        if pictures.erasing:
            x = RandomErasing(probability=pictures.erasing, mode="pixel", device=str(x.device))(x)
        if self._mix is not None:
            x, target = self._mix(x, labels)
        logits = self.classifier(x)
        smoothing = 0.0 if self._mix is not None else pictures.label_smoothing
        loss = cross_entropy(logits.float(), target, label_smoothing=smoothing)
        self.images_seen += len(images) * self.trainer.world_size
        self._count(loss=float(loss.detach()), right=float((logits.argmax(1) == labels).float().mean()))
        return loss

    def on_train_batch_end(self, *unused: Any) -> None:
        """Let the average follow."""
        if self.average is not None:
            batch = self.config.batch_size * self.trainer.world_size
            self.average.update(self.classifier, batch=batch, images_seen=self.images_seen)

    def _count(self, **values: float) -> None:
        for name, value in (*values.items(), ("steps", 1.0)):
            self.sums[name] = self.sums.get(name, 0.0) + value


class RunFiles(Callback):
    """After each epoch: one row in `metrics.csv`, one record in `results.jsonl`; at the end the snapshot.

    Args:
        folder: of the run.
        held_out: what is scored each epoch.
    """

    def __init__(self, folder: Path, held_out: "DataLoader[Any]", labels: Tensor) -> None:
        self.folder, self.held_out, self.labels = folder, held_out, labels
        self.started = time.monotonic()
        self.scores: dict[str, Any] = {}

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Score the held-out pictures and write the row."""
        assert isinstance(pl_module, ClassifierModule)
        module = pl_module
        epoch = trainer.current_epoch + 1
        if epoch % module.config.evaluate_every and epoch != module.config.epochs:
            return
        logits = predict_logits(module.classifier, (x for x, _ in self.held_out), device=module.device)
        scores = self.scores = classification_scores(logits, self.labels, module.classifier.config.classes)
        steps = module.sums.get("steps", 1.0)
        row = {
            "images_seen": module.images_seen,
            "seconds": round(time.monotonic() - self.started, 2),
            "epoch": epoch,
            "rate": trainer.optimizers[0].param_groups[0]["lr"],
            "loss": module.sums.get("loss", 0.0) / steps,
            "train_top1": module.sums.get("right", 0.0) / steps,
            "test_loss": scores["loss"],
            "test_top1": scores["top1"],
        }
        module.sums = {}
        _append_row(self.folder / "metrics.csv", row)
        with (self.folder / "results.jsonl").open("a") as file:
            file.write(json.dumps({"images_seen": module.images_seen, **scores}) + "\n")
        logger.info("epoch %d: loss %.4f, test top-1 %.2f %%", row["epoch"], row["loss"], 100 * scores["top1"])


def _append_row(path: Path, row: dict[str, Any]) -> None:
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if fresh:
            writer.writeheader()
        writer.writerow(row)


@dataclass(frozen=True)
class FitResult:
    """What a finished run leaves: the classifier in evaluation mode (averaged where asked) and its scores."""

    classifier: Classifier
    scores: dict[str, Any]
    seconds: float


def fit_classifier(
    config: ClassifyConfig,
    train: LabelledSet,
    held_out: LabelledSet,
    folder: Path,
    *,
    resume: bool = False,
    accelerator: str = "auto",
    show_progress: bool = False,
) -> FitResult:
    """Train a classifier and write its run folder: config.yaml, metrics.csv, results.jsonl, checkpoints, a snapshot.

    Args:
        config: of the run.
        train, held_out: with the same classes.
        folder: of the run; it must be empty unless `resume`.
        resume: go on from `checkpoints/last.ckpt`.
        accelerator: Lightning's word: "auto", "cpu", "gpu".
        show_progress: a bar on the terminal.

    Raises:
        UsageError: when the folder holds another run, nothing can be resumed, or the classes differ.
    """
    _check_run(config, train, held_out, folder, resume)
    train = take_evenly(train, config.max_train, seed=config.seed)
    seed_everything(config.seed, workers=True, verbose=False)
    folder.mkdir(parents=True, exist_ok=True)
    with write_atomically(folder / "config.yaml") as path:
        path.write_text(to_yaml(config))
    loader, evaluation = _loaders(config, train, held_out)
    module = ClassifierModule(config.model_dump(mode="json"), list(train.classes), train.channels)
    files = RunFiles(folder, evaluation, held_out.labels)
    started = time.monotonic()
    with quiet_lightning():
        trainer = Trainer(
            max_epochs=config.epochs,
            accelerator=accelerator,
            devices=1,
            precision=config.precision,
            gradient_clip_val=config.optimiser.clip_norm,
            logger=False,
            enable_progress_bar=show_progress,
            enable_model_summary=False,
            callbacks=[files, ModelCheckpoint(folder / "checkpoints", save_last=True, save_top_k=0)],
        )
        trainer.fit(module, loader, ckpt_path=str(folder / "checkpoints" / "last.ckpt") if resume else None)
    classifier = _final(module, loader)
    seconds = time.monotonic() - started
    scores = files.scores
    if module.average is not None or not scores:
        # The averaged network has not been scored yet, nor has anything when a finished run is resumed.
        logits = predict_logits(classifier, (x for x, _ in evaluation), device=next(classifier.parameters()).device)
        scores = classification_scores(logits, held_out.labels, train.classes)
    classifier.provenance = {
        "images_seen": module.images_seen,
        "epochs": config.epochs,
        "num_train": len(train),
        "top1": scores["top1"],
    }
    classifier.cpu().save_pretrained(folder / "snapshots" / f"{module.images_seen // 1000:06d}kimg")
    return FitResult(classifier, scores, seconds)


def _check_run(config: ClassifyConfig, train: LabelledSet, held_out: LabelledSet, folder: Path, resume: bool) -> None:
    if train.classes != held_out.classes:
        raise UsageError(
            f"the training part has {len(train.classes)} classes and the test part {len(held_out.classes)}"
        )
    count = len(train) if config.max_train is None else min(len(train), config.max_train)
    if count < config.batch_size:
        raise UsageError(f"batch_size is {config.batch_size} with {count} training pictures; make it at most that many")
    checkpoint = folder / "checkpoints" / "last.ckpt"
    if resume and not checkpoint.exists():
        raise UsageError(f"{checkpoint} does not exist, so there is nothing to resume; start without --resume")
    if not resume and (folder / "config.yaml").exists():
        raise UsageError(f"{folder} holds a run already; choose another folder, or --resume to go on with it")


def _loaders(
    config: ClassifyConfig, train: LabelledSet, held_out: LabelledSet
) -> tuple["DataLoader[Any]", "DataLoader[Any]"]:
    common: dict[str, Any] = {
        "batch_size": config.batch_size,
        "num_workers": config.workers,
        "persistent_workers": config.workers > 0,
    }
    training: DataLoader[Any] = DataLoader(
        TrainingPictures(train, config.pictures, seed=config.seed),
        sampler=EpochOrder(len(train), config.seed),
        drop_last=True,
        **common,
    )
    return training, DataLoader(EvaluationPictures(held_out, config.pictures), **common)


class EpochOrder(Sampler[int]):
    """A random order of `count` pictures that depends on (seed, epoch) only, so that a resumed run repeats it.

    What it gives is `epoch * count + index`, as `TrainingPictures` expects.
    """

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed, self.epoch = count, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of each epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        """Draw the order of the current epoch."""
        order = torch.randperm(self.count, generator=generator("order", self.seed, self.epoch))
        return iter((order + self.epoch * self.count).tolist())

    def __len__(self) -> int:
        return self.count


def _final(module: ClassifierModule, loader: "DataLoader[Any]") -> Classifier:
    if module.average is None:
        return module.classifier.eval()
    # The averaged weights get statistics of their own; the running ones belong to the weights that were averaged.
    device = next(module.parameters()).device
    batches = (
        (to_float(images.to(device)),) for (images, _), _ in zip(loader, range(RECALIBRATION_BATCHES), strict=False)
    )
    network = recalibrated(module.average.module, batches)
    assert isinstance(network, Classifier)
    return network.requires_grad_(True)
