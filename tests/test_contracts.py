"""What every layer of the generator and every network survives. One table of cases, one test a property.

The recognition layers have a table of their own, with the properties that timm and torchvision ask for besides:
`tests/recognition/test_layer_contracts.py`. A test below sees to it that no layer is in neither.
"""

import copy
import importlib
import inspect
import io
import pickle
import pkgutil
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils import _pytree as pytree

import sase_gan.layers
from sase_gan.colours import CHANNELS
from sase_gan.layers.attentive_norm import AttentiveNorm
from sase_gan.layers.aw_conv import AWUpsampleConv
from sase_gan.layers.excitation import SkipExcitation
from sase_gan.layers.primitives import GatedLinearUnit, NoiseInjection, UpsampleConv
from sase_gan.layers.sase import SynthesisSASE
from sase_gan.layers.spectral_norm import GroupedSpectralNorm, spectral_norm
from sase_gan.networks.channel_tables import map_size
from sase_gan.networks.discriminator import Discriminator, DiscriminatorConfig
from sase_gan.networks.generator import Generator, GeneratorConfig, Pictures
from sase_gan.networks.parts import norm_factory
from sase_gan.networks.pyramid_stages import PatchDiscriminator, PyramidStage
from tests.recognition.layer_cases import LAYERS as RECOGNITION_LAYERS

Shape = tuple[int, int, int]
"""Batch, height, width."""


class Case(NamedTuple):
    build: Callable[[], nn.Module]
    inputs: Callable[[Shape], tuple[Any, ...]]
    output: Callable[[Shape], tuple[int, ...]] | None = None


def one_map(channels: int) -> Callable[[Shape], tuple[Any, ...]]:
    return lambda shape: (torch.randn(shape[0], channels, *shape[1:]),)


def two_maps(shape: Shape) -> tuple[Any, ...]:
    """A source, a target of odd proportions to it, and one map of noise."""
    batch, height, width = shape
    source, target = torch.randn(batch, 16, height, width), torch.randn(batch, 6, 2 * height + 1, 3 * width)
    return source, target, torch.randn(batch, 1, height, width)


def target_size(shape: Shape) -> tuple[int, ...]:
    return shape[0], 6, 2 * shape[1] + 1, 3 * shape[2]


def same(channels: int) -> Callable[[Shape], tuple[int, ...]]:
    return lambda shape: (shape[0], channels, *shape[1:])


def doubled(shape: Shape) -> tuple[int, ...]:
    return shape[0], 6, 2 * shape[1], 2 * shape[2]


def sase(**options: Any) -> Case:
    return Case(lambda: SynthesisSASE(16, 6, noise=True, **options), two_maps, target_size)


def attentive(**options: Any) -> Case:
    return Case(lambda: AttentiveNorm(6, 3, **options), one_map(6), same(6))


LAYERS = {
    "sase": sase(),
    "sase_dilated": sase(groups=2, dilation=4),
    "sase_instance": sase(norm="instance", style_norm=False),
    "sase_plain_weights": sase(spectral=False, style_norm=False),
    "skip_excitation": Case(lambda: SkipExcitation(16, 6), lambda shape: two_maps(shape)[:2], target_size),
    "attentive": attentive(),
    "attentive_unit_softmax": attentive(init_scale="unit", activation="softmax", attention_norm="none"),
    "attentive_instance": attentive(norm="group", num_groups=6, attention_norm="group"),
    "upsample": Case(lambda: UpsampleConv(4, 6), one_map(4), doubled),
    "upsample_unbounded": Case(lambda: UpsampleConv(4, 6, spectral=False), one_map(4), doubled),
    "upsample_aw": Case(lambda: AWUpsampleConv(4, 6), one_map(4), doubled),
    "upsample_aw_spectral": Case(lambda: spectral_norm(AWUpsampleConv(4, 6)), one_map(4), doubled),
    "noise": Case(
        NoiseInjection,
        lambda shape: (torch.randn(shape[0], 6, *shape[1:]), torch.randn(shape[0], 1, *shape[1:])),
        same(6),
    ),
    "gated_linear_unit": Case(GatedLinearUnit, one_map(12), same(6)),
}


