"""AWConv2d: equal to torch's convolution with a fixed map, to a loop over samples, and to itself in both forms."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sase_gan.layers.aw_conv import AWConv2d, AWUpsampleConv
from sase_gan.layers.spectral_norm import spectral_norm
from sase_gan.reference.plain import upsample_conv_plain

GEOMETRIES = [
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": 3, "padding": 1, "groups": 2},
    {"kernel_size": 3, "padding": 1, "groups": 4},
    {"kernel_size": 3, "padding": 2, "dilation": 2, "stride": 2},
    {"kernel_size": (3, 2), "padding": (0, 1), "stride": (2, 1), "bias": True},
    {"kernel_size": 1},
    {"kernel_size": 3, "padding": "same", "dilation": 2},
    {"kernel_size": 4, "padding": "same"},
    {"kernel_size": 3, "padding": 1, "padding_mode": "reflect", "bias": True},
    {"kernel_size": 3, "padding": 1, "padding_mode": "circular", "stride": 2},
    {"kernel_size": 3, "padding": "valid", "padding_mode": "replicate"},
]


def make(in_channels=4, out_channels=8, **kwargs) -> AWConv2d:
    layer = AWConv2d(in_channels, out_channels, **kwargs, dtype=torch.float64)
    for module in layer.children():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    return layer


def plain(layer: AWConv2d, weight: torch.Tensor) -> nn.Conv2d:
    """torch's convolution of the same geometry and bias with another kernel."""
    conv = nn.Conv2d(
        layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding, layer.dilation,
        layer.groups, layer.bias is not None, layer.padding_mode, dtype=torch.float64,
    )  # fmt: skip
    with torch.no_grad():
        conv.weight.copy_(weight)
        if layer.bias is not None:
            conv.bias.copy_(layer.bias)
    return conv


def looped(layer: AWConv2d, x: torch.Tensor) -> torch.Tensor:
    """The oracle: every sample by torch's convolution with its own kernel, filled entry by entry."""
    maps = layer.attention(x)
    results = []
    for sample, a in zip(x, maps, strict=True):
        kernel = torch.empty_like(layer.weight)
        per_group = layer.in_channels // layer.groups
        for o in range(layer.out_channels):
            for i in range(per_group):
                kernel[o, i] = layer.weight[o, i] * (a[o] + (1 if layer.residual else 0))
        results.append(plain(layer, kernel)(sample[None]))
    return torch.cat(results)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")
def test_all_forms_equal_the_loop_over_samples(geometry, residual):
    layer = make(residual=residual, **geometry)
    x = torch.randn(3, 4, 7, 6, dtype=torch.float64)
    with torch.no_grad():
        layer.eval()
        expected = looped(layer, x)
        for backend in ("grouped", "taps", "auto"):
            layer.backend = backend
            assert torch.allclose(layer(x), expected, rtol=0, atol=1e-13 * float(expected.abs().max() + 1)), backend


@pytest.mark.parametrize("training", [True, False])
def test_map_equals_the_slow_reference(training):
    layer = make(5, 3, kernel_size=(2, 3), padding=1).train(training)
    x = torch.randn(2, 5, 5, 7, dtype=torch.float64)
    pooled = torch.zeros(2, 5, 2, 3, dtype=torch.float64)
    for i in range(2):
        for j in range(3):
            rows = range(math.floor(i * 5 / 2), math.ceil((i + 1) * 5 / 2))
            columns = range(math.floor(j * 7 / 3), math.ceil((j + 1) * 7 / 3))
            for y in rows:
                for z in columns:
                    pooled[:, :, i, j] += x[:, :, y, z] / (len(rows) * len(columns))

    def pointwise(values, conv):
        return torch.stack(
            [
                sum(conv.weight[o, i, 0, 0] * values[:, i] for i in range(values.shape[1]))
                for o in range(len(conv.weight))
            ],
            1,
        )

    def norm(values, module):
        parts = []
        for c in range(values.shape[1]):
            v = values[:, c]
            mean = v.sum() / v.numel() if training else module.running_mean[c]
            variance = ((v - mean) ** 2).sum() / v.numel() if training else module.running_var[c]
            parts.append((v - mean) / (variance + module.eps) ** 0.5 * module.weight[c] + module.bias[c])
        return torch.stack(parts, 1)

    with torch.no_grad():
        hidden = norm(pointwise(pooled, layer.squeeze), layer.squeeze_norm).clamp(min=0)
        raw = norm(pointwise(hidden, layer.excite), layer.excite_norm)
        assert torch.allclose(layer.attention(x), 1 / (1 + (-raw).exp()), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", ["grouped", "taps"])
def test_zero_map_is_torchs_convolution(backend):
    layer = make(kernel_size=3, padding=1, bias=True, activation="tanh", backend=backend)
    nn.init.zeros_(layer.excite_norm.weight)
    nn.init.zeros_(layer.excite_norm.bias)
    x = torch.randn(2, 4, 6, 6, dtype=torch.float64)
    assert torch.allclose(layer(x), plain(layer, layer.weight)(x), rtol=0, atol=1e-14)


@pytest.mark.parametrize("residual", [True, False])
def test_constant_map_scales_the_convolution(residual):
    layer = make(kernel_size=3, padding=1, activation="none", residual=residual)
    nn.init.zeros_(layer.excite_norm.weight)
    nn.init.constant_(layer.excite_norm.bias, 0.75)
    x = torch.randn(2, 4, 6, 6, dtype=torch.float64)
    factor = 1.75 if residual else 0.75
    assert torch.allclose(layer(x), factor * F.conv2d(x, layer.weight, padding=1), rtol=0, atol=1e-13)


@pytest.mark.parametrize("backend", ["grouped", "taps"])
def test_chunks_change_nothing(backend):
    layer = make(kernel_size=3, padding=1, backend=backend).eval()
    x = torch.randn(5, 4, 6, 6, dtype=torch.float64)
    whole = layer(x)
    layer.chunk = 2
    assert torch.allclose(layer(x), whole, rtol=0, atol=1e-14)


def test_forms_have_equal_gradients():
    x = torch.randn(3, 4, 6, 5, dtype=torch.float64)
    layer = make(kernel_size=3, padding=1, groups=2, stride=2)
    gradients = []
    for backend in ("grouped", "taps"):
        layer.backend = backend
        layer.zero_grad()
        layer(x).pow(2).sum().backward()
        gradients.append([p.grad.clone() for p in layer.parameters()])
    for first, second in zip(*gradients, strict=True):
        assert torch.allclose(first, second, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("backend", ["grouped", "taps"])
def test_gradients_by_finite_differences(backend):
    layer = make(2, 2, kernel_size=2, backend=backend).eval()
    x = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))


