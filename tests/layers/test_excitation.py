import pytest
import torch
from timm.layers.squeeze_excite import SEModule
from torch import nn

from sase_gan.layers.excitation import SkipExcitation, SqueezeExcitation


def plain(in_channels: int, out_channels: int, kernel_size: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel_size, bias=False)


@pytest.mark.parametrize(
    ("source", "target", "count"),
    [(512, 64, 528_384), (256, 32, 132_096), (128, 16, 33_024), (512, 128, 1_064_960)],
)
def test_published_sizes(source, target, count):
    gate = SkipExcitation(source, target)
    assert sum(p.numel() for p in gate.parameters()) == count == 16 * source * target + target**2


@pytest.mark.parametrize("side", [4, 8])
def test_gate_equals_a_loop(side):
    gate = SkipExcitation(3, 2, conv=plain).double()
    source = torch.randn(2, 3, side, side, dtype=torch.float64)
    target = torch.randn(2, 2, 5, 6, dtype=torch.float64)
    first, second, step = gate.squeeze.weight, gate.excite.weight[:, :, 0, 0], side // 4
    expected = torch.empty_like(target)
    for n in range(2):
        hidden = torch.zeros(2, dtype=torch.float64)
        for row in range(4):
            for column in range(4):
                cell = source[n, :, row * step : (row + 1) * step, column * step : (column + 1) * step].mean((1, 2))
                hidden += first[:, :, row, column] @ cell
        hidden = hidden / (1 + torch.exp(-hidden))
        expected[n] = target[n] / (1 + torch.exp(-(second @ hidden)))[:, None, None]
    assert (gate(source, target) - expected).abs().max() < 1e-13


def test_zero_source_halves_the_target():
    target = torch.randn(2, 4, 3, 3)
    assert torch.allclose(SkipExcitation(8, 4)(torch.zeros(2, 8, 5, 7), target), target / 2)


def test_pool_size_below_one_is_refused():
    with pytest.raises(ValueError, match="pool_size is 0; it must be at least 1"):
        SkipExcitation(8, 4, pool_size=0)


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
    assert sum(p.numel() for p in SqueezeExcitation(64, bias=False).parameters()) == 1096 - 8 - 64


@pytest.mark.parametrize("wrong", [{"channels": 0}, {"reduction": 0}, {"divisor": 0}])
def test_numbers_below_one_are_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is 0; it must be at least 1"):
        SqueezeExcitation(**{"channels": 8, **wrong})