def generator(**options: Any) -> Case:
    config = GeneratorConfig(**{"image_size": 32, "width": 4, "latent_size": 8, "num_components": 3, **options})
    sizes, classes = Generator(config).noise_shapes(), len(config.classes)

    def inputs(shape: Shape) -> tuple[Any, ...]:
        plain = torch.randn(shape[0], 8), [torch.randn(shape[0], *size) for size in sizes]
        return (*plain, None, None, torch.rand(shape[0], classes)) if classes else plain

    return Case(lambda: Generator(config), inputs)


def discriminator(**options: Any) -> Case:
    config = DiscriminatorConfig(**{"image_size": 32, "width": 4, "decoder_width": 4, **options})
    channels = CHANNELS[config.colours]
    big, small = (map_size(side, config.first_map) for side in (config.image_size, min(128, config.image_size // 2)))

    def pictures(shape: Shape) -> tuple[Any, ...]:
        plain = Pictures(torch.randn(shape[0], channels, *big), torch.randn(shape[0], channels, *small)), 1
        return (*plain, torch.rand(shape[0], config.classes)) if config.classes else plain

    return Case(lambda: Discriminator(config), pictures)


def pyramid_stage(colours: int) -> Case:
    norm = norm_factory("none", num_components=1, init_scale="unit")

    def inputs(shape: Shape) -> tuple[Any, ...]:
        return *(torch.randn(shape[0], colours, 12, 14) for _ in range(2)), "zero"

    return Case(lambda: PyramidStage(8, norm=norm, dilation=None, gate_norm="instance", colours=colours), inputs)


NETWORKS = {
    "generator": generator(),
    "generator_released": generator(norm="batch", output="tanh"),
    "generator_fastgan": generator(norm="batch", skip="sle", width=8),
    "generator_64": generator(image_size=64, init_scale="paper"),
    "generator_published": generator(spectral_norm=False),
    "generator_wide": generator(first_map=(4, 6)),
    "generator_rgba": generator(colours="rgba"),
    "generator_classes": generator(classes=("a", "b", "c"), class_counts=(3, 2, 4)),
    "generator_aw_multi_scale": generator(conv="aw", attention="efficient_multi_scale"),
    "generator_se": generator(attention="se", spectral_norm=False),
    "pyramid_stage": pyramid_stage(3),
    "pyramid_stage_grey": pyramid_stage(1),
    "pyramid_stage_rgba": pyramid_stage(4),
    "patch_discriminator_grey": Case(
        lambda: PatchDiscriminator(8, colours=1), lambda shape: (torch.randn(shape[0], 1, 14, 13),)
    ),
    "discriminator": discriminator(),
    "discriminator_aw_multi_scale": discriminator(conv="aw", attention="efficient_multi_scale"),
    "discriminator_se": discriminator(attention="se"),
    "discriminator_classes": discriminator(classes=3),
    "discriminator_grey": discriminator(colours="grey"),
    "discriminator_tall": discriminator(first_map=(7, 4), downsample="nearest"),
    "discriminator_64": discriminator(image_size=64, width=8, downsample="nearest"),
}
CASES = LAYERS | NETWORKS
every_layer = pytest.mark.parametrize("name", LAYERS)
every_network = pytest.mark.parametrize("name", NETWORKS)
every_case = pytest.mark.parametrize("name", CASES)
SHAPE = (3, 5, 4)


@torch.no_grad()
def make(name: str) -> nn.Module:
    """A module whose parameters and statistics differ from their start, in training mode."""
    module = CASES[name].build()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d | nn.GroupNorm) and part.weight is not None:
            part.weight.uniform_(0.5, 1.5)
            part.bias.normal_(0.5, 0.2)  # above 0, so that no rectifier is shut by chance
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.2, 1.0)
    for key, parameter in module.named_parameters():
        if key.endswith("strength"):
            parameter.fill_(0.4)
    return module


def inputs_of(name: str, shape: Shape = SHAPE, *, dtype: torch.dtype = torch.float32) -> tuple[Any, ...]:
    return mapped(lambda tensor: tensor.to(dtype), CASES[name].inputs(shape))


def mapped(function: Callable[[Tensor], Tensor], tree: Any) -> Any:
    return pytree.tree_map(lambda leaf: function(leaf) if isinstance(leaf, Tensor) else leaf, tree)


def tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, Tensor)]


