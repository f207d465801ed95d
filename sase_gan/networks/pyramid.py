"""The one-shot networks: a pyramid of small generators with a SASE gate each, and the critic of one size.

Gate and stage: the one-shot model of arXiv 2112.14804. Pyramid, losses, patch critic: SinGAN, arXiv 1905.01164. Dense
sizes, concurrent stages and the feature hand-over: ConSinGAN, arXiv 2003.11512. Written from their descriptions.

Deviations, each a switch of `PyramidConfig` (the preset `paper` sets them as released):
* `statistics="instance"`: every sample is normalised by itself. Running statistics of a batch of one picture do not
  describe a sample, and with them a sample would depend on its batch.
* `norm="attentive"`: the release has batch normalisation.
* Blocks without a norm start with weights that keep the signal's size (He et al. 2015, arXiv 1502.01852). In a trial
  at 52 px the critic without a norm then taught the layout that it missed with the family's small start.
* `resize="bicubic"`: the release rounds pictures to bytes between stages, which stops gradients.
* `finished_stages=2`: what a sample looks like at the last two sizes is drawn again out of patches of the training
  picture (`patch_matching`). Short trainings place things well and blur them; this costs a tenth of a second a picture.
The gate follows its target's size at run time, so any output size and any aspect ratio can be drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from sase_gan.errors import UsageError
from sase_gan.layers.primitives import NormFactory, conv
from sase_gan.layers.sase import SynthesisSASE
from sase_gan.networks.parts import norm_factory
from sase_gan.networks.pyramid_sizes import Size
from sase_gan.patch_matching import PATCH, PatchPainter
from sase_gan.pixels import to_float
from sase_gan.resizing import Padding, pad, resize, wrap
from sase_gan.seeds import generator as random_generator
from sase_gan.snapshot import SnapshotMixin

NUM_BODY_BLOCKS = 3
MARGIN = NUM_BODY_BLOCKS + 2
"""Pixels that a stage's convolutions take off each side, and that its input is padded by."""
_SLOPE = 0.2


class PyramidConfig(BaseModel):
    """What a pyramid is built of; frozen, unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sizes: tuple[Size, ...] = Field((), description="height and width of each stage, coarse to fine; from the picture")
    width: int = Field(32, ge=4, multiple_of=4, description="channels of the coarsest stage")
    growth: Literal["none", "released"] = Field(
        "none", description="channels of finer stages: the same, or doubled at every fourth up to four times"
    )
    gate: Literal["sase", "none"] = Field("sase", description="spatially-adaptive gates from the second stage on")
    norm: Literal["attentive", "batch", "none"] = Field("attentive", description="normalisation of every block")
    num_components: int = Field(10, ge=1, description="affine maps of attentive normalization")
    statistics: Literal["instance", "running"] = Field("instance", description="of norms; released: running")
    handover: Literal["image", "feature"] = Field("image", description="what a stage hands to the next one")
    output: Literal["direct", "residual"] = Field(
        "direct", description="a stage draws its picture, or what is added to the picture that it was handed"
    )
    resize: Literal["bicubic", "bytes"] = Field("bicubic", description="between stages; released: through bytes")
    padding: Padding = Field("zero", description="of every stage's input")
    reconstruction: Literal["latent", "image"] = Field(
        "latent", description="drawn from one fixed latent without noise; or from the coarsest picture with fixed noise"
    )
    finished_stages: int = Field(
        2,
        ge=0,
        description="finest stages whose picture is drawn again out of patches of the training picture; 0: none",
    )

    def channels(self, stage: int) -> int:
        """Channels of a stage."""
        return self.width * min(2 ** (stage // 4), 4) if self.growth == "released" else self.width

    def dilation(self, stage: int) -> int:
        """Of the mask branch of a stage's gate: its masks see 21, then 33 pixels."""
        return 5 if stage < 4 else 8

    @property
    def released_statistics(self) -> bool:
        """Whether norms keep running statistics."""
        return self.statistics == "running"

    def norm_factory(self) -> NormFactory:
        """The norm of every block."""
        statistics: Literal["batch", "instance"] = "batch" if self.released_statistics else "instance"
        return norm_factory(self.norm, num_components=self.num_components, init_scale="unit", statistics=statistics)


