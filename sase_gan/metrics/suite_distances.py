"""The figures of distance tell how far two sets of pictures are apart, in features of networks and in small patches.

Two distances lead. KID, the kernel distance, stays fair with few pictures. FD, the Fréchet distance between Gaussians
fitted to the features, is the field's FID where the network is Inception; it grows with fewer pictures.
"""

from dataclasses import replace
from typing import Literal

from sase_gan.metrics import fidelity, patches
from sase_gan.metrics.book import Level, Setting
from sase_gan.metrics.bootstrap import Interval, mean_interval
from sase_gan.metrics.catalogue import FEWEST_FOR_KID
from sase_gan.metrics.extractors import POOLED_ONLY
from sase_gan.metrics.figures import Figure, figure, figures_on
from sase_gan.metrics.measuring import Measurement


def measure_distribution(work: Measurement) -> None:
    """Note the distances between the sets on every feature network that was asked for."""
    for extractor in work.request.missing:
        for missing in figures_on(extractor):
            work.skip(missing, extractor)
    for extractor in work.request.extractors:
        pooled = _OnLayer(work, extractor, work.reference.extractor(extractor).pooled_layer)
        if extractor != "inception-fastgan":
            pooled.kernel("kid")
        pooled.frechet("fd", "fd_reference")
        if extractor in POOLED_ONLY:
            continue
        pooled.memorisation()
        pooled.precision_recall()
        pooled.density_coverage()
        pooled.nearest_neighbour()
        pooled.score()
        if extractor == "efflite0":
            mid = _OnLayer(work, extractor, "mid")
            mid.kernel("kid_mid")
            mid.frechet("fd_mid", "fd_mid_reference")


