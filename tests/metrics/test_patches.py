import pytest
import torch

from sase_gan.metrics import patches
from sase_gan.metrics.book import NotApplicable
from sase_gan.metrics.fidelity import reference_halves
from sase_gan.metrics.patches import extract_patches, patch_distance, reference_patch_distance
from sase_gan.seeds import generator


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
    for own, level in zip(found, levels, strict=True):
        windows = torch.nn.functional.unfold(level, 7).transpose(1, 2)
        for index in range(5):
            distances = torch.cdist(own[index, :300].double(), windows[index]).min(1).values
            assert distances.max() < 1e-4
            # They come from all over the picture, its borders included.
            places = torch.cdist(own[index].double(), windows[index]).argmin(1)
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


def test_a_reduction_is_expanded_as_the_pyramid_says() -> None:
    # Made once at import: what the other tests of patches check is this very table.
    assert torch.equal(patches._expanding(), patches._EXPANDING)


def test_rows_are_chosen_evenly_from_first_to_last() -> None:
    rows = torch.tensor([[3.0], [0.0], [9.0], [5.0], [1.0]])
    assert patches._sorted_projections(rows, torch.ones(1, 2), 3).tolist() == [[1, 3, 9]] * 2
    assert patches._sorted_projections(rows, torch.ones(1, 1), 5).tolist() == [[0, 1, 3, 5, 9]]


def test_directions_are_of_length_one_and_always_the_same() -> None:
    directions = patches._directions(5, 3, 16)
    torch.testing.assert_close(directions.norm(dim=0), torch.ones(3))
    torch.manual_seed(1)
    assert torch.equal(patches._directions(5, 3, 16), directions)
    assert not torch.equal(patches._directions(5, 3, 32), directions)


def test_the_interval_is_of_196_hundredths_of_a_deviation() -> None:
    found = patches._interval(300.0, torch.tensor([0.1, 0.2, 0.3]))
    assert (found.low, found.high) == (pytest.approx(104.0), pytest.approx(496.0))
    assert found.description == "95 %, 1.96 deviations, bootstrap over fakes, 3 draws"
    assert patches._interval(100.0, torch.tensor([0.1, 0.2, 0.3])).low == 0
    one = extract_patches(smooth(1, 32))
    assert patch_distance(one, one).interval is None
    assert patch_distance(one, extract_patches(smooth(2, 32))).level_intervals == {}


@pytest.mark.parametrize(("shape", "other"), [((2, 3), (4, 5)), ((5, 4), (3, 2)), ((6, 9), (7, 8))])
def test_resampled_distances_by_loops(
    shape: tuple[int, int], other: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patches, "PATCHES", 40)
    a, b = torch.randn(*shape, 6), torch.randn(*other, 6)
    directions, n = patches._directions(6, 32, 16), min(10, shape[0] * shape[1], other[0] * other[1])

    def even(rows: torch.Tensor) -> torch.Tensor:
        chosen = [int(place * (len(rows) - 1) / max(n - 1, 1) + 1e-6) for place in range(n)]
        return (rows[chosen] @ directions).sort(0).values

    expected = []
    for draw in range(20):
        pictures = torch.randint(len(a), (len(a),), generator=generator(0, "patch draws", draw))
        expected.append((even(a[pictures].flatten(0, 1)) - even(b.flatten(0, 1))).abs().mean())
    torch.testing.assert_close(patches._resampled(a, b, 16), torch.stack(expected))


def test_distances_by_loops() -> None:
    fakes, reals = (extract_patches(smooth(3, 32)) for _ in range(2))
    found = patch_distance(fakes, reals, intervals=False, directions=4)
    values = []
    for level, a, b in zip((32, 16), fakes.patches, reals.patches, strict=True):
        a, b = (x.double().view(-1, 3, 49) for x in (a, b))
        mean, std = b.mean((0, 2), keepdim=True), b.transpose(0, 1).flatten(1).std(1)[:, None]
        rows = [((x - mean) / std).flatten(1) @ patches._directions(147, 4, level).double() for x in (a, b)]
        chosen = torch.linspace(0, len(rows[0]) - 1, 8192).long()
        first, second = (x[chosen].sort(0).values for x in rows)
        values.append(1000 * (first - second).abs().mean().item())
    assert list(found.levels.values()) == pytest.approx(values, rel=1e-3)
    assert found.mean == pytest.approx(sum(values) / 2, rel=1e-3)
