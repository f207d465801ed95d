"""Every integer of the specification's tables. Counted on the meta device, without the power iterations' values."""

import pytest
import torch
from torch.nn.utils.parametrizations import _SpectralNorm

from sase_gan.layers.spectral_norm import GroupedSpectralNorm
from sase_gan.networks.discriminator import Discriminator, DiscriminatorConfig
from sase_gan.networks.generator import Generator, GeneratorConfig
from sase_gan.training.low_shot import parameter_count

# image size, width: generator (excitations, batch norm), (SASE, batch norm), (SASE, attentive norm); discriminator
TABLE = {
    (256, 64): (29_127_846, 28_486_942, 28_646_630, 11_526_160),
    (512, 64): (29_174_392, 28_501_567, 28_663_087, 11_526_496),
    (1024, 64): (29_176_512, 28_503_687, 28_665_675, 11_528_192),
    (128, 64): (28_959_814, 28_446_954, 28_604_830, 11_427_968),
    (64, 64): (29_276_420, 28_229_288, 28_379_956, 10_923_520),
    (256, 16): (3_395_694, 3_356_262, 3_396_334, 1_900_060),
    (128, 16): (3_385_366, 3_353_442, 3_393_046, 1_894_232),
    (64, 16): (3_405_380, 3_340_112, 3_377_884, 1_761_712),
    (32, 8): (1_405_460, 1_389_664, 1_407_704, 847_920),
}
KINDS = (("batch", "sle"), ("batch", "sase"), ("attentive", "sase"))


@pytest.fixture(autouse=True)
def no_power_iterations(monkeypatch):
    """Singular vectors have no values on the meta device; computing them there is slow and changes no count."""
    monkeypatch.setattr(_SpectralNorm, "_power_method", lambda *unused: None)
    monkeypatch.setattr(GroupedSpectralNorm, "_power_method", lambda *unused: None)


@pytest.mark.parametrize(("image_size", "width"), TABLE)
def test_networks_have_the_specified_sizes(image_size, width):
    *generators, discriminator = TABLE[image_size, width]
    with torch.device("meta"):
        for (norm, skip), count in zip(KINDS, generators, strict=True):
            config = GeneratorConfig(image_size=image_size, width=width, norm=norm, skip=skip)
            assert parameter_count(Generator(config)) == count, (norm, skip)
        config = DiscriminatorConfig(image_size=image_size, width=width)
        assert parameter_count(Discriminator(config)) == discriminator


def test_size_gates_of_the_specification_hold():
    fastgan, paper, default, discriminator = TABLE[256, 64]
    assert paper <= 28_500_000 < fastgan
    assert default <= 28_700_000 < fastgan
    assert discriminator <= 11_600_000


def test_published_network_has_the_same_parameters():
    with torch.device("meta"):
        config = GeneratorConfig(image_size=64, width=16)
        plain = Generator(config.model_copy(update={"spectral_norm": False}))
    assert parameter_count(plain) == TABLE[64, 16][2]
