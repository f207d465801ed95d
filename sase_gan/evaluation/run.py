"""What the command `evaluate` does: find the pictures, measure them, write the folder that a report is made from.

It joins the parts that must not know each other: networks and sampling on one side, metrics on the other.
"""

import dataclasses
import logging
import shlex
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from sase_gan.datasets.images import ImageSet, ImageSource, load_image_set, open_images
from sase_gan.datasets.one_shot import fitted
from sase_gan.datasets.prepare import split_holdout
from sase_gan.errors import DataError, UsageError
from sase_gan.evaluation.folder import ShownPictures, Walk, write_evaluation, write_record
from sase_gan.features import known_weights
from sase_gan.files import write_atomically
from sase_gan.hardware import choose_hardware
from sase_gan.metrics.extractors import FeatureStore, default_cache_folder, resized
from sase_gan.metrics.protocol import Protocol, named_protocol
from sase_gan.metrics.records import CONFIG_FILE, KEPT_RUN, RESULTS_FILE, TRAINING_FILE
from sase_gan.metrics.reference import PreparedReference
from sase_gan.metrics.request import Request, resolve
from sase_gan.metrics.single_suite import SCENE_FIGURES, evaluate_single, summarise_scenes
from sase_gan.metrics.suite import Evaluation, Provenance, evaluate
from sase_gan.networks.pyramid_sizes import training_size
from sase_gan.runs.folder import images_of, is_run, open_run
from sase_gan.runs.tasks import is_of_one_picture
from sase_gan.snapshot import WEIGHTS_FILE, is_snapshot, read_header, snapshot_digest

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]

WALKS = 8
WALK_STEPS = 8
TRUNCATED_PICTURES = 32
PICTURES_OF_ONE = 50
"""Drawn from a model of one picture, as the field does, where no count is given."""
TRUNCATION_SHOWN = 0.7
# Pictures of one scene may differ by a few pixels between programs; more is another picture.
_LARGEST_TRIM = 2
_LARGEST_ASPECT_DIFFERENCE = 0.05


@dataclass(frozen=True)
class EvaluationOptions:
    """The options of the command; see there."""

    source: Path
    real: Path | None = None
    out: Path | None = None
    protocol: str = "quick"
    count: int | None = None
    seed: int = 1_000_000
    extractors: tuple[str, ...] | None = None
    metrics: tuple[str, ...] | None = None
    skip_missing: bool = False
    holdout: str | None = None
    holdout_seed: int = 0
    image_size: int | None = None
    fit: str = "crop"
    truncation: float | None = None
    licence: str | None = None
    weights_dir: Path | None = None
    cache: Path | None = None
    no_cache: bool = False
    device: str = "auto"
    batch_size: int = 4


@dataclass(frozen=True)
class EvaluationResult:
    """Where the evaluation was written, its record, and what the user should be told beside it."""

    folder: Path
    record: dict[str, Any]
    notes: tuple[str, ...]
    run_folder: Path | None = None


@dataclass(frozen=True)
class ScenesResult:
    """A table over scenes."""

    folder: Path
    summary: dict[str, dict[str, float]]
    scenes: int
    notes: tuple[str, ...]


@dataclass
class _Fakes:
    images: Tensor
    names: tuple[str, ...]
    facts: dict[str, Any]
    notes: list[str]
    model: dict[str, Any] | None = None
    truncated: Tensor | None = None
    walks: Tensor | None = None
    picture: Tensor | None = None
    """The one picture that a snapshot learned from, which it holds at its own size."""
    trained_on: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Reals:
    images: Tensor
    names: tuple[str, ...]
    facts: dict[str, Any]
    notes: list[str]
    holdout: Tensor | None = None