class PyramidPictures(NamedTuple):
    """What a pyramid draws, float in about [-1, 1]."""

    big: Tensor
    """The finest picture `[batch, 3, height, width]`."""
    stages: tuple[Tensor, ...]
    """What each stage handed on, coarse to fine."""


class Pyramid(nn.Module, SnapshotMixin, pipeline_tag="unconditional-image-generation", tags=["gan", "single-image"]):
    """Draw a picture coarse to fine; stage n sees noise and the enlarged picture of stage n - 1.

    With a_n the noise strength and x_n the picture of stage n,

        x_n = stage_n(a_n noise_n + resize(x_(n-1)))          x_0 = stage_0(z)

    29,763 parameters at the coarsest stage and 36,391 / 140,359 / 551,047 at finer ones of 32 / 64 / 128 channels with
    batch normalisation.

    The snapshot holds the training picture (bytes, at training size), because harmonising and editing blend with it.

    Args:
        config: see `PyramidConfig`; its sizes must be known.

    Attributes:
        picture: uint8 `[3, height, width]`, the training picture at the finest size.
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
    of_one_picture = True
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
        stage = FeatureStage if config.handover == "feature" else ImageStage
        self.stages = nn.ModuleList(stage(config, index) for index in range(len(config.sizes)))
        if config.handover == "feature":
            self.to_picture = conv(config.channels(len(config.sizes) - 1), 3, 3, bias=True, spectral=False)
        self.register_buffer("amplitudes", torch.tensor([1.0] + [0.0] * (len(config.sizes) - 1)))
        self.register_buffer("picture", torch.zeros(3, *config.sizes[-1], dtype=torch.uint8))
        for index, (height, width) in enumerate(config.sizes):
            if index == 0 or config.reconstruction == "image":
                channels = self._latent_channels if index == 0 else self._noise_channels(index)
                self.register_buffer(f"fixed{index}", torch.zeros(1, channels, height, width))

    @property
    def num_stages(self) -> int:
        """How many stages there are."""
        return len(self.config.sizes)

    @property
    def size(self) -> Size:
        """Height and width of the finest stage in training."""
        return self.config.sizes[-1]

    # -- what goes in ------------------------------------------------------------------------------------------------

    @property
    def _latent_channels(self) -> int:
        return 3 if self.config.reconstruction == "image" else 1

    def _noise_channels(self, stage: int) -> int:
        return 3 if self.config.handover == "image" else self.config.channels(stage)

    def stage_sizes(self, size: Size | None = None) -> tuple[Size, ...]:
        """Sizes of all stages for a picture of `size`: the training sizes, each side times its own factor."""
        if size is None or tuple(size) == self.size:
            return self.config.sizes
        if min(size) < 1:
            raise UsageError(f"size is {size[1]}x{size[0]}; both sides must be at least 1 px")
        factors = [wanted / trained for wanted, trained in zip(size, self.size, strict=True)]
        coarse = [
            (max(1, round(height * factors[0])), max(1, round(width * factors[1])))
            for height, width in self.config.sizes[:-1]
        ]
        return (*coarse, (size[0], size[1]))

    def latent_shape(self, size: Size | None = None) -> tuple[int, int, int]:
        """Shape of the latent z, a map of the coarsest stage."""
        return (1, *self.stage_sizes(size)[0])

    def noise_shapes(self, size: Size | None = None) -> tuple[tuple[int, int, int], ...]:
        """Shapes of the noise maps of the stages after the first, as `forward` takes them."""
        sizes = self.stage_sizes(size)
        return tuple((self._noise_channels(index), *sizes[index]) for index in range(1, self.num_stages))

    # -- drawing -----------------------------------------------------------------------------------------------------

    def forward(self, z: Tensor, noise: Sequence[Tensor] | None = None) -> PyramidPictures:
        """Draw pictures.

        Args:
            z: latents `[batch, 1, height, width]` of `latent_shape`, standard normal.
            noise: maps of `noise_shapes`; None leaves the noise out. Their sizes decide the pictures' size; without
                them it is the training size.
        """
        sizes = self.config.sizes if noise is None else (z.shape[2:], *(part.shape[2:] for part in noise))
        return self.climb([z, *([None] * (self.num_stages - 1) if noise is None else noise)], sizes=sizes)

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
        return PyramidPictures(self.to_rgb(carried, padding), tuple(drawn))

    def draw(
        self,
        noise: Sequence[Tensor | None],
        *,
        start: int = 0,
        carried: Tensor | None = None,
        sizes: Sequence[Sequence[int]] | None = None,
        padding: Padding | None = None,
        styles: Mapping[int, Tensor] | None = None,
    ) -> Tensor:
        """The finest pictures of `climb`, finished; arguments as there, `carried` one picture for all.

        Each is climbed to by itself: which patch is nearest may turn on a float's last bit, and that on the batch.
        """
        count = next(len(part) for part in noise if part is not None)
        alone = [
            self.climb(
                [None if part is None else part[index : index + 1] for part in noise],
                start=start,
                carried=carried,
                sizes=sizes,
                padding=padding,
                styles=styles,
            ).big
            for index in range(count)
        ]
        return self.finish(torch.cat(alone), start=start, sizes=sizes, padding=padding)

    def finish(
        self,
        drawn: Tensor,
        *,
        start: int = 0,
        sizes: Sequence[Sequence[int]] | None = None,
        padding: Padding | None = None,
    ) -> Tensor:
        """Draw pictures again, at their last `finished_stages` sizes, out of patches of the training picture.

        Never at the coarsest size: a patch there is a quarter of the picture, and the result a copy.

        Args:
            drawn: finest pictures `[batch, 3, height, width]`.
            start: the first stage that drew; sizes before it are left alone.
            sizes, padding: as given to `climb`.

        Returns:
            the same shape; `drawn` itself where nothing is to be finished.
        """
        sizes = self.config.sizes if sizes is None else sizes
        first = max(start, 1, self.num_stages - self.finished_stages)
        levels = [
            (size, trained)
            for size, trained in zip(sizes[first:], self.config.sizes[first:], strict=True)
            if min(size) >= PATCH
        ]
        if not levels:
            return drawn
        example = to_float(self.picture)[None].to(drawn.device)
        painter = PatchPainter(example, [trained for _, trained in levels], padding=padding or self.config.padding)
        return painter.redraw(drawn, [(int(size[0]), int(size[1])) for size, _ in levels])

    def enlarge(self, carried: Tensor, size: Sequence[int], padding: Padding) -> Tensor:
        """What a stage handed on, at the size of the next one."""
        if self.config.resize == "bytes":
            levels = ((carried.detach() + 1) * 127.5).clamp(0, 255).floor()
            return resize(levels / 127.5 - 1, size, padding).clamp(-1, 1)
        return resize(carried, size, padding)

    def to_rgb(self, carried: Tensor, padding: Padding | None = None) -> Tensor:
        """The picture in what a stage handed on."""
        if self.config.handover == "image":
            return carried
        return self.to_picture(pad(carried, 1, padding or self.config.padding)).tanh()

    def fixed_noise(self) -> list[Tensor | None]:
        """The inputs that reconstruct the training picture, one for each stage."""
        return [getattr(self, f"fixed{index}", None) for index in range(self.num_stages)]

    def reconstruct(self, stop: int | None = None) -> PyramidPictures:
        """The training picture as the stages before `stop` draw it."""
        return self.climb(self.fixed_noise(), stop=stop)

    @torch.no_grad()
    def training_styles(self) -> dict[int, Tensor]:
        """The style vectors of every gate at the reconstruction of the training picture, `[1, groups, channels]`."""
        drawn = self.reconstruct().stages
        padding, fixed = self.config.padding, self.fixed_noise()
        styles = {}
        for index in range(1, self.num_stages):
            noise = fixed[index]
            stage = self.stages[index]
            assert isinstance(stage, ImageStage | FeatureStage)
            read = stage.styles(
                self.enlarge(drawn[index - 1], self.config.sizes[index], padding),
                None if noise is None else noise * self.amplitudes[index],
                padding,
            )
            if read is not None:
                styles[index] = read
        return styles

    # -- training ----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def draw_fixed_noise(self, seed: int, coarsest: Tensor) -> None:
        """Draw the reconstruction's inputs; `coarsest` is the training picture `[1, 3, h, w]` at the first size."""
        for index, fixed in enumerate(self.fixed_noise()):
            if fixed is not None:
                fixed.copy_(torch.randn(fixed.shape, generator=random_generator(seed, "reconstruction", index)))
        if self.config.reconstruction == "image":
            self.fixed0.copy_(coarsest)

    def begin_stage(self, index: int) -> bool:
        """Start a stage as a copy of the one before, but for what only one of them has; False if the widths differ."""
        if index == 0 or self.config.channels(index) != self.config.channels(index - 1):
            return False
        current, before = self.stages[index], self.stages[index - 1]
        shared = current.state_dict().keys()
        current.load_state_dict({k: v for k, v in before.state_dict().items() if k in shared}, strict=False)
        return True

    @torch.no_grad()
    def first_stages(self, count: int, picture: Tensor) -> Pyramid:
        """A copy of the first stages, in evaluation mode: what is published while finer ones are not trained yet.

        Args:
            picture: uint8 `[3, h, w]`, the training picture at the size of the last of them.
        """
        # Unfinished pyramids show what their stages have learnt.
        finished = self.config.finished_stages if count == self.num_stages else 0
        part = Pyramid(self.config.model_copy(update={"sizes": self.config.sizes[:count], "finished_stages": finished}))
        wanted = part.state_dict()
        state = {key: value for key, value in self.state_dict().items() if key in wanted}
        state |= {"amplitudes": self.amplitudes[:count], "picture": picture}
        part.load_state_dict(state)
        return part.to(self.amplitudes.device).eval()


