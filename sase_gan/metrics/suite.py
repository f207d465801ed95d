"""From two sets of pictures to one record: every figure with its error bar, its provenance and its reason if missing.

The record's layout is schema 1 of `metrics.json`; a run keeps the same records as lines of `results.jsonl`. Figures do
not depend on the order of the pictures, nor (beyond rounding) on batch sizes.
"""

import datetime
import logging
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from typing import Any

import torch
from torch import Tensor

import sase_gan
from sase_gan.errors import DataError
from sase_gan.features.lpips import lpips_network
from sase_gan.metrics import diversity, fidelity, neighbours, patches, smoothness, verdicts
from sase_gan.metrics.applicable import NotApplicable
from sase_gan.metrics.bootstrap import Interval, mean_interval
from sase_gan.metrics.copy_spaces import SPACES, Space
from sase_gan.metrics.originality import CopyResult, Verdict, check_copying, check_holdout, joint_verdict
from sase_gan.metrics.protocol import Protocol
from sase_gan.metrics.record import RecordBook, Setting, metric_name
from sase_gan.metrics.reference import PictureSet, PreparedReference
from sase_gan.metrics.request import LPIPS_NET, Request, bases_of, resolve

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1
PANEL_SIZE = 16
EXTREMES = 8
HISTOGRAM_BINS = 24
_COPY_FIGURES = ("copy_share", "nn_ratio", "authpct")
_LEAST_RELIABLE_KID = 50
_PACKAGES = {"torch": "torch", "torchvision": "torchvision", "torch_fidelity": "torch-fidelity", "lpips": "lpips"}


@dataclass(frozen=True)
class CopyPair:
    """A fake beside its two nearest reals; indices into the sets as they were given to `evaluate`."""

    fake: int
    nearest: int
    second: int
    mirrored: bool
    distance: float
    second_distance: float
    loo: float
    space: Space


@dataclass(frozen=True)
class Ranked:
    """A fake and how far it is from its surroundings of reals."""

    fake: int
    distance: float


@dataclass
class Evaluation:
    """A record, and which pictures a report should show.

    Attributes:
        record: as in the schema; `pictures` is filled in when files are written.
        copying: the most suspicious fakes, first the worst.
        typical: fakes nearest to the reals.
        atypical: fakes farthest from the reals.
    """

    record: dict[str, Any]
    copying: list[CopyPair] = field(default_factory=list)
    typical: list[Ranked] = field(default_factory=list)
    atypical: list[Ranked] = field(default_factory=list)


@dataclass(frozen=True)
class Provenance:
    """What the record says beside the figures; all of it is the caller's knowledge.

    Args:
        command: to repeat the evaluation.
        data: of the reals: name, path_name, licence, mirror, jpeg_sources, holdout.
        fakes: of the fakes: source ("snapshot" or "folder"), name.
        model: of the snapshot, or None; `averaged` and `truncation` are read here, and `discriminator_extractor`, the
            name of a feature network that the discriminator was built on: pooled features then judge nothing. A feature
            network that only served the reconstruction loss (`extractor_used_in_training`) trains no generator.
        notes: what a reader should know about the pictures' files.
    """

    command: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    fakes: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] | None = None
    notes: Sequence[str] = ()