def run_evaluation(options: EvaluationOptions, progress: Progress | None = None) -> EvaluationResult:
    """Measure a folder of pictures, a snapshot or a run, and write the evaluation folder.

    Raises:
        UsageError: options that do not fit together.
        WeightsError: what was asked for needs files that are missing; told before any work, nothing is written.
        DataError: pictures that cannot be used.
    """
    protocol, request = _settle(options)
    device = choose_hardware(options.device).device
    command = _command(options)
    run_folder, options = _from_run(options)
    one_picture = _is_model_of_one_picture(options.source)
    if one_picture and options.count is None:
        protocol = protocol.changed(num_fakes=PICTURES_OF_ONE)
    if options.real is None and not one_picture:
        raise UsageError(f"{options.source} does not say which pictures it learned from; name them with --real FOLDER.")
    fakes = _load_fakes(options, protocol, request, device, progress)
    if options.real is None:
        assert fakes.picture is not None
        reals = _own_picture(fakes)
    else:
        reals = _load_reals(options, fakes.images, progress)
    reference = PreparedReference(
        reals.images,
        reals.names,
        store=_store(options),
        weights_dir=options.weights_dir,
        device=device,
        batch_size=options.batch_size,
        progress=progress,
    )
    if len(fakes.images) < protocol.num_fakes:
        # A protocol's name stands for its number of pictures too.
        protocol = protocol.changed(num_fakes=len(fakes.images))
    provenance = Provenance(command, reals.facts, fakes.facts, fakes.model, (*fakes.notes, *reals.notes))
    evaluation: Evaluation
    if len(reals.images) == 1:
        evaluation = evaluate_single(
            fakes.images, reference, protocol, request=request, fake_names=fakes.names, provenance=provenance
        )
    else:
        evaluation = evaluate(
            fakes.images,
            reference,
            protocol,
            request=request,
            fake_names=fakes.names,
            holdout=reals.holdout,
            walks=fakes.walks,
            provenance=provenance,
            keep_fakes=True,
        )
    folder = options.out or Path(f"evaluation-{options.source.resolve().stem}")
    walk = None if fakes.walks is None else Walk(fakes.walks[0], options.seed, options.seed + 1)
    shown = ShownPictures(fakes.images, fakes.names, reals.images, reals.names, fakes.truncated, walk)
    write_evaluation(folder, evaluation, shown)
    if run_folder is not None and run_folder.resolve() not in folder.resolve().parents:
        keep_run_records(run_folder, folder)
    return EvaluationResult(folder, evaluation.record, tuple(fakes.notes + reals.notes), run_folder)


def keep_run_records(run_folder: Path, folder: Path) -> None:
    """Copy what a report tells about the run, so that the evaluation's folder is whole without it."""
    for name in (RESULTS_FILE, TRAINING_FILE, CONFIG_FILE):
        if (run_folder / name).is_file():
            with write_atomically(folder / KEPT_RUN / name) as temporary:
                shutil.copyfile(run_folder / name, temporary)


def _settle(options: EvaluationOptions) -> tuple[Protocol, Request]:
    if options.fit not in ("crop", "pad"):
        raise UsageError(f"fit is {options.fit!r}; choose crop or pad.")
    if not options.source.exists():
        raise DataError(f"{options.source} does not exist; give a folder or zip of pictures, a snapshot or a run.")
    return settle_figures(options)


def settle_figures(options: EvaluationOptions) -> tuple[Protocol, Request]:
    """What is to be measured, told before any work.

    Raises:
        UsageError: unknown names.
        WeightsError: what was asked for needs files that are missing.
    """
    protocol = named_protocol(options.protocol).changed(
        num_fakes=options.count, extractors=options.extractors, truncation=options.truncation
    )
    request = resolve(
        protocol,
        options.metrics,
        weights_dir=options.weights_dir,
        skip_missing=options.skip_missing,
        command=f"sase-gan evaluate {options.source} --real {options.real or 'REAL'}",
    )
    return protocol, request


def _store(options: EvaluationOptions) -> FeatureStore:
    return FeatureStore(None if options.no_cache else options.cache or default_cache_folder())


