"""The low-shot generator: a FastGAN trunk with SASE skip gates and attentive normalization.

Trunk: Liu et al. 2021, arXiv 2101.04775. Gates: arXiv 2112.14804 (`layers.sase`). Normalisation: arXiv 1908.01259
(`layers.attentive_norm`). Neither the paper nor its release combines SASE with attentive normalization; the
combination is this project's default, the release is `norm="batch"`, FastGAN is `norm="batch", skip="sle"`.

Off by default, and in no paper: `conv="aw"` makes every 3x3 convolution within the blocks from 8x8 on one whose kernel
is scaled for each sample (`layers.aw_conv`), and `attention` gates the result of each of these blocks, after its gated
linear unit and before the skip gate. The first block and the convolutions that give the pictures stay plain.

Deviation: the noise maps are an input, so that a picture is named by (snapshot, seed) whatever batch it is drawn in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, NamedTuple, Self

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from sase_gan.colours import CHANNELS, Colours
from sase_gan.errors import UsageError
from sase_gan.layers.primitives import WEIGHT_STD, GatedLinearUnit, NoiseInjection, NormFactory, conv
from sase_gan.layers.sase import SynthesisSASE, Weighting
from sase_gan.layers.spectral_norm import fold_spectral_norm, spectral_norm
from sase_gan.networks import channel_tables as tables
from sase_gan.networks import parts as factories
from sase_gan.networks.channel_tables import FirstMap, ImageSize, scaled
from sase_gan.networks.conditioning import ClassesRecord, embedded, new_embedding
from sase_gan.networks.parts import AttentionFactory, AttentionName, ConvFactory, ConvName
from sase_gan.seeds import generator as random_generator
from sase_gan.snapshot import SnapshotMixin

MEAN_SEEDS = 1_000
"""Over the pictures of so many seeds the first map's mean is taken, which truncation draws towards."""


class GeneratorConfig(ClassesRecord):
    """A generator is built from this record; with classes it is conditional, see `networks.conditioning`."""

    image_size: ImageSize = Field(256, description="side of the picture in pixels: 32, 64, 128, 256, 512 or 1024")
    first_map: FirstMap = Field(
        None, description="height and width of the first map, for pictures that are no squares; None: 4x4"
    )
    colours: Colours = Field("rgb", description="of the pictures: rgb, grey, or rgba with transparency")
    latent_size: int = Field(256, ge=1, le=8192, description="length of the latent z")
    width: int = Field(64, ge=4, le=1024, description="64 is FastGAN's width; channels grow with it")
    norm: Literal["attentive", "batch"] = Field("attentive", description="normalisation of every block")
    num_components: int = Field(10, ge=1, le=1024, description="affine maps of attentive normalization")
    attentive_sizes: tuple[int, ...] | None = Field(
        None, description="sizes of the maps whose blocks have attentive normalization, others batch; None: all"
    )
    attention_norm: Literal["batch", "group", "none"] = Field(
        "batch", description="normalisation of attentive normalization's logits"
    )
    init_scale: Literal["unit", "paper", "batch"] = Field(
        "unit", description="start of attentive normalization's tables; batch: as batch normalisation, attention silent"
    )
    skip: Literal["sase", "sle"] = Field("sase", description="gates between distant sizes")
    gates: tuple[tuple[int, int], ...] | None = Field(
        None, description="sizes of source and target of each gate, all of the kind `skip`; None: as released"
    )
    sase_groups: int = Field(4, ge=1, le=1024, description="masks and styles of a SASE gate")
    sase_min_width: int = Field(2, ge=1, le=1024, description="least inner channels of a mask's and a style's branch")
    sase_weighting: Weighting = Field(
        "share", description="share: masks divide a place among them; softmax, free: one that closes leaves it ungated"
    )
    sase_style_gain: float | None = Field(
        None, gt=0, description="start of a learnt gain of styles of zero mean; None: styles as published"
    )
    sase_mask_gain: float | None = Field(
        None, gt=0, description="start of a learnt gain of the masks' logits; None: masks as published"
    )
    conv: ConvName = Field("plain", description="3x3 convolutions of the blocks; aw: kernels scaled for each sample")
    attention: AttentionName = Field("none", description="attention at the end of each block from 8x8 on")
    output: Literal["raw", "tanh"] = Field("raw", description="tanh bounds the picture; raw is clamped when saved")
    spectral_norm: bool = Field(True, description="False for a snapshot, whose weights are already divided")

    @model_validator(mode="after")
    def _groups_fit(self) -> Self:
        if unknown := set(self.attentive_sizes or ()) - {4, *tables.generator_sizes(self.image_size)}:
            raise ValueError(f"attentive_sizes has {min(unknown)}, of which this network has no map")
        for gate in self.planned_gates():
            channels = scaled(tables.GENERATOR_CHANNELS[gate.source], self.width)
            if gate.kind == "sase" and channels % self.sase_groups:
                raise ValueError(
                    f"sase_groups is {self.sase_groups}; it must divide the {channels} channels of the {gate.source}x"
                    f"{gate.source} map at width {self.width}; 4 divides it at every even width"
                )
        return self

    @property
    def picture_size(self) -> tuple[int, int]:
        """Height and width of the pictures."""
        return tables.map_size(self.image_size, self.first_map)

    def planned_gates(self) -> tuple[tables.Gate, ...]:
        """List the gates of this network, coarse to fine."""
        if self.gates is None:
            return tables.generator_gates(self.image_size, self.skip)
        return tables.chosen_gates(self.image_size, self.skip, self.gates)

    def norm_of(self, size: int) -> NormFactory:
        """Return the factory of the norms of the block that gives the map of this size."""
        plain = self.attentive_sizes is not None and size not in self.attentive_sizes
        return factories.norm_factory(
            "batch" if plain else self.norm,
            num_components=self.num_components,
            init_scale=self.init_scale,
            attention_norm=self.attention_norm,
        )


