"""The likelihood term: every training picture pulls the latent whose picture is nearest to it.

Implicit maximum likelihood (Li and Malik, arXiv 1809.09087) with the rejection of RS-IMLE (Vashist, Peng and Li, arXiv
2409.17439), beside an adversarial loss and not instead of one. Every so many images a pool of latents is drawn, and
each training picture takes the nearest one; a share of every batch are such latents, a little noise added, and what is
drawn of them is pulled to their pictures. The discriminator judges the same pictures, so that no further pass of the
generator is paid.

Deviations: nearest by features and layout together (see `describe`) rather than by a random projection of pixels;
rejected is a share of the candidates, the nearest ones, rather than all within a radius. Of a set of more than `MOST`
pictures other ones pull after each assignment, so that neither the first step nor memory waits for the whole set.

Of pictures with classes each pulls a latent of its own class only: candidates are drawn with the classes of the
pictures that pull, as many of each as these are, and chosen and rejected class by class.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sase_gan.colours import seen
from sase_gan.features.efficientnet_lite0 import EfficientNetLite0
from sase_gan.features.reconstruction import EfficientNetLite0Loss
from sase_gan.layers.spectral_norm import frozen_power_iteration
from sase_gan.networks.generator import Generator
from sase_gan.pixels import to_float
from sase_gan.seeds import generator as random_generator
from sase_gan.training.conditioning import Conditions
from sase_gan.training.config import LikelihoodSection
from sase_gan.training.recorded import RecordedSteps

logger = logging.getLogger(__name__)

MOST = 2048
"""Pictures of a set that pull between two assignments, each with its mirror image where those pull too."""
_CANDIDATES = 50
"""Drawn at once: enough for the statistics of batch normalisation."""

Draw = Callable[[int, torch.Generator], tuple[Tensor, list[Tensor]]]
"""From a number and a random generator to latents and noise maps."""


class LikelihoodTerm:
    """The term holds the training pictures, the latent that each has taken, and what was drawn last of them.

    Args:
        seed: of the run; candidates follow from it and the images seen.
    """

    def __init__(self, section: LikelihoodSection, seed: int) -> None:
        self.section, self.seed = section, seed
        self.distance = EfficientNetLite0Loss()
        self.pictures: Tensor | None = None
        self.labels: Tensor | None = None
        self.mirror = False
        self.latents: Tensor | None = None
        self.assigned_at = 0
        self._pulling: tuple[Tensor, Tensor | None] | None = None
        self._rows: Tensor | None = None
        self._chosen: Tensor | None = None
        self.recorded: RecordedSteps | None = None

    def show(self, pictures: Tensor, *, mirror: bool = False, labels: Tensor | None = None) -> None:
        """Hand over the pictures that pull, uint8 `[N, 3, side, side]`; with `mirror` their mirror images pull too.

        Args:
            labels: int64 `[N]`, the class of each, where there are classes.
        """
        self.pictures, self.labels = pictures, labels
        self.mirror, self._pulling, self._rows = mirror, None, None

    def __len__(self) -> int:
        """How many pictures pull between two assignments, mirror images counted."""
        assert self.pictures is not None
        return min(len(self.pictures), MOST) * (2 if self.mirror else 1)

    def to(self, device: torch.device) -> None:
        """Bring what computes to a device."""
        self.distance.to(device)
        self.latents = None if self.latents is None else self.latents.to(device)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold, because it depends on weights of before."""
        return {"latents": self.latents, "assigned_at": self.assigned_at}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what a checkpoint holds; after `show`.

        The term once pulled no mirror images: a checkpoint of that time has too few latents, and all are taken anew.
        """
        self.latents, self.assigned_at = state["latents"], state["assigned_at"]
        if self.latents is not None and self.pictures is not None and len(self.latents) != len(self):
            logger.warning(
                "the checkpoint holds latents of %d pictures, and %d pull here, mirror images among them; "
                "all take theirs anew",
                len(self.latents),
                len(self),
            )
            self.latents = None

    @property
    def always_the_same(self) -> bool:
        """Tell whether the same pictures pull from the first step to the last."""
        return self.pictures is None or len(self.pictures) <= MOST

    def renewed(
        self,
        network: Generator,
        draw: Draw,
        images_seen: int,
        device: torch.device,
        conditions: Conditions | None = None,
    ) -> Tensor:
        """Return the latents that the pictures have taken, after taking anew where that is due.

        Args:
            conditions: of this step, where there are classes.

        Raises:
            RuntimeError: before any picture was shown.
        """
        if self.pictures is None:
            raise RuntimeError("the likelihood term has no pictures; call show(pictures) before the first step")
        if self.latents is None or images_seen - self.assigned_at >= self.schedule()[1]:
            self.assign(network, draw, images_seen, device, conditions)
        assert self.latents is not None
        return self.latents

    def placed(self, z: Tensor, taken: Tensor, source: torch.Generator) -> Tensor:
        """Put some of the latents that pictures have taken at the head of a batch `[B, latent]`; `pull` knows which."""
        count = max(1, round(self.section.share * len(z)))
        index = torch.randint(len(self), (count,), generator=source, device=z.device)
        noise = torch.randn(count, *z.shape[1:], generator=source, device=z.device)
        self._chosen = index
        return torch.cat([taken[index] + self.section.noise * noise, z[count:]])

    def labelled(self, labels: Tensor) -> Tensor:
        """Put the labels of the pictures that pull at the head of a batch's labels int64 `[B]`."""
        assert self._chosen is not None
        return torch.cat([self._labels(self._chosen), labels[len(self._chosen) :]])

    def pull(self, drawn: Tensor) -> dict[str, Tensor]:
        """Return the weighted distance of what was drawn of the last placed latents to their pictures."""
        assert self._chosen is not None
        chosen, section = self._chosen, self.section
        target = to_float(self._pictures(chosen))
        own = drawn[: len(chosen)].float()
        distance = self.distance(seen(own), seen(target)).mean() + section.squared * (own - target).square().mean()
        return {"g_likelihood": section.weight * distance}

    @torch.no_grad()
    def assign(
        self,
        network: Generator,
        draw: Draw,
        images_seen: int,
        device: torch.device,
        conditions: Conditions | None = None,
    ) -> None:
        """Let every picture take the latent of a fresh pool whose picture is nearest and was not rejected."""
        self.assigned_at = images_seen
        assert self.pictures is not None
        if len(self.pictures) > MOST:
            self._pulling, self._rows = None, None
        source = random_generator(self.seed, "likelihood", images_seen, device=device)
        rows, latents = [], []
        with frozen_power_iteration(network):
            pool, _ = self.schedule()
            labels = None if conditions is None else self._labels(torch.arange(pool, device=device) % len(self))
            for start in range(0, pool, _CANDIDATES):
                count = min(_CANDIDATES, pool - start)
                more: tuple[Tensor, ...] = ()
                if conditions is not None and labels is not None:
                    more = (conditions.rows(labels[start : start + count]),)
                drawing = partial(self._candidates, network, draw, count)
                if self.recorded is None:
                    found = drawing(more, source)
                else:
                    # The next ones are drawn to the same place.
                    taken = self.recorded.take(("candidates", count), source, more, drawing)
                    found = {name: value.clone() for name, value in taken.items()}
                rows.append(found["rows"])
                latents.append(found["latents"])
        if labels is None:
            nearest = choose(self._real_rows(device), torch.cat(rows), self.section.reject)
        else:
            own = self._labels(torch.arange(len(self), device=device))
            nearest = choose_of_class(self._real_rows(device), own, torch.cat(rows), labels, self.section.reject)
        self.latents = torch.cat(latents)[nearest]

    def _candidates(
        self, network: Generator, draw: Draw, count: int, classes: Sequence[Tensor], source: torch.Generator
    ) -> dict[str, Tensor]:
        """Draw latents, and describe what the network draws of them."""
        z, noise = draw(count, source)
        drawn = network(z, noise, **({"classes": classes[0]} if classes else {})).big
        return {"rows": describe(self.distance.network, seen(drawn).float().clamp(-1, 1)), "latents": z}

    def schedule(self) -> tuple[int, int]:
        """Return how many latents an assignment draws, and after how many images the next one is due.

        Every picture needs candidates of its own; what an image costs stays the same.
        """
        pool = max(self.section.pool, 2 * len(self))
        return pool, round(self.section.every * pool / self.section.pool)

    def _real_rows(self, device: torch.device) -> Tensor:
        if self._rows is None:
            parts = torch.arange(len(self), device=device).split(_CANDIDATES)
            rows = [describe(self.distance.network, to_float(seen(self._pictures(part)))) for part in parts]
            self._rows = torch.cat(rows)
        return self._rows

    def _pictures(self, index: Tensor) -> Tensor:
        """Look up pictures of those that pull now; the second half are mirror images where these pull too."""
        pulling = self._now_pulling(index.device)[0]
        found = pulling[index % len(pulling)]
        return torch.where((index >= len(pulling))[:, None, None, None], found.flip(-1), found)

    def _labels(self, index: Tensor) -> Tensor:
        """Look up the labels of those that pull now, likewise."""
        labels = self._now_pulling(index.device)[1]
        assert labels is not None
        return labels[index % len(labels)]

    def _now_pulling(self, device: torch.device) -> tuple[Tensor, Tensor | None]:
        if self._pulling is None:
            assert self.pictures is not None
            pictures, labels = self.pictures, self.labels
            if len(pictures) > MOST:
                source = random_generator(self.seed, "likelihood pictures", self.assigned_at)
                places = torch.randperm(len(pictures), generator=source)[:MOST]
                pictures, labels = pictures[places], None if labels is None else labels[places]
            # Once; so no step waits for a device.
            self._pulling = pictures.to(device), None if labels is None else labels.to(device)
        return self._pulling


