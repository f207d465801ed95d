"""Courses and controls of the free form: planes, entries, ways to another size, rules, what stays."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sase_gan.errors import UsageError
from sase_gan.pixels import to_float
from sase_gan.recombination.control import Control, only, without
from sase_gan.recombination.drawn import NOWHERE
from sase_gan.recombination.free import FreeRecombiner
from sase_gan.recombination.free_drawing import Course
from sase_gan.recombination.free_examples import ExampleLevel
from sase_gan.recombination.free_planes import OPEN, Plane
from sase_gan.recombination.free_polish import PatchPolish
from sase_gan.recombination.free_steps import candidates, nearest_patches, vote_weights
from tests.recombination.test_free import PLAIN, QUICK, inputs, landscape

ROUND, MIRRORED = Plane("round"), Plane("mirrored")


def test_a_round_plane_folds_as_three_by_three_tiles_do() -> None:
    size, patch = (6, 7), 5
    patches = torch.randn(3 * patch * patch, 42, generator=torch.Generator().manual_seed(0))
    weights = vote_weights(patch, 0.8, patches)
    whole = patches.view(-1, *size).repeat(1, 3, 3)[:, : 18 - patch + 1, : 21 - patch + 1].flatten(1)
    expected = OPEN.fold(whole, (18, 21), weights)[..., 6:12, 7:14]
    assert torch.allclose(ROUND.fold(patches, size, weights), expected, atol=1e-5)


@pytest.mark.parametrize("size", [(6, 7), (3, 4)])
def test_folding_back_is_the_transpose_of_extending(size: tuple[int, int]) -> None:
    source = torch.Generator().manual_seed(0)
    x = torch.randn(1, 2, *size, generator=source)
    y = torch.randn(1, 2, size[0] + 4, size[1] + 4, generator=source)
    there, back = (ROUND.extended(x, 5) * y).sum(), (x * ROUND.folded_back(y, 5)).sum()
    assert torch.allclose(there, back, atol=1e-4)


def test_a_round_polish_does_not_know_where_the_border_is() -> None:
    example, x = (to_float(landscape(seed, 14, 16))[None] for seed in (1, 2))
    polish = PatchPolish(example, patch=3, kernels=2, steps=3, rate=0.7)
    moved = polish(x.roll((5, 3), (2, 3)), ROUND).roll((-5, -3), (2, 3))
    assert torch.allclose(polish(x, ROUND), moved, atol=1e-5)
    assert not torch.allclose(polish(x), moved, atol=1e-3)


def test_candidates_go_round() -> None:
    level = ExampleLevel(to_float(landscape())[None], (20, 24), 5, 8)
    match = torch.randint(level.count, (7, 9), generator=torch.Generator().manual_seed(0))
    here = candidates(level, match, None, ROUND).view(7, 9, -1)
    moved = candidates(level, match.roll((2, 4), (0, 1)), None, ROUND).view(7, 9, -1)
    assert torch.equal(here.roll((2, 4), (0, 1)), moved)


def seam(picture: Tensor) -> tuple[float, float]:
    """Mean step across the borders of a tile `[3, h, w]`, and between neighbours inside."""
    across = [(picture - picture.roll(1, axis)).abs().mean(0) for axis in (1, 2)]
    inside = torch.cat([across[0][1:].flatten(), across[1][:, 1:].flatten()]).mean()
    return float(torch.cat([across[0][0], across[1][:, 0]]).mean()), float(inside)


def test_a_tile_goes_on_across_its_borders() -> None:
    recombiner = FreeRecombiner(landscape()[None], settings=QUICK)
    given = inputs(recombiner, 1)
    tile = recombiner.draw(*given, course=Course(plane=ROUND))
    border, inside = seam(tile.pictures[0])
    assert border < 1.5 * inside
    border, inside = seam(recombiner.draw(*given).pictures[0])
    assert border > 2 * inside  # which a picture with borders does not
    assert (tile.sources[..., 1] < 36).all()
    assert (tile.sources >= 0).all()


def test_the_pixels_of_a_tile_are_those_that_its_sources_name() -> None:
    picture = landscape()
    recombiner = FreeRecombiner(picture[None], settings=PLAIN)
    drawn = recombiner.draw(*inputs(recombiner, 1, (30, 40)), size=(30, 40), course=Course(plane=ROUND))
    _, row, column = drawn.sources[0].long().unbind(-1)
    assert (to_float(picture)[:, row, column] - drawn.pictures[0]).abs().max() < 0.01


@pytest.mark.parametrize("size", [(36, 48), (30, 41)])
def test_a_symmetric_picture_is_its_own_mirror_image(size: tuple[int, int]) -> None:
    picture = landscape()
    recombiner = FreeRecombiner(picture[None], settings=PLAIN)
    drawn = recombiner.draw(*inputs(recombiner, 2, size), size=size, course=Course(plane=MIRRORED))
    assert torch.equal(drawn.pictures, drawn.pictures.flip(-1))
    index, row, column = drawn.sources.long().unbind(-1)
    assert index[..., : size[1] // 2].unique().tolist() == [0]
    assert index[..., size[1] - size[1] // 2 :].unique().tolist() == [1]  # mirror images
    assert (to_float(picture)[:, row, column].movedim(0, 1) - drawn.pictures).abs().max() < 0.01


def test_nearest_patches_by_comparing_all_pairs() -> None:
    level = ExampleLevel(to_float(landscape(1, 12, 14))[None], (12, 14), 5, 75)
    x = to_float(landscape(2, 9, 10))[None]
    queries, keys = (F.unfold(one, 5)[0].T.double() for one in (x, level.pictures))
    expected = torch.cdist(queries, keys).argmin(1).view(5, 6)
    assert torch.equal(nearest_patches(level, x), expected)
    assert nearest_patches(level, x, plane=ROUND).shape == (9, 10)


def test_a_later_entry_keeps_more_of_the_picture() -> None:
    picture = landscape()
    recombiner = FreeRecombiner(picture[None], settings=QUICK)
    z, noise = inputs(recombiner, 1)
    start = to_float(picture)[None]
    changes = [
        (recombiner.draw(z, noise, start=start, strength=0.8, course=Course(scale=scale)).pictures - start).abs().mean()
        for scale in (1, 2)
    ]
    assert changes[1] < 0.8 * changes[0]
    with pytest.raises(UsageError, match="start scale is 4; this model takes 1 to 3"):
        recombiner.draw(z, noise, start=start, course=Course(scale=4))


def test_the_way_to_another_size_keeps_objects_at_their_scale() -> None:
    """A disk on a plain of noise: squeezed to two thirds it would be narrow; by whole patches it stays round."""
    rows, columns = torch.meshgrid(torch.arange(48), torch.arange(72), indexing="ij")
    disk = (rows - 24) ** 2 + (columns - 36) ** 2 < 81
    noise = torch.randint(0, 40, (3, 48, 72), generator=torch.Generator().manual_seed(0))
    picture = torch.where(disk, 230 - noise, noise).to(torch.uint8)
    recombiner = FreeRecombiner(picture[None], settings=PLAIN)
    size = (48, 48)
    way = tuple((13, width) for width in (18, 16, 15, 13))
    given = inputs(recombiner, 1, size)
    drawn = recombiner.draw(
        *given, size=size, start=to_float(picture)[None], strength=0.2, course=Course(drift=2.0, way=way)
    )
    assert drawn.pictures.shape == (1, 3, *size)
    bright = drawn.pictures[0].mean(0) > 0
    height, width = int(bright.any(1).sum()), int(bright.any(0).sum())
    assert abs(height - 17) <= 4
    assert width >= 15  # resizing would leave 12


# -- controls ---------------------------------------------------------------------------------------------------------


def left_half() -> Tensor:
    mask = torch.zeros(36, 48)
    mask[:, :24] = 1
    return mask


@pytest.mark.parametrize("mirror", [False, True])
def test_regions_are_bound_to_training_pictures_and_barred_from_them(mirror: bool) -> None:
    recombiner = FreeRecombiner(torch.stack([landscape(seed) for seed in (1, 2, 3)]), mirror=mirror, settings=QUICK)
    given = inputs(recombiner, 2)
    assert (recombiner.draw(*given).sources[:, :, :24, 0] % 3).unique().tolist() == [0, 1, 2]
    bound = recombiner.draw(*given, control=Control((only(left_half(), torch.tensor([False, False, True])),)))
    assert (bound.sources[:, :, :24, 0] % 3).unique().tolist() == [2]
    barred = recombiner.draw(*given, control=Control((without(left_half(), torch.tensor([False, False, True])),)))
    assert (barred.sources[:, :, :24, 0] % 3).unique().tolist() == [0, 1]
    assert 2 in barred.sources[:, :, 24:, 0] % 3


def test_what_is_kept_stays_and_what_is_hidden_does_not_serve() -> None:
    picture = landscape()
    recombiner = FreeRecombiner(picture[None], settings=QUICK)
    given = inputs(recombiner, 2)
    change = torch.zeros(36, 48, dtype=torch.bool)
    change[12:24, 16:30] = True
    kept = Control(keep=(~change).float(), picture=to_float(picture))
    drawn = recombiner.draw(*given, control=kept, course=Course(polish=False))
    assert torch.equal(drawn.pictures[:, :, ~change], to_float(picture)[:, ~change].expand(2, -1, -1))
    assert (drawn.sources[:, ~change] == NOWHERE).all()
    hiding = Control(keep=kept.keep, picture=kept.picture, hidden=change[None])
    other = recombiner.draw(*given, control=hiding, course=Course(polish=False))
    row, column = other.sources[:, change][..., 1].long(), other.sources[:, change][..., 2].long()
    assert not change[row, column].any()
    back = drawn.sources[:, change]
    assert change[back[..., 1].long(), back[..., 2].long()].any()  # without hiding some of it comes back


def test_patches_come_from_anywhere_without_a_prior_on_position() -> None:
    picture = landscape()
    recombiner = FreeRecombiner(picture[None], settings=QUICK)
    given = inputs(recombiner, 1)
    start = to_float(picture).flip(1)[None]  # upside down
    moves = [
        (recombiner.draw(*given, start=start, strength=0.6, course=Course(drift=drift)).sources[0, ..., 1]
         - torch.arange(36)[:, None]).abs().float().mean()
        for drift in (0.3, math.inf)
    ]  # fmt: skip
    assert moves[1] > 1.5 * moves[0]
