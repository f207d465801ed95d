"""The suite makes of two sets of pictures one record: figures with error bar and provenance, or the reason why not.

Figures do not depend on the order of the pictures, nor (beyond rounding) on batch sizes.
"""

import time
from collections.abc import Sequence

from torch import Tensor

from sase_gan.metrics import verdicts
from sase_gan.metrics.measuring import Measurement
from sase_gan.metrics.outcome import Evaluation, Provenance, start_record, verdict_fields
from sase_gan.metrics.protocol import Protocol
from sase_gan.metrics.records import EvaluationRecord
from sase_gan.metrics.reference import PictureSet, PreparedReference
from sase_gan.metrics.request import Request, resolve
from sase_gan.metrics.suite_copying import Results, copy_histograms, measure_copying, most_suspicious
from sase_gan.metrics.suite_distances import measure_distribution, measure_patches
from sase_gan.metrics.suite_diversity import extremes, measure_diversity, measure_smoothness
from sase_gan.metrics.verdicts import Verdict


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
        fakes: the generated pictures, uint8 [F, 3, H, W].
        reference: the real ones, of the same size.
        protocol: settings; "quick" by default.
        request: what to compute, from `request.resolve`; by default all that the protocol names.
        fake_names: one a generated picture.
        holdout: real pictures that the generator was not trained on, uint8, of the same size.
        walks: pictures along walks between latents, uint8 [W, K, 3, H, W].
        provenance: for the record.
        keep_fakes: whether the generated pictures' features go into the reference's store too.

    Returns:
        The evaluation. A figure that cannot be made has a status and a reason; nothing is NaN.

    Raises:
        DataError: no pictures, or unequal sizes.
        WeightsError: with `request` left out, when the protocol needs files that are missing.
    """
    protocol = protocol or Protocol()
    request = request or resolve(protocol, weights_dir=reference.weights_dir)
    provenance = provenance or Provenance()
    start = time.monotonic()
    work = Measurement(PictureSet(fakes, fake_names), reference, protocol, request, provenance.model)
    wants = request.wants_group
    reference.prepare(request.extractors, copying=wants("copying") and len(reference) > 1)
    work.extract_fakes(keep=keep_fakes)
    extracted = time.monotonic()
    if wants("distribution"):
        measure_distribution(work)
    if wants("patches"):
        measure_patches(work)
    copying = verdicts.UNASKED_COPYING
    copies: Results = {}
    if wants("copying"):
        copying, copies = measure_copying(work, holdout)
    if wants("diversity"):
        measure_diversity(work)
    steps = measure_smoothness(work, walks) if walks is not None and wants("smoothness") else ()
    measured = time.monotonic()
    times = {"features": round(extracted - start, 3), "figures": round(measured - extracted, 3)}
    found = {"walk_steps": steps, "seconds": round(measured - start, 3), "timing": times}
    record = _judged(work, provenance, copying, copies).model_copy(update=found)
    typical, atypical = extremes(work)
    return Evaluation(record, most_suspicious(work, copies), typical, atypical)


def _judged(work: Measurement, provenance: Provenance, copying: Verdict, copies: Results) -> EvaluationRecord:
    """The record with its verdicts."""
    value, model = work.book.value, provenance.model
    built_on = model.discriminator_extractor if model else None
    spaces = verdicts.quality_by_space(value, pooled_counts=built_on is None)
    diversity = verdicts.diversity_verdict(value, work.book.baseline("coverage_efflite0"))
    found = {
        **verdict_fields(copying, verdicts.quality_verdict(spaces), diversity),
        "disagreement": verdicts.disagreement(spaces),
        "histograms": copy_histograms(copies, work.reference),
    }
    return start_record(work, provenance).model_copy(update=found)