def _command(options: EvaluationOptions, *, pairs: bool = False) -> str:
    """The command to repeat an evaluation, as it was typed; a report is sent on, so of absolute paths only names."""
    words = ["sase-gan", "evaluate", _as_typed(options.source)]
    if options.real is not None:
        words += ["--real", _as_typed(options.real)]
    defaults = EvaluationOptions(options.source)
    for name in ("protocol", "count", "seed", "holdout", "holdout_seed", "image_size", "fit", "truncation", "licence"):
        value = getattr(options, name)
        if value != getattr(defaults, name):
            words += [f"--{name.replace('_', '-')}", _as_typed(Path(value)) if name == "holdout" else str(value)]
    for extractor in options.extractors or ():
        words += ["--extractor", extractor]
    if options.metrics:
        words += ["--metrics", ",".join(options.metrics)]
    words += ["--skip-missing"] if options.skip_missing else []
    return shlex.join([*words, "--pairs"] if pairs else words)


def _as_typed(path: Path) -> str:
    return path.name if path.is_absolute() else str(path)


# --- runs and snapshots -----------------------------------------------------------------------------------------------


def _from_run(options: EvaluationOptions) -> tuple[Path | None, EvaluationOptions]:
    """For a run, or a snapshot within one: its pictures and settings as options, and the snapshot as source."""
    if is_run(options.source):
        run_path: Path | None = options.source
        source = open_run(options.source).chosen_snapshot()
    else:
        source = options.source
        parent = source.resolve().parent.parent
        run_path = parent if is_snapshot(source) and is_run(parent) else None
    if run_path is None:
        return None, options
    config = yaml.safe_load((run_path / "config.yaml").read_text(encoding="utf-8")) or {}
    data = config.get("data") or {}
    changes: dict[str, Any] = {"source": source}
    if options.out is None:
        changes["out"] = run_path / "evaluation"
    # A model of one picture holds it at its own size; the file would have to be resized once more.
    if options.real is None and data.get("path") and not is_of_one_picture(run_path):
        changes["real"] = Path(data["path"])
        changes["fit"] = data.get("fit", options.fit)
        changes["licence"] = options.licence or data.get("licence")
        if options.holdout is None and data.get("holdout"):
            changes["holdout"], changes["holdout_seed"] = str(data["holdout"]), int(config.get("seed", 0))
    return run_path, dataclasses.replace(options, **changes)


def _load_fakes(
    options: EvaluationOptions,
    protocol: Protocol,
    request: Request,
    device: torch.device,
    progress: Progress | None,
) -> _Fakes:
    if is_snapshot(options.source):
        return _sample(options, protocol, request, device, progress)
    source = open_images(options.source)
    count = options.count or protocol.num_fakes
    image_size, notes = _settle_size(source, count, options)
    found = load_image_set(
        source,
        image_size=image_size,
        fit="pad" if options.fit == "pad" else "crop",
        max_images=count,
        progress=_named(progress, "reading generated pictures"),
    )
    if len(source) > count:
        notes.append(
            f"{options.source.name} holds {len(source):,} pictures; the first {count:,} by name were measured "
            f"(--count {len(source)} takes all)."
        )
    # Brought to a common size on purpose or with a note, pictures are not called enlarged once more.
    notes += _picture_notes(found, options.source, enlarged=image_size is None)
    facts = {"source": "folder", "name": options.source.resolve().name}
    return _Fakes(found.images, found.names, facts, notes)


def _settle_size(source: ImageSource, count: int, options: EvaluationOptions) -> tuple[int | None, list[str]]:
    """Where sizes are mixed and none was asked for, that of most pictures, and a note."""
    if options.image_size is not None:
        return options.image_size, []
    names = source.names[:count]
    sizes = [_file_size(source, index) for index in range(len(names))]
    known = Counter(size for size in sizes if size is not None)
    if len(known) < 2:
        return None, []
    (width, height), most = max(known.items(), key=lambda item: (item[1], -item[0][0] * item[0][1]))
    if width != height:
        return None, []  # rectangles cannot be brought to one size without a choice; reading them says so
    others = sum(known.values()) - most
    example = next(index for index, size in enumerate(sizes) if size not in (None, (width, height)))
    was = sizes[example]
    assert was is not None
    return width, [
        f"{_counted(most, 'picture')} in {options.source.name} {'are' if most > 1 else 'is'} {width} x {height} and "
        f"{_counted(others, 'other')} not, such as {names[example]} ({was[0]} x {was[1]}); all were measured at "
        f"{width} x {height}: leave out what is no sample, or choose a size with --image-size."
    ]


