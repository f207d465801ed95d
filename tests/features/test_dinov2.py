import torch

from sase_gan.features.dinov2 import DinoV2


def test_dinov2_describes_pictures_of_any_size() -> None:
    network = DinoV2(untrained=True)
    assert network.pooled(torch.randint(0, 256, (1, 3, 40, 56), dtype=torch.uint8)).shape == (1, 384)
