from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sase_gan.layers.statistics import check_choice, check_counts, constant, like, normalise, wide, without_autocast


def make_batch_norm(norm_class=nn.BatchNorm2d) -> nn.Module:
    norm = norm_class(4)
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    nn.init.normal_(norm.bias)
    nn.init.normal_(norm.running_mean)
    nn.init.uniform_(norm.running_var, 0.5, 1.5)
    return norm


@pytest.mark.parametrize("shape", [(1, 4, 1, 1), (1, 4)])
def test_one_value_per_channel_uses_running_statistics_and_leaves_them(shape):
    norm = make_batch_norm(nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d)
    x = torch.randn(shape)
    # The reason for the guard: torch refuses this call.
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        norm(x)
    before = {key: value.clone() for key, value in norm.state_dict().items()}
    y = normalise(norm, x)
    column = (1, 4) + (1,) * (len(shape) - 2)
    expected = (x - norm.running_mean.reshape(column)) / (norm.running_var.reshape(column) + 1e-5).sqrt()
    expected = expected * norm.weight.reshape(column) + norm.bias.reshape(column)
    assert torch.allclose(y, expected, atol=1e-6)
    assert torch.equal(y, norm.eval()(x))
    assert all(torch.equal(before[key], value) for key, value in norm.state_dict().items())


@pytest.mark.parametrize("shape", [(2, 4, 1, 1), (1, 4, 1, 2)])
def test_two_values_per_channel_are_ordinary_training(shape):
    norm, other = make_batch_norm(), make_batch_norm()
    other.load_state_dict(norm.state_dict())
    x = torch.randn(shape)
    assert torch.equal(normalise(norm, x), other(x))
    assert torch.equal(norm.running_var, other.running_var)


def test_group_norm_of_single_values_leaves_its_shift_for_any_batch():
    norm = nn.GroupNorm(4, 4)
    nn.init.normal_(norm.bias)
    for batch in (1, 2):
        y = normalise(norm, torch.randn(batch, 4, 1, 1))
        assert torch.allclose(y, norm.bias.reshape(1, 4, 1, 1).expand(batch, 4, 1, 1), atol=1e-4)
    assert torch.equal(normalise(nn.GroupNorm(4, 4, affine=False), torch.randn(1, 4, 1, 1)), torch.zeros(1, 4, 1, 1))


def test_group_norm_of_several_values_is_untouched():
    norm, x = nn.GroupNorm(2, 4), torch.randn(1, 4, 1, 1)
    assert torch.equal(normalise(norm, x), F.group_norm(x, 2, norm.weight, norm.bias))


def test_half_precision_norm_takes_float32_and_returns_it():
    norm = nn.BatchNorm2d(4).half().eval()
    x = torch.tensor([1e6, -1e6, 3.0, 0.0]).reshape(1, 4, 1, 1)
    y = normalise(norm, x)
    assert y.dtype == torch.float32
    assert y.isfinite().all()


def test_wide_keeps_float64_and_raises_half_precision_to_float32():
    assert wide(torch.zeros(1, dtype=torch.float64)).dtype == torch.float64
    assert wide(torch.zeros(1, dtype=torch.bfloat16)).dtype == torch.float32
    x = torch.zeros(1)
    assert wide(x) is x


def test_autocast_is_off_within_the_block_and_on_after_it():
    a = torch.randn(2, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with without_autocast(a):
            assert (a @ a).dtype == torch.float32
        assert (a @ a).dtype == torch.bfloat16
    with without_autocast(torch.zeros(1, device="meta")):
        pass


def test_counts_below_one_and_unknown_choices_are_named():
    check_counts(groups=1, channels=2)
    with pytest.raises(ValueError, match="channels is 0; it must be at least 1"):
        check_counts(groups=1, channels=0)
    for known in ("batch", "group", "none"):
        check_choice("norm", known, ("batch", "group", "none"))
    with pytest.raises(ValueError, match="norm is 'layer'; choose 'batch', 'group' or 'none'"):
        check_choice("norm", "layer", ("batch", "group", "none"))


def test_a_single_value_is_divided_with_the_norms_own_epsilon():
    norm = nn.BatchNorm2d(4, eps=0.5)
    nn.init.uniform_(norm.running_var, 0.5, 1.5)
    x = torch.randn(1, 4, 1, 1)
    assert torch.allclose(normalise(norm, x), x / (norm.running_var.reshape(1, 4, 1, 1) + 0.5).sqrt(), atol=1e-6)


def test_what_a_half_precision_norm_cannot_hold_becomes_the_most_it_can_of_the_same_sign():
    y = normalise(nn.BatchNorm2d(4, eps=1e-12).half().eval(), torch.tensor([1e6, -1e6, 3.0, 0.0]).reshape(1, 4, 1, 1))
    assert y.flatten().tolist() == [65504, -65504, 3, 0]
    shift = nn.GroupNorm(4, 4).half()
    assert normalise(shift, torch.randn(1, 4, 1, 1)).dtype == torch.float32
    assert normalise(nn.BatchNorm2d(4).half().eval(), torch.zeros(2, 4, 1, 1).half()).dtype == torch.float16


def test_a_norm_without_parameters_takes_what_it_is_given():
    x = torch.randn(2, 4, 3, 3)
    assert torch.equal(normalise(nn.BatchNorm2d(4, affine=False).eval(), x), x / (1 + 1e-5) ** 0.5)


def test_results_lie_in_memory_as_their_maps_do():
    result, x = torch.randn(2, 4, 3, 3), torch.randn(2, 4, 3, 3)
    assert like(result, x) is result
    turned = like(result, x.contiguous(memory_format=torch.channels_last))
    assert turned.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(turned, result)
    # One channel lies either way: nothing is turned.
    alone = torch.randn(2, 4, 3, 3)
    assert like(alone, torch.randn(2, 1, 3, 3)).is_contiguous()


def ramp(count: int = 3, factor: int = 1) -> torch.Tensor:
    return factor * torch.arange(count)


def test_small_tables_are_made_once_for_each_kind():
    cpu = torch.device("cpu")
    table = constant(partial(ramp, 4, 2), torch.float64, cpu)
    assert table.tolist() == [0, 2, 4, 6]
    assert table.dtype == torch.float64
    assert constant(partial(ramp, 4, 2), torch.float64, cpu) is table
    assert constant(partial(ramp, 4, 2), torch.float32, cpu).dtype == torch.float32
    assert constant(partial(ramp, 4, 3), torch.float64, cpu).tolist() == [0, 3, 6, 9]
    assert constant(ramp, torch.float64, cpu).tolist() == [0, 1, 2]
    assert constant(ramp, torch.float64, torch.device("meta")).device.type == "meta"


def test_a_constant_that_was_first_made_without_gradients_serves_training():
    def table() -> torch.Tensor:
        return torch.tensor([2.0, 3.0])

    with torch.inference_mode():
        constant(table, torch.float64, torch.device("cpu"))
    x = torch.ones(2, dtype=torch.float64, requires_grad=True)
    (x * constant(table, torch.float64, torch.device("cpu"))).sum().backward()
    assert x.grad.tolist() == [2, 3]


def test_what_a_compiler_traces_is_equal_and_not_kept(monkeypatch):
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    make = partial(torch.arange, 3, 7)
    one, other = (constant(make, torch.float64, torch.device("cpu")) for _ in range(2))
    assert one.tolist() == [3, 4, 5, 6]
    assert one.dtype == torch.float64
    assert one is not other
    assert constant(make, torch.float32, torch.device("meta")).device.type == "meta"