def _file_size(source: ImageSource, index: int) -> tuple[int, int] | None:
    """Width and height by a picture's header, upright; None when it cannot be read, which loading will tell."""
    from PIL import Image

    try:
        with source.open(index) as file, Image.open(file) as image:
            width, height = image.size
            return (height, width) if image.getexif().get(0x0112, 1) in (5, 6, 7, 8) else (width, height)
    except Exception:  # what a damaged file raises differs by format
        return None


def _sample(
    options: EvaluationOptions,
    protocol: Protocol,
    request: Request,
    device: torch.device,
    progress: Progress | None,
) -> _Fakes:
    from sase_gan.drawing.sampling import latent_walk, sample_images
    from sase_gan.networks.load import load_network
    from sase_gan.networks.pyramid import Pyramid

    if options.image_size is not None:
        raise UsageError("--image-size has no effect on a snapshot, whose pictures have their own size; leave it out.")
    network: Any = load_network(options.source).to(device)
    seeds = range(options.seed, options.seed + protocol.num_fakes)
    images = sample_images(
        network,
        seeds,
        truncation=protocol.truncation,
        batch_size=8,
        progress=_named(progress, "generating pictures"),
    )
    truncated = walks = picture = None
    if isinstance(network, Pyramid):
        picture = network.picture.cpu()
    elif protocol.truncation > TRUNCATION_SHOWN:
        truncated = sample_images(network, seeds[:TRUNCATED_PICTURES], truncation=TRUNCATION_SHOWN)
    if picture is None and request.wants_group("smoothness"):
        pairs = [(options.seed + 2 * walk, options.seed + 2 * walk + 1) for walk in range(WALKS)]
        walks = torch.stack([latent_walk(network, pair, steps=WALK_STEPS) for pair in pairs])
    return _Fakes(
        images,
        tuple(f"seed {seed}" for seed in seeds),
        {"source": "snapshot", "name": options.source.resolve().name},
        [],
        _model_facts(options, protocol, network),
        truncated,
        walks,
        picture,
        dict(network.provenance.get("data") or {}),
    )


def _is_model_of_one_picture(source: Path) -> bool:
    from sase_gan.networks.pyramid import Pyramid

    return is_snapshot(source) and read_header(source / WEIGHTS_FILE)["kind"] == Pyramid.kind


def _model_facts(options: EvaluationOptions, protocol: Protocol, network: Any) -> dict[str, Any]:
    provenance = dict(getattr(network, "provenance", {}) or {})
    name = options.source.resolve().name
    return {
        "snapshot": name,
        "digest": snapshot_digest(options.source),
        "images_seen": provenance.get("images_seen", images_of(name)),
        "averaged": provenance.get("averaged"),
        "truncation": protocol.truncation,
        "seed": options.seed,
        "noise": protocol.noise,
        "extractor_used_in_training": provenance.get("extractor_used_in_training"),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
    }


# --- real pictures ----------------------------------------------------------------------------------------------------


def _load_reals(options: EvaluationOptions, fakes: Tensor, progress: Progress | None) -> _Reals:
    """The real pictures at the size of the generated ones."""
    assert options.real is not None
    height, width = fakes.shape[-2:]
    found = _at_size(options.real, height, width, options.fit, _named(progress, "reading real pictures"))
    held: Tensor | None = None
    if options.holdout is not None:
        found, held = _part(found, options, height, width)
    notes = _picture_notes(found, options.real)
    facts = {
        "name": options.real.resolve().stem,
        "path_name": options.real.name,
        "licence": options.licence,
        "mirror": False,
        "jpeg_sources": found.notes.jpeg_sources,
        "holdout": 0 if held is None else len(held),
    }
    return _Reals(found.images, found.names, facts, notes, held)


