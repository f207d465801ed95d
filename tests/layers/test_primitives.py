import pytest
import torch
import torch.nn.functional as F

from sase_gan.layers.primitives import (
    GatedLinearUnit,
    NoiseInjection,
    UpsampleConv,
    batch_norm,
    conv,
    instance_norm,
    upsample_conv,
)
from sase_gan.reference.plain import plain_upsample_conv, upsample_conv_plain


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
    for norm in (batch_norm(4096), instance_norm(4096)):
        assert norm.weight.mean().item() == pytest.approx(1, abs=0.002)
        assert norm.weight.std().item() == pytest.approx(0.02, abs=0.002)
        assert not norm.bias.any()


def test_instance_norm_is_of_each_map_by_itself():
    norm, x = instance_norm(3).double(), torch.randn(2, 3, 4, 5, dtype=torch.float64)
    expected = (x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()
    assert torch.allclose(norm(x), expected * norm.weight[:, None, None], atol=1e-12)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5), (3, 2), (4, 4), (7, 5)])
def test_fused_upsampling_equals_its_definition_at_every_border(height, width):
    x = torch.randn(2, 3, height, width, dtype=torch.float64)
    weight = torch.randn(5, 3, 3, 3, dtype=torch.float64)
    fused, plain = upsample_conv(x, weight), upsample_conv_plain(x, weight)
    assert fused.shape == (2, 5, 2 * height, 2 * width)
    assert (fused - plain).abs().max() < 1e-12


def test_plain_form_equals_a_loop_over_pixels_and_taps():
    x, weight = torch.randn(1, 2, 2, 3, dtype=torch.float64), torch.randn(2, 2, 3, 3, dtype=torch.float64)
    expected = torch.zeros(1, 2, 4, 6, dtype=torch.float64)
    for out in range(2):
        for row in range(4):
            for column in range(6):
                for tap_row in range(3):
                    for tap_column in range(3):
                        r, c = row + tap_row - 1, column + tap_column - 1
                        if 0 <= r < 4 and 0 <= c < 6:
                            pixel = x[0, :, r // 2, c // 2]
                            expected[0, out, row, column] += (pixel * weight[out, :, tap_row, tap_column]).sum()
    assert (upsample_conv_plain(x, weight) - expected).abs().max() < 1e-13


def test_centre_tap_alone_is_nearest_upsampling():
    x = torch.randn(1, 1, 3, 4, dtype=torch.float64)
    weight = torch.zeros(1, 1, 3, 3, dtype=torch.float64)
    weight[0, 0, 1, 1] = 1
    assert torch.equal(upsample_conv(x, weight), F.interpolate(x, scale_factor=2, mode="nearest"))


@pytest.mark.parametrize("side", [3, 6])
def test_gradients_of_fused_upsampling_are_right(side):
    x = torch.randn(1, 2, side, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(upsample_conv, (x, weight))


def test_channels_last_is_equal():
    x, weight = torch.randn(2, 4, 5, 6, dtype=torch.float64), torch.randn(3, 4, 3, 3, dtype=torch.float64)
    assert torch.allclose(upsample_conv(x.to(memory_format=torch.channels_last), weight), upsample_conv(x, weight))


@pytest.mark.parametrize("spectral", [True, False])
def test_fused_upsampling_layer_equals_the_plain_one_with_the_same_parameters(spectral):
    layer = UpsampleConv(3, 5, spectral=spectral).double().eval()
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    assert (layer(x) - plain_upsample_conv(layer, x)).abs().max() < 1e-12
    assert layer(x).shape == (2, 5, 10, 8)
