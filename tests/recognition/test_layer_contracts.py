"""What every recognition layer survives: shapes, batches, precisions, copies, converters, compilers, exporters."""

import copy
import io
import pickle
from itertools import pairwise

import pytest
import timm.layers
import torch
from torch import nn

from tests.recognition.layer_cases import LAYERS

CHANNELS = 8
every_layer = pytest.mark.parametrize("name", LAYERS)


def make(name: str, **kwargs) -> nn.Module:
    return LAYERS[name](CHANNELS, **kwargs)


def settle(layer: nn.Module) -> nn.Module:
    """Give running statistics and affine parameters values that are not their start, then leave training."""
    for module in layer.modules():
        if isinstance(module, nn.BatchNorm2d | nn.GroupNorm) and module.weight is not None:
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0.0, 0.1)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0.0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return layer.eval()


@every_layer
@pytest.mark.parametrize("shape", [(2, 1, 1), (2, 1, 7), (1, 5, 3), (1, 1, 1), (3, 8, 8)])
def test_any_size_and_batch_keeps_the_shape(name, shape):
    x = torch.randn(shape[0], CHANNELS, *shape[1:])
    for training in (True, False):
        y = make(name).train(training)(x)
        assert y.shape == x.shape
        assert y.isfinite().all()


@every_layer
@pytest.mark.filterwarnings("ignore:var_mean")
def test_empty_batch_in_evaluation(name):
    assert settle(make(name))(torch.zeros(0, CHANNELS, 4, 4)).shape == (0, CHANNELS, 4, 4)


@every_layer
def test_input_is_left_as_it_was(name):
    x = torch.randn(2, CHANNELS, 4, 5)
    kept = x.clone()
    make(name)(x)
    assert torch.equal(x, kept)


@every_layer
def test_samples_are_independent_and_ordered_in_evaluation(name):
    layer, x = settle(make(name).double()), torch.randn(4, CHANNELS, 5, 6, dtype=torch.float64)
    y = layer(x)
    assert torch.allclose(y, torch.cat([layer(sample[None]) for sample in x]), atol=1e-12)
    order = torch.tensor([2, 0, 3, 1])
    assert torch.allclose(layer(x[order]), y[order], atol=1e-12)
    assert torch.equal(layer(x), y)


@every_layer
def test_copies_are_equal(name):
    layer, x = settle(make(name)), torch.randn(2, CHANNELS, 5, 5)
    y = layer(x)
    assert torch.equal(copy.deepcopy(layer)(x), y)
    assert torch.equal(pickle.loads(pickle.dumps(layer))(x), y)
    buffer = io.BytesIO()
    torch.save(layer.state_dict(), buffer)
    buffer.seek(0)
    other = make(name).eval()
    other.load_state_dict(torch.load(buffer, weights_only=True))
    assert torch.equal(other(x), y)


@every_layer
def test_channels_last_is_equal_and_kept(name):
    layer, x = settle(make(name).double()), torch.randn(2, CHANNELS, 6, 5, dtype=torch.float64)
    y = layer(x.to(memory_format=torch.channels_last))
    assert torch.allclose(y, layer(x), atol=1e-12)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert layer(x).is_contiguous()


@every_layer
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(name, dtype):
    layer, x = settle(make(name)), torch.randn(2, CHANNELS, 6, 6)
    y = layer(x)
    half = copy.deepcopy(layer).to(dtype)(x.to(dtype))
    assert half.dtype == dtype
    assert (half.float() - y).abs().max() < 0.05 * (1 + y.abs().max())
    with torch.autocast("cpu", dtype=dtype):
        mixed = layer(x)
    assert (mixed.float() - y).abs().max() < 0.05 * (1 + y.abs().max())


@pytest.mark.parametrize("name", [n for n in LAYERS if not n.startswith(("aw", "sase"))])
def test_large_half_precision_inputs_stay_finite(name):
    x = torch.full((2, CHANNELS, 6, 6), 1000.0, dtype=torch.float16) + torch.randn(2, CHANNELS, 6, 6).half()
    assert settle(make(name)).half()(x).isfinite().all()


@every_layer
def test_device_and_dtype_arguments_reach_every_tensor(name):
    layer = make(name, device="meta", dtype=torch.float64)
    tensors = [*layer.parameters(), *(b for b in layer.buffers() if b.is_floating_point())]
    assert all(t.device.type == "meta" and t.dtype == torch.float64 for t in tensors)
    assert layer(torch.zeros(2, CHANNELS, 5, 5, device="meta", dtype=torch.float64)).shape == (2, CHANNELS, 5, 5)


@every_layer
def test_gradient_reaches_every_parameter(name):
    layer, x = make(name), torch.randn(4, CHANNELS, 6, 6, requires_grad=True)
    (layer(x) * torch.randn(4, CHANNELS, 6, 6)).sum().backward()
    assert x.grad.abs().sum() > 0
    for key, parameter in layer.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().sum() > 0, key


@every_layer
def test_reset_parameters_draws_anew(name):
    layer = settle(make(name))
    before = [p.detach().clone() for p in layer.parameters()]
    layer.reset_parameters()
    # Drawn weights change, those that start at a constant return to it.
    assert all(not torch.equal(a, b) for a, b in zip(before, layer.parameters(), strict=True) if a.std() > 0)


@every_layer
def test_converters_keep_the_layer(name):
    layer, x = settle(make(name).double()), torch.randn(2, CHANNELS, 5, 5, dtype=torch.float64)
    y = layer(x)
    synced = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(layer))
    assert type(synced) is type(layer)
    assert not any(type(m) is nn.BatchNorm2d for m in synced.modules())
    if not torch.cuda.is_available():  # where there is one, timm's takes no picture on the CPU
        assert torch.allclose(timm.layers.convert_sync_batchnorm(copy.deepcopy(layer))(x), y, atol=1e-12)
    frozen = timm.layers.freeze_batch_norm_2d(copy.deepcopy(layer))
    assert not any(type(m) is nn.BatchNorm2d for m in frozen.modules())
    assert torch.allclose(frozen(x), y, atol=1e-9)


@pytest.mark.usefixtures("without_shape_checks")
@pytest.mark.slow
@every_layer
def test_compiles_without_a_break(name):
    layer = settle(make(name))
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager", dynamic=True)
    for shape in ((2, 6, 6), (3, 5, 7)):
        x = torch.randn(shape[0], CHANNELS, *shape[1:])
        assert torch.allclose(compiled(x), layer(x), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_exports_to_onnx_with_a_free_batch(name, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    layer, path = settle(make(name)), tmp_path / "layer.onnx"
    torch.onnx.export(
        layer,
        (torch.randn(2, CHANNELS, 6, 6),),
        path,
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        external_data=False,
        verbose=False,
    )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch in (1, 3):
        x = torch.randn(batch, CHANNELS, 6, 6)
        (result,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        assert torch.allclose(torch.from_numpy(result), layer(x), atol=1e-4)


def test_cases_are_distinct():
    printed = [repr(make(name)) for name in LAYERS]
    assert all(a != b for a, b in pairwise(printed))