def _own_picture(fakes: _Fakes) -> _Reals:
    assert fakes.picture is not None
    data = fakes.trained_on
    name = str(data.get("name") or "training picture")
    facts = {"name": Path(name).stem, "path_name": name, "licence": data.get("licence"), "mirror": False}
    return _Reals(fakes.picture[None], (name,), facts, [])


def _at_size(path: Path, height: int, width: int, fit: str, progress: Any = None) -> ImageSet:
    square = height == width
    found = load_image_set(
        path, image_size=height if square else None, fit="pad" if fit == "pad" else "crop", progress=progress
    )
    if tuple(found.images.shape[-2:]) == (height, width):
        return found
    real_height, real_width = found.images.shape[-2:]
    if 0 <= real_height - height <= _LARGEST_TRIM and 0 <= real_width - width <= _LARGEST_TRIM:
        # Programs round sizes differently. Resampling by a pixel would blur; unequal sizes would be worse, since early
        # features of odd and even sides alone are 40 to 80 apart in sifd_efflite0.
        return dataclasses.replace(found, images=found.images[..., :height, :width].contiguous())
    if len(found) > 1 or abs(real_width / real_height / (width / height) - 1) > _LARGEST_ASPECT_DIFFERENCE:
        raise DataError(
            f"The generated pictures are {width} x {height} and those in {path} {real_width} x {real_height}; prepare "
            "both at one size, for example with --image-size."
        )
    return dataclasses.replace(found, images=resized(found.images, height, width))


def _part(found: ImageSet, options: EvaluationOptions, height: int, width: int) -> tuple[ImageSet, Tensor]:
    text = str(options.holdout)
    if Path(text).exists():
        return found, _at_size(Path(text), height, width, options.fit).images
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise UsageError(f"holdout is {text!r}; give a share such as 10% or 0.1, or an existing folder.") from None
    train, held = split_holdout(found, share, options.holdout_seed)
    return train, held.images


def _picture_notes(found: ImageSet, path: Path, *, enlarged: bool = True) -> list[str]:
    notes, name = [], path.resolve().name
    if found.notes.jpeg_sources:
        notes.append(
            f"{found.notes.jpeg_sources} of {len(found)} pictures in {name} are JPEG; compare figures with those of "
            "pictures stored alike."
        )
    if found.notes.upscaled and enlarged:
        notes.append(f"{len(found.notes.upscaled)} of {len(found)} pictures in {name} were enlarged.")
    if found.notes.ignored:
        ignored = len(found.notes.ignored)
        example = found.notes.ignored[0]
        notes.append(f"{_counted(ignored, 'file')} in {name}, such as {example}, left out: no picture by the suffix.")
    return notes


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _named(progress: Progress | None, what: str) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    return lambda done, total: progress(what, done, total)


# --- many scenes ------------------------------------------------------------------------------------------------------


