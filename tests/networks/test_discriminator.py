import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize

from sase_gan.layers.primitives import UpsampleConv
from sase_gan.networks.discriminator import QUADRANTS, Discriminator, DiscriminatorConfig
from sase_gan.networks.generator import Pictures


def make(image_size: int = 32, **options) -> Discriminator:
    return Discriminator(DiscriminatorConfig(image_size=image_size, **{"width": 4, "decoder_width": 4, **options}))


@pytest.mark.parametrize(("image_size", "small"), [(32, 16), (64, 32), (128, 64), (256, 128), (512, 128), (1024, 128)])
def test_fifty_logits_and_three_rebuilt_pictures_at_every_size(image_size, small):
    network = make(image_size)
    with torch.no_grad():
        pictures = network.pictures(torch.rand(2, 3, image_size, image_size) * 2 - 1)
        judged = network(pictures, quadrant=1)
    assert pictures.small.shape == (2, 3, small, small)
    assert judged.logits.shape == (2, 50)
    assert list(judged.reconstructions) == ["big", "small", "part"]
    side = min(128, image_size)
    for rebuilt, target in judged.reconstructions.values():
        assert rebuilt.shape == target.shape == (2, 3, side, side)
        assert rebuilt.abs().max() <= 1


def test_without_a_quadrant_nothing_is_rebuilt_and_the_logits_are_the_same():
    network = make().eval()
    pictures = network.pictures(torch.randn(2, 3, 32, 32))
    plain = network(pictures)
    assert plain.reconstructions == {}
    assert torch.equal(plain.logits, network(pictures, quadrant=2).logits)


def test_each_half_of_the_logits_judges_its_own_picture():
    network = make().eval()
    pictures = network.pictures(torch.randn(2, 3, 32, 32))
    before = network(pictures).logits
    big = network(Pictures(pictures.big + 1, pictures.small)).logits
    small = network(Pictures(pictures.big, pictures.small + 1)).logits
    assert torch.equal(big[:, 25:], before[:, 25:])
    assert (big[:, :25] != before[:, :25]).all()
    assert torch.equal(small[:, :25], before[:, :25])
    assert (small[:, 25:] != before[:, 25:]).all()


