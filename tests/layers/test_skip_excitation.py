import pytest
import torch
from torch import nn

from sase_gan.layers.skip_excitation import SkipExcitation


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
