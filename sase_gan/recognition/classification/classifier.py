"""A trained classifier as a snapshot: saved, loaded and asked, without Lightning."""

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn

from sase_gan.config import FrozenRecord
from sase_gan.pixels import to_float
from sase_gan.recognition.backbones.backbone import create_backbone
from sase_gan.recognition.classification.data import evaluation_transform
from sase_gan.recognition.settings import BackboneSection, PicturesSection
from sase_gan.snapshot import SnapshotMixin


class ClassifierConfig(FrozenRecord):
    """All that is needed to rebuild a classifier and to prepare its pictures."""

    backbone: BackboneSection
    pictures: PicturesSection
    classes: tuple[str, ...]
    channels: int = Field(ge=1, le=16)


class Classifier(nn.Module, SnapshotMixin, pipeline_tag="image-classification", tags=["image-classification", "timm"]):
    """A backbone with the names of its classes; `save_pretrained` and `from_pretrained` write and read a snapshot."""

    kind: ClassVar[str] = "classifier"
    config_class: ClassVar[type[BaseModel]] = ClassifierConfig

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        section = config.backbone
        options = section.model_dump(exclude={"name", "layers"}) | section.layers.model_dump()
        self.network = create_backbone(
            section.name, num_classes=len(config.classes), in_channels=config.channels, **options
        )

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits [N, number of classes] of float pictures in [-1, 1], [N, channels, H, W]."""
        return self.network(x)

    def prepare(self, image: Tensor) -> Tensor:
        """Turn uint8 [3 or 1, H, W] of any size into the uint8 [channels, S, S] that the network is evaluated on."""
        return evaluation_transform(self.config.pictures, self.config.channels)(image)


@torch.no_grad()
def predict_logits(model: nn.Module, batches: Iterable[Tensor]) -> Tensor:
    """Predict logits [N, classes], float32 on the CPU, of uint8 batches [B, C, S, S], in evaluation mode.

    The mode is restored after; the batches go to the model's device.
    """
    device, training = next(model.parameters()).device, model.training
    model.eval()
    try:
        return torch.cat([model(to_float(batch.to(device))).float().cpu() for batch in batches])
    finally:
        model.train(training)


def predict_pictures(model: Classifier, pictures: Iterable[Tensor]) -> Tensor:
    """Predict class probabilities [N, classes] of uint8 pictures [3 or 1, H, W] of any sizes."""
    return predict_logits(model, (model.prepare(image)[None] for image in pictures)).softmax(1)


def load_classifier(folder: Path | str, *, device: torch.device | str = "cpu") -> Classifier:
    """Read a classifier's snapshot, in evaluation mode.

    Raises:
        DataError: when the folder is no snapshot of a classifier.
    """
    return Classifier.from_pretrained(str(folder), map_location=device)
