"""A request settles, before any work, which figures are wanted and which networks and files they need."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sase_gan.errors import UsageError, WeightsError
from sase_gan.features import weights
from sase_gan.features.lpips import LpipsNet
from sase_gan.metrics.catalogue import GROUPS, Group
from sase_gan.metrics.extractors import EXTRACTORS, WEIGHTS_OF
from sase_gan.metrics.figures import Figure, known_figures
from sase_gan.metrics.protocol import Protocol

logger = logging.getLogger(__name__)

LPIPS_NET: LpipsNet = "alex"


@dataclass(frozen=True)
class Request:
    """What to compute.

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
        """Whether a figure is to be made."""
        # A metric with scales is asked for by its sum.
        asked = (figure.name, figure.metric.scale_of, figure.metric.group)
        return self.names is None or any(name in self.names for name in asked)

    def wants_group(self, group: Group) -> bool:
        """Whether any figure of the group is to be made."""
        if self.names is None or group in self.names:
            return True
        return any(known_figures()[name].metric.group == group for name in self.names if name not in GROUPS)


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
    needed = {WEIGHTS_OF[name]: name for name in wanted}
    if any(figure.metric.needs == "lpips" for figure in _named(names)):
        needed[f"lpips-{LPIPS_NET}"] = "lpips"
    unusable = {name for name in needed if _unusable(name, weights_dir)}
    if unusable and not skip_missing:
        weights.require(needed, weights_dir, go_on=f"{command} --extractor efflite0    (kid_efflite0, fd_efflite0)")
    missing = tuple(name for name in dict.fromkeys(wanted) if WEIGHTS_OF[name] in unusable)
    found = tuple(name for name in wanted if name not in missing)
    found += tuple(name for name in optional if not _unusable(WEIGHTS_OF[name], weights_dir, tell=True))
    lpips = not _unusable(f"lpips-{LPIPS_NET}", weights_dir)
    return Request(None if names is None else tuple(names), found, missing, lpips)


def _named(names: Sequence[str] | None) -> list[Figure]:
    """The single figures among names and groups."""
    return [known_figures()[name] for name in names or () if name not in GROUPS]


def _extractors(protocol: Protocol, names: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """(needed, used if their weights are there)."""
    if names is not None and "distribution" not in names:
        named = [figure.network for figure in _named(names) if figure.metric.group == "distribution"]
        # All others use our own network, or none.
        if any(name in GROUPS or known_figures()[name].metric.group != "distribution" for name in names):
            named.append("efflite0")
        return list(dict.fromkeys(name for name in named if name is not None)), []
    for name in protocol.extractors:
        if name != "auto" and name not in EXTRACTORS:
            raise UsageError(
                f"There is no feature extractor {name!r}; the known ones are auto, {', '.join(EXTRACTORS)}."
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
