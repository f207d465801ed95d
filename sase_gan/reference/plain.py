"""The plain forms of layers and training steps, equal to rounding: tests compare with them, benchmarks time them."""

from __future__ import annotations

from contextlib import nullcontext
from types import MethodType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sase_gan.layers.attentive_norm import AttentiveNorm
from sase_gan.layers.aw_conv import AWConv2d
from sase_gan.layers.efficient_multi_scale_attention import EfficientMultiScaleAttention
from sase_gan.layers.primitives import UpsampleConv
from sase_gan.layers.sase import MASK_EPS, SynthesisSASE
from sase_gan.layers.sase_recognition import SASEConv2d
from sase_gan.networks.generator import Pictures
from sase_gan.training.conditioning import Rows
from sase_gan.training.low_shot import LowShotModule
from sase_gan.training.one_shot import OneShotModule


def use_plain_layers(network: nn.Module) -> None:
    """Let upsampling convolutions, SASE gates and attentive norms compute their definitions from now on."""
    for module in network.modules():
        if isinstance(module, UpsampleConv):
            module.forward = MethodType(plain_upsample_conv, module)  # type: ignore[method-assign]
        if isinstance(module, SynthesisSASE):
            module.apply_gate = MethodType(plain_gate, module)  # type: ignore[method-assign]
        if isinstance(module, AttentiveNorm):
            module.takes_few_passes = lambda x: False  # type: ignore[method-assign]


def plain_upsample_conv(layer: UpsampleConv, x: Tensor) -> Tensor:
    """Compute the layer by `upsample_conv_plain`."""
    return upsample_conv_plain(x, layer.weight)


def upsample_conv_plain(x: Tensor, weight: Tensor) -> Tensor:
    """Upsample by 2 (nearest), then convolve 3x3 with zero padding at the large size; arguments of `upsample_conv`."""
    return F.conv2d(F.interpolate(x, scale_factor=2, mode="nearest"), weight, padding=1)


def plain_gate(layer: SynthesisSASE, masks: Tensor, styles: Tensor, target: Tensor) -> Tensor:
    """Resize the masks to the target, and mix the styles there."""
    return target * layer.gate(F.interpolate(masks, target.shape[2:]), styles).to(target.dtype)


def loop_gate(layer: SynthesisSASE, source: Tensor, target: Tensor) -> Tensor:
    """Compute a synthesis gate group by group, each mask resized to the target and mixed there.

    For layers as published, with statistics of the batch and without noise. Spectral norms are the layer's own, in one
    iteration for all groups: a loop over them too would be slower.
    """
    to_style = nn.Sequential(layer.style_squeeze, layer.style_norm, nn.ReLU(), layer.style_excite)
    steps: list[nn.Module] = [layer.mask_squeeze, layer.mask_squeeze_norm, nn.ReLU()]
    for dilated, norm in zip(layer.mask_dilated, layer.mask_dilated_norms, strict=True):
        steps += [dilated, norm, nn.ReLU()]
    to_mask = nn.Sequential(*steps, layer.mask_logit)
    numerator, denominator = torch.zeros_like(target), torch.full_like(target[:, :1], MASK_EPS)
    with parametrize.cached():
        for g, part in enumerate(source.chunk(layer.groups, 1)):
            style = _branch_of_group(to_style, part.mean((2, 3), keepdim=True), g, layer.groups)
            mask = F.interpolate(_branch_of_group(to_mask, part, g, layer.groups).sigmoid(), target.shape[2:])
            numerator, denominator = numerator + mask * style, denominator + mask
    return target * (1 + numerator / denominator)


def loop_attentive_norm(layer: AttentiveNorm, x: Tensor) -> Tensor:
    """Compute attentive normalization as a sum over its components, one whole map each."""
    weights, standardised = layer.mixture_weights(x), layer.norm(x)
    result = torch.zeros_like(x)
    for k in range(layer.num_components):
        affine = standardised * layer.scale[k].reshape(1, -1, 1, 1) + layer.shift[k].reshape(1, -1, 1, 1)
        result = result + weights[:, k].reshape(-1, 1, 1, 1) * affine
    return result


def loop_sase(layer: SASEConv2d, x: Tensor) -> Tensor:
    """Compute SASE for recognition group by group."""
    results = []
    for g, part in enumerate(x.chunk(layer.groups, 1)):
        query = _branch_of_group(layer.query, part, g, layer.groups)
        key = _branch_of_group(layer.key, part.mean((2, 3), keepdim=True), g, layer.groups)
        value = _conv_of_group(layer.value, part, g, layer.groups)
        results.append((query * key).softmax(1) * value)
    return layer.pool(torch.cat(results, 1))


