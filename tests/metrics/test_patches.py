import pytest
import torch

from sase_gan.metrics.applicable import NotApplicable
from sase_gan.metrics.fidelity import reference_halves
from sase_gan.metrics.patches import extract_patches, patch_distance, pyramid, reference_patch_distance


def smooth(n: int, size: int = 64) -> torch.Tensor:
    small = torch.rand(n, 3, 6, 6) * 255
    return torch.nn.functional.interpolate(small, size=size, mode="bicubic").clamp(0, 255).to(torch.uint8)


def test_pyramid_adds_up_to_the_picture() -> None:
    from sase_gan.metrics.patches import _up

    images = torch.randn(2, 3, 50, 37)
    levels = pyramid(images)
    assert [tuple(level.shape[-2:]) for level in levels] == [(50, 37), (25, 19)]
    rebuilt = levels[-1]
    for level in levels[-2::-1]:
        rebuilt = level + _up(rebuilt, level.shape[-2:])
    torch.testing.assert_close(rebuilt, images, atol=1e-5, rtol=1e-5)


def test_a_constant_picture_has_only_its_coarsest_level() -> None:
    levels = pyramid(torch.full((1, 3, 64, 64), 0.4))
    assert max(level.abs().max() for level in levels[:-1]) < 1e-6
    torch.testing.assert_close(levels[-1], torch.full((1, 3, 16, 16), 0.4))


def test_equal_sets_are_at_distance_zero_and_disturbances_show_at_their_scale() -> None:
    images = smooth(24)
    reals = extract_patches(images)
    assert reals.levels == (64, 32, 16)
    same = patch_distance(extract_patches(images.clone()), reals)
    assert same.mean == 0
    noise = (images.float() + 25 * torch.randn(images.shape)).clamp(0, 255).to(torch.uint8)
    noisy = patch_distance(extract_patches(noise), reals, intervals=False)
    assert noisy.levels[64] > 10 * noisy.levels[16]
    bright = patch_distance(extract_patches((images.float() * 0.6).to(torch.uint8)), reals, intervals=False)
    assert bright.levels[16] > 100


def test_patches_are_those_of_the_level() -> None:
    images = smooth(3, 16)
    patches = extract_patches(images).patches[0]
    level = pyramid(images / 127.5 - 1)[0]
    windows = torch.nn.functional.unfold(level, 7).transpose(1, 2)
    for index in range(3):
        distances = torch.cdist(patches[index, :20].double(), windows[index].double()).min(1).values
        assert distances.max() < 1e-5


def test_reference_level_and_interval() -> None:
    reals = extract_patches(smooth(40))
    halves = reference_patch_distance(reals, reference_halves(40, 3))
    assert halves.shape == (3,)
    found = patch_distance(extract_patches(smooth(40)), reals)
    assert found.interval is not None
    assert found.interval.low <= found.mean <= found.interval.high
    # Equal distributions score about what halves of the reals score, and less because there are more pictures.
    assert found.mean < 1.5 * halves.mean().item()


def test_small_and_unequal_pictures_are_told() -> None:
    with pytest.raises(NotApplicable, match="at least 16 px"):
        extract_patches(torch.zeros(2, 3, 15, 40, dtype=torch.uint8))
    with pytest.raises(NotApplicable, match="one size"):
        patch_distance(extract_patches(smooth(2, 32)), extract_patches(smooth(2, 64)))
