"""Training a detector: the rate over time, the step, and `fit_detector`."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from sase_gan.errors import UsageError
from sase_gan.pixels import to_float
from sase_gan.recognition.backbones.convert import convert_pretrained
from sase_gan.recognition.detection.coco import CocoSet, DetectionPictures, collate
from sase_gan.recognition.detection.detector import Detector, DetectorConfig, PyramidBackbone
from sase_gan.recognition.detection.scores import evaluate_detector
from sase_gan.recognition.fit import Evaluation, FitModule, FitResult, open_run, train
from sase_gan.recognition.settings import DetectConfig


def detection_rate_factor(step: int, steps_an_epoch: int, config: DetectConfig) -> float:
    """Return the rate at a step as a share of the full one: linear from a third, divided by 10 at each milestone."""
    factor = 0.1 ** sum(step >= milestone * steps_an_epoch for milestone in config.milestones)
    if step < config.warmup_steps:
        factor *= 1 / 3 + 2 / 3 * step / config.warmup_steps
    return factor


class DetectorModule(FitModule):
    """A detector in training: its step, its optimiser, and what a checkpoint holds.

    Args:
        config: a `DetectConfig` as a plain dictionary, so that a checkpoint reloads alone.
        category_ids: of COCO, in the order of the classes.
    """

    test: CocoSet

    def __init__(self, config: dict[str, Any], classes: list[str], category_ids: list[int]) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.config: DetectConfig = DetectConfig(**config)
        self.clip_norm = self.config.clip_norm
        backbone, section = self.config.backbone, self.config.detector
        names, ids = tuple(classes), tuple(category_ids)
        self.detector = Detector(DetectorConfig(backbone=backbone, detector=section, classes=names, category_ids=ids))
        self.detector.freeze(self.config.frozen_stages, statistics=self.config.frozen_statistics)

    def load_pretrained(self) -> None:
        """Put the weights of `config.pretrained` into the backbone."""
        section = self.config.backbone
        network = convert_pretrained(section.name, self.config.pretrained, **section.layers.model_dump())
        self.detector.network.backbone.body.load_state_dict(PyramidBackbone(network).body.state_dict())

    def configure_optimizers(self) -> Any:
        """Build SGD with a rate that changes every step."""
        trained = [p for p in self.detector.parameters() if p.requires_grad]
        config = self.config
        optimiser = torch.optim.SGD(trained, lr=config.rate, momentum=config.momentum, weight_decay=config.weight_decay)
        steps = int(self.trainer.estimated_stepping_batches // config.epochs)
        return self.with_schedule(optimiser, lambda step: detection_rate_factor(step, steps, config))

    def on_train_epoch_start(self) -> None:
        """Forget the terms of an epoch that was not evaluated: a row is about its own epoch."""
        self.take_terms()

    def training_step(self, batch: tuple[list[Tensor], list[dict[str, Tensor]]], batch_idx: int) -> Tensor:
        """Return the sum of the detector's losses of uint8 pictures and their targets."""
        images, targets = batch
        self.seed_step()  # the sampling of proposals is random
        targets = [{k: v.to(torch.uint8) if k == "masks" else v for k, v in target.items()} for target in targets]
        losses = self.detector([to_float(image) for image in images], targets)
        total = torch.stack(list(losses.values())).sum()
        self.count_step(len(images), {**losses, "loss": total})
        return total

    def evaluate(self) -> Evaluation:
        """Score the detector on the test part."""
        scores, predictions = evaluate_detector(self.detector, self.test, batch_size=self.config.batch_size)
        kinds = [word for word in ("box", "mask") if word in scores]
        columns = {f"{word}_{k}": scores[word][k] for word in kinds for k in ("ap", "ap50")}
        return Evaluation(scores, columns, predictions)

    def finish(self, batches: "DataLoader[Any]") -> Detector:
        """Return the detector as it is."""
        return self.detector.eval()


def fit_detector(
    config: DetectConfig,
    train_set: CocoSet,
    test: CocoSet,
    folder: Path,
    *,
    resume: bool = False,
    device: str = "auto",
    show_progress: bool = False,
) -> FitResult[Detector]:
    """Train a detector and write its run folder: see `recognition.fit`.

    Args:
        folder, device: as of `fit_classifier`.

    Raises:
        UsageError: when the folder holds another run, nothing can be resumed, or the categories differ.
    """
    if train_set.category_ids != test.category_ids:
        raise UsageError("the training and the test part have different categories; use parts of one data set")
    pictures = DetectionPictures(train_set, masks=config.detector.masks, flip=config.flip, seed=config.seed)
    batches = open_run(config, folder, pictures, resume=resume, collate_fn=collate)
    module = DetectorModule(config.model_dump(mode="json"), list(train_set.classes), list(train_set.category_ids))
    module.test = test
    if config.pretrained and not resume:
        module.load_pretrained()
    return train(module, batches, folder, resume=resume, device=device, show_progress=show_progress)
