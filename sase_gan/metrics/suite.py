"""The suite makes of two sets of pictures one record: figures with error bar and provenance, or the reason why not.

Figures do not depend on the order of the pictures, nor (beyond rounding) on batch sizes. Copying comes before all other
figures, because a generator that repeats its training pictures has the best distances of all; `originality` has the
method and its calibration.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from sase_gan.metrics import verdicts
from sase_gan.metrics.book import Level, NotApplicable
from sase_gan.metrics.bootstrap import mean_interval
from sase_gan.metrics.by_class import ClassLabels, measure_classes
from sase_gan.metrics.catalogue import SPACES, Space
from sase_gan.metrics.diversity import (
    Estimate,
    diversity_pairs,
    lpips_diversity,
    pairs_within,
    path_length,
    relative_diversity,
    relative_diversity_within,
    walk_smoothness,
)
from sase_gan.metrics.fidelity import NEIGHBOURS
from sase_gan.metrics.figures import figure, figures_in, figures_in_group
from sase_gan.metrics.measuring import CopyMatch, Evaluation, Measurement, Provenance, Ranked, RegionMatch
from sase_gan.metrics.originality import CopyResult, check_copying, check_holdout
from sase_gan.metrics.records import CopyPair, Histogram
from sase_gan.metrics.reference import LAYERS_OF_SPACES, PictureSet, PreparedReference
from sase_gan.metrics.region_search import Explained
from sase_gan.metrics.regions import MOST_PICTURES, RegionResult, check_regions, estimate_of, values_of
from sase_gan.metrics.request import LPIPS_NET, Protocol, Request
from sase_gan.metrics.suite_distances import measure_distribution, measure_patches
from sase_gan.metrics.verdicts import Verdict
from sase_gan.progress import named

PANEL_SIZE = 16
HISTOGRAM_BINS = 24
EXTREMES = 8
PATCHWORKS = 9

Copies = Mapping[Space, CopyResult]


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
    regions: bool = True,
    labels: ClassLabels | None = None,
) -> Evaluation:
    """Measure generated pictures against real ones.

    Args:
        fakes: the generated pictures, uint8 [F, 3, H, W].
        reference: the real ones, of the same size.
        protocol, request, fake_names: as of `Measurement`.
        holdout: real pictures that the generator was not trained on, uint8, of the same size.
        walks: pictures along walks between latents, uint8 [W, K, 3, H, W].
        provenance: for the record.
        keep_fakes: whether the generated pictures' features go into the reference's store too.
        regions: whether regions of training pictures are looked for, which takes about 0.05 CPU seconds a picture.
        labels: the classes of all pictures, for figures by class.

    Returns:
        The evaluation. A figure that cannot be made has a status and a reason; nothing is NaN.

    Raises:
        DataError, WeightsError: as of `Measurement`.
    """
    provenance = provenance or Provenance()
    work = Measurement(fakes, reference, protocol, request, fake_names, provenance.model)
    wants = work.request.wants_group
    reference.prepare(work.request.extractors, copying=wants("copying") and len(reference) > 1)
    work.extract_fakes(keep=keep_fakes)
    extracted = time.monotonic()
    if wants("distribution"):
        measure_distribution(work)
    if wants("patches"):
        measure_patches(work)
    copies = _measure_copying(work, holdout) if wants("copying") else {}
    found = _measure_regions(work) if regions and wants("regions") else None
    if wants("diversity"):
        _measure_diversity(work)
        _measure_lpips(work)
    steps = _measure_smoothness(work, walks) if walks is not None and wants("smoothness") else ()
    more = {} if labels is None else {"classes": measure_classes(work, labels, holdout)}
    times = {"features": extracted - work.started, "figures": time.monotonic() - extracted}
    value, model = work.book.value, provenance.model
    spaces = verdicts.quality_by_space(value, pooled_counts=model is None or model.discriminator_extractor is None)
    record = work.record(
        provenance,
        (
            _copying_verdict(work, copies),
            _with_enough(work, "quality", verdicts.quality_verdict(spaces)),
            _with_enough(work, "diversity", _diversity_verdict(work)),
        ),
        patchwork=found.verdict if found else None,
        timing={key: round(seconds, 3) for key, seconds in times.items()},
        disagreement=verdicts.disagreement(spaces),
        histograms=_copy_histograms(copies, reference),
        walk_steps=steps,
        **more,
    )
    patchworks = worst_patchworks(work, found.explained) if found else ()
    return Evaluation(record, _most_suspicious(work, copies), *_extremes(work), patchworks)


def _copying_verdict(work: Measurement, copies: Copies) -> Verdict:
    if not work.request.wants_group("copying"):
        return verdicts.UNASKED_COPYING
    if not copies:
        reason = "the copying check needs a generated and two training pictures"
        return Verdict("grey", "not measured", None, f"Copying was not measured: {reason}.")
    return verdicts.joint_verdict([result.verdict for result in copies.values()])


def _diversity_verdict(work: Measurement) -> Verdict:
    coverage = work.book.metrics.get("coverage_efflite0")
    return verdicts.diversity_verdict(work.book.value, coverage.baseline if coverage else None)


def _with_enough(work: Measurement, topic: str, verdict: Verdict) -> Verdict:
    """Take the colour from a verdict on too few pictures: chance alone would give it."""
    reals, fakes = len(work.reference.pictures.images), len(work.fakes.images)
    if verdict.colour == "grey" or (reals >= verdicts.LEAST_REALS and fakes >= verdicts.LEAST_FAKES):
        return verdict
    rule = f"no verdict with fewer than {verdicts.LEAST_REALS} reals or {verdicts.LEAST_FAKES} fakes"
    text = f"{reals} real and {fakes} generated pictures are too few to judge {topic}."
    return Verdict("grey", rule, verdict.number, text)


# --- copying ----------------------------------------------------------------------------------------------------------


def _measure_copying(work: Measurement, holdout: Tensor | None) -> Copies:
    """Note the figures of copying in each space, beside those of held-out pictures where there are some."""
    copies: dict[Space, CopyResult] = {}
    for space in SPACES:
        extractor, layer, _ = LAYERS_OF_SPACES[space]
        setting, figures = work.setting(extractor, layer, mirrors=True), figures_in(space)
        with work.attempt(*figures, setting=setting):
            rows = work.fake_rows(extractor, layer)
            result = check_copying(rows, work.reference.copying(space), space=space, draws=work.draws)
            copies[space] = result
            honest, intervals = result.honest, result.intervals
            for item, (score, value) in zip(figures, vars(result.scores).items(), strict=True):
                if work.request.wants(item):
                    level = Level(getattr(honest.mean, score), getattr(honest.std, score)) if honest else None
                    work.book.add(item, value, setting, interval=intervals.get(score), level=level)
    if holdout is not None and "mid" in copies:
        _measure_holdout(work, holdout, copies["mid"])
    return copies


def _measure_holdout(work: Measurement, images: Tensor, result: CopyResult) -> None:
    setting = work.setting("efflite0", "mid", mirrors=True)
    rows = work.reference.describe(PictureSet(images), "efflite0", ["mid"])["mid"]
    found = check_holdout(result.nearest.distance, rows, work.reference.copying("mid"), draws=work.draws)
    note = f"{found.n} held-out pictures"
    share, ratio = figure("holdout_nearer_share"), figure("holdout_nn_ratio")
    work.book.add(share, found.nearer_share, setting, interval=found.interval, level=Level(0.5), reason=note)
    work.book.add(ratio, found.nn_ratio, setting, level=Level(1.0), reason=note)


def _copy_histograms(copies: Copies, reference: PreparedReference) -> dict[str, Histogram]:
    """Distances of generated to training pictures beside those of training pictures among each other, counted."""
    out = {}
    for space, result in copies.items():
        own = reference.copying(space).own_nearest
        highest = max(own.max().item(), result.nearest.distance.max().item()) or 1.0
        bins = torch.linspace(0, highest, HISTOGRAM_BINS + 1, dtype=torch.float64)
        counts = [torch.histc(x, HISTOGRAM_BINS, 0, highest) / len(x) for x in (result.nearest.distance, own)]
        out["copying" if space == "mid" else f"copying_{space}"] = Histogram(
            bins=tuple(round(edge, 4) for edge in bins.tolist()),
            fake_to_train=tuple(counts[0].tolist()),
            train_to_train=tuple(counts[1].tolist()),
        )
    return out


def _most_suspicious(work: Measurement, copies: Copies) -> list[CopyMatch]:
    """The most suspicious generated pictures, each in the space in which it is nearer."""
    if not copies:
        return []
    spaces, order = list(copies), work.reference.pictures.order
    lowest, which = torch.stack([copies[space].relative for space in spaces]).min(0)
    pairs = []
    for fake in lowest.argsort(stable=True)[:PANEL_SIZE].tolist():
        space = spaces[int(which[fake])]
        nearest = copies[space].nearest
        first, second = int(nearest.first[fake]), int(nearest.second[fake])
        facts = CopyPair(
            mirrored=bool(nearest.mirrored[fake]),
            distance=nearest.distance[fake].item(),
            second_distance=nearest.second_distance[fake].item(),
            loo=work.reference.copying(space).own_nearest[first].item(),
            space=space,
        )
        pairs.append(CopyMatch(work.fakes.order[fake], order[first], order[second], facts))
    return pairs


# --- regions ----------------------------------------------------------------------------------------------------------


def _measure_regions(work: Measurement) -> RegionResult | None:
    """Note the figures of regions beside what real pictures have of each other; None where they cannot be made."""
    looked_at = min(len(work.fakes), MOST_PICTURES)
    setting = replace(work.base_setting, n_fake=looked_at, mirrors=True)
    result = None
    wanted = [item for item in figures_in_group("regions") if work.request.wants(item)]
    with work.attempt(*wanted, setting=setting):
        progress = named(work.reference.progress, "regions of generated pictures")
        result = check_regions(work.fakes.images, work.reference.regions, progress)
        for item in wanted:
            estimate = estimate_of(item.metric.base, result, work.draws)
            work.book.add(
                item, estimate.value, setting, interval=estimate.interval, level=estimate.level, reason=estimate.note
            )
    return result


def worst_patchworks(work: Measurement, explained: Sequence[Explained]) -> list[RegionMatch]:
    """Pick the generated pictures with most of them in regions of training pictures, first the worst."""
    order = work.reference.pictures.order
    worst = values_of(explained, "patchwork_share").argsort(descending=True, stable=True)[:PATCHWORKS].tolist()
    found = [(fake, explained[fake]) for fake in worst]
    return [
        RegionMatch(work.fakes.order[fake], one, [order[region.source] for region in one.regions])
        for fake, one in found
        if one.regions
    ]


# --- variety ----------------------------------------------------------------------------------------------------------


def _measure_diversity(work: Measurement) -> None:
    """Note how much the generated pictures differ from each other on our own network."""
    setting = work.setting("efflite0", "mid")
    fakes, reals = work.fake_rows("efflite0", "mid"), work.reference.features("efflite0", ["mid"])["mid"]
    overall, within = figure("div", "efflite0"), figure("div_within", "efflite0")
    if work.request.wants(overall):
        with work.attempt(overall, setting=setting):
            found = relative_diversity(fakes, reals, work.draws)
            work.book.add(overall, found.value, setting, interval=found.interval, level=Level(1.0))
    if work.request.wants(within):
        with work.attempt(within, setting=setting):
            inside = relative_diversity_within(fakes, reals, work.nearest_reals, work.draws)
            if inside is None:
                raise NotApplicable("No two generated pictures share their nearest real picture.")
            work.book.add(within, inside.value, setting, interval=inside.interval)


def _measure_lpips(work: Measurement) -> None:
    """Note how much they differ by LPIPS."""
    for base in ("lpips_diversity", "lpips_diversity_within"):
        item = figure(base)
        if not work.request.lpips:
            work.skip(item)
        elif work.request.wants(item):
            within, network = base == "lpips_diversity_within", work.lpips
            pairs = pairs_within(work.nearest_reals) if within else diversity_pairs(len(work.fakes))
            setting = replace(work.base_setting, extractor=f"lpips-{LPIPS_NET}", layer="v0.1", resize="none")
            with work.attempt(item, setting=setting):
                found = lpips_diversity(work.fakes.images, pairs, network, draws=work.draws)
                if found is None:
                    raise NotApplicable("There is no pair of generated pictures to compare.")
                chosen = replace(setting, subset_size=len(pairs))
                work.book.add(item, found.value, chosen, interval=found.interval)


def _measure_smoothness(work: Measurement, walks: Tensor) -> tuple[float, ...]:
    """Note the figures of walks uint8 [W, K, 3, H, W]; returns the steps of the first."""
    setting = work.setting("efflite0", "mid", subset_size=walks.shape[1])
    bases = ("smoothness_path", "smoothness_evenness", "smoothness_largest_step", "smoothness_detour")
    figures = [figure(base, "efflite0") for base in bases]
    steps: list[float] = []
    with torch.inference_mode(), work.attempt(*figures, setting=setting):
        extractor = work.reference.extractor("efflite0")
        batches = walks.flatten(0, 1).split(work.reference.batch_size)
        rows = torch.cat([extractor.describe(batch, ["mid"])["mid"] for batch in batches])
        described = rows.view(*walks.shape[:2], -1).cpu()
        found = walk_smoothness(described, work.draws)
        steps += found.steps[0].tolist()
        share = 1 / (walks.shape[1] - 1)
        length = path_length(described[:, :-1].flatten(0, 1), described[:, 1:].flatten(0, 1), share)
        interval = mean_interval((found.steps / share).square().mean(1), "walks", work.draws, lowest=0.0)
        estimates = (Estimate(length, interval), found.evenness, found.largest_step, found.detour)
        for item, estimate in zip(figures, estimates, strict=True):
            work.book.add(item, estimate.value, setting, interval=estimate.interval)
    return tuple(steps)


def _extremes(work: Measurement) -> tuple[list[Ranked], list[Ranked]]:
    """The generated pictures nearest to and farthest from their five nearest real ones on pooled features."""
    if "efflite0" not in work.request.extractors:
        return [], []
    reals, fakes = work.reference.features("efflite0", ["pooled"])["pooled"], work.fake_rows("efflite0", "pooled")
    k = min(NEIGHBOURS, len(reals))
    distance = torch.cdist(fakes.double(), reals.double()).topk(k, largest=False).values.mean(1)
    order = distance.argsort(stable=True).tolist()
    ranked = [Ranked(work.fakes.order[index], distance[index].item()) for index in order]
    count = min(EXTREMES, len(ranked) // 2)
    return ranked[:count], ranked[::-1][:count]
