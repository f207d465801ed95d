"""AW-convolution and attention in generator and discriminator: where they stand, what they cost, that they train."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from sase_gan.config import build, load_preset, merge
from sase_gan.drawing.sampling import sample_images
from sase_gan.layers.aw_conv import AWConv2d, AWUpsampleConv
from sase_gan.layers.efficient_multi_scale_attention import EfficientMultiScaleAttention
from sase_gan.layers.excitation import SqueezeExcitation
from sase_gan.networks.discriminator import Discriminator, DiscriminatorConfig
from sase_gan.networks.generator import Generator, GeneratorConfig, Pictures
from sase_gan.networks.load import load_generator
from sase_gan.networks.parts import attention_factory, conv_factory, upsample_conv_factory
from sase_gan.training.config import LowShotConfig
from sase_gan.training.low_shot import LowShotModule

SMALL = {"image_size": 32, "width": 8, "latent_size": 8, "num_components": 2}
BOTH = {"conv": "aw", "attention": "efficient_multi_scale"}


def generator(**options) -> Generator:
    return Generator(GeneratorConfig(**{**SMALL, **options}))


def discriminator(**options) -> Discriminator:
    return Discriminator(DiscriminatorConfig(image_size=32, width=8, decoder_width=4, **options))


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def aw_extra(in_channels: int, out_channels: int) -> int:
    inner = max(4, in_channels // 16)
    return inner * (in_channels + out_channels) + 2 * inner + 2 * out_channels


def test_defaults_are_the_plain_networks():
    for network in (generator(), discriminator()):
        kinds = {type(part) for part in network.modules()}
        assert not kinds & {AWConv2d, EfficientMultiScaleAttention, SqueezeExcitation}
        assert not [key for key in network.state_dict() if "attention" in key]


def test_generator_has_them_in_every_block_from_8_on():
    plain, other = generator(), generator(**BOTH)
    # 4x4 has 128 channels; then 64, 32 and 16. 8 and 32 have a second convolution.
    pairs = [(128, 128), (64, 128), (64, 64), (32, 32), (16, 32)]
    assert sum(isinstance(part, AWConv2d) for part in other.modules()) == len(pairs)
    assert sum(isinstance(part, AWUpsampleConv) for part in other.modules()) == 3
    # Four channels a group: 10 c^2 + 4 c each.
    assert count(other) - count(plain) == sum(aw_extra(*pair) for pair in pairs) + 3 * 176


def test_discriminator_has_them_in_every_down_block():
    plain, other = discriminator(), discriminator(**BOTH)
    assert [type(block.attention) for name, block in other.named_children() if name[1:].isdigit()] == [
        EfficientMultiScaleAttention
    ] * len(other.sizes)
    widths = [other.channels(side) for side in other.sizes]
    assert count(other) - count(plain) == sum(aw_extra(width, width) for width in widths) + 176 * len(widths)


def test_squeeze_excitation_is_the_plain_control():
    extra = count(generator(attention="se")) - count(generator())
    assert extra == sum(2 * channels * 8 + 8 + channels for channels in (64, 32, 16))


def test_a_group_keeps_at_least_four_channels():
    attention = attention_factory("efficient_multi_scale")
    assert [attention(channels).group_channels for channels in (4, 8, 64, 128, 512)] == [4, 4, 4, 4, 16]


@pytest.mark.parametrize("factory", [conv_factory, upsample_conv_factory])
def test_unknown_convolutions_are_refused(factory):
    with pytest.raises(ValueError, match="conv is 'fancy'; choose one of plain, aw"):
        factory("fancy", spectral=True)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="attention is 'ema'; choose one of none, efficient_multi_scale, se"):
        attention_factory("ema")
    with pytest.raises(ValidationError, match="attention"):
        GeneratorConfig(attention="ema")


@pytest.mark.parametrize("options", [BOTH, {"attention": "se"}])
def test_one_image_is_drawn_alike_by_the_published_snapshot(options, tmp_path):
    trained = generator(**options)
    for _ in range(3):
        trained(torch.randn(8, 8))
    folded = trained.folded()
    z = torch.randn(2, 8)
    with torch.no_grad():
        expected, published = trained.eval()(z).big, folded(z).big
    assert torch.allclose(expected, published, atol=1e-5)
    folded.save_pretrained(tmp_path / "snapshot")
    loaded = load_generator(tmp_path / "snapshot")
    assert loaded.config == folded.config
    assert torch.equal(loaded(z).big, published)
    assert torch.equal(sample_images(loaded, [3, 4])[1], sample_images(loaded, [4])[0])


def test_gradient_reaches_every_part_of_both_players_in_training():
    drawing, judging = generator(**BOTH), discriminator(**BOTH)
    with torch.no_grad():
        for key, parameter in drawing.named_parameters():
            if key.endswith("strength"):
                parameter.fill_(0.3)  # at its start of 0 it passes no gradient on
    noise = [torch.randn(4, 1, size, size) for size in drawing.noise_sizes()]
    judgement = judging(drawing(torch.randn(4, 8), noise), quadrant=0)
    loss = judgement.logits.square().sum() + sum(r.rebuilt.square().sum() for r in judgement.reconstructions.values())
    loss.backward()
    for network in (drawing, judging):
        for name, part in network.named_modules():
            if isinstance(part, AWConv2d | EfficientMultiScaleAttention):
                for key, parameter in part.named_parameters():
                    assert parameter.grad is not None, f"{name}.{key}"
                    assert parameter.grad.abs().max() > 0, f"{name}.{key}"


def test_a_run_takes_them_from_its_configuration():
    changes = {"generator": BOTH, "discriminator": {"conv": "aw", "attention": "se"}}
    config = build(LowShotConfig, merge(load_preset("smoke/low_shot"), changes))
    module = LowShotModule(config.model_dump(mode="json"))
    assert any(isinstance(part, AWUpsampleConv) for part in module.generator.modules())
    assert any(isinstance(part, SqueezeExcitation) for part in module.discriminator.modules())


@pytest.mark.slow
def test_the_generator_fits_one_picture():
    torch.manual_seed(0)
    network = generator(**BOTH, output="tanh")
    rows = torch.linspace(-0.8, 0.8, 32)
    target = torch.stack([rows[:, None].expand(32, 32), rows.expand(32, 32), rows[:, None] * rows])[None]
    z = torch.randn(2, 8)
    optimiser = torch.optim.Adam(network.parameters(), 2e-3, betas=(0.5, 0.99))
    losses = []
    for _ in range(150):
        pictures: Pictures = network(z)
        loss = (pictures.big - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.05 * losses[0]
