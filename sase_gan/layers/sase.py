"""Spatially-adaptive squeeze-excitation, the design for synthesis: arXiv 2112.14804.

Written from the formulae of the paper and of the authors' first release (which has no licence: no code was taken).

Deviations:
* Size-free: the masks follow the target's size at run time instead of one fixed at construction.
* All groups are computed in one pass by grouped convolutions, with one spectral norm for each group, which equals the
  loop over groups to rounding.
* With nearest resizing, mixing and resizing commute, so the gate is mixed at the source's size and resized once. The
  tensor of groups x channels at the target's size never exists; nor, where the height grows by a whole factor, does the
  resized gate.
* Each group keeps at least `min_width` inner channels; the release builds layers of width zero below 16 a group.
* Options of our own, off by default: masks that are not shares of their sum (`weighting`), styles of zero mean with a
  learnt gain (`style_gain`), and mask logits with a learnt gain (`mask_gain`). Spectral norms bound a style vector as a
  whole, and so each of its entries by about one over the square root of their number, and likewise the logits: without
  gains a gate hardly differs between pictures and between places.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sase_gan.layers.primitives import WEIGHT_STD, batch_norm
from sase_gan.layers.spectral_norm import spectral_norm
from sase_gan.layers.statistics import check_choice, check_counts, is_channels_last, like, normalise, wide

MASK_EPS = 1e-6
LARGEST_FACTOR = 32
"""Up to here torch's nearest resizing by a whole factor repeats every row; from 41 on its rounding misses some."""
Weighting = Literal["share", "softmax", "free"]

Source = Float[Tensor, "batch source_channels source_height source_width"]
Styles = Float[Tensor, "batch groups target_channels"]
Masks = Float[Tensor, "batch groups source_height source_width"]
Noise = Float[Tensor, "batch 1 source_height source_width"]
Scale = Float[Tensor, "batch target_channels source_height source_width"]
Target = Float[Tensor, "batch target_channels height width"]


