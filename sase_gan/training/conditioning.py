"""How a run learns classes: from when on and how strongly, and which class a generated picture is to have.

A conditional GAN of small classes collapses where an unconditional one of the same pictures does not. So a run on small
classes begins without them and ramps them up: transitional training, Shahbazi, Danelljan, Paudel and Van Gool 2022,
arXiv 2201.06578. With t, the share of the run that is done,

    strength(t) = min(max((t - begin) / (end - begin), 0), 1)

scales the weights of the classes in the generator's embedding and in the discriminator's projection
(`networks.conditioning`); at 0 both are unconditional networks.

Deviations: the paper adds the loss of a conditional output, times the factor, to that of an unconditional one; here
there is one output whose conditional part is scaled, since hinge and LeCam know one kind of logits. Begin and end are
shares of the run and not counts of images: short runs have no plateau to wait for. Classes of `LARGE` pictures and more
are learnt from the first step.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

import torch
from pydantic import BaseModel, Field, model_validator
from torch import Tensor

from sase_gan.class_names import MOST, ClassName
from sase_gan.config import FrozenRecord
from sase_gan.networks.conditioning import one_hot

LARGE = 500
"""Pictures of the smallest class from which on there is no ramp."""
RAMP = (0.1, 0.4)
"""Shares of the run between which small classes come in."""
Share = Annotated[float, Field(ge=0, le=1)]


class ClassesSection(FrozenRecord):
    """The classes of the pictures; without a source a run is unconditional."""

    source: Literal["none", "folders", "dataset.json"] = Field(
        "none", description="where each picture's class is found: its sub-folder, or labels as StyleGAN's tools write"
    )
    names: tuple[ClassName, ...] = Field((), max_length=MOST, description="settled when a run begins")
    counts: tuple[int, ...] = Field((), description="pictures of each in the set; settled when a run begins")
    drawing: Literal["natural", "balanced"] = Field(
        "natural", description="balanced: classes are shown and drawn equally often, not as often as they have pictures"
    )
    ramp: tuple[Share, Share] | None = Field(
        None, description="shares of the run between which classes come in; settled by the smallest class"
    )

    @model_validator(mode="after")
    def _fits(self) -> ClassesSection:
        if (self.source == "none") == bool(self.names):
            raise ValueError(
                f"classes.source is {self.source!r} with {len(self.names)} names; --classes settles both, give that"
            )
        if self.ramp is not None and self.ramp[0] > self.ramp[1]:
            raise ValueError(f"classes.ramp is {list(self.ramp)}; it must not end before it begins")
        return self

    def settled(self, *, known: bool = False) -> ClassesSection:
        """Settle the ramp by the smallest class where none was asked for.

        Args:
            known: the run starts from a model of these classes, which needs none.
        """
        if not self.names or self.ramp is not None:
            return self
        small = min(self.counts) < LARGE and not known
        return self.model_copy(update={"ramp": RAMP if small else (0.0, 0.0)})

    def words(self) -> str:
        """Say when classes come in, and how they are drawn."""
        begin, end = self.ramp or RAMP
        when = "from the first step" if end == 0 else f"from {begin:.0%} to {end:.0%} of the run"
        often = "as often as they have pictures" if self.drawing == "natural" else "equally often"
        why = f", as the smallest has {min(self.counts)} pictures" if end else ""
        return f"{len(self.names)} classes, drawn {often}, are learnt {when}{why}"


def handed_down(data: dict[str, Any]) -> dict[str, Any]:
    """Hand the classes of a configuration down to its networks, so that they are stated once.

    Raises:
        ValueError: for a network with others.
    """
    section = data.get("classes", {})
    section = section.model_dump() if isinstance(section, BaseModel) else section
    if not isinstance(section, dict):
        return data  # refused afterwards, with its place named
    names, counts = (tuple(section.get(key) or ()) for key in ("names", "counts"))
    wanted: dict[str, dict[str, Any]] = {
        "generator": {"classes": names, "class_counts": counts},
        "discriminator": {"classes": len(names)},
    }
    for network, values in wanted.items():
        own = data.get(network, {})
        if not isinstance(own, dict):
            continue
        for key, value in values.items():
            found = own.setdefault(key, value)
            if (tuple(found) if isinstance(found, list) else found) != value:
                raise ValueError(f"{network}.{key} is {found}, and classes.names {list(names)}; set classes only")
        data[network] = own
    return data


def strength(ramp: tuple[float, float] | None, done: float) -> float:
    """Return how strongly classes count, 0 to 1, when a share `done` of the run is over.

    Example:
        >>> [round(strength((0.1, 0.5), done), 6) for done in (0.0, 0.1, 0.3, 0.9)], strength((0.0, 0.0), 0.0)
        ([0.0, 0.0, 0.5, 1.0], 1.0)
    """
    begin, end = ramp or (0.0, 0.0)
    return 1.0 if done >= end else min(max((done - begin) / (end - begin), 0.0), 1.0)


class Rows(NamedTuple):
    """The weights of the classes, `[B, classes]` each, of the real and of the generated pictures of a step."""

    real: Tensor
    fake: Tensor


class Conditions:
    """What a step knows of classes.

    Args:
        section: with classes.
        strength: of the classes in this step.
    """

    def __init__(self, section: ClassesSection, strength: float) -> None:
        self.strength = strength
        self._counts = section.counts if section.drawing == "natural" else (1,) * len(section.counts)

    def draw(self, count: int, source: torch.Generator) -> Tensor:
        """Draw labels int64 `[count]` of pictures to be generated."""
        device = source.device
        ends = torch.tensor(self._counts, device=device).cumsum(0)
        places = torch.randint(sum(self._counts), (count,), generator=source, device=device)
        return torch.searchsorted(ends, places, right=True)

    def rows(self, labels: Tensor) -> Tensor:
        """Return what the networks take for labels int64 `[n]`: the weights of the classes `[n, classes]`."""
        return self.strength * one_hot(labels, len(self._counts))
