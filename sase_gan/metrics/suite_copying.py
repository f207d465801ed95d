"""The figures of copying tell whether generated pictures are nearer to training pictures than new ones would be.

`originality` has the method and its calibration. Copying comes before all other figures, because a generator that
repeats its training pictures has the best distances of all.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from sase_gan.metrics.catalogue import SPACES, Space
from sase_gan.metrics.copy_verdict import COPY_SCORES, joint_verdict
from sase_gan.metrics.figures import figure, figures_in
from sase_gan.metrics.measuring import Measurement
from sase_gan.metrics.originality import CopyResult, check_copying, check_holdout
from sase_gan.metrics.outcome import CopyMatch
from sase_gan.metrics.records import CopyPair, Histogram
from sase_gan.metrics.reference import LAYERS_OF_SPACES, PictureSet, PreparedReference
from sase_gan.metrics.verdicts import Verdict

PANEL_SIZE = 16
HISTOGRAM_BINS = 24

Results = Mapping[Space, CopyResult]


def measure_copying(work: Measurement, holdout: Tensor | None) -> tuple[Verdict, Results]:
    """Note the figures of copying in each space; returns the verdict over all, and what it was found on.

    Args:
        work: the measurement.
        holdout: real pictures that the generator was not trained on, uint8, of the same size.
    """
    results = {space: found for space in SPACES if (found := _measure_in(work, space)) is not None}
    if holdout is not None and "mid" in results:
        _measure_holdout(work, holdout, results["mid"])
    if not results:
        reason = "the copying check needs a generated and two training pictures"
        return Verdict("grey", "not measured", None, f"Copying was not measured: {reason}."), results
    return joint_verdict([result.verdict for result in results.values()]), results


def _measure_in(work: Measurement, space: Space) -> CopyResult | None:
    layers = LAYERS_OF_SPACES[space]
    setting = work.setting(layers.extractor, layers.plain, mirrors=True)
    figures = figures_in(space)
    results: list[CopyResult] = []

    def compute() -> None:
        rows = work.fake_rows(layers.extractor, layers.plain)
        result = check_copying(rows, work.reference.copying(space), space=space, draws=work.draws)
        results.append(result)
        honest = result.honest
        for item, score in zip(figures, COPY_SCORES, strict=True):
            if work.request.wants(item):
                work.book.add(
                    item,
                    getattr(result.scores, score),
                    setting,
                    interval=result.intervals.get(score),
                    baseline=getattr(honest.mean, score) if honest else None,
                    baseline_std=getattr(honest.std, score) if honest else None,
                )

    work.attempt(figures, setting, compute)
    return results[0] if results else None


def _measure_holdout(work: Measurement, images: Tensor, result: CopyResult) -> None:
    setting = work.setting("efflite0", "mid", mirrors=True)
    reference = work.reference
    held = PictureSet(images)
    rows = reference.store.features(
        held.images, held.digest, reference.extractor("efflite0"), ["mid"], batch_size=reference.batch_size
    )["mid"]
    found = check_holdout(result.nearest.distance, rows, reference.copying("mid"), draws=work.draws)
    note = f"{found.n} held-out pictures"
    share, ratio = figure("holdout_nearer_share"), figure("holdout_nn_ratio")
    work.book.add(share, found.nearer_share, setting, interval=found.interval, baseline=0.5, reason=note)
    work.book.add(ratio, found.nn_ratio, setting, baseline=1.0, reason=note)


def copy_histograms(results: Results, reference: PreparedReference) -> dict[str, Histogram]:
    """Distances of generated to training pictures beside those of training pictures among each other."""
    out = {}
    for space, result in results.items():
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


def most_suspicious(work: Measurement, results: Results) -> list[CopyMatch]:
    """The most suspicious generated pictures, each in the space in which it is nearer."""
    if not results:
        return []
    spaces, reference = list(results), work.reference
    lowest, which = torch.stack([results[space].relative for space in spaces]).min(0)
    pairs = []
    for fake in lowest.argsort(stable=True)[:PANEL_SIZE].tolist():
        space = spaces[int(which[fake])]
        nearest = results[space].nearest
        first, second = int(nearest.first[fake]), int(nearest.second[fake])
        facts = CopyPair(
            mirrored=bool(nearest.mirrored[fake]),
            distance=nearest.distance[fake].item(),
            second_distance=nearest.second_distance[fake].item(),
            loo=reference.copying(space).own_nearest[first].item(),
            space=space,
        )
        order = reference.pictures.order
        pairs.append(CopyMatch(work.fakes.order[fake], order[first], order[second], facts))
    return pairs
