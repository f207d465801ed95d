import pytest
import torch

from sase_gan.networks.generator import Generator, GeneratorConfig


def awake(config: GeneratorConfig) -> Generator:
    """A generator whose gates, noise and norms do something: at their start most of them are the identity."""
    torch.manual_seed(3)
    network = Generator(config)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("strength"):
                parameter.fill_(0.5)
            elif "style_excite" in name or "mask_logit" in name:
                parameter.mul_(4)
        network.train()
        drawn = network(torch.randn(16, config.latent_size), None)  # running statistics as after training
        network.to_big.weight.mul_(0.5 / drawn.big.std())
    return network.eval()


@pytest.fixture(scope="module")
def network() -> Generator:
    return awake(GeneratorConfig(image_size=64, width=8, latent_size=24, num_components=3, spectral_norm=False))


@pytest.fixture(scope="module")
def plain() -> Generator:
    config = GeneratorConfig(image_size=64, width=8, latent_size=24, norm="batch", skip="sle", spectral_norm=False)
    return awake(config)