def equal(one: Any, other: Any) -> bool:
    pairs = zip(tensors(one), tensors(other), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def distance(one: Any, other: Any) -> float:
    pairs = zip(tensors(one), tensors(other), strict=True)
    return max(((a.double() - b.double()).abs().max().item() for a, b in pairs if a.numel()), default=0.0)


@every_layer
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 1), (1, 1, 7), (2, 6, 1), (1, 5, 3), (3, 8, 8)])
def test_any_size_and_batch(name, shape):
    for training in (True, False):
        module = make(name).train(training)
        y = module(*inputs_of(name, shape))
        assert y.shape == LAYERS[name].output(shape)
        assert y.isfinite().all()


@every_network
def test_batch_of_one(name):
    for training in (True, False):
        assert all(y.isfinite().all() for y in tensors(make(name).train(training)(*inputs_of(name, (1, 0, 0)))))


@every_case
def test_equal_twice_in_evaluation_and_nothing_is_remembered(name):
    module, arguments = make(name).eval(), inputs_of(name)
    before = copy.deepcopy(module.state_dict())
    first = module(*arguments)
    module(*inputs_of(name))
    assert equal(first, module(*arguments))
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())


@every_case
def test_samples_are_independent_in_evaluation(name):
    module, arguments = make(name).double().eval(), inputs_of(name, dtype=torch.float64)
    together = module(*arguments)
    for i in range(SHAPE[0]):
        alone = module(*mapped(lambda tensor: tensor[i : i + 1], arguments))  # noqa: B023 - used at once
        assert distance(alone, mapped(lambda tensor: tensor[i : i + 1], together)) < 1e-11  # noqa: B023


@every_case
def test_inputs_are_left_as_they_were(name):
    arguments = inputs_of(name)
    kept = mapped(torch.clone, arguments)
    make(name)(*arguments)
    assert equal(arguments, kept)


@every_case
def test_deep_copy_after_a_forward_pass_is_equal_and_separate(name):
    module, arguments = make(name), inputs_of(name)
    module(*arguments)
    copied = copy.deepcopy(module)
    # In training too: power iterations, running statistics.
    assert equal(module(*arguments), copied(*arguments))
    module.eval()
    y = module(*arguments)
    assert equal(y, copied.eval()(*arguments))
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.add_(1)
    assert equal(y, module(*arguments))


@every_case
def test_state_survives_a_file(name):
    module, other, arguments = make(name), make(name), inputs_of(name)
    module(*arguments)
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True), strict=True)
    assert equal(module.eval()(*arguments), other.eval()(*arguments))


@every_case
def test_pickles_without_parametrisations(name):
    module, arguments = make(name).eval(), inputs_of(name)
    if any(parametrize.is_parametrized(part) for part in module.modules()):
        # Torch's own rule: spectrally normalised modules travel as state only.
        with pytest.raises(RuntimeError, match=r"only supported through state_dict"):
            pickle.dumps(module)
    else:
        assert equal(pickle.loads(pickle.dumps(module))(*arguments), module(*arguments))


@every_case
def test_gradient_reaches_every_parameter_and_every_input(name):
    # In evaluation: in training a bias before a batch norm has no gradient by mathematics.
    module = make(name).double().eval()
    arguments = mapped(lambda tensor: tensor.double().requires_grad_(), inputs_of(name, (4, 6, 6)))
    outputs = tensors(module(*arguments))
    reached = [y for y in outputs if y.requires_grad and y.grad_fn is not None]
    sum((y * torch.randn_like(y)).sum() for y in reached).backward()
    for key, parameter in module.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().max() > 0, key
    assert all(tensor.grad.abs().max() > 0 for tensor in tensors(arguments))


@every_case
def test_every_parameter_takes_part_in_training(name):
    module = make(name)
    outputs = tensors(module(*inputs_of(name)))
    trained = [y for y in outputs if y.requires_grad]
    if not trained:
        assert not list(module.parameters())
        return
    sum((y * torch.randn_like(y)).sum() for y in trained).backward()
    for key, parameter in module.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key


