"""The one-shot generator: a pyramid of small stages with a SASE gate each (`networks.pyramid_stages`).

Pyramid and losses: SinGAN, arXiv 1905.01164. Dense sizes and concurrent stages: ConSinGAN, arXiv 2003.11512. Written
from their descriptions.

Deviations, each a switch of `PyramidConfig` (the preset `paper` sets them as released):
* `statistics="instance"`: every sample is normalised by itself. Running statistics of a batch of one picture do not
  describe a sample, and with them a sample would depend on its batch.
* `norm="attentive"`: the release has batch normalisation.
* `resize="bicubic"`: the release truncates pictures to bytes between stages, which stops gradients, and lays the grid
  by the factor between stages (`factor`) instead of by their sizes.
* `finished_stages=2`: what a sample looks like at the last two sizes is drawn again out of patches of the training
  picture (`drawing.finish`).
The gate follows its target's size at run time, so any output size and any aspect ratio can be drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from sase_gan.colours import CHANNELS, Colours, seen
from sase_gan.config import FrozenRecord
from sase_gan.errors import UsageError
from sase_gan.networks.parts import norm_factory
from sase_gan.networks.pyramid_sizes import Size
from sase_gan.networks.pyramid_stages import PyramidStage
from sase_gan.resizing import Padding, resize, resize_by_factor
from sase_gan.seeds import generator as random_generator
from sase_gan.snapshot import SnapshotMixin

Side = Annotated[int, Field(ge=1, le=16384)]
"""Of a stage in pixels."""


class PyramidConfig(FrozenRecord):
    """A pyramid is built from this record."""

    removed_keys: ClassVar[Mapping[str, object]] = {"handover": "image", "output": "direct", "reconstruction": "latent"}

    sizes: tuple[tuple[Side, Side], ...] = Field(
        (), max_length=64, description="height and width of each stage, coarse to fine; from the picture"
    )
    colours: Colours = Field("rgb", description="of the picture: rgb, grey, or rgba with transparency")
    width: int = Field(32, ge=4, le=1024, multiple_of=4, description="channels of the coarsest stage")
    growth: Literal["none", "released"] = Field(
        "none", description="channels of finer stages: the same, or doubled at every fourth up to four times"
    )
    gate: Literal["sase", "none"] = Field("sase", description="spatially-adaptive gates from the second stage on")
    norm: Literal["attentive", "batch", "none"] = Field("attentive", description="normalisation of every block")
    num_components: int = Field(10, ge=1, le=1024, description="affine maps of attentive normalization")
    statistics: Literal["instance", "running"] = Field("instance", description="of norms; released: running")
    resize: Literal["bicubic", "bytes"] = Field("bicubic", description="between stages; released: through bytes")
    factor: float | None = Field(
        None, ge=0.5, le=1, description="of sizes, which the grid of resizing by bytes follows: from the picture"
    )
    padding: Padding = Field("zero", description="of every stage's input")
    finished_stages: int = Field(
        2, ge=0, le=64, description="finest stages drawn again out of the picture's patches; 0: none"
    )

    def channels(self, stage: int) -> int:
        """Return the channels of a stage."""
        return self.width * min(2 ** (stage // 4), 4) if self.growth == "released" else self.width

    def dilation(self, stage: int) -> int:
        """Return the dilation of a stage's gate, whose masks see 21, then 33 pixels."""
        return 5 if stage < 4 else 8

    @property
    def released_statistics(self) -> bool:
        """Tell whether norms keep running statistics."""
        return self.statistics == "running"


class PyramidPictures(NamedTuple):
    """A pyramid draws a picture at every stage, float in about [-1, 1]."""

    big: Tensor
    """The finest picture `[batch, 3, height, width]`; of other colours with other channels, see `sase_gan.colours`."""
    stages: tuple[Tensor, ...]
    """What each stage handed on, coarse to fine."""