class ImageStage(nn.Module):
    """A stage that is handed a picture and draws one: head, three blocks, gate, tail; only the input is padded."""

    def __init__(self, config: PyramidConfig, index: int) -> None:
        super().__init__()
        channels, norm = config.channels(index), config.norm_factory()
        self.residual = config.output == "residual"
        self.head = _block(3, channels, norm)
        self.body = nn.Sequential(*(_block(channels, channels, norm) for _ in range(NUM_BODY_BLOCKS)))
        self.gate = _gate(config, index)
        self.reach = 2 * config.dilation(index)
        self.tail = conv(channels, 3, 3, bias=True, spectral=False)

    def forward(
        self, carried: Tensor | None, noise: Tensor | None, padding: Padding, styles: Tensor | None = None
    ) -> Tensor:
        """The picture `[batch, 3, height, width]`, from the one carried, the scaled noise, or both of them."""
        early = self._early(carried, noise, padding)
        late = self.body(early)
        if self.gate is not None:
            late = _gated(self.gate, early, late, styles, padding, self.reach, margin=NUM_BODY_BLOCKS + 1)
        picture = self.tail(late).tanh()
        return picture + carried if self.residual and carried is not None else picture

    def _early(self, carried: Tensor | None, noise: Tensor | None, padding: Padding) -> Tensor:
        x = _sum(carried, noise)
        return self.head(pad(x.expand(-1, 3, -1, -1), MARGIN, padding))

    def styles(self, carried: Tensor | None, noise: Tensor | None, padding: Padding) -> Tensor | None:
        """The gate's style vectors; None without a gate."""
        return None if self.gate is None else self.gate.styles(self._early(carried, noise, padding))


