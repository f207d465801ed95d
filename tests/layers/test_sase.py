import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sase_gan.layers.sase import SynthesisSASE
from sase_gan.reference.plain import plain_gate

DOUBLE = torch.float64


def parameter_count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@torch.no_grad()
def make_gate(source: int = 32, target: int = 6, **options) -> SynthesisSASE:
    """A gate in float64 whose every parameter and statistic differs from its start, power iterations converged."""
    gate = SynthesisSASE(source, target, **options).double()
    for module in gate.modules():
        if isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_(0, 0.3)
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
        if isinstance(module, nn.Conv2d) and parametrize.is_parametrized(module, "weight"):
            # One strong direction a group, so that the power iteration converges to the last digit.
            raw = module.parametrizations.weight.original
            for block in raw.chunk(gate.groups):
                flat = block.flatten(1)
                strong = torch.outer(torch.randn(len(flat), dtype=DOUBLE), torch.randn(flat.shape[1], dtype=DOUBLE))
                block.copy_((flat + 3 * flat.norm() * strong / strong.norm()).reshape(block.shape))
            for _ in range(60):
                _ = module.weight
    if gate.noise_strength is not None:
        gate.noise_strength.fill_(0.7)
    return gate


def raw_weight(module: nn.Module) -> Tensor:
    return module.parametrizations.weight.original if parametrize.is_parametrized(module, "weight") else module.weight


def reference(gate: SynthesisSASE, source: Tensor, target: Tensor, noise: Tensor | None = None) -> Tensor:
    """The formulae group by group, resized masks at the target's size, sigma by a singular value decomposition."""
    groups, channels = gate.groups, source.shape[1] // gate.groups

    def weight(module: nn.Module, k: int) -> Tensor:
        block = raw_weight(module).detach().chunk(groups)[k]
        spectral = parametrize.is_parametrized(module, "weight")
        return block / torch.linalg.svdvals(block.flatten(1))[0] if spectral else block

    def bias(module: nn.Module, k: int) -> Tensor:
        return module.bias.detach().chunk(groups)[k]

    def norm(module: nn.Module, x: Tensor, k: int) -> Tensor:
        rows = slice(k * x.shape[1], (k + 1) * x.shape[1])
        if isinstance(module, nn.GroupNorm):
            mean, var = x.mean((2, 3), keepdim=True), x.var((2, 3), unbiased=False, keepdim=True)
        elif module.training:
            mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), unbiased=False, keepdim=True)
        else:
            mean, var = module.running_mean[rows].reshape(1, -1, 1, 1), module.running_var[rows].reshape(1, -1, 1, 1)
        scale, shift = (p.detach()[rows].reshape(1, -1, 1, 1) for p in (module.weight, module.bias))
        return (x - mean) / (var + 1e-5).sqrt() * scale + shift

    numerator = torch.zeros_like(target)
    denominator = torch.full_like(target[:, :1], 1e-6)
    for k in range(groups):
        x = source[:, k * channels : (k + 1) * channels]
        pooled = x.mean((2, 3))
        hidden = pooled @ weight(gate.style_squeeze, k).flatten(1).T + bias(gate.style_squeeze, k)
        if not isinstance(gate.style_norm, nn.Identity):
            hidden = norm(gate.style_norm, hidden[:, :, None, None], k)[:, :, 0, 0]
        style = hidden.clamp(min=0) @ weight(gate.style_excite, k).flatten(1).T + bias(gate.style_excite, k)
        y = F.conv2d(x, weight(gate.mask_squeeze, k), bias(gate.mask_squeeze, k))
        y = norm(gate.mask_squeeze_norm, y, k).clamp(min=0)
        for dilated, dilated_norm in zip(gate.mask_dilated, gate.mask_dilated_norms, strict=True):
            d = dilated.dilation[0]
            y = F.conv2d(y, weight(dilated, k), bias(dilated, k), padding=d, dilation=d)
            y = norm(dilated_norm, y, k).clamp(min=0)
        logit = F.conv2d(y, weight(gate.mask_logit, k), bias(gate.mask_logit, k))
        if noise is not None:
            logit = logit + gate.noise_strength.detach() * noise
        mask = F.interpolate(1 / (1 + torch.exp(-logit)), size=target.shape[2:], mode="nearest")
        numerator += mask * style[:, :, None, None]
        denominator = denominator + mask
    return target * (1 + numerator / denominator)


def inputs(
    batch: int = 3, channels: int = 32, side: int = 6, target: tuple[int, ...] = (6, 9, 14)
) -> tuple[Tensor, Tensor]:
    return torch.randn(batch, channels, side, side, dtype=DOUBLE), torch.randn(batch, *target, dtype=DOUBLE)


