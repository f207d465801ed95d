import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sase_gan.layers.statistics import normalise, wide, without_autocast


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