class Pictures(NamedTuple):
    """Pictures at both sizes leave the generator and enter the discriminator, float in about [-1, 1]."""

    big: Tensor
    """`[batch, 3, image_size, image_size]`, or in the proportions of the first map; other channels see `colours`"""
    small: Tensor
    """`[batch, 3, small, small]`, small = min(128, image_size / 2), likewise"""


class Generator(nn.Module, SnapshotMixin, pipeline_tag="unconditional-image-generation", tags=["gan", "few-shot"]):
    """Map latents to pictures, through blocks named by their size (`b8`, `b16`, ...).

    At 256 px, width 64: 28,646,630 parameters; 28,486,942 with batch normalisation; 29,127,846 with skip-layer
    excitation too, which is FastGAN.

    Example:
        >>> generator = Generator(GeneratorConfig(image_size=32, width=8)).eval()
        >>> generator(torch.randn(2, 256)).big.shape
        torch.Size([2, 3, 32, 32])
    """

    kind = "low_shot_generator"
    memory_format = torch.channels_last
    config_class = GeneratorConfig
    card_usage = "sase-gan sample SNAPSHOT --seeds 0-63"

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self._mean_first_map: tuple[object, Tensor] | None = None
        spectral = config.spectral_norm
        first_map = config.first_map or tables.SQUARE
        self.b4 = _FirstBlock(config.latent_size, self.channels(4), config.norm_of(4), spectral, first_map)
        parts = _Parts(
            config.norm_of(4),
            factories.conv_factory(config.conv, spectral=spectral),
            factories.upsample_conv_factory(config.conv, spectral=spectral),
            factories.attention_factory(config.attention),
        )
        for size in tables.generator_sizes(config.image_size):
            block = _NoisyBlock if size in tables.TWO_CONVOLUTION_SIZES else _PlainBlock
            own = parts._replace(norm=config.norm_of(size))
            self.add_module(f"b{size}", block(self.channels(size // 2), self.channels(size), own))
        self.gates = config.planned_gates()
        for gate in self.gates:
            self.add_module(f"gate{gate.source}to{gate.target}", self._make_gate(gate))
        self.small_size = tables.small_image_size(config.image_size)
        self.to_small = conv(self.channels(self.small_size), CHANNELS[config.colours], 1, spectral=spectral)
        finest = self.channels(config.image_size)
        self.to_big = conv(finest, CHANNELS[config.colours], 3, padding=1, spectral=spectral)
        # Last, so that a network without classes begins with the same weights.
        self.class_embedding = new_embedding(len(config.classes), config.latent_size)

    def channels(self, size: int) -> int:
        """Return the channels of the map of this size."""
        return scaled(tables.GENERATOR_CHANNELS[size], self.config.width)

    def _make_gate(self, gate: tables.Gate) -> nn.Module:
        spectral = self.config.spectral_norm
        options: dict[str, Any] = {"conv": partial(conv, spectral=spectral)}
        if gate.kind == "sase":
            config = self.config
            options = {"groups": config.sase_groups, "dilation": gate.dilation, "noise": gate.noise}
            options |= {"spectral": spectral, "min_width": config.sase_min_width, "weighting": config.sase_weighting}
            options |= {"style_gain": config.sase_style_gain, "mask_gain": config.sase_mask_gain}
        return factories.skip_factory(gate.kind)(self.channels(gate.source), self.channels(gate.target), **options)

    def noise_sizes(self) -> tuple[int, ...]:
        """List the sides of the noise maps of `forward`, in order: two for each noisy block, then the gates'."""
        sizes = tables.generator_sizes(self.config.image_size)
        blocks = (size for size in sizes if size in tables.TWO_CONVOLUTION_SIZES for _ in range(2))
        return (*blocks, *self._noisy_gate_sources())

    def latent_shape(self, size: tuple[int, int] | None = None) -> tuple[int, ...]:
        """Return the shape of one latent."""
        self._only_size(size)
        return (self.config.latent_size,)

    def noise_shapes(self, size: tuple[int, int] | None = None) -> tuple[tuple[int, int, int], ...]:
        """List the shapes of the noise maps that `forward` takes, without the batch."""
        self._only_size(size)
        return tuple((1, *tables.map_size(side, self.config.first_map)) for side in self.noise_sizes())

    def _only_size(self, size: tuple[int, int] | None) -> None:
        height, width = self.config.picture_size
        if size is not None and tuple(size) != (height, width):
            raise UsageError(
                f"size is {size[1]}x{size[0]}; this generator draws {width}x{height} only (one-shot models draw any "
                "size)"
            )

    def _noisy_gate_sources(self) -> tuple[int, ...]:
        return tuple(gate.source for gate in self.gates if gate.noise and gate.kind == "sase")

    def _noise_by_part(self, noise: Sequence[Tensor] | None) -> tuple[dict[int, tuple[Tensor, ...]], dict[int, Tensor]]:
        """Sort noise maps into those of the blocks, by size, and of the gates, by source size."""
        if noise is None:
            return {}, {}
        sizes, sources = self.noise_sizes(), self._noisy_gate_sources()
        if len(noise) != len(sizes):
            raise ValueError(f"got {len(noise)} noise maps; this generator takes {len(sizes)}, of sides {sizes}")
        num_block_maps = len(sizes) - len(sources)
        blocks = {sizes[i]: tuple(noise[i : i + 2]) for i in range(0, num_block_maps, 2)}
        return blocks, dict(zip(sources, noise[num_block_maps:], strict=True))

    def forward(
        self,
        z: Float[Tensor, "batch latent"],
        noise: Sequence[Float[Tensor, "_ _ _ _"]] | None = None,
        truncation: Float[Tensor, "batch"] | None = None,
        shift: Float[Tensor, "batch _ height width"] | None = None,
        classes: Float[Tensor, "batch classes"] | None = None,
    ) -> Pictures:
        """Draw pictures from standard normal latents, and a noise map for each of `noise_sizes()` or none at all.

        Args:
            truncation, shift, classes: see `first_map`.
        """
        return self.to_pictures(self.feature_maps(z, noise, truncation, shift, classes))

    def first_map(
        self,
        z: Float[Tensor, "batch latent"],
        truncation: Float[Tensor, "batch"] | None = None,
        shift: Float[Tensor, "batch _ height width"] | None = None,
        classes: Float[Tensor, "batch classes"] | None = None,
    ) -> Float[Tensor, "batch _ height width"]:
        """Compute the map that the latent alone decides, drawn towards its mean: `mean + t * (map - mean)`.

        Scaling latents would not do: the norm of the first block takes most of it back, and pictures become less
        typical instead of more.

        Args:
            truncation: t of each picture, 1 changes nothing and 0 leaves the mean; None for 1.
            shift: added to the map before that: what no latent gives, of a picture that was brought into the model.
            classes: the weight of each class, of sum 1; the mean is that of the class then.
        """
        found = self.b4(embedded(z, self.class_embedding, classes))
        found = found if shift is None else found + shift
        if truncation is None:
            return found
        mean = self.mean_first_map()
        if classes is not None:
            mean = torch.einsum("bc,cnhw->bnhw", classes.to(mean), mean)
        return torch.lerp(mean.to(found.dtype), found, truncation[:, None, None, None].to(found.dtype))

    @torch.no_grad()
    def mean_first_map(self) -> Float[Tensor, "classes _ height width"]:
        """Average the first map over the latents of the seeds 0 to 999, of each class; one map without classes.

        Computed once for the weights as they are, in evaluation mode whatever the mode; it is no part of a snapshot.
        """
        learnt = [*self.b4.state_dict(keep_vars=True).values(), self.class_embedding]
        state = tuple((value.data_ptr(), value._version) for value in learnt if value is not None)
        if self._mean_first_map is None or self._mean_first_map[0] != state:
            size, sources = self.config.latent_size, (random_generator(seed, "latent") for seed in range(MEAN_SEEDS))
            latents = torch.stack([torch.randn(size, generator=source) for source in sources])
            offsets = torch.zeros(1, size) if self.class_embedding is None else self.class_embedding.cpu()
            training = self.b4.training
            self.b4.eval()
            self._mean_first_map = state, torch.cat([self._mean_of(latents + offset) for offset in offsets])
            self.b4.train(training)
        return self._mean_first_map[1]

    def _mean_of(self, latents: Tensor) -> Tensor:
        device = next(self.parameters()).device
        # On the CPU, since some devices have no float64.
        total = sum(self.b4(part.to(device)).cpu().double().sum(0, keepdim=True) for part in latents.split(100))
        assert isinstance(total, Tensor)
        return (total / len(latents)).float().to(device)

    def feature_maps(
        self,
        z: Float[Tensor, "batch latent"],
        noise: Sequence[Float[Tensor, "_ _ _ _"]] | None = None,
        truncation: Float[Tensor, "batch"] | None = None,
        shift: Float[Tensor, "batch _ height width"] | None = None,
        classes: Float[Tensor, "batch classes"] | None = None,
    ) -> dict[int, Float[Tensor, "batch _ _ _"]]:
        """Compute the map of every size after its block and its gate, `[batch, channels(size), size, size]`.

        Of a network whose first map is no square maps are named by the size that they have in one of squares.
        """
        block_noise, gate_noise = self._noise_by_part(noise)
        gates = {gate.target: gate for gate in self.gates}
        maps = {4: self.first_map(z, truncation, shift, classes)}
        for size in tables.generator_sizes(self.config.image_size):
            x = self.get_submodule(f"b{size}")(maps[size // 2], block_noise.get(size, ()))
            if size in gates:
                source = gates[size].source
                x = self.get_submodule(f"gate{source}to{size}")(maps[source], x, gate_noise.get(source))
            maps[size] = x
        return maps

    def to_pictures(self, maps: dict[int, Tensor]) -> Pictures:
        """Read both pictures from the maps of `feature_maps`."""
        big = self.to_big(maps[self.config.image_size])
        small = self.to_small(maps[self.small_size])
        return Pictures(big.tanh(), small.tanh()) if self.config.output == "tanh" else Pictures(big, small)

    @torch.no_grad()
    def folded(self) -> Generator:
        """Copy it, in evaluation mode, with weights already divided by their spectral norms: what is published."""
        spectral_copy = Generator(self.config)
        spectral_copy.load_state_dict(self.state_dict())
        fold_spectral_norm(spectral_copy)
        plain = Generator(self.config.model_copy(update={"spectral_norm": False}))
        plain.load_state_dict(spectral_copy.state_dict())
        plain.provenance = dict(self.provenance)
        return plain.to(next(self.parameters()).device).to(memory_format=self.memory_format).eval()

    def sase_gates(self) -> dict[str, SynthesisSASE]:
        """Find the SASE gates by name, coarse to fine."""
        return {name: module for name, module in self.named_children() if isinstance(module, SynthesisSASE)}


class _Parts(NamedTuple):
    norm: NormFactory
    conv: ConvFactory
    upsample_conv: ConvFactory
    attention: AttentionFactory


class _FirstBlock(nn.Module):
    """Map a latent to the first map, by a transposed convolution that is one matrix product; norm, gated unit."""

    def __init__(
        self, latent_size: int, channels: int, norm: NormFactory, spectral: bool, shape: tuple[int, int]
    ) -> None:
        super().__init__()
        self.shape = shape
        # Three axes (latent, channel, position), so that a change to channels-last passes it by.
        self.weight = nn.Parameter(torch.empty(latent_size, 2 * channels, math.prod(shape)).normal_(0.0, WEIGHT_STD))
        if spectral:
            spectral_norm(self, dim=1)  # one row a channel, as of a transposed convolution
        self.norm = norm(2 * channels)
        self.activation = GatedLinearUnit()

    def forward(self, z: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch channels height width"]:
        x = (z @ self.weight.flatten(1)).unflatten(1, (-1, *self.shape))
        return self.activation(self.norm(x))


class _PlainBlock(nn.Module):
    """Double the size by one convolution, norm, gated linear unit; then the attention, if any."""

    def __init__(self, in_channels: int, out_channels: int, parts: _Parts) -> None:
        super().__init__()
        self.conv = parts.upsample_conv(in_channels, 2 * out_channels)
        self.norm = parts.norm(2 * out_channels)
        self.activation = GatedLinearUnit()
        self.attention = parts.attention(out_channels)

    def forward(
        self, x: Float[Tensor, "batch _ height width"], noise: tuple[Tensor, ...] = ()
    ) -> Float[Tensor, "batch _ 2*height 2*width"]:
        return self.attention(self.activation(self.norm(self.conv(x))))


class _NoisyBlock(nn.Module):
    """Double the size by one convolution, then a second one; noise before each norm; then the attention, if any."""

    def __init__(self, in_channels: int, out_channels: int, parts: _Parts) -> None:
        super().__init__()
        self.conv1 = parts.upsample_conv(in_channels, 2 * out_channels)
        self.noise1 = NoiseInjection()
        self.norm1 = parts.norm(2 * out_channels)
        self.conv2 = parts.conv(out_channels, 2 * out_channels)
        self.noise2 = NoiseInjection()
        self.norm2 = parts.norm(2 * out_channels)
        self.activation = GatedLinearUnit()
        self.attention = parts.attention(out_channels)

    def forward(
        self,
        x: Float[Tensor, "batch _ height width"],
        noise: tuple[Float[Tensor, "_ 1 2*height 2*width"], ...] = (),
    ) -> Float[Tensor, "batch _ 2*height 2*width"]:
        first, second = noise or (None, None)
        x = self.activation(self.norm1(self.noise1(self.conv1(x), first)))
        return self.attention(self.activation(self.norm2(self.noise2(self.conv2(x), second))))
