import numpy as np
import pytest
import torch
from torch import Tensor

from sase_gan.features.efficientnet_lite0 import efficientnet_lite0
from sase_gan.features.reconstruction import EfficientNetLite0Loss
from sase_gan.metrics import single_image
from sase_gan.metrics.book import NotApplicable
from sase_gan.pixels import to_float
from sase_gan.seeds import generator
from tests.metrics.conftest import compressed, each, shifted


@pytest.fixture(scope="module")
def scene() -> Tensor:
    """A picture with structure: smooth areas, edges, and noise."""
    torch.manual_seed(5)
    x = torch.nn.functional.interpolate(torch.rand(1, 3, 9, 12), size=(96, 128), mode="bicubic")[0]
    x[:, 40:60, 30:90] = torch.rand(3, 1, 1)
    return ((x + 0.03 * torch.randn(3, 96, 128)).clamp(0, 1) * 255).to(torch.uint8)


@pytest.fixture(scope="module")
def other() -> Tensor:
    torch.manual_seed(6)
    x = torch.nn.functional.interpolate(torch.rand(1, 3, 30, 40), size=(96, 128), mode="nearest")[0]
    return (x * 255).to(torch.uint8)


@pytest.fixture(scope="module")
def inception() -> torch.nn.Module:
    """torchvision's early Inception layers with random weights; they bear torch-fidelity's names."""
    from torchvision.models import inception_v3

    return inception_v3(weights=None, init_weights=False).eval().requires_grad_(False)


def test_frechet_distance_of_positions_is_analytic() -> None:
    base = torch.randn(400, 3, dtype=torch.float64)
    base = base - base.mean(0)
    white = base @ torch.linalg.inv(torch.linalg.cholesky(base.T @ base / 399)).T
    a = (white * torch.tensor([1.0, 2, 3]).double() + 1).T.reshape(3, 20, 20)
    b = (white * torch.tensor([2.0, 2, 1]).double()).T.reshape(3, 20, 20)
    assert single_image.position_frechet(a, b) == pytest.approx(3 + 1 + 0 + 4, rel=1e-9)
    assert single_image.position_frechet(a, a) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_with_fewer_positions_than_channels() -> None:
    assert single_image.position_frechet(torch.randn(64, 3, 3), torch.randn(64, 3, 3)) > 0
    with pytest.raises(NotApplicable, match="no covariance"):
        single_image.position_frechet(torch.randn(4, 1, 1), torch.randn(4, 2, 2))


def test_texture_distance_is_zero_for_copies_small_for_jpeg_and_large_for_others(scene: Tensor, other: Tensor) -> None:
    network = efficientnet_lite0()
    jpeg = each(scene[None], lambda image: compressed(image, 100))[0]
    copy, mild, far = single_image.sifd_efflite0([scene, jpeg, other], scene, network).tolist()
    assert copy == pytest.approx(0, abs=1e-8)
    assert mild < 0.05 * far


@pytest.mark.parametrize("source", ["torchvision", "fidelity"])
@pytest.mark.parametrize("variant", ["sifid64", "sifid192"])
def test_sifid_takes_unpooled_features_at_native_size(
    variant: single_image.SifidVariant,
    source: single_image.InceptionSource,
    scene: Tensor,
    other: Tensor,
    inception: torch.nn.Module,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inception, "MaxPool_1", inception.maxpool1, raising=False)  # torch-fidelity's name
    values = single_image.sifid([scene, other], scene, inception, variant, source)
    assert values[0].item() == pytest.approx(0, abs=1e-8)
    assert values[1] > 0
    # The definition, step by step, on the same picture.
    x = torch.stack([scene, other]).float()
    x = 2 * (x / 255) - 1 if source == "torchvision" else (x - 128) / 128
    with torch.inference_mode():
        for name in ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3"):
            x = getattr(inception, name)(x)
        if variant == "sifid192":
            x = torch.nn.functional.max_pool2d(x, 3, 2)
            x = inception.Conv2d_4a_3x3(inception.Conv2d_3b_1x1(x))
    assert x.shape[1] == int(variant.removeprefix("sifid"))
    assert values[1].item() == pytest.approx(single_image.position_frechet(x[1], x[0]), rel=1e-6)


def test_small_pictures_are_warned_about() -> None:
    assert single_image.size_warning("sifid64", 23, 100) is None
    assert "22" in (single_image.size_warning("sifid64", 100, 22) or "")
    assert single_image.size_warning("sifid192", 71, 71) is None
    assert "70" in (single_image.size_warning("sifid192", 70, 70) or "")


def test_patch_swd_closed_forms(scene: Tensor, other: Tensor) -> None:
    assert single_image.patch_swd(scene, scene) == 0
    mirrored, apart = single_image.patch_swd(scene.flip(-1), scene), single_image.patch_swd(other, scene)
    assert mirrored < 0.3 * apart
    assert single_image.patch_swd(scene, scene) == single_image.patch_swd(scene, scene)


