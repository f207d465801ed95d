import pytest
import torch

from sase_gan.layers.primitives import GatedLinearUnit, NoiseInjection, batch_norm, conv


def test_gated_linear_unit_is_first_half_times_sigmoid_of_second():
    x = torch.randn(2, 6, 3, 2, dtype=torch.float64)
    expected = torch.stack([x[:, c] / (1 + torch.exp(-x[:, c + 3])) for c in range(3)], dim=1)
    assert torch.allclose(GatedLinearUnit()(x), expected, atol=1e-14)


def test_noise_starts_without_effect_and_then_adds_one_map_to_all_channels():
    layer = NoiseInjection()
    x, noise = torch.randn(2, 3, 4, 5), torch.randn(2, 1, 4, 5)
    assert torch.equal(layer(x, noise), x)
    with torch.no_grad():
        layer.strength.fill_(0.5)
    added = layer(x, noise) - x
    assert torch.allclose(added, 0.5 * noise.expand(2, 3, 4, 5), atol=1e-6)
    assert layer(x, None) is x


def test_noise_keeps_the_type_of_the_map():
    assert NoiseInjection()(torch.randn(1, 2, 3, 3).bfloat16(), torch.randn(1, 1, 3, 3)).dtype == torch.bfloat16


def test_convolution_starts_from_the_familys_spread_without_bias():
    module = conv(64, 64, 3, spectral=False)
    assert module.bias is None
    # 36,864 draws: the standard error of the spread is 0.02 / sqrt(2 * 36864) = 7e-5.
    assert module.weight.std().item() == pytest.approx(0.02, abs=4e-4)
    assert module.weight.mean().item() == pytest.approx(0, abs=5e-4)
    assert conv(4, 4, 3).parametrizations.weight.original.std() < 0.1


def test_batch_norm_starts_near_one_without_shift():
    norm = batch_norm(4096)
    assert norm.weight.mean().item() == pytest.approx(1, abs=0.002)
    assert norm.weight.std().item() == pytest.approx(0.02, abs=0.002)
    assert not norm.bias.any()
