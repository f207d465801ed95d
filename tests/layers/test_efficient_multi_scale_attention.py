"""EfficientMultiScaleAttention against closed forms and a float64 loop written from the formulae."""

import math
import warnings

import pytest
import torch
from torch import nn

from sase_gan.layers.efficient_multi_scale_attention import EfficientMultiScaleAttention

VARIANTS = ["released", "pre_norm_pool", "layer_gn"]


def make(*args, **kwargs) -> EfficientMultiScaleAttention:
    layer = EfficientMultiScaleAttention(*args, **kwargs, dtype=torch.float64)
    nn.init.normal_(layer.norm.weight)
    nn.init.normal_(layer.norm.bias)
    return layer


def logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def soft(values: list[float]) -> list[float]:
    powers = [math.exp(v) for v in values]
    return [p / sum(powers) for p in powers]


def slow_group(layer, u):
    """One folded group u [c, H, W]: the gated group, number by number."""
    c, height, width = u.shape
    w1, b1 = layer.conv1x1.weight[:, :, 0, 0].tolist(), layer.conv1x1.bias.tolist()
    w3, b3 = layer.conv3x3.weight.tolist(), layer.conv3x3.bias.tolist()
    gain, shift = layer.norm.weight.tolist(), layer.norm.bias.tolist()
    u = u.tolist()
    row = [[sum(u[i][y]) / width for y in range(height)] for i in range(c)]
    column = [[sum(u[i][y][x] for y in range(height)) / height for x in range(width)] for i in range(c)]
    row = [[sum(w1[o][i] * row[i][y] for i in range(c)) + b1[o] for y in range(height)] for o in range(c)]
    column = [[sum(w1[o][i] * column[i][x] for i in range(c)) + b1[o] for x in range(width)] for o in range(c)]
    e = [
        [[u[i][y][x] * logistic(row[i][y]) * logistic(column[i][x]) for x in range(width)] for y in range(height)]
        for i in range(c)
    ]
    spans = [list(range(c))] if layer.variant == "layer_gn" else [[i] for i in range(c)]
    a: list = [None] * c
    for span in spans:
        values = [v for i in span for line in e[i] for v in line]
        mean = sum(values) / len(values)
        spread = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values) + layer.norm.eps)
        for i in span:
            a[i] = [[(v - mean) / spread * gain[i] + shift[i] for v in line] for line in e[i]]
    b = [[[b3[o] for _ in range(width)] for _ in range(height)] for o in range(c)]
    for o in range(c):
        for y in range(height):
            for x in range(width):
                for i in range(c):
                    for dy in range(3):
                        for dx in range(3):
                            if 0 <= y + dy - 1 < height and 0 <= x + dx - 1 < width:
                                b[o][y][x] += w3[o][i][dy][dx] * u[i][y + dy - 1][x + dx - 1]
    area = height * width
    p = soft([sum(map(sum, m)) / area for m in (e if layer.variant == "pre_norm_pool" else a)])
    q = soft([sum(map(sum, m)) / area for m in b])
    result = torch.zeros(c, height, width, dtype=torch.float64)
    for y in range(height):
        for x in range(width):
            m = sum(p[i] * b[i][y][x] + q[i] * a[i][y][x] for i in range(c))
            for i in range(c):
                result[i, y, x] = u[i][y][x] * logistic(m)
    return result


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("size", [(3, 4), (1, 5), (1, 1)])
def test_equals_the_slow_reference(variant, size):
    layer = make(6, groups=2, variant=variant)
    x = torch.randn(2, 6, *size, dtype=torch.float64)
    expected = torch.stack([torch.cat([slow_group(layer, u) for u in sample.chunk(2)]) for sample in x])
    assert torch.allclose(layer(x), expected, rtol=1e-12, atol=1e-12)


def test_einsum_form_is_the_same():
    layer = make(8, groups=2)
    x = torch.randn(2, 8, 4, 5, dtype=torch.float64)
    u, a, b, p, q = layer._branches(x)
    m = torch.einsum("nc,nchw->nhw", p, b) + torch.einsum("nc,nchw->nhw", q, a)
    assert torch.allclose(layer(x), (u * m[:, None].sigmoid()).reshape(x.shape), rtol=1e-13, atol=1e-13)


