"""Records of pictures made from one picture, in the same schema as those of sets; and tables over many scenes."""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from sase_gan.features.efficientnet_lite0 import efficientnet_lite0
from sase_gan.features.lpips import lpips_network
from sase_gan.features.reconstruction import EfficientNetLite0Loss, PerceptualDistance
from sase_gan.metrics import single_image, verdicts
from sase_gan.metrics.applicable import NotApplicable
from sase_gan.metrics.bootstrap import Interval, mean_interval, resampled_interval
from sase_gan.metrics.diversity import diversity_pairs, pixel_diversity
from sase_gan.metrics.extractors import PixelExtractor
from sase_gan.metrics.originality import Verdict
from sase_gan.metrics.protocol import Protocol
from sase_gan.metrics.record import DISTRIBUTION_BASES, RecordBook, Setting, metric_name
from sase_gan.metrics.reference import PictureSet, PreparedReference
from sase_gan.metrics.request import LPIPS_NET, Request, resolve
from sase_gan.metrics.suite import CopyPair, Evaluation, Provenance, base_record, check_sizes, set_verdicts

_VARIANTS: tuple[single_image.SifidVariant, ...] = ("sifid64", "sifid192")
_INCEPTION_SOURCES: tuple[tuple[str, single_image.InceptionSource, str], ...] = (
    ("inception", "fidelity", ""),
    ("inception-tv", "torchvision", "_tv"),
)


def evaluate_single(
    fakes: Tensor,
    reference: PreparedReference,
    protocol: Protocol | None = None,
    *,
    request: Request | None = None,
    fake_names: Sequence[str] | None = None,
    provenance: Provenance | None = None,
) -> Evaluation:
    """Measure pictures against the one picture that their generator learned from.

    Args:
        fakes: uint8 [F, 3, H, W].
        reference: of exactly one real picture, of the same size.
        protocol: for the record and the number of draws.
        request: what to compute.
        fake_names: one a fake.
        provenance: for the record.

    Raises:
        DataError: unequal sizes, no fakes, or more than one real.
    """
    protocol = protocol or Protocol()
    request = request or resolve(protocol, weights_dir=reference.weights_dir)
    provenance = provenance or Provenance()
    start = time.monotonic()
    pictures = PictureSet(fakes, fake_names)
    check_sizes(pictures, reference)
    work = _SingleEvaluator(pictures, reference, protocol, request)
    work.run()
    record = base_record(protocol, reference, pictures, provenance)
    record["metrics"] = work.book.metrics
    count = len(pictures)
    copying = Verdict("grey", "copying was not asked for", None, "Copying was not measured.")
    if work.rates is not None:
        flagged = int((work.rates >= single_image.COPY_RATE_LIMIT).sum())
        copying = verdicts.single_copying(flagged, count)
    quality = verdicts.single_quality(work.book.value("sifd_efflite0"))
    set_verdicts(record, copying, quality, verdicts.single_diversity(work.book.value("pixel_diversity"), count))
    record["seconds"] = round(time.monotonic() - start, 3)
    return Evaluation(record, copying=work.panel())


