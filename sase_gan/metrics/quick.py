"""The same figures during training, on a small budget.

The reals are prepared once: their features, distances among each other and honest baselines. Each call then costs the
description of the fakes, about 20 ms a picture on one CPU thread, and two to four seconds of arithmetic.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sase_gan.metrics import fidelity
from sase_gan.metrics.copy_spaces import SPACES, pixel_descriptor, thumbnails
from sase_gan.metrics.extractors import FeatureStore
from sase_gan.metrics.originality import CopyResult, check_copying, joint_verdict
from sase_gan.metrics.protocol import TRAINING
from sase_gan.metrics.reference import PreparedReference
from sase_gan.metrics.request import resolve
from sase_gan.metrics.single_suite import evaluate_single
from sase_gan.metrics.suite import Provenance, evaluate

_LAYERS = ("pooled", "mid")


def quick_metrics(fakes: Tensor, reference: PreparedReference) -> dict[str, float | str]:
    """The few figures to choose a snapshot by, without error bars.

    Args:
        fakes: uint8 [F, 3, H, W], at least two.
        reference: the training pictures, prepared once and of the same size.

    Returns:
        kid_efflite0, fd_efflite0, kid_mid_efflite0, fd_mid_efflite0; copy_share, nn_ratio, authpct; and under "copying"
        the colour of the verdict.
    """
    extractor = reference.extractor("efflite0")
    with torch.inference_mode():
        batches = [extractor.describe(batch, _LAYERS) for batch in fakes.split(reference.batch_size)]
    rows = {layer: torch.cat([batch[layer].float().cpu() for batch in batches]).clone() for layer in _LAYERS}
    reals = reference.features("efflite0", _LAYERS)
    results: dict[Any, CopyResult] = {}
    for space in SPACES:
        described = rows["mid"] if space == "mid" else pixel_descriptor(thumbnails(fakes))
        results[space] = check_copying(described, reference.copying(space), space=space, draws=2)
    scores = results["mid"].scores
    return {
        "kid_efflite0": fidelity.kernel_distance_all(rows["pooled"], reals["pooled"]),
        "fd_efflite0": fidelity.frechet_distance_gram(rows["pooled"], reals["pooled"]),
        "kid_mid_efflite0": fidelity.kernel_distance_all(rows["mid"], reals["mid"]),
        "fd_mid_efflite0": fidelity.frechet_distance_gram(rows["mid"], reals["mid"]),
        "copy_share": scores.copy_share,
        "nn_ratio": scores.nn_ratio,
        "authpct": scores.authpct,
        "copying": joint_verdict(results).colour,
    }


def prepare_measure(
    images: Tensor,
    *,
    device: torch.device | str = "cpu",
    cache: Path | str | None = None,
    extractor_used_in_training: bool = False,
    data: dict[str, Any] | None = None,
) -> Callable[[Tensor], dict[str, Any]]:
    """A function from fakes, uint8 [F, 3, H, W], to a record as in `results.jsonl`, with error bars and verdicts.

    Args:
        images: the training pictures, uint8 [N, 3, H, W]; prepared at the first call.
        device: where EfficientNet-Lite0 runs.
        cache: folder in which the reals' features are kept between runs.
        extractor_used_in_training: whether this network also serves the reconstruction loss; for the record.
        data: facts about the reals for the record.
    """
    reference = PreparedReference(images, device=device, store=FeatureStore(cache))
    request = resolve(TRAINING)

    def measure(fakes: Tensor) -> dict[str, Any]:
        provenance = Provenance(
            data=data or {},
            fakes={"source": "snapshot", "name": "training snapshot"},
            model={
                "averaged": True,
                "truncation": 1.0,
                "noise": "random",
                "extractor_used_in_training": extractor_used_in_training,
            },
        )
        protocol = TRAINING.changed(num_fakes=len(fakes))
        return evaluate(fakes, reference, protocol, request=request, provenance=provenance).record

    return measure


def prepare_single_measure(
    picture: Tensor, *, device: torch.device | str = "cpu", data: dict[str, Any] | None = None
) -> Callable[[Tensor], dict[str, Any]]:
    """The same for a model of one picture: a function from fakes, uint8 [F, 3, H, W], to a record.

    Args:
        picture: the training picture, uint8 [3, H, W] at the size of the fakes.
        device: where EfficientNet-Lite0 runs.
        data: facts about the picture for the record.
    """
    reference = PreparedReference(picture[None], device=device, store=FeatureStore(None))
    request = resolve(TRAINING)

    def measure(fakes: Tensor) -> dict[str, Any]:
        provenance = Provenance(
            data=data or {},
            fakes={"source": "snapshot", "name": "training snapshot"},
            model={"truncation": 1.0, "noise": "random", "extractor_used_in_training": False},
        )
        protocol = TRAINING.changed(num_fakes=len(fakes))
        return evaluate_single(fakes, reference, protocol, request=request, provenance=provenance).record

    return measure
