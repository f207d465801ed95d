"""Generators and discriminators: a frozen configuration record and a module, side by side."""

from sase_gan.networks.discriminator import Discriminator, DiscriminatorConfig
from sase_gan.networks.generator import Generator, GeneratorConfig

__all__ = ["Discriminator", "DiscriminatorConfig", "Generator", "GeneratorConfig"]
