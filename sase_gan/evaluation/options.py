"""The options of an evaluation are resolved here into a plan: what is drawn, what is real, what is asked.

`resolve` looks at everything once, before any work.
"""

import dataclasses
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from sase_gan.drawing.training_mode import BATCH, SCORED_SIDE
from sase_gan.errors import DataError, UsageError
from sase_gan.fits import Fit, checked_fit
from sase_gan.hardware import choose_hardware
from sase_gan.metrics.feature_store import FeatureStore, default_cache_folder
from sase_gan.metrics.request import Protocol, Request, named_protocol
from sase_gan.metrics.request import resolve as resolve_request
from sase_gan.networks.load import learned_from_one_picture, network_class
from sase_gan.pixels import Colour, parse_colour
from sase_gan.places import try_folder
from sase_gan.recombination.model import Recombiner
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
    background: str = "white"
    truncation: float | None = None
    licence: str | None = None
    weights_dir: Path | None = None
    cache: Path | None = None
    no_cache: bool = False
    device: str = "auto"
    batch_size: int = 4
    baseline: bool = True


@dataclass(frozen=True)
class Plan:
    """A plan is an evaluation with its options settled.

    Attributes:
        options: as given, completed from the training run; `source` is pictures or a snapshot.
        command: to repeat it.
        run: the training run of the snapshot, where there is one.
        snapshot: whether the source is a snapshot, which draws the pictures.
        of_one_picture: whether that snapshot learned from one picture; it holds it, for when there is no `real`.
        store: where features lie.
        recombine: whether what recombining the training pictures alone gives is measured too.
    """

    options: EvaluationOptions
    protocol: Protocol
    request: Request
    command: str
    run: Path | None
    snapshot: bool
    of_one_picture: bool
    device: torch.device
    store: FeatureStore
    recombine: bool = False

    @property
    def folder(self) -> Path:
        """Where the record goes."""
        return self.options.out or Path(f"evaluation-{self.options.source.resolve().stem}")

    @property
    def background(self) -> Colour:
        """The colour behind transparent pixels."""
        return parse_colour(self.options.background)

    @property
    def fit(self) -> Fit:
        """How pictures become square."""
        return "squash" if self.as_fastgan else checked_fit(self.options.fit)

    @property
    def as_fastgan(self) -> bool:
        """Whether pictures are drawn and brought to size as FastGAN's evaluation does."""
        return self.protocol.pipeline == "fastgan"


def resolve(options: EvaluationOptions) -> Plan:
    """Plan an evaluation against a set or one picture.

    Raises:
        UsageError: options that do not fit together.
        WeightsError: what was asked for needs files that are missing.
        DataError: there is nothing at the source.
    """
    protocol, request = _checked(options)
    run, completed = _from_run(options)
    plan = _plan(completed, protocol, request, _command(options), run)
    # A run names its own pictures, so it is known what its network learned from.
    trained = run is not None and options.real is None and network_class(completed.source) is not Recombiner
    plan = dataclasses.replace(plan, recombine=options.baseline and trained and not plan.as_fastgan)
    if plan.of_one_picture and options.count is None:
        plan = dataclasses.replace(plan, protocol=protocol.changed(num_fakes=PICTURES_OF_ONE))
    if completed.real is None and not plan.of_one_picture:
        source = completed.source
        raise UsageError(f"{source} does not say which pictures it learned from; name them with --real FOLDER.")
    return plan


def resolve_pairs(options: EvaluationOptions) -> Plan:
    """Plan an evaluation of many scenes, each against its own real picture.

    Raises:
        UsageError, WeightsError, DataError: as of `resolve`; and there must be a `real`.
    """
    protocol, request = _checked(options)
    if options.real is None:
        raise UsageError("--pairs needs --real FOLDER with a real picture for each scene.")
    if protocol.pipeline == "fastgan":
        raise UsageError("--pairs scores pictures one by one, --protocol fid_fastgan a set; leave one of them out.")
    return _plan(options, protocol, request, f"{_command(options)} --pairs")


def settle_figures(options: EvaluationOptions) -> tuple[Protocol, Request]:
    """Settle what is to be measured, before any work.

    Raises:
        UsageError: unknown names.
        WeightsError: what was asked for needs files that are missing.
    """
    protocol, count = named_protocol(options.protocol), options.count
    if protocol.pipeline == "fastgan" and count is not None:
        if count < BATCH:
            raise UsageError(f"count is {count}; fid_fastgan draws whole batches of {BATCH}, so at least {BATCH}.")
        count = count // BATCH * BATCH
    protocol = protocol.changed(num_fakes=count, extractors=options.extractors, truncation=options.truncation)
    request = resolve_request(
        protocol,
        options.metrics,
        weights_dir=options.weights_dir,
        skip_missing=options.skip_missing,
        command=f"sase-gan evaluate {options.source} --real {options.real or 'REAL'}",
    )
    return protocol, request


def _checked(options: EvaluationOptions) -> tuple[Protocol, Request]:
    checked_fit(options.fit)
    if options.image_size is not None and named_protocol(options.protocol).pipeline == "fastgan":
        raise UsageError(f"image_size is {options.image_size}; fid_fastgan scores at {SCORED_SIDE} px: leave it out.")
    if not options.source.exists():
        raise DataError(f"{options.source} does not exist; give a folder or zip of pictures, a snapshot or a run.")
    return settle_figures(options)


def _plan(
    options: EvaluationOptions, protocol: Protocol, request: Request, command: str, run: Path | None = None
) -> Plan:
    device = choose_hardware(options.device).device
    parse_colour(options.background)
    snapshot = is_snapshot(options.source)
    of_one_picture = snapshot and learned_from_one_picture(options.source)
    store = FeatureStore(None if options.no_cache else options.cache or default_cache_folder())
    plan = Plan(options, protocol, request, command, run, snapshot, of_one_picture, device, store)
    # After all its work is too late to find out.
    try_folder(plan.folder)
    return plan


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
    if options.real is None and data.get("path") and not learned_from_one_picture(source):
        changes["real"] = Path(data["path"])
        changes["fit"] = data.get("fit", options.fit)
        changes["background"] = data.get("background", options.background)
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
    for name in (
        "protocol",
        "count",
        "seed",
        "holdout",
        "holdout_seed",
        "image_size",
        "fit",
        "background",
        "truncation",
        "licence",
    ):
        value = getattr(options, name)
        if value != getattr(defaults, name):
            words += [f"--{name.replace('_', '-')}", _as_typed(Path(value)) if name == "holdout" else str(value)]
    for extractor in options.extractors or ():
        words += ["--extractor", extractor]
    if options.metrics:
        words += ["--metrics", ",".join(options.metrics)]
    words += ["--skip-missing"] if options.skip_missing else []
    return shlex.join(words if options.baseline else [*words, "--no-baseline"])


def _as_typed(path: Path) -> str:
    return path.name if path.is_absolute() else str(path)
