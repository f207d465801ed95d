"""Conversion of trained networks: same outputs, same other weights, and refusals that say why."""

import copy

import pytest
import timm
import torch
import torchvision
from torch import nn

from sase_gan.errors import UsageError
from sase_gan.layers.attentive_norm import AttentiveNorm
from sase_gan.layers.aw_conv import AWConv2d
from sase_gan.recognition.backbones.choices import AttentiveNormAct, freeze_statistics
from sase_gan.recognition.backbones.convert import convert, convert_pretrained


def trained(model: nn.Module) -> nn.Module:
    """Give a fresh model statistics and affine parameters as training would."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
    return model.eval()


MODELS = {
    "timm resnet18": lambda: timm.create_model("resnet18", num_classes=5),
    "timm resnet50": lambda: timm.create_model("resnet50", num_classes=5),
    "timm densenet121": lambda: timm.create_model("densenet121", num_classes=5),
    "timm mobilenetv2": lambda: timm.create_model("mobilenetv2_100", num_classes=5),
    "torchvision resnet18": lambda: torchvision.models.resnet18(num_classes=5),
    "torchvision mobilenet": lambda: torchvision.models.mobilenet_v2(num_classes=5),
}


@pytest.mark.parametrize("name", MODELS)
def test_outputs_are_unchanged(name):
    model, x = trained(MODELS[name]()), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        before = model(x)
        converted = convert(model, norm="attentive")
        assert sum(isinstance(m, AttentiveNorm) for m in converted.modules()) >= 8
        assert torch.allclose(converted(x), before, atol=1e-4 * float(before.abs().max()))


def test_outputs_are_unchanged_in_training_too():
    model, x = trained(MODELS["timm resnet18"]()), torch.randn(4, 3, 64, 64)
    other = convert(copy.deepcopy(model), norm="attentive")
    with torch.no_grad():
        before, after = model.train()(x), other.train()(x)
    assert torch.allclose(after, before, atol=1e-4 * float(before.abs().max()))


def test_aw_convolutions_start_as_the_trained_ones():
    model, x = trained(MODELS["torchvision resnet18"]()), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        before = model(x)
        converted = convert(model, conv="aw")
        assert sum(isinstance(m, AWConv2d) for m in converted.modules()) == 16
        assert torch.allclose(converted(x), before, atol=1e-4 * float(before.abs().max()))
    converted(x).sum().backward()
    assert converted.layer1[0].conv1.excite_norm.weight.grad.any()


def test_expectation_keeps_the_attention_awake():
    model = trained(MODELS["timm resnet18"]())
    exact, awake = (convert(copy.deepcopy(model), norm="attentive", mode=m).eval() for m in ("exact", "expectation"))
    x = torch.randn(3, 64, 8, 8)
    weights = [m.layer1[0].bn1.mixture_weights(x) for m in (exact, awake)]
    assert torch.all(weights[0] == 0.5)
    assert weights[1].std(0).min() > 0


def test_activation_of_the_slot_is_kept():
    model = convert(trained(MODELS["timm mobilenetv2"]()), norm="attentive")
    layer = model.blocks[1][0].bn2
    assert isinstance(layer, AttentiveNormAct)
    assert isinstance(layer.act, nn.ReLU6)


def test_selection_by_pattern_and_by_function():
    first = convert(MODELS["timm resnet18"](), norm="attentive", select=r"^layer4.*bn2$", num_components=3)
    names = [n for n, m in first.named_modules() if isinstance(m, AttentiveNorm)]
    assert names == ["layer4.0.bn2", "layer4.1.bn2"]
    assert first.layer4[0].bn2.num_components == 3
    second = convert(MODELS["timm resnet18"](), norm="attentive", select=lambda name, _: name == "bn1")
    assert isinstance(second.bn1, AttentiveNorm)


def test_components_can_follow_the_name():
    model = convert(
        MODELS["timm resnet18"](), norm="attentive", num_components=lambda name: 20 if "layer4" in name else 5
    )
    assert (model.layer1[0].bn1.num_components, model.layer4[0].bn1.num_components) == (5, 20)


def test_frozen_and_synchronised_norms_convert():
    frozen = torchvision.models.resnet18(norm_layer=torchvision.ops.FrozenBatchNorm2d)
    synced = nn.SyncBatchNorm.convert_sync_batchnorm(torchvision.models.resnet18())
    for model in (frozen, synced):
        assert sum(isinstance(m, AttentiveNorm) for m in convert(model, norm="attentive").modules()) == 8


@pytest.mark.parametrize("options", [{"norm": "attentive"}, {"conv": "aw"}, {"norm": "attentive", "conv": "aw"}])
@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2_100", pytest.param("densenet121", marks=pytest.mark.slow)])
def test_timm_weights_carry_over(name, options):
    source = trained(timm.create_model(name, num_classes=5))
    model = convert_pretrained(name, source.state_dict(), num_classes=5, **options).eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = source(x)
        assert torch.allclose(model(x), expected, atol=1e-4 * float(expected.abs().max()))


def test_weights_are_read_from_files(tmp_path):
    from safetensors.torch import save_file

    source = trained(timm.create_model("resnet18", num_classes=5))
    torch.save(source.state_dict(), tmp_path / "a.pth")
    save_file(source.state_dict(), tmp_path / "a.safetensors")
    x = torch.randn(1, 3, 64, 64)
    for name in ("a.pth", "a.safetensors"):
        model = convert_pretrained("resnet18", tmp_path / name, num_classes=5, norm="attentive").eval()
        assert torch.allclose(model(x), source(x), atol=1e-4)


def test_refusals():
    model = MODELS["timm resnet18"]()
    with pytest.raises(UsageError, match="nothing to convert"):
        convert(model)
    with pytest.raises(UsageError, match="norm is 'layer'"):
        convert(model, norm="layer")
    with pytest.raises(UsageError, match="no layer that fits"):
        convert(nn.Sequential(nn.Linear(2, 2)), norm="attentive")
    with pytest.raises(UsageError, match="not those of resnet18"):
        convert_pretrained("resnet18", timm.create_model("resnet34").state_dict(), norm="attentive")


def test_frozen_statistics_hold_the_inner_norms_too():
    from sase_gan.recognition.backbones.backbone import create_backbone

    model = create_backbone("resnet18", num_classes=3, norm="attentive", conv="sase").train()
    freeze_statistics(model)
    before = {k: v.clone() for k, v in model.named_buffers()}
    model(torch.randn(2, 3, 64, 64)).sum().backward()
    assert all(torch.equal(v, before[k]) for k, v in model.named_buffers())
    assert model.layer1[0].bn1.scale.grad is not None