def test_patch_swd_by_its_definition(scene: Tensor, other: Tensor) -> None:
    small = other[:, 5:70, 3:90]
    for fake in (other, small):
        distances = []
        for scale in (1, 2, 4):
            kernels = torch.randn(128, 3, 7, 7, generator=generator(0, "patch-swd", scale)).double()
            kernels /= kernels.square().sum((1, 2, 3), keepdim=True).sqrt()
            lists = []
            for picture in (fake, scene):
                x = picture[None].double() / 127.5 - 1
                if scale > 1:
                    size = (x.shape[2] // scale, x.shape[3] // scale)
                    x = torch.nn.functional.interpolate(x, size=size, mode="bicubic", antialias=True)
                lists.append(torch.nn.functional.conv2d(x, kernels)[0].flatten(1).sort(1).values.numpy())
            n = max(rows.shape[1] for rows in lists)
            ends = np.linspace(0, 1, n)
            a, b = (np.stack([np.interp(ends, np.linspace(0, 1, len(row)), row) for row in rows]) for rows in lists)
            distances.append(np.abs(a - b).mean())
        assert single_image.patch_swd(fake, scene) == pytest.approx(np.mean(distances), rel=1e-4)


def test_patch_swd_of_unlike_sizes(scene: Tensor) -> None:
    tiled = torch.cat([scene, scene], dim=2)
    assert single_image.patch_swd(tiled, scene) < 0.02
    with pytest.raises(NotApplicable, match="28 px"):
        single_image.patch_swd(scene[:, :27], scene)


def test_copy_rate_of_copies_and_of_others(scene: Tensor, other: Tensor) -> None:
    exact = single_image.copy_rate(scene, scene)
    assert exact.rate == 1.0
    assert exact.copied
    assert not exact.mirrored
    assert exact.displacement.abs().max() == 0
    mirror = single_image.copy_rate(scene.flip(-1), scene)
    assert mirror.rate == 1.0
    assert mirror.mirrored
    assert not single_image.copy_rate(other, scene).copied
    assert single_image.CopyRate(single_image.COPY_RATE_LIMIT, False, exact.displacement).copied
    symmetric = torch.cat([scene[..., :64], scene[..., :64].flip(-1)], 2)
    assert not single_image.copy_rate(symmetric, symmetric).mirrored


def test_copy_rate_finds_the_displacement(scene: Tensor) -> None:
    # A short side of 64 px is compared as it is, so that a shift by 4 stays one by 4.
    small = torch.nn.functional.interpolate(scene[None].float(), size=(64, 85), mode="area")[0].to(torch.uint8)
    found = single_image.copy_rate(shifted(small[None], 0, 4)[0], small)
    assert found.rate > 0.8
    middle = found.displacement[:, 10:-10, 15:-15]
    assert (middle[1] == -4).float().mean() > 0.95


def test_distance_to_train_looks_at_mirrors_and_shifts(scene: Tensor, other: Tensor) -> None:
    network = EfficientNetLite0Loss()
    copies = [scene, scene.flip(-1), shifted(scene[None], 5, 0)[0], shifted(scene[None].flip(-1), 0, 6)[0]]
    *near, far = single_image.distances_to_train([*copies, other], scene, network).tolist()
    assert near[:2] == [0, 0]
    assert max(near) < 0.15
    assert far > 0.4
    # Shifts by 5 % of the sides, and the mirror images of all.
    rows, columns = torch.arange(96), torch.arange(128)
    moved = [
        to_float(other)[:, (rows + y).clamp(0, 95)][:, :, (columns + x).clamp(0, 127)]
        for y, x in ((0, 0), (5, 0), (-5, 0), (0, 6), (0, -6))
    ]
    expected = torch.stack([*moved, *(one.flip(-1) for one in moved)])
    assert torch.equal(single_image._variants(to_float(other)[None]), expected)
    # The definition, pair by pair.
    views = [view for view in single_image._variants(to_float(other)[None])]
    pairs = [network(to_float(copies[2])[None], view[None]).item() for view in views]
    assert single_image.distances_to_train(copies[2:3], other, network).item() == pytest.approx(min(pairs), rel=1e-4)


def test_pair_distances_are_those_of_the_network(scene: Tensor, other: Tensor) -> None:
    network = EfficientNetLite0Loss()
    fakes = [scene, other, scene.flip(-1)]
    found = single_image.pair_distances(fakes, torch.tensor([[0, 1], [2, 0]]), network)
    direct = network(to_float(torch.stack([scene, scene.flip(-1)])), to_float(torch.stack([other, scene])))
    torch.testing.assert_close(found.float(), direct, rtol=1e-4, atol=1e-6)
