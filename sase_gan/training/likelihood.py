"""The likelihood term: every training picture pulls the latent whose picture is nearest to it.

Implicit maximum likelihood (Li and Malik, arXiv 1809.09087) with the rejection of RS-IMLE (Vashist, Peng and Li, arXiv
2409.17439), beside an adversarial loss and not instead of one. Every so many images a pool of latents is drawn, and
each training picture takes the nearest one; a share of every batch are such latents, a little noise added, and what is
drawn of them is pulled to their pictures. The discriminator judges the same pictures, so that no further pass of the
generator is paid.

Deviations: nearest by features and layout together (see `describe`) rather than by a random projection of pixels;
rejected is a share of the candidates, the nearest ones, rather than all within a radius. Of a set of more than `MOST`
pictures other ones pull after each assignment, so that neither the first step nor memory waits for the whole set.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
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
from sase_gan.training.config import LikelihoodSection

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
        self.mirror = False
        self.latents: Tensor | None = None
        self.assigned_at = 0
        self._pulling: Tensor | None = None
        self._rows: Tensor | None = None
        self._chosen: Tensor | None = None

    def show(self, pictures: Tensor, *, mirror: bool = False) -> None:
        """Hand over the pictures that pull, uint8 `[N, 3, side, side]`; with `mirror` their mirror images pull too."""
        self.pictures, self.mirror, self._pulling, self._rows = pictures, mirror, None, None

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

    def place(self, z: Tensor, network: Generator, draw: Draw, images_seen: int, source: torch.Generator) -> Tensor:
        """Put taken latents at the head of a batch `[B, latent]`, after taking anew where that is due.

        Raises:
            RuntimeError: before any picture was shown.
        """
        if self.pictures is None:
            raise RuntimeError("the likelihood term has no pictures; call show(pictures) before the first step")
        if self.latents is None or images_seen - self.assigned_at >= self.schedule()[1]:
            self.assign(network, draw, images_seen, z.device)
        assert self.latents is not None
        count = max(1, round(self.section.share * len(z)))
        index = torch.randint(len(self), (count,), generator=source, device=z.device)
        noise = torch.randn(count, *z.shape[1:], generator=source, device=z.device)
        self._chosen = index
        return torch.cat([self.latents[index] + self.section.noise * noise, z[count:]])

    def pull(self, drawn: Tensor) -> dict[str, Tensor]:
        """Return the weighted distance of what was drawn of the last placed latents to their pictures."""
        assert self._chosen is not None
        chosen, section = self._chosen, self.section
        target = to_float(self._pictures(chosen))
        own = drawn[: len(chosen)].float()
        distance = self.distance(seen(own), seen(target)).mean() + section.squared * (own - target).square().mean()
        return {"g_likelihood": section.weight * distance}

    @torch.no_grad()
    def assign(self, network: Generator, draw: Draw, images_seen: int, device: torch.device) -> None:
        """Let every picture take the latent of a fresh pool whose picture is nearest and was not rejected."""
        source = random_generator(self.seed, "likelihood", images_seen, device=device)
        rows, latents = [], []
        with frozen_power_iteration(network):
            pool, _ = self.schedule()
            for start in range(0, pool, _CANDIDATES):
                z, noise = draw(min(_CANDIDATES, pool - start), source)
                rows.append(describe(self.distance.network, seen(network(z, noise).big).float().clamp(-1, 1)))
                latents.append(z)
        self.assigned_at = images_seen
        assert self.pictures is not None
        if len(self.pictures) > MOST:
            self._pulling, self._rows = None, None
        nearest = choose(self._real_rows(device), torch.cat(rows), self.section.reject)
        self.latents = torch.cat(latents)[nearest]

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
        if self._pulling is None:
            assert self.pictures is not None
            pictures = self.pictures
            if len(pictures) > MOST:
                source = random_generator(self.seed, "likelihood pictures", self.assigned_at)
                pictures = pictures[torch.randperm(len(pictures), generator=source)[:MOST]]
            self._pulling = pictures.to(index.device)  # once; so no step waits for a device
        found = self._pulling[index % len(self._pulling)]
        return torch.where((index >= len(self._pulling))[:, None, None, None], found.flip(-1), found)


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
