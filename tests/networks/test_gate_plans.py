"""Where gates and attentive norms stand when a configuration chooses their places."""

import pytest
import torch
from torch import nn

from sase_gan.layers.attentive_norm import AttentiveNorm
from sase_gan.layers.sase import SynthesisSASE
from sase_gan.networks.generator import Generator, GeneratorConfig
from sase_gan.snapshot import WEIGHTS_FILE, read_header


def make(**settings) -> Generator:
    return Generator(
        GeneratorConfig(**{"image_size": 64, "width": 8, "latent_size": 16, "num_components": 2, **settings})
    )


def test_gates_stand_where_they_are_asked_for():
    network = make(gates=((16, 64), (4, 16), (8, 32)))
    assert list(network.sase_gates()) == ["gate4to16", "gate8to32", "gate16to64"]
    assert network(torch.randn(2, 16)).big.shape == (2, 3, 64, 64)
    assert not make(gates=()).gates


def test_without_a_choice_they_stand_as_released():
    network = make()
    assert [(gate.source, gate.target, gate.kind) for gate in network.gates] == [(4, 32, "sle"), (8, 64, "sase")]
    assert [gate.kind for gate in make(gates=((4, 32), (8, 64)), skip="sle").gates] == ["sle", "sle"]


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"gates": ((8, 128),)}, "gates has 8 to 128"),
        ({"gates": ((8, 8),)}, "the first one the smaller"),
        ({"gates": ((4, 64), (8, 64))}, "each target may have one gate"),
        ({"attentive_sizes": (128,)}, "attentive_sizes has 128"),
    ],
)
def test_impossible_places_are_refused(settings, match):
    with pytest.raises(ValueError, match=match):
        make(**settings)


def test_attentive_norms_stand_in_the_chosen_blocks_only():
    network = make(attentive_sizes=(4, 16))
    places = {name.partition(".")[0] for name, part in network.named_modules() if isinstance(part, AttentiveNorm)}
    assert places == {"b4", "b16"}
    assert isinstance(network.b8.norm1, nn.BatchNorm2d)


def test_options_reach_the_layers():
    gains = {"sase_style_gain": 2.0, "sase_mask_gain": 3.0}
    network = make(sase_weighting="softmax", sase_min_width=5, attention_norm="none", init_scale="batch", **gains)
    (gate,) = network.sase_gates().values()
    assert isinstance(gate, SynthesisSASE)
    assert (gate.weighting, gate.style_gain.tolist(), gate.mask_squeeze.out_channels) == ("softmax", [2.0] * 4, 20)
    assert gate.mask_gain.tolist() == [3.0] * 4
    norms = [part for part in network.modules() if isinstance(part, AttentiveNorm)]
    assert {norm.init_scale for norm in norms} == {"batch"}
    assert all(isinstance(norm.attn_norm, nn.Identity) for norm in norms)


def test_a_generator_that_starts_as_batch_norm_draws_what_batch_norm_draws():
    attentive, plain = make(init_scale="batch"), make(norm="batch")
    shared = {key: value for key, value in attentive.state_dict().items() if key in plain.state_dict()}
    assert plain.load_state_dict(shared, strict=False).unexpected_keys == []
    for part in (part for name, part in plain.named_modules() if name.startswith("b") and "norm" in name):
        if isinstance(part, nn.BatchNorm2d):  # its random start is no part of the comparison
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)
    z = torch.randn(6, 16)
    torch.testing.assert_close(attentive.train()(z).big, plain.train()(z).big, atol=2e-4, rtol=1e-3)


def test_snapshots_keep_the_choices(tmp_path):
    network = make(gates=((8, 32), (16, 64)), sase_weighting="free").folded()
    network.save_pretrained(tmp_path / "s")
    again = Generator.from_pretrained(str(tmp_path / "s"))
    z = torch.randn(2, 16)
    assert torch.equal(again(z).big, network(z).big)
    assert read_header(tmp_path / "s" / WEIGHTS_FILE)["network"]["gates"] == [[8, 32], [16, 64]]
