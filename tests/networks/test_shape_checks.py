"""The tests run with the annotated shapes of the networks checked, as those of the layers."""

import jaxtyping
import pytest
import torch

from sase_gan.networks.generator import Generator, GeneratorConfig
from sase_gan.networks.pyramid import Pyramid, PyramidConfig


@pytest.fixture(scope="module")
def generator() -> Generator:
    return Generator(GeneratorConfig(image_size=32, width=4, latent_size=8)).eval()


def test_a_latent_with_a_dimension_too_many_is_noticed(generator: Generator) -> None:
    with pytest.raises(jaxtyping.TypeCheckError, match="batch latent"):
        generator(torch.zeros(2, 8, 1))


def test_noise_with_the_channels_of_a_picture_is_noticed(generator: Generator) -> None:
    noise = [torch.zeros(2, 3, size, size) for size in generator.noise_sizes()]
    with pytest.raises(jaxtyping.TypeCheckError, match="noise"):
        generator(torch.zeros(2, 8), noise)


def test_noise_that_a_pyramid_would_broadcast_is_noticed() -> None:
    pyramid = Pyramid(PyramidConfig(sizes=((12, 16), (18, 24)), width=8)).eval()
    with pytest.raises(jaxtyping.TypeCheckError, match="noise"):
        pyramid(torch.zeros(2, 1, 12, 16), [torch.zeros(1, 3, 18, 24)])
