"""A generator whose pictures are finished: drawn again out of patches of its training pictures.

A network that learned from a hundred pictures for minutes knows what belongs where, and draws it soft and now and then
broken; recombining the pictures alone is crisp, and does not know what belongs together at a distance. Here the first
draws and the second goes over it: what the network drew gets a little noise, and the local denoiser of the training
set (`recombination.aligned`) cleans it, from the noise level that `strength` names. This is the way in which SDEdit
(Meng and others, arXiv 2108.01073) turns strokes into photographs, with a denoiser in closed form.

Details that the network drew lie a little beside those of any training picture, and then the nearest patch is one with
fewer details: with details d and a patch's e, |d - e|^2 = |d|^2 - 2 de + |e|^2 punishes |e|. So details are enlarged by
`detail` = g before, for |g d - e|^2 / g = g |d|^2 - 2 de + |e|^2 / g has a g-th of this punishment.

Layouts are then the network's, and every region is a training picture's, so that a snapshot of such a model *contains
the training pictures*, as that of a model without training does. `docs/results/finishing.md` has the figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from sase_gan.networks.generator import Generator, GeneratorConfig
from sase_gan.pixels import to_float, to_uint8
from sase_gan.recombination.control import Beginning
from sase_gan.recombination.drawn import Drawn
from sase_gan.recombination.model import Recombiner, RecombinerConfig

STRENGTH, VARIETY = 0.6, 1.5
"""How freely pictures are redrawn, and how small the pieces are, where nothing is said and nothing measures: between
what serves drawings best and what serves photographs best (docs/results/finishing.md)."""
DETAIL, LEAST_DETAIL, MOST_DETAIL = 3.0, 0.5, 8.0
"""How many times the network's details count, of models that are made now; those of before have 1."""
LAYOUT = 16
"""Short side in pixels of the map that shows a picture's layout; what is finer are its details."""


class FinishedGeneratorConfig(GeneratorConfig):
    """A finished generator is built from this record: a generator's, and what its pictures are finished with."""

    strength: float = Field(
        STRENGTH, ge=0, lt=1, description="how freely pictures are redrawn; the nearer to 0 the more stays"
    )
    detail: float = Field(
        1.0, ge=LEAST_DETAIL, le=MOST_DETAIL, description="how many times the network's details count; 1: as drawn"
    )
    patches: RecombinerConfig = Field(RecombinerConfig(), description="of the training pictures")

    @model_validator(mode="after")
    def _one_kind_of_colours(self) -> Self:
        if self.patches.count and self.patches.colours != self.colours:
            raise ValueError(
                f"colours is {self.colours!r}, patches.colours {self.patches.colours!r}; patches are of pictures like "
                "those that the network draws: give both the same colours"
            )
        return self

    def unfinished(self) -> GeneratorConfig:
        """Return the record of the generator alone."""
        return GeneratorConfig(**self.model_dump(exclude={"strength", "detail", "patches"}))


