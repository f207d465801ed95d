"""Many scenes are measured here, each against the real picture of the same name, with a table over all."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from sase_gan.datasets.images import ImageSet, fitted, load_image_set
from sase_gan.datasets.sources import open_images
from sase_gan.errors import DataError
from sase_gan.evaluation.options import EvaluationOptions, Plan, resolve_pairs
from sase_gan.evaluation.pictures import at_size, resized
from sase_gan.features import known_weights
from sase_gan.files import write_atomically, write_json
from sase_gan.formats import suffixes
from sase_gan.metrics.measuring import Provenance
from sase_gan.metrics.records import SCHEMA_VERSION, DataPart, EvaluationRecord, FakesPart
from sase_gan.metrics.reference import PreparedReference
from sase_gan.metrics.single_suite import evaluate_single, scene_figures, summarise_scenes
from sase_gan.metrics.verdicts import JPEG_DISTANCE
from sase_gan.networks.pyramid_sizes import training_size
from sase_gan.progress import Progress

Summary = dict[str, dict[str, float]]


@dataclass(frozen=True)
class ScenesResult:
    """A result over scenes is a table, and where it lies."""

    folder: Path
    summary: Summary
    scenes: int
    notes: tuple[str, ...]


def run_pairs(options: EvaluationOptions, progress: Progress | None = None) -> ScenesResult:
    """Score pictures against the real picture of the same name: `scene.png`, `scene_*.png`, or a folder `scene`.

    Writes `scenes.json` (summary and one record a scene), `scenes.csv` and `scenes.md`. Where an image size is given,
    it is the longer side, and both pictures are brought to it in the real one's proportions.

    Raises:
        UsageError: no --real, or options that do not fit together.
        WeightsError: what was asked for needs files that are missing; told before any work.
        DataError: a real picture without a generated one of its name.
    """
    plan = resolve_pairs(options)
    assert options.real is not None
    scenes = _match(options.source, options.real)
    records, jpeg_sources = [], 0
    for done, (scene, files) in enumerate(scenes.items(), start=1):
        generated = [load_image_set(file, image_size=None) for file in files]
        jpeg_sources += sum(image.notes.jpeg_sources for image in generated)
        records.append(_measure(plan, scene, generated))
        if progress is not None:
            progress("scenes", done, len(scenes))
    summary = summarise_scenes(records)
    _write(plan, [scene.stem for scene in scenes], records, summary)
    note = f"Some generated pictures are JPEG, which alone costs about {JPEG_DISTANCE} in sifd_efflite0."
    return ScenesResult(plan.folder, summary, len(records), (note,) if jpeg_sources else ())


def _measure(plan: Plan, scene: Path, generated: Sequence[ImageSet]) -> EvaluationRecord:
    real = _real(plan, scene, generated)
    height, width = real.images.shape[-2:]
    fakes = torch.cat([resized(image.images, height, width) for image in generated])
    options = plan.options
    reference = PreparedReference(
        real.images, real.names, weights_dir=options.weights_dir, device=plan.device, batch_size=options.batch_size
    )
    provenance = Provenance(plan.command, DataPart(name=scene.stem), FakesPart(name=options.source.name))
    return evaluate_single(fakes, reference, plan.protocol, request=plan.request, provenance=provenance).record


def _real(plan: Plan, scene: Path, generated: Sequence[ImageSet]) -> ImageSet:
    """The real picture at the size of the measurement: the generated ones' own, or the one asked for."""
    if plan.options.image_size is None:
        height, width = generated[0].images.shape[-2:]
        return at_size(scene, (height, width), plan)
    picture = load_image_set(scene, image_size=None)
    height, width = picture.images.shape[-2:]
    return fitted(picture, training_size(height, width, plan.options.image_size))


def _match(source: Path, real: Path) -> dict[Path, list[Path]]:
    """The real pictures, each with the generated ones that are named after it."""
    if not source.is_dir() or not real.is_dir():
        raise DataError(f"--pairs compares two folders; {source} and {real} were given.")
    originals, scenes = _pictures(real), {}
    owners = {path: _owner(path.stem, [scene.stem for scene in originals]) for path in _pictures(source)}
    for scene in originals:
        own = [path for path, owner in owners.items() if owner == scene.stem]
        if (source / scene.stem).is_dir():
            own += _pictures(source / scene.stem)
        if not own:
            raise DataError(
                f"{real.name}/{scene.name} has no generated picture called {scene.stem} in {source}; name them alike."
            )
        scenes[scene] = own
    if not scenes:
        raise DataError(f"{real} holds no pictures; give the folder of the scenes.")
    return scenes


def _owner(name: str, scenes: Sequence[str]) -> str | None:
    """Find the scene that a picture is named after: itself, or the longest name in front of an underscore.

    Example:
        >>> _owner("bird_2_7", ["bird", "bird_2", "bird_22"]), _owner("bird_1", ["bird", "bird_2"])
        ('bird_2', 'bird')
    """
    fitting = [scene for scene in scenes if name == scene or name.startswith(f"{scene}_")]
    return max(fitting, key=len, default=None)


def _pictures(folder: Path) -> list[Path]:
    """The pictures that lie in a folder itself, drawn ones too, without sheets of several."""
    if not any(entry.is_file() and entry.suffix.lower() in suffixes() for entry in folder.iterdir()):
        return []
    source = open_images(folder, drawn=True)
    return [source.path_of(index) for index, name in enumerate(source.names) if "/" not in name]


# --- files -----------------------------------------------------------------------------------------------------------


def _write(plan: Plan, names: Sequence[str], records: Sequence[EvaluationRecord], summary: Summary) -> None:
    scenes = [{"name": name, **record.to_json()} for name, record in zip(names, records, strict=True)]
    content = {"schema_version": SCHEMA_VERSION, "kind": "scenes", "command": plan.command}
    write_json(plan.folder / "scenes.json", {**content, "summary": summary, "scenes": scenes})
    figures = [name for name in scene_figures() if name in summary]
    with write_atomically(plan.folder / "scenes.csv") as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["scene", "fakes", *figures])
        for name, record in zip(names, records, strict=True):
            writer.writerow([name, record.fakes.n, *(record.value(figure) for figure in figures)])
    with write_atomically(plan.folder / "scenes.md") as temporary:
        temporary.write_text("\n".join(_lines(records, summary)) + "\n", encoding="utf-8")


def _lines(records: Sequence[EvaluationRecord], summary: Summary) -> list[str]:
    """The table as Markdown, the networks that it was measured on, and what could not be computed."""
    lines = [f"| over {len(records)} scenes | mean | median | deviation | 95 % |", "| --- | --- | --- | --- | --- |"]
    for name, row in summary.items():
        interval = f"{row['low']:.4g} to {row['high']:.4g}" if "low" in row else ""
        lines.append(f"| {name} | {row['mean']:.4g} | {row['median']:.4g} | {row['std']:.3g} | {interval} |")
    entries = [item for record in records for item in record.metrics.items()]
    made = [entry for _, entry in entries if entry.status == "ok"]
    networks = {(str(entry.extractor), entry.weights_sha256) for entry in made if entry.weights_sha256}
    lines += ["", *(f"- {_weights_source(*network)}" for network in sorted(networks))]
    skipped = sorted({f"{name}: {entry.reason}" for name, entry in entries if entry.status != "ok"})
    return lines + [f"- not computed: {line}" for line in skipped]


def _weights_source(extractor: str, sha256: str) -> str:
    known = known_weights.KNOWN.get(extractor)
    return f"weights of {extractor}: {known.filename if known else 'unknown file'}, SHA-256 {sha256}"
