"""Backbones: exact parameter counts and multiply-adds, placements, features, and what a forward pass consists of."""

import copy

import pytest
import timm
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from sase_gan.errors import UsageError
from sase_gan.layers.attentive_norm import AttentiveNorm
from sase_gan.layers.aw_conv import AWConv2d
from sase_gan.layers.efficient_multi_scale_attention import EfficientMultiScaleAttention
from sase_gan.layers.sase_recognition import SASEConv2d
from sase_gan.recognition.backbones.backbone import create_backbone

AN = {"norm": "attentive"}
RESNET_ROWS = {
    "bn": ({}, (11689512, 21797672, 25557032, 44549160)),
    "an": (AN, (11789592, 21996060, 25755420, 45000644)),
    "an all": ({**AN, "position": "all"}, (None, None, 26947472, None)),
    "sase": ({"conv": "sase"}, (7867432, 14896680, 18656040, 31537960)),
    "grouped": ({"conv": "grouped"}, (6989352, 13309736, 17069096, 28540968)),
    "aw": ({"conv": "aw"}, (11844816, 22101152, 25722240, 44862880)),
    "emsa": ({"attention": "emsa"}, (11696552, 21810424, 25755400, 44923784)),
    "emsa groups 8": ({"attention": "emsa", "attention_groups": 8}, (11799272, 21996040, None, None)),
    "se": ({"attention": "se"}, (11779624, 21960416, 28088024, 49326872)),
    "aw+se": ({"conv": "aw", "attention": "se"}, (11934928, 22263896, 28253232, 49640592)),
    "aw+cbam": ({"conv": "aw", "attention": "cbam"}, (11932656, 22259936, 28238784, 49609348)),
    "an bn12": ({**AN, "position": "bn12"}, (11889672, 22194448, None, None)),
    "an bn3": ({**AN, "position": "bn3"}, (None, None, 26349084, 46351556)),
    "an bn123": ({**AN, "position": "bn123"}, (None, None, 26745860, 47254524)),
}
OTHERS = [
    ("resnet50d", AN, 25774652),
    ("mobilenetv2", {}, 3504872),
    ("mobilenetv2_100", AN, 3672760),
    ("mobilenetv2", {"attention": "emsa"}, 3550142),
    ("mobilenetv2", {"attention": "se"}, 4117640),
    ("mobilenetv2", {"conv": "aw"}, 4084200),
    ("densenet121", {}, 7978856),
    ("densenet121", AN, 8342288),
    ("densenet121", {"conv": "aw"}, 8057736),
    ("cifar_resnet50", {"num_classes": 100}, 23705252),
    ("cifar_resnet50", {"num_classes": 100, **AN}, 23903640),
    ("cifar_resnet50", {"num_classes": 100, "conv": "sase"}, 16804260),
    ("cifar_resnet50", {"num_classes": 100, "attention": "emsa"}, 23903620),
]
MACS = [
    ("resnet18", {}, 1814.07), ("resnet34", {}, 3663.76), ("resnet50", {}, 4089.18), ("resnet101", {}, 7801.41),
    ("resnet18", AN, 1814.18), ("resnet50", AN, 4089.39), ("resnet101", AN, 7801.87),
    ("resnet18", {"conv": "sase"}, 1236.13), ("resnet50", {"conv": "sase"}, 3323.45),
    ("resnet34", {"conv": "aw"}, 3666.35), ("resnet50", {"conv": "aw"}, 4090.60),
    ("resnet18", {"attention": "emsa"}, 1844.91), ("resnet50", {"attention": "emsa"}, 5038.60),
    ("resnet50", {"attention": "se"}, 4091.70), ("resnet18d", {}, 2053.71), ("resnet50d", {}, 4328.82),
    ("mobilenetv2", {}, 300.77), ("mobilenetv2", AN, 300.96), ("mobilenetv2", {"attention": "emsa"}, 476.03),
    ("mobilenetv2", {"attention": "se"}, 301.38), ("densenet121", {}, 2834.16), ("densenet121", AN, 2834.54),
    ("cifar_resnet18", {"num_classes": 10}, 555.42), ("cifar_resnet50", {"num_classes": 10}, 1297.83),
    ("cifar_resnet50", {"num_classes": 10, "attention": "emsa"}, 1611.16),
    ("cifar_resnet50", {"num_classes": 10, "conv": "sase"}, 1047.90), ("cifar_resnet101", {"num_classes": 10}, 2509.98),
]  # fmt: skip


