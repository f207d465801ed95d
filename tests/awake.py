"""A generator at work: at their start most gates, noise and norms are the identity."""

import torch

from sase_gan.networks.generator import Generator, GeneratorConfig


def awake(config: GeneratorConfig) -> Generator:
    """A generator whose gates, noise and norms do something, and whose pictures have contrast."""
    torch.manual_seed(3)
    network = Generator(config)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("strength"):
                parameter.fill_(0.5)
            elif "style_excite" in name or "mask_logit" in name:
                parameter.mul_(4)
        network.train()
        count = len(config.classes)
        classes = torch.eye(count)[torch.arange(16) % count] if count else None
        drawn = network(
            torch.randn(16, config.latent_size), None, classes=classes
        )  # running statistics as after training
        network.to_big.weight.mul_(0.5 / drawn.big.std())
    return network.eval()
