"""Which training picture explains which part of a picture."""

import pytest
import torch
from torch import Tensor

from sase_gan.metrics import region_search
from sase_gan.metrics.book import NotApplicable
from sase_gan.metrics.region_search import Explained, RegionSearch
from sase_gan.metrics.region_windows import windows_of
from tests.metrics.region_pictures import SIDE, halves, quarters, textures

TRAINING = textures(8)
OTHERS = textures(4, seed=1)


@pytest.fixture(scope="module")
def search() -> RegionSearch:
    return RegionSearch(TRAINING)


def only(search: RegionSearch, picture: Tensor) -> Explained:
    (found,) = search.explain(picture[None])
    return found


def test_a_copy_is_one_region_of_its_picture(search):
    found = only(search, TRAINING[3])
    (region,) = found.regions
    assert (region.source, region.mirrored, region.shift) == (3, False, (0, 0))
    assert region.share == pytest.approx(1.0)
    assert found.patchwork_share == found.region_share == found.picture_share == found.largest_region == region.share
    assert (found.labels == 0).all()


def test_a_mirrored_copy_is_found(search):
    (region,) = only(search, TRAINING[5].flip(-1)).regions
    assert (region.source, region.mirrored, region.shift) == (5, True, (0, 0))
    assert region.share == pytest.approx(1.0)


def test_a_shift_says_where_the_source_lies(search):
    shifted = OTHERS[0].clone()
    # What is at (3, 0) of the training picture is now at (0, 4): the source lies 3 further down and 4 further left.
    shifted[:, : SIDE - 3, 4:] = TRAINING[2][:, 3:, : SIDE - 4]
    found = only(search, shifted)
    assert (found.regions[0].source, found.regions[0].shift) == (2, (3, -4))
    assert found.labels[: SIDE - 3, 4:].eq(0).all()


def test_planted_halves_have_exactly_their_shares(search):
    found = only(search, halves(TRAINING[1], TRAINING[6]))
    assert {region.source for region in found.regions} == {1, 6}
    assert found.sources == 2
    assert found.patchwork_share == pytest.approx(1.0)
    left = next(place for place, region in enumerate(found.regions) if region.source == 1)
    expected = torch.full((SIDE, SIDE), 1 - left)
    expected[:, : SIDE // 2] = left
    # A window that overlaps the seam by a pixel may still be explained.
    assert (found.labels == expected).float().mean() > 0.97
    assert sorted(region.share for region in found.regions) == pytest.approx([0.5, 0.5], abs=0.03)


def test_planted_quarters_are_four_regions(search):
    found = only(search, quarters(TRAINING[[0, 2, 4, 7]]))
    assert sorted(region.source for region in found.regions) == [0, 2, 4, 7]
    assert found.patchwork_share > 0.97
    assert found.largest_region == pytest.approx(0.25, abs=0.04)
    assert found.picture_share == pytest.approx(found.largest_region)


def test_of_a_half_copy_the_half_is_found(search):
    found = only(search, halves(TRAINING[1], OTHERS[1]))
    assert found.region_share == pytest.approx(0.5, abs=0.04)
    assert found.patchwork_share == pytest.approx(found.region_share, abs=0.02)


def test_pictures_that_share_nothing_are_not_explained(search):
    assert [found.patchwork_share for found in search.explain(OTHERS)] == [0.0] * len(OTHERS)


def test_the_share_grows_with_the_piece(search):
    shares = []
    for columns in (0, 12, 24, 36, 48):
        picture = OTHERS[2].clone()
        picture[..., :columns] = TRAINING[0][..., :columns]
        shares.append(only(search, picture).patchwork_share)
    assert shares == sorted(shares)
    assert shares == pytest.approx([0, 0.25, 0.5, 0.75, 1], abs=0.05)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: 0.7 * x + 50,
        lambda x: x + torch.tensor([20.0, -10.0, 0.0])[:, None, None],
        lambda x: x + 4 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0)),
    ],
    ids=["brightness and contrast", "tint", "noise"],
)
def test_light_changes_hide_nothing(search, change):
    changed = change(TRAINING[4].float()).round().clamp(0, 255).to(torch.uint8)
    found = only(search, changed)
    assert found.regions[0].source == 4
    assert found.region_share > 0.95


def test_flat_areas_count_nothing():
    training = TRAINING.clone()
    training[:, :, :, 24:] = 200
    search = RegionSearch(training)
    # All share the flat half, and that is no evidence; the edge that leads to it may look alike by chance.
    stranger = OTHERS[0].clone()
    stranger[:, :, 24:] = 200
    assert only(search, stranger).patchwork_share < 0.12
    # Nor does it keep a copy of the other half from being whole.
    assert only(search, training[2]).patchwork_share == pytest.approx(1.0)


def test_a_blank_picture_has_no_share(search):
    found = only(search, torch.full((3, SIDE, SIDE), 90, dtype=torch.uint8))
    assert found.patchwork_share == 0.0
    assert found.regions == ()