@every_case
def test_channels_last_is_equal(name):
    module, arguments = make(name).double().eval(), inputs_of(name, dtype=torch.float64)
    y = module(*arguments)
    module.to(memory_format=torch.channels_last)
    strided = mapped(
        lambda tensor: tensor.to(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor, arguments
    )
    assert distance(module(*strided), y) < 1e-11


@every_case
def test_bfloat16(name):
    module, arguments = make(name).eval(), inputs_of(name)
    y = module(*arguments)
    level = 1 + max(t.abs().max().item() for t in tensors(y))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = module(*arguments)
    assert all(t.isfinite().all() for t in tensors(mixed))
    assert distance(mixed, y) < 0.1 * level
    low = module.to(torch.bfloat16)(*mapped(lambda tensor: tensor.bfloat16(), arguments))
    assert {t.dtype for t in tensors(low)} == {torch.bfloat16}
    assert distance(low, y) < 0.15 * level


@every_layer
def test_result_keeps_the_type_of_the_input(name):
    for dtype in (torch.float32, torch.float64):
        assert make(name).to(dtype)(*inputs_of(name, dtype=dtype)).dtype == dtype


@pytest.mark.usefixtures("without_shape_checks")
@pytest.mark.parametrize("name", ["sase", "attentive", "upsample", "generator_published"])
def test_compiles_into_one_graph(name):
    torch._dynamo.reset()
    module, arguments = make(name).eval(), inputs_of(name)
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    with torch.no_grad():
        assert distance(compiled(*arguments), module(*arguments)) < 1e-6


@pytest.mark.usefixtures("without_shape_checks")
@pytest.mark.slow
@every_case
def test_compiled_training_step_has_the_same_gradients(name):
    torch._dynamo.reset()
    module, arguments = make(name).eval(), inputs_of(name)
    if not list(module.parameters()):
        pytest.skip("nothing to train")

    def gradients(function: Callable[..., Any]) -> list[Tensor]:
        module.zero_grad()
        sum(t.square().mean() for t in tensors(function(*arguments))).backward()
        return [parameter.grad.clone() for parameter in module.parameters()]

    plain = gradients(module)
    assert distance(gradients(torch.compile(module, fullgraph=True, backend="aot_eager")), plain) < 1e-5


@pytest.mark.parametrize("name", ["sase", "skip_excitation", "attentive", "upsample"])
def test_exports_with_a_free_batch_and_free_sides(name):
    module, arguments = make(name).eval(), inputs_of(name)
    auto = torch.export.Dim.AUTO
    program = torch.export.export(
        module, arguments, dynamic_shapes=tuple({0: auto, 2: auto, 3: auto} for _ in arguments)
    )
    for shape in ((2, 5, 4), (4, 8, 6)):
        other = inputs_of(name, shape)
        # In float32, of values up to 8; an exported layer takes the plain way, here it may take the one of few passes.
        assert distance(program.module()(*other), module(*other)) < 4e-6


@pytest.mark.slow
@pytest.mark.parametrize("name", ["generator_published", "generator_64"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_published_generator_runs_in_onnx_with_a_free_batch(name, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    module, path = make(name).folded(), tmp_path / "generator.onnx"
    z, noise = inputs_of(name, (2, 0, 0))
    batch = torch.export.Dim("batch")
    torch.onnx.export(
        module,
        (z, noise),
        path,
        dynamo=True,
        dynamic_shapes=({0: batch}, [{0: batch} for _ in noise]),
        external_data=False,
        verbose=False,
    )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for count in (1, 5):
        z, noise = inputs_of(name, (count, 0, 0))
        names = [entry.name for entry in session.get_inputs()]
        results = session.run(None, dict(zip(names, [t.numpy() for t in (z, *noise)], strict=True)))
        with torch.no_grad():
            expected = module(z, noise)
        for result, wanted in zip(results, expected, strict=True):
            assert (torch.from_numpy(result) - wanted).abs().max() < 1e-4


def test_every_layer_class_is_in_one_of_the_tables():
    cases = [case.build() for case in LAYERS.values()] + [build(8) for build in RECOGNITION_LAYERS.values()]
    covered = {type(part) for case in cases for part in case.modules()}
    # Parametrised modules get a class of their own, derived from ours.
    covered |= {base for kind in covered for base in kind.__mro__}
    covered.add(GroupedSpectralNorm)
    for info in pkgutil.iter_modules(sase_gan.layers.__path__):
        module = importlib.import_module(f"sase_gan.layers.{info.name}")
        for name, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, nn.Module) and kind.__module__ == module.__name__ and not name.startswith("_"):
                assert kind in covered, f"{name} is in no table of contracts"
