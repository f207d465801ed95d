import copy
import math

import pytest
import timm.layers
import torch
import torchvision
from torch import Tensor, nn

from sase_gan.layers.attentive_norm import AttentiveNorm

DOUBLE = torch.float64
ATTENTION_NORMS = ("batch", "group", "none")
ACTIVATIONS = ("hard_sigmoid", "sigmoid", "softmax")


@torch.no_grad()
def make_norm(channels: int = 6, components: int = 4, **options) -> AttentiveNorm:
    """A layer in float64 whose every parameter and statistic differs from its start."""
    layer = AttentiveNorm(channels, components, **options).double()
    for norm in (layer.norm, layer.attn_norm):
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_(0, 0.3)
            norm.running_var.uniform_(0.5, 1.5)
        if getattr(norm, "weight", None) is not None:
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.normal_(0, 0.5)
    if layer.proj.bias is not None:
        layer.proj.bias.normal_()
    return layer


@torch.no_grad()
def make_batch_norm(kind=nn.BatchNorm2d, channels: int = 6) -> nn.Module:
    norm = kind(channels)
    norm.weight.normal_()
    norm.bias.normal_()
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    return norm


def standardise(values: list[float], eps: float) -> list[float]:
    mean = sum(values) / len(values)
    variance = sum((v - mean) ** 2 for v in values) / len(values)
    return [(v - mean) / math.sqrt(variance + eps) for v in values]


def reference(layer: AttentiveNorm, x: Tensor, *, attention_norm: str, num_groups: int | None) -> Tensor:
    """The paper's formulae in plain numbers, one value at a time."""
    batch, channels, height, width = x.shape
    pixels = [[x[n, c].flatten().tolist() for c in range(channels)] for n in range(batch)]
    logits = []
    for n in range(batch):
        descriptor = []
        for values in pixels[n]:
            mean = sum(values) / len(values)
            variance = sum((v - mean) ** 2 for v in values) / (len(values) - 1) if len(values) > 1 else 0.0
            descriptor.append(mean / math.sqrt(variance + 1e-3))
        row = [
            sum(w * s for w, s in zip(weights, descriptor, strict=True))
            for weights in layer.proj.weight.flatten(1).tolist()
        ]
        logits.append([z + (0.0 if layer.proj.bias is None else layer.proj.bias[k].item()) for k, z in enumerate(row)])
    num_components = len(logits[0])
    if attention_norm == "batch":
        for k in range(num_components):
            if layer.training:
                column = standardise([row[k] for row in logits], 1e-5)
            else:
                mean, variance = layer.attn_norm.running_mean[k].item(), layer.attn_norm.running_var[k].item()
                column = [(row[k] - mean) / math.sqrt(variance + 1e-5) for row in logits]
            for n in range(batch):
                logits[n][k] = column[n]
    if attention_norm == "group":
        logits = [standardise(row, 1e-5) for row in logits]
    if attention_norm != "none":
        scale, shift = layer.attn_norm.weight.tolist(), layer.attn_norm.bias.tolist()
        logits = [[z * scale[k] + shift[k] for k, z in enumerate(row)] for row in logits]

    def activate(row: list[float]) -> list[float]:
        if layer.activation == "hard_sigmoid":
            return [min(max(z + 3, 0), 6) / 6 for z in row]
        if layer.activation == "sigmoid":
            return [1 / (1 + math.exp(-z)) for z in row]
        total = sum(math.exp(z) for z in row)
        return [math.exp(z) / total for z in row]

    y = torch.empty_like(x)
    gamma_table, beta_table = layer.scale.tolist(), layer.shift.tolist()
    for n in range(batch):
        weights = activate(logits[n])
        for c in range(channels):
            if num_groups is not None:
                size = channels // num_groups
                first = c // size * size
                values = standardise([v for member in range(first, first + size) for v in pixels[n][member]], 1e-5)
                own = values[(c - first) * height * width : (c - first + 1) * height * width]
            elif layer.training:
                own = standardise([v for m in range(batch) for v in pixels[m][c]], 1e-5)[n * height * width :]
                own = own[: height * width]
            else:
                mean, variance = layer.norm.running_mean[c].item(), layer.norm.running_var[c].item()
                own = [(v - mean) / math.sqrt(variance + 1e-5) for v in pixels[n][c]]
            gamma = sum(w * gamma_table[k][c] for k, w in enumerate(weights))
            beta = sum(w * beta_table[k][c] for k, w in enumerate(weights))
            y[n, c] = torch.tensor([gamma * v + beta for v in own], dtype=x.dtype).reshape(height, width)
    return y


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("attention_norm", ATTENTION_NORMS)
@pytest.mark.parametrize("num_groups", [None, 3, 6])
def test_layer_equals_the_formulae_in_plain_numbers(num_groups, attention_norm, activation, training):
    standardisation = {} if num_groups is None else {"norm": "group", "num_groups": num_groups}
    layer = make_norm(attention_norm=attention_norm, activation=activation, **standardisation).train(training)
    x = torch.randn(3, 6, 4, 5, dtype=DOUBLE) * 2 + 0.5
    expected = reference(layer, x, attention_norm=attention_norm, num_groups=num_groups)
    assert (layer(x) - expected).abs().max() < 1e-12


