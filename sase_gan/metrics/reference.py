"""A reference is real pictures prepared once for any number of evaluations: features, distances, reference levels."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from sase_gan.metrics import fidelity, patches
from sase_gan.metrics.book import Level
from sase_gan.metrics.bootstrap import Interval
from sase_gan.metrics.catalogue import SPACES, Space
from sase_gan.metrics.extractors import Extractor, build_extractor
from sase_gan.metrics.feature_store import FeatureStore
from sase_gan.metrics.originality import CopyReference, Nearest
from sase_gan.metrics.regions import RegionReference
from sase_gan.progress import Progress, named

LAYERS_OF_SPACES: Mapping[Space, tuple[str, str, str]] = {
    "mid": ("efflite0", "mid", "mid_shifts"),
    "pixels": ("pixels32", "pixels", "pixel_shifts"),
}
"""Where the descriptions of a space come from: the extractor, its layer of pictures and that of their shifts."""

_INTERVAL_ENDS = torch.tensor([0.025, 0.975], dtype=torch.float64)


class PictureSet:
    """A picture set keeps its order by the pictures' content alone, so that no figure depends on the order of files.

    Args:
        images: uint8 [N, 3, H, W].
        names: one a picture; numbers when left out.

    Attributes:
        order: position in the given set of each picture here; `images` and `names` have this order.
        digest: SHA-256 of the set.
    """

    def __init__(self, images: Tensor, names: Sequence[str] | None = None) -> None:
        given = list(names) if names is not None else [f"picture {index}" for index in range(len(images))]
        prefix = repr(tuple(images.shape[1:])).encode()
        digests = [hashlib.sha256(prefix + image.contiguous().numpy().tobytes()).hexdigest() for image in images]
        self.order = sorted(range(len(digests)), key=lambda index: digests[index])
        self.images = images[self.order]
        self.names = [given[index] for index in self.order]
        self.digest = hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.images)

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return int(self.images.shape[-2]), int(self.images.shape[-1])


class PreparedReference:
    """A prepared reference holds the reals; everything is made when first asked for and kept.

    Args:
        images, names: as of `PictureSet`; prepared as for training and not augmented.
        store: where features are kept; by default in this object only.
        weights_dir: searched first for weights.
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
        self._levels: dict[tuple[str, str, str, int], Level] = {}

    def __len__(self) -> int:
        return len(self.pictures)

    def extractor(self, name: str) -> Extractor:
        """Build the extractor called `name`, once.

        Raises:
            WeightsError: its file is missing or damaged.
        """
        if name not in self._extractors:
            self._extractors[name] = build_extractor(name, self.weights_dir, self.device)
        return self._extractors[name]

    def describe(
        self,
        pictures: PictureSet,
        extractor: str,
        layers: Sequence[str],
        *,
        mirrored: bool = False,
        keep: bool = True,
        what: str | None = None,
    ) -> dict[str, Tensor]:
        """Give features of pictures, or of their mirror images, as the store does; progress is told of `what`."""
        return self.store.features(
            pictures.images.flip(-1) if mirrored else pictures.images,
            f"{pictures.digest}:mirrored" if mirrored else pictures.digest,
            self.extractor(extractor),
            layers,
            batch_size=self.batch_size,
            keep=keep,
            progress=named(self.progress, what) if what else None,
        )

    def features(self, extractor: str, layers: Sequence[str]) -> dict[str, Tensor]:
        """Give features of the reals."""
        return self.describe(self.pictures, extractor, layers, what="real pictures")

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
        """Prepare the reals as the copying check sees them in a space."""
        if space not in self._copying:
            extractor, plain, shifts = LAYERS_OF_SPACES[space]
            own = self.features(extractor, [plain, shifts])
            mirrored = self.describe(self.pictures, extractor, [shifts], mirrored=True, what="mirrored real pictures")
            self._copying[space] = CopyReference(own[plain], own[shifts], mirrored[shifts])
        return self._copying[space]

    def nearest(self, pictures: PictureSet, space: Space) -> Nearest:
        """Find the nearest reals of pictures in a space of the copying check, in the pictures' order."""
        extractor, plain, _ = LAYERS_OF_SPACES[space]
        rows = self.describe(pictures, extractor, [plain], keep=False)[plain]
        return self.copying(space).nearest(rows)

    @cached_property
    def regions(self) -> RegionReference:
        """Prepare the reals as the search for regions sees them.

        Raises:
            NotApplicable: too few or too small pictures.
        """
        return RegionReference(self.pictures.images, named(self.progress, "regions of real pictures"))

    @cached_property
    def patches(self) -> patches.PatchSet:
        """Random patches of the reals."""
        return patches.extract_patches(self.pictures.images)

    def level(
        self, kind: Literal["frechet", "kernel", "patches"], splits: int, extractor: str = "", layer: str = ""
    ) -> Level | None:
        """Measure what random halves of the reals score in a distance; None for fewer than four reals."""
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
            low, high = torch.quantile(values, _INTERVAL_ENDS).tolist()
            interval = Interval(low, high, f"95 %, {splits} random splits")
            std = values.std(correction=1 if splits > 1 else 0).item()
            self._levels[key] = Level(values.mean().item(), std, interval)
        return self._levels[key]
