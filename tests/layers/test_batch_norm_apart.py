import copy

import pytest
import torch
from torch import nn

from sase_gan.layers.batch_norm_apart import BatchNormApart, batches_apart


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_parts_are_normalised_as_batches_one_after_the_other(layout):
    norm = BatchNormApart(5).double()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    other = nn.BatchNorm2d(5).double()
    other.load_state_dict(norm.state_dict())
    x = torch.randn(6, 5, 3, 4, dtype=torch.float64)
    x[3:] = 4 * x[3:] + 2  # joined statistics would be far off
    x = x.contiguous(memory_format=layout).requires_grad_()
    upstream = torch.randn_like(x)
    with batches_apart(norm, 2):
        found = norm(x)
    expected = torch.cat([other(x[:3]), other(x[3:])])
    assert (found - expected).abs().max() < 1e-12
    inputs = [torch.autograd.grad(y, (x, *n.parameters()), upstream) for y, n in ((found, norm), (expected, other))]
    assert all((a - b).abs().max() < 1e-12 for a, b in zip(*inputs, strict=True))
    assert all(torch.allclose(a, b) for a, b in zip(norm.buffers(), other.buffers(), strict=True))
    assert found.is_contiguous(memory_format=layout)


def test_only_needed_gradients_are_computed():
    norm = BatchNormApart(2).requires_grad_(False)
    x = torch.randn(4, 2, 3, 3, requires_grad=True)
    with batches_apart(norm, 2):
        norm(x).square().sum().backward()
    assert x.grad.abs().sum() > 0
    assert norm.weight.grad is None


def test_outside_of_the_block_and_in_evaluation_it_is_torchs():
    norm = BatchNormApart(2)
    other = copy.deepcopy(norm)
    x = torch.randn(4, 2, 3, 3)
    with pytest.raises(RuntimeError), batches_apart(norm, 2):
        raise RuntimeError
    assert torch.equal(norm(x), nn.BatchNorm2d.forward(other, x))
    norm.eval()
    with batches_apart(norm, 2):
        assert torch.equal(norm(x), nn.BatchNorm2d.forward(other.eval(), x))
