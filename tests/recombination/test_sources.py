"""Origins of pictures that were put together by hand."""

import torch

from sase_gan.recombination.drawn import NOWHERE
from sase_gan.recombination.sources import LEGEND, origin_of, source_sheet


def by_hand() -> torch.Tensor:
    """Left picture 1 as it lies, above right picture 0 mirrored, below right picture 2 moved by (2, 1)."""
    rows, columns = torch.meshgrid(torch.arange(20), torch.arange(20), indexing="ij")
    sources = torch.stack([torch.ones(20, 20, dtype=torch.long), rows, columns], -1)
    sources[:8, 10:, 0] = 3
    sources[:8, 10:, 2] = 19 - columns[:8, 10:]
    sources[8:, 10:, 0] = 2
    sources[8:, 10:, 1] = rows[8:, 10:] - 2
    sources[8:, 10:, 2] = columns[8:, 10:] - 1
    return sources.int()


def test_regions_and_shares_are_those_put_together() -> None:
    origin = origin_of(by_hand(), torch.zeros(3, 3, 20, 20))
    assert origin.shares == ((1, 0.5), (2, 0.3), (0, 0.2))
    found = [(r.picture, r.mirrored, r.down, r.right, r.share) for r in origin.regions]
    assert found == [(1, False, 0, 0, 0.5), (2, False, 2, 1, 0.3), (0, True, 0, 0, 0.2)]
    written = origin.to_json(["a.png", "b.png", "c.png"])
    assert written["shares"] == {"b.png": 0.5, "c.png": 0.3, "a.png": 0.2}
    assert written["largest_region"] == 0.5


def test_parts_of_one_picture_that_do_not_touch_are_regions_of_their_own() -> None:
    sources = by_hand()
    sources[:, 5:9, 0] = 0
    origin = origin_of(sources, torch.zeros(3, 3, 20, 20))
    assert sorted(round(r.share, 2) for r in origin.regions if r.picture == 1) == [0.05, 0.25]


def test_the_sheet_shows_the_picture_its_regions_and_its_sources() -> None:
    pictures = torch.stack([torch.full((3, 20, 20), value, dtype=torch.uint8) for value in (50, 120, 200)])
    sources = by_hand()
    image = torch.full((3, 20, 20), 128, dtype=torch.uint8)
    sheet = source_sheet(image, sources, pictures, origin_of(sources, pictures))
    assert sheet.shape == (3, 20 + 40 // LEGEND, 40)
    assert torch.equal(sheet[:, :20, :20], image)
    colours = {tuple(sheet[:, row, column].tolist()) for row, column in ((3, 23), (3, 35), (15, 35))}
    assert len(colours) == 3


def test_what_was_kept_of_a_visitor_s_picture_has_no_source() -> None:
    sources = by_hand()
    sources[:, :10] = NOWHERE
    pictures = torch.zeros(3, 3, 20, 20, dtype=torch.uint8)
    origin = origin_of(sources, pictures)
    assert origin.kept == 0.5
    assert origin.shares == ((2, 0.3), (0, 0.2))
    assert [region.picture for region in origin.regions] == [2, 0]
    assert origin.to_json()["kept"] == 0.5
    image = torch.full((3, 20, 20), 128, dtype=torch.uint8)
    red, green, blue = source_sheet(image, sources, pictures, origin)[:, 3, 23].tolist()
    assert red == green == blue  # in grey, not in a colour of any training picture
