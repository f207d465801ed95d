"""The suite for one picture measures what was made from it, in the same schema as sets; and sums up many scenes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from sase_gan.errors import WeightsError
from sase_gan.features import weights
from sase_gan.features.efficientnet_lite0 import efficientnet_lite0
from sase_gan.features.reconstruction import EfficientNetLite0Loss, PerceptualDistance
from sase_gan.metrics import single_image, verdicts
from sase_gan.metrics.book import NotApplicable, Setting
from sase_gan.metrics.bootstrap import Interval, mean_interval, resampled_interval
from sase_gan.metrics.catalogue import METRICS
from sase_gan.metrics.diversity import diversity_pairs, pixel_diversity
from sase_gan.metrics.extractors import PixelExtractor
from sase_gan.metrics.fidelity import library_extractor
from sase_gan.metrics.figures import Figure, figure, figures_of
from sase_gan.metrics.measuring import CopyMatch, Evaluation, Measurement, Provenance
from sase_gan.metrics.records import CopyPair, EvaluationRecord
from sase_gan.metrics.reference import PreparedReference
from sase_gan.metrics.region_search import Explained, RegionSearch
from sase_gan.metrics.regions import MOST_PICTURES, values_of
from sase_gan.metrics.request import LPIPS_NET, Protocol, Request
from sase_gan.metrics.suite import PANEL_SIZE, worst_patchworks
from sase_gan.progress import named

_INCEPTION_SOURCES: dict[str, single_image.InceptionSource] = {"inception": "fidelity", "inception-tv": "torchvision"}
_SIFID_LAYERS: dict[single_image.SifidVariant, str] = {"sifid64": "Conv2d_2b_3x3", "sifid192": "Conv2d_4a_3x3"}
_REGION_FIGURES = ("patchwork_share", "largest_region", "region_share", "region_count")
_MOST_IN_PAIRS = 20
"""Pairs are made of so many of the pictures."""


def evaluate_single(
    fakes: Tensor,
    reference: PreparedReference,
    protocol: Protocol | None = None,
    *,
    request: Request | None = None,
    fake_names: Sequence[str] | None = None,
    provenance: Provenance | None = None,
    regions: bool = True,
) -> Evaluation:
    """Measure pictures against the one picture that their generator learned from.

    Args:
        reference: of exactly one real picture, of the same size as the generated ones.
        fakes, protocol, request, fake_names, provenance, regions: as of `suite.evaluate`.

    Raises:
        DataError, WeightsError: as of `Measurement`.
    """
    work = Measurement(fakes, reference, protocol, request, fake_names)
    single = _Single(work)
    single.measure()
    if regions:
        single.regions()
    count = len(work.fakes)
    copying = verdicts.UNASKED_COPYING
    if single.copy_rates:
        copying = verdicts.single_copying(sum(rate.copied for rate in single.copy_rates), count)
    quality = verdicts.single_quality(work.book.value("sifd_efflite0"), count)
    diversity = verdicts.single_diversity(work.book.value("pixel_diversity"), count)
    record = work.record(provenance or Provenance(), (copying, quality, diversity))
    return Evaluation(record, single.most_copied(), regions=worst_patchworks(work, single.explained))


class _Single:
    """The figures of pictures made from one picture."""

    def __init__(self, work: Measurement) -> None:
        self.work = work
        self.fakes = work.fakes.images
        self.real = work.reference.pictures.images[0]
        self.copy_rates: list[single_image.CopyRate] = []
        self.explained: list[Explained] = []

    @cached_property
    def perceptual(self) -> EfficientNetLite0Loss:
        """The offline perceptual distance."""
        return EfficientNetLite0Loss().to(self.work.reference.device)

    def measure(self) -> None:
        """Note all figures that are wanted."""
        work = self.work
        reason = "one picture has no covariance; distances between sets need more real pictures"
        for distance in (figure("kid", "efflite0"), figure("fd", "efflite0")):
            if work.request.wants(distance):
                work.book.miss(distance, work.base_setting, "not_applicable", reason)
        if work.request.wants_group("single"):
            fakes, real, setting = self.fakes, self.real, work.base_setting
            self.texture()
            self.sifid()
            self._mean(figure("single_patch_swd"), setting, lambda: single_image.patch_swds(list(fakes), real))
            self.diversity()
            self._mean(figure("pixel_difference"), setting, lambda: single_image.pixel_differences(fakes, real))
            self.distances()
            self.copies()

    def _mean(self, found: Figure, setting: Setting, compute: Callable[[], Tensor], reason: str | None = None) -> None:
        """Note the mean of a value for each picture, where it is wanted."""
        work = self.work
        if not work.request.wants(found):
            return
        with work.attempt(found, setting=setting):
            values = compute()
            std = values.std().item() if len(values) > 1 else None
            interval = mean_interval(values, "fakes", work.draws, lowest=0.0)
            work.book.add(found, values.mean().item(), setting, std=std, interval=interval, reason=reason)

    def texture(self) -> None:
        """The distance of texture statistics on our own network."""
        device, setting = self.work.reference.device, self.work.setting("efflite0", "blocks.1", resize="none")

        def compute() -> Tensor:
            network = efficientnet_lite0(device)
            return single_image.sifd_efflite0(list(self.fakes.to(device)), self.real.to(device), network)

        self._mean(figure("sifd", "efflite0"), setting, compute)

    def sifid(self) -> None:
        """SIFID, the same distance on Inception, in two definitions and on two sets of weights."""
        work = self.work
        for network_name, source in _INCEPTION_SOURCES.items():
            found = {variant: figure(variant, network_name) for variant in _SIFID_LAYERS}
            found = {variant: item for variant, item in found.items() if work.request.wants(item)}
            try:
                path = weights.find(network_name, work.reference.weights_dir)
            except WeightsError:
                for variant, item in found.items():
                    # Unasked, only the default is listed, so that a page is not full of what is not there.
                    if work.request.names is not None or variant == "sifid64":
                        work.skip(item, network_name)
                continue
            if found:
                setting = replace(work.base_setting, weights_sha256=weights.file_sha256(path), resize="none")
                self._sifid_on(found, replace(setting, extractor=network_name), source)

    def _sifid_on(
        self, found: dict[single_image.SifidVariant, Figure], setting: Setting, source: single_image.InceptionSource
    ) -> None:
        device = self.work.reference.device
        network = _inception(source, self.work.reference.weights_dir).to(device)
        for variant, item in found.items():

            def compute(variant: single_image.SifidVariant = variant) -> Tensor:
                return single_image.sifid(list(self.fakes.to(device)), self.real.to(device), network, variant, source)

            warning = single_image.size_warning(variant, *self.work.fakes.image_size)
            self._mean(item, replace(setting, layer=_SIFID_LAYERS[variant]), compute, warning)

    def diversity(self) -> None:
        """How much the pictures differ from each other: pixel by pixel, to our own network and by LPIPS."""
        work = self.work
        self._pixel_diversity()
        pairs = diversity_pairs(min(len(self.fakes), _MOST_IN_PAIRS))
        own, lpips = figure("perceptual_diversity", "efflite0"), figure("lpips_diversity")
        if work.request.wants(own):
            setting = work.setting("efflite0", "multi-level", resize="none", subset_size=len(pairs))
            self._paired(own, self.perceptual, pairs, setting)
        if not work.request.lpips:
            work.skip(lpips)
        elif work.request.wants(lpips):
            setting = replace(work.base_setting, extractor=f"lpips-{LPIPS_NET}", layer="v0.1", subset_size=len(pairs))
            self._paired(lpips, work.lpips, pairs, setting)

    def _paired(self, found: Figure, network: PerceptualDistance, pairs: Tensor, setting: Setting) -> None:
        with self.work.attempt(found, setting=setting):
            if len(pairs) == 0:
                raise NotApplicable("a pair needs two generated pictures; there is 1")
            values = single_image.pair_distances(list(self.fakes), pairs, network)
            interval = mean_interval(values, "pairs", self.work.draws, lowest=0.0)
            self.work.book.add(found, values.mean().item(), setting, interval=interval)

    def _pixel_diversity(self) -> None:
        work, found = self.work, figure("pixel_diversity")
        if not work.request.wants(found):
            return
        with work.attempt(found, setting=work.base_setting):
            if len(self.fakes) < 2:
                raise NotApplicable("a deviation needs two generated pictures; there is 1")
            value = pixel_diversity(self.fakes, self.real)
            work.book.add(found, value, work.base_setting, interval=self._diversity_interval())

    def _diversity_interval(self) -> Interval | None:
        indices = torch.arange(len(self.fakes))

        def statistic(rows: Tensor) -> Tensor:
            draws = [pixel_diversity(self.fakes[row.unique()], self.real) for row in rows]
            return torch.tensor(draws, dtype=torch.float64)

        return resampled_interval(indices, statistic, "fakes", min(self.work.draws, 20), lowest=0.0)

    def distances(self) -> None:
        """Perceptual distances to the training picture, its mirror image and small shifts."""
        work = self.work
        lpips = figure("lpips_to_train")
        self._mean_distance(figure("distance_to_train", "efflite0"), "efflite0", lambda: self.perceptual)
        if work.request.lpips:
            self._mean_distance(lpips, f"lpips-{LPIPS_NET}", lambda: work.lpips)
        else:
            work.skip(lpips)

    def _mean_distance(self, found: Figure, extractor: str, network: Callable[[], PerceptualDistance]) -> None:
        setting = replace(self.work.base_setting, extractor=extractor, mirrors=True)
        self._mean(found, setting, lambda: single_image.distances_to_train(list(self.fakes), self.real, network()))

    def copies(self) -> None:
        """How much of each picture is taken from the training picture in one piece."""
        work, rate = self.work, figure("copy_rate")
        if not (work.request.wants(rate) or work.request.wants_group("copying")):
            return
        self.copy_rates = [single_image.copy_rate(fake, self.real) for fake in self.fakes]
        self._mean(rate, replace(work.base_setting, mirrors=True), self._rates)

    def _rates(self) -> Tensor:
        return torch.tensor([item.rate for item in self.copy_rates], dtype=torch.float64)

    def regions(self) -> None:
        """How much of each picture comes in regions of the training picture, moved or mirrored."""
        work = self.work
        wanted = [item for item in map(figure, _REGION_FIGURES) if work.request.wants(item)]
        if not wanted:
            return
        setting = replace(work.base_setting, n_fake=min(len(self.fakes), MOST_PICTURES), mirrors=True)
        with work.attempt(*wanted, setting=setting):
            progress = named(work.reference.progress, "regions of generated pictures")
            search = RegionSearch(self.real[None])
            self.explained = search.explain(self.fakes[:MOST_PICTURES], progress=progress)
            for item in wanted:
                values = values_of(self.explained, item.metric.base)
                interval = mean_interval(values, "fakes", work.draws, lowest=0.0)
                work.book.add(item, values.mean().item(), setting, interval=interval)

    def most_copied(self) -> list[CopyMatch]:
        """The pictures with the highest copy rates; distances are those of 32-px thumbnails."""
        if not self.copy_rates:
            return []
        describe = PixelExtractor().describe
        rows = describe(self.fakes, ["pixels"])["pixels"]
        target = describe(torch.stack([self.real, self.real.flip(-1)]), ["pixels"])["pixels"]
        distances = torch.cdist(rows.double(), target.double()).min(1).values.tolist()
        matches = []
        for index in self._rates().argsort(descending=True, stable=True)[:PANEL_SIZE].tolist():
            facts = {"distance": distances[index], "second_distance": distances[index], "loo": 0.0}
            pair = CopyPair(mirrored=self.copy_rates[index].mirrored, space="pixels", **facts)
            matches.append(CopyMatch(self.work.fakes.order[index], 0, 0, pair))
        return matches


def _inception(source: single_image.InceptionSource, weights_dir: Any) -> Any:
    if source == "fidelity":
        return library_extractor("inception-v3-compat", ["2048"], str(weights.find("inception", weights_dir)))
    from torchvision.models import inception_v3

    with torch.random.fork_rng(devices=[]):
        network = inception_v3(weights=None, init_weights=False, transform_input=False)
    network.load_state_dict(weights.load_state_dict("inception-tv", weights_dir))
    return network.eval().requires_grad_(False)


def scene_figures() -> list[str]:
    """List the names of the figures in the table over scenes, in its order."""
    metrics = sorted((metric for metric in METRICS if metric.in_scenes), key=lambda metric: metric.in_scenes or 0)
    return [found.name for metric in metrics for found in figures_of(metric)]


def summarise_scenes(records: Sequence[EvaluationRecord]) -> dict[str, dict[str, float]]:
    """Sum up each figure over scenes: mean, median, deviation and count."""
    table: dict[str, dict[str, float]] = {}
    for name in scene_figures():
        values = [value for record in records if (value := record.value(name)) is not None]
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
