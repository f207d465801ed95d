import copy

import pytest
import torch
from torch import nn

from sase_gan.layers.primitives import UpsampleConv, conv
from sase_gan.layers.spectral_norm import (
    GroupedSpectralNorm,
    fold_spectral_norm,
    frozen_power_iteration,
    spectral_norm,
    start_as_released,
)


def grouped_conv(groups: int = 4, *, in_channels: int = 8, out_channels: int = 12, size: int = 3) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, size, padding=size // 2, groups=groups).double()


def settled(module: nn.Module, steps: int = 200) -> nn.Module:
    for _ in range(steps):
        _ = module.weight
    return module


def vectors(module: nn.Module) -> list[torch.Tensor]:
    return [buffer.clone() for buffer in module.buffers()]


def test_each_group_is_divided_by_its_own_largest_singular_value():
    module = grouped_conv()
    raw = module.weight.detach().clone()
    with torch.no_grad():  # groups of very different strength: one norm over the stack would be far off
        for k, strength in enumerate((0.1, 1.0, 7.0, 50.0)):
            module.weight[3 * k : 3 * k + 3] *= strength
            raw[3 * k : 3 * k + 3] *= strength
    settled(spectral_norm(module, groups=4))
    for k in range(4):
        block = raw[3 * k : 3 * k + 3]
        expected = block / torch.linalg.svdvals(block.flatten(1))[0]
        assert (module.weight[3 * k : 3 * k + 3] - expected).abs().max() < 1e-9
    stacked = raw / torch.linalg.svdvals(raw.flatten(1))[0]
    assert (module.weight - stacked).abs().max() > 0.1


@pytest.mark.parametrize("dim", [0, 1])
def test_whole_weight_has_unit_largest_singular_value(dim):
    module = nn.Conv2d(5, 6, 3).double()
    settled(spectral_norm(module, dim=dim))
    matrix = module.weight.transpose(0, dim).flatten(1)
    assert torch.linalg.svdvals(matrix)[0].item() == pytest.approx(1, abs=1e-9)


def test_one_group_equals_torchs_parametrisation():
    ours, theirs = grouped_conv(1), grouped_conv(1)
    theirs.load_state_dict(ours.state_dict())
    nn.utils.parametrize.register_parametrization(ours, "weight", GroupedSpectralNorm(ours.weight, 1))
    settled(ours)
    settled(spectral_norm(theirs))
    assert (ours.weight - theirs.weight).abs().max() < 1e-9


@pytest.mark.parametrize(("groups", "dim", "shape"), [(1, 0, (6, 5, 3, 3)), (3, 0, (6, 5, 3, 3)), (1, 1, (5, 6, 4))])
def test_a_gradient_that_is_differentiated_again_is_the_same(groups, dim, shape):
    module = nn.Module()
    module.weight = nn.Parameter(torch.randn(shape, dtype=torch.float64))
    spectral_norm(module, groups=groups, dim=dim)
    raw, upstream = module.parametrizations.weight.original, torch.randn(shape, dtype=torch.float64)
    weight = module.eval().weight
    (plain,) = torch.autograd.grad(weight, raw, upstream, retain_graph=True)
    (again,) = torch.autograd.grad(weight, raw, upstream, create_graph=True)
    assert torch.allclose(plain, again, atol=1e-12)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("dim", "shape"), [(0, (6, 5, 3, 3)), (0, (6, 5)), (1, (5, 6, 4))])
