"""A reference is real pictures prepared once for any number of evaluations: features, distances, reference levels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from sase_gan.metrics import fidelity, patches
from sase_gan.metrics.catalogue import SPACES, Space
from sase_gan.metrics.extractors import Extractor, PixelExtractor, build_extractor
from sase_gan.metrics.feature_store import (
    FeatureStore,
    canonical_order,
    image_digests,
    mirrored_digest,
    set_digest,
)
from sase_gan.metrics.originality import CopyReference
from sase_gan.progress import Progress


class LayersOfSpace(NamedTuple):
    """Where the descriptions of a space come from: the extractor, its layer of pictures and that of their shifts."""

    extractor: str
    plain: str
    shifts: str


LAYERS_OF_SPACES: Mapping[Space, LayersOfSpace] = {
    "mid": LayersOfSpace("efflite0", "mid", "mid_shifts"),
    "pixels": LayersOfSpace("pixels32", "pixels", "pixel_shifts"),
}


@dataclass(frozen=True)
class ReferenceLevel:
    """Mean and standard deviation of a figure over random halves of the reals."""

    values: Tensor

    @property
    def mean(self) -> float:
        """Over the splits."""
        return self.values.mean().item()

    @property
    def std(self) -> float:
        """Over the splits; 0 for one split."""
        return self.values.std(correction=1 if len(self.values) > 1 else 0).item()


class PictureSet:
    """uint8 pictures in an order that depends on their content alone, so that no figure depends on the order of files.

    Args:
        images: uint8 [N, 3, H, W].
        names: one a picture; numbers when left out.

    Attributes:
        images: in canonical order.
        names: in the same order.
        order: position in the given set of each picture here.
        digest: SHA-256 of the set.
    """

    def __init__(self, images: Tensor, names: Sequence[str] | None = None) -> None:
        given = list(names) if names is not None else [f"picture {index}" for index in range(len(images))]
        digests = image_digests(images)
        self.order = canonical_order(digests)
        self.images = images[self.order]
        self.names = [given[index] for index in self.order]
        self.digest = set_digest(digests)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return int(self.images.shape[-2]), int(self.images.shape[-1])


class PreparedReference:
    """The reals of evaluations; everything is made when first asked for and kept.

    Args:
        images: uint8 [N, 3, H, W], prepared as for training and not augmented.
        names: one a picture.
        store: where features are kept; by default in this object only.
        weights_dir: searched first for weights.
        device: where networks run.
        batch_size: pictures a pass.
        progress: told about extraction.
    """

    def __init__(
        self,
        images: Tensor,
        names: Sequence[str] | None = None,
        *,
        store: FeatureStore | None = None,
        weights_dir: Path | str | None = None,
        device: torch.device | str = "cpu",
        batch_size: int = 4,
        progress: Progress | None = None,
    ) -> None:
        self.pictures = PictureSet(images, names)
        self.store = store or FeatureStore()
        self.weights_dir = weights_dir
        self.device = device
        self.batch_size = batch_size
        self.progress = progress
        self._extractors: dict[str, Extractor] = {}
        self._copying: dict[Space, CopyReference] = {}
        self._levels: dict[tuple[str, str, str, int], ReferenceLevel] = {}

    def __len__(self) -> int:
        return len(self.pictures)

    def extractor(self, name: str) -> Extractor:
        """The extractor called `name`, built once.

        Raises:
            WeightsError: its file is missing or damaged.
        """
        if name not in self._extractors:
            if name == "pixels32":
                self._extractors[name] = PixelExtractor()
            else:
                self._extractors[name] = build_extractor(name, self.weights_dir, self.device)
        return self._extractors[name]

    def features(self, extractor: str, layers: Sequence[str], *, mirrored: bool = False) -> dict[str, Tensor]:
        """Features of the reals, or of their mirror images."""
        images = self.pictures.images.flip(-1) if mirrored else self.pictures.images
        digest = mirrored_digest(self.pictures.digest) if mirrored else self.pictures.digest
        return self.store.features(
            images,
            digest,
            self.extractor(extractor),
            layers,
            batch_size=self.batch_size,
            progress=self.progress,
            what="mirrored real pictures" if mirrored else "real pictures",
        )

    def prepare(self, extractors: Sequence[str], *, copying: bool) -> None:
        """Extract, in one pass a network, everything that an evaluation will ask for."""
        for name in extractors:
            extractor = self.extractor(name)
            layers = [extractor.pooled_layer]
            if name == "efflite0":
                layers += ["mid", "mid_shifts"] if copying else ["mid"]
            self.features(name, layers)
        if copying:
            for space in SPACES:
                self.copying(space)

    def copying(self, space: Space) -> CopyReference:
        """The reals as the copying check sees them in a space."""
        if space not in self._copying:
            extractor, plain, shifts = LAYERS_OF_SPACES[space]
            own = self.features(extractor, [plain, shifts])
            mirrored = self.features(extractor, [shifts], mirrored=True)
            self._copying[space] = CopyReference(own[plain], own[shifts], mirrored[shifts])
        return self._copying[space]

    @cached_property
    def patches(self) -> patches.PatchSet:
        """Random patches of the reals."""
        return patches.extract_patches(self.pictures.images)

    def frechet_level(self, extractor: str, layer: str, splits: int) -> ReferenceLevel | None:
        """What halves of the reals score in the Frechet distance; None for fewer than four reals."""
        return self._level("frechet", extractor, layer, splits)

    def kernel_level(self, extractor: str, layer: str, splits: int) -> ReferenceLevel | None:
        """What halves of the reals score in the kernel distance; None for fewer than four reals."""
        return self._level("kernel", extractor, layer, splits)

    def patch_level(self, splits: int) -> ReferenceLevel | None:
        """What halves of the reals score in the patch distance; None for fewer than four reals."""
        return self._level("patches", "", "", splits)

    def _level(self, kind: str, extractor: str, layer: str, splits: int) -> ReferenceLevel | None:
        if len(self) < 4:
            return None
        key = (kind, extractor, layer, splits)
        if key not in self._levels:
            halves = fidelity.reference_halves(len(self), splits)
            if kind == "patches":
                values = patches.reference_patch_distance(self.patches, halves)
            else:
                distance = fidelity.frechet_distance_gram if kind == "frechet" else fidelity.kernel_distance_all
                rows = self.features(extractor, [layer])[layer]
                values = torch.tensor([distance(rows[a], rows[b]) for a, b in halves], dtype=torch.float64)
            self._levels[key] = ReferenceLevel(values)
        return self._levels[key]