@pytest.mark.parametrize("image_size", [64, 512])
def test_real_pictures_are_reduced_by_averaging_or_as_released(image_size):
    images = torch.rand(2, 3, image_size, image_size)
    small = min(128, image_size // 2)
    averaged = make(image_size).pictures(images)
    assert averaged.big is images
    assert torch.allclose(averaged.small, F.interpolate(images, size=(small, small), mode="area"), atol=1e-6)
    nearest = make(image_size, downsample="nearest").pictures(images)
    assert torch.equal(nearest.small, images[:, :, :: image_size // small, :: image_size // small])


@pytest.mark.parametrize("quadrant", range(4))
def test_part_decoder_sees_and_rebuilds_the_same_quarter(quadrant):
    network = make(256).eval()
    images = torch.randn(1, 3, 256, 256)
    row, column = QUADRANTS[quadrant]
    quarter = images[:, :, 128 * row : 128 * (row + 1), 128 * column : 128 * (column + 1)]
    with torch.no_grad():
        rebuilt, target = network(network.pictures(images), quadrant).reconstructions["part"]
        maps = network._features(images)
        part = maps[16][:, :, 8 * row : 8 * (row + 1), 8 * column : 8 * (column + 1)]
        expected = network.decode_part(part)
    assert torch.equal(target, quarter)
    assert torch.equal(rebuilt, expected)


@pytest.mark.parametrize("downsample", ["area", "nearest"])
def test_a_quarter_smaller_than_the_decoders_picture_is_enlarged(downsample):
    network = make(64, downsample=downsample).eval()
    images = torch.rand(2, 3, 64, 64)
    target = network(network.pictures(images), 3).reconstructions["part"].target
    quarter = images[:, :, 32:, 32:]
    enlarged = F.interpolate(quarter, size=(64, 64), mode="nearest" if downsample == "nearest" else "bilinear")
    assert torch.equal(target, enlarged)


def test_whole_targets_are_the_pictures_at_the_decoders_size():
    images = torch.rand(1, 3, 256, 256)
    network = make(256).eval()
    with torch.no_grad():
        reconstructions = network(network.pictures(images), 0).reconstructions
    assert torch.allclose(reconstructions["big"].target, F.avg_pool2d(images, 2))
    assert torch.equal(reconstructions["big"].target, reconstructions["small"].target)
    images = torch.rand(1, 3, 64, 64)
    network = make(64).eval()
    assert torch.equal(network(network.pictures(images), 0).reconstructions["big"].target, images)


def test_gates_and_blocks_of_every_size_are_those_of_the_specification():
    assert make(256).gates == make(1024).gates == {32: 256, 16: 128, 8: 64}
    assert make(128).gates == {16: 128, 8: 64}
    assert make(64).gates == {8: 64}
    assert make(32).gates == {}
    assert make(512).sizes == (128, 64, 32, 16, 8)
    assert make(32).sizes == (16, 8)


def test_down_block_averages_its_two_ways():
    block = make(64).eval().b32
    x = torch.randn(2, 4, 64, 64)
    assert torch.allclose(block(x), (block.main(x) + block.direct(x)) / 2)
    assert block(x).shape == (2, 8, 32, 32)


def test_every_convolution_is_spectrally_normalised_without_bias():
    for module in make(1024).modules():
        if isinstance(module, nn.Conv2d):
            assert parametrize.is_parametrized(module, "weight")
            assert module.bias is None


@pytest.mark.parametrize(("image_size", "doublings"), [(32, 2), (64, 3), (128, 4), (1024, 4)])
def test_decoders_double_from_8_px_and_do_not_follow_the_width(image_size, doublings):
    wide = make(image_size, width=8, decoder_width=64).decode_big
    convolutions = [m for m in wide.modules() if isinstance(m, UpsampleConv)]
    assert [m.out_channels // 2 for m in convolutions] == [128, 64, 64, 32][:doublings]


def test_size_that_no_network_is_built_for_is_refused():
    with pytest.raises(ValueError, match="image_size is 48; choose one of"):
        DiscriminatorConfig(image_size=48)


@pytest.mark.parametrize("quadrant", [None, 2])
def test_both_batches_in_one_pass_are_judged_as_in_two(quadrant):
    network = Discriminator(DiscriminatorConfig(image_size=32, width=8, decoder_width=4)).double()
    other = Discriminator(network.config).double()
    other.load_state_dict(network.state_dict())
    real, fake = (Pictures(torch.randn(3, 3, 32, 32).double(), torch.randn(3, 3, 16, 16).double()) for _ in range(2))
    assert network.keeps_batches_apart
    with parametrize.cached():
        judged, fake_logits = network.judge_both(real, fake, quadrant)
    with parametrize.cached():
        expected, expected_fake = other(real, quadrant), other(fake).logits
    assert judged.reconstructions.keys() == expected.reconstructions.keys()
    total, other_total = (
        logits.square().sum()
        + fakes.exp().sum()
        + sum((r.rebuilt - r.target).square().sum() for r in judgement.reconstructions.values())
        for judgement, logits, fakes in (
            (judged, judged.logits, fake_logits),
            (expected, expected.logits, expected_fake),
        )
    )
    assert (judged.logits - expected.logits).abs().max() < 1e-12
    assert (fake_logits - expected_fake).abs().max() < 1e-12
    used = [name for name, _ in network.named_parameters() if quadrant is not None or not name.startswith("decode")]
    found, wanted = (
        torch.autograd.grad(value, [dict(n.named_parameters())[name] for name in used])
        for value, n in ((total, network), (other_total, other))
    )
    assert all(torch.allclose(a, b, atol=1e-10) for a, b in zip(found, wanted, strict=True))
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(network.buffers(), other.buffers(), strict=True))


def test_norms_of_scaled_kernels_keep_no_batches_apart():
    assert not Discriminator(DiscriminatorConfig(image_size=32, width=8, conv="aw")).keeps_batches_apart