class SynthesisSASE(nn.Module):
    """Scale a large map, position by position, by styles and spatial masks that are read from a small early map.

    The source's channels are split into K groups. Group k gives a style vector `v_k` (global mean, two linear maps)
    and a mask `m_k` in (0, 1) (1x1 and dilated 3x3 convolutions, sigmoid); then

        S = 1 + sum_k m_k v_k / (sum_k m_k + 1e-6)          [batch, target_channels, source height, source width]
        y = target * nearest_resize(S)

    The styles are unbounded; there is no shift and no normalisation of the target. At the start S has mean 1.

    Parameters, with c = source_channels / K and r = max(min_width, c // reduction), times K:
    style `cr + r + 2r + r T + T`, mask `cr + r + 2r + n(9r^2 + 3r) + r + 1` (T target channels, n dilated
    convolutions); one more for the noise.

    Args:
        groups: K.
        reduction: inner channels of a group are its channels divided by this.
        dilation: of the 3x3 convolutions of the mask branch; two of them see `1 + 4 * dilation` pixels.
        noise: add a map of Gaussian noise, given to `forward`, to the mask logits with a learnt strength (start 0).
        norm: statistics of the mask branch, and of the style branch if `style_norm`: "batch", or "instance" for
            training on one picture, where running statistics do not describe a sample.
        style_norm: normalise between the two linear maps of the style branch; not possible with "instance".
        spectral: divide every weight by its largest singular value, per group.
        min_width: least inner channels of a group.
        weighting: of the styles. "share", as published: a mask counts by its share of their sum, so one that closes
            hands its place to the others; "softmax": masks sum to 1 over the groups, and one that is closed by hand
            leaves its place ungated; "free": each opens and closes for itself, `S = 1 + sum_k m_k v_k`.
        style_gain: None, styles as they come; else each style loses its mean over the channels, so that a gate shifts
            no brightness as a whole, and is multiplied by a learnt number of its group that starts here.
        mask_gain: None, masks as published; else the logits of each mask are multiplied by a learnt number of its group
            that starts here: above 1 masks are crisper.

    Raises:
        ValueError: if `groups` does not divide `source_channels`, a count is below 1, a name is unknown, `norm` cannot
            serve the style branch, or a single target channel would have a style of zero mean.

    Example:
        >>> gate = SynthesisSASE(64, 16)
        >>> gate(torch.randn(2, 64, 8, 8), torch.randn(2, 16, 24, 40)).shape
        torch.Size([2, 16, 24, 40])
    """

    def __init__(
        self,
        source_channels: int,
        target_channels: int,
        groups: int = 4,
        reduction: int = 16,
        dilation: int = 2,
        *,
        num_dilated: int = 2,
        noise: bool = False,
        norm: Literal["batch", "instance"] = "batch",
        style_norm: bool = True,
        spectral: bool = True,
        min_width: int = 2,
        weighting: Weighting = "share",
        style_gain: float | None = None,
        mask_gain: float | None = None,
    ) -> None:
        super().__init__()
        check_counts(source_channels=source_channels, target_channels=target_channels, groups=groups)
        check_counts(reduction=reduction, dilation=dilation, num_dilated=num_dilated, min_width=min_width)
        if source_channels % groups:
            raise ValueError(f"groups is {groups}; it must divide the {source_channels} source channels")
        check_choice("norm", norm, ("batch", "instance"))
        check_choice("weighting", weighting, ("share", "softmax", "free"))
        if style_gain is not None and target_channels < 2:
            raise ValueError(
                f"style_gain is {style_gain} with one target channel, whose style would be 0; leave it out"
            )
        if norm == "instance" and style_norm:
            raise ValueError(
                "norm is 'instance' with style_norm; a pooled vector has one value per channel, so instance statistics "
                "would leave a constant: pass style_norm=False"
            )
        self.groups, self.target_channels, self.weighting = groups, target_channels, weighting
        inner = groups * max(min_width, source_channels // groups // reduction)

        def grouped(ins: int, outs: int, size: int = 1, *, dilate: int = 1, linear: bool = False) -> nn.Conv2d:
            module = nn.Conv2d(ins, outs, size, padding=dilate * (size // 2), dilation=dilate, groups=groups)
            if not linear:  # the style branch's linear maps keep torch's default start
                nn.init.normal_(module.weight, 0.0, WEIGHT_STD)
            return spectral_norm(module, groups=groups) if spectral else module

        def make_norm() -> nn.Module:
            return batch_norm(inner) if norm == "batch" else nn.GroupNorm(inner, inner)

        self.style_squeeze = grouped(source_channels, inner, linear=True)
        self.style_norm: nn.Module = make_norm() if style_norm else nn.Identity()
        self.style_excite = grouped(inner, groups * target_channels, linear=True)
        self.mask_squeeze = grouped(source_channels, inner)
        self.mask_squeeze_norm = make_norm()
        self.mask_dilated = nn.ModuleList(grouped(inner, inner, 3, dilate=dilation) for _ in range(num_dilated))
        self.mask_dilated_norms = nn.ModuleList(make_norm() for _ in range(num_dilated))
        self.mask_logit = grouped(inner, groups)
        self.noise_strength = nn.Parameter(torch.zeros(())) if noise else None
        self.style_gain = None if style_gain is None else nn.Parameter(torch.full((groups,), float(style_gain)))
        self.mask_gain = None if mask_gain is None else nn.Parameter(torch.full((groups,), float(mask_gain)))

    def styles(self, source: Source) -> Styles:
        """Read the style vectors `v_k` from the source."""
        squeezed = self.style_squeeze(source.mean((2, 3), keepdim=True))
        excited = self.style_excite(F.relu(normalise(self.style_norm, squeezed)))
        styles = excited.reshape(-1, self.groups, self.target_channels)
        if self.style_gain is None:
            return styles
        return (styles - styles.mean(2, keepdim=True)) * self.style_gain[:, None]

    def masks(self, source: Source, noise: Noise | None = None) -> Masks:
        """Read the masks `m_k` in (0, 1), at the source's size; `noise` is one map shared by all masks.

        Softmax masks are the same with it: what all of them share cancels.
        """
        x = F.relu(normalise(self.mask_squeeze_norm, self.mask_squeeze(source)))
        for dilated, norm in zip(self.mask_dilated, self.mask_dilated_norms, strict=True):
            x = F.relu(normalise(norm, dilated(x)))
        logits = wide(self.mask_logit(x))
        if self.mask_gain is not None:
            logits = logits * self.mask_gain[:, None, None]
        if self.noise_strength is not None and noise is not None:
            logits = logits + self.noise_strength * noise
        return logits.softmax(1) if self.weighting == "softmax" else logits.sigmoid()

    def gate(self, masks: Masks, styles: Styles) -> Scale:
        """Compute `1 + sum_k m_k v_k / (sum_k m_k + 1e-6)` at the masks' size; without the quotient if not shares."""
        weights = masks / (masks.sum(1, keepdim=True) + MASK_EPS) if self.weighting == "share" else masks
        mixed = torch.bmm(styles.to(weights.dtype).transpose(1, 2), weights.flatten(2))
        return 1 + mixed.reshape(*mixed.shape[:2], *masks.shape[2:])

    def forward(self, source: Source, target: Target, noise: Noise | None = None) -> Target:
        """Scale the target; the result has its type."""
        return self.apply_gate(self.masks(source, noise), self.styles(source), target)

    def apply_gate(self, masks: Tensor, styles: Tensor, target: Tensor) -> Tensor:
        """Scale `target` by the gate of given masks and styles, which a caller may have changed."""
        # In the target's memory format while it is small, so that the resized gate has it too.
        gate = like(self.gate(masks, styles).to(target.dtype), target)
        height, width = target.shape[2:]
        # Sides that an export leaves free have no whole factor, and compilers fuse the plain expression themselves.
        if torch.compiler.is_compiling() or not _whole_factor(gate.shape[2], height):
            return target * F.interpolate(gate, size=(height, width), mode="nearest")
        return _by_rows(F.interpolate(gate, size=(gate.shape[2], width), mode="nearest"), target)

    def extra_repr(self) -> str:
        """Name groups and target channels in a printed model."""
        return f"target_channels={self.target_channels}, groups={self.groups}"


def _whole_factor(rows: int, height: int) -> bool:
    return height % rows == 0 and rows <= height <= LARGEST_FACTOR * rows


def _by_rows(gate: Tensor, target: Tensor) -> Tensor:
    """Multiply the target by a gate of its width, each row of which serves as many of the target.

    The gate at the target's height never exists, and its gradient is a plain sum, which is fast where the order of the
    axes is that of the memory; the scattered additions of a resizing are not.
    """
    axis = 1 if is_channels_last(target) else 2
    if axis == 1:
        gate, target = gate.permute(0, 2, 3, 1), target.permute(0, 2, 3, 1)
    scaled = target.unflatten(axis, (gate.shape[axis], -1)) * gate.unsqueeze(axis + 1)
    scaled = scaled.flatten(axis, axis + 1)
    return scaled.permute(0, 3, 1, 2) if axis == 1 else scaled