def test_empty_batch():
    layer = make(kernel_size=3, padding=1).eval()
    assert layer(torch.zeros(0, 4, 6, 6, dtype=torch.float64)).shape == (0, 8, 6, 6)


def test_auto_takes_taps_on_small_maps_only():
    layer = make(kernel_size=3, padding=1)
    assert layer._backend(torch.zeros(2, 4, 3, 3), (1, 1)) == "taps"
    assert layer._backend(torch.zeros(2, 4, 10, 10), (8, 8)) == "grouped"


@pytest.mark.parametrize(("channels", "extra"), [(64, 648), (128, 2320), (256, 8736), (512, 33856)])
def test_parameter_counts(channels, extra):
    layer = AWConv2d(channels, channels, 3, device="meta")
    assert sum(p.numel() for p in layer.parameters()) - 9 * channels**2 == extra
    r = max(4, channels // 16)
    assert extra == r * 2 * channels + 2 * r + 2 * channels


def test_weights_of_a_plain_convolution_load():
    layer, conv = make(kernel_size=3, bias=True), nn.Conv2d(4, 8, 3, dtype=torch.float64)
    missing, unexpected = layer.load_state_dict(conv.state_dict(), strict=False)
    assert not unexpected
    assert all(name.split(".")[0] in {"squeeze", "squeeze_norm", "excite", "excite_norm"} for name in missing)
    assert torch.equal(layer.weight, conv.weight)


def test_one_image_with_a_pointwise_kernel_trains():
    assert AWConv2d(4, 8, 1)(torch.randn(1, 4, 3, 3)).isfinite().all()


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"reduction": 0}, "reduction is 0"),
        ({"rd_min": 0}, "rd_min is 0"),
        ({"chunk": 0}, "chunk is 0"),
        ({"activation": "relu"}, "activation is 'relu'"),
        ({"backend": "loop"}, "backend is 'loop'"),
        ({"groups": 3}, "divisible by groups"),
    ],
)
def test_bad_arguments_are_refused(kwargs, match):
    with pytest.raises(ValueError, match=match):
        AWConv2d(4, 8, 3, **kwargs)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "none"])
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (1, 4), (3, 5), (4, 4)])
def test_upsampling_form_equals_its_definition(activation, residual, size):
    layer = AWUpsampleConv(5, 6, activation=activation, residual=residual, dtype=torch.float64)
    for part in layer.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(part.running_mean)
            torch.nn.init.uniform_(part.running_var, 0.5, 2.0)
    layer.eval()
    x = torch.randn(3, 5, *size, dtype=torch.float64)
    kernels = layer.kernels(layer.attention(x) + (1.0 if residual else 0.0))
    large = F.interpolate(x, scale_factor=2, mode="nearest")
    expected = torch.cat([F.conv2d(s[None], k, padding=1) for s, k in zip(large, kernels, strict=True)])
    assert torch.allclose(layer(x), expected, atol=1e-13)


def test_upsampling_form_without_attention_is_the_plain_one():
    layer = AWUpsampleConv(4, 6, activation="none").eval()
    torch.nn.init.zeros_(layer.excite.weight)
    x = torch.randn(2, 4, 5, 3)
    assert torch.allclose(layer(x), upsample_conv_plain(x, layer.weight), atol=1e-6)


@pytest.mark.parametrize("kind", ["aw", "taps", "upsample"])
def test_a_spectral_norm_advances_once_a_pass(kind):
    layers = {
        "aw": lambda: AWConv2d(4, 4, 3, padding=1),
        "taps": lambda: AWConv2d(4, 4, 3, padding=1, backend="taps"),
        "upsample": lambda: AWUpsampleConv(4, 4),
    }
    layer = spectral_norm(layers[kind]())
    calls = []
    layer.parametrizations["weight"][0].register_forward_hook(lambda *unused: calls.append(1))
    layer(torch.randn(3, 4, 6, 6))
    assert len(calls) == 1
