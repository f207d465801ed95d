import pytest
import torch
from torch import nn

from sase_gan.drawing.gates import (
    GateEdit,
    attentive_norms,
    block_size,
    draw_edited,
    mask_overlay,
    rewired,
    view_layers,
)
from sase_gan.drawing.sampling import Inputs, draw_images, draw_inputs
from sase_gan.errors import UsageError


def test_a_rewired_module_shares_its_weights_and_leaves_the_original_alone():
    inner = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    outer = nn.Sequential(inner, nn.Linear(2, 2))
    x = torch.randn(3, 2)
    expected = outer(x)
    twin = rewired(outer, {"0.1": {"forward": lambda y: y * 0}})
    assert torch.equal(twin(x), outer[1](torch.zeros(3, 2)))
    assert torch.equal(outer(x), expected)
    assert twin[1].weight is outer[1].weight
    assert twin[0][0].weight is inner[0].weight
    with pytest.raises(UsageError, match="there is no submodule '7'; known are 0, 1"):
        rewired(outer, {"7": {}})


def test_looking_draws_the_same_picture_and_shows_what_the_gates_computed(network):
    inputs = draw_inputs(network, [8])
    view = view_layers(network, inputs)
    assert torch.equal(view.image, draw_images(network, inputs)[0])
    assert set(view.masks) == set(view.styles) == set(network.sase_gates())
    with torch.no_grad():
        maps = network.feature_maps(inputs.z, inputs.noise)
    noise = dict(zip(network.noise_sizes()[::-1], inputs.noise[::-1], strict=False))
    for name, gate in network.sase_gates().items():
        size = int(name.removeprefix("gate").partition("to")[0])
        wanted = gate.masks(maps[size], noise[size] if gate.noise_strength is not None else None)[0]
        assert torch.allclose(view.masks[name], wanted, atol=1e-5)
        assert torch.allclose(view.styles[name], gate.styles(maps[size])[0], atol=1e-5)
        assert view.masks[name].min() > 0
        assert view.masks[name].max() < 1


def test_every_attentive_norm_is_seen_from_coarse_to_fine(network, plain):
    view = view_layers(network, draw_inputs(network, [8]))
    assert list(view.mixtures) == list(attentive_norms(network))
    sizes = [block_size(path) for path in view.mixtures]
    assert sizes == sorted(sizes)
    assert {4, 8, 16, 32, 64} == set(sizes)
    assert all(weights.shape == (3,) for weights in view.mixtures.values())
    bare = view_layers(plain, draw_inputs(plain, [8]))
    assert bare.masks == bare.styles == bare.mixtures == {}


def test_the_size_of_a_block_or_gate_is_read_from_its_path():
    assert [block_size(path) for path in ("b4.norm", "b128.norm2", "gate8to64")] == [4, 128, 64]


def test_an_edit_of_nothing_changes_nothing(network):
    inputs = draw_inputs(network, [2, 3])
    expected = draw_images(network, inputs)
    name = next(iter(network.sase_gates()))
    own = view_layers(network, Inputs(inputs.z[:1], [n[:1] for n in inputs.noise])).styles[name]
    assert torch.equal(draw_edited(network, inputs, {}), expected)
    assert torch.equal(draw_edited(network, inputs, {name: GateEdit()}), expected)
    assert torch.equal(draw_edited(network, inputs, {name: GateEdit((1.0,) * 4)}), expected)
    again = draw_edited(network, inputs, {name: GateEdit(styles=own, borrowed=frozenset(range(4)))})
    assert (again[0].int() - expected[0].int()).abs().max() <= 1


def test_all_masks_off_is_the_gate_taken_out(network):
    inputs = draw_inputs(network, [2])
    name, gate = next(iter(network.sase_gates().items()))
    without = draw_images(rewired(network, {name: {"forward": lambda source, target, noise=None: target}}), inputs)
    off = draw_edited(network, inputs, {name: GateEdit((0.0,) * gate.groups)})
    assert torch.equal(off, without)
    assert (without.int() - draw_images(network, inputs).int()).abs().max() > 4


