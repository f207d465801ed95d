"""Extractors: frozen networks that describe pictures as rows of numbers, in which sets of pictures are compared.

Copies are looked for in two of these descriptions. "mid" is EfficientNet-Lite0's mid-level descriptor: it sees through
blur, compression, colour and blends on photographs. "pixels" is the picture itself at 32 x 32, brightness and contrast
removed: it sees copies in drawings and icons, which are so alike that a compressed drawing is farther from itself in
network features than from another drawing. Each misses what the other sees, so the check asks both, and for both also
describes small shifts; `originality` has the measurements.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from sase_gan.errors import UsageError
from sase_gan.features import weights
from sase_gan.features.dinov2 import DinoV2
from sase_gan.features.efficientnet_lite0 import EfficientNetLite0, cell_descriptor, efficientnet_lite0
from sase_gan.features.frozen import to_unit
from sase_gan.metrics.fidelity import library_extractor

WEIGHTS_OF = {
    "efflite0": "efflite0",
    "inception": "inception",
    "inception-clean": "inception",
    "inception-fastgan": "inception",
    "vgg16": "lpips-vgg",
    "dinov2": "dinov2",
}
"""Extractors that can be asked for, and the file that each needs."""

POOLED_ONLY = ("inception-clean", "inception-fastgan")
"""Ways of preparing pictures for Inception for the sake of a distance's value; everything else is measured without."""