def test_what_all_pictures_have_in_common_is_little_evidence():
    training = TRAINING.clone()
    training[:, :, :24] = TRAINING[0][:, :24]
    picture = OTHERS[0].clone()
    picture[:, :24] = TRAINING[0][:, :24]
    assert only(RegionSearch(training), picture).patchwork_share < 0.25
    assert only(RegionSearch(TRAINING), picture).patchwork_share == pytest.approx(0.5, abs=0.04)


def test_a_picture_does_not_explain_itself_when_it_is_excluded(search):
    found = search.explain(TRAINING, torch.arange(len(TRAINING)))
    assert [one.patchwork_share for one in found] == [0.0] * len(TRAINING)
    twice = torch.cat([TRAINING, TRAINING[:1]])
    (copy,) = RegionSearch(twice).explain(TRAINING[:1], torch.tensor([0]))
    assert copy.regions[0].source == 8
    assert copy.patchwork_share == pytest.approx(1.0)


def test_parts_and_blocks_change_nothing(search, monkeypatch):
    pictures = torch.stack([halves(TRAINING[0], TRAINING[1]), quarters(TRAINING[2:6]), OTHERS[0]])
    together = search.explain(pictures)
    monkeypatch.setattr(region_search, "_BLOCK_PICTURES", 1)
    monkeypatch.setattr(region_search, "_BLOCK_PLACES", 1)
    apart = search.explain(pictures)
    for one, other in zip(together, apart, strict=True):
        assert torch.equal(one.labels, other.labels)
        assert [region.source for region in one.regions] == [region.source for region in other.regions]


def test_explained_windows_are_those_of_the_plain_formula(search):
    """A slow float64 form: fit a gain to each window about its mean, and look at the rest."""
    changed = TRAINING[3].float() * 0.8 + 4 * torch.randn(3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    query = windows_of(changed.clamp(0, 255).to(torch.uint8)[None])
    candidates = torch.tensor([[3, 0, 0, 0], [3, 0, 0, 1], [4, 1, -2, 3]])
    found = search._explained_windows(query, candidates)
    pixels, reference = query.pixels[0].double(), search._plain.pixels.double()
    agreeing, explained = 0, 0
    for index, (source, mirrored, down, right) in enumerate(candidates.tolist()):
        picture = reference[source].flip(-1) if mirrored else reference[source]
        for y in range(0, SIDE - 6, 5):
            for x in range(0, SIDE - 6, 5):
                top, left = y + down, x + right
                expected = False
                if 0 <= top <= SIDE - 7 and 0 <= left <= SIDE - 7:
                    a, b = pixels[:, y : y + 7, x : x + 7], picture[:, top : top + 7, left : left + 7]
                    a, b = a - a.mean((1, 2), keepdim=True), b - b.mean((1, 2), keepdim=True)
                    gain = min(2.0, max(0.5, ((a * b).sum() / b.square().sum()).item()))
                    expected = bool((a - gain * b).square().sum() <= 0.1 * a.square().sum() + 147)
                agreeing += expected == bool(found[index, y, x])
                explained += expected
    assert agreeing == 3 * 9 * 9
    assert 20 < explained < 120


def test_few_pictures_are_searched_everywhere_and_many_nearby():
    assert region_search._reach(1, 64) == 64
    assert region_search._reach(100, 64) == region_search._reach(1000, 64) == 8
    assert region_search._reach(20, 64) > 16


def test_one_picture_explains_what_was_moved_far():
    search = RegionSearch(TRAINING[:1])
    moved = TRAINING[0].roll((20, 17), (1, 2))
    found = only(search, moved)
    assert found.patchwork_share > 0.9
    assert (-20, -17) in {region.shift for region in found.regions}


def test_large_pictures_are_reduced_and_wide_ones_stay_wide():
    wide = textures(3, size=(80, 160))
    found = only(RegionSearch(wide), wide[1])
    assert found.labels.shape == (64, 128)
    assert found.region_share == pytest.approx(1.0)


def test_flat_areas_of_reduced_pictures_resemble_nothing():
    """Reduction leaves less than a grey level there, which must not grow into correlations above 1."""
    large = textures(6, size=(128, 128))
    specks = torch.rand(6, 1, 64, 128, generator=torch.Generator().manual_seed(0)) < 0.004
    large[:, :, 64:] = 255 - specks.to(torch.uint8)
    search = RegionSearch(large)
    lengths = search._describe(windows_of(large)).square().sum(1)
    assert lengths.max() < 1.001
    assert lengths[:, 40:].max() < 0.01
    found = only(search, torch.cat([halves(large[0], large[3])[:, :64], large[5][:, 64:]], 1))
    assert found.patchwork_share > 0.95
    assert found.sources <= 3


def test_pictures_that_are_too_small_are_refused():
    with pytest.raises(NotApplicable, match=r"at least 16 px a side; these have 12 x 40"):
        RegionSearch(torch.zeros(3, 3, 40, 12, dtype=torch.uint8))
