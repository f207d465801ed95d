"""The parts of the one-shot networks: a stage of the pyramid with its gate, and the critic of one size.

Gate and stage: the one-shot model of arXiv 2112.14804. Patch critic: SinGAN, arXiv 1905.01164. Written from their
descriptions. Deviation: blocks without a norm start with weights that keep the signal's size (He et al. 2015, arXiv
1502.01852). In a trial at 52 px the critic without a norm then taught the layout that it missed with the family's small
start.
"""

from __future__ import annotations

from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor, nn

from sase_gan.layers.primitives import NormFactory, conv
from sase_gan.layers.sase import SynthesisSASE
from sase_gan.networks.parts import norm_factory
from sase_gan.resizing import Padding, pad, wrap

NUM_BODY_BLOCKS = 3
MARGIN = NUM_BODY_BLOCKS + 2
"""Pixels that a stage's convolutions take off each side, and that its input is padded by."""
_SLOPE = 0.2


class PyramidStage(nn.Module):
    """A stage is handed a picture and draws one: head, three blocks, gate, tail; only the input is padded.

    Args:
        colours: channels of the pictures.
        dilation: of the gate's mask branch, whose masks see `1 + 4 * dilation` pixels; None for a stage without a gate.
    """

    def __init__(
        self,
        channels: int,
        *,
        norm: NormFactory,
        dilation: int | None,
        gate_norm: Literal["batch", "instance"],
        colours: int = 3,
    ) -> None:
        super().__init__()
        self.colours = colours
        self.head = _block(colours, channels, norm)
        self.body = nn.Sequential(*(_block(channels, channels, norm) for _ in range(NUM_BODY_BLOCKS)))
        self.gate: SynthesisSASE | None = None
        if dilation is not None:
            how: dict[str, Any] = {"norm": gate_norm, "style_norm": False, "spectral": False}
            self.gate = SynthesisSASE(channels, channels, reduction=1, dilation=dilation, **how)
        self.reach = 2 * (dilation or 0)
        self.tail = conv(channels, colours, 3, bias=True, spectral=False)

    def forward(
        self,
        carried: Float[Tensor, "_ colours height width"] | None,
        noise: Float[Tensor, "_ _ height width"] | None,
        padding: Padding,
        styles: Float[Tensor, "_ groups channels"] | None = None,
    ) -> Float[Tensor, "batch colours height width"]:
        """Draw the picture `[batch, colours, height, width]` from the one carried, scaled noise, or both."""
        early = self._early(carried, noise, padding)
        late = self.body(early)
        if self.gate is not None:
            late = _gated(self.gate, early, late, styles, padding, self.reach)
        return self.tail(late).tanh()

    def styles(self, carried: Tensor | None, noise: Tensor | None, padding: Padding) -> Tensor | None:
        """Read the gate's style vectors `[batch, groups, channels]`; None without a gate."""
        return None if self.gate is None else self.gate.styles(self._early(carried, noise, padding))

    def _early(self, carried: Tensor | None, noise: Tensor | None, padding: Padding) -> Tensor:
        given = [x for x in (carried, noise) if x is not None]
        return self.head(pad(sum(given[1:], given[0]).expand(-1, self.colours, -1, -1), MARGIN, padding))


class PatchDiscriminator(nn.Module):
    """Judge every patch of 11 x 11 pixels: head, three blocks and a tail to one channel, without padding.

    Args:
        channels: of every block. 28,929 parameters at 32, 113,153 at 64, without norm.
        norm: "none", or "batch" as released, at a batch of one.
        colours: channels of the pictures.
    """

    def __init__(self, channels: int, *, norm: Literal["none", "batch"] = "none", colours: int = 3) -> None:
        super().__init__()
        make_norm = norm_factory(norm, num_components=1, init_scale="unit")
        self.head = _block(colours, channels, make_norm)
        self.body = nn.Sequential(*(_block(channels, channels, make_norm) for _ in range(NUM_BODY_BLOCKS)))
        self.tail = conv(channels, 1, 3, bias=True, spectral=False)

    def forward(self, images: Float[Tensor, "batch _ height width"]) -> Float[Tensor, "batch 1 height-10 width-10"]:
        """Score pictures `[batch, colours, height, width]`, high for real: `[batch, 1, height - 10, width - 10]`."""
        return self.tail(self.body(self.head(images)))


def _block(in_channels: int, out_channels: int, norm: NormFactory) -> nn.Sequential:
    convolution, normalisation = conv(in_channels, out_channels, 3, bias=True, spectral=False), norm(out_channels)
    if isinstance(normalisation, nn.Identity):
        # The family's small start relies on a norm: without one the signal would shrink threefold in every block.
        nn.init.kaiming_normal_(convolution.weight, _SLOPE)
    return nn.Sequential(convolution, normalisation, nn.LeakyReLU(_SLOPE, inplace=True))


def _gated(
    gate: SynthesisSASE, source: Tensor, target: Tensor, styles: Tensor | None, padding: Padding, reach: int
) -> Tensor:
    """Apply a gate; for circular padding without a seam.

    Args:
        source: a map that reaches beyond the picture by the three blocks and the tail on each side.
        reach: how many pixels around it a mask's value sees.
    """
    circular = padding == "circular"
    # A wrapped rim would count its pixels twice in the means of the styles.
    core = _crop(source, MARGIN - 1) if circular else source
    styles = gate.styles(core) if styles is None else styles.expand(len(source), -1, -1)
    if not circular:
        return gate.apply_gate(gate.masks(source), styles, target)
    # The masks' own padding is zero: they are computed on a wider wrapped map, and its rim is cut off.
    scale = gate.gate(_crop(gate.masks(wrap(core, reach)), reach), styles)
    return target * wrap(scale, (target.shape[2] - core.shape[2]) // 2)


def _crop(x: Tensor, margin: int) -> Tensor:
    return x[..., margin : x.shape[2] - margin, margin : x.shape[3] - margin]
