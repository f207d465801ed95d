import pytest
import torch

from sase_gan.metrics.book import NotApplicable
from sase_gan.metrics.fidelity import reference_halves
from sase_gan.metrics.patches import extract_patches, patch_distance, reference_patch_distance


def smooth(n: int, size: int = 64) -> torch.Tensor:
    small = torch.rand(n, 3, 6, 6) * 255
    return torch.nn.functional.interpolate(small, size=size, mode="bicubic").clamp(0, 255).to(torch.uint8)


def pyramid(images: torch.Tensor) -> list[torch.Tensor]:
    """Laplacian pyramid of whole maps by convolutions: Burt and Adelson's definition, slowly."""
    taps = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    kernel = torch.outer(taps, taps).expand(3, 1, 5, 5).to(images)
    levels = []
    while min(images.shape[-2:]) >= 32:
        padded = torch.nn.functional.pad(images, (2, 2, 2, 2), mode="reflect")
        small = torch.nn.functional.conv2d(padded, kernel, stride=2, groups=3)
        wide = images.new_zeros(*images.shape[:2], 2 * small.shape[2], 2 * small.shape[3])
        wide[..., ::2, ::2] = small
        padded = torch.nn.functional.pad(wide, (2, 2, 2, 2), mode="reflect")
        large = torch.nn.functional.conv2d(padded, 4 * kernel, groups=3)
        levels.append(images - large[..., : images.shape[2], : images.shape[3]])
        images = small
    return [*levels, images]


def test_a_constant_picture_has_only_its_coarsest_level() -> None:
    *fine, coarse = extract_patches(torch.full((2, 3, 64, 64), 178, dtype=torch.uint8)).patches
    assert max(level.abs().max() for level in fine) < 1e-5
    torch.testing.assert_close(coarse, torch.full_like(coarse, 178 / 127.5 - 1))


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


@pytest.mark.parametrize("size", [(16, 16), (64, 64), (50, 37), (33, 71)])
def test_patches_are_those_of_the_whole_pyramid(size: tuple[int, int]) -> None:
    images = torch.randint(256, (5, 3, *size), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    levels = pyramid(images.double() / 127.5 - 1)
    found = extract_patches(images).patches
    assert len(found) == len(levels)
    for patches, level in zip(found, levels, strict=True):
        windows = torch.nn.functional.unfold(level, 7).transpose(1, 2)
        for index in range(5):
            distances = torch.cdist(patches[index, :300].double(), windows[index]).min(1).values
            assert distances.max() < 1e-4
            # They come from all over the picture, its borders included.
            places = torch.cdist(patches[index].double(), windows[index]).argmin(1)
            assert places.unique().numel() > 0.9 * len(windows[index]) * (
                1 - 2.718 ** (-len(places) / len(windows[index]))
            )


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
