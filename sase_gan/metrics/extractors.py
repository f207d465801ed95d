"""Features of picture sets: extracted once, kept under a key of everything that they depend on, used by every metric.

One safetensors file for each (pictures, extractor, weights, resize, layer). A difference in any of them is another key,
so a stale feature cannot be read. The folder is `SASE_GAN_CACHE`, else `sase_gan` in `XDG_CACHE_HOME`, else
`~/.cache/sase_gan`; the oldest files go when it grows beyond 2 GB.
"""

import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sase_gan.errors import UsageError
from sase_gan.features import weights
from sase_gan.features.dinov2 import DinoV2
from sase_gan.features.efficientnet_lite0 import EfficientNetLite0, efficientnet_lite0
from sase_gan.files import write_atomically
from sase_gan.metrics.copy_spaces import pixel_descriptor, shifted_mid, shifted_pixels, thumbnails

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
"""Called with what is being described, pictures done and pictures in all."""

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
CACHE_LIMIT_BYTES = 2 * 10**9
_CACHE_VERSION = "1"


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
    """DINOv2's class token; unverified here, see `dinov2.DinoV2`."""

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


def image_digests(images: Tensor) -> list[str]:
    """SHA-256 of each picture's bytes and shape."""
    prefix = repr(tuple(images.shape[1:])).encode()
    return [hashlib.sha256(prefix + image.contiguous().numpy().tobytes()).hexdigest() for image in images]


def set_digest(digests: Sequence[str]) -> str:
    """One SHA-256 for a set of pictures, whatever their order."""
    return hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()


def canonical_order(digests: Sequence[str]) -> list[int]:
    """The order in which a set's features are kept, which depends on the pictures alone."""
    return sorted(range(len(digests)), key=lambda index: digests[index])


def default_cache_folder() -> Path:
    """See the module."""
    if os.environ.get("SASE_GAN_CACHE"):
        return Path(os.environ["SASE_GAN_CACHE"])
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "sase_gan"


class FeatureStore:
    """Features in memory and, if a folder is given, on disk.

    Args:
        folder: None keeps nothing beyond this object.
        limit_bytes: of the folder.
    """

    def __init__(self, folder: Path | str | None = None, *, limit_bytes: int = CACHE_LIMIT_BYTES) -> None:
        self.folder = None if folder is None else Path(folder) / "features"
        self.limit_bytes = limit_bytes
        self.extracted = 0
        self._memory: dict[str, Tensor] = {}

    def features(
        self,
        images: Tensor,
        digest: str,
        extractor: Extractor,
        layers: Sequence[str],
        *,
        batch_size: int = 4,
        keep: bool = True,
        progress: Progress | None = None,
        what: str = "pictures",
    ) -> dict[str, Tensor]:
        """Rows of every layer, float32 on the CPU, from the store or extracted now in one pass for all missing layers.

        Args:
            images: uint8 [N, 3, H, W].
            digest: names the pictures and their order; any change of a picture must change it.
            extractor: see `build_extractor`.
            layers: its names.
            batch_size: 4 is fastest on a CPU, where larger maps leave the cache.
            keep: whether new features are stored.
            progress: called after each batch.
            what: for `progress`.
        """
        found: dict[str, Tensor] = {}
        for layer in layers:
            rows = self._read(_key(digest, extractor, layer), len(images))
            if rows is not None:
                found[layer] = rows
        missing = [layer for layer in layers if layer not in found]
        if missing:
            fresh = self._extract(images, extractor, missing, batch_size, progress, what)
            for layer, rows in fresh.items():
                if keep:
                    self._write(_key(digest, extractor, layer), rows)
            found.update(fresh)
        return found

    def _extract(
        self,
        images: Tensor,
        extractor: Extractor,
        layers: list[str],
        batch_size: int,
        progress: Progress | None,
        what: str,
    ) -> dict[str, Tensor]:
        collected: dict[str, list[Tensor]] = {layer: [] for layer in layers}
        done = 0
        with torch.inference_mode():
            for batch in images.split(batch_size):
                out = extractor.describe(batch, layers)
                for layer in layers:
                    collected[layer].append(out[layer].float().cpu())
                done += len(batch)
                if progress is not None:
                    progress(what, done, len(images))
        self.extracted += len(images)
        # A clone outside inference mode, so that rows may be used anywhere.
        return {layer: torch.cat(rows).clone() for layer, rows in collected.items()}

    def _read(self, key: str, n: int) -> Tensor | None:
        if key in self._memory:
            return self._memory[key]
        if self.folder is None:
            return None
        path = self.folder / f"{key}.safetensors"
        try:
            rows = load_file(path)["rows"]
        except FileNotFoundError:
            return None
        except (SafetensorError, KeyError, OSError) as error:
            logger.warning("The stored features %s cannot be read (%s) and are made again.", path, error)
            return None
        if len(rows) != n:
            return None
        with suppress(OSError):
            os.utime(path)  # so that the oldest file is the one unused for longest
        self._memory[key] = rows
        return rows

    def _write(self, key: str, rows: Tensor) -> None:
        self._memory[key] = rows
        if self.folder is None:
            return
        try:
            with write_atomically(self.folder / f"{key}.safetensors") as temporary:
                save_file({"rows": rows.contiguous()}, temporary)
            self._prune()
        except OSError as error:
            # A full or read-only disk makes the next run slower; it must not end this one.
            logger.warning(
                "Features could not be stored in %s (%s); they will be made again next time.", self.folder, error
            )

    def _prune(self) -> None:
        assert self.folder is not None
        files = sorted(self.folder.glob("*.safetensors"), key=lambda path: path.stat().st_mtime)
        total = sum(path.stat().st_size for path in files)
        for path in files[:-1]:
            if total <= self.limit_bytes:
                return
            total -= path.stat().st_size
            path.unlink(missing_ok=True)


def _key(digest: str, extractor: Extractor, layer: str) -> str:
    parts = (_CACHE_VERSION, digest, extractor.name, extractor.weights_sha256, extractor.resize, layer)
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:40]


def mirrored_digest(digest: str) -> str:
    """Names the mirror images of a set in its order."""
    return f"{digest}:mirrored"


def resized(images: Tensor, height: int, width: int) -> Tensor:
    """uint8 pictures at another size, bicubic with antialiasing."""
    if tuple(images.shape[-2:]) == (height, width):
        return images
    x = F.interpolate(images.float(), size=(height, width), mode="bicubic", antialias=True)
    return x.round().clamp(0, 255).to(torch.uint8)
