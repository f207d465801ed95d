"""Figures are metrics as they are measured, each with its name in records, its title, and its place in tables."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from sase_gan.metrics.catalogue import BY_BASE, METRICS, NETWORKS, PLACES, SECTION_TITLES, Metric, Space

_SECTION_PLACES = {section: place for place, section in enumerate(SECTION_TITLES)}


@dataclass(frozen=True)
class Figure:
    """A metric on one network, or at one scale.

    Attributes:
        metric: its row of the catalogue.
        network: the feature network by which it is named, or None.
        scale: in pixels, of a metric that there is at several scales.
    """

    metric: Metric
    network: str | None = None
    scale: int | None = None

    @property
    def name(self) -> str:
        """The key in records.

        Example:
            >>> [figure("fd", network).name for network in ("efflite0", "inception", "inception-clean")]
            ['fd_efflite0', 'fid', 'fid_clean']
        """
        if self.scale is not None:
            return f"{self.metric.scale_of}_{self.scale}"
        if self.network is None:
            return self.metric.base
        base = self.metric.literature[0] if self._has_other_name and self.metric.literature else self.metric.base
        return base + NETWORKS[self.network].ending

    @property
    def title(self) -> str:
        """The name in words, without the feature network."""
        if self._has_other_name and self.metric.literature:
            return self.metric.literature[1]
        return self.metric.title.format(self.scale) if self.scale is not None else self.metric.title

    @property
    def title_on_network(self) -> str:
        """The name in words, with the feature network that it is named by."""
        return f"{self.title} on {network_title(self.network)}" if self.network else self.title

    @property
    def is_level(self) -> bool:
        """Whether this is not about generated pictures at all but what halves of the real ones score."""
        return self.metric.level_of is not None

    @property
    def distance(self) -> "Figure":
        """Of a reference level the distance that it belongs to, else the figure itself."""
        return figure(self.metric.level_of, self.network) if self.metric.level_of else self

    @property
    def _has_other_name(self) -> bool:
        return self.metric.literature is not None and self.network in ("inception", "inception-clean")

    @property
    def place(self) -> tuple[int, int, bool, bool, int, str]:
        """Sort key of every table: sections in their order, in one KID first, Inception before other networks."""
        metric = self.metric
        family = metric.level_of or metric.scale_of or metric.base
        if self.scale is not None:
            rank = self.scale  # from coarse to fine
        elif self.network is None:
            rank = 1
        else:
            rank = 0 if self.network == "inception" else list(NETWORKS).index(self.network) + 1
        return (
            _SECTION_PLACES[metric.section],
            PLACES.get(family, len(PLACES)),
            not self._has_other_name,
            metric.level_of is not None,
            rank,
            self.name,
        )


def network_title(network: str) -> str:
    """A feature network in words; one of another version by its name."""
    return NETWORKS[network].title if network in NETWORKS else network


def figure(base: str, network: str | None = None, scale: int | None = None) -> Figure:
    """The figure of a metric, by the catalogue's name for it; what another version knows stands for itself."""
    if base not in BY_BASE or network not in (None, *NETWORKS):
        return Figure(_unknown(base if network is None else f"{base}_{network}"))
    return Figure(BY_BASE[base], network, scale)


def _unknown(name: str) -> Metric:
    return Metric(name, "distribution", "other", name, None, "")


def figures_of(metric: Metric) -> Iterator[Figure]:
    """All that there are of a metric; none where only measuring tells its scales."""
    if metric.scale_of is None:
        yield from (Figure(metric, network) for network in metric.networks or (None,))


@cache
def known_figures() -> dict[str, Figure]:
    """All figures that can be asked for, by name."""
    return {found.name: found for metric in METRICS for found in figures_of(metric)}


def figures_on(network: str) -> list[Figure]:
    """The figures that compare sets on a feature network."""
    found = known_figures().values()
    return [item for item in found if item.network == network and item.metric.group == "distribution"]


def figures_in(space: Space) -> list[Figure]:
    """The figures of the copying check in one of its spaces: share of copies, relative distance, AuthPct."""
    return [Figure(metric) for metric in METRICS if metric.space == space]


def identify(name: str) -> Figure:
    """The figure of a name, for records of versions that wrote names alone; an unknown name stands for itself.

    Example:
        >>> found = identify("precision_vgg16")
        >>> found.metric.base, found.network
        ('precision', 'vgg16')
    """
    if name in known_figures():
        return known_figures()[name]
    for metric in METRICS:
        if metric.scale_of is not None and (match := re.fullmatch(rf"{metric.scale_of}_(\d+)", name)):
            return Figure(metric, scale=int(match[1]))
    return Figure(_unknown(name))