class _SingleEvaluator:
    def __init__(self, fakes: PictureSet, reference: PreparedReference, protocol: Protocol, request: Request) -> None:
        self.fakes = fakes
        self.real = reference.pictures.images[0]
        self.reference = reference
        self.request = request
        self.draws = protocol.bootstrap_draws
        self.book = RecordBook()
        self.rates: Tensor | None = None
        self.mirrored: list[bool] = []
        self.setting = Setting(
            n_real=1,
            n_fake=len(fakes),
            reference_set=f"picture {reference.pictures.digest[:16]}",
            image_size=fakes.image_size,
        )

    @cached_property
    def perceptual(self) -> EfficientNetLite0Loss:
        """The offline perceptual distance."""
        return EfficientNetLite0Loss().to(self.reference.device)

    def run(self) -> None:
        reason = "one picture has no covariance; distances between sets need more real pictures"
        for base in DISTRIBUTION_BASES[:2]:
            name = metric_name(base, "efflite0")
            if self.request.wants(name, "distribution"):
                self.book.miss(name, base, self.setting, "not_applicable", reason)
        if self.request.wants_group("single"):
            self.texture()
            self.sifid()
            self.patches()
            self.diversity()
            self.difference()
            self.distances()
            self.copies()

    def _per_fake(self, name: str, base: str, values: Tensor, setting: Setting, reason: str | None = None) -> None:
        if not self.request.wants(name, "single"):
            return
        std = values.std().item() if len(values) > 1 else None
        interval = mean_interval(values, "fakes", self.draws, lowest=0.0)
        self.book.add(name, base, values.mean().item(), setting, std=std, interval=interval, reason=reason)

    def texture(self) -> None:
        network = efficientnet_lite0(self.reference.device)
        extractor = self.reference.extractor("efflite0")
        setting = replace(
            self.setting,
            extractor="efflite0",
            layer="blocks.1",
            weights_sha256=extractor.weights_sha256,
            resize="none",
        )
        try:
            images = self.fakes.images.to(self.reference.device)
            values = single_image.sifd_efflite0(list(images), self.real.to(self.reference.device), network)
        except NotApplicable as error:
            self.book.miss("sifd_efflite0", "sifd", setting, "not_applicable", str(error))
            return
        self._per_fake("sifd_efflite0", "sifd", values, setting)

    def sifid(self) -> None:
        from sase_gan.errors import WeightsError
        from sase_gan.features import weights

        for weights_name, source, suffix in _INCEPTION_SOURCES:
            variants = [v for v in _VARIANTS if self.request.wants(f"{v}{suffix}", "single")]
            try:
                path = weights.find(weights_name, self.reference.weights_dir)
            except WeightsError:
                for variant in variants:
                    # Unasked, only the default is listed, so that a page is not full of what is not there.
                    if self.request.names is not None or variant == "sifid64":
                        self._skip(f"{variant}{suffix}", variant, f"weights missing: {weights_name}")
                continue
            network = _inception(source, str(path), self.reference.weights_dir).to(self.reference.device)
            for variant in variants:
                layer = "Conv2d_2b_3x3" if variant == "sifid64" else "Conv2d_4a_3x3"
                setting = replace(
                    self.setting,
                    extractor=weights_name,
                    layer=layer,
                    weights_sha256=weights.file_sha256(path),
                    resize="none",
                )
                images = self.fakes.images.to(self.reference.device)
                values = single_image.sifid(
                    list(images),
                    self.real.to(self.reference.device),
                    network,
                    variant,
                    source,
                )
                caution = single_image.size_warning(variant, *self.fakes.image_size)
                self._per_fake(f"{variant}{suffix}", variant, values, setting, caution)

    def _skip(self, name: str, base: str, reason: str) -> None:
        self.book.miss(name, base, self.setting, "skipped", reason)

    def patches(self) -> None:
        try:
            values = single_image.patch_swds(list(self.fakes.images), self.real)
        except NotApplicable as error:
            self.book.miss("single_patch_swd", "single_patch_swd", self.setting, "not_applicable", str(error))
            return
        self._per_fake("single_patch_swd", "single_patch_swd", values, self.setting)

    def diversity(self) -> None:
        count = len(self.fakes)
        if self.request.wants("pixel_diversity", "single"):
            self._pixel_diversity()
        pairs = diversity_pairs(min(count, 20))
        name = "perceptual_diversity_efflite0"
        if self.request.wants(name, "single"):
            extractor = self.reference.extractor("efflite0")
            setting = replace(
                self.setting,
                extractor="efflite0",
                layer="multi-level",
                weights_sha256=extractor.weights_sha256,
                resize="none",
                subset_size=len(pairs),
            )
            self._paired(name, "perceptual_diversity", self.perceptual, pairs, setting)
        if self.request.wants("lpips_diversity", "diversity"):
            if not self.request.lpips:
                self._skip("lpips_diversity", "lpips_diversity", f"weights missing: lpips-{LPIPS_NET}")
                return
            network = lpips_network(LPIPS_NET, self.reference.weights_dir, device=self.reference.device)
            setting = replace(self.setting, extractor=f"lpips-{LPIPS_NET}", layer="v0.1", subset_size=len(pairs))
            self._paired("lpips_diversity", "lpips_diversity", network, pairs, setting)

    def _paired(self, name: str, base: str, network: PerceptualDistance, pairs: Tensor, setting: Setting) -> None:
        if len(pairs) == 0:
            reason = "a pair needs two generated pictures; there is 1"
            self.book.miss(name, base, setting, "not_applicable", reason)
            return
        values = single_image.pair_distances(list(self.fakes.images), pairs, network)
        interval = mean_interval(values, "pairs", self.draws, lowest=0.0)
        self.book.add(name, base, values.mean().item(), setting, interval=interval)

    def _pixel_diversity(self) -> None:
        name = "pixel_diversity"
        if len(self.fakes) < 2:
            reason = "a deviation needs two generated pictures; there is 1"
            self.book.miss(name, name, self.setting, "not_applicable", reason)
            return
        try:
            value = pixel_diversity(self.fakes.images, self.real)
        except NotApplicable as error:
            self.book.miss(name, name, self.setting, "not_applicable", str(error))
            return
        self.book.add(name, name, value, self.setting, interval=self._diversity_interval())

    def _diversity_interval(self) -> Interval | None:
        indices = torch.arange(len(self.fakes))

        def statistic(rows: Tensor) -> Tensor:
            draws = [pixel_diversity(self.fakes.images[row.unique()], self.real) for row in rows]
            return torch.tensor(draws, dtype=torch.float64)

        return resampled_interval(indices, statistic, "fakes", min(self.draws, 20), lowest=0.0)

    def difference(self) -> None:
        name = "pixel_difference"
        try:
            values = single_image.pixel_differences(self.fakes.images, self.real)
        except NotApplicable as error:
            self.book.miss(name, name, self.setting, "not_applicable", str(error))
            return
        self._per_fake(name, name, values, self.setting)

    def distances(self) -> None:
        networks: list[tuple[str, str, PerceptualDistance, str]] = [
            ("distance_to_train_efflite0", "distance_to_train", self.perceptual, "efflite0")
        ]
        if self.request.wants("lpips_to_train", "single"):
            if self.request.lpips:
                lpips = lpips_network(LPIPS_NET, self.reference.weights_dir, device=self.reference.device)
                networks.append(("lpips_to_train", "lpips_to_train", lpips, f"lpips-{LPIPS_NET}"))
            else:
                self._skip("lpips_to_train", "lpips_to_train", f"weights missing: lpips-{LPIPS_NET}")
        for name, base, network, extractor in networks:
            if not self.request.wants(name, "single"):
                continue
            values = single_image.distances_to_train(list(self.fakes.images), self.real, network)
            setting = replace(self.setting, extractor=extractor, mirrors=True)
            self._per_fake(name, base, values, setting)

    def copies(self) -> None:
        if not (self.request.wants("copy_rate", "single") or self.request.wants_group("copying")):
            return
        found = [single_image.copy_rate(fake, self.real) for fake in self.fakes.images]
        self.rates = torch.tensor([item.rate for item in found], dtype=torch.float64)
        self.mirrored = [item.mirrored for item in found]
        self._per_fake("copy_rate", "copy_rate", self.rates, replace(self.setting, mirrors=True))

    def panel(self) -> list[CopyPair]:
        """The fakes with the highest copy rates; distances are those of 32-px thumbnails."""
        if self.rates is None:
            return []
        describe = PixelExtractor().describe
        rows = describe(self.fakes.images, ["pixels"])["pixels"]
        target = describe(torch.stack([self.real, self.real.flip(-1)]), ["pixels"])["pixels"]
        distances = torch.cdist(rows.double(), target.double()).min(1).values
        return [
            CopyPair(
                fake=self.fakes.order[index],
                nearest=0,
                second=0,
                mirrored=self.mirrored[index],
                distance=distances[index].item(),
                second_distance=distances[index].item(),
                loo=0.0,
                space="pixels",
            )
            for index in self.rates.argsort(descending=True, stable=True)[:16].tolist()
        ]