def test_running_statistics_are_those_of_batch_normalisation():
    layer, plain = AttentiveNorm(6).double(), nn.BatchNorm2d(6).double()
    for _ in range(3):
        x = torch.randn(4, 6, 3, 3, dtype=DOUBLE) * 3 + 1
        layer(x)
        plain(x)
    assert torch.allclose(layer.norm.running_mean, plain.running_mean, atol=1e-12)
    assert torch.allclose(layer.norm.running_var, plain.running_var, atol=1e-12)
    assert layer.attn_norm.num_batches_tracked == 3


@pytest.mark.parametrize("training", [True, False])
def test_equal_rows_and_no_attention_are_batch_normalisation_exactly(training):
    plain = make_batch_norm().double().train(training)
    layer = AttentiveNorm(6, 4).double().train(training)
    layer.norm.load_state_dict(plain.state_dict(), strict=False)
    with torch.no_grad():
        layer.attn_norm.weight.zero_()
        layer.attn_norm.bias.zero_()
        layer.scale.copy_(plain.weight / (4 * 0.5))
        layer.shift.copy_(plain.bias / (4 * 0.5))
    x = torch.randn(3, 6, 5, 4, dtype=DOUBLE) * 2 + 1
    assert (layer(x) - plain(x)).abs().max() < 1e-13


def test_one_saturated_component_is_batch_normalisation_with_its_row():
    layer, plain = AttentiveNorm(6, 1).double(), nn.BatchNorm2d(6).double()
    with torch.no_grad():
        layer.attn_norm.weight.zero_()
        layer.attn_norm.bias.fill_(3.5)
        plain.weight.copy_(layer.scale[0])
        plain.bias.copy_(layer.shift[0])
    x = torch.randn(3, 6, 5, 4, dtype=DOUBLE)
    assert (layer(x) - plain(x)).abs().max() < 1e-13


def test_constant_channels_have_the_descriptor_of_zero_variance():
    layer = make_norm(2, 3, attention_norm="none").eval()
    values = torch.tensor([0.02, -0.03], dtype=DOUBLE)
    weights = layer.mixture_weights(values[None, :, None, None].expand(1, 2, 4, 4))
    logits = layer.proj.weight.flatten(1) @ (values / math.sqrt(1e-3)) + layer.proj.bias
    assert torch.allclose(weights[0], ((logits + 3) / 6).clamp(0, 1), atol=1e-13)
    # A 1x1 map is such a channel: the unbiased variance of one value does not exist and counts as 0.
    assert torch.allclose(layer.mixture_weights(values[None, :, None, None]), weights, atol=1e-13)


def test_weights_lie_in_the_unit_interval_and_only_softmax_sums_to_one():
    x = torch.randn(5, 6, 4, 4, dtype=DOUBLE) * 10
    for activation in ACTIVATIONS:
        weights = make_norm(activation=activation).mixture_weights(x)
        assert weights.min() >= 0
        assert weights.max() <= 1
        sums_to_one = torch.allclose(weights.sum(1), torch.ones(5, dtype=DOUBLE))
        assert sums_to_one == (activation == "softmax")