class _OnLayer:
    """The figures on one layer of one network."""

    def __init__(self, work: Measurement, extractor: str, layer: str) -> None:
        self.work = work
        self.extractor, self.layer = extractor, layer
        self.reals = work.reference.features(extractor, [layer])[layer]
        self.fakes = work.fake_rows(extractor, layer)
        self.setting = work.setting(extractor, layer)

    def level(self, kind: Literal["frechet", "kernel"]) -> Level | None:
        """What halves of the real pictures score on this layer."""
        return self.work.reference.level(kind, self.work.protocol.reference_splits, self.extractor, self.layer)

    def kernel(self, base: str) -> None:
        """Note KID."""
        work, found, fakes, reals = self.work, figure(base, self.extractor), self.fakes, self.reals
        if not work.request.wants(found):
            return
        size = min(work.protocol.kid_largest_subset, len(fakes), len(reals))
        setting = replace(self.setting, subset_size=size)
        with work.attempt(found, setting=setting):
            mean, std, _ = fidelity.kernel_distance(fakes, reals, subsets=work.protocol.kid_subsets, subset_size=size)
            interval = fidelity.kernel_interval(mean, fakes, reals, work.draws)
            level, caution = self.level("kernel"), _kid_caution(len(reals), size)
            work.book.add(found, mean, setting, std=std, interval=interval, level=level, reason=caution)

    def frechet(self, base: str, reference_base: str) -> None:
        """Note FD, and what halves of the real pictures score in it."""
        work, found, own = self.work, figure(base, self.extractor), figure(reference_base, self.extractor)
        level = self.level("frechet")
        if self.extractor in own.metric.networks and work.request.wants(own):
            _note_level(work, own, level, self.setting)
        if not work.request.wants(found):
            return
        with work.attempt(found, setting=self.setting):
            # The mid-level distance is ours alone, so it takes the faster of the two equal forms.
            distance = fidelity.frechet_distance_gram if base == "fd_mid" else fidelity.frechet_distance
            value = distance(self.fakes, self.reals)
            interval = fidelity.frechet_interval(value, self.fakes, self.reals, work.draws)
            work.book.add(found, value, self.setting, interval=interval, level=level)

    def memorisation(self) -> None:
        """Note FD, multiplied up for pictures that are near copies."""
        work, found, distance = self.work, figure("mifd", self.extractor), figure("fd", self.extractor)
        if not work.request.wants(found):
            return
        with work.attempt(found, setting=self.setting):
            value = work.book.value(distance.name)
            if value is None:
                value = fidelity.frechet_distance(self.fakes, self.reals)
            factor = fidelity.memorisation_penalty(self.fakes, self.reals)
            spread = work.book.interval(distance)
            spread = spread or fidelity.frechet_interval(value, self.fakes, self.reals, work.draws)
            interval = Interval(spread.low * factor, spread.high * factor, spread.description) if spread else None
            work.book.add(found, value * factor, self.setting, interval=interval)

    def precision_recall(self) -> None:
        """Note the shares of one set that lie among the pictures of the other."""
        work, fakes, reals, k = self.work, self.fakes, self.reals, self.work.protocol.precision_neighbours
        setting = replace(self.setting, neighbours=k)
        found = [figure(base, self.extractor) for base in ("precision", "recall")]
        if not any(work.request.wants(item) for item in found):
            return
        with work.attempt(*found, setting=setting):
            values = fidelity.precision_recall(fakes, reals, k)
            inside = (fidelity.inside_balls(fakes, reals, k).any(1), fidelity.inside_balls(reals, fakes, k).any(1))
            for item, value, items, what in zip(found, values, inside, ("fakes", "reals"), strict=True):
                interval = _around(value, mean_interval(items, what, work.draws, lowest=0, highest=1))
                work.book.add(item, value, setting, interval=interval)

    def density_coverage(self) -> None:
        """Note how crowded the generated pictures' places are with real ones, and how many of these are reached."""
        work, fakes, reals, k = self.work, self.fakes, self.reals, self.work.protocol.density_neighbours
        setting = replace(self.setting, neighbours=k)
        density, coverage = (figure(base, self.extractor) for base in ("density", "coverage"))
        if not any(work.request.wants(item) for item in (density, coverage)):
            return
        with work.attempt(density, coverage, setting=setting):
            found = fidelity.density_coverage(fakes, reals, k)
            over_fakes = mean_interval(found.per_fake, "fakes", work.draws, lowest=0)
            over_reals = mean_interval(found.per_real, "reals", work.draws, lowest=0, highest=1)
            work.book.add(density, found.density, setting, interval=over_fakes)
            level = Level(fidelity.expected_coverage(len(fakes), len(reals), k))
            work.book.add(coverage, found.coverage, setting, interval=over_reals, level=level)

    def nearest_neighbour(self) -> None:
        """Note whether the nearest neighbour tells real and generated apart."""
        work, found = self.work, figure("nn1_acc", self.extractor)
        if not work.request.wants(found):
            return
        with work.attempt(found, setting=self.setting):
            values = fidelity.nearest_neighbour_accuracy(self.fakes, self.reals)
            n = min(len(self.fakes), len(self.reals))
            mean = values.mean().item()
            # Draws share reals, so beside their spread stands that of a share of 2n pictures.
            deviation = values.std().item() if len(values) > 1 else 0.0
            spread = 1.96 * max(deviation, (mean * (1 - mean) / (2 * n)) ** 0.5)
            words = f"95 %, 1.96 deviations of a share of {2 * n} pictures, {len(values)} draws"
            interval = Interval(max(mean - spread, 0), min(mean + spread, 1), words)
            work.book.add(found, mean, replace(self.setting, subset_size=n), interval=interval)

    def score(self) -> None:
        """Note the Inception Score's formula, on networks that classify."""
        work, found = self.work, figure("is", self.extractor)
        layer = work.reference.extractor(self.extractor).logits_layer
        if layer is None or not work.request.wants(found):
            return
        logits = work.fake_rows(self.extractor, layer)
        # The literature's ten parts are for thousands of pictures; few pictures are one part.
        splits = 10 if len(logits) >= 5000 else 1
        setting = work.setting(self.extractor, layer, subset_size=len(logits) // splits)
        with work.attempt(found, setting=setting):
            value, std = fidelity.inception_score(logits, splits=splits)
            interval = fidelity.inception_score_interval(value, logits, work.draws)
            work.book.add(found, value, setting, std=std if splits > 1 else None, interval=interval)


def measure_patches(work: Measurement) -> None:
    """Note the distance between small patches: its mean, one for each scale, and its level."""
    mean, setting = figure("patch_swd"), work.setting()
    with work.attempt(mean, setting=setting):
        reals = work.reference.patches
        found = patches.patch_distance(patches.extract_patches(work.fakes.images), reals)
        level = work.reference.level("patches", min(work.protocol.reference_splits, 4))
        work.book.add(mean, found.mean, setting, interval=found.interval, level=level)
        for size, value in found.levels.items():
            at_scale = figure("patch_swd_level", scale=size)
            work.book.add(at_scale, value, setting, interval=found.level_intervals.get(size))
        _note_level(work, figure("patch_swd_reference"), level, setting)


def _note_level(work: Measurement, own: Figure, level: Level | None, setting: Setting) -> None:
    """Note what two random halves of the real pictures score."""
    setting = replace(setting, n_real=len(work.reference) // 2, n_fake=len(work.reference) // 2)
    if level is None:
        reason = f"halves need at least 4 real pictures; there are {len(work.reference)}"
        work.book.miss(own, setting, "not_applicable", reason)
    else:
        work.book.add(own, level.mean, setting, std=level.std, interval=level.interval)


def _around(value: float, interval: Interval | None) -> Interval | None:
    """Our own count's interval, widened to hold the library's value, which rounds differently at a ball's border."""
    if interval is None or interval.low <= value <= interval.high:
        return interval
    return Interval(min(interval.low, value), max(interval.high, value), interval.description)


def _kid_caution(reals: int, subset: int) -> str | None:
    if reals < FEWEST_FOR_KID:
        return f"unreliable with fewer than {FEWEST_FOR_KID} real pictures"
    if subset == reals:
        return "every subset holds all real pictures, so the deviation shows the generated pictures' variation only"
    return None
