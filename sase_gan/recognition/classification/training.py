"""Training a classifier: the rate over time, the step, and `fit_classifier`."""

import math
from pathlib import Path
from typing import Any

import torch
from timm.data.mixup import Mixup
from timm.data.random_erasing import RandomErasing
from timm.optim._param_groups import param_groups_weight_decay
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from sase_gan.errors import UsageError
from sase_gan.pixels import to_float
from sase_gan.recognition.classification.classifier import Classifier, ClassifierConfig
from sase_gan.recognition.classification.data import LabelledSet, TrainingPictures, take_evenly
from sase_gan.recognition.classification.scores import evaluate_classifier
from sase_gan.recognition.fit import Evaluation, FitModule, FitResult, open_run, train
from sase_gan.recognition.settings import ClassifyConfig, OptimiserSection
from sase_gan.training.averaging import WeightAverage, recalibrated

RECALIBRATION_BATCHES = 20


def rate_factor(epoch: float, settings: OptimiserSection, epochs: int) -> float:
    """Return the learning rate at a (fractional) epoch as a share of the full rate.

    Linear from 0 to 1 over `warmup_epochs`; then 1, or cosine from 1 to `minimum_rate / rate` at the last epoch, or 1
    times `factor` for each milestone passed. torch's own schedules count whole steps from a first step at an end of
    the cosine or of the warm-up; here a step has the rate of its middle, and warm-up may end within an epoch.
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
    listed = {
        f"{prefix}.{name}".removeprefix(".")
        for prefix, module in model.named_modules()
        if hasattr(module, "no_weight_decay")
        for name in module.no_weight_decay()
    }
    # What is decayed first, as in the checkpoints so far.
    return param_groups_weight_decay(model, weight_decay, not decay_all, no_weight_decay_list=listed)[::-1]


class ClassifierModule(FitModule):
    """A classifier in training: its step, its optimiser, and what a checkpoint holds.

    Args:
        config: a `ClassifyConfig` as a plain dictionary, so that a checkpoint reloads alone.
    """

    held_out: LabelledSet

    def __init__(self, config: dict[str, Any], classes: list[str], channels: int) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.config: ClassifyConfig = ClassifyConfig(**config)
        pictures, backbone = self.config.pictures, self.config.backbone
        self.clip_norm = self.config.optimiser.clip_norm
        described = ClassifierConfig(backbone=backbone, pictures=pictures, classes=tuple(classes), channels=channels)
        # Channels last: most of these layers run faster so, on CPU and GPU alike; nothing else changes.
        self.classifier = Classifier(described).to(memory_format=torch.channels_last)
        half_life = self.config.average_half_life
        self.average = WeightAverage(self.classifier, half_life=half_life) if half_life else None
        self._mix = None
        if pictures.mixup or pictures.cutmix:
            options = {"label_smoothing": pictures.label_smoothing, "num_classes": len(classes)}
            self._mix = Mixup(pictures.mixup, pictures.cutmix, **options)

    def configure_optimizers(self) -> Any:
        """Build the optimiser of the config with a rate that changes every step."""
        section, config = self.config.optimiser, self.config
        rate = section.rate * (config.batch_size / section.reference_batch if section.reference_batch else 1)
        groups = parameter_groups(self.classifier, section.weight_decay, decay_all=section.decay_all)
        sgd = section.name == "sgd"
        optimiser = torch.optim.SGD(groups, rate, section.momentum) if sgd else torch.optim.AdamW(groups, rate)
        # Each step has the rate of its middle: neither the first nor the last is taken at rate 0.
        steps = self.trainer.estimated_stepping_batches / config.epochs
        return self.with_schedule(optimiser, lambda step: rate_factor((step + 0.5) / steps, section, config.epochs))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the loss of uint8 pictures [N, C, S, S] and classes [N]."""
        (images, labels), pictures = batch, self.config.pictures
        self.seed_step()
        x, target = to_float(images).contiguous(memory_format=torch.channels_last), labels
        if pictures.erasing:
            x = RandomErasing(probability=pictures.erasing, mode="pixel", device=str(x.device))(x)
        if self._mix is not None:
            x, target = self._mix(x, labels)
        logits = self.classifier(x)
        # Mixed targets are smooth already.
        smoothing = 0.0 if self._mix is not None else pictures.label_smoothing
        loss = cross_entropy(logits.float(), target, label_smoothing=smoothing)
        self.count_step(len(images), {"loss": loss, "train_top1": (logits.argmax(1) == labels).float().mean()})
        return loss

    def on_train_batch_end(self, *unused: Any) -> None:
        """Let the average follow."""
        if self.average is not None:
            batch = self.config.batch_size * self.trainer.world_size
            self.average.update(self.classifier, batch=batch, images_seen=self.images_seen)

    def evaluate(self) -> Evaluation:
        """Score the classifier on the pictures held out."""
        size, workers = self.config.batch_size, self.config.workers
        scores = evaluate_classifier(self.classifier, self.held_out, batch_size=size, workers=workers)
        return Evaluation(scores, {"test_loss": scores["loss"], "test_top1": scores["top1"]}, [])

    def finish(self, batches: "DataLoader[Any]") -> Classifier:
        """Take the averaged weights if any, with statistics of their own; the running ones belong to others."""
        if self.average is not None:
            device = next(self.parameters()).device
            taken = zip(batches, range(RECALIBRATION_BATCHES), strict=False)
            images = ((to_float(images.to(device)),) for (images, _), _ in taken)
            averaged: Any = self.average.module
            self.classifier = recalibrated(averaged, images).requires_grad_(True)
            self.evaluation = None  # of the weights that were averaged
        return self.classifier.eval()


def fit_classifier(
    config: ClassifyConfig,
    train_set: LabelledSet,
    held_out: LabelledSet,
    folder: Path,
    *,
    resume: bool = False,
    device: str = "auto",
    show_progress: bool = False,
) -> FitResult[Classifier]:
    """Train a classifier and write its run folder: see `recognition.fit`. Averaged weights are kept where asked for.

    Args:
        folder: of the run; without a run in it unless `resume`, which goes on from the last checkpoint.
        device: auto, cpu, cuda or mps.

    Raises:
        UsageError: when the folder holds another run, nothing can be resumed, or the classes differ.
    """
    if train_set.classes != held_out.classes:
        raise UsageError(
            f"the training part has {len(train_set.classes)} classes and the test part {len(held_out.classes)}"
        )
    train_set = take_evenly(train_set, config.max_train, seed=config.seed)
    pictures = TrainingPictures(train_set, config.pictures, seed=config.seed)
    batches = open_run(config, folder, pictures, resume=resume)
    module = ClassifierModule(config.model_dump(mode="json"), list(train_set.classes), train_set.channels)
    module.held_out = held_out
    return train(module, batches, folder, resume=resume, device=device, show_progress=show_progress)