def run_pairs(options: EvaluationOptions, progress: Progress | None = None) -> ScenesResult:
    """Score pictures against the real picture of the same name: `scene.png`, `scene_*.png`, or a folder `scene`.

    Writes `scenes.json` (summary and one record a scene), `scenes.csv` and `scenes.md`. Where an image size is given,
    it is the longer side, and both pictures are brought to it in the real one's proportions.

    Raises:
        UsageError: no --real.
        DataError: a real picture without a generated one of its name.
    """
    protocol, request = _settle(options)
    if options.real is None:
        raise UsageError("--pairs needs --real FOLDER with a real picture for each scene.")
    device = choose_hardware(options.device).device
    scenes = _match(options.source, options.real)
    records, names, notes = [], [], []
    jpeg = 0
    for index, (real, files) in enumerate(scenes):
        images = [load_image_set(file, image_size=None) for file in files]
        jpeg += sum(image.notes.jpeg_sources for image in images)
        if options.image_size is None:
            height, width = images[0].images.shape[-2:]
            reals = _at_size(real, height, width, options.fit)
        else:
            reals = _reduced(load_image_set(real, image_size=None), options.image_size)
            height, width = reals.images.shape[-2:]
        fakes = torch.cat([resized(image.images, height, width) for image in images])
        reference = PreparedReference(
            reals.images, reals.names, weights_dir=options.weights_dir, device=device, batch_size=options.batch_size
        )
        provenance = Provenance(_command(options, pairs=True), {"name": real.stem}, {"name": options.source.name})
        records.append(evaluate_single(fakes, reference, protocol, request=request, provenance=provenance).record)
        names.append(real.stem)
        if progress is not None:
            progress("scenes", index + 1, len(scenes))
    if jpeg:
        notes.append("Some generated pictures are JPEG, which alone costs about 5 in sifd_efflite0.")
    summary = summarise_scenes(records)
    folder = options.out or Path(f"evaluation-{options.source.resolve().stem}")
    write_record(
        folder / "scenes.json",
        {
            "schema_version": 1,
            "kind": "scenes",
            "command": _command(options, pairs=True),
            "summary": summary,
            "scenes": [{"name": name, **record} for name, record in zip(names, records, strict=True)],
        },
    )
    _write_scene_tables(folder, names, records, summary)
    return ScenesResult(folder, summary, len(records), tuple(notes))


def _reduced(picture: ImageSet, longer_side: int) -> ImageSet:
    height, width = picture.images.shape[-2:]
    return fitted(picture, training_size(height, width, longer_side))


def _weights_source(extractor: str, sha256: str) -> str:
    known = known_weights.KNOWN.get(extractor)
    return f"weights of {extractor}: {known.filename if known else 'unknown file'}, SHA-256 {sha256}"


def _match(source: Path, real: Path) -> list[tuple[Path, list[Path]]]:
    if not source.is_dir() or not real.is_dir():
        raise DataError(f"--pairs compares two folders; {source} and {real} were given.")
    suffixes = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}

    def pictures(folder: Path) -> list[Path]:
        return sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes and path.name[0] != ".")

    fakes, scenes = pictures(source), []
    for scene in pictures(real):
        own = [path for path in fakes if path.stem == scene.stem or path.stem.startswith(f"{scene.stem}_")]
        if (source / scene.stem).is_dir():
            own += pictures(source / scene.stem)
        if not own:
            raise DataError(
                f"{real.name}/{scene.name} has no generated picture called {scene.stem} in {source}; name them alike."
            )
        scenes.append((scene, own))
    if not scenes:
        raise DataError(f"{real} holds no pictures; give the folder of the scenes.")
    return scenes


def _write_scene_tables(
    folder: Path, names: list[str], records: list[dict[str, Any]], summary: dict[str, dict[str, float]]
) -> None:
    import csv

    figures = [name for name in SCENE_FIGURES if name in summary]
    with write_atomically(folder / "scenes.csv") as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["scene", "fakes", *figures])
        for name, record in zip(names, records, strict=True):
            values = [record["metrics"].get(figure, {}).get("value") for figure in figures]
            writer.writerow([name, record["fakes"]["n"], *("" if value is None else value for value in values)])
    lines = [f"| over {len(names)} scenes | mean | median | deviation | 95 % |", "| --- | --- | --- | --- | --- |"]
    for figure in figures:
        row = summary[figure]
        interval = f"{row['low']:.4g} to {row['high']:.4g}" if "low" in row else ""
        lines.append(f"| {figure} | {row['mean']:.4g} | {row['median']:.4g} | {row['std']:.3g} | {interval} |")
    skipped = sorted(
        {
            f"{name}: {entry['reason']}"
            for record in records
            for name, entry in record["metrics"].items()
            if entry["status"] != "ok"
        }
    )
    networks = {
        (entry["extractor"], entry["weights_sha256"])
        for record in records
        for entry in record["metrics"].values()
        if entry["status"] == "ok" and entry["weights_sha256"]
    }
    lines += ["", *(f"- {_weights_source(*network)}" for network in sorted(networks))]
    lines += [f"- not computed: {line}" for line in skipped]
    with write_atomically(folder / "scenes.md") as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
