"""The options of an evaluation are resolved here into a plan: what is drawn, what is real, what is asked.

`resolve` looks at everything once, before any work; after it no function needs the options again.
"""

import dataclasses
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from sase_gan.datasets.fit import Fit
from sase_gan.errors import DataError, UsageError
from sase_gan.hardware import choose_hardware
from sase_gan.metrics.feature_store import FeatureStore, default_cache_folder
from sase_gan.metrics.request import Protocol, Request, named_protocol
from sase_gan.metrics.request import resolve as resolve_request
from sase_gan.networks.load import network_class
from sase_gan.runs.folder import is_run, open_run
from sase_gan.snapshot import is_snapshot

PICTURES_OF_ONE = 50
"""Drawn from a model of one picture, as the field does, where no count is given."""


@dataclass(frozen=True)
class EvaluationOptions:
    """The options hold what was given to the command; see there."""

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
class GeneratedSource:
    """A generated source is a folder or zip of generated pictures, or a snapshot that draws them.

    Attributes:
        snapshot: whether it is one.
        of_one_picture: whether that snapshot learned from one picture, which it then holds.
        image_size: to bring the pictures of a folder to, or None for their own.
        fit: how they become square.
    """

    path: Path
    snapshot: bool
    of_one_picture: bool
    seed: int
    image_size: int | None
    fit: Fit


@dataclass(frozen=True)
class RealSource:
    """A real source tells where real pictures come from, and which of them the generator never saw."""

    path: Path
    fit: Fit
    holdout: str | None
    holdout_seed: int
    licence: str | None


@dataclass(frozen=True)
class Asked:
    """What is asked: what is to be measured, and how."""

    protocol: Protocol
    request: Request


@dataclass(frozen=True)
class Machine:
    """A machine is what measures: the device, and where weights and features lie."""

    device: torch.device
    batch_size: int
    weights_dir: Path | None
    store: FeatureStore


@dataclass(frozen=True)
class Plan:
    """A plan is an evaluation with all its options resolved.

    Attributes:
        command: to repeat it.
        folder: where its record goes.
        run: the training run of the snapshot, where there is one.
        real: None stands for the picture that the snapshot itself holds.
    """

    command: str
    folder: Path
    run: Path | None
    generated: GeneratedSource
    real: RealSource | None
    asked: Asked
    machine: Machine


def resolve(options: EvaluationOptions) -> Plan:
    """Plan an evaluation against a set or one picture.

    Raises:
        UsageError: options that do not fit together.
        WeightsError: what was asked for needs files that are missing.
        DataError: there is nothing at the source.
    """
    asked, machine = _checked(options), _machine(options)
    command = _command(options)
    run, options = _from_run(options)
    generated = _generated(options)
    if generated.of_one_picture and options.count is None:
        asked = Asked(asked.protocol.changed(num_fakes=PICTURES_OF_ONE), asked.request)
    if options.real is None and not generated.of_one_picture:
        raise UsageError(f"{options.source} does not say which pictures it learned from; name them with --real FOLDER.")
    return Plan(command, _folder(options), run, generated, _real(options), asked, machine)


def resolve_pairs(options: EvaluationOptions) -> Plan:
    """Plan an evaluation of many scenes, each against its own real picture.

    Raises:
        UsageError: no --real, or options that do not fit together.
        WeightsError: what was asked for needs files that are missing.
        DataError: there is nothing at the source.
    """
    asked = _checked(options)
    if options.real is None:
        raise UsageError("--pairs needs --real FOLDER with a real picture for each scene.")
    command = f"{_command(options)} --pairs"
    return Plan(command, _folder(options), None, _generated(options), _real(options), asked, _machine(options))


def settle_figures(options: EvaluationOptions) -> Asked:
    """Settle what is to be measured, before any work.

    Raises:
        UsageError: unknown names.
        WeightsError: what was asked for needs files that are missing.
    """
    protocol = named_protocol(options.protocol).changed(
        num_fakes=options.count, extractors=options.extractors, truncation=options.truncation
    )
    request = resolve_request(
        protocol,
        options.metrics,
        weights_dir=options.weights_dir,
        skip_missing=options.skip_missing,
        command=f"sase-gan evaluate {options.source} --real {options.real or 'REAL'}",
    )
    return Asked(protocol, request)


def _checked(options: EvaluationOptions) -> Asked:
    if options.fit not in ("crop", "pad"):
        raise UsageError(f"fit is {options.fit!r}; choose crop or pad.")
    if not options.source.exists():
        raise DataError(f"{options.source} does not exist; give a folder or zip of pictures, a snapshot or a run.")
    return settle_figures(options)


def _machine(options: EvaluationOptions) -> Machine:
    store = FeatureStore(None if options.no_cache else options.cache or default_cache_folder())
    return Machine(choose_hardware(options.device).device, options.batch_size, options.weights_dir, store)


def _folder(options: EvaluationOptions) -> Path:
    return options.out or Path(f"evaluation-{options.source.resolve().stem}")


def _fit(options: EvaluationOptions) -> Fit:
    return "pad" if options.fit == "pad" else "crop"


def _generated(options: EvaluationOptions) -> GeneratedSource:
    snapshot = is_snapshot(options.source)
    of_one_picture = snapshot and network_class(options.source).of_one_picture
    return GeneratedSource(options.source, snapshot, of_one_picture, options.seed, options.image_size, _fit(options))


def _real(options: EvaluationOptions) -> RealSource | None:
    if options.real is None:
        return None
    return RealSource(options.real, _fit(options), options.holdout, options.holdout_seed, options.licence)


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
    config = yaml.safe_load(open_run(run_path).config.read_text(encoding="utf-8")) or {}
    data = config.get("data") or {}
    changes: dict[str, Any] = {"source": source}
    if options.out is None:
        changes["out"] = run_path / "evaluation"
    # A model of one picture holds it at its own size; the file would have to be resized once more.
    if options.real is None and data.get("path") and not network_class(source).of_one_picture:
        changes["real"] = Path(data["path"])
        changes["fit"] = data.get("fit", options.fit)
        changes["licence"] = options.licence or data.get("licence")
        if options.holdout is None and data.get("holdout"):
            changes["holdout"], changes["holdout_seed"] = str(data["holdout"]), int(config.get("seed", 0))
    return run_path, dataclasses.replace(options, **changes)


def _command(options: EvaluationOptions) -> str:
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
    return shlex.join([*words, "--skip-missing"] if options.skip_missing else words)


def _as_typed(path: Path) -> str:
    return path.name if path.is_absolute() else str(path)
