"""A protocol says how figures are made; a request settles, before any work, which are wanted and what they need.

A figure means something only together with its protocol's settings, so every record carries all of them, and a protocol
with any setting changed is called "custom".
"""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sase_gan.errors import UsageError, WeightsError
from sase_gan.features import weights
from sase_gan.features.lpips import LpipsNet
from sase_gan.metrics.catalogue import GROUPS, Group
from sase_gan.metrics.extractors import WEIGHTS_OF
from sase_gan.metrics.figures import Figure, known_figures

logger = logging.getLogger(__name__)

LPIPS_NET: LpipsNet = "alex"
NOISE_IN_TRAINING_MODE = "random, in training mode"
"""How a record calls the noise of pictures that are drawn by a generator in training mode."""
ProtocolName = Literal["quick", "standard", "paper-5k", "clean", "fid_fastgan", "custom"]


@dataclass(frozen=True)
class Protocol:
    """A protocol holds all settings that change a figure.

    Args:
        num_fakes: pictures to generate, or to take from a folder at most.
        extractors: feature networks. "auto" stands for efflite0 and, where its weights are found, Inception.
        noise: mode of the generator's noise.
        kid_largest_subset: a subset of the kernel distance has this many pictures, or as many as the smaller set.
        precision_neighbours: k of precision and recall.
        density_neighbours: k of density and coverage.
        reference_splits: random halves of the reals for the reference level.
        pipeline: "fastgan" draws in training mode and brings both sets to size as `drawing.training_mode` says.
        changed_from: of a custom protocol, the named one whose other settings it has.
    """

    name: ProtocolName = "quick"
    num_fakes: int = 1000
    extractors: tuple[str, ...] = ("auto",)
    truncation: float = 1.0
    noise: str = "random"
    kid_subsets: int = 100
    kid_largest_subset: int = 1000
    precision_neighbours: int = 3
    density_neighbours: int = 5
    bootstrap_draws: int = 200
    reference_splits: int = 10
    pipeline: Literal["own", "fastgan"] = "own"
    changed_from: str | None = None

    def changed(self, **settings: Any) -> "Protocol":
        """The same protocol with other settings, called "custom" when that changes anything; None changes nothing."""
        real = {key: value for key, value in settings.items() if value is not None and value != getattr(self, key)}
        if not real:
            return self
        return dataclasses.replace(self, name="custom", changed_from=self.changed_from or self.name, **real)

    def to_record(self) -> dict[str, Any]:
        """Write the settings as JSON values."""
        values = {**dataclasses.asdict(self), "extractors": list(self.extractors)}
        if self.pipeline == "own":  # records from before there was another
            del values["pipeline"]
        return values


PROTOCOLS: Mapping[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol("quick"),
        Protocol("standard", num_fakes=5000),
        # The resize of the released scripts of the low-shot papers is TensorFlow 1's bilinear one, torch-fidelity's.
        Protocol("paper-5k", num_fakes=5000, extractors=("inception", "efflite0")),
        Protocol("clean", num_fakes=5000, extractors=("inception-clean", "efflite0")),
        # 5,000 in whole batches of 16.
        Protocol("fid_fastgan", num_fakes=4992, extractors=("inception-fastgan",), pipeline="fastgan"),
    )
}

TRAINING = Protocol("quick").changed(num_fakes=500, extractors=("efflite0",), bootstrap_draws=50)
"""The small budget of snapshots during training."""


