"""Pictures drawn as FastGAN's evaluation draws them: batches, statistics, sizes."""

import copy

import numpy as np
import pytest
import torch
from PIL import Image

from sase_gan.drawing.sampling import draw_inputs
from sase_gan.drawing.training_mode import as_scored, sample_in_training_mode
from sase_gan.errors import UsageError
from sase_gan.networks.generator import Generator, GeneratorConfig
from sase_gan.networks.pyramid import Pyramid, PyramidConfig
from sase_gan.pixels import to_uint8


@pytest.fixture
def network() -> Generator:
    torch.manual_seed(0)
    network = Generator(GeneratorConfig(image_size=32, width=4, latent_size=16, norm="batch")).eval()
    for module in network.modules():  # as training leaves it: noise counts
        if hasattr(module, "strength"):
            torch.nn.init.constant_(module.strength, 0.5)
    return network.folded()


def test_every_batch_of_sixteen_is_normalised_by_itself_with_noise(network):
    before = copy.deepcopy(network.state_dict())
    found = sample_in_training_mode(network, range(5, 37))
    assert found.shape == (32, 3, 256, 256)
    for start in (0, 16):
        inputs = draw_inputs(network, range(5 + start, 21 + start))
        training = copy.deepcopy(network).train()
        with torch.no_grad():
            expected, quiet = (to_uint8(training(inputs.z, noise).big) for noise in (inputs.noise, None))
        assert torch.equal(found[start : start + 16], as_scored(expected))
        assert not torch.equal(found[start : start + 16], as_scored(quiet))
    # The network is left as it was, and a picture is not what it would be alone.
    assert not network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    with torch.no_grad():
        alone = as_scored(to_uint8(network(*draw_inputs(network, range(5, 21))[:2]).big))
    assert not torch.equal(alone, found[:16])


@pytest.mark.parametrize("side", [32, 256, 1024])
def test_scored_pictures_are_nearest_at_512_and_bilinear_at_256(side):
    images = torch.randint(0, 256, (2, 3, side, side), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    place = np.arange(512) * side // 512
    for image, found in zip(images, as_scored(images), strict=True):
        large = image.permute(1, 2, 0).numpy()[place][:, place]
        expected = np.asarray(Image.fromarray(large).resize((256, 256), Image.Resampling.BILINEAR))
        assert np.array_equal(found.permute(1, 2, 0), expected)


def test_a_model_of_one_picture_has_no_batches():
    with pytest.raises(UsageError, match="a generator trained on a set, and this is a Pyramid"):
        sample_in_training_mode(Pyramid(PyramidConfig(sizes=((12, 16),), width=4)), range(16))
