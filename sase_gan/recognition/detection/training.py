"""Training a detector: the Lightning module, the rate over time, and `fit_detector`."""

import csv
import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import Tensor
from torch.utils.data import DataLoader

from sase_gan.config import to_yaml
from sase_gan.errors import UsageError
from sase_gan.files import write_atomically
from sase_gan.pixels import to_float
from sase_gan.recognition.backbones.convert import convert_pretrained
from sase_gan.recognition.classification.data import seed_all
from sase_gan.recognition.classification.training import EpochOrder
from sase_gan.recognition.detection.coco import CocoSet, DetectionPictures, collate
from sase_gan.recognition.detection.detector import Detector, DetectorConfig, PyramidBackbone, detect
from sase_gan.recognition.detection.scores import detection_scores
from sase_gan.recognition.settings import DetectConfig
from sase_gan.seeds import derive_seed
from sase_gan.training.quiet import quiet_lightning

logger = logging.getLogger(__name__)


def detection_rate_factor(step: int, steps_an_epoch: int, config: DetectConfig) -> float:
    """Return the rate at a step as a share of the full one: linear from a third, divided by 10 at each milestone."""
    factor = 0.1 ** sum(step >= milestone * steps_an_epoch for milestone in config.milestones)
    if step < config.warmup_steps:
        factor *= 1 / 3 + 2 / 3 * step / config.warmup_steps
    return factor


class DetectorModule(LightningModule):
    """One step of detection, its optimiser, and what a checkpoint holds.

    Args:
        config: a `DetectConfig` as a plain dictionary, so that a checkpoint reloads alone.
        classes: their names.
        category_ids: of COCO, in the same order.
    """

    def __init__(self, config: dict[str, Any], classes: list[str], category_ids: list[int]) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.config = DetectConfig(**config)
        self.detector = Detector(
            DetectorConfig(
                backbone=self.config.backbone,
                detector=self.config.detector,
                classes=tuple(classes),
                category_ids=tuple(category_ids),
            )
        )
        self.images_seen = 0
        self.sums: dict[str, float] = {}

    def load_pretrained(self) -> None:
        """Put the weights of `config.pretrained` into the backbone and freeze what the config says."""
        if not self.config.pretrained:
            return
        section = self.config.backbone
        network = convert_pretrained(section.name, self.config.pretrained, **section.layers.model_dump())
        backbone = self.detector.network.backbone
        loaded = PyramidBackbone(network, backbone.out_channels)
        backbone.body.load_state_dict(loaded.body.state_dict())
        self.detector.freeze(self.config.frozen_stages, statistics=self.config.frozen_statistics)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the clock."""
        checkpoint["images_seen"] = self.images_seen

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the clock and what is frozen."""
        self.images_seen = checkpoint["images_seen"]
        self.detector.freeze(self.config.frozen_stages, statistics=self.config.frozen_statistics)

    def configure_optimizers(self) -> Any:
        """Build SGD with a rate that changes every step."""
        trained = [p for p in self.detector.parameters() if p.requires_grad]
        config = self.config
        optimiser = torch.optim.SGD(trained, lr=config.rate, momentum=config.momentum, weight_decay=config.weight_decay)
        steps = self.trainer.estimated_stepping_batches // config.epochs
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: detection_rate_factor(step, int(steps), config)
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Move pictures and targets."""
        images, targets = batch
        moved = [{name: value.to(device) for name, value in target.items()} for target in targets]
        return [image.to(device) for image in images], moved

    def training_step(self, batch: tuple[list[Tensor], list[dict[str, Tensor]]], batch_idx: int) -> Tensor:
        """Return the sum of the detector's losses of uint8 pictures and their targets."""
        images, targets = batch
        # The sampling of proposals depends on (seed, images seen), so a resumed run repeats an uninterrupted one.
        seed_all(derive_seed("step", self.config.seed, self.images_seen, self.global_rank))
        targets = [{k: v.to(torch.uint8) if k == "masks" else v for k, v in target.items()} for target in targets]
        losses = self.detector([to_float(image) for image in images], targets)
        total = torch.stack(list(losses.values())).sum()
        self.images_seen += len(images) * self.trainer.world_size
        for name, value in (*losses.items(), ("loss", total), ("steps", torch.ones(()))):
            self.sums[name] = self.sums.get(name, 0.0) + float(value.detach())
        return total


