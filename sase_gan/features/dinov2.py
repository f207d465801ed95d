"""DINOv2 describes pictures in a space that was not trained on ImageNet's labels.

Oquab and others, "DINOv2: Learning Robust Visual Features without Supervision" (2023).
"""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sase_gan.features import weights
from sase_gan.features.frozen import FrozenModule, own_random_state, to_unit


class DinoV2(FrozenModule):
    """DINOv2 ViT-S/14 describes a picture by its class token, [N, 384].

    Pictures are resized whole to 224 x 224 (bicubic with antialiasing), normalised with ImageNet's mean and deviation.
    Unverified here: the file was not at hand when this was written, so only the construction with random weights ran.

    Args:
        weights_dir: where the file is looked for first.
        untrained: random weights, for tests.

    Raises:
        WeightsError: the file is missing or damaged.
    """

    input_size = 224
    resize = "bicubic-antialias-224"
    network: Any
    mean: Tensor
    std: Tensor

    def __init__(self, weights_dir: Path | str | None = None, *, untrained: bool = False) -> None:
        super().__init__()
        state = None if untrained else weights.load_state_dict("dinov2", weights_dir)
        import timm

        with own_random_state():
            self.network = timm.create_model(
                "vit_small_patch14_dinov2.lvd142m", pretrained=False, img_size=self.input_size, num_classes=0
            )
        if state is not None:
            from timm.models import vision_transformer

            remapped: Any = vision_transformer.checkpoint_filter_fn(state, self.network)
            self.network.load_state_dict(remapped, strict=True)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1), persistent=False)
        self.freeze()

    def pooled(self, images: Tensor) -> Tensor:
        """Describe uint8 [N, 3, H, W], or float in [-1, 1], by the class token [N, 384]."""
        x = F.interpolate(to_unit(images), size=(self.input_size,) * 2, mode="bicubic", antialias=True)
        return self.network((x - self.mean) / self.std)