@pytest.mark.parametrize(
    ("activation", "init_scale", "gain"),
    [
        ("hard_sigmoid", "paper", 5.0),
        ("hard_sigmoid", "unit", 1.0),
        ("sigmoid", "paper", 5.0),
        ("sigmoid", "unit", 1.0),
        ("softmax", "paper", 1.0),
        ("softmax", "unit", 1.0),
    ],
)
def test_expected_gain_at_the_start(activation, init_scale, gain):
    layer = AttentiveNorm(256, 10, activation=activation, init_scale=init_scale)
    with torch.no_grad():
        spread = layer(torch.randn(32, 256, 8, 8)).std().item()
    assert spread == pytest.approx(gain, rel=0.05)


@pytest.mark.parametrize(("components", "gain"), [(5, 2.5), (10, 5.0), (20, 10.0)])
def test_published_start_has_half_the_components_as_gain_and_unit_start_scales_both_tables(components, gain):
    torch.manual_seed(1)
    paper = AttentiveNorm(512, components)
    torch.manual_seed(1)
    unit = AttentiveNorm(512, components, init_scale="unit")
    assert paper.scale.mean().item() == pytest.approx(1, abs=0.01)
    assert paper.scale.std().item() == pytest.approx(0.1, rel=0.05)
    assert paper.shift.std().item() == pytest.approx(0.1, rel=0.05)
    assert torch.allclose(unit.scale * gain, paper.scale, atol=1e-6)
    assert torch.allclose(unit.shift * gain, paper.shift, atol=1e-6)


@pytest.mark.parametrize(("channels", "components"), [(64, 10), (7, 1), (128, 20)])
def test_parameter_counts(channels, components):
    for attention_norm, rest in (("batch", 2 * components), ("group", 2 * components), ("none", components)):
        layer = AttentiveNorm(channels, components, attention_norm=attention_norm)
        assert sum(p.numel() for p in layer.parameters()) == 3 * components * channels + rest
    assert AttentiveNorm(channels).num_components == 10


def test_projection_starts_with_kaimings_fan_out():
    weight = AttentiveNorm(512, 20).proj.weight
    assert weight.std().item() == pytest.approx(math.sqrt(2 / 20), rel=0.05)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("jitter", [0.0, 0.1])
@pytest.mark.parametrize("attention_norm", ATTENTION_NORMS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_conversion_of_a_batch_norm_is_exact(activation, attention_norm, jitter, training):
    plain = make_batch_norm().double().train(training)
    plain.eps, plain.momentum = 1e-3, 0.01
    plain.num_batches_tracked.fill_(7)
    layer = AttentiveNorm.from_batchnorm(plain, 5, jitter=jitter, attention_norm=attention_norm, activation=activation)
    x = torch.randn(4, 6, 3, 5, dtype=DOUBLE) * 2 - 1
    assert layer.training == training
    assert (layer(x) - plain(x)).abs().max() < 1e-12
    # Statistics go on alike, so the two stay equal after the call.
    assert torch.allclose(layer.norm.running_var, plain.running_var, atol=1e-12)
    assert layer.norm.num_batches_tracked == plain.num_batches_tracked
    assert (layer.eval()(x) - plain.eval()(x)).abs().max() < 1e-12


@pytest.mark.parametrize(
    "kind", [nn.SyncBatchNorm, torchvision.ops.FrozenBatchNorm2d, timm.layers.FrozenBatchNormAct2d]
)
def test_conversion_of_other_batch_norms_is_exact_in_evaluation(kind):
    if kind is timm.layers.FrozenBatchNormAct2d:
        plain = make_batch_norm(lambda channels: kind(channels, apply_act=False)).eval()
    else:
        plain = make_batch_norm(kind).eval()
    x = torch.randn(4, 6, 3, 5)
    # SyncBatchNorm refuses CPU tensors in training; in evaluation it computes what BatchNorm2d does.
    expected = nn.functional.batch_norm(
        x, plain.running_mean, plain.running_var, plain.weight, plain.bias, eps=plain.eps
    )
    assert torch.allclose(AttentiveNorm.from_batchnorm(plain, 5)(x), expected, atol=1e-5)


def test_conversion_of_a_norm_without_affine_maps():
    plain = nn.BatchNorm2d(6, affine=False).eval()
    plain.running_var.uniform_(0.5, 2)
    x = torch.randn(2, 6, 3, 3)
    assert torch.allclose(AttentiveNorm.from_batchnorm(plain, 3)(x), plain(x), atol=1e-5)


def test_jitter_lets_the_components_diverge():
    x, wanted = torch.randn(8, 6, 4, 4, dtype=DOUBLE), torch.randn(8, 6, 4, 4, dtype=DOUBLE)

    def spread_after_training(jitter: float) -> float:
        layer = AttentiveNorm.from_batchnorm(make_batch_norm().double(), 4, jitter=jitter, attention_norm="none")
        optimiser = torch.optim.SGD(layer.parameters(), lr=0.5)
        for _ in range(20):
            optimiser.zero_grad()
            (layer(x) - wanted).square().mean().backward()
            optimiser.step()
        return layer.scale.std(0).max().item()

    assert spread_after_training(0.0) < 1e-12
    assert spread_after_training(0.1) > 1e-3


def test_expectation_mode_keeps_the_attention_random():
    plain = make_batch_norm()
    exact, loose = (AttentiveNorm.from_batchnorm(plain, 5, mode=mode) for mode in ("exact", "expectation"))
    assert not exact.attn_norm.weight.any()
    assert torch.equal(loose.attn_norm.weight, torch.ones(5))
    assert torch.allclose(loose.scale.sum(0), 2 * plain.weight, atol=1e-5)


def test_conversion_refuses_what_has_no_running_statistics():
    with pytest.raises(ValueError, match="got GroupNorm without running statistics"):
        AttentiveNorm.from_batchnorm(nn.GroupNorm(2, 6), 4)
    with pytest.raises(ValueError, match="mode is 'exactly'; choose"):
        AttentiveNorm.from_batchnorm(nn.BatchNorm2d(6), 4, mode="exactly")


def test_synchronising_and_freezing_converters_keep_tables_and_output():
    layer = make_norm().eval()
    x = torch.randn(3, 6, 4, 4, dtype=DOUBLE)
    y = layer(x)
    synced = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(layer))
    assert isinstance(synced, AttentiveNorm)
    assert isinstance(synced.norm, nn.SyncBatchNorm)
    assert isinstance(synced.attn_norm, nn.SyncBatchNorm)
    assert torch.equal(synced.scale, layer.scale)
    frozen = timm.layers.freeze_batch_norm_2d(copy.deepcopy(layer))
    assert isinstance(frozen, AttentiveNorm)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in frozen.modules())
    assert torch.allclose(frozen(x), y, atol=1e-9)