class DetectionFiles(Callback):
    """After scored epochs: one row in `metrics.csv`, one record in `results.jsonl`.

    Args:
        folder: of the run.
        test: what is scored.
    """

    def __init__(self, folder: Path, test: CocoSet) -> None:
        self.folder, self.test = folder, test
        self.started = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Score the test part and write the row."""
        assert isinstance(pl_module, DetectorModule)
        config, epoch = pl_module.config, trainer.current_epoch + 1
        steps = pl_module.sums.pop("steps", 1.0)
        losses = {name: value / steps for name, value in pl_module.sums.items()}
        pl_module.sums = {}
        logger.info("epoch %d: loss %.4f", epoch, losses.get("loss", float("nan")))
        if epoch % config.evaluate_every and epoch != config.epochs:
            return
        scores, _ = evaluate_detector(pl_module.detector, self.test, batch_size=config.batch_size)
        row = {
            "images_seen": pl_module.images_seen,
            "seconds": round(time.monotonic() - self.started, 2),
            "epoch": epoch,
            "rate": trainer.optimizers[0].param_groups[0]["lr"],
            **losses,
            **{f"{word}_{k}": scores[word][k] for word in ("box", "mask") if word in scores for k in ("ap", "ap50")},
        }
        path = self.folder / "metrics.csv"
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if fresh:
                writer.writeheader()
            writer.writerow(row)
        with (self.folder / "results.jsonl").open("a") as file:
            file.write(json.dumps({"images_seen": pl_module.images_seen, **scores}) + "\n")
        logger.info("epoch %d: box AP %.3f, AP50 %.3f", epoch, scores["box"]["ap"] or 0, scores["box"]["ap50"] or 0)


def evaluate_detector(
    model: Detector, data: CocoSet, *, batch_size: int = 4
) -> tuple[dict[str, Any], list[dict[str, Tensor]]]:
    """Score a detector on a set; return the scores and the predictions in the set's order."""
    masks = model.config.detector.masks
    predictions: list[dict[str, Tensor]] = []
    for start in range(0, len(data), batch_size):
        indices = range(start, min(start + batch_size, len(data)))
        predictions += detect(model, [data.read(i) for i in indices])
    targets = [data.target(i, masks=masks) for i in range(len(data))]
    return detection_scores(predictions, targets, model.config.classes), predictions


@dataclass(frozen=True)
class DetectionResult:
    """What a finished run leaves: the detector in evaluation mode, its scores and predictions on the test part."""

    detector: Detector
    scores: dict[str, Any]
    predictions: list[dict[str, Tensor]]
    seconds: float


def fit_detector(
    config: DetectConfig,
    train: CocoSet,
    test: CocoSet,
    folder: Path,
    *,
    resume: bool = False,
    accelerator: str = "auto",
    show_progress: bool = False,
) -> DetectionResult:
    """Train a detector and write its run folder: config.yaml, metrics.csv, results.jsonl, checkpoints, a snapshot.

    Args:
        config: of the run.
        train, test: with the same categories.
        folder: of the run; without a run in it unless `resume`.
        resume: go on from `checkpoints/last.ckpt`.
        accelerator: Lightning's word: "auto", "cpu", "gpu".
        show_progress: a bar on the terminal.

    Raises:
        UsageError: when the folder holds another run, nothing can be resumed, or the categories differ.
    """
    if train.category_ids != test.category_ids:
        raise UsageError("the training and the test part have different categories; use parts of one data set")
    checkpoint = folder / "checkpoints" / "last.ckpt"
    if resume and not checkpoint.exists():
        raise UsageError(f"{checkpoint} does not exist, so there is nothing to resume; start without --resume")
    if not resume and (folder / "config.yaml").exists():
        raise UsageError(f"{folder} holds a run already; choose another folder, or --resume to go on with it")
    seed_everything(config.seed, workers=True, verbose=False)
    folder.mkdir(parents=True, exist_ok=True)
    with write_atomically(folder / "config.yaml") as path:
        path.write_text(to_yaml(config))
    pictures = DetectionPictures(train, masks=config.detector.masks, train=True, flip=config.flip, seed=config.seed)
    loader: DataLoader[Any] = DataLoader(
        pictures,
        batch_size=config.batch_size,
        sampler=EpochOrder(len(train), config.seed),
        drop_last=True,
        num_workers=config.workers,
        collate_fn=collate,
    )
    module = DetectorModule(config.model_dump(mode="json"), list(train.classes), list(train.category_ids))
    if not resume:
        module.load_pretrained()
    started = time.monotonic()
    with quiet_lightning():
        trainer = Trainer(
            max_epochs=config.epochs,
            accelerator=accelerator,
            devices=1,
            precision=config.precision,
            gradient_clip_val=config.clip_norm,
            logger=False,
            enable_progress_bar=show_progress,
            enable_model_summary=False,
            callbacks=[
                DetectionFiles(folder, test),
                ModelCheckpoint(folder / "checkpoints", save_last=True, save_top_k=0),
            ],
        )
        trainer.fit(module, loader, ckpt_path=str(checkpoint) if resume else None)
    seconds = time.monotonic() - started
    detector = module.detector.eval()
    scores, predictions = evaluate_detector(detector, test, batch_size=config.batch_size)
    detector.provenance = {"images_seen": module.images_seen, "epochs": config.epochs, "num_train": len(train)}
    detector.cpu().save_pretrained(folder / "snapshots" / f"{module.images_seen // 1000:06d}kimg")
    return DetectionResult(detector, scores, predictions, seconds)
