"""Quick measurement gives the same figures during training, on a small budget.

The real pictures are prepared once: their features, distances among each other and honest baselines. Each call then
costs the description of the generated ones, about 20 ms a picture on one CPU thread, and two to four seconds of
arithmetic.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sase_gan.metrics.feature_store import FeatureStore
from sase_gan.metrics.outcome import Provenance
from sase_gan.metrics.protocol import TRAINING
from sase_gan.metrics.records import DataPart, EvaluationRecord, FakesPart, ModelPart
from sase_gan.metrics.reference import PreparedReference
from sase_gan.metrics.request import resolve
from sase_gan.metrics.single_suite import evaluate_single
from sase_gan.metrics.suite import evaluate

_SNAPSHOT = FakesPart(source="snapshot", name="training snapshot")


def prepare_measure(
    images: Tensor,
    *,
    device: torch.device | str = "cpu",
    cache: Path | str | None = None,
    extractor_used_in_training: bool = False,
    data: Mapping[str, Any] | None = None,
) -> Callable[[Tensor], EvaluationRecord]:
    """A function from generated pictures, uint8 [F, 3, H, W], to a record with error bars and verdicts.

    Args:
        images: the training pictures, uint8 [N, 3, H, W]; prepared at the first call.
        device: where EfficientNet-Lite0 runs.
        cache: folder in which the reals' features are kept between runs.
        extractor_used_in_training: whether this network also serves the reconstruction loss; for the record.
        data: facts about the real pictures for the record.
    """
    reference = PreparedReference(images, device=device, store=FeatureStore(cache))
    request = resolve(TRAINING)

    def measure(fakes: Tensor) -> EvaluationRecord:
        provenance = Provenance(
            data=DataPart(**(data or {})),
            fakes=_SNAPSHOT,
            model=ModelPart(
                averaged=True,
                truncation=1.0,
                noise="random",
                extractor_used_in_training=extractor_used_in_training,
            ),
        )
        protocol = TRAINING.changed(num_fakes=len(fakes))
        return evaluate(fakes, reference, protocol, request=request, provenance=provenance).record

    return measure


def prepare_single_measure(
    picture: Tensor, *, device: torch.device | str = "cpu", data: Mapping[str, Any] | None = None
) -> Callable[[Tensor], EvaluationRecord]:
    """The same for a model of one picture: a function from generated pictures, uint8 [F, 3, H, W], to a record.

    Args:
        picture: the training picture, uint8 [3, H, W] at the size of the generated ones.
        device: where EfficientNet-Lite0 runs.
        data: facts about the picture for the record.
    """
    reference = PreparedReference(picture[None], device=device, store=FeatureStore(None))
    request = resolve(TRAINING)

    def measure(fakes: Tensor) -> EvaluationRecord:
        provenance = Provenance(
            data=DataPart(**(data or {})),
            fakes=_SNAPSHOT,
            model=ModelPart(truncation=1.0, noise="random", extractor_used_in_training=False),
        )
        protocol = TRAINING.changed(num_fakes=len(fakes))
        return evaluate_single(fakes, reference, protocol, request=request, provenance=provenance).record

    return measure
