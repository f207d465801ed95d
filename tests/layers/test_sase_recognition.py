"""SASEConv2d against closed forms, a loop in float64 written from the formulae, and per-group modules."""

import copy
import math

import pytest
import torch
from torch import nn

from sase_gan.layers.sase_recognition import SASEConv2d


def make(*args, **kwargs) -> SASEConv2d:
    layer = SASEConv2d(*args, **kwargs, dtype=torch.float64)
    for module in layer.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
        elif isinstance(module, nn.Conv2d) and module.bias is not None:
            nn.init.normal_(module.bias)
    return layer


def slow_conv(x, weight, bias, padding, dilation=1, stride=1):
    """One sample [C, H, W] and one group, one output value at a time."""
    _, height, width = x.shape
    size = weight.shape[-1]
    out_height = (height + 2 * padding - dilation * (size - 1) - 1) // stride + 1
    out_width = (width + 2 * padding - dilation * (size - 1) - 1) // stride + 1
    result = torch.zeros(weight.shape[0], out_height, out_width, dtype=x.dtype)
    for o in range(weight.shape[0]):
        for i in range(out_height):
            for j in range(out_width):
                total = 0.0 if bias is None else float(bias[o])
                for a in range(size):
                    for b in range(size):
                        row, column = i * stride + a * dilation - padding, j * stride + b * dilation - padding
                        if 0 <= row < height and 0 <= column < width:
                            total += float(weight[o, :, a, b] @ x[:, row, column])
                result[o, i, j] = total
    return result


def slow_norm(samples, norm, part, training):
    """Normalise a list of maps [r, H, W] of all samples by batch or by running statistics; `part` picks channels."""
    stacked = torch.stack(samples)
    result = torch.zeros_like(stacked)
    for position, channel in enumerate(range(part.start, part.stop)):
        values = stacked[:, position]
        if training:
            mean = values.sum() / values.numel()
            variance = ((values - mean) ** 2).sum() / values.numel()
        else:
            mean, variance = norm.running_mean[channel], norm.running_var[channel]
        scaled = (values - mean) / math.sqrt(variance + norm.eps)
        result[:, position] = scaled * norm.weight[channel] + norm.bias[channel]
    return list(result)


def part_of(conv, group, groups):
    size = conv.out_channels // groups
    span = slice(group * size, (group + 1) * size)
    return conv.weight[span], None if conv.bias is None else conv.bias[span]


def slow_branch(samples, branch, group, groups, training):
    for module in branch:
        if isinstance(module, nn.Conv2d):
            weight, bias = part_of(module, group, groups)
            samples = [slow_conv(x, weight, bias, module.padding[0], module.dilation[0]) for x in samples]
        elif isinstance(module, nn.BatchNorm2d):
            size = module.num_features // groups
            samples = slow_norm(samples, module, slice(group * size, (group + 1) * size), training)
        else:
            samples = [x.clamp(min=0) for x in samples]
    return samples


def pooled(x):
    return torch.stack([plane.sum() / plane.numel() for plane in x]).reshape(-1, 1, 1)


def slow(layer, x, training):
    groups, c = layer.groups, layer.group_channels
    pieces = []
    for g in range(groups):
        samples = [sample[g * c : (g + 1) * c] for sample in x]
        queries = slow_branch(samples, layer.query, g, groups, training)
        keys = slow_branch([pooled(s) for s in samples], layer.key, g, groups, training)
        weight, bias = part_of(layer.value, g, groups)
        outputs = []
        for sample, query, key in zip(samples, queries, keys, strict=True):
            value = slow_conv(sample, weight, bias, 1)
            product = (query * key).exp()
            gate = product / product.sum(0, keepdim=True)
            outputs.append(gate * value * (c if layer.gate_scale == "channels" else 1))
        pieces.append(torch.stack(outputs))
    full = torch.cat(pieces, 1)
    step = layer.stride
    height, width = math.ceil(full.shape[2] / step), math.ceil(full.shape[3] / step)
    result = torch.zeros(*full.shape[:2], height, width, dtype=x.dtype)
    for i in range(height):
        for j in range(width):
            window = full[:, :, i * step : (i + 1) * step, j * step : (j + 1) * step]
            result[:, :, i, j] = window.flatten(2).mean(2)
    return result


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("stride", "gate_scale"), [(1, "none"), (2, "channels")])
def test_equals_the_slow_reference(stride, gate_scale, training):
    layer = make(8, groups=2, ratio=1, stride=stride, gate_scale=gate_scale).train(training)
    x = torch.randn(2, 8, 5, 4, dtype=torch.float64)
    with torch.no_grad():
        expected = slow(layer, x, training)
        assert torch.allclose(layer(x), expected, rtol=1e-12, atol=1e-12)


