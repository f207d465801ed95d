"""Extractors: frozen networks that describe pictures as rows of numbers, in which sets of pictures are compared."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from sase_gan.errors import UsageError
from sase_gan.features import weights
from sase_gan.features.dinov2 import DinoV2
from sase_gan.features.efficientnet_lite0 import EfficientNetLite0, efficientnet_lite0
from sase_gan.metrics.copy_spaces import pixel_descriptor, shifted_mid, shifted_pixels, thumbnails

ExtractorName = Literal["efflite0", "inception", "inception-clean", "vgg16", "dinov2"]
EXTRACTORS: tuple[ExtractorName, ...] = ("efflite0", "inception", "inception-clean", "vgg16", "dinov2")
# Which file each extractor needs.
WEIGHTS_OF: dict[str, str] = {
    "efflite0": "efflite0",
    "inception": "inception",
    "inception-clean": "inception",
    "vgg16": "lpips-vgg",
    "dinov2": "dinov2",
}


class Extractor(Protocol):
    """A network that describes uint8 pictures, and the facts on which its features depend.

    Attributes:
        name: in records.
        resize: how pictures come to the network's size, in records.
        pooled_layer: the layer of distribution distances.
        logits_layer: the layer of the Inception Score's formula, or None.
    """

    name: str
    resize: str
    pooled_layer: str
    logits_layer: str | None

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights file."""
        ...

    def describe(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """uint8 [B, 3, H, W] to float32 rows on the CPU, one tensor a layer."""
        ...


class EffLite0Extractor:
    """EfficientNet-Lite0: layers "pooled", "mid", "logits", and for the copying check "mid_shifts"."""

    name = "efflite0"
    resize = EfficientNetLite0.resize
    pooled_layer = "pooled"
    logits_layer: str | None = "logits"

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._device = device

    @cached_property
    def network(self) -> EfficientNetLite0:
        """Built when first needed: features may all be in the store."""
        return efficientnet_lite0(self._device)

    @property
    def weights_sha256(self) -> str:
        """See `Extractor`."""
        return weights.file_sha256(weights.find("efflite0"))

    def describe(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """See `Extractor`."""
        asked = ["mid_map" if layer == "mid_shifts" else layer for layer in layers]
        out = self.network.describe(images.to(self._device), asked)
        if "mid_map" in out:
            out["mid_shifts"] = shifted_mid(out.pop("mid_map"))
        return out


class LibraryExtractor:
    """Inception or VGG16 through torch-fidelity, on the CPU or another device."""

    def __init__(
        self,
        name: str,
        weights_dir: Path | str | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.name = name
        self.resize = {
            "inception": "tf1-bilinear-299",
            "inception-clean": "pil-bicubic-299-float",
            "vgg16": "tf1-bilinear-224",
        }[name]
        self.pooled_layer = "fc2_relu" if name == "vgg16" else "2048"
        self.logits_layer: str | None = None if name == "vgg16" else "logits_unbiased"
        self._path = weights.find(WEIGHTS_OF[name], weights_dir)
        self._device = device

    @property
    def weights_sha256(self) -> str:
        """See `Extractor`."""
        return weights.file_sha256(self._path)

    @cached_property
    def network(self) -> Any:
        """torch-fidelity's module with all layers that metrics use."""
        from sase_gan.metrics.fidelity import library_extractor

        layers = [self.pooled_layer] + ([self.logits_layer] if self.logits_layer else [])
        library_name = "vgg16" if self.name == "vgg16" else "inception-v3-compat"
        return library_extractor(library_name, layers, str(self._path)).to(self._device)

    def describe(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """See `Extractor`."""
        images = images.to(self._device)
        if self.name == "inception-clean":
            return {"2048": clean_inception_features(self.network, images)}
        return {
            layer: rows
            for layer, rows in zip(self.network.features_list, self.network(images), strict=True)
            if layer in layers
        }


_INCEPTION_STAGES = (
    *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "MaxPool_1", "Conv2d_3b_1x1", "Conv2d_4a_3x3", "MaxPool_2"),
    *("Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
    *("Mixed_7a", "Mixed_7b", "Mixed_7c", "AvgPool"),
)


def clean_inception_features(network: Any, images: Tensor) -> Tensor:
    """Inception's 2048 features after a resize that neither aliases nor rounds (Parmar and others 2022): [B, 2048].

    Each channel goes to 299 x 299 by Pillow's bicubic filter in float, past torch-fidelity's own resize, which takes
    uint8 only.
    """
    x = torch.stack([_pillow_resize(image, 299) for image in images.cpu()]).to(images.device)
    x = (x - 128) / 128
    for stage in _INCEPTION_STAGES:
        x = getattr(network, stage)(x)
    return x.flatten(1).float()


def _pillow_resize(image: Tensor, side: int) -> Tensor:
    import numpy as np
    from PIL import Image

    channels = [
        Image.fromarray(channel.numpy().astype(np.float32)).resize((side, side), Image.Resampling.BICUBIC)
        for channel in image
    ]
    return torch.stack([torch.from_numpy(np.array(channel)) for channel in channels]).clamp(0, 255)


class DinoV2Extractor:
    """DINOv2's class token; unverified here, see `perceptual.DinoV2`."""

    name = "dinov2"
    resize = DinoV2.resize
    pooled_layer = "cls"
    logits_layer: str | None = None

    def __init__(self, weights_dir: Path | str | None = None, device: torch.device | str = "cpu") -> None:
        self._path = weights.find("dinov2", weights_dir)
        self._weights_dir = weights_dir
        self._device = device

    @property
    def weights_sha256(self) -> str:
        """See `Extractor`."""
        return weights.file_sha256(self._path)

    @cached_property
    def network(self) -> DinoV2:
        """Built when first needed."""
        return DinoV2(self._weights_dir).to(self._device)

    def describe(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """See `Extractor`."""
        return {"cls": self.network.pooled(images.to(self._device))}


class PixelExtractor:
    """The pictures themselves at 32 x 32, for the copying check: layers "pixels" and "pixel_shifts". No weights."""

    name = "pixels32"
    resize = "bicubic-antialias-32"
    pooled_layer = "pixels"
    logits_layer: str | None = None
    weights_sha256 = "none"

    def describe(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """See `Extractor`."""
        out = {}
        if "pixels" in layers:
            out["pixels"] = pixel_descriptor(thumbnails(images))
        if "pixel_shifts" in layers:
            out["pixel_shifts"] = shifted_pixels(images)
        return out


def build_extractor(name: str, weights_dir: Path | str | None = None, device: torch.device | str = "cpu") -> Extractor:
    """The extractor called `name`.

    Raises:
        UsageError: unknown name.
        WeightsError: its file is missing or damaged.
    """
    if name == "efflite0":
        return EffLite0Extractor(device)
    if name in ("inception", "inception-clean", "vgg16"):
        return LibraryExtractor(name, weights_dir, device)
    if name == "dinov2":
        return DinoV2Extractor(weights_dir, device)
    raise UsageError(f"There is no feature extractor {name!r}; the known ones are {', '.join(EXTRACTORS)}.")
