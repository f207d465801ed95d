"""Which figures are wanted, and which networks and files they need: settled before any work."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sase_gan.errors import UsageError, WeightsError
from sase_gan.features import weights
from sase_gan.features.lpips import LpipsNet
from sase_gan.metrics.extractors import EXTRACTORS, WEIGHTS_OF
from sase_gan.metrics.protocol import GROUPS, Protocol
from sase_gan.metrics.record import DISTRIBUTION_BASES, metric_name

logger = logging.getLogger(__name__)

LPIPS_NET: LpipsNet = "alex"
# With these extractors only the distances have names of their own.
_CLEAN_BASES = ("kid", "fd")
_EFFLITE0_ONLY = ("kid_mid", "fd_mid", "fd_mid_reference")
_OTHERS = {
    "patches": ("patch_swd",),
    "copying": (
        *("copy_share", "nn_ratio", "authpct", "copy_share_pixels", "nn_ratio_pixels", "authpct_pixels"),
        *("holdout_nearer_share", "holdout_nn_ratio"),
    ),
    "diversity": ("div_efflite0", "div_within_efflite0", "lpips_diversity", "lpips_diversity_within"),
    "smoothness": (
        *(
            "smoothness_path_efflite0",
            "smoothness_evenness_efflite0",
            "smoothness_largest_step_efflite0",
            "smoothness_detour_efflite0",
        ),
    ),
    "single": (
        *("sifd_efflite0", "sifid64", "sifid192", "sifid64_tv", "sifid192_tv", "pixel_diversity", "pixel_difference"),
        "single_patch_swd",
        *("distance_to_train_efflite0", "lpips_to_train", "copy_rate", "perceptual_diversity_efflite0"),
    ),
}


def bases_of(extractor: str) -> tuple[str, ...]:
    """The distribution figures that an extractor gives."""
    if extractor == "inception-clean":
        return _CLEAN_BASES
    bases = tuple(base for base in DISTRIBUTION_BASES if base != "is" or extractor in ("efflite0", "inception"))
    return bases + _EFFLITE0_ONLY if extractor == "efflite0" else bases


def extractor_of(name: str) -> str | None:
    """The extractor of a distribution figure, None for another figure."""
    for extractor in EXTRACTORS:
        if name in {metric_name(base, extractor) for base in bases_of(extractor)}:
            return extractor
    return None


def known_names() -> list[str]:
    """All names and groups that can be asked for."""
    distribution = [metric_name(base, extractor) for extractor in EXTRACTORS for base in bases_of(extractor)]
    return [*GROUPS, *distribution, *(name for names in _OTHERS.values() for name in names)]


@dataclass(frozen=True)
class Request:
    """What to compute.

    Attributes:
        names: figures and groups asked for; None stands for all that the extractors give.
        extractors: networks whose weights are there.
        missing: names of extractors and LPIPS weights that were wanted and are not there, to be noted as skipped.
        lpips: whether LPIPS can be computed.
    """

    names: tuple[str, ...] | None
    extractors: tuple[str, ...]
    missing: tuple[str, ...]
    lpips: bool

    def wants(self, name: str, group: str) -> bool:
        """Whether a figure is to be made."""
        if self.names is None:
            return True
        given = "patch_swd" if name.startswith("patch_swd") else name
        return given in self.names or group in self.names

    def wants_group(self, group: str) -> bool:
        """Whether any figure of the group is to be made."""
        if self.names is None or group in self.names:
            return True
        return any(_group_of(name) == group for name in self.names)


def _group_of(name: str) -> str:
    for group, names in _OTHERS.items():
        if name in names:
            return group
    return name if name in GROUPS else "distribution"


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
    if names is not None:
        unknown = [name for name in names if name not in known_names()]
        if unknown:
            raise UsageError(
                f"There is no figure called {unknown[0]!r}; known are the groups {', '.join(GROUPS)} and single "
                f"figures such as kid_efflite0, fid, copy_share or lpips_diversity."
            )
    wanted, optional = _extractors(protocol, names)
    needed = {WEIGHTS_OF[name]: name for name in wanted}
    lpips_named = names is not None and any(name.startswith("lpips_") for name in names)
    if lpips_named:
        needed[f"lpips-{LPIPS_NET}"] = "lpips"
    unusable = {name for name in needed if _unusable(name, weights_dir)}
    if unusable and not skip_missing:
        weights.require(needed, weights_dir, go_on=f"{command} --extractor efflite0    (kid_efflite0, fd_efflite0)")
    missing = tuple(name for name in dict.fromkeys(wanted) if WEIGHTS_OF[name] in unusable)
    found = tuple(name for name in wanted if name not in missing)
    found += tuple(name for name in optional if not _unusable(WEIGHTS_OF[name], weights_dir, tell=True))
    lpips = not _unusable(f"lpips-{LPIPS_NET}", weights_dir)
    return Request(None if names is None else tuple(names), found, missing, lpips)


def _extractors(protocol: Protocol, names: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """(needed, used if their weights are there)."""
    if names is not None:
        named = [extractor for name in names if (extractor := extractor_of(name)) is not None]
        if any(_group_of(name) != "distribution" and extractor_of(name) is None for name in names):
            named.append("efflite0")
        if "distribution" not in names:
            return list(dict.fromkeys(named)), []
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