def count(name, **options) -> int:
    return sum(p.numel() for p in create_backbone(name, device="meta", **options).parameters())


@pytest.mark.parametrize("row", RESNET_ROWS)
def test_resnet_parameter_counts(row):
    options, expected = RESNET_ROWS[row]
    for depth, number in zip((18, 34, 50, 101), expected, strict=True):
        if number is not None:
            assert count(f"resnet{depth}", **options) == number
            if row != "an all" and depth in (18, 50):
                assert count(f"resnet{depth}d", **options) == number + 19232


@pytest.mark.parametrize(("name", "options", "expected"), OTHERS, ids=str)
def test_other_parameter_counts(name, options, expected):
    assert count(name, **options) == expected


@pytest.mark.parametrize(("name", "options", "millions"), MACS, ids=str)
def test_multiply_adds(name, options, millions):
    model = create_backbone(name, device="meta", **options).eval()
    side = 32 if name.startswith("cifar") else 224
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, side, side, device="meta"))
    assert counter.get_total_flops() / 2e6 == pytest.approx(millions, rel=1e-3)


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnet34d", "densenet121", "mobilenetv2_100"])
def test_plain_networks_are_timms(name):
    ours, theirs = create_backbone(name, num_classes=5), timm.create_model(name, num_classes=5)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(1, 3, 64, 64)
    assert torch.equal(ours.eval()(x), theirs.eval()(x))


@pytest.mark.parametrize("name", ["cifar_resnet18", "resnet50d", "densenet121", "mobilenetv2"])
def test_children_in_order_are_the_forward_pass(name):
    options = {**AN, "conv": "plain" if name == "densenet121" else "aw"}
    model = create_backbone(name, num_classes=5, **options).eval()
    x = torch.randn(2, 3, 48, 40)
    y = x
    for child in model.children():
        y = child(y)
    assert torch.allclose(y, model(x), atol=1e-5)


@pytest.mark.parametrize("side", [225, 64, 33])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet18", {"conv": "sase"}),
        ("resnet18", {**AN, "attention": "emsa", "attention_groups": 8}),
        ("mobilenetv2", {"conv": "aw"}),
    ],
)
def test_any_picture_size(name, options, side):
    model = create_backbone(name, num_classes=3, **options).eval()
    with torch.no_grad():
        assert model(torch.randn(1, 3, side, side)).isfinite().all()


def kinds(model, kind) -> list[str]:
    return [name for name, module in model.named_modules() if isinstance(module, kind)]


def test_places_of_the_layers():
    basic, deep = create_backbone("resnet18", device="meta", **AN), create_backbone("resnet50", device="meta", **AN)
    assert all(name.endswith("bn1") and name.startswith("layer") for name in kinds(basic, AttentiveNorm))
    assert all(name.endswith("bn2") for name in kinds(deep, AttentiveNorm))
    assert len(kinds(basic, AttentiveNorm)) == 8
    assert [deep.get_submodule(f"layer{i}.0.bn2").num_components for i in (1, 2, 3, 4)] == [10, 10, 20, 20]
    sase = create_backbone("resnet50", device="meta", conv="sase")
    assert len(kinds(sase, SASEConv2d)) == 16
    assert all(name.endswith("conv2") for name in kinds(sase, SASEConv2d))
    assert len(kinds(create_backbone("resnet18", device="meta", conv="aw"), AWConv2d)) == 16
    mobile = create_backbone("mobilenetv2", device="meta", attention="emsa", **AN)
    assert len(kinds(mobile, EfficientMultiScaleAttention)) == 16
    assert [len(kinds(mobile.blocks[i], AttentiveNorm)) for i in range(7)] == [1, 2, 3, 4, 3, 3, 1]
    assert [mobile.blocks[i][0].get_submodule("bn2" if i else "bn1").num_components for i in range(7)] == [5] * 4 + [
        10
    ] * 3
    assert len(kinds(create_backbone("densenet121", device="meta", **AN), AttentiveNorm)) == 58


