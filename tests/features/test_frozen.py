import pytest
import torch

from sase_gan.features.efficientnet_lite0 import EfficientNetLite0
from sase_gan.features.frozen import to_unit
from sase_gan.features.lpips import LpipsNetwork


def test_building_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    EfficientNetLite0(pretrained=False)
    LpipsNetwork("squeeze", untrained=True)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("bad", [torch.zeros(3, 8, 8), torch.zeros(1, 1, 8, 8), torch.zeros(1, 3, 8, 8).long()])
def test_wrong_images_are_refused(bad: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="Images must"):
        to_unit(bad)