def test_whole_norm_is_torchs_in_value_gradient_and_vectors(layout, dim, shape):
    raw = torch.randn(shape, dtype=torch.float64)
    raw = raw.contiguous(memory_format=layout) if raw.ndim == 4 else raw
    ours, theirs = (nn.Module() for _ in range(2))
    for module, parametrise in ((ours, spectral_norm), (theirs, nn.utils.parametrizations.spectral_norm)):
        module.weight = nn.Parameter(raw.clone())
        torch.manual_seed(0)
        parametrise(module, dim=dim)
    upstream = torch.randn(shape, dtype=torch.float64)
    for training in (True, True, False):
        found, expected = (module.train(training).weight for module in (ours, theirs))
        assert (found - expected).abs().max() < 1e-12
        originals = [module.parametrizations.weight.original for module in (ours, theirs)]
        (one,), (other,) = (
            torch.autograd.grad(weight, original, upstream)
            for weight, original in zip((found, expected), originals, strict=True)
        )
        assert (one - other).abs().max() < 1e-12
        assert found.stride() == one.stride() == raw.stride()
        for a, b in zip(vectors(ours), vectors(theirs), strict=True):
            assert (a - b).abs().max() < 1e-12


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("groups", [1, 2])
def test_released_start_and_order_are_those_of_torchs_first_norm(layout, groups):
    raw = torch.randn(6, 5, 3, 3, dtype=torch.float64).contiguous(memory_format=layout)
    ours, theirs = nn.Module(), [nn.Conv2d(5, 6 // groups, 3, bias=False).double() for _ in range(groups)]
    ours.weight = nn.Parameter(raw.clone())
    spectral_norm(ours, groups=groups)
    start_as_released(ours, torch.Generator().manual_seed(0))
    starts = vectors(ours)
    assert all((vector.norm(dim=-1) - 1).abs().max() < 1e-6 for vector in starts)
    for part, weight, left in zip(theirs, raw.chunk(groups), starts[0].reshape(groups, -1), strict=True):
        part.weight.data = weight.clone()
        nn.utils.spectral_norm(part)
        part.weight_u.copy_(left)
    upstream, x = torch.randn(raw.shape, dtype=torch.float64), torch.zeros(1, 5, 3, 3, dtype=torch.float64)
    for _ in range(3):
        for part in theirs:
            part(x)  # advances its norm
        found, expected = ours.weight, torch.cat([part.weight for part in theirs])
        assert (found - expected).abs().max() < 1e-12
        (one,) = torch.autograd.grad(found, ours.parametrizations.weight.original, upstream)
        others = torch.autograd.grad(expected, [part.weight_orig for part in theirs], upstream)
        assert (one - torch.cat(others)).abs().max() < 1e-12


@pytest.mark.parametrize("groups", [1, 3])
def test_gradient_of_the_gradient_is_that_of_the_quotient(groups):
    module = spectral_norm(nn.Conv2d(3, 6, 2, groups=groups).double(), groups=groups).eval()
    raw = module.parametrizations.weight.original.detach().clone().requires_grad_()
    assert torch.autograd.gradgradcheck(module.parametrizations.weight[0], (raw,))


def test_few_steps_at_construction_are_close_already():
    module = grouped_conv()
    raw = module.weight.detach().clone()
    spectral_norm(module, groups=4).eval()
    for k in range(4):
        sigma = torch.linalg.svdvals(raw[3 * k : 3 * k + 3].flatten(1))[0]
        estimate = (raw[3 * k, 0, 0, 0] / module.weight[3 * k, 0, 0, 0]).abs()
        assert estimate.item() == pytest.approx(sigma.item(), rel=0.05)


def test_gradient_is_that_of_the_division_by_sigma():
    # d sigma / d W = u v^T at the singular vectors, so with u, v held fixed the quotient rule gives the gradient.
    module = spectral_norm(grouped_conv(), groups=4).eval()
    raw = module.parametrizations.weight.original

    def normalised(weight: torch.Tensor) -> torch.Tensor:
        return module.parametrizations.weight[0](weight)

    assert torch.autograd.gradcheck(normalised, (raw.detach().clone().requires_grad_(),))


def test_two_forwards_before_one_backward_do_not_disturb_each_other():
    module = spectral_norm(grouped_conv(), groups=4)
    x = torch.randn(2, 8, 4, 4, dtype=torch.float64)
    first, second = module(x), module(2 * x)
    (first.sum() + second.sum()).backward()
    assert module.parametrizations.weight.original.grad.isfinite().all()


def test_power_iteration_runs_in_training_only():
    module = spectral_norm(grouped_conv(), groups=4)
    before = vectors(module)
    with torch.no_grad():
        module.parametrizations.weight.original.add_(torch.randn(12, 2, 3, 3))
    module.eval()
    _ = module.weight
    assert all(torch.equal(a, b) for a, b in zip(before, vectors(module), strict=True))
    module.train()
    _ = module.weight
    assert not any(torch.equal(a, b) for a, b in zip(before, vectors(module), strict=True))


def test_frozen_power_iteration_keeps_vectors_and_modes_and_gradients():
    network = nn.Sequential(conv(3, 4, 3), spectral_norm(nn.Conv2d(4, 4, 1, groups=2), groups=2), nn.BatchNorm2d(4))
    with torch.no_grad():
        for module in network[:2]:
            module.parametrizations.weight.original.add_(torch.randn_like(module.parametrizations.weight.original))
    kept = [vectors(module) for module in network[:2]]
    with frozen_power_iteration(network):
        network(torch.randn(2, 3, 5, 5)).square().sum().backward()
        assert network[2].training
    for module, before in zip(network[:2], kept, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(before, vectors(module), strict=True))
        assert module.parametrizations.weight.original.grad.abs().sum() > 0
        assert module.parametrizations["weight"][0].training
    network(torch.randn(2, 3, 5, 5))
    assert not torch.equal(kept[0][0], vectors(network[0])[0])


def test_frozen_power_iteration_restores_after_an_error_and_keeps_evaluation():
    network = nn.Sequential(conv(3, 4, 3), conv(4, 4, 1))
    network[1].eval()
    with pytest.raises(RuntimeError), frozen_power_iteration(network):
        raise RuntimeError
    assert [module.parametrizations["weight"][0].training for module in network] == [True, False]


def test_folding_keeps_the_function_and_leaves_plain_weights():
    network = nn.Sequential(
        conv(3, 4, 3, padding=1), UpsampleConv(4, 4), spectral_norm(nn.Conv2d(4, 4, 1, groups=2), groups=2)
    ).eval()
    x = torch.randn(2, 3, 5, 5)
    y = network(x)
    fold_spectral_norm(network)
    assert torch.equal(network(x), y)
    assert sorted(network.state_dict()) == ["0.weight", "1.weight", "2.bias", "2.weight"]


def test_folding_in_training_mode_does_not_iterate():
    module = conv(3, 4, 3)
    with torch.no_grad():
        module.parametrizations.weight.original.add_(torch.randn(4, 3, 3, 3))
    expected = copy.deepcopy(module).eval().weight
    fold_spectral_norm(module)
    assert torch.equal(module.weight, expected)


def test_groups_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="groups is 5; it must divide the 12 output channels"):
        GroupedSpectralNorm(torch.randn(12, 2, 3, 3), 5)


def test_weight_is_computed_in_float32_under_autocast():
    module = spectral_norm(nn.Conv2d(8, 8, 1, groups=4), groups=4).eval()
    plain = module.weight.detach().clone()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(module.weight, plain)