class Pyramid(nn.Module, SnapshotMixin, pipeline_tag="unconditional-image-generation", tags=["gan", "single-image"]):
    """Draw a picture coarse to fine; stage n sees noise and the enlarged picture of stage n - 1.

    With a_n the noise strength and x_n the picture of stage n,

        x_n = stage_n(a_n noise_n + resize(x_(n-1)))          x_0 = stage_0(z)

    29,763 parameters at the coarsest stage and 36,391 / 140,359 / 551,047 at finer ones of 32 / 64 / 128 channels with
    batch normalisation.

    The snapshot holds the training picture (bytes, at training size), because harmonising and editing blend with it.

    Attributes:
        picture: uint8 `[3, height, width]`, the training picture at the finest size; of other colours as pictures are.
        finished_stages: as configured; may be set, 0 shows what the stages themselves draw.
        amplitudes: float `[stages]`, the strengths a_n; set by training.

    Raises:
        UsageError: for a configuration without sizes.

    Example:
        >>> pyramid = Pyramid(PyramidConfig(sizes=((12, 16), (18, 24)), width=8)).eval()
        >>> pyramid(torch.randn(2, 1, 12, 16), [torch.randn(2, 3, 18, 24)]).big.shape
        torch.Size([2, 3, 18, 24])
    """

    kind = "one_shot_pyramid"
    config_class = PyramidConfig
    card_usage = "sase-gan sample SNAPSHOT --seeds 0-15"
    picture: Tensor
    amplitudes: Tensor
    fixed0: Tensor

    def __init__(self, config: PyramidConfig) -> None:
        super().__init__()
        if not config.sizes:
            raise UsageError("a pyramid needs sizes; networks.pyramid computes them from the picture's")
        self.config = config
        self.finished_stages = config.finished_stages
        self.stages = nn.ModuleList(_stage(config, index) for index in range(len(config.sizes)))
        self.register_buffer("amplitudes", torch.tensor([1.0] + [0.0] * (len(config.sizes) - 1)))
        self.register_buffer("picture", torch.zeros(CHANNELS[config.colours], *config.sizes[-1], dtype=torch.uint8))
        self.register_buffer("fixed0", torch.zeros(1, 1, *config.sizes[0]))

    @property
    def seen_picture(self) -> Tensor:
        """Return what is seen of the training picture, uint8 `[3, height, width]`."""
        return seen(self.picture)

    @property
    def num_stages(self) -> int:
        """Count the stages."""
        return len(self.config.sizes)

    @property
    def size(self) -> Size:
        """Return height and width of the finest stage in training."""
        return self.config.sizes[-1]

    def stage_sizes(self, size: Size | None = None) -> tuple[Size, ...]:
        """List the sizes of all stages for a picture of `size`: the training sizes, each side times its own factor.

        Raises:
            UsageError: for a side below 1 px.
        """
        if size is None or tuple(size) == self.size:
            return self.config.sizes
        if min(size) < 1:
            raise UsageError(f"size is {size[1]}x{size[0]}; both sides must be at least 1 px")
        rows, columns = size[0] / self.size[0], size[1] / self.size[1]
        coarse = ((max(1, round(h * rows)), max(1, round(w * columns))) for h, w in self.config.sizes[:-1])
        return (*coarse, (size[0], size[1]))

    def latent_shape(self, size: Size | None = None) -> tuple[int, int, int]:
        """Return the shape of the latent z, a map of the coarsest stage."""
        return (1, *self.stage_sizes(size)[0])

    def noise_shapes(self, size: Size | None = None) -> tuple[tuple[int, int, int], ...]:
        """List the shapes of the noise maps of the stages after the first, as `forward` takes them."""
        return tuple((CHANNELS[self.config.colours], *fine) for fine in self.stage_sizes(size)[1:])

    def forward(
        self, z: Float[Tensor, "batch 1 _ _"], noise: Sequence[Float[Tensor, "batch _ _ _"]] | None = None
    ) -> PyramidPictures:
        """Draw pictures from latents of `latent_shape` and noise of `noise_shapes`, whose sizes decide the pictures'.

        Without noise the pictures have the training size.
        """
        sizes = self.config.sizes if noise is None else (z.shape[2:], *(part.shape[2:] for part in noise))
        return self.climb(self.inputs(z, noise), sizes=sizes)

    def inputs(self, z: Tensor, noise: Sequence[Tensor] | None = None) -> list[Tensor | None]:
        """List the inputs of all stages, as `climb` takes them."""
        return [z, *([None] * (self.num_stages - 1) if noise is None else noise)]

    def climb(
        self,
        noise: Sequence[Tensor | None],
        *,
        start: int = 0,
        stop: int | None = None,
        carried: Tensor | None = None,
        sizes: Sequence[Sequence[int]] | None = None,
        padding: Padding | None = None,
        styles: Mapping[int, Tensor] | None = None,
    ) -> PyramidPictures:
        """Run the stages from `start` to before `stop`.

        Args:
            noise: one map or None for every stage of the pyramid, whether it runs or not; not yet scaled.
            carried: what stage `start - 1` handed on, of any size; None at the coarsest stage.
            sizes: of all stages; the training sizes if None.
            padding: other than the configured one.
            styles: style vectors of gates by stage, in place of those read from the picture that is drawn.
        """
        sizes = self.config.sizes if sizes is None else sizes
        padding = padding or self.config.padding
        drawn = []
        for index in range(start, self.num_stages if stop is None else stop):
            if carried is not None:
                carried = self.enlarge(carried, sizes[index], padding)
            part = noise[index]
            if part is not None and index > 0:
                part = part * self.amplitudes[index]
            carried = self.stages[index](carried, part, padding, None if styles is None else styles.get(index))
            drawn.append(carried)
        assert carried is not None
        return PyramidPictures(carried, tuple(drawn))

    def enlarge(self, carried: Tensor, size: Sequence[int], padding: Padding) -> Tensor:
        """Bring what a stage handed on to the size of the next one."""
        if self.config.resize == "bytes":
            levels = ((carried.detach() + 1) * 127.5).clamp(0, 255).floor()
            truncated, factor = levels / 127.5 - 1, self.config.factor
            # The grid of a factor does not close, as a tile must.
            if factor is None or padding == "circular":
                return resize(truncated, size, padding).clamp(-1, 1)
            return resize_by_factor(truncated, size, 1 / factor).clamp(-1, 1)
        return resize(carried, size, padding)

    def fixed_noise(self) -> list[Tensor | None]:
        """List the inputs that reconstruct the training picture, one for each stage: a fixed latent, and no noise."""
        return self.inputs(self.fixed0)

    def reconstruct(self, stop: int | None = None) -> PyramidPictures:
        """Draw the training picture with the stages before `stop`."""
        return self.climb(self.fixed_noise(), stop=stop)

    @torch.no_grad()
    def training_styles(self) -> dict[int, Tensor]:
        """Read every gate's style vectors at the reconstruction of the training picture, `[1, groups, channels]`."""
        drawn = self.reconstruct().stages
        padding = self.config.padding
        styles = {}
        for index in range(1, self.num_stages):
            stage = self.stages[index]
            assert isinstance(stage, PyramidStage)
            read = stage.styles(self.enlarge(drawn[index - 1], self.config.sizes[index], padding), None, padding)
            if read is not None:
                styles[index] = read
        return styles

    @torch.no_grad()
    def draw_fixed_noise(self, seed: int) -> None:
        """Draw the latent that reconstructs the training picture."""
        self.fixed0.copy_(torch.randn(self.fixed0.shape, generator=random_generator(seed, "reconstruction", 0)))

    def begin_stage(self, index: int) -> bool:
        """Start a stage as a copy of the one before, but for what only one of them has; False if the widths differ."""
        if index == 0 or self.config.channels(index) != self.config.channels(index - 1):
            return False
        self.stages[index].load_state_dict(self.stages[index - 1].state_dict(), strict=False)
        return True

    @torch.no_grad()
    def first_stages(self, count: int, picture: Tensor) -> Pyramid:
        """Copy the first stages, in evaluation mode, with the training picture at the size of the last of them."""
        # Unfinished pyramids show what their stages have learnt.
        finished = self.config.finished_stages if count == self.num_stages else 0
        part = Pyramid(self.config.model_copy(update={"sizes": self.config.sizes[:count], "finished_stages": finished}))
        own = {**self.state_dict(), "amplitudes": self.amplitudes[:count], "picture": picture}
        part.load_state_dict({key: own[key] for key in part.state_dict()})
        return part.to(self.amplitudes.device).eval()


def _stage(config: PyramidConfig, index: int) -> PyramidStage:
    gated = config.gate == "sase" and index > 0
    statistics: Literal["batch", "instance"] = "batch" if config.released_statistics else "instance"
    return PyramidStage(
        config.channels(index),
        norm=norm_factory(config.norm, num_components=config.num_components, init_scale="unit", statistics=statistics),
        dilation=config.dilation(index) if gated else None,
        gate_norm=statistics,
        colours=CHANNELS[config.colours],
    )
