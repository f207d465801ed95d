"""Faster and Mask R-CNN of torchvision with a feature pyramid on our backbones.

The box head with attentive normalization follows Li, Sun, Wu 2020: four convolutions with group statistics and
K = 10, 10, 20, 20 components, no norm on the attention; the pyramid and the mask head have group normalisation then.
"""

from collections import OrderedDict
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection import FasterRCNN, MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from sase_gan.config import FrozenRecord
from sase_gan.errors import UsageError
from sase_gan.layers.attentive_norm import AttentiveNorm
from sase_gan.layers.primitives import NormFactory
from sase_gan.pixels import to_float
from sase_gan.recognition.backbones.backbone import create_backbone
from sase_gan.recognition.backbones.choices import freeze_statistics
from sase_gan.recognition.backbones.networks import RecognitionResNet
from sase_gan.recognition.settings import BackboneSection, DetectorSection
from sase_gan.snapshot import SnapshotMixin

PYRAMID_STAGES = [1, 2, 3, 4]


class PyramidBackbone(nn.Module):
    """The last four stages of a backbone through a feature pyramid with a pooled fifth level.

    Maps [N, 3, H, W] to an ordered dictionary "0", "1", "2", "3", "pool" of maps [N, channels, H / 4 ...];
    torchvision's detectors read `out_channels`.

    Args:
        network: of `create_backbone`; its classifier is dropped.
        norm: of the pyramid's convolutions, which then have no bias.
    """

    def __init__(self, network: Any, channels: int = 256, *, norm: NormFactory | None = None) -> None:
        super().__init__()
        widths = [network.feature_info[stage]["num_chs"] for stage in PYRAMID_STAGES]
        self.by_children = isinstance(network, RecognitionResNet)
        if self.by_children:
            stages = {f"layer{stage}": str(stage - 1) for stage in PYRAMID_STAGES}
            self.body: Any = IntermediateLayerGetter(network, stages)
        else:
            # Drops what follows the last tap, which would have no gradient.
            network.prune_intermediate_layers(PYRAMID_STAGES)
            self.body = network
        self.fpn = FeaturePyramidNetwork(widths, channels, LastLevelMaxPool(), norm)
        self.out_channels = channels

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Compute the five maps."""
        if self.by_children:
            return self.fpn(self.body(x))
        found = self.body.forward_intermediates(x, indices=PYRAMID_STAGES, intermediates_only=True)
        return self.fpn(OrderedDict((str(i), stage) for i, stage in enumerate(found)))


def fpn_backbone(
    name: str, *, channels: int = 256, pyramid_norm: NormFactory | None = None, **options: Any
) -> PyramidBackbone:
    """Build a backbone of `create_backbone` with a pyramid, for torchvision's detectors.

    Example:
        >>> backbone = fpn_backbone("resnet18", channels=32, attention="se")
        >>> [tuple(m.shape[1:]) for m in backbone(torch.zeros(1, 3, 64, 64)).values()][:2]
        [(32, 16, 16), (32, 8, 8)]
    """
    return PyramidBackbone(create_backbone(name, num_classes=0, **options), channels, norm=pyramid_norm)


def _groups(channels: int) -> int:
    """Return 32, or the most groups that divide the channels."""
    return max(groups for groups in range(1, 33) if channels % groups == 0)


def _group_norm(channels: int) -> nn.Module:
    return nn.GroupNorm(_groups(channels), channels)


def _attentive_norms() -> NormFactory:
    """Build a factory of attentive norms with the K of the published box head, in turn: one for each model."""
    numbers = iter((10, 10, 20, 20))
    return lambda channels: AttentiveNorm(
        channels, next(numbers), norm="group", num_groups=_groups(channels), attention_norm="none"
    )


class DetectorConfig(FrozenRecord):
    """All that is needed to rebuild a detector and to name what it finds."""

    backbone: BackboneSection
    detector: DetectorSection
    classes: tuple[str, ...]
    category_ids: tuple[int, ...]


def build_detector(backbone: PyramidBackbone, num_classes: int, section: DetectorSection) -> Any:
    """Build torchvision's Mask R-CNN (or Faster R-CNN) around a backbone.

    Args:
        num_classes: with the background.
        section: of the heads. Pictures come in as [-1, 1]; nothing is normalised again.

    Raises:
        UsageError: for attentive norms in a linear box head.
    """
    channels = backbone.out_channels
    plain: NormFactory | None = None if section.head_norm == "none" else _group_norm
    box_norm = _attentive_norms() if section.head_norm == "attentive" else plain
    box_head: nn.Module
    if section.box_head == "convolutions":
        box_head = FastRCNNConvFCHead((channels, 7, 7), [channels] * 4, [section.box_features], norm_layer=box_norm)
    elif section.head_norm == "attentive":
        raise UsageError("head_norm is 'attentive' with a linear box head; it needs box_head=convolutions")
    else:
        box_head = TwoMLPHead(channels * 49, section.box_features)
    anchors = AnchorGenerator(tuple((size,) for size in section.anchor_sizes), ((0.5, 1.0, 2.0),) * 5)
    options: dict[str, Any] = {
        "min_size": section.smallest_side,
        "max_size": section.largest_side,
        "image_mean": [0.0] * 3,
        "image_std": [1.0] * 3,
        "rpn_anchor_generator": anchors,
        "rpn_head": RPNHead(channels, anchors.num_anchors_per_location()[0]),
        "rpn_pre_nms_top_n_train": 2 * section.proposals,
        "rpn_pre_nms_top_n_test": section.proposals,
        "rpn_post_nms_top_n_train": section.proposals,
        "rpn_post_nms_top_n_test": section.proposals,
        "box_head": box_head,
        "box_predictor": FastRCNNPredictor(section.box_features, num_classes),
        "box_batch_size_per_image": section.box_batch,
        "box_score_thresh": section.score_threshold,
    }
    if not section.masks:
        return FasterRCNN(backbone, **options)
    options["mask_head"] = MaskRCNNHeads(channels, [channels] * 4, 1, norm_layer=plain)
    options["mask_predictor"] = MaskRCNNPredictor(channels, channels, num_classes)
    return MaskRCNN(backbone, **options)


class Detector(nn.Module, SnapshotMixin, pipeline_tag="object-detection", tags=["object-detection", "torchvision"]):
    """A detector with the names of its classes; `save_pretrained` and `from_pretrained` write and read a snapshot."""

    kind: ClassVar[str] = "detector"
    config_class: ClassVar[type[BaseModel]] = DetectorConfig

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.config = config
        section = config.backbone
        options = section.model_dump(include={"width", "drop_path_rate"}) | section.layers.model_dump()
        norm = None if config.detector.head_norm == "none" else _group_norm
        backbone = fpn_backbone(section.name, channels=config.detector.channels, pyramid_norm=norm, **options)
        self.network = build_detector(backbone, len(config.classes) + 1, config.detector)
        self._held: list[nn.Module] = []

    def forward(self, images: list[Tensor], targets: list[dict[str, Tensor]] | None = None) -> Any:
        """Compute losses by name in training, predictions in evaluation, of float pictures [3, H, W] in [-1, 1]."""
        return self.network(images, targets)

    def freeze(self, stages: int, *, statistics: bool) -> None:
        """Hold the stem and the first `stages` stages of a ResNet, and with `statistics` all running statistics.

        Raises:
            UsageError: for stages of another network than a ResNet.
        """
        if stages and not self.network.backbone.by_children:
            raise UsageError(f"frozen_stages is {stages}; it is offered for ResNets only")
        names = {f"layer{stage}" for stage in range(1, stages + 1)}
        parts = self.network.backbone.body.items() if stages else ()
        frozen = [module for name, module in parts if name in names or not name.startswith("layer")]
        for module in frozen:
            module.requires_grad_(False)
        self._held = [self.network] if statistics else frozen
        self.train(self.training)

    def train(self, mode: bool = True) -> "Detector":
        """Switch modes; frozen statistics stay in evaluation, the inner ones of our layers too."""
        super().train(mode)
        for module in self._held:
            freeze_statistics(module)
        return self


@torch.no_grad()
def detect(model: Detector, images: list[Tensor]) -> list[dict[str, Tensor]]:
    """Find objects in uint8 pictures [3, H, W], in evaluation mode (restored after).

    Returns:
        Per picture, on the CPU and best first: `boxes` [N, 4], `labels` [N] from 1, `scores` [N], with masks also
        `masks` bool [N, H, W].
    """
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    try:
        found = model([to_float(image.to(device)) for image in images])
    finally:
        model.train(training)
    return [{k: v[:, 0].cpu() > 0.5 if k == "masks" else v.cpu() for k, v in result.items()} for result in found]


def load_detector(folder: Path | str, *, device: torch.device | str = "cpu") -> Detector:
    """Read a detector's snapshot, in evaluation mode.

    Raises:
        DataError: when the folder is no snapshot of a detector.
    """
    return Detector.from_pretrained(str(folder), map_location=device)


def count_detector_parameters(backbone: BackboneSection, detector: DetectorSection, *, classes: int) -> int:
    """Count the parameters of a detector, which is built without memory for them."""
    names = tuple(map(str, range(classes)))
    config = DetectorConfig(backbone=backbone, detector=detector, classes=names, category_ids=tuple(range(classes)))
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in Detector(config).parameters())
