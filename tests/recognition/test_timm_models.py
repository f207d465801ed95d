"""The names that timm learns, and its contracts for attention layers."""

from functools import partial

import pytest
import timm
import torch

from sase_gan.layers.efficient_multi_scale_attention import EfficientMultiScaleAttention
from sase_gan.recognition.backbones.timm_models import MODELS


def test_every_name_is_registered():
    assert set(MODELS) <= set(timm.list_models())
    assert {"resnet50_an", "resnet50_sase", "densenet121_an", "mobilenetv2_100_emsa", "cifar_resnet18_aw_se"} <= set(
        MODELS
    )


@pytest.mark.parametrize(
    "name", ["resnet50_an", "resnet18_sase", "densenet121_an", "mobilenetv2_100_emsa", "cifar_resnet18_aw"]
)
def test_features_have_the_promised_channels_and_strides(name):
    features = timm.create_model(name, features_only=True).eval()
    maps = features(torch.randn(1, 3, 64, 64))
    info = features.feature_info
    assert [m.shape[1] for m in maps] == info.channels()
    assert [64 // m.shape[2] for m in maps] == info.reduction()


def test_channels_of_the_known_networks():
    expected = {
        "resnet50_an": [64, 256, 512, 1024, 2048],
        "densenet121_an": [64, 256, 512, 1024, 1024],
        "mobilenetv2_100_an": [16, 24, 32, 96, 320],
    }
    for name, channels in expected.items():
        assert timm.create_model(name, features_only=True, device="meta").feature_info.channels() == channels


def test_timm_keywords_work():
    model = timm.create_model("resnet18_an", num_classes=7, in_chans=1, drop_path_rate=0.1)
    assert model(torch.randn(2, 1, 64, 64)).shape == (2, 7)
    grouped = timm.create_model("resnet18_emsa", num_classes=7, choice={"attention_groups": 8}, device="meta")
    assert grouped.layer1[0].se.groups == 8


def test_pretrained_weights_are_not_pretended():
    with pytest.raises(RuntimeError, match="No pretrained weights"):
        timm.create_model("resnet18_an", pretrained=True)


def test_attention_goes_into_timms_own_networks():
    layer = partial(EfficientMultiScaleAttention, groups=8)
    model = timm.create_model("resnet18", num_classes=3, block_args={"attn_layer": layer})
    assert sum(isinstance(m, EfficientMultiScaleAttention) for m in model.modules()) == 8
    assert model(torch.randn(2, 3, 64, 64)).shape == (2, 3)


@pytest.mark.filterwarnings("ignore:8 channels in 8 groups")
def test_attention_goes_into_the_squeeze_slots_of_efficientnet():
    model = timm.create_model(
        "efficientnet_b0", num_classes=3, se_layer=partial(EfficientMultiScaleAttention, groups=8)
    )
    assert sum(isinstance(m, EfficientMultiScaleAttention) for m in model.modules()) == 16
    assert model.eval()(torch.randn(1, 3, 64, 64)).shape == (1, 3)