class _Evaluator:
    """One evaluation in progress."""

    def __init__(
        self,
        fakes: PictureSet,
        reference: PreparedReference,
        protocol: Protocol,
        request: Request,
        model: Mapping[str, Any],
    ) -> None:
        self.fakes = fakes
        self.reference = reference
        self.protocol = protocol
        self.request = request
        self.book = RecordBook()
        self.draws = protocol.bootstrap_draws
        self.copy_results: dict[Space, CopyResult] = {}
        self._features: dict[str, dict[str, Tensor]] = {}
        self.base_setting = Setting(
            n_real=len(reference),
            n_fake=len(fakes),
            reference_set=f"train {reference.pictures.digest[:16]}",
            image_size=fakes.image_size,
            averaged=model.get("averaged"),
            truncation=model.get("truncation"),
        )

    def setting(self, extractor: str | None = None, layer: str | None = None, **changes: Any) -> Setting:
        if extractor is None:
            return replace(self.base_setting, **changes)
        network = self.reference.extractor(extractor)
        return replace(
            self.base_setting,
            extractor=extractor,
            layer=layer or network.pooled_layer,
            weights_sha256=network.weights_sha256,
            resize=network.resize,
            **changes,
        )

    def extract_fakes(self, keep: bool) -> None:
        for name in self.request.extractors:
            network = self.reference.extractor(name)
            layers = [network.pooled_layer]
            if network.logits_layer and name != "inception-clean":
                layers.append(network.logits_layer)
            if name == "efflite0":
                layers.append("mid")
            self._features[name] = self._extract(name, layers, keep)
        if self.request.wants_group("copying"):
            self._features["pixels32"] = self._extract("pixels32", ["pixels"], keep)
        if "efflite0" not in self._features and self._needs_mid():
            self._features["efflite0"] = self._extract("efflite0", ["mid"], keep)

    def _needs_mid(self) -> bool:
        return any(self.request.wants_group(group) for group in ("copying", "diversity"))

    def _extract(self, extractor: str, layers: list[str], keep: bool) -> dict[str, Tensor]:
        reference = self.reference
        return reference.store.features(
            self.fakes.images,
            self.fakes.digest,
            reference.extractor(extractor),
            layers,
            batch_size=reference.batch_size,
            keep=keep,
            progress=reference.progress,
            what="generated pictures",
        )

    def fake_rows(self, extractor: str, layer: str) -> Tensor:
        return self._features[extractor][layer]

    def attempt(self, names: Sequence[tuple[str, str, Setting]], compute: Callable[[], None]) -> None:
        """Run `compute`; if it cannot, note why for each (name, base, setting) that it has not noted."""
        try:
            compute()
        except NotApplicable as error:
            self._miss(names, "not_applicable", str(error))
        except (ArithmeticError, RuntimeError, ValueError, IndexError) as error:
            # One figure that fails must not lose the others; the record and the report show the message.
            logger.warning("%s failed: %s", ", ".join(name for name, _, _ in names), error)
            self._miss(names, "failed", f"{type(error).__name__}: {error}")

    def _miss(self, names: Sequence[tuple[str, str, Setting]], status: Any, reason: str) -> None:
        for name, base, setting in names:
            if name not in self.book.metrics:
                self.book.miss(name, base, setting, status, reason)

    # --- distances on pooled features -------------------------------------------------------------------------------

    def distribution(self) -> None:
        for extractor in self.request.missing:
            if extractor.startswith("lpips"):
                continue
            for base in bases_of(extractor):
                self._skip(metric_name(base, extractor), base, f"weights missing: {extractor}", "distribution")
        for extractor in self.request.extractors:
            layer = self.reference.extractor(extractor).pooled_layer
            reals = self.reference.features(extractor, [layer])[layer]
            fakes = self.fake_rows(extractor, layer)
            setting = self.setting(extractor)
            self._kernel(extractor, "kid", fakes, reals, setting)
            self._frechet(extractor, "fd", "fd_reference", fakes, reals, setting)
            if extractor == "inception-clean":
                continue
            self._memorisation(extractor, fakes, reals, setting)
            self._precision_recall(extractor, fakes, reals, setting)
            self._density_coverage(extractor, fakes, reals, setting)
            self._nearest_neighbour(extractor, fakes, reals, setting)
            self._score(extractor)
            if extractor == "efflite0":
                reals, fakes = self.reference.features("efflite0", ["mid"])["mid"], self.fake_rows("efflite0", "mid")
                setting = self.setting("efflite0", "mid")
                self._kernel("efflite0", "kid_mid", fakes, reals, setting)
                self._frechet("efflite0", "fd_mid", "fd_mid_reference", fakes, reals, setting)

    def _skip(self, name: str, base: str, reason: str, group: str) -> None:
        if self.request.wants(name, group):
            self.book.miss(name, base, self.base_setting, "skipped", reason)

    def _kernel(self, extractor: str, base: str, fakes: Tensor, reals: Tensor, setting: Setting) -> None:
        name = metric_name(base, extractor)
        if not self.request.wants(name, "distribution"):
            return
        size = min(self.protocol.kid_largest_subset, len(fakes), len(reals))
        setting = replace(setting, subset_size=size)

        def compute() -> None:
            found = fidelity.kernel_distance(fakes, reals, subsets=self.protocol.kid_subsets, subset_size=size)
            level = self.reference.kernel_level(extractor, str(setting.layer), self.protocol.reference_splits)
            self.book.add(
                name,
                base,
                found.mean,
                setting,
                std=found.std,
                interval=fidelity.kernel_interval(found.mean, fakes, reals, self.draws),
                baseline=level.mean if level else None,
                baseline_std=level.std if level else None,
                reason=_kid_caution(len(reals), size),
            )

        self.attempt([(name, base, setting)], compute)

    def _frechet(
        self, extractor: str, base: str, reference_base: str, fakes: Tensor, reals: Tensor, setting: Setting
    ) -> None:
        name, reference_name = metric_name(base, extractor), metric_name(reference_base, extractor)
        level = None
        if len(reals) >= 4:
            level = self.reference.frechet_level(extractor, str(setting.layer), self.protocol.reference_splits)
        if extractor != "inception-clean" and self.request.wants(reference_name, "distribution"):
            self._reference_level(reference_name, reference_base, level, setting)
        if not self.request.wants(name, "distribution"):
            return

        def compute() -> None:
            # The mid-level distance is ours alone, so it takes the faster of the two equal forms.
            distance = fidelity.frechet_distance_gram if base == "fd_mid" else fidelity.frechet_distance
            value = distance(fakes, reals)
            self.book.add(
                name,
                base,
                value,
                setting,
                interval=fidelity.frechet_interval(value, fakes, reals, self.draws),
                baseline=level.mean if level else None,
                baseline_std=level.std if level else None,
            )

        self.attempt([(name, base, setting)], compute)

    def _reference_level(self, name: str, base: str, level: Any, setting: Setting) -> None:
        setting = replace(setting, n_real=len(self.reference) // 2, n_fake=len(self.reference) // 2)
        if level is None:
            reason = f"halves need at least 4 real pictures; there are {len(self.reference)}"
            self.book.miss(name, base, setting, "not_applicable", reason)
            return
        words = f"95 %, {len(level.values)} random splits"
        low, high = torch.quantile(level.values, torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
        self.book.add(name, base, level.mean, setting, std=level.std, interval=Interval(low, high, words))

    def _memorisation(self, extractor: str, fakes: Tensor, reals: Tensor, setting: Setting) -> None:
        name, distance = metric_name("mifd", extractor), self.book.value(metric_name("fd", extractor))
        if not self.request.wants(name, "distribution"):
            return

        def compute() -> None:
            value = distance if distance is not None else fidelity.frechet_distance(fakes, reals)
            factor = fidelity.memorisation_penalty(fakes, reals)
            interval = self._scaled(self.book.metrics.get(metric_name("fd", extractor)), factor)
            if interval is None and (spread := fidelity.frechet_interval(value, fakes, reals, self.draws)) is not None:
                interval = Interval(spread.low * factor, spread.high * factor, spread.description)
            self.book.add(name, "mifd", value * factor, setting, interval=interval)

        self.attempt([(name, "mifd", setting)], compute)

    def _scaled(self, entry: Mapping[str, Any] | None, factor: float) -> Interval | None:
        if entry is None or entry["low"] is None:
            return None
        return Interval(entry["low"] * factor, entry["high"] * factor, entry["interval"])

    def _precision_recall(self, extractor: str, fakes: Tensor, reals: Tensor, setting: Setting) -> None:
        k = self.protocol.precision_neighbours
        setting = replace(setting, neighbours=k)
        names = [metric_name(base, extractor) for base in ("precision", "recall")]
        if not any(self.request.wants(name, "distribution") for name in names):
            return

        def compute() -> None:
            values = fidelity.precision_recall(fakes, reals, k)
            inside = (fidelity.inside_balls(fakes, reals, k) > 0, fidelity.inside_balls(reals, fakes, k) > 0)
            for name, base, value, items, what in zip(
                names, ("precision", "recall"), values, inside, ("fakes", "reals"), strict=True
            ):
                interval = _around(value, mean_interval(items, what, self.draws, lowest=0, highest=1))
                self.book.add(name, base, value, setting, interval=interval)

        self.attempt([(names[0], "precision", setting), (names[1], "recall", setting)], compute)

    def _density_coverage(self, extractor: str, fakes: Tensor, reals: Tensor, setting: Setting) -> None:
        k = self.protocol.density_neighbours
        setting = replace(setting, neighbours=k)
        density, coverage = (metric_name(base, extractor) for base in ("density", "coverage"))
        if not any(self.request.wants(name, "distribution") for name in (density, coverage)):
            return

        def compute() -> None:
            found = neighbours.density_coverage(fakes, reals, k)
            over_fakes = mean_interval(found.per_fake, "fakes", self.draws, lowest=0)
            over_reals = mean_interval(found.per_real, "reals", self.draws, lowest=0, highest=1)
            self.book.add(density, "density", found.density, setting, interval=over_fakes)
            level = neighbours.expected_coverage(len(fakes), len(reals), k)
            self.book.add(coverage, "coverage", found.coverage, setting, interval=over_reals, baseline=level)

        self.attempt([(density, "density", setting), (coverage, "coverage", setting)], compute)

    def _nearest_neighbour(self, extractor: str, fakes: Tensor, reals: Tensor, setting: Setting) -> None:
        name = metric_name("nn1_acc", extractor)
        if not self.request.wants(name, "distribution"):
            return

        def compute() -> None:
            values = neighbours.nearest_neighbour_accuracy(fakes, reals)
            n = min(len(fakes), len(reals))
            mean = values.mean().item()
            # Draws share reals, so beside their spread stands that of a share of 2n pictures.
            deviation = values.std().item() if len(values) > 1 else 0.0
            spread = 1.96 * max(deviation, (mean * (1 - mean) / (2 * n)) ** 0.5)
            words = f"95 %, 1.96 deviations of a share of {2 * n} pictures, {len(values)} draws"
            interval = Interval(max(mean - spread, 0), min(mean + spread, 1), words)
            self.book.add(name, "nn1_acc", mean, replace(setting, subset_size=n), interval=interval)

        self.attempt([(name, "nn1_acc", setting)], compute)

    def _score(self, extractor: str) -> None:
        layer = self.reference.extractor(extractor).logits_layer
        name = metric_name("is", extractor)
        if layer is None or not self.request.wants(name, "distribution"):
            return
        logits = self.fake_rows(extractor, layer)
        # The literature's ten parts are for thousands of pictures; few pictures are one part.
        splits = 10 if len(logits) >= 5000 else 1
        setting = self.setting(extractor, layer, subset_size=len(logits) // splits)

        def compute() -> None:
            value, std = fidelity.inception_score(logits, splits=splits)
            interval = fidelity.inception_score_interval(value, logits, self.draws)
            self.book.add(name, "is", value, setting, std=std if splits > 1 else None, interval=interval)

        self.attempt([(name, "is", setting)], compute)

    # --- patches ----------------------------------------------------------------------------------------------------

    def patch_distances(self) -> None:
        setting = self.setting(layer=None)

        def compute() -> None:
            reals = self.reference.patches
            found = patches.patch_distance(patches.extract_patches(self.fakes.images), reals)
            level = self.reference.patch_level(min(self.protocol.reference_splits, 4))
            base = level.mean if level else None
            base_std = level.std if level else None
            self.book.add(
                "patch_swd",
                "patch_swd",
                found.mean,
                setting,
                interval=found.interval,
                baseline=base,
                baseline_std=base_std,
            )
            for size, value in found.levels.items():
                interval = found.level_intervals.get(size)
                self.book.add(f"patch_swd_{size}", "patch_swd_level", value, setting, interval=interval)
            self._reference_level("patch_swd_reference", "patch_swd_reference", level, setting)

        self.attempt([("patch_swd", "patch_swd", setting)], compute)

    # --- copying ----------------------------------------------------------------------------------------------------

    def copying(self, holdout: Tensor | None) -> Verdict:
        for space in SPACES:
            self._copying_in(space)
        if holdout is not None and "mid" in self.copy_results:
            self._holdout(holdout)
        if not self.copy_results:
            reason = "the copying check needs a generated and two training pictures"
            return Verdict("grey", "not measured", None, f"Copying was not measured: {reason}.")
        return joint_verdict(self.copy_results)

    def _copying_in(self, space: Space) -> None:
        extractor, layer = ("efflite0", "mid") if space == "mid" else ("pixels32", "pixels")
        suffix = "" if space == "mid" else "_pixels"
        setting = self.setting(extractor, layer, mirrors=True)
        names = [(f"{figure}{suffix}", f"{figure}{suffix}", setting) for figure in _COPY_FIGURES]

        def compute() -> None:
            reference = self.reference.copying(space)
            result = check_copying(self.fake_rows(extractor, layer), reference, space=space, draws=self.draws)
            self.copy_results[space] = result
            for figure in _COPY_FIGURES:
                if not self.request.wants(f"{figure}{suffix}", "copying"):
                    continue
                honest = result.honest
                self.book.add(
                    f"{figure}{suffix}",
                    f"{figure}{suffix}",
                    getattr(result.scores, figure),
                    setting,
                    interval=result.intervals.get(figure),
                    baseline=getattr(honest.mean, figure) if honest else None,
                    baseline_std=getattr(honest.std, figure) if honest else None,
                )

        self.attempt(names, compute)

    def _holdout(self, images: Tensor) -> None:
        setting = self.setting("efflite0", "mid", mirrors=True)
        reference = self.reference
        held = PictureSet(images)
        rows = reference.store.features(
            held.images, held.digest, reference.extractor("efflite0"), ["mid"], batch_size=reference.batch_size
        )["mid"]
        distance = self.copy_results["mid"].nearest.distance
        result = check_holdout(distance, rows, reference.copying("mid"), draws=self.draws)
        note = f"{result.n} held-out pictures"
        self.book.add(
            "holdout_nearer_share",
            "holdout_nearer_share",
            result.nearer_share,
            setting,
            interval=result.interval,
            baseline=0.5,
            reason=note,
        )
        self.book.add("holdout_nn_ratio", "holdout_nn_ratio", result.nn_ratio, setting, baseline=1.0, reason=note)

    # --- diversity and smoothness -----------------------------------------------------------------------------------

    def diversity(self) -> None:
        setting = self.setting("efflite0", "mid")
        fakes, reals = self.fake_rows("efflite0", "mid"), self.reference.features("efflite0", ["mid"])["mid"]
        clusters = torch.cdist(fakes.double(), reals.double()).argmin(1)

        def overall() -> None:
            found = diversity.relative_diversity(fakes, reals, self.draws)
            self.book.add("div_efflite0", "div", found.value, setting, interval=found.interval, baseline=1.0)

        def within() -> None:
            found = diversity.relative_diversity_within(fakes, reals, clusters, self.draws)
            if found is None:
                raise NotApplicable("No two generated pictures share their nearest real picture.")
            self.book.add("div_within_efflite0", "div_within", found.value, setting, interval=found.interval)

        if self.request.wants("div_efflite0", "diversity"):
            self.attempt([("div_efflite0", "div", setting)], overall)
        if self.request.wants("div_within_efflite0", "diversity"):
            self.attempt([("div_within_efflite0", "div_within", setting)], within)
        self._lpips(clusters)

    def diversity_verdict(self) -> Verdict:
        coverage = self.book.metrics.get("coverage_efflite0")
        return verdicts.diversity_verdict(self.book.value, coverage["baseline"] if coverage else None)

    def _lpips(self, clusters: Tensor) -> None:
        both = ("lpips_diversity", "lpips_diversity_within")
        names = [name for name in both if self.request.wants(name, "diversity")]
        if not names:
            return
        if not self.request.lpips:
            for name in names:
                self._skip(name, name, f"weights missing: lpips-{LPIPS_NET}", "diversity")
            return
        network = lpips_network(LPIPS_NET, self.reference.weights_dir, device=self.reference.device)
        setting = replace(self.base_setting, extractor=f"lpips-{LPIPS_NET}", layer="v0.1", resize="none")
        for name in names:
            within = name.endswith("within")
            pairs = diversity.pairs_within(clusters) if within else diversity.diversity_pairs(len(self.fakes))

            def compute(name: str = name, pairs: Tensor = pairs) -> None:
                found = diversity.lpips_diversity(self.fakes.images, pairs, network, draws=self.draws)
                if found is None:
                    raise NotApplicable("There is no pair of generated pictures to compare.")
                chosen = replace(setting, subset_size=len(pairs))
                self.book.add(name, name, found.value, chosen, interval=found.interval)

            self.attempt([(name, name, setting)], compute)

    def smoothness(self, walks: Tensor) -> list[float]:
        """Figures of walks uint8 [W, K, 3, H, W]; returns the steps of the first."""
        setting = self.setting("efflite0", "mid", subset_size=walks.shape[1])
        names = ("smoothness_path", "smoothness_evenness", "smoothness_largest_step", "smoothness_detour")
        steps: list[float] = []

        def compute() -> None:
            flat = walks.flatten(0, 1)
            extractor = self.reference.extractor("efflite0")
            rows = [extractor.describe(batch, ["mid"])["mid"] for batch in flat.split(self.reference.batch_size)]
            described = torch.cat(rows).view(*walks.shape[:2], -1).cpu()
            found = smoothness.walk_smoothness(described, self.draws)
            steps.extend(found.steps[0].tolist())
            share = 1 / (walks.shape[1] - 1)
            path = smoothness.path_length(described[:, :-1].flatten(0, 1), described[:, 1:].flatten(0, 1), share)
            path_interval = mean_interval((found.steps / share).square().mean(1), "walks", self.draws, lowest=0.0)
            for name, value, interval in zip(
                names,
                (path, found.evenness, found.largest_step, found.detour),
                (path_interval, found.evenness_interval, found.largest_interval, found.detour_interval),
                strict=True,
            ):
                self.book.add(metric_name(name, "efflite0"), name, value, setting, interval=interval)

        with torch.inference_mode():
            self.attempt([(metric_name(name, "efflite0"), name, setting) for name in names], compute)
        return steps


def _around(value: float, interval: Interval | None) -> Interval | None:
    """Our own count's interval, widened to hold the library's value, which rounds differently at a ball's border."""
    if interval is None or interval.low <= value <= interval.high:
        return interval
    return Interval(min(interval.low, value), max(interval.high, value), interval.description)


def _kid_caution(reals: int, subset: int) -> str | None:
    if reals < _LEAST_RELIABLE_KID:
        return f"unreliable with fewer than {_LEAST_RELIABLE_KID} real pictures"
    if subset == reals:
        return "every subset holds all real pictures, so the deviation shows the generated pictures' variation only"
    return None


def evaluate(
    fakes: Tensor,
    reference: PreparedReference,
    protocol: Protocol | None = None,
    *,
    request: Request | None = None,
    fake_names: Sequence[str] | None = None,
    holdout: Tensor | None = None,
    walks: Tensor | None = None,
    provenance: Provenance | None = None,
    keep_fakes: bool = False,
) -> Evaluation:
    """Measure generated pictures against real ones.

    Args:
        fakes: uint8 [F, 3, H, W].
        reference: the reals, of the same size.
        protocol: settings; "quick" by default.
        request: what to compute, from `request.resolve`; by default all that the protocol names.
        fake_names: one a fake.
        holdout: real pictures that the generator was not trained on, uint8, of the same size.
        walks: pictures along walks between latents, uint8 [W, K, 3, H, W].
        provenance: for the record.
        keep_fakes: whether the fakes' features go into the reference's store too.

    Returns:
        The evaluation. A figure that cannot be made has a status and a reason; nothing is NaN.

    Raises:
        DataError: no pictures, or unequal sizes.
        WeightsError: with `request` left out, when the protocol needs files that are missing.
    """
    protocol = protocol or Protocol()
    request = request or resolve(protocol, weights_dir=reference.weights_dir)
    provenance = provenance or Provenance()
    model = provenance.model or {}
    start = time.monotonic()
    pictures = PictureSet(fakes, fake_names)
    check_sizes(pictures, reference)
    work = _Evaluator(pictures, reference, protocol, request, model)
    wants = request.wants_group
    reference.prepare(request.extractors, copying=wants("copying") and len(reference) > 1)
    work.extract_fakes(keep_fakes)
    extracted = time.monotonic()
    if wants("distribution"):
        work.distribution()
    if wants("patches"):
        work.patch_distances()
    copying = Verdict("grey", "copying was not asked for", None, "Copying was not measured.")
    if wants("copying"):
        copying = work.copying(holdout)
    if wants("diversity"):
        work.diversity()
    steps = work.smoothness(walks) if walks is not None and wants("smoothness") else []
    spaces = verdicts.quality_by_space(work.book.value, pooled_counts=model.get("discriminator_extractor") is None)
    record = base_record(protocol, reference, pictures, provenance)
    record["metrics"] = work.book.metrics
    set_verdicts(record, copying, verdicts.quality_verdict(spaces), work.diversity_verdict())
    record["disagreement"] = verdicts.disagreement(spaces)
    record["histograms"] = _histograms(work.copy_results, reference)
    record["walk_steps"] = steps
    end = time.monotonic()
    record["seconds"] = round(end - start, 3)
    record["timing"] = {"features": round(extracted - start, 3), "figures": round(end - extracted, 3)}
    evaluation = Evaluation(record, copying=_panel(work, reference))
    evaluation.typical, evaluation.atypical = _extremes(work, reference)
    return evaluation


def check_sizes(fakes: PictureSet, reference: PreparedReference) -> None:
    """Refuse empty sets and unequal sizes with DataError."""
    if len(fakes) == 0 or len(reference) == 0:
        raise DataError(
            f"There are {len(fakes)} generated and {len(reference)} real pictures; at least one of each is required."
        )
    if fakes.image_size != reference.pictures.image_size:
        (height, width), (other_height, other_width) = fakes.image_size, reference.pictures.image_size
        raise DataError(
            f"The generated pictures are {width} x {height} and the real ones {other_width} x {other_height}; both "
            "must be prepared at one size."
        )


def base_record(
    protocol: Protocol, reference: PreparedReference, fakes: PictureSet, provenance: Provenance
) -> dict[str, Any]:
    """A record without figures: schema, time, versions, and what was measured."""
    data = {"name": "reals", "path_name": None, "licence": None, "mirror": False, "jpeg_sources": 0, "holdout": 0}
    return {
        "schema_version": SCHEMA_VERSION,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds": 0.0,
        "timing": {},
        "command": provenance.command,
        "protocol": protocol.to_record(),
        "versions": versions(),
        "device": str(reference.device),
        "precision": "fp32",
        "data": {
            **data,
            **provenance.data,
            "digest": reference.pictures.digest,
            "n": len(reference),
            "image_size": list(reference.pictures.image_size),
        },
        "fakes": {
            "source": "folder",
            "name": "fakes",
            **provenance.fakes,
            "n": len(fakes),
            "image_size": list(fakes.image_size),
            "digest": fakes.digest,
        },
        "model": dict(provenance.model) if provenance.model is not None else None,
        "metrics": {},
        "verdict": {},
        "verdict_rules": {},
        "disagreement": None,
        "notes": list(provenance.notes),
        "pictures": {},
        "histograms": {},
        "curves": None,
    }


def set_verdicts(record: dict[str, Any], copying: Verdict, quality: Verdict, diversity_: Verdict) -> None:
    """Write three verdicts, and why, into a record."""
    for topic, verdict in (("copying", copying), ("quality", quality), ("diversity", diversity_)):
        record["verdict"][topic] = verdict.colour
        record["verdict_rules"][topic] = {"rule": verdict.rule, "number": verdict.number, "text": verdict.text}


def versions() -> dict[str, str | None]:
    """Versions of everything that makes figures."""
    found: dict[str, str | None] = {
        "sase_gan": sase_gan.__version__,
        "commit": None,
        "python": platform.python_version(),
    }
    for key, package in {**_PACKAGES, "timm": "timm"}.items():
        try:
            found[key] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[key] = None
    return found


def _histograms(results: Mapping[Space, CopyResult], reference: PreparedReference) -> dict[str, Any]:
    out = {}
    for space, result in results.items():
        own = reference.copying(space).own_nearest
        highest = max(own.max().item(), result.nearest.distance.max().item()) or 1.0
        bins = torch.linspace(0, highest, HISTOGRAM_BINS + 1, dtype=torch.float64)
        counts = [torch.histc(x, HISTOGRAM_BINS, 0, highest) / len(x) for x in (result.nearest.distance, own)]
        out["copying" if space == "mid" else f"copying_{space}"] = {
            "bins": [round(edge, 4) for edge in bins.tolist()],
            "fake_to_train": counts[0].tolist(),
            "train_to_train": counts[1].tolist(),
        }
    return out


def _panel(work: _Evaluator, reference: PreparedReference) -> list[CopyPair]:
    """The most suspicious fakes, each in the space in which it is nearer."""
    if not work.copy_results:
        return []
    spaces = list(work.copy_results)
    relative = torch.stack([work.copy_results[space].relative for space in spaces])
    lowest, which = relative.min(0)
    pairs = []
    for fake in lowest.argsort(stable=True)[:PANEL_SIZE].tolist():
        space = spaces[int(which[fake])]
        nearest = work.copy_results[space].nearest
        first, second = int(nearest.first[fake]), int(nearest.second[fake])
        pairs.append(
            CopyPair(
                fake=work.fakes.order[fake],
                nearest=reference.pictures.order[first],
                second=reference.pictures.order[second],
                mirrored=bool(nearest.mirrored[fake]),
                distance=nearest.distance[fake].item(),
                second_distance=nearest.second_distance[fake].item(),
                loo=reference.copying(space).own_nearest[first].item(),
                space=space,
            )
        )
    return pairs


def _extremes(work: _Evaluator, reference: PreparedReference) -> tuple[list[Ranked], list[Ranked]]:
    """Fakes nearest to and farthest from their five nearest reals on pooled features."""
    if "efflite0" not in work.request.extractors:
        return [], []
    reals, fakes = reference.features("efflite0", ["pooled"])["pooled"], work.fake_rows("efflite0", "pooled")
    k = min(neighbours.NEIGHBOURS, len(reals))
    distance = torch.cdist(fakes.double(), reals.double()).topk(k, largest=False).values.mean(1)
    order = distance.argsort(stable=True).tolist()
    ranked = [Ranked(work.fakes.order[index], distance[index].item()) for index in order]
    count = min(EXTREMES, len(ranked) // 2)
    return ranked[:count], ranked[::-1][:count]
