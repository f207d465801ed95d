import pytest

from sase_gan.networks.generator import Generator, GeneratorConfig
from tests.awake import awake


@pytest.fixture(scope="module")
def network() -> Generator:
    return awake(GeneratorConfig(image_size=64, width=8, latent_size=24, num_components=3, spectral_norm=False))


@pytest.fixture(scope="module")
def plain() -> Generator:
    config = GeneratorConfig(image_size=64, width=8, latent_size=24, norm="batch", skip="sle", spectral_norm=False)
    return awake(config)