def test_zeroed_norm_and_convolution_halve_the_input_exactly():
    layer = make(8, groups=2)
    for parameter in (*layer.norm.parameters(), *layer.conv3x3.parameters()):
        nn.init.zeros_(parameter)
    x = torch.randn(2, 8, 4, 5, dtype=torch.float64)
    assert torch.equal(layer(x), x / 2)


def test_one_channel_a_group_adds_both_branches():
    with pytest.warns(UserWarning, match="one channel a group: both softmaxes are 1; use fewer groups"):
        layer = make(4, groups=4)
    x = torch.randn(2, 4, 3, 5, dtype=torch.float64)
    u, a, b, _, _ = layer._branches(x)
    assert torch.allclose(layer(x), (u * (a + b).sigmoid()).reshape(x.shape), atol=1e-14)


def test_released_descriptor_is_the_same_constant_for_every_image():
    layer = make(12, groups=3)
    first, _ = layer.descriptors(torch.randn(2, 12, 6, 6, dtype=torch.float64))
    expected = layer.norm.bias.softmax(0).expand_as(first)
    assert torch.allclose(first, expected, atol=1e-14)


@pytest.mark.parametrize("variant", ["pre_norm_pool", "layer_gn"])
def test_mended_descriptors_see_the_image(variant):
    layer = make(12, groups=3, variant=variant)
    first, second = layer.descriptors(torch.randn(2, 12, 6, 6, dtype=torch.float64))[0]
    assert (first - second).abs().max() > 1e-3


def test_groups_share_their_weights():
    layer = make(8, groups=4)
    x = torch.randn(2, 8, 5, 5, dtype=torch.float64)
    order = [3, 1, 0, 2]
    shuffled = torch.cat([x.chunk(4, 1)[g] for g in order], 1)
    expected = torch.cat([layer(x).chunk(4, 1)[g] for g in order], 1)
    assert torch.allclose(layer(shuffled), expected, atol=1e-14)


@pytest.mark.parametrize(("c", "expected"), [(2, 48), (8, 672), (16, 2624), (32, 10368), (64, 41216)])
def test_parameter_counts(c, expected):
    for variant in VARIANTS:
        layer = EfficientMultiScaleAttention(32 * c, variant=variant, device="meta")
        assert sum(p.numel() for p in layer.parameters()) == expected == 10 * c * c + 4 * c


@pytest.mark.parametrize(("channels", "groups"), [(144, 24), (64, 32), (96, 32), (8, 8), (20, 20), (33, 11)])
def test_fallback_takes_the_largest_divisor(channels, groups):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert EfficientMultiScaleAttention(channels).groups == groups
        assert EfficientMultiScaleAttention(channels, groups, divisor_fallback=False).groups == groups


def test_half_precision_is_near_and_keeps_its_type():
    layer = make(8, groups=2).bfloat16()
    x = torch.randn(2, 8, 4, 5).bfloat16()
    y = layer(x)
    assert y.dtype == torch.bfloat16
    assert (layer.double()(x.double()) - y).abs().max() < 2**-5


def test_gradients_by_finite_differences():
    layer = make(4, groups=2)
    x = torch.randn(2, 4, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"channels": 0}, "channels is 0"),
        ({"channels": 8, "groups": 0}, "groups is 0"),
        ({"channels": 144, "divisor_fallback": False}, "144 channels cannot be split into 32"),
        ({"channels": 8, "groups": 4, "variant": "paper"}, "variant is 'paper'"),
    ],
)
def test_bad_arguments_are_refused(kwargs, match):
    with pytest.raises(ValueError, match=match):
        EfficientMultiScaleAttention(**kwargs)


def test_unknown_keywords_are_refused_as_timm_expects():
    # timm tries `rd_ratio` first and goes on without it only after a TypeError.
    with pytest.raises(TypeError):
        EfficientMultiScaleAttention(8, rd_ratio=1.0)
    with pytest.warns(UserWarning, match="one channel a group"):
        EfficientMultiScaleAttention(8, act_layer=nn.ReLU)
