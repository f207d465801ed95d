"""Attentive normalization for the slots where timm keeps norm and activation in one module."""

from typing import Any

import torch
from torch import Tensor, nn

from sase_gan.layers.attentive_norm import AttentiveNorm


class AttentiveNormAct(AttentiveNorm):
    """Attentive normalization, then `drop`, then `act`, like timm's `BatchNormAct2d`.

    Args:
        apply_act: whether there is an activation.
        act_layer: its class.
        inplace: passed to the activation.
        drop_layer: class of a layer between the two.

    Other arguments: see `AttentiveNorm`.

    Example:
        >>> AttentiveNormAct(4, 2)(torch.randn(2, 4, 3, 3)).min().item() >= 0
        True
    """

    def __init__(
        self,
        channels: int,
        num_components: int = 10,
        *,
        apply_act: bool = True,
        act_layer: type[nn.Module] = nn.ReLU,
        inplace: bool = False,
        drop_layer: type[nn.Module] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(channels, num_components, **options)
        self.drop = nn.Identity() if drop_layer is None else drop_layer()
        self.act = act_layer(inplace=inplace) if apply_act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Normalise, drop, activate; the shape stays."""
        return self.act(self.drop(super().forward(x)))


def like(norm: nn.Module, num_components: int, **options: Any) -> AttentiveNorm:
    """Build an attentive norm with a fresh initialisation for the slot of a batch norm, with its activation if any."""
    channels = norm.num_features
    assert isinstance(channels, int)
    statistic = norm.running_mean
    assert isinstance(statistic, Tensor)
    options = {"device": statistic.device, "dtype": statistic.dtype, "eps": norm.eps, **options}
    if not isinstance(getattr(norm, "act", None), nn.Module):
        return AttentiveNorm(channels, num_components, **options)
    layer = AttentiveNormAct(channels, num_components, **options)
    return _take_act(layer, norm)


def from_trained(norm: nn.Module, num_components: int, **options: Any) -> AttentiveNorm:
    """Build an attentive norm that starts as a trained batch norm, with its activation (`from_batchnorm`)."""
    if not isinstance(getattr(norm, "act", None), nn.Module):
        return AttentiveNorm.from_batchnorm(norm, num_components, **options)
    layer = AttentiveNormAct.from_batchnorm(norm, num_components, **options)
    assert isinstance(layer, AttentiveNormAct)
    return _take_act(layer, norm)


def _take_act(layer: AttentiveNormAct, norm: nn.Module) -> AttentiveNormAct:
    layer.act, layer.drop = norm.act, norm.drop  # type: ignore[assignment]
    return layer


def freeze_statistics(model: nn.Module) -> None:
    """Hold every batch norm of a model in evaluation, the inner ones of our layers too; weights still train.

    Call it after each `model.train()`. Attentive normalization's tables, SASE's and AW-convolution's weights stay
    trainable.
    """
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eval()
