"""Figures by class: each class's generated pictures against its real ones, and whether a picture looks like its class.

Agreement is the share of generated pictures whose nearest real picture, by the mid-level features of the copying check,
has the class that they were drawn as. Classes that look alike give less than 1 to real pictures too, so the same share
of held-out real pictures stands beside it; where none were held out, that of each real picture and its nearest other
one. The second is the nearer to 1 the more near-duplicates the set has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sase_gan.metrics import fidelity
from sase_gan.metrics.bootstrap import mean_interval
from sase_gan.metrics.catalogue import FEWEST_FOR_KID
from sase_gan.metrics.class_record import ClassesPart, ClassFigures
from sase_gan.metrics.measuring import Measurement
from sase_gan.metrics.reference import PictureSet

LEAST_FAKES = 20
"""Generated pictures of a class; fewer say nothing of it."""


@dataclass(frozen=True)
class ClassLabels:
    """The classes of pictures, as indices into `names`, in the order in which the pictures were given.

    Attributes:
        held_out: of the pictures that were held out; None where there are none, or they have no classes.
    """

    names: tuple[str, ...]
    fakes: tuple[int, ...]
    reals: tuple[int, ...]
    held_out: tuple[int, ...] | None = None


def measure_classes(work: Measurement, labels: ClassLabels, holdout: Tensor | None = None) -> ClassesPart:
    """Measure by class, after the features were extracted."""
    fakes = torch.tensor(labels.fakes)[torch.tensor(work.fakes.order)]
    reals = torch.tensor(labels.reals)[torch.tensor(work.reference.pictures.order)]
    extractor = next((name for name in work.request.extractors if name == "efflite0"), None)
    extractor = extractor or next(iter(work.request.extractors), None)
    mid = work.request.wants_group("copying") or work.request.wants_group("diversity") or extractor == "efflite0"
    own = _Agreement(work, fakes, reals, labels.held_out, holdout) if mid else None
    found = []
    for label, name in enumerate(labels.names):
        mine, theirs = fakes == label, reals == label
        facts: dict[str, Any] = {"name": name, "n_fake": int(mine.sum()), "n_real": int(theirs.sum())}
        facts |= _distances(work, extractor, mine, theirs)
        facts |= {} if own is None else own.of(mine, label)
        found.append(ClassFigures(**facts))
    whole = {} if own is None else own.over_all()
    return ClassesPart(classes=tuple(found), extractor=extractor, **whole)


def _distances(work: Measurement, extractor: str | None, mine: Tensor, theirs: Tensor) -> dict[str, Any]:
    """Measure KID and FD of one class, or say why not."""
    if extractor is None or not work.request.wants_group("distribution"):
        return {"left_out": "distances were not asked for"}
    if (n_real := int(theirs.sum())) < FEWEST_FOR_KID:
        return {"left_out": f"{n_real} real pictures of the class; {FEWEST_FOR_KID} are the fewest for a distance"}
    if (n_fake := int(mine.sum())) < LEAST_FAKES:
        return {"left_out": f"{n_fake} generated pictures of the class; at least {LEAST_FAKES}: --count draws more"}
    layer = work.reference.extractor(extractor).pooled_layer
    fakes = work.fake_rows(extractor, layer)[mine]
    reals = work.reference.features(extractor, [layer])[layer][theirs]
    halves = fidelity.reference_halves(len(reals), work.protocol.reference_splits)

    def level(distance: Any) -> float:
        return float(torch.tensor([distance(reals[a], reals[b]) for a, b in halves], dtype=torch.float64).mean())

    kid = fidelity.kernel_distance_all(fakes, reals)
    fd = fidelity.frechet_distance_gram(fakes, reals)
    of_kid = fidelity.kernel_interval(kid, fakes, reals, work.draws)
    of_fd = fidelity.frechet_interval(fd, fakes, reals, work.draws)
    told: dict[str, Any] = {"kid": kid, "fd": fd}
    told |= {"kid_level": level(fidelity.kernel_distance_all), "fd_level": level(fidelity.frechet_distance_gram)}
    for name, interval in (("kid", of_kid), ("fd", of_fd)):
        told |= {} if interval is None else {f"{name}_low": interval.low, f"{name}_high": interval.high}
    return told


class _Agreement:
    """Whether the nearest real picture of each picture has its class."""

    def __init__(
        self,
        work: Measurement,
        fakes: Tensor,
        reals: Tensor,
        held_out: Sequence[int] | None,
        holdout: Tensor | None,
    ) -> None:
        self.draws = work.draws
        self.agrees = (reals[work.nearest_reals] == fakes).double()
        rows = work.reference.features("efflite0", ["mid"])["mid"].double()
        if held_out is not None and holdout is not None:
            pictures = PictureSet(holdout)
            self.labels = torch.tensor(held_out)[torch.tensor(pictures.order)]
            theirs = work.reference.describe(pictures, "efflite0", ["mid"])["mid"].double()
            self.level_of = f"{len(pictures)} held-out real pictures"
            nearest = torch.cdist(theirs, rows).argmin(1)
        else:
            self.labels, self.level_of = reals, f"each of {len(reals)} real pictures and its nearest other one"
            nearest = torch.cdist(rows, rows).fill_diagonal_(float("inf")).argmin(1)
        self.level = (reals[nearest] == self.labels).double()

    def of(self, mine: Tensor, label: int) -> dict[str, float | None]:
        """Tell it of one class."""
        return {"agreement": _mean(self.agrees[mine]), "agreement_level": _mean(self.level[self.labels == label])}

    def over_all(self) -> dict[str, Any]:
        """Tell it of all pictures."""
        interval = mean_interval(self.agrees, "fakes", self.draws, lowest=0, highest=1)
        told: dict[str, Any] = {"agreement": _mean(self.agrees), "agreement_level": _mean(self.level)}
        if interval is not None:
            told |= {"agreement_low": interval.low, "agreement_high": interval.high}
        return {**told, "level_of": self.level_of}


def _mean(items: Tensor) -> float | None:
    return items.mean().item() if len(items) else None