def test_last_norm_starts_at_zero():
    plain = create_backbone("resnet18")
    attentive = create_backbone("resnet18", position="bn12", **AN)
    assert not plain.layer1[0].bn2.weight.any()
    assert not attentive.layer1[0].bn2.scale.any()
    assert not attentive.layer1[0].bn2.shift.any()
    assert attentive.layer1[0].bn1.scale.any()


def test_two_models_share_nothing():
    first = create_backbone("resnet18", attention="emsa", attention_groups=8, **AN)
    second = create_backbone("resnet18", attention="emsa", attention_groups=8, **AN)
    assert not {id(m) for m in first.modules()} & {id(m) for m in second.modules()}
    assert not {p.data_ptr() for p in first.parameters()} & {p.data_ptr() for p in second.parameters()}


def test_classifier_is_replaced():
    for name in ("resnet18", "densenet121", "mobilenetv2"):
        model = create_backbone(name, num_classes=10, **AN).eval()
        model.reset_classifier(3)
        assert model(torch.randn(1, 3, 64, 64)).shape == (1, 3)


def test_tables_are_listed_without_weight_decay_when_asked():
    assert create_backbone("resnet18", device="meta", **AN).no_weight_decay() == set()
    listed = create_backbone("resnet18", device="meta", decay_affine=False, **AN).no_weight_decay()
    assert {"layer1.0.bn1.scale", "layer1.0.bn1.shift"} <= listed
    assert len(listed) == 16


def test_grey_pictures():
    assert create_backbone("cifar_resnet18", in_channels=1, num_classes=10)(torch.randn(2, 1, 28, 28)).shape == (2, 10)


def test_narrow_networks_keep_their_shape():
    model = create_backbone("cifar_resnet18", width=0.25, num_classes=10)
    assert [info["num_chs"] for info in model.feature_info] == [16, 16, 32, 64, 128]
    assert model.conv1.weight.shape == (16, 3, 3, 3)
    # The published network's channel count enters quadratically but for the ends.
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(11173962 / 16, rel=0.02)
    with pytest.raises(UsageError, match="only cifar_ networks"):
        create_backbone("resnet18", width=0.5)
    with pytest.raises(UsageError, match="even number"):
        create_backbone("cifar_resnet18", width=0.05)


def test_overfits_sixteen_pictures():
    model = create_backbone(
        "cifar_resnet18", width=0.25, num_classes=4, conv="aw", attention="emsa", attention_groups=8, **AN
    )
    x, y = torch.randn(16, 3, 8, 8), torch.arange(16) % 4
    optimiser = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    for _ in range(12):
        loss = nn.functional.cross_entropy(model(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert (model(x).argmax(1) == y).float().mean() > 0.9


def test_copies_are_equal():
    model = create_backbone("resnet18", num_classes=3, conv="sase", **AN).eval()
    x = torch.randn(1, 3, 64, 64)
    assert torch.equal(copy.deepcopy(model)(x), model(x))


@pytest.mark.parametrize(
    ("name", "options", "match"),
    [
        ("resnet19", {}, "backbone is 'resnet19'"),
        ("resnet18", {"norm": "layer"}, "norm is 'layer'"),
        ("resnet18", {"normalisation": "batch"}, "normalisation is not a known key"),
        ("resnet18", {"position": "bn2"}, "no effect"),
        ("resnet18", {"attention_groups": 8}, "no effect"),
        ("resnet18", {"gate_scale": "channels"}, "no effect"),
        ("resnet18", {"conv": "sase", "sase_design": "B"}, "^config: sase_design is 'B', which .* train anew"),
        ("resnet18", {**AN, "position": "bn3"}, "only norms 1 and 2"),
        ("resnet18", {**AN, "num_components": (4, 4)}, "has 4 stages"),
        ("densenet121", {"conv": "sase"}, "DenseNet is offered"),
        ("densenet121", {"attention": "se"}, "DenseNet is offered"),
        ("densenet121", {"drop_path_rate": 0.1}, "no residual paths"),
        ("mobilenetv2", {"conv": "sase"}, "MobileNetV2 is offered"),
        ("mobilenetv2", {**AN, "position": "all"}, "only the default"),
    ],
)
def test_what_is_not_offered_is_refused(name, options, match):
    with pytest.raises(UsageError, match=match):
        create_backbone(name, device="meta", **options)