def loop_aw(layer: AWConv2d, x: Tensor) -> Tensor:
    """Compute AW-convolution sample by sample, each with its own kernel."""
    kernels = layer.kernels(layer.factor(x))
    geometry: Any = (layer.stride, layer.padding, layer.dilation, layer.groups)
    return torch.cat([F.conv2d(s[None], k, layer.bias, *geometry) for s, k in zip(x, kernels, strict=True)])


def loop_multi_scale(layer: EfficientMultiScaleAttention, x: Tensor) -> Tensor:
    """Compute efficient multi-scale attention group by group; the groups share all weights."""
    results = []
    for u in x.chunk(layer.groups, 1):
        height, width = u.shape[-2:]
        rows, columns = u.mean(3, keepdim=True), u.mean(2, keepdim=True).transpose(2, 3)
        rows, columns = layer.conv1x1(torch.cat([rows, columns], 2)).sigmoid().split([height, width], 2)
        a = layer.norm(u * rows * columns.transpose(2, 3))
        b = layer.conv3x3(u)
        p, q = a.mean((2, 3), keepdim=True).softmax(1), b.mean((2, 3), keepdim=True).softmax(1)
        results.append(u * ((p * b).sum(1, keepdim=True) + (q * a).sum(1, keepdim=True)).sigmoid())
    return torch.cat(results, 1)


def _conv_of_group(conv: Any, x: Tensor, group: int, groups: int) -> Tensor:
    weight = conv.weight.chunk(groups)[group]
    bias = None if conv.bias is None else conv.bias.chunk(groups)[group]
    return F.conv2d(x, weight, bias, conv.stride, conv.padding, conv.dilation)


def _branch_of_group(branch: nn.Module, x: Tensor, group: int, groups: int) -> Tensor:
    for layer in branch.children():
        if isinstance(layer, nn.Conv2d):
            x = _conv_of_group(layer, x, group, groups)
        elif isinstance(layer, nn.BatchNorm2d):
            kept: list[Any] = [layer.running_mean, layer.running_var, layer.weight, layer.bias]
            mean, variance, weight, bias = (tensor.chunk(groups)[group] for tensor in kept)
            x = F.batch_norm(x, mean, variance, weight, bias, layer.training, layer.momentum or 0.1, layer.eps)
        else:
            x = x.relu()
    return x


class PlainLowShotModule(LowShotModule):
    """The low-shot step keeps weights channels first, and the generator's step sends gradients into the discriminator.

    Nobody uses those gradients.
    """

    def on_fit_start(self) -> None:
        """Keep the layout, and record nothing."""
        self.bring_losses()

    def toggled_optimizer(self, optimizer: Any) -> Any:
        """Keep the gradients of the other player in the generator's step."""
        return nullcontext() if optimizer is self.optimiser(0) else super().toggled_optimizer(optimizer)

    def _generator_step(
        self, fake: Pictures, shown: Pictures | None, source: torch.Generator, rows: Rows | None = None
    ) -> dict[str, Tensor]:
        terms = super()._generator_step(fake, shown, source, rows)
        self.discriminator.zero_grad(set_to_none=True)
        return terms


class PlainOneShotModule(OneShotModule):
    """The one-shot iteration keeps nothing between iterations, and every picture takes passes of its own.

    Its generator's step sends gradients into the discriminator that nobody uses.
    """

    def on_fit_start(self) -> None:
        """Record nothing."""

    def toggled_optimizer(self, optimizer: Any) -> Any:
        """Keep the gradients of the other player."""
        return nullcontext()

    def _climb(self, noise: list[Tensor], fixed: list[Tensor | None]) -> Tensor:
        """Climb from the coarsest stage on, the two pictures one after the other."""
        pictures = []
        for inputs in (noise, fixed):
            first = self._first_trained
            with torch.no_grad():
                carried = self.generator.climb(inputs, stop=first).stages[-1] if first > 0 else None
            pictures.append(self.generator.climb(inputs, start=first, stop=self.phase + 1, carried=carried).big)
        return torch.cat(pictures)

    def _judge(self, fake: Tensor) -> tuple[Tensor, Tensor]:
        return self.discriminator(self._real), self.discriminator(fake)

    def _generator_step(self, drawn: Tensor, source: torch.Generator, own: Tensor | None) -> dict[str, Tensor]:
        terms = super()._generator_step(drawn, source, own)
        self.discriminator.zero_grad(set_to_none=True)
        return terms
