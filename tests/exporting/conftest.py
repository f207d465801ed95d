"""Small models with weights and statistics that are not their start, published as snapshots."""

from pathlib import Path

import pytest
import torch
from torch import nn

from sase_gan.networks.generator import Generator, GeneratorConfig
from sase_gan.networks.pyramid import Pyramid, PyramidConfig

SMALL = {"image_size": 32, "width": 8, "latent_size": 20, "num_components": 3, "output": "tanh"}


@torch.no_grad()
def settled(module: nn.Module) -> nn.Module:
    """Give norms and strengths of noise values that a training might have left, in evaluation mode."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d | nn.GroupNorm) and part.weight is not None:
            part.weight.uniform_(0.5, 1.5)
            part.bias.normal_(0, 0.2)
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.2, 1)
    for name, parameter in module.named_parameters():
        if name.endswith("strength"):
            parameter.fill_(0.4)
    return module.eval()


def small_generator(**options: object) -> Generator:
    return settled(Generator(GeneratorConfig(**{**SMALL, **options}))).folded()


def small_pyramid(**options: object) -> Pyramid:
    config = {"sizes": ((12, 16), (18, 24), (27, 36)), "width": 8, "finished_stages": 0, **options}
    pyramid = settled(Pyramid(PyramidConfig(**config)))
    for part in pyramid.modules():
        # Statistics of maps as small as these weights make them, or what is drawn would be plain.
        if isinstance(part, nn.BatchNorm2d) and config.get("statistics") == "running":
            part.running_mean.mul_(0.1)
            part.running_var.mul_(0.01)
    pyramid.amplitudes.copy_(torch.tensor([1.0, 0.5, 0.3])[: len(pyramid.amplitudes)])
    return pyramid


@pytest.fixture(scope="session")
def generator_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small generator's snapshot, of a set whose licence is known."""
    folder = tmp_path_factory.mktemp("models") / "small"
    network = small_generator()
    network.provenance = {"data": {"licence": "CC0-1.0", "name": "dots & lines", "count": 12}}
    network.save_pretrained(folder)
    return folder