OPTIONS = {
    "plain": {},
    "one_group": {"groups": 1},
    "eight_groups": {"groups": 8, "dilation": 4},
    "noise": {"noise": True},
    "no_spectral": {"spectral": False},
    "no_style_norm": {"style_norm": False, "num_dilated": 1},
    "instance": {"norm": "instance", "style_norm": False},
    "wide": {"reduction": 2, "min_width": 1},
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", OPTIONS)
def test_vectorised_form_equals_the_loop_over_groups(name, training):
    gate = make_gate(**OPTIONS[name]).train(training)
    source, target = inputs()
    noise = torch.randn(3, 1, 6, 6, dtype=DOUBLE) if name == "noise" else None
    expected = reference(gate, source, target, noise)
    assert (gate(source, target, noise) - expected).abs().max() < 1e-12


@pytest.mark.parametrize("size", [(12, 12), (6, 6), (96, 48), (3, 2), (7, 11), (1, 1), (5, 6), (13, 4)])
def test_gating_at_source_resolution_equals_the_literal_form(size):
    gate = make_gate(noise=True).eval()
    source, target = inputs(2, target=(6, *size))
    noise = torch.randn(2, 1, 6, 6, dtype=DOUBLE)
    fast = gate(source, target, noise)
    literal = plain_gate(gate, gate.masks(source, noise), gate.styles(source), target)
    assert (literal - fast).abs().max() < 1e-12


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("size", [(12, 12), (6, 6), (192, 20), (246, 6), (3, 2), (13, 4)])
def test_gating_by_rows_equals_resizing_bit_for_bit_in_the_format_of_the_target(size, channels_last):
    gate = make_gate().float().eval()
    source, target = (x.float() for x in inputs(2, target=(6, *size)))
    if channels_last:
        target = target.contiguous(memory_format=torch.channels_last)
    masks, styles = gate.masks(source), gate.styles(source)
    found = gate.apply_gate(masks, styles, target)
    assert torch.equal(found, target * F.interpolate(gate.gate(masks, styles), target.shape[2:], mode="nearest"))
    assert found.stride() == target.stride()


def test_zero_styles_leave_the_target_alone():
    gate = make_gate(noise=True)
    with torch.no_grad():
        gate.style_excite.bias.zero_()
        gate.style_norm.weight.zero_()
        gate.style_norm.bias.zero_()
    source, target = inputs()
    assert torch.equal(gate(source, target, torch.randn(3, 1, 6, 6, dtype=DOUBLE)), target)


def test_equal_styles_of_all_groups_act_alike_whatever_the_masks():
    gate = make_gate()
    masks = torch.rand(2, 4, 5, 5, dtype=DOUBLE)
    style = torch.randn(2, 1, 6, dtype=DOUBLE)
    mixed = gate.gate(masks, style.expand(2, 4, 6))
    share = masks.sum(1, keepdim=True) / (masks.sum(1, keepdim=True) + 1e-6)
    assert (mixed - (1 + share * style[:, 0, :, None, None])).abs().max() < 1e-13


def test_one_mask_at_work_gives_that_groups_style():
    gate = make_gate()
    masks = torch.zeros(1, 4, 2, 2, dtype=DOUBLE)
    masks[0, 2] = 1
    styles = torch.randn(1, 4, 6, dtype=DOUBLE)
    assert torch.allclose(
        gate.gate(masks, styles), (1 + styles[:, 2] / (1 + 1e-6))[:, :, None, None].expand(1, 6, 2, 2)
    )


def test_noise_is_one_map_shared_by_all_masks():
    gate = make_gate(noise=True).eval()
    source, _ = inputs()
    noise = torch.randn(3, 1, 6, 6, dtype=DOUBLE)
    shift = torch.logit(gate.masks(source, noise)) - torch.logit(gate.masks(source, None))
    assert torch.allclose(shift, (0.7 * noise).expand(3, 4, 6, 6), atol=1e-9)


def test_noise_starts_without_effect():
    gate = SynthesisSASE(32, 6, noise=True).double().eval()
    source, target = inputs()
    assert torch.equal(gate(source, target, torch.randn(3, 1, 6, 6, dtype=DOUBLE)), gate(source, target, None))


def test_a_groups_mask_depends_on_its_own_channels_alone():
    gate = make_gate().eval()
    source, _ = inputs()
    changed = source.clone()
    changed[:, 8:16] += 1
    moved = (gate.masks(changed) - gate.masks(source)).abs().amax((0, 2, 3))
    assert moved[1] > 1e-3
    assert not moved[[0, 2, 3]].any()
    style_moved = (gate.styles(changed) - gate.styles(source)).abs().amax((0, 2))
    assert style_moved[1] > 1e-3
    assert not style_moved[[0, 2, 3]].any()


@pytest.mark.parametrize(("dilation", "reach"), [(2, 4), (4, 8)])
def test_mask_sees_9_or_17_pixels(dilation, reach):
    gate = make_gate(dilation=dilation).eval()
    source = torch.randn(1, 32, 21, 21, dtype=DOUBLE, requires_grad=True)
    gate.masks(source)[0, :, 10, 10].sum().backward()
    touched = source.grad.abs().sum((0, 1)).nonzero()
    assert touched.min().item() == 10 - reach
    assert touched.max().item() == 10 + reach


@pytest.mark.parametrize(
    ("source", "target", "dilation", "noise", "count"),
    [(512, 64, 2, False, 15_524), (256, 32, 2, False, 4_052), (128, 16, 4, True, 1_101), (512, 128, 2, False, 17_828)],
)
def test_published_parameter_counts(source, target, dilation, noise, count):
    assert parameter_count(SynthesisSASE(source, target, dilation=dilation, noise=noise)) == count


@pytest.mark.parametrize(("source", "target", "groups", "n"), [(64, 5, 4, 2), (96, 7, 2, 3), (8, 3, 1, 1)])
def test_parameter_formula(source, target, groups, n):
    c = source // groups
    r = max(2, c // 16)
    style = c * r + r + 2 * r + r * target + target
    mask = c * r + r + 2 * r + n * (9 * r * r + 3 * r) + r + 1
    gate = SynthesisSASE(source, target, groups, num_dilated=n)
    assert parameter_count(gate) == groups * (style + mask)


# Spread at the start: specs of the released placement; 8 gates each hold the estimate to about a tenth.
@pytest.mark.parametrize(
    ("source", "target", "side", "spread"), [(512, 64, 8, 0.15), (256, 32, 16, 0.19), (128, 16, 32, 0.24)]
)
def test_gate_starts_around_one(source, target, side, spread):
    values = []
    for _ in range(8):
        gate = SynthesisSASE(source, target)
        x = torch.randn(8, source, side, side)
        with torch.no_grad():
            values.append(gate.gate(gate.masks(x), gate.styles(x)).flatten())
    values = torch.cat(values)
    assert values.mean().item() == pytest.approx(1, abs=0.05)
    assert values.std().item() == pytest.approx(spread, rel=0.3)


def test_linear_maps_keep_torchs_start_and_convolutions_take_the_familys():
    gate = SynthesisSASE(512, 64)
    assert raw_weight(gate.mask_squeeze).std().item() == pytest.approx(0.02, rel=0.1)
    # U(-b, b) with b = 1 / sqrt(fan in) has the spread b / sqrt(3); the fan in of a group is 128.
    assert raw_weight(gate.style_squeeze).std().item() == pytest.approx((128 * 3) ** -0.5, rel=0.1)
    assert gate.style_excite.bias.abs().max().item() <= 8**-0.5


def test_samples_are_independent_in_evaluation():
    gate = make_gate(noise=True).eval()
    source, target = inputs()
    noise = torch.randn(3, 1, 6, 6, dtype=DOUBLE)
    together = gate(source, target, noise)
    alone = torch.cat([gate(source[i : i + 1], target[i : i + 1], noise[i : i + 1]) for i in range(3)])
    assert (together - alone).abs().max() < 1e-13


def test_instance_statistics_do_not_depend_on_the_batch_in_training():
    gate = make_gate(norm="instance", style_norm=False)
    source, target = inputs()
    assert (gate(source, target)[:1] - gate(source[:1], target[:1])).abs().max() < 1e-12


def test_gradients_are_right():
    gate = make_gate(8, 2, groups=2, noise=True).eval()
    arguments = (
        torch.randn(2, 8, 3, 3, dtype=DOUBLE, requires_grad=True),
        torch.randn(2, 2, 5, 4, dtype=DOUBLE, requires_grad=True),
        torch.randn(2, 1, 3, 3, dtype=DOUBLE, requires_grad=True),
    )
    assert torch.autograd.gradcheck(gate, arguments, fast_mode=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": 5}, "groups is 5; it must divide the 32 source channels"),
        ({"source_channels": 0}, "source_channels is 0; it must be at least 1"),
        ({"target_channels": 0}, "target_channels is 0; it must be at least 1"),
        ({"dilation": 0}, "dilation is 0; it must be at least 1"),
        ({"norm": "layer"}, "norm is 'layer'; choose 'batch' or 'instance'"),
        ({"norm": "instance"}, "pass style_norm=False"),
    ],
)
def test_impossible_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SynthesisSASE(**{"source_channels": 32, "target_channels": 6, **options})


def test_the_published_design_is_the_default():
    gate = SynthesisSASE(128, 6)
    assert (gate.groups, gate.mask_squeeze.out_channels, gate.noise_strength, gate.weighting) == (4, 8, None, "share")
    assert [one.dilation for one in gate.mask_dilated] == [(2, 2)] * 2
    assert isinstance(gate.style_norm, torch.nn.BatchNorm2d)
    assert hasattr(gate.mask_squeeze, "parametrizations")
