"""The figures of variety tell how much generated pictures differ, and how evenly they change between two latents."""

from dataclasses import replace

import torch
from torch import Tensor

from sase_gan.features.lpips import lpips_network
from sase_gan.metrics import diversity, neighbours, smoothness
from sase_gan.metrics.book import NotApplicable
from sase_gan.metrics.bootstrap import mean_interval
from sase_gan.metrics.figures import Figure, figure
from sase_gan.metrics.measuring import Measurement
from sase_gan.metrics.outcome import Ranked
from sase_gan.metrics.request import LPIPS_NET

EXTREMES = 8


def measure_diversity(work: Measurement) -> None:
    """Note how much the generated pictures differ from each other, by our own network and by LPIPS."""
    setting = work.setting("efflite0", "mid")
    fakes, reals = work.fake_rows("efflite0", "mid"), work.reference.features("efflite0", ["mid"])["mid"]
    clusters = torch.cdist(fakes.double(), reals.double()).argmin(1)
    overall, within = figure("div", "efflite0"), figure("div_within", "efflite0")

    def compute_overall() -> None:
        found = diversity.relative_diversity(fakes, reals, work.draws)
        work.book.add(overall, found.value, setting, interval=found.interval, baseline=1.0)

    def compute_within() -> None:
        found = diversity.relative_diversity_within(fakes, reals, clusters, work.draws)
        if found is None:
            raise NotApplicable("No two generated pictures share their nearest real picture.")
        work.book.add(within, found.value, setting, interval=found.interval)

    for item, compute in ((overall, compute_overall), (within, compute_within)):
        if work.request.wants(item):
            work.attempt([item], setting, compute)
    _measure_lpips(work, clusters)


def _measure_lpips(work: Measurement, clusters: Tensor) -> None:
    overall, within = figure("lpips_diversity"), figure("lpips_diversity_within")
    wanted = [item for item in (overall, within) if work.request.wants(item)]
    if not wanted:
        return
    if not work.request.lpips:
        for item in wanted:
            work.skip_lpips(item)
        return
    network = lpips_network(LPIPS_NET, work.reference.weights_dir, device=work.reference.device)
    setting = replace(work.base_setting, extractor=f"lpips-{LPIPS_NET}", layer="v0.1", resize="none")
    for item in wanted:
        pairs = diversity.pairs_within(clusters) if item == within else diversity.diversity_pairs(len(work.fakes))

        def compute(item: Figure = item, pairs: Tensor = pairs) -> None:
            found = diversity.lpips_diversity(work.fakes.images, pairs, network, draws=work.draws)
            if found is None:
                raise NotApplicable("There is no pair of generated pictures to compare.")
            chosen = replace(setting, subset_size=len(pairs))
            work.book.add(item, found.value, chosen, interval=found.interval)

        work.attempt([item], setting, compute)


def measure_smoothness(work: Measurement, walks: Tensor) -> tuple[float, ...]:
    """Note the figures of walks uint8 [W, K, 3, H, W]; returns the steps of the first."""
    setting = work.setting("efflite0", "mid", subset_size=walks.shape[1])
    bases = ("smoothness_path", "smoothness_evenness", "smoothness_largest_step", "smoothness_detour")
    figures = [figure(base, "efflite0") for base in bases]
    steps: list[float] = []

    def compute() -> None:
        flat = walks.flatten(0, 1)
        extractor = work.reference.extractor("efflite0")
        rows = [extractor.describe(batch, ["mid"])["mid"] for batch in flat.split(work.reference.batch_size)]
        described = torch.cat(rows).view(*walks.shape[:2], -1).cpu()
        found = smoothness.walk_smoothness(described, work.draws)
        steps.extend(found.steps[0].tolist())
        share = 1 / (walks.shape[1] - 1)
        path = smoothness.path_length(described[:, :-1].flatten(0, 1), described[:, 1:].flatten(0, 1), share)
        path_interval = mean_interval((found.steps / share).square().mean(1), "walks", work.draws, lowest=0.0)
        for item, value, interval in zip(
            figures,
            (path, found.evenness, found.largest_step, found.detour),
            (path_interval, found.evenness_interval, found.largest_interval, found.detour_interval),
            strict=True,
        ):
            work.book.add(item, value, setting, interval=interval)

    with torch.inference_mode():
        work.attempt(figures, setting, compute)
    return tuple(steps)


def extremes(work: Measurement) -> tuple[list[Ranked], list[Ranked]]:
    """Generated pictures nearest to and farthest from their five nearest real ones on pooled features."""
    if "efflite0" not in work.request.extractors:
        return [], []
    reals, fakes = work.reference.features("efflite0", ["pooled"])["pooled"], work.fake_rows("efflite0", "pooled")
    k = min(neighbours.NEIGHBOURS, len(reals))
    distance = torch.cdist(fakes.double(), reals.double()).topk(k, largest=False).values.mean(1)
    order = distance.argsort(stable=True).tolist()
    ranked = [Ranked(work.fakes.order[index], distance[index].item()) for index in order]
    count = min(EXTREMES, len(ranked) // 2)
    return ranked[:count], ranked[::-1][:count]
