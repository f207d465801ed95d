import pytest
import torch
from torch import Tensor, nn

from sase_gan.layers.attentive_norm import AttentiveNorm
from sase_gan.layers.map_affine import affine, moments, takes_few_passes
from sase_gan.layers.primitives import gated_halves

FORMATS = pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
DOUBLE = {"dtype": torch.float64, "requires_grad": True}


@FORMATS
def test_moments_and_affine_have_the_gradients_of_their_values_twice(layout):
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    values = [torch.randn(2, 3, **DOUBLE) for _ in range(3)]
    for function, inputs in ((moments, (x,)), (affine, (x, *values))):
        assert torch.autograd.gradcheck(function, inputs)
        assert torch.autograd.gradgradcheck(function, inputs)


@pytest.mark.parametrize(
    ("shape", "dtype", "statistics", "expected"),
    [
        ((2, 3, 4, 5), torch.float32, torch.float32, True),
        ((2, 3, 1, 2), torch.bfloat16, torch.float32, True),
        ((2, 3, 2, 1), torch.float64, torch.float64, True),
        ((2, 3, 1, 1), torch.float32, torch.float32, False),
        ((0, 3, 4, 5), torch.float32, torch.float32, False),
        ((2, 3, 4, 5), torch.float32, torch.float64, False),
        ((2, 3, 4, 5), torch.bfloat16, torch.bfloat16, False),
    ],
)
def test_few_passes_are_for_maps_of_some_pixels_and_wide_statistics(shape, dtype, statistics, expected):
    assert takes_few_passes(torch.zeros(shape, dtype=dtype), statistics) is expected
    assert not takes_few_passes(torch.zeros(shape, dtype=dtype, device="meta"), statistics)


@FORMATS
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_gradient_that_is_differentiated_again_is_the_same(layout, dtype):
    """It takes another way, of which `gradgradcheck` sees the second derivatives alone."""
    x = torch.randn(2, 6, 4, 5).to(dtype).contiguous(memory_format=layout)
    values = [torch.randn(2, 6, dtype=torch.promote_types(dtype, torch.float32)) for _ in range(3)]
    for function, inputs in ((moments, [x]), (affine, [x, *values]), (gated_halves, [x])):
        inputs = [one.requires_grad_() for one in inputs]
        results = function(*inputs)
        results = results if isinstance(results, tuple) else (results,)
        upstream = [torch.randn_like(one) for one in results]
        plain = torch.autograd.grad(results, inputs, upstream, retain_graph=True)
        again = torch.autograd.grad(results, inputs, upstream, create_graph=True)
        for one, other in zip(plain, again, strict=True):
            error = 2**-6 if one.dtype == torch.bfloat16 else 1e-12 if dtype == torch.float64 else 1e-4
            assert (one - other).abs().max() < error * one.abs().max(), function


def test_a_map_whose_memory_is_in_no_order_is_scaled_alike():
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64).transpose(2, 3)
    scale, centre, shift = (torch.randn(2, 3, dtype=torch.float64)[:, :, None, None] for _ in range(3))
    y = affine(x, *(one[:, :, 0, 0] for one in (scale, centre, shift)))
    assert torch.allclose(y, scale * (x - centre) + shift, atol=1e-12)


@FORMATS
@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 2e-4), (torch.bfloat16, 2**-5)])
def test_moments_keep_float32_and_affine_keeps_type_and_layout(layout, dtype, error):
    x = (3 * torch.randn(4, 16, 9, 7) + 50).to(dtype).contiguous(memory_format=layout)
    exact = x.double()
    mean, variance = moments(x)
    assert mean.dtype == variance.dtype == torch.float32
    assert (mean - exact.mean((2, 3))).abs().max() < 1e-4
    assert (variance / exact.var((2, 3), unbiased=False) - 1).abs().max() < 1e-4
    # An offset of seventeen deviations costs float32 two digits, as in torch's batch norm, and bfloat16 nothing.
    y = affine(x, variance.rsqrt(), mean, torch.zeros_like(mean))
    expected = (exact - exact.mean((2, 3), keepdim=True)) / exact.std((2, 3), unbiased=False, keepdim=True)
    assert y.dtype == dtype
    assert y.is_contiguous(memory_format=layout)
    assert (y.double() - expected).abs().max() < error


@FORMATS
def test_gradient_of_a_gradient_in_another_layout_is_the_same(layout):
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    scale, centre, shift = (torch.randn(2, 3, **DOUBLE) for _ in range(3))
    upstream = torch.randn(2, 3, 5, 4, dtype=torch.float64).transpose(2, 3)
    found = torch.autograd.grad(affine(x, scale, centre, shift), (x, scale, centre, shift), upstream)
    plain = scale[:, :, None, None] * (x - centre[:, :, None, None]) + shift[:, :, None, None]
    expected = torch.autograd.grad(plain, (x, scale, centre, shift), upstream)
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(found, expected, strict=True))


def gradients(layer: nn.Module, x: Tensor) -> list[Tensor]:
    y = layer(x)
    upstream = torch.randn(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(0))
    return [y, *torch.autograd.grad(y, (x, *layer.parameters()), upstream)]


@FORMATS
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("options", [{}, {"activation": "softmax"}, {"norm": "group", "num_groups": 6}])
@pytest.mark.parametrize("attention_norm", ["batch", "group", "none"])
def test_attentive_norm_in_few_passes_is_its_plain_form(layout, options, attention_norm, training, monkeypatch):
    layer = AttentiveNorm(6, 5, attention_norm=attention_norm, **options).double()
    # Running statistics that are not those of the start.
    layer(torch.randn(4, 6, 3, 3, dtype=torch.float64) + 3)
    layer.train(training)
    other = AttentiveNorm(6, 5, attention_norm=attention_norm, **options).double()
    other.load_state_dict(layer.state_dict())
    other.train(training)
    x = torch.randn(3, 6, 4, 5, dtype=torch.float64).add(2).contiguous(memory_format=layout).requires_grad_()
    assert layer.takes_few_passes(x)
    found = gradients(layer, x)
    monkeypatch.setattr(AttentiveNorm, "takes_few_passes", lambda self, x: False)
    assert all(torch.allclose(a, b, atol=1e-10) for a, b in zip(found, gradients(other, x), strict=True))
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(layer.buffers(), other.buffers(), strict=True))


@FORMATS
def test_gated_halves_are_torchs_with_both_gradients_and_keep_the_layout(layout):
    x = torch.randn(2, 6, 4, 5, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    assert torch.autograd.gradcheck(gated_halves, x)
    assert torch.autograd.gradgradcheck(gated_halves, x)
    assert torch.equal(gated_halves(x), nn.functional.glu(x, 1))
    (gradient,) = torch.autograd.grad(gated_halves(x).sum(), x)
    assert gradient.is_contiguous(memory_format=layout)


@FORMATS
def test_gated_halves_of_half_precision_are_rounded_once(layout):
    x = torch.randn(2, 16, 9, 7).bfloat16().contiguous(memory_format=layout).requires_grad_()
    y = gated_halves(x)
    assert y.dtype == torch.bfloat16
    assert (y.double() - nn.functional.glu(x.double(), 1)).abs().max() < 2**-6
    (gradient,) = torch.autograd.grad(y, x, torch.ones_like(y))
    wide = x.detach().double().requires_grad_()
    (expected,) = torch.autograd.grad(nn.functional.glu(wide, 1).sum(), wide)
    assert gradient.dtype == torch.bfloat16
    assert (gradient.double() - expected).abs().max() < 2**-6
