import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sase_gan.features.efficientnet_lite0 import EfficientNetLite0, efficientnet_lite0
from sase_gan.metrics.structure import structure_distances
from sase_gan.resizing import resize


@pytest.fixture(scope="module")
def network() -> EfficientNetLite0:
    return efficientnet_lite0(torch.device("cpu"))


@pytest.fixture(scope="module")
def scene() -> Tensor:
    """Large things on a plain ground: discs of three sizes."""
    rows, columns = torch.meshgrid(torch.arange(96.0), torch.arange(128.0), indexing="ij")
    x = torch.stack([0.4 + 0.4 * rows / 96, 0.7 - 0.3 * rows / 96, 0.8 - 0.5 * rows / 96])
    for y, z, r, colour in ((60, 30, 22, (0.9, 0.2, 0.1)), (40, 90, 16, (0.1, 0.3, 0.8)), (75, 70, 9, (0.9, 0.9, 0.2))):
        x = torch.where((rows - y) ** 2 + (columns - z) ** 2 < r * r, torch.tensor(colour)[:, None, None], x)
    return (x * 255).to(torch.uint8)


def test_a_shifted_picture_is_at_the_floor_and_one_cut_into_pieces_is_far_above(
    scene: Tensor, network: EfficientNetLite0
) -> None:
    shifted = F.pad(scene[None].float(), (4, 0, 3, 0), mode="replicate")[0, :, :96, :128].to(torch.uint8)
    tiles = scene.unfold(1, 16, 16).unfold(2, 16, 16).reshape(3, 48, 16, 16)
    order = torch.randperm(48, generator=torch.Generator().manual_seed(0))
    torn = tiles[:, order].view(3, 6, 8, 16, 16).permute(0, 1, 3, 2, 4).reshape(3, 96, 128)
    found, floor = structure_distances([scene, shifted, torn], scene, network)
    assert found[0] <= found[1] < 2 * floor
    assert found[2] > 5 * floor


def test_the_figure_is_the_unbiased_discrepancy_of_scaled_vectors(scene: Tensor) -> None:
    class Colours(EfficientNetLite0):
        """Colours of every 64th pixel instead of a network's map."""

        def __init__(self) -> None:
            torch.nn.Module.__init__(self)

        def features(self, x: Tensor) -> list[Tensor]:
            return [x[:, :, ::64, ::64]]

    plain = torch.full((3, 96, 128), 255, dtype=torch.uint8)
    fake = torch.zeros(3, 96, 128, dtype=torch.uint8)
    found, floor = structure_distances([fake, plain], plain, Colours())
    # All vectors of the reals are ones, those of the first fake minus ones: (1 + 1)^3 + (1 + 1)^3 - 2 (-1 + 1)^3.
    assert found.tolist() == pytest.approx([16.0, 0.0], abs=1e-5)
    assert floor == pytest.approx(0.0, abs=1e-5)


def test_the_figure_of_a_noisy_picture_by_loops() -> None:
    """The crops, their places, the scaling of each channel, and what overshoots when a picture is enlarged."""

    class Colours(EfficientNetLite0):
        def __init__(self) -> None:
            torch.nn.Module.__init__(self)

        def features(self, x: Tensor) -> list[Tensor]:
            return [x[:, :, ::32, ::32] * torch.tensor([1.0, 3.0, 0.25])[:, None, None]]

    source = torch.Generator().manual_seed(0)
    real, fake = ((torch.rand(3, 100, 200, generator=source) > 0.7).to(torch.uint8) * 255 for _ in range(2))

    def rows(picture: Tensor) -> Tensor:
        large = resize(picture[None] / 127.5 - 1, (128, 256)).clamp(-1, 1)
        return Colours().features(large)[0][0].flatten(1).T.double()

    nine = [real[:, y : y + 90, x : x + 180] for y in (0, 5, 10) for x in (0, 10, 20)]
    reals = torch.cat([rows(one) for one in (real, *nine)])
    scale = reals.square().mean(0).sqrt()

    def discrepancy(picture: Tensor) -> float:
        a, b = rows(picture) / scale, reals / scale
        own, across, theirs = ((one @ other.T / 3 + 1) ** 3 for one, other in ((a, a), (a, b), (b, b)))
        unbiased = [(one.sum() - one.diagonal().sum()) / (len(one) * (len(one) - 1)) for one in (own, theirs)]
        return float(unbiased[0] + unbiased[1] - 2 * across.mean())

    found, floor = structure_distances([fake, real], real, Colours())
    assert found.tolist() == pytest.approx([discrepancy(fake), discrepancy(real)], rel=1e-6)
    five = [real[:, y : y + 80, x : x + 160] for y, x in ((0, 0), (0, 40), (20, 0), (20, 40), (10, 20))]
    assert floor == pytest.approx(sum(discrepancy(one) for one in five) / 5, rel=1e-6)