class FeatureStage(nn.Module):
    """One stage that is handed features and adds to them: three blocks and a gate; the first one also has the head."""

    def __init__(self, config: PyramidConfig, index: int) -> None:
        super().__init__()
        channels, norm = config.channels(index), config.norm_factory()
        if config.growth != "none":
            raise UsageError("growth is 'released', handover 'feature'; features are handed on at one width only")
        self.head = _block(3, channels, norm) if index == 0 else None
        self.body = nn.Sequential(*(_block(channels, channels, norm) for _ in range(NUM_BODY_BLOCKS)))
        self.gate = _gate(config, index)
        self.reach = 2 * config.dilation(index)

    def forward(
        self, carried: Tensor | None, noise: Tensor | None, padding: Padding, styles: Tensor | None = None
    ) -> Tensor:
        """Features `[batch, channels, height, width]`."""
        x = _sum(carried, noise)
        if self.head is not None:
            x = self.head(pad(x.expand(-1, 3, -1, -1), 1, padding))
        late = self.body(pad(x, NUM_BODY_BLOCKS, padding))
        if self.gate is not None:
            late = _gated(self.gate, x, late, styles, padding, self.reach, margin=0)
        return late + x

    def styles(self, carried: Tensor | None, noise: Tensor | None, padding: Padding) -> Tensor | None:
        """The gate's style vectors; None without a gate."""
        return None if self.gate is None else self.gate.styles(_sum(carried, noise))