def test_masks_compete_so_the_same_strength_for_all_is_no_change(network):
    inputs = draw_inputs(network, [2])
    name = next(iter(network.sase_gates()))
    plain = draw_images(network, inputs).int()
    assert (draw_edited(network, inputs, {name: GateEdit((2.0,) * 4)}).int() - plain).abs().max() <= 1
    one = draw_edited(network, inputs, {name: GateEdit((3.0, 1.0, 1.0, 1.0))}).int()
    assert (one - plain).abs().max() > 1


def test_one_mask_alone_makes_its_style_the_gate_everywhere(network):
    name, gate = next(iter(network.sase_gates().items()))
    inputs = draw_inputs(network, [2])
    styles = view_layers(network, inputs).styles[name]
    by_hand = rewired(network, {name: {"forward": lambda s, t, noise=None: t * (1 + styles[2][None, :, None, None])}})
    alone = draw_edited(network, inputs, {name: GateEdit((0.0, 0.0, 1.0, 0.0))})
    assert (alone.int() - draw_images(by_hand, inputs).int()).abs().max() <= 1
    assert gate.groups == 4


def test_a_region_of_the_whole_picture_is_the_global_change(network):
    inputs = draw_inputs(network, [2])
    name = next(iter(network.sase_gates()))
    styles = torch.randn(4, network.sase_gates()[name].target_channels)
    every = frozenset(range(4))
    everywhere = draw_edited(network, inputs, {name: GateEdit(styles=styles, borrowed=every)})
    whole = draw_edited(network, inputs, {name: GateEdit(styles=styles, borrowed=every, region=torch.ones(50, 70))})
    nowhere = draw_edited(network, inputs, {name: GateEdit(styles=styles, borrowed=every, region=torch.zeros(9, 9))})
    assert (whole.int() - everywhere.int()).abs().max() <= 1
    assert torch.equal(nowhere, draw_images(network, inputs))
    assert (everywhere.int() - nowhere.int()).abs().max() > 4


def test_a_change_in_a_region_stays_near_it(network):
    inputs = draw_inputs(network, [2])
    name = list(network.sase_gates())[-1]
    styles = torch.randn(4, network.sase_gates()[name].target_channels)
    left = torch.zeros(64, 64)
    left[:, :16] = 1
    edit = GateEdit(styles=styles, borrowed=frozenset(range(4)), region=left)
    change = (draw_edited(network, inputs, {name: edit}).int() - draw_images(network, inputs).int())[0].abs().amax(0)
    assert block_size(name) == 64
    assert change[:, :16].max() > 4
    # The last convolution sees one pixel beyond, the resized edge another one.
    assert change[:, 20:].max() == 0


def test_impossible_edits_are_refused(network, plain):
    inputs = draw_inputs(network, [2])
    name = next(iter(network.sase_gates()))
    with pytest.raises(UsageError, match=f"{name} has 4 masks; 2 strengths were given"):
        draw_edited(network, inputs, {name: GateEdit((1.0, 1.0))})
    with pytest.raises(UsageError, match="each must be 0 or more"):
        draw_edited(network, inputs, {name: GateEdit((1.0, -1.0, 1.0, 1.0))})
    with pytest.raises(UsageError, match="there is no SASE gate 'gate1to2'; this generator has gate8to"):
        draw_edited(network, inputs, {"gate1to2": GateEdit()})
    with pytest.raises(UsageError, match="this generator has none"):
        draw_edited(plain, draw_inputs(plain, [2]), {"gate8to64": GateEdit()})


def test_the_overlay_is_dim_where_the_mask_is_low_and_tinted_where_it_is_high():
    image = torch.full((3, 4, 4), 200, dtype=torch.uint8)
    mask = torch.tensor([[0.2, 0.6], [0.2, 0.6]])
    shown = mask_overlay(image, mask, scale=2).int()
    assert shown.shape == (3, 8, 8)
    assert (shown[:, :, :4] == 70).all()  # 0.35 of grey 200
    red, green, blue = shown[:, 0, 7].tolist()
    assert red > green > blue > 70
