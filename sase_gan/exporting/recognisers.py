"""Classifiers, and the backbones of classifiers and detectors, in the form in which they are exported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from sase_gan.errors import UsageError
from sase_gan.exporting.subject import Port, Subject, Tensors
from sase_gan.seeds import generator as random_generator

if TYPE_CHECKING:
    from sase_gan.recognition.classification.classifier import Classifier
    from sase_gan.recognition.detection.detector import Detector

Part = Literal["whole", "backbone"]


class _Features(nn.Module):
    """The last maps of a classifier's backbone, before they are averaged."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor:
        return self.network.forward_features(pictures)


class _Levels(nn.Module):
    """The maps of a detector's feature pyramid, fine to coarse."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, pictures: Tensor) -> Tensors:
        return tuple(self.backbone(pictures).values())


def classifier_subject(model: Classifier, part: Part = "whole") -> Subject:
    """Put a classifier, which is in evaluation mode, or its backbone into the form in which it is exported."""
    pictures = model.config.pictures
    side = pictures.evaluation_size or pictures.image_size
    module: nn.Module = model if part == "whole" else _Features(model.network)
    names = {"whole": ("logits", "by class; softmax gives probabilities"), "backbone": ("features", "the last maps")}
    facts = {
        "range": [-1.0, 1.0],
        "classes": list(model.config.classes),
        "pictures": "the shorter side resized to "
        f"{pictures.resize or side} px ({pictures.interpolation}), the middle cropped, bytes / 127.5 - 1",
    }
    return _recogniser(module, (model.config.channels, side, side), [names[part]], {**facts, "part": part})


def detector_subject(model: Detector, part: Part = "whole") -> Subject:
    """Put a detector's backbone, which is in evaluation mode, into the form in which it is exported.

    Raises:
        UsageError: for the whole detector, whose number of boxes depends on the picture.
    """
    if part == "whole":
        raise UsageError(
            "a whole detector cannot be exported: how many boxes it finds depends on the picture, and its steps on "
            "that; add --part backbone for its feature pyramid, or find objects with: sase-gan detect predict"
        )
    side = _multiple(model.config.detector.smallest_side, 32)
    names = [(f"level_{level}", "map of the feature pyramid, fine to coarse") for level in ("0", "1", "2", "3", "pool")]
    facts = {"range": [-1.0, 1.0], "classes": list(model.config.classes), "part": part}
    return _recogniser(_Levels(model.network.backbone), (3, side, side), names, facts)


def _multiple(side: int, of: int) -> int:
    """Return the next multiple: torchvision pads batches to one."""
    return -(-side // of) * of


def _recogniser(
    module: nn.Module, shape: tuple[int, int, int], names: list[tuple[str, str]], facts: dict[str, Any]
) -> Subject:
    def original(pictures: Tensor) -> Tensors:
        found = module(pictures)
        return (found,) if isinstance(found, Tensor) else found

    def examples(count: int) -> Tensors:
        source = random_generator(count, "export")
        return (torch.rand((count, *shape), generator=source) * 2 - 1,)

    with torch.no_grad():
        found = original(examples(1)[0])
    outputs = tuple(
        Port(name, tuple(tensor.shape[1:]), meaning) for (name, meaning), tensor in zip(names, found, strict=True)
    )
    inputs = (Port("pictures", shape, "in [-1, 1]: bytes / 127.5 - 1"),)
    return Subject(module, inputs, outputs, original, examples, facts)