def describe(network: EfficientNetLite0, x: Tensor) -> Tensor:
    """Describe pictures float `[N, 3, S, S]` by rows whose distances tell what is where, and in which colours.

    The map at stride 8 averaged to 4 x 4 cells of unit length, over 4, so that this part has length 1; beside it the
    picture averaged to 8 x 8, over 8.
    """
    cells = F.normalize(F.adaptive_avg_pool2d(network.features(x, 3)[-1], 4), dim=1).flatten(1).float()
    return torch.cat([cells / 4, F.adaptive_avg_pool2d(x, 8).flatten(1) / 8], 1)


def choose(reals: Tensor, candidates: Tensor, reject: float) -> Tensor:
    """Choose for each row of `reals [N, D]` the nearest of `candidates [M, D]`, int64 `[N]`.

    Args:
        reject: share of the candidates that nobody gets: those that lie nearest to any real row. So what a picture
            pulls is not what copies it already.
    """
    distances = torch.cdist(reals, candidates)
    if reject > 0:
        own = distances.min(0).values
        rejected = own < own.quantile(reject)
        distances = distances.masked_fill(rejected, float("inf"))
    return distances.argmin(1)


def choose_of_class(reals: Tensor, real_labels: Tensor, candidates: Tensor, labels: Tensor, reject: float) -> Tensor:
    """Choose as `choose` does, class by class; every class of a real row needs candidates."""
    chosen = torch.empty(len(reals), dtype=torch.int64, device=reals.device)
    for label in real_labels.unique():
        mine, theirs = (real_labels == label).nonzero()[:, 0], (labels == label).nonzero()[:, 0]
        chosen[mine] = theirs[choose(reals[mine], candidates[theirs], reject)]
    return chosen
