"""Bringing photographs into a generator: latents, first maps and noise maps from which it draws them, or nearly.

After Abdal and others, "Image2StyleGAN" (2019), and the projection of Karras and others, "Analyzing and Improving the
Image Quality of StyleGAN" (2020): gradient descent on a perceptual distance. Deviations: this generator has no mapping
network, so that its three spaces are the latent, which stays on the sphere of normal latents, the first map, and noise
maps of zero mean and unit deviation; each space joins when the one before has settled. The search begins where a linear
encoder points: ridge regression from features of pictures that the model draws itself to their latents. In a model with
classes a photograph has the class of that of these pictures which is nearest to it by the same features.

Measured on twelve of the bundled faces and the bundled snapshot (two virtual x86-64 CPU cores, no GPU, 2026-11-27),
mean distance after 60 steps on the latent alone: from the encoder 0.060; from the nearest of 512 drawn pictures 0.068,
of 1,024 0.068; from the best after 20 steps of the four nearest, at twice the cost, 0.061.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from sase_gan.colours import CHANNELS
from sase_gan.config import FrozenRecord
from sase_gan.drawing.inversions import Inversion, shift_shape
from sase_gan.drawing.sampling import Inputs, device_of, draw_images, draw_inputs, evaluating, joined
from sase_gan.errors import UsageError
from sase_gan.features.reconstruction import EfficientNetLite0Loss
from sase_gan.networks.conditioning import one_hot
from sase_gan.networks.generator import Generator
from sase_gan.pixels import to_float
from sase_gan.progress import Count
from sase_gan.seeds import generator as random_generator

SPACES = ("latent", "first map", "noise")
_CELLS = 7
_RIDGE = 0.1


class InvertingSettings(FrozenRecord):
    """How photographs are brought into a generator."""

    latent_steps: int = Field(80, ge=1, le=10_000, description="steps on the latent alone")
    map_steps: int = Field(80, ge=0, le=10_000, description="steps on the latent and the first map; 0: none")
    noise_steps: int = Field(40, ge=0, le=10_000, description="steps on both and the noise maps; 0: none")
    examples: int = Field(512, ge=16, le=100_000, description="pictures drawn to fit the encoder, where it begins")
    rate: float = Field(0.05, gt=0, le=1, description="of Adam, for latents and noise; first maps take 0.4 of it")
    pixel_weight: float = Field(0.5, ge=0, description="of the mean squared difference beside the perceptual distance")
    shift_weight: float = Field(0.05, ge=0, description="holds first maps near those that latents give")

    def steps(self) -> int:
        """Count the steps of a batch."""
        return self.latent_steps + self.map_steps + self.noise_steps


@dataclass(frozen=True)
class Inverted:
    """Photographs were brought into a model, and this is how near it came.

    Attributes:
        inversions: one a photograph, named by its number.
        pixels: what the model draws from them, uint8 `[n, 3, height, width]`.
        distances: perceptual distances of these to the photographs, `[n]`.
        by_space: the same after each of `SPACES` that took part, `[n]` each: how much the latent alone says.
        levels: mean absolute differences in levels of 255, `[n]`.
    """

    inversions: tuple[Inversion, ...]
    pixels: Tensor
    distances: Tensor
    by_space: dict[str, Tensor]
    levels: Tensor


def invert(
    network: Generator,
    photographs: Tensor,
    *,
    settings: InvertingSettings | None = None,
    seed: int = 0,
    batch_size: int = 8,
    progress: Count | None = None,
) -> Inverted:
    """Find what a generator draws photographs from, uint8 `[n, 3, height, width]` of its own size.

    Args:
        seed: of the pictures that the encoder learns from, and of the noise maps at the start.
        batch_size: photographs at once; each is found for itself.

    Raises:
        UsageError: no photograph, or one of another size than the generator draws.
    """
    settings = settings or InvertingSettings()
    loss = _loss(str(device_of(network)))
    wanted = (CHANNELS[network.config.colours], *network.config.picture_size)
    if tuple(photographs.shape[1:]) != wanted or len(photographs) == 0:
        raise UsageError(
            f"photographs are {tuple(photographs.shape)}; [n >= 1, {', '.join(map(str, wanted))}] is required by this "
            "generator"
        )
    encoder = _Encoder(network, loss, settings.examples, seed)
    parts = photographs.split(batch_size)
    total, done = settings.steps() * len(parts), 0
    states: list[Inputs] = []
    tracks: list[dict[str, Tensor]] = []

    def told() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    for part in parts:
        state, track = _Search(network, loss, encoder, part, settings, seed).run(told)
        states.append(state)
        tracks.append(track)
    found = joined(states)
    pixels = torch.cat([draw_images(network, state) for state in states])
    assert found.noise is not None
    assert found.shift is not None
    names = network.config.classes
    chosen = (
        [()] * len(photographs) if found.classes is None else [((names[row], 100),) for row in found.classes.argmax(1)]
    )
    inversions = tuple(
        Inversion(
            str(index),
            found.z[index],
            found.shift[index],
            tuple(maps[index] for maps in found.noise),
            classes=chosen[index],
        )
        for index in range(len(photographs))
    )
    by_space = {space: torch.cat([track[space] for track in tracks]) for space in tracks[0]}
    levels = (pixels.float() - photographs.float()).abs().flatten(1).mean(1)
    return Inverted(inversions, pixels, distances(pixels, photographs, batch_size=batch_size), by_space, levels)


def distances(first: Tensor, second: Tensor, *, batch_size: int = 8) -> Tensor:
    """Measure the perceptual distance of each pair of uint8 pictures, `[n]` on the CPU."""
    loss = _loss("cpu")
    with torch.no_grad():
        pairs = zip(first.split(batch_size), second.split(batch_size), strict=True)
        found = [loss(to_float(a), to_float(b)) for a, b in pairs]
    return torch.cat(found)


def distances_between(pictures: Tensor, *, batch_size: int = 8) -> Tensor:
    """Measure the perceptual distance of every picture to every other, `[n, n]`, infinite on the diagonal."""
    loss = _loss("cpu")
    with torch.no_grad():
        rows = torch.cat([loss.embed(to_float(part)) for part in pictures.split(batch_size)])
        return torch.cdist(rows, rows).square().fill_diagonal_(float("inf"))


@lru_cache(maxsize=2)
def _loss(device: str) -> EfficientNetLite0Loss:
    return EfficientNetLite0Loss().to(device)


class _Encoder:
    """A linear encoder guesses latents from features of pictures; it also knows how first maps are spread."""

    def __init__(self, network: Generator, loss: EfficientNetLite0Loss, examples: int, seed: int) -> None:
        self._loss = loss
        device = device_of(network)
        source = random_generator(seed, "inversion")
        latents = torch.randn(examples, *network.latent_shape(), generator=source)
        count = len(network.config.classes)
        # All classes equally often: any may be that of a photograph.
        self._classes = one_hot(torch.arange(examples, device=device) % count, count) if count else None
        rows, maps = [], []
        with evaluating(network):
            for places in torch.arange(examples, device=device).split(32):
                part = latents.to(device)[places]
                classes = None if self._classes is None else self._classes[places]
                rows.append(self._features(network(part, classes=classes).big))
                maps.append(network.first_map(part, classes=classes))
            features, spread = torch.cat(rows), torch.cat(maps).std(0)
        # Copies outside: what inference mode made takes no part in a search.
        features, self.spread = features.clone(), spread.clone()
        self._mean = features.mean(0)
        self._examples = features - self._mean
        # In the space of the examples, which are fewer than the features.
        square = (self._examples @ self._examples.T).cpu().double()
        ridge = _RIDGE * square.diagonal().mean() * torch.eye(examples, dtype=torch.float64)
        self._weights = torch.linalg.solve(square + ridge, latents.double()).float().to(device)

    def _features(self, x: Tensor) -> Tensor:
        maps = self._loss.network.features(x)[2:]
        return torch.cat([F.adaptive_avg_pool2d(F.normalize(part, dim=1), _CELLS).flatten(1) for part in maps], dim=1)

    def latents(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return _on_sphere((self._features(x) - self._mean) @ self._examples.T @ self._weights)

    def classes(self, x: Tensor) -> Tensor | None:
        """Guess the classes of pictures, `[n, classes]`: each that of the example nearest to it."""
        if self._classes is None:
            return None
        with torch.no_grad():
            return self._classes[torch.cdist(self._features(x) - self._mean, self._examples).argmin(1)]


class _Search:
    """One batch of photographs on its way into a generator."""

    def __init__(
        self,
        network: Generator,
        loss: EfficientNetLite0Loss,
        encoder: _Encoder,
        photographs: Tensor,
        settings: InvertingSettings,
        seed: int,
    ) -> None:
        self.network, self.loss, self.settings, self.spread = network, loss, settings, encoder.spread
        device = device_of(network)
        self.wanted = to_float(photographs).to(device)
        with torch.no_grad():
            self.rows = loss.embed(self.wanted)
        count = len(photographs)
        self.z, self.classes = encoder.latents(self.wanted).requires_grad_(), encoder.classes(self.wanted)
        self.moved = torch.zeros(count, *shift_shape(network), device=device, requires_grad=True)
        noise = draw_inputs(network, [seed]).noise
        assert noise is not None
        self.noise = [maps.to(device).repeat(count, 1, 1, 1) for maps in noise]
        # What pictures are finished with after the network is no part of the search.
        self.searched = [maps.requires_grad_() for maps in self.noise[: len(network.noise_sizes())]]

    def run(self, told: Callable[[], None]) -> tuple[Inputs, dict[str, Tensor]]:
        """Search in each space after the other; what is found, on the CPU, and the distances on the way."""
        rate, chosen = self.settings.rate, self.settings
        latent, first = {"params": [self.z], "lr": rate}, {"params": [self.moved], "lr": 0.4 * rate}
        noise = {"params": self.searched, "lr": rate}
        stages = [([latent], chosen.latent_steps), ([latent, first], chosen.map_steps)]
        stages.append(([latent, first, noise], chosen.noise_steps))
        training, track = self.network.training, {}
        self.network.eval()
        try:
            for space, (groups, steps) in zip(SPACES, stages, strict=True):
                if steps:
                    self._descend([dict(group) for group in groups], steps, told)
                    with torch.no_grad():
                        track[space] = self._distance(self._draw().clamp(-1, 1)).cpu()
        finally:
            self.network.train(training)
        maps = [part.detach().cpu() for part in self.noise]
        classes = None if self.classes is None else self.classes.cpu()
        shift = self._shift().detach().cpu()
        return Inputs(_on_sphere(self.z.detach()).cpu(), maps, shift=shift, classes=classes), track

    def _descend(self, groups: list[dict[str, object]], steps: int, told: Callable[[], None]) -> None:
        optimiser = torch.optim.Adam(groups, betas=(0.9, 0.99))
        # In the last two fifths the rate falls to nothing, so that each space has settled when the next joins.
        fall = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min(1.0, (steps - step) / (0.4 * steps)))
        leaves: Sequence[Tensor] = [leaf for group in optimiser.param_groups for leaf in group["params"]]
        for _ in range(steps):
            drawn = self._draw()
            pixels = (drawn - self.wanted).square().flatten(1).mean(1)
            held = self.moved.square().flatten(1).mean(1)
            total = self._distance(drawn) + self.settings.pixel_weight * pixels + self.settings.shift_weight * held
            # Not backward(): the network's own weights get no gradients.
            for leaf, slope in zip(leaves, torch.autograd.grad(total.sum(), leaves), strict=True):
                leaf.grad = slope
            optimiser.step()
            fall.step()
            with torch.no_grad():
                self.z.copy_(_on_sphere(self.z))
                for maps in self.searched:
                    maps.sub_(maps.mean((2, 3), keepdim=True)).div_(maps.std((2, 3), keepdim=True))
            told()

    def _draw(self) -> Tensor:
        return self.network(_on_sphere(self.z), self.noise, shift=self._shift(), classes=self.classes).big

    def _shift(self) -> Tensor:
        return self.moved * self.spread

    def _distance(self, drawn: Tensor) -> Tensor:
        return (self.loss.embed(drawn) - self.rows).square().sum(1)


def _on_sphere(z: Tensor) -> Tensor:
    """Bring latents to the length that normal ones of many values have."""
    return F.normalize(z, dim=1) * z.shape[1] ** 0.5
