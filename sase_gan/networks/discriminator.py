"""The low-shot discriminator with its three self-supervised decoders: FastGAN, Liu et al. 2021, arXiv 2101.04775.

It judges the picture at two sizes and, on real pictures, rebuilds them from its own features, which keeps it from
memorising a handful of them. Below 256 px the tables continue by rule (`networks.channel_tables`).

Deviation: the real picture is reduced by averaging (`downsample="area"`); the release takes every n-th pixel, which
aliases, and remains as `downsample="nearest"`.

Off by default, and in no paper: `conv="aw"` scales the kernel of each down block's 3x3 convolution for every sample
(`layers.aw_conv`), and `attention` gates the convolved way of each down block, before the two ways are averaged. Stem,
branch for the small picture, heads and decoders stay plain.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sase_gan.class_names import MOST
from sase_gan.colours import CHANNELS, Colours
from sase_gan.config import FrozenRecord
from sase_gan.errors import UsageError
from sase_gan.layers.batch_norm_apart import BatchNormApart, batches_apart
from sase_gan.layers.excitation import SkipExcitation
from sase_gan.layers.primitives import GatedLinearUnit, UpsampleConv, batch_norm, conv
from sase_gan.networks import channel_tables as tables
from sase_gan.networks import parts as factories
from sase_gan.networks.channel_tables import FirstMap, ImageSize, map_size, scaled
from sase_gan.networks.conditioning import ClassProjection
from sase_gan.networks.generator import Pictures
from sase_gan.networks.parts import AttentionFactory, AttentionName, ConvFactory, ConvName

PART_SIZE = 8
"""Side of the quadrant of the 16x16 map from which a quarter of the picture is rebuilt; of the map that has it all."""

QUADRANTS = ((0, 0), (0, 1), (1, 0), (1, 1))


class DiscriminatorConfig(FrozenRecord):
    """A discriminator is built from this record."""

    image_size: ImageSize = Field(256, description="side of the picture in pixels: 32, 64, 128, 256, 512 or 1024")
    first_map: FirstMap = Field(None, description="as the generator's, for pictures that are no squares")
    colours: Colours = Field("rgb", description="of the pictures: rgb, grey, or rgba with transparency")
    width: int = Field(64, ge=4, le=1024, description="64 is FastGAN's width; the decoders have their own")
    decoder_width: int = Field(
        64, ge=2, le=1024, description="64 is FastGAN's; in narrow networks the decoders cost most"
    )
    downsample: Literal["area", "nearest"] = Field("area", description="how real pictures are made smaller")
    conv: ConvName = Field("plain", description="3x3 convolutions of the down blocks; aw: scaled for each sample")
    attention: AttentionName = Field("none", description="attention at the end of the convolved way of a down block")
    classes: int = Field(0, ge=0, le=MOST, description="of the pictures, each judged as one of its class; 0: none")


class Reconstruction(NamedTuple):
    """What a decoder rebuilt stands beside its target, both `[batch, 3, side, side]`, side = min(128, image_size).

    All sides are those of squares; other proportions are those of the first map.
    """

    rebuilt: Tensor
    target: Tensor


class Judgement(NamedTuple):
    """A judgement holds what the discriminator says of a batch."""

    logits: Tensor
    """`[batch, 50]`: 5x5 patches, of squares, of the big and of the small picture; high for real."""
    reconstructions: dict[str, Reconstruction]
    """By decoder (`big`, `small`, `part`); empty unless asked for."""


class Discriminator(nn.Module):
    """Judge pictures at two sizes; rebuild real ones. At 256 px, width 64: 11,526,160 parameters."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        size = config.image_size
        self.reconstruction_size, self.top = min(128, size), min(256, size)
        colours = CHANNELS[config.colours]
        self.stem = _stem(size, self.channels(self.top), colours)
        self.sizes = tables.discriminator_sides(size)[1:]
        parts = factories.conv_factory(config.conv, spectral=True), factories.attention_factory(config.attention)
        for side in self.sizes:
            self.add_module(f"b{side}", _DownBlock(self.channels(side * 2), self.channels(side), *parts))
        self.gates = {target: source for source, target in tables.DISCRIMINATOR_GATES if source <= self.top}
        for target, source in self.gates.items():
            self.add_module(f"gate{source}to{target}", SkipExcitation(self.channels(source), self.channels(target)))
        widest = scaled(1024, config.width)
        head = conv(self.channels(8), widest, 1), batch_norm(widest), nn.LeakyReLU(0.2), conv(widest, 1, 4)
        self.head = nn.Sequential(*head)
        self.small_branch, small_channels = _small_branch(tables.small_image_size(size), config.width, colours)
        self.small_head = conv(small_channels, 1, 4)
        options = self.reconstruction_size, config.decoder_width, map_size(PART_SIZE, config.first_map), colours
        self.decode_big = _Decoder(self.channels(8), *options)
        self.decode_small = _Decoder(small_channels, *options)
        self.decode_part = _Decoder(self.channels(16), *options)
        # Last, so that a network without classes begins with the same weights.
        if config.classes:
            self.class_big = ClassProjection(config.classes, widest)
            self.class_small = ClassProjection(config.classes, small_channels)

    def channels(self, size: int) -> int:
        """Return the channels of the main branch's map of this size."""
        return scaled(tables.DISCRIMINATOR_CHANNELS[size], self.config.width)

    def pictures(self, images: Tensor) -> Pictures:
        """Bring real pictures `[batch, 3, image_size, image_size]` to both sizes."""
        return Pictures(images, self._reduce(images, tables.small_image_size(self.config.image_size)))

    def forward(self, pictures: Pictures, quadrant: int | None = None, classes: Tensor | None = None) -> Judgement:
        """Judge a batch, and rebuild it if a quadrant is given.

        Args:
            pictures: the batch at both sizes, float in about [-1, 1].
            quadrant: 0 to 3, the quarter from which the part decoder rebuilds; None skips the decoders. One quadrant
                serves the whole batch, as released.
            classes: the weight of each class `[batch, classes]`, of a network that has them.
        """
        maps, small, logits = self._judge(pictures, classes)
        reconstructions = {} if quadrant is None else self._reconstruct(pictures.big, maps, small, quadrant)
        return Judgement(logits, reconstructions)

    def judge_both(
        self,
        real: Pictures,
        fake: Pictures,
        quadrant: int | None = None,
        classes: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Judgement, Tensor]:
        """Judge real and generated pictures, equally many, in one pass; return the judgement and the fakes' logits.

        Equal to two calls to rounding: the statistics of both batches stay apart. Not twice differentiable.

        Args:
            classes: of the real and of the generated pictures.
        """
        assert len(real.big) == len(fake.big)
        with batches_apart(self, 2):
            joined = Pictures(torch.cat([real.big, fake.big]), torch.cat([real.small, fake.small]))
            maps, small, logits = self._judge(joined, None if classes is None else torch.cat(classes))
        real_logits, fake_logits = logits.chunk(2)
        if quadrant is None:
            return Judgement(real_logits, {}), fake_logits
        maps, small = {side: maps[side].chunk(2)[0] for side in (8, 16)}, small.chunk(2)[0]
        return Judgement(real_logits, self._reconstruct(real.big, maps, small, quadrant)), fake_logits

    def freeze(self, count: int) -> None:
        """Let the first layers learn no longer, so many of each branch, counted from the picture on.

        FreezeD: Mo, Cho and Shin 2020, arXiv 2002.10964. Only weights and biases stand still: the statistics of batch
        normalisation stay those of the batch.

        Raises:
            UsageError: for more layers than there are.
        """
        main = [self.stem, *(self.get_submodule(f"b{side}") for side in self.sizes)]
        if count > len(main):
            raise UsageError(
                f"{count} layers of the discriminator are to be frozen, which has {len(main)} at "
                f"{self.config.image_size} px; freeze at most so many"
            )
        halvings = list(self.small_branch)
        # The first is a convolution and an activation, the others have a norm too.
        small = halvings[: 3 * count - 1] if count else []
        for layer in (*main[:count], *small):
            layer.requires_grad_(False)

    @property
    def keeps_batches_apart(self) -> bool:
        """Tell whether `judge_both` can be called: not with norms that are no `BatchNormApart`."""
        norms = (module for module in self.modules() if isinstance(module, _BatchNorm))
        return all(isinstance(norm, BatchNormApart) for norm in norms)

    def _judge(self, pictures: Pictures, classes: Tensor | None) -> tuple[dict[int, Tensor], Tensor, Tensor]:
        if (classes is None) == bool(self.config.classes):
            raise ValueError(f"this discriminator knows {self.config.classes} classes; got {classes}")
        maps = self._features(pictures.big)
        small = self.small_branch(pictures.small)
        if classes is None:
            logits = [self.head(maps[8]).flatten(1), self.small_head(small).flatten(1)]
        else:
            features = self.head[:-1](maps[8])
            logits = [self.head[-1](features).flatten(1) + self.class_big(features, classes)]
            logits.append(self.small_head(small).flatten(1) + self.class_small(small, classes))
        return maps, small, torch.cat(logits, dim=1)

    def _features(self, images: Tensor) -> dict[int, Tensor]:
        maps = {self.top: self.stem(images)}
        for side in self.sizes:
            x = self.get_submodule(f"b{side}")(maps[side * 2])
            if source := self.gates.get(side):
                x = self.get_submodule(f"gate{source}to{side}")(maps[source], x)
            maps[side] = x
        return maps

    def _reconstruct(
        self, images: Tensor, maps: dict[int, Tensor], small: Tensor, quadrant: int
    ) -> dict[str, Reconstruction]:
        row, column = QUADRANTS[quadrant]
        part, quarter = (_quarter(whole, row, column) for whole in (maps[16], images))
        whole = self._reduce(images, self.reconstruction_size)
        return {
            "big": Reconstruction(self.decode_big(maps[8]), whole),
            "small": Reconstruction(self.decode_small(small), whole),
            "part": Reconstruction(self.decode_part(part), self._reduce(quarter, self.reconstruction_size)),
        }

    def _reduce(self, images: Tensor, size: int) -> Tensor:
        """Bring pictures to `size`: reduced as configured; a quarter that is too small is enlarged bilinearly."""
        wanted = map_size(size, self.config.first_map)
        if images.shape[-2:] == wanted:
            return images
        if self.config.downsample == "nearest":
            return F.interpolate(images, size=wanted, mode="nearest")
        if images.shape[-1] < wanted[-1]:
            return F.interpolate(images, size=wanted, mode="bilinear", align_corners=False)
        return F.avg_pool2d(images, images.shape[-1] // wanted[-1])


def _quarter(whole: Tensor, row: int, column: int) -> Tensor:
    height, width = (side // 2 for side in whole.shape[2:])
    return whole.narrow(2, row * height, height).narrow(3, column * width, width)


def _halving(in_channels: int, out_channels: int, *, norm: bool = True) -> list[nn.Module]:
    layers: list[nn.Module] = [conv(in_channels, out_channels, 4, stride=2, padding=1)]
    return [*layers, *([batch_norm(out_channels)] if norm else []), nn.LeakyReLU(0.2)]


def _stem(image_size: int, width: int, colours: int) -> nn.Sequential:
    """Build the way from the picture to the widest map: 256x256, or the picture's own size below."""
    if image_size <= 256:
        return nn.Sequential(conv(colours, width, 3, padding=1), nn.LeakyReLU(0.2))
    if image_size == 512:
        return nn.Sequential(*_halving(colours, width, norm=False))
    half = max(1, width // 2)
    return nn.Sequential(*_halving(colours, half, norm=False), *_halving(half, width))


def _small_branch(image_size: int, width: int, colours: int) -> tuple[nn.Sequential, int]:
    """Build four, or below 256 px fewer, halvings from the small picture to an 8x8 map; return its channels too."""
    sides = tables.small_branch_sides(image_size)
    widths = [scaled(tables.SMALL_BRANCH_CHANNELS[side], width) for side in sides]
    layers = _halving(colours, widths[0], norm=False)
    for before, after in pairwise(widths):
        layers += _halving(before, after)
    return nn.Sequential(*layers), widths[-1]


class _DownBlock(nn.Module):
    """Halve the size along two ways, averaged: strided convolutions, and pooling with a 1x1 convolution."""

    def __init__(self, in_channels: int, out_channels: int, conv3x3: ConvFactory, attention: AttentionFactory) -> None:
        super().__init__()
        self.main = nn.Sequential(
            *_halving(in_channels, out_channels),
            conv3x3(out_channels, out_channels),
            batch_norm(out_channels),
            nn.LeakyReLU(0.2),
        )
        self.attention = attention(out_channels)
        self.direct = nn.Sequential(
            nn.AvgPool2d(2), conv(in_channels, out_channels, 1), batch_norm(out_channels), nn.LeakyReLU(0.2)
        )

    def forward(self, x: Float[Tensor, "batch _ height width"]) -> Float[Tensor, "batch _ height//2 width//2"]:
        return (self.attention(self.main(x)) + self.direct(x)) / 2


class _Decoder(nn.Module):
    """Draw a picture in [-1, 1] from an 8x8 map, or one of `shape`; its widths do not follow the discriminator's."""

    def __init__(self, in_channels: int, image_size: int, width: int, shape: tuple[int, int], colours: int) -> None:
        super().__init__()
        num_doublings = (image_size // PART_SIZE).bit_length() - 1
        widths = (in_channels, 2 * width, width, width, width // 2)[: num_doublings + 1]
        layers: list[nn.Module] = [nn.AdaptiveAvgPool2d(shape)]
        for before, after in pairwise(widths):
            layers += [UpsampleConv(before, 2 * after), batch_norm(2 * after), GatedLinearUnit()]
        self.layers = nn.Sequential(*layers, conv(widths[-1], colours, 3, padding=1), nn.Tanh())

    def forward(self, x: Float[Tensor, "batch _ _ _"]) -> Float[Tensor, "batch colours _ _"]:
        return self.layers(x)
