"""Attentive normalization that starts as batch normalisation: equal to it, and able to leave it."""

import pytest
import torch
from torch import nn

from sase_gan.layers.attentive_norm import AttentiveNorm


@pytest.mark.parametrize("attention_norm", ["batch", "group", "none"])
@pytest.mark.parametrize("activation", ["hard_sigmoid", "softmax"])
@pytest.mark.parametrize("training", [True, False])
def test_the_start_is_batch_normalisation(attention_norm, activation, training):
    layer = AttentiveNorm(6, 5, init_scale="batch", attention_norm=attention_norm, activation=activation)
    plain = nn.BatchNorm2d(6)
    x = torch.randn(4, 6, 7, 5) * 3 + 1
    for module in (layer, plain):
        module(x)  # running statistics that are not the start's
        module.train(training)
    torch.testing.assert_close(layer(x), plain(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("attention_norm", ["batch", "none"])
def test_components_differ_and_the_attention_can_learn(attention_norm):
    layer = AttentiveNorm(6, 5, init_scale="batch", attention_norm=attention_norm)
    assert layer.scale.std(0).min() > 1e-3
    assert torch.equal(layer.shift, torch.zeros_like(layer.shift))
    x = torch.randn(8, 6, 7, 5) * torch.rand(8, 6, 1, 1)
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.05)
    target = torch.linspace(0.5, 2, 8)[:, None, None, None] * nn.BatchNorm2d(6, affine=False)(x)
    for _ in range(20):
        loss = (layer(x) - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert layer.mixture_weights(x).std(0).max() > 0.01  # samples have come to be treated unlike
