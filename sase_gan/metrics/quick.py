"""Quick measurement gives the same figures during training, on a small budget.

The real pictures are prepared once: their features, distances among each other and honest baselines. Each call then
costs the description of the generated ones, about 20 ms a picture on one CPU thread, and two to four seconds of
arithmetic. Regions of training pictures are left to the evaluation.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sase_gan.metrics.feature_store import FeatureStore
from sase_gan.metrics.measuring import Evaluation, Provenance
from sase_gan.metrics.records import DataPart, EvaluationRecord, FakesPart, Measure, ModelPart
from sase_gan.metrics.reference import PreparedReference
from sase_gan.metrics.request import TRAINING, resolve
from sase_gan.metrics.single_suite import evaluate_single
from sase_gan.metrics.suite import evaluate

_SNAPSHOT = FakesPart(source="snapshot", name="training snapshot")


def prepare_measure(
    images: Tensor,
    *,
    device: torch.device | str = "cpu",
    cache: Path | str | None = None,
    extractor_used_in_training: bool = False,
    taught_by: Mapping[str, float] | None = None,
    started_from: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
) -> Measure:
    """Prepare the measurement of a model of many pictures.

    Args:
        images: the training pictures, uint8 [N, 3, H, W]; prepared at the first call.
        device: where EfficientNet-Lite0 runs.
        cache: folder in which the reals' features are kept between runs.
        extractor_used_in_training: whether this network also serves a loss; for the record.
        taught_by: what taught the model beside its pictures, with a number each; for the record.
        started_from: the model that the training started from; for the record.
        data: facts about the real pictures for the record.
    """
    told = {"taught_by": dict(taught_by)} if taught_by else {}
    told |= {"started_from": dict(started_from)} if started_from else {}
    used = extractor_used_in_training
    model = ModelPart(averaged=True, truncation=1.0, noise="random", extractor_used_in_training=used, **told)
    reference = PreparedReference(images, device=device, store=FeatureStore(cache))
    return _prepared(
        partial(evaluate, regions=False),
        reference,
        Provenance(data=DataPart(**(data or {})), fakes=_SNAPSHOT, model=model),
    )


def prepare_single_measure(
    picture: Tensor, *, device: torch.device | str = "cpu", data: Mapping[str, Any] | None = None
) -> Measure:
    """Prepare the same for a model of one picture, uint8 [3, H, W] at the size of the generated ones."""
    model = ModelPart(truncation=1.0, noise="random", extractor_used_in_training=False)
    provenance = Provenance(data=DataPart(**(data or {})), fakes=_SNAPSHOT, model=model)
    return _prepared(
        partial(evaluate_single, regions=False), PreparedReference(picture[None], device=device), provenance
    )


def _prepared(suite: Callable[..., Evaluation], reference: PreparedReference, provenance: Provenance) -> Measure:
    request = resolve(TRAINING)

    def measure(fakes: Tensor) -> EvaluationRecord:
        protocol = TRAINING.changed(num_fakes=len(fakes))
        return suite(fakes, reference, protocol, request=request, provenance=provenance).record

    return measure