def test_one_training_picture_on_a_single_pixel_is_finite():
    layer = make_norm(norm="group", num_groups=6, attention_norm="group", activation="softmax")
    for candidate in (layer, make_norm(), make_norm(attention_norm="none")):
        assert candidate(torch.randn(1, 6, 1, 1, dtype=DOUBLE)).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("level", [0.0, 1000.0])
def test_large_values_under_autocast_stay_finite_and_right(dtype, level):
    layer = make_norm().float()
    x = torch.randn(4, 6, 8, 8) * 100 + level
    expected = copy.deepcopy(layer)(x.to(dtype).float())
    with torch.autocast("cpu", dtype=dtype):
        y = layer(x.to(dtype))
    assert y.dtype == dtype
    assert y.isfinite().all()
    assert (y.float() - expected).abs().max() < 0.03 * expected.abs().max()


def test_tables_are_named_so_that_helpers_that_zero_a_norm_pass_them_by():
    layer = make_norm()
    assert not hasattr(layer, "weight")
    assert not hasattr(layer, "bias")
    layer.zero_init()
    assert not layer(torch.randn(2, 6, 3, 3, dtype=DOUBLE)).any()


def test_gradients_are_right():
    layer = make_norm(3, 2)
    layer.norm.track_running_stats = layer.attn_norm.track_running_stats = False
    assert torch.autograd.gradcheck(layer, (torch.randn(3, 3, 2, 3, dtype=DOUBLE, requires_grad=True),))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_components": 0}, "num_components is 0; it must be at least 1"),
        ({"norm": "layer"}, "norm is 'layer'; choose 'batch' or 'group'"),
        ({"norm": "group", "num_groups": 4}, "num_groups is 4; it must divide the 6 channels"),
        ({"attention_norm": "layer"}, "attention_norm is 'layer'"),
        ({"activation": "relu"}, "activation is 'relu'"),
        ({"init_scale": "half"}, "init_scale is 'half'"),
    ],
)
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        AttentiveNorm(6, **arguments)
