"""Figures are metrics as they are measured, each with its name in records, its title, and its place in tables."""

import re
from dataclasses import dataclass
from functools import cache

from sase_gan.metrics.catalogue import BY_BASE, METRICS, NETWORKS, PLACES, SECTION_TITLES, Group, Metric, Space


@dataclass(frozen=True)
class Figure:
    """A figure is a metric on one network, or at one scale.

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
        base = self._literature[0] if self._literature else self.metric.base
        return base + NETWORKS[self.network].ending if self.network else base

    @property
    def title(self) -> str:
        """The name in words, without the feature network."""
        if self._literature:
            return self._literature[1]
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
    def _literature(self) -> tuple[str, str] | None:
        """The literature's name and title, where they hold."""
        return self.metric.literature if self.network in ("inception", "inception-clean", "inception-fastgan") else None

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
            list(SECTION_TITLES).index(metric.section),
            PLACES.get(family, len(PLACES)),
            self._literature is None,
            metric.level_of is not None,
            rank,
            self.name,
        )


def network_title(network: str) -> str:
    """Put a feature network into words; one of another version keeps its name."""
    return NETWORKS[network].title if network in NETWORKS else network


def figure(base: str, network: str | None = None, scale: int | None = None) -> Figure:
    """Make the figure of a metric by its name in the catalogue; what another version knows stands for itself."""
    if base not in BY_BASE or network not in (None, *NETWORKS):
        return _unknown(base if network is None else f"{base}_{network}")
    return Figure(BY_BASE[base], network, scale)


def _unknown(name: str) -> Figure:
    return Figure(Metric(name, "distribution", "other", name, None, ""))


def figures_of(metric: Metric) -> list[Figure]:
    """List all figures of a metric; none where only measuring tells its scales."""
    return [Figure(metric, network) for network in metric.networks or (None,)] if metric.scale_of is None else []


@cache
def known_figures() -> dict[str, Figure]:
    """List all figures that can be asked for, by name."""
    return {found.name: found for metric in METRICS for found in figures_of(metric)}


def figures_on(network: str) -> list[Figure]:
    """List the figures that compare sets on a feature network."""
    figures = known_figures().values()
    return [one for one in figures if one.network == network and one.metric.group == "distribution"]


def figures_in(space: Space) -> list[Figure]:
    """List the figures of the copying check in one of its spaces: share of copies, relative distance, AuthPct."""
    return [Figure(metric) for metric in METRICS if metric.space == space]


def figures_in_group(group: Group) -> list[Figure]:
    """List the figures of a group that have neither network nor scale."""
    return [Figure(metric) for metric in METRICS if metric.group == group]


def identify(name: str) -> Figure:
    """Find the figure of a name, for records that tell names alone; an unknown name stands for itself.

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
    return _unknown(name)