class PatchDiscriminator(nn.Module):
    """A critic of 11 x 11 patches: head, three blocks and a tail to one channel, without padding.

    Args:
        channels: of every block. 28,929 parameters at 32, 113,153 at 64, without norm.
        norm: "none", or "batch" as released, at a batch of one.
    """

    def __init__(self, channels: int, *, norm: Literal["none", "batch"] = "none") -> None:
        super().__init__()
        make_norm = norm_factory(norm, num_components=1, init_scale="unit")
        self.head = _block(3, channels, make_norm)
        self.body = nn.Sequential(*(_block(channels, channels, make_norm) for _ in range(NUM_BODY_BLOCKS)))
        self.tail = conv(channels, 1, 3, bias=True, spectral=False)

    def forward(self, images: Tensor) -> Tensor:
        """Scores `[batch, 1, height - 10, width - 10]` of pictures `[batch, 3, height, width]`; real is high."""
        return self.tail(self.body(self.head(images)))


def _block(in_channels: int, out_channels: int, norm: NormFactory) -> nn.Sequential:
    convolution, normalisation = conv(in_channels, out_channels, 3, bias=True, spectral=False), norm(out_channels)
    if isinstance(normalisation, nn.Identity):
        # The family's small start relies on a norm: without one the signal would shrink threefold in every block.
        nn.init.kaiming_normal_(convolution.weight, _SLOPE)
    return nn.Sequential(convolution, normalisation, nn.LeakyReLU(_SLOPE, inplace=True))


def _gate(config: PyramidConfig, index: int) -> SynthesisSASE | None:
    if config.gate == "none" or index == 0:
        return None
    channels = config.channels(index)
    norm: Any = "batch" if config.released_statistics else "instance"
    return SynthesisSASE(
        channels,
        channels,
        reduction=1,
        dilation=config.dilation(index),
        norm=norm,
        style_norm=False,
        spectral=False,
    )


def _gated(
    gate: SynthesisSASE,
    source: Tensor,
    target: Tensor,
    styles: Tensor | None,
    padding: Padding,
    reach: int,
    *,
    margin: int,
) -> Tensor:
    """Apply a gate; for circular padding without a seam.

    Args:
        reach: how many pixels around it a mask's value sees.
        margin: pixels by which the source reaches beyond the picture on each side.
    """
    circular = padding == "circular"
    # A wrapped rim would count its pixels twice in the means of the styles.
    core = _crop(source, margin) if circular else source
    styles = gate.styles(core) if styles is None else styles.expand(len(source), -1, -1)
    if not circular:
        return gate.apply_gate(gate.masks(source), styles, target)
    # The masks' own padding is zero: they are computed on a wider wrapped map, and its rim is cut off.
    scale = gate.gate(_crop(gate.masks(wrap(core, reach)), reach), styles)
    return target * wrap(scale, (target.shape[2] - core.shape[2]) // 2)


def _crop(x: Tensor, margin: int) -> Tensor:
    return x[..., margin : x.shape[2] - margin, margin : x.shape[3] - margin]


def _sum(carried: Tensor | None, noise: Tensor | None) -> Tensor:
    if carried is None or noise is None:
        x = noise if carried is None else carried
        assert x is not None
        return x
    return carried + noise
