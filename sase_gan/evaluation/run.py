"""An evaluation measures generated pictures against real ones and writes the folder that a report is made from."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from sase_gan.allocator import freed_memory_kept
from sase_gan.evaluation.folder import write_evaluation
from sase_gan.evaluation.options import EvaluationOptions, Plan, resolve
from sase_gan.evaluation.pictures import GeneratedPictures, RealPictures, generated_pictures, real_pictures
from sase_gan.evaluation.recombined import Recombined, measure_recombined
from sase_gan.files import write_atomically
from sase_gan.metrics.by_class import ClassLabels
from sase_gan.metrics.measuring import Evaluation, Provenance
from sase_gan.metrics.records import EvaluationRecord, FakesPart
from sase_gan.metrics.reference import PreparedReference
from sase_gan.metrics.single_suite import evaluate_single
from sase_gan.metrics.suite import evaluate
from sase_gan.progress import Progress
from sase_gan.runs.folder import CONFIG_FILE, RESULTS_FILE, TRAINING_FILE
from sase_gan.runs.history import KEPT_RUN


@dataclass(frozen=True)
class EvaluationResult:
    """A result tells where the evaluation was written, its record, and what the user should be told beside it."""

    folder: Path
    record: EvaluationRecord
    notes: tuple[str, ...]
    run_folder: Path | None = None


def run_evaluation(options: EvaluationOptions, progress: Progress | None = None) -> EvaluationResult:
    """Measure a folder of pictures, a snapshot or a run, and write the evaluation folder.

    Raises:
        UsageError: options that do not fit together.
        WeightsError: what was asked for needs files that are missing; told before any work, nothing is written.
        DataError: pictures that cannot be used.
    """
    plan = resolve(options)
    generated = generated_pictures(plan, progress)
    if plan.options.real is not None:
        real = real_pictures(plan, plan.options.real, generated.images, progress)
    else:
        assert generated.learned_from is not None
        real = generated.learned_from
    with freed_memory_kept():
        evaluation, recombined = _measure(plan, generated, real, progress)
    record = write_evaluation(plan.folder, evaluation, generated, real, plan.options.seed, recombined=recombined)
    if plan.run is not None and plan.run.resolve() not in plan.folder.resolve().parents:
        _keep_run_records(plan.run, plan.folder)
    told = () if recombined.note is None else (recombined.note,)
    return EvaluationResult(plan.folder, record, (*generated.notes, *real.notes, *told), plan.run)


def _measure(
    plan: Plan, generated: GeneratedPictures, real: RealPictures, progress: Progress | None
) -> tuple[Evaluation, Recombined]:
    protocol, options = plan.protocol, plan.options
    if len(generated.images) < protocol.num_fakes:
        # A protocol's name stands for its number of pictures too.
        protocol = protocol.changed(num_fakes=len(generated.images))
    reference = PreparedReference(
        real.images,
        real.names,
        store=plan.store,
        weights_dir=options.weights_dir,
        device=plan.device,
        batch_size=options.batch_size,
        progress=progress,
    )

    def measured(
        images: Tensor,
        names: tuple[str, ...] | None,
        of: Provenance,
        walks: Tensor | None,
        labels: ClassLabels | None = None,
    ) -> Evaluation:
        if len(real.images) == 1:
            return evaluate_single(images, reference, protocol, request=plan.request, fake_names=names, provenance=of)
        return evaluate(
            images,
            reference,
            protocol,
            request=plan.request,
            fake_names=names,
            holdout=real.holdout,
            walks=walks,
            provenance=of,
            keep_fakes=True,
            labels=labels,
        )

    notes = (*generated.notes, *real.notes)
    provenance = Provenance(plan.command, real.facts, generated.facts, generated.model, notes)
    labels = _labels_of(generated, real)
    evaluation = measured(generated.images, generated.names, provenance, generated.walks, labels)
    if not plan.recombine:
        return evaluation, Recombined()
    drawn = replace(provenance, fakes=FakesPart(source="snapshot", name="recombined"), model=generated.model)
    return evaluation, measure_recombined(
        plan, real, protocol, lambda images: measured(images, None, drawn, None).record, progress
    )


def _labels_of(generated: GeneratedPictures, real: RealPictures) -> ClassLabels | None:
    """Put the classes of generated and real pictures together, where both have them."""
    if real.labels is None or not generated.labels:
        return None
    return ClassLabels(generated.classes, generated.labels, real.labels.reals, real.labels.held_out)


def _keep_run_records(run_folder: Path, folder: Path) -> None:
    """Copy what a report tells about the run, so that the evaluation's folder is whole without it."""
    for name in (RESULTS_FILE, TRAINING_FILE, CONFIG_FILE):
        if (run_folder / name).is_file():
            with write_atomically(folder / KEPT_RUN / name) as temporary:
                shutil.copyfile(run_folder / name, temporary)
