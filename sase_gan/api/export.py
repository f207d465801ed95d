"""A model as a file for other programs, checked against the model at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from sase_gan import __version__
from sase_gan.api.models import HasFolder, find_snapshot, load_published
from sase_gan.errors import UsageError
from sase_gan.exporting.checking import Agreement, deviation
from sase_gan.exporting.generators import Noise, generator_subject
from sase_gan.exporting.half import round_weights
from sase_gan.exporting.onnx_file import check_packages, write_onnx
from sase_gan.exporting.pt2_file import write_pt2
from sase_gan.exporting.pyramids import pyramid_subject
from sase_gan.exporting.recognisers import Part, classifier_subject, detector_subject
from sase_gan.exporting.subject import Subject
from sase_gan.exporting.web import write_page
from sase_gan.exporting.web_runtime import runtime_folder
from sase_gan.files import write_atomically
from sase_gan.networks.finished import FinishedGenerator
from sase_gan.networks.generator import Generator
from sase_gan.networks.load import training_facts
from sase_gan.networks.pyramid import Pyramid
from sase_gan.places import try_file, try_folder
from sase_gan.runs.finding import model_name
from sase_gan.snapshot import WEIGHTS_FILE, read_header, snapshot_digest

Format = Literal["onnx", "pt2"]


@dataclass(frozen=True)
class ExportSettings:
    """Settings of an export; those that a kind of model does not have are refused.

    Attributes:
        half: store weights in 16 bit; files compute in 32 bit all the same.
        noise: of a generator: an input for each noise map, the maps of seed 0 in the file, or none.
        mixing: of a generator: two more inputs give pictures the appearance of others of their batch.
        size: height and width of what a file draws, of a model of one picture; the trained size if None.
        unfinished: of a model whose pictures are finished with patches: export the network alone.
        part: of a classifier or detector: "whole", or "backbone", its maps.
    """

    half: bool = False
    noise: Noise = "inputs"
    mixing: bool = False
    size: tuple[int, int] | None = None
    unfinished: bool = False
    part: Part = "whole"


@dataclass(frozen=True)
class Exported:
    """An exported file, and how near it is to the model.

    Attributes:
        agreement: with the model, whose weights are rounded as the file's are.
        rounding: what rounding weights to 16 bit changes, by the largest difference of a value; None in 32 bit.
    """

    path: Path
    agreement: Agreement
    rounding: float | None

    def in_words(self) -> str:
        """Say it in lines."""
        lines = [f"{self.path}: {self.path.stat().st_size / 1e6:.1f} MB, {self.agreement.in_words()}"]
        if self.rounding is not None:
            lines.append(f"weights in 16 bit change values by up to {self.rounding:.1e}")
        return "\n".join(lines)


def export(
    model: Path | str | HasFolder, out: Path | str, *, settings: ExportSettings | None = None, **options: Any
) -> Exported:
    """Export a model to a file, by its ending: `.onnx`, or `.pt2` for `torch.export.load`.

    The file appears whole and checked, or not at all; one that was there is replaced then.

    Args:
        model: anything that `load` takes, a classifier or a detector.
        settings: what is wanted; the defaults if None.
        options: fields of `ExportSettings` by name, which override `settings`.

    Raises:
        DataError: if there is no such model.
        UsageError: for a model, or an option, that cannot be exported so, with what can be done.
        SaseGanError: if the file would not agree with the model.

    Example:
        `sase_gan.export("runs/faces-001", "faces.onnx", half=True)`
    """
    chosen = replace(settings or ExportSettings(), **options)
    path = Path(out)
    kind = path.suffix.removeprefix(".").lower()
    if kind not in get_args(Format):
        raise UsageError(f"the file is to be {path}; its name must end in .onnx or .pt2")
    try_file(path)
    prepared = prepare(model, chosen)
    if kind == "onnx":
        check_packages()
    write = write_onnx if kind == "onnx" else write_pt2
    with write_atomically(path) as temporary:
        agreement = write(prepared.subject, temporary, prepared.description, half=chosen.half)
    return Exported(path, agreement, prepared.rounding)


def export_page(
    model: Path | str | HasFolder,
    out: Path | str,
    *,
    half: bool = True,
    unfinished: bool = False,
    runtime: Path | None = None,
) -> Exported:
    """Export a model as a page that draws in the browser: a folder for any web host.

    Args:
        model: anything that `load` takes: a generator of a set, or, with `unfinished`, a finished one or a pyramid.
        half: weights in 16 bit, which halves what visitors wait for.
        unfinished: as of `ExportSettings`.
        runtime: the npm package onnxruntime-web, packed or not, where npm cannot fetch it.

    Raises:
        DataError, UsageError, SaseGanError: as `export`; WeightsError: if the runtime cannot be had.

    Example:
        `export_page("runs/faces-001", "site")`, and then `python -m http.server --directory site`
    """
    check_packages()
    folder = Path(out)
    try_folder(folder.parent)
    _check_replaceable(folder)
    kind = read_header(find_snapshot(model) / WEIGHTS_FILE)["kind"]
    generates = kind in (Generator.kind, FinishedGenerator.kind)
    if kind in ("classifier", "detector"):
        raise UsageError(f"{model} is a {kind}, and the page draws pictures; write a file with: sase-gan export onnx")
    settings = ExportSettings(half=half, mixing=generates, unfinished=unfinished)
    prepared = prepare(model, settings)
    found = runtime_folder(runtime)
    agreement = write_page(prepared.subject, folder, prepared.description, found, half=half)
    return Exported(folder / "model" / "model.onnx", agreement, prepared.rounding)


def _check_replaceable(folder: Path) -> None:
    """Refuse a folder that holds something else than an earlier page."""
    if (
        folder.exists()
        and not (folder / "model" / "model.json").is_file()
        and (not folder.is_dir() or any(folder.iterdir()))
    ):
        raise UsageError(f"{folder} exists and is no page of this program; choose another --out")


@dataclass(frozen=True)
class Prepared:
    """A model is prepared for an export: in its form, with what its file will say of it."""

    subject: Subject
    description: dict[str, Any]
    rounding: float | None


def prepare(model: Path | str | HasFolder, settings: ExportSettings) -> Prepared:
    """Load a model and bring it into the form in which it is exported.

    Raises:
        DataError, UsageError: as `export`.
    """
    folder = find_snapshot(model)
    network = _opened(folder)
    rounding = None
    subject = subject_of(network, settings)
    if settings.half:
        exact, network = subject, _opened(folder)
        round_weights(network)
        subject = subject_of(network, settings)
        rounding = deviation(subject, exact)
    data = training_facts(folder)
    description = {
        "name": model_name(model if isinstance(model, Path | str) else model.folder),
        "kind": network.kind,
        "sase_gan": __version__,
        "snapshot": snapshot_digest(folder),
        "licence": data.get("licence") or "not stated",
        "trained_on": _trained_on(data),
        "weights": "16 bit, widened to 32 when loaded" if settings.half else "32 bit",
        **subject.description(),
        "card": str(network.generate_model_card()),
    }
    return Prepared(subject, description, rounding)


def _trained_on(data: dict[str, Any]) -> str:
    count = data.get("count")
    words = [str(count)] if count else []
    return " of ".join([*words, str(data["name"])]) if data.get("name") else " ".join(words)


def _opened(folder: Path) -> Any:
    network = load_published(folder)
    # What training publishes is divided by its spectral norms already; other snapshots may not be.
    return network.folded() if isinstance(network, Generator) and network.config.spectral_norm else network


def subject_of(network: Any, settings: ExportSettings) -> Subject:
    """Bring a loaded model into the form in which it is exported.

    Raises:
        UsageError: for a model, or an option, that cannot be exported so, with what can be done.
    """
    usual = ExportSettings()
    own = {
        "low_shot_generator": ("noise", "mixing"),
        "finished_generator": ("noise", "mixing", "unfinished"),
        "one_shot_pyramid": ("size", "unfinished"),
    }
    allowed = ("half", *own.get(network.kind, ("part",)))
    given = [name for name in vars(usual) if getattr(settings, name) != getattr(usual, name) and name not in allowed]
    if network.kind == "recombiner":
        raise UsageError(
            "a model without training searches its pictures for what fits, at every step, which no exported file can "
            "do; train a network with: sase-gan train PICTURES --preset cpu (of one picture: --preset quick), or draw "
            "with: sase-gan sample"
        )
    if given:
        what = network.kind.replace("_", " ")
        raise UsageError(f"{', '.join(given)}: this has no effect on a {what}; leave it out")
    if isinstance(network, FinishedGenerator):
        if not settings.unfinished:
            raise UsageError(
                "this model finishes its pictures with patches of its training pictures, and that search cannot be "
                "exported; add --unfinished for the network alone, which draws what sase-gan sample does with "
                "--unfinished, and then holds no training pictures"
            )
        network = network.unfinished()
    if isinstance(network, Generator):
        return generator_subject(network, noise=settings.noise, mixing=settings.mixing)
    if isinstance(network, Pyramid):
        return pyramid_subject(network, size=settings.size, unfinished=settings.unfinished)
    make: Any = classifier_subject if network.kind == "classifier" else detector_subject
    subject: Subject = make(network, settings.part)
    return subject
