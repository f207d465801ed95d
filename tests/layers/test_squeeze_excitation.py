"""Squeeze and excitation: its formula, its sizes, and timm's module of the same weights."""

import pytest
import torch
from timm.layers.squeeze_excite import SEModule
from torch import nn

from sase_gan.layers.squeeze_excitation import SqueezeExcitation


@torch.no_grad()
def test_formula_by_loops():
    layer = SqueezeExcitation(16, divisor=1, reduction=4, dtype=torch.float64)
    x = torch.randn(3, 16, 2, 5, dtype=torch.float64)
    y = layer(x)
    for n in range(3):
        means = [float(x[n, c].sum()) / 10 for c in range(16)]
        hidden = [
            max(0.0, float(layer.fc1.bias[h]) + sum(float(layer.fc1.weight[h, c]) * means[c] for c in range(16)))
            for h in range(4)
        ]
        for c in range(16):
            raw = layer.fc2.bias[c] + sum(layer.fc2.weight[c, h, 0, 0] * hidden[h] for h in range(4))
            assert torch.allclose(y[n, c], x[n, c] / (1 + torch.exp(-raw)), atol=1e-14)


def test_zero_excitation_halves():
    layer = SqueezeExcitation(8)
    nn.init.zeros_(layer.fc2.weight)
    nn.init.zeros_(layer.fc2.bias)
    x = torch.randn(2, 8, 3, 3)
    assert torch.equal(layer(x), x / 2)


@pytest.mark.parametrize("channels", [8, 64, 144, 256, 576, 2048])
def test_weights_of_timm_fit_and_give_the_same(channels):
    ours, theirs = SqueezeExcitation(channels), SEModule(channels)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(2, channels, 3, 2)
    assert torch.equal(ours(x), theirs(x))


def test_size_of_the_text():
    assert sum(p.numel() for p in SqueezeExcitation(64).parameters()) == 1096


@pytest.mark.parametrize("wrong", [{"channels": 0}, {"reduction": 0}, {"divisor": 0}])
def test_numbers_below_one_are_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is 0; it must be at least 1"):
        SqueezeExcitation(**{"channels": 8, **wrong})