THUMBNAIL_SIDE = 32
# Steps of the grids that are shifted: a 28th of the picture's side in "mid", a 32nd in "pixels", along and across.
SHIFT_STEPS = (1, 2)
SHIFTS = ((0, 0), *((n * y, n * x) for n in SHIFT_STEPS for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)))


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
    weights_sha256: str

    def describe(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """uint8 [B, 3, H, W] to float32 rows on the CPU, one tensor a layer."""
        ...


def thumbnails(images: Tensor) -> Tensor:
    """Float [N, 3, 32, 32] from uint8 [N, 3, H, W], bicubic with antialiasing."""
    return F.interpolate(to_unit(images), size=(THUMBNAIL_SIDE,) * 2, mode="bicubic", antialias=True)


def pixel_descriptor(small: Tensor) -> Tensor:
    """Thumbnails [N, 3, 32, 32] as rows [N, 3072] of mean 0 and length 1, or shorter for nearly flat pictures."""
    rows = small.flatten(1)
    rows = rows - rows.mean(1, keepdim=True)
    # Below a deviation of one level of 256 contrast is noise, and is not blown up.
    return rows / rows.std(1, keepdim=True).clamp_min(1 / 255) / rows.shape[1] ** 0.5


def shifted(maps: Tensor, describe: Callable[[Tensor], Tensor]) -> Tensor:
    """Describe all `SHIFTS` of maps [N, C, H, W]: [N, 17, D].

    The border is repeated. A shift of a network's map by whole cells stands for a shift of the picture: exact inside,
    where the network is translation invariant, and near enough at the border.
    """
    reach = max(SHIFT_STEPS)
    padded = F.pad(maps, (reach,) * 4, mode="replicate")
    height, width = maps.shape[-2:]
    views = [padded[..., reach + y : reach + y + height, reach + x : reach + x + width] for y, x in SHIFTS]
    return torch.stack([describe(view) for view in views], dim=1)


class EffLite0Extractor:
    """EfficientNet-Lite0 has the layers "pooled", "mid", "logits", and for the copying check "mid_shifts"."""

    name = "efflite0"
    resize = EfficientNetLite0.resize
    pooled_layer = "pooled"
    logits_layer: str | None = "logits"

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.weights_sha256 = weights.file_sha256(weights.find("efflite0"))
        self._device = device

    @cached_property
    def network(self) -> EfficientNetLite0:
        """Built when first needed: features may all be in the store."""
        return efficientnet_lite0(self._device)

    def describe(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """See `Extractor`."""
        asked = ["mid_map" if layer == "mid_shifts" else layer for layer in layers]
        out = self.network.describe(images.to(self._device), asked)
        if "mid_map" in out:
            out["mid_shifts"] = shifted(out.pop("mid_map"), cell_descriptor)
        return out


class LibraryExtractor:
    """Inception or VGG16 runs through torch-fidelity, on the CPU or another device."""

    def __init__(self, name: str, weights_dir: Path | str | None = None, device: torch.device | str = "cpu") -> None:
        self.name = name
        self.resize = {
            "inception": "tf1-bilinear-299",
            "inception-clean": "pil-bicubic-299-float",
            "inception-fastgan": "pil-bilinear-256-bytes-bilinear-299",
            "vgg16": "tf1-bilinear-224",
        }[name]
        self.pooled_layer = "fc2_relu" if name == "vgg16" else "2048"
        self.logits_layer: str | None = None if name == "vgg16" else "logits_unbiased"
        self._path = weights.find(WEIGHTS_OF[name], weights_dir)
        self.weights_sha256 = weights.file_sha256(self._path)
        self._device = device

    @cached_property
    def network(self) -> Any:
        """torch-fidelity's module with all layers that metrics use."""
        layers = [self.pooled_layer] + ([self.logits_layer] if self.logits_layer else [])
        library_name = "vgg16" if self.name == "vgg16" else "inception-v3-compat"
        return library_extractor(library_name, layers, str(self._path)).to(self._device)

    def describe(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """See `Extractor`."""
        images = images.to(self._device)
        if self.name == "inception-clean":
            return {"2048": clean_inception_features(self.network, images)}
        if self.name == "inception-fastgan":
            return {"2048": fastgan_inception_features(self.network, images)}
        found = zip(self.network.features_list, self.network(images), strict=True)
        return {layer: rows for layer, rows in found if layer in layers}


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
    return _pooled((x - 128) / 128, network)


def fastgan_inception_features(network: Any, images: Tensor) -> Tensor:
    """Inception's 2048 features as FastGAN's evaluation takes them of bytes at 256 px: [B, 2048].

    Pictures in [-1, 1] go to 299 x 299 bilinearly, half a pixel from the border, without antialiasing.
    """
    x = F.interpolate(images.float() / 127.5 - 1, size=(299, 299), mode="bilinear", align_corners=False)
    return _pooled(x, network)


def _pooled(x: Tensor, network: Any) -> Tensor:
    for stage in _INCEPTION_STAGES:
        x = getattr(network, stage)(x)
    return x.flatten(1).float()


def _pillow_resize(image: Tensor, side: int) -> Tensor:
    channels = [Image.fromarray(channel.numpy().astype(np.float32)) for channel in image]
    small = [channel.resize((side, side), Image.Resampling.BICUBIC) for channel in channels]
    return torch.stack([torch.from_numpy(np.array(channel)) for channel in small]).clamp(0, 255)


class DinoV2Extractor:
    """DINOv2 gives its class token; unverified here, see `features.dinov2`."""

    name = "dinov2"
    resize = DinoV2.resize
    pooled_layer = "cls"
    logits_layer: str | None = None

    def __init__(self, weights_dir: Path | str | None = None, device: torch.device | str = "cpu") -> None:
        self.weights_sha256 = weights.file_sha256(weights.find("dinov2", weights_dir))
        self._weights_dir = weights_dir
        self._device = device

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
        small = thumbnails(images)
        found = {"pixels": pixel_descriptor(small)} if "pixels" in layers else {}
        return found | ({"pixel_shifts": shifted(small, pixel_descriptor)} if "pixel_shifts" in layers else {})


def build_extractor(name: str, weights_dir: Path | str | None = None, device: torch.device | str = "cpu") -> Extractor:
    """Build the extractor called `name`.

    Raises:
        UsageError: unknown name.
        WeightsError: its file is missing or damaged.
    """
    match name:
        case "efflite0":
            return EffLite0Extractor(device)
        case "inception" | "inception-clean" | "inception-fastgan" | "vgg16":
            return LibraryExtractor(name, weights_dir, device)
        case "dinov2":
            return DinoV2Extractor(weights_dir, device)
        case "pixels32":
            return PixelExtractor()
    raise UsageError(f"There is no feature extractor {name!r}; the known ones are {', '.join(WEIGHTS_OF)}.")