def named_protocol(name: str) -> Protocol:
    """Look up the protocol called `name`.

    Raises:
        UsageError: there is none.
    """
    if name not in PROTOCOLS:
        raise UsageError(f"There is no protocol {name!r}; the known ones are {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[name]


@dataclass(frozen=True)
class Request:
    """A request says what to compute.

    Attributes:
        names: figures and groups asked for; None stands for all that the extractors give.
        extractors: networks whose weights are there.
        missing: extractors that were wanted and whose weights are not there, to be noted as skipped.
        lpips: whether LPIPS can be computed.
    """

    names: tuple[str, ...] | None
    extractors: tuple[str, ...]
    missing: tuple[str, ...]
    lpips: bool

    def wants(self, figure: Figure) -> bool:
        """Tell whether a figure is to be made."""
        # A metric with scales is asked for by its sum.
        asked = (figure.name, figure.metric.scale_of, figure.metric.group)
        return self.names is None or any(name in self.names for name in asked)

    def wants_group(self, group: Group) -> bool:
        """Tell whether any figure of the group is to be made."""
        return self.names is None or group in self.names or group in {one.metric.group for one in _named(self.names)}


def resolve(
    protocol: Protocol,
    names: Sequence[str] | None = None,
    *,
    weights_dir: Path | str | None = None,
    skip_missing: bool = False,
    command: str = "sase-gan evaluate ...",
) -> Request:
    """Settle names, networks and files.

    "auto" stands for efflite0 and, where its file is found, Inception. What is asked for by name must be there unless
    `skip_missing`.

    Raises:
        UsageError: an unknown figure or extractor.
        WeightsError: files are missing or damaged; one message for all of them.
    """
    unknown = [name for name in names or () if name not in known_figures() and name not in GROUPS]
    if unknown:
        raise UsageError(
            f"There is no figure called {unknown[0]!r}; known are the groups {', '.join(GROUPS)} and single "
            f"figures such as kid_efflite0, fid, copy_share or lpips_diversity."
        )
    wanted, optional = _extractors(protocol, names)
    if "inception-fastgan" in wanted and protocol.pipeline != "fastgan":
        raise UsageError("inception-fastgan serves fid_fastgan alone; ask for it with --protocol fid_fastgan.")
    needed = {WEIGHTS_OF[name]: name for name in wanted}
    if any(figure.metric.needs == "lpips" for figure in _named(names or ())):
        needed[f"lpips-{LPIPS_NET}"] = "lpips"
    unusable = {name for name in needed if _unusable(name, weights_dir)}
    if unusable and not skip_missing:
        weights.require(needed, weights_dir, go_on=f"{command} --extractor efflite0    (kid_efflite0, fd_efflite0)")
    missing = tuple(name for name in dict.fromkeys(wanted) if WEIGHTS_OF[name] in unusable)
    found = tuple(name for name in wanted if name not in missing)
    found += tuple(name for name in optional if not _unusable(WEIGHTS_OF[name], weights_dir, tell=True))
    lpips = not _unusable(f"lpips-{LPIPS_NET}", weights_dir)
    return Request(None if names is None else tuple(names), found, missing, lpips)


def _named(names: Sequence[str]) -> list[Figure]:
    """The single figures among names and groups."""
    return [known_figures()[name] for name in names if name not in GROUPS]


def _extractors(protocol: Protocol, names: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """(needed, used if their weights are there)."""
    if names is not None and "distribution" not in names:
        figures = _named(names)
        networks = [figure.network for figure in figures if figure.metric.group == "distribution"]
        # All others use our own network, or none.
        if len(networks) < len(names):
            networks.append("efflite0")
        return list(dict.fromkeys(name for name in networks if name is not None)), []
    for name in protocol.extractors:
        if name not in ("auto", *WEIGHTS_OF):
            raise UsageError(
                f"There is no feature extractor {name!r}; the known ones are auto, {', '.join(WEIGHTS_OF)}."
            )
    if "auto" in protocol.extractors:
        rest = [name for name in protocol.extractors if name not in ("auto", "efflite0")]
        return ["efflite0", *rest], [] if "inception" in rest else ["inception"]
    return list(dict.fromkeys(protocol.extractors)), []


def _unusable(name: str, weights_dir: Path | str | None, *, tell: bool = False) -> bool:
    try:
        weights.find(name, weights_dir)
    except WeightsError as error:
        if tell and weights.locate(name, weights_dir) is not None:
            logger.warning("%s It is left out.", error)
        return True
    return False