def test_branches_are_convolution_norm_rectifier_convolution():
    # The slow reference walks through them as they are.
    for branch, size in ((SASEConv2d(8).query, (3, 3)), (SASEConv2d(8).key, (1, 1))):
        assert [type(part) for part in branch] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Conv2d]
        assert branch[0].kernel_size == branch[3].kernel_size == size


def test_half_precision_is_near_and_keeps_its_type():
    layer = make(8, groups=2).eval().bfloat16()
    x = torch.randn(2, 8, 4, 5).bfloat16()
    y = layer(x)
    assert y.dtype == torch.bfloat16
    exact = layer.double()(x.double())
    assert (exact - y).abs().max() < 0.05 * exact.abs().max()


@pytest.mark.parametrize("stride", [1, 2])
def test_zeroed_query_leaves_the_pooled_mean_of_the_value(stride):
    layer = make(16, stride=stride)
    nn.init.zeros_(layer.query[-1].weight)
    nn.init.zeros_(layer.query[-1].bias)
    x = torch.randn(2, 16, 7, 5, dtype=torch.float64)
    assert torch.allclose(layer(x), layer.pool(layer.value(x) / layer.group_channels), rtol=0, atol=1e-15)


def test_gate_sums_to_one_per_group_and_position():
    layer = make(32)
    gate = layer.gate(torch.randn(3, 32, 4, 6, dtype=torch.float64))
    assert gate.shape == (3, 4, 8, 4, 6)
    assert torch.allclose(gate.sum(2), torch.ones(3, 4, 4, 6, dtype=torch.float64), atol=1e-14)


def test_groups_do_not_interact():
    layer = make(16).eval()
    x = torch.randn(2, 16, 5, 5, dtype=torch.float64)
    changed = x.clone()
    changed[:, 4:8] += 1
    difference = (layer(x) - layer(changed)).abs().amax((0, 2, 3))
    assert torch.all(difference[4:8] > 0)
    assert torch.all(torch.cat([difference[:4], difference[8:]]) == 0)


def test_grouped_form_equals_one_module_per_group():
    layer = make(16, groups=4).eval()
    singles = []
    for g in range(4):
        single = SASEConv2d(4, groups=1, dtype=torch.float64).eval()
        state = {}
        for name, value in layer.state_dict().items():
            state[name] = value if value.ndim == 0 else value[g * len(value) // 4 : (g + 1) * len(value) // 4]
        single.load_state_dict(state)
        singles.append(single)
    x = torch.randn(2, 16, 5, 6, dtype=torch.float64)
    expected = torch.cat([single(part) for single, part in zip(singles, x.chunk(4, 1), strict=True)], 1)
    assert torch.allclose(layer(x), expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(("channels", "expected"), [(64, 14592), (128, 57856), (256, 230400), (512, 919552)])
def test_parameter_counts(channels, expected):
    assert sum(p.numel() for p in SASEConv2d(channels, device="meta").parameters()) == expected
    c, groups = channels // 4, 4
    r = max(4, c // 4)
    assert expected == groups * (20 * c * r + 4 * r + 3 * c + 9 * c * c)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (7, 7), (8, 6)])
def test_stride_two_gives_the_size_of_a_strided_convolution(size):
    layer = SASEConv2d(8, stride=2)
    expected = nn.Conv2d(8, 8, 3, 2, 1)(torch.zeros(2, 8, *size)).shape
    assert layer(torch.randn(2, 8, *size)).shape == expected


def test_initial_spread_is_that_of_one_group():
    layer = SASEConv2d(256)
    assert layer.value.weight.std().item() == pytest.approx(math.sqrt(2 / (64 * 9)), rel=0.02)
    assert not layer.value.bias.any()


def test_channel_scale_gives_the_output_unit_order():
    x = torch.randn(4, 256, 8, 8).relu()
    plain = SASEConv2d(256)
    scaled = copy.deepcopy(plain)
    scaled.gate_scale = "channels"
    assert torch.allclose(scaled(x), plain(x) * 64, rtol=1e-4, atol=1e-6)
    assert 0.2 < scaled(x).std().item() < 5


def test_groups_are_halved_until_they_divide():
    assert SASEConv2d(6, groups=4).groups == 2
    assert SASEConv2d(7, groups=4).groups == 1


def test_one_image_trains():
    layer = SASEConv2d(8)
    for size in (1, 5):
        assert layer(torch.randn(1, 8, size, size)).isfinite().all()


def test_gradients_by_finite_differences():
    layer = make(4, groups=2, stride=2).eval()
    x = torch.randn(2, 4, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"channels": 0}, "channels is 0"),
        ({"channels": 8, "stride": 0}, "stride is 0"),
        ({"channels": 8, "ratio": 0}, "ratio is 0"),
        ({"channels": 8, "gate_scale": "c"}, "gate_scale is 'c'"),
    ],
)
def test_bad_arguments_are_refused(kwargs, match):
    with pytest.raises(ValueError, match=match):
        SASEConv2d(**kwargs)