def _inception(source: str, path: str, weights_dir: Any) -> Any:
    if source == "fidelity":
        from sase_gan.metrics.fidelity import library_extractor

        return library_extractor("inception-v3-compat", ["2048"], path)
    from torchvision.models import inception_v3

    from sase_gan.features import weights

    with torch.random.fork_rng(devices=[]):
        network = inception_v3(weights=None, init_weights=False, transform_input=False)
    network.load_state_dict(weights.load_state_dict("inception-tv", weights_dir))
    return network.eval().requires_grad_(False)


SCENE_FIGURES = (
    *("sifd_efflite0", "sifid64", "sifid192", "sifid64_tv", "sifid192_tv", "pixel_diversity", "pixel_difference"),
    "single_patch_swd",
    *("distance_to_train_efflite0", "lpips_to_train", "copy_rate"),
)


def summarise_scenes(records: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Mean, median, deviation and count over scenes of each figure that was made, and the share of copied fakes."""
    table: dict[str, dict[str, float]] = {}
    for name in SCENE_FIGURES:
        values = [
            record["metrics"][name]["value"]
            for record in records
            if name in record["metrics"] and record["metrics"][name]["value"] is not None
        ]
        if values:
            items = torch.tensor(values, dtype=torch.float64)
            interval = mean_interval(items, "scenes", 200)
            table[name] = {
                "mean": items.mean().item(),
                "median": torch.quantile(items, 0.5).item(),
                "std": items.std(correction=1 if len(items) > 1 else 0).item(),
                "scenes": float(len(items)),
            }
            if interval is not None:
                table[name].update(low=interval.low, high=interval.high)
    return table
