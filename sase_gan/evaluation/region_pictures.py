"""Pictures of the worst patchworks: what was generated, its regions in colours, and the training pictures beside."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sase_gan.colouring import coloured_parts, part_colour
from sase_gan.evaluation.pictures import GeneratedPictures, RealPictures
from sase_gan.metrics.measuring import RegionMatch
from sase_gan.metrics.records import RegionPicture, RegionSource
from sase_gan.metrics.region_search import Region

MOST_SOURCES = 4
"""So many training pictures are shown beside a generated one; the map shows all."""

Write = Callable[[str, Tensor], str]
"""Writes a picture under a name and returns the path for the record."""


class _Source(NamedTuple):
    """A training picture, by its index as given, with the places in the match's regions of those that are its."""

    picture: int
    places: tuple[int, ...]
    share: float


def write_match(
    rank: int, match: RegionMatch, generated: GeneratedPictures, real: RealPictures, write: Write
) -> RegionPicture:
    """Write the pictures of one patchwork; each training picture has one colour, in the map as in its own picture."""
    stem, regions, labels = f"regions_{rank:02d}", match.explained.regions, match.explained.labels.long()
    sources = _sources(match.sources, regions)
    by_region = torch.full((len(regions) + 1,), -1)
    for place, source in enumerate(sources):
        by_region[list(source.places)] = place
    fake = generated.images[match.fake]
    shown = []
    for place, source in enumerate(sources[:MOST_SOURCES]):
        mirrored, where = _places_in_source(labels, regions, source.places)
        picture = real.images[source.picture].flip(-1) if mirrored else real.images[source.picture]
        path = write(f"{stem}_source_{place}.png", coloured_parts(torch.where(where, place, -1), picture))
        shown.append(
            RegionSource(
                picture=path,
                name=real.names[source.picture],
                share=round(source.share, 4),
                regions=len(source.places),
                mirrored=mirrored,
                colour=part_colour(place),
            )
        )
    return RegionPicture(
        fake=write(f"{stem}_fake.png", fake),
        # The last entry stands for pixels in no region, whose label is -1.
        map=write(f"{stem}_map.png", coloured_parts(by_region[labels], fake)),
        fake_name=generated.names[match.fake],
        share=round(match.explained.patchwork_share, 4),
        regions=len(regions),
        sources=tuple(shown),
    )


def _sources(pictures: Sequence[int], regions: Sequence[Region]) -> list[_Source]:
    """The training pictures of regions, the one with the largest share first."""
    found: dict[int, _Source] = {}
    for place, (picture, region) in enumerate(zip(pictures, regions, strict=True)):
        before = found.get(picture, _Source(picture, (), 0.0))
        found[picture] = _Source(picture, (*before.places, place), before.share + region.share)
    return sorted(found.values(), key=lambda source: -source.share)


def _places_in_source(labels: Tensor, regions: Sequence[Region], places: Sequence[int]) -> tuple[bool, Tensor]:
    """Whether the largest of the regions is of the mirror image, and where in that view they all lie: bool [h, w]."""
    mirrored = regions[places[0]].mirrored
    where = torch.zeros_like(labels, dtype=torch.bool)
    for place in places:
        region = regions[place]
        moved = _moved(labels == place, region.shift)
        where |= moved if region.mirrored == mirrored else moved.flip(-1)
    return mirrored, where


def _moved(mask: Tensor, shift: tuple[int, int]) -> Tensor:
    """A mask moved down and right; what leaves the picture is lost."""
    rows, columns = mask.nonzero(as_tuple=True)
    rows, columns = rows + shift[0], columns + shift[1]
    inside = (rows >= 0) & (rows < mask.shape[0]) & (columns >= 0) & (columns < mask.shape[1])
    moved = torch.zeros_like(mask)
    moved[rows[inside], columns[inside]] = True
    return moved