class FinishedGenerator(Generator, pipeline_tag="unconditional-image-generation", tags=["gan", "few-shot"]):
    """Draw as a generator does, and finish the pictures out of patches of the training pictures.

    `forward` and whatever looks into the network are the generator's; `finish` is what `drawing.sampling` calls after.

    Attributes:
        patches: the model without training that finishes; it holds the training pictures.
        strength, detail: as configured; may be set.

    Example:
        >>> config = FinishedGeneratorConfig(image_size=32, width=8, patches=RecombinerConfig(count=2, size=(32, 32)))
        >>> model = FinishedGenerator(config).eval()
        >>> model.finish(model(torch.randn(3, 256)).big).pictures.shape
        torch.Size([3, 3, 32, 32])
    """

    kind = "finished_generator"
    config_class = FinishedGeneratorConfig
    card_title = "A model trained and finished with patches"
    card_text = (
        "Trained on pictures {rights}. What the network draws is drawn again out of regions of the training pictures: "
        "the file **contains the training pictures**, losslessly."
    )
    config: FinishedGeneratorConfig

    def __init__(self, config: FinishedGeneratorConfig) -> None:
        super().__init__(config)
        self.patches = Recombiner(config.patches)
        self.strength, self.detail = config.strength, config.detail

    def noise_shapes(self, size: tuple[int, int] | None = None) -> tuple[tuple[int, int, int], ...]:
        """List the shapes of the noise maps, without the batch: the generator's, and behind them those of `finish`."""
        return (*super().noise_shapes(size), self.patches.latent_shape(), *self.patches.noise_shapes())

    def _noise_by_part(self, noise: Sequence[Tensor] | None) -> tuple[dict[int, tuple[Tensor, ...]], dict[int, Tensor]]:
        """Sort the generator's noise maps, which are the first."""
        return super()._noise_by_part(None if noise is None else noise[: len(self.noise_sizes())])

    @torch.no_grad()
    def finish(self, pictures: Tensor, noise: Sequence[Tensor] | None = None) -> Drawn:
        """Draw pictures again, float as `forward` gives them, and tell where each region came from.

        They are rounded to the 256 levels of a file first, so that a picture of another batch, a float's last bit
        apart, is finished alike.

        Args:
            noise: the maps of `noise_shapes`, of which the last ones serve; None: they are all 0.
        """
        given, patches = with_details(to_float(to_uint8(pictures)), self.detail), self.patches
        if noise is None:
            shapes = (patches.latent_shape(), *patches.noise_shapes())
            own = [given.new_zeros(len(given), *shape) for shape in shapes]
        else:
            own = [part.expand(len(given), -1, -1, -1) for part in noise[len(self.noise_sizes()) :]]
        drawn: Drawn = patches(own[0], own[1:], beginning=Beginning(given, self.strength))
        return drawn

    def unfinished(self) -> Generator:
        """Copy the generator alone, in evaluation mode; it holds no training pictures."""
        alone = Generator(self.config.unfinished())
        alone.load_state_dict({name: value for name, value in self.state_dict().items() if name in alone.state_dict()})
        alone.provenance = {key: value for key, value in self.provenance.items() if key != "finished"}
        return alone.to(next(self.parameters()).device).to(memory_format=self.memory_format).eval()

    def folded(self) -> Generator:
        """Copy the generator alone with its spectral norms folded in."""
        return self.unfinished().folded()


def with_details(pictures: Tensor, factor: float) -> Tensor:
    """Enlarge what pictures `[batch, channels, height, width]` show beyond a map of `LAYOUT` pixels a side.

    Example:
        >>> plain = torch.full((1, 3, 64, 64), 0.25)
        >>> torch.allclose(with_details(plain, 2.0), plain)
        True
    """
    if factor == 1:
        return pictures
    height, width = pictures.shape[2:]
    share = min(1.0, LAYOUT / min(height, width))
    coarse = (max(1, round(share * height)), max(1, round(share * width)))
    small = F.interpolate(pictures, coarse, mode="bilinear", antialias=True, align_corners=False)
    layout = F.interpolate(small, (height, width), mode="bilinear", align_corners=False)
    return layout + factor * (pictures - layout)


def finished(
    network: Generator, patches: Recombiner, strength: float = STRENGTH, detail: float = DETAIL
) -> FinishedGenerator:
    """Join a published generator and a model without training of the same pictures, in evaluation mode."""
    own_settings = {"strength": strength, "detail": detail, "patches": patches.config}
    about: dict[str, Any] = network.config.model_dump() | own_settings
    joined = FinishedGenerator(FinishedGeneratorConfig(**about))
    own = {f"patches.{name}": value for name, value in patches.state_dict().items()}
    joined.load_state_dict(network.state_dict() | own)
    joined.provenance = dict(network.provenance)
    return joined.to(next(network.parameters()).device).to(memory_format=network.memory_format).eval()
