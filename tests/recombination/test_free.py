"""The free form: weights, relatives, polish against slow forms; fixed points, sources, sizes, no trace of the batch."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sase_gan.errors import DataError, UsageError
from sase_gan.metrics.single_image import patch_swd
from sase_gan.pixels import to_float, to_uint8
from sase_gan.recombination.free import Drawn, FreeRecombiner
from sase_gan.recombination.free_examples import ExampleLevel, carry_relatives, find_relatives, level_sizes
from sase_gan.recombination.free_polish import PatchPolish
from sase_gan.recombination.free_settings import FreeSettings
from sase_gan.recombination.free_steps import CoarseStep, carry_match, fine_step, vote_weights
from sase_gan.resizing import resize

QUICK = FreeSettings(coarsest=20, coarse_steps=10, polish_steps=6)
PLAIN = FreeSettings(coarsest=20, coarse_steps=10, polish_steps=0, last_vote=0.25)


def landscape(seed: int = 3, height: int = 36, width: int = 48) -> Tensor:
    """A picture uint8 `[3, height, width]` without two equal patches: slopes and noise of several sizes."""
    source = torch.Generator().manual_seed(seed)
    total = torch.linspace(-0.5, 0.5, height)[:, None] + torch.linspace(-0.3, 0.3, width)
    for side, share in ((4, 0.4), (9, 0.3), (36, 0.15)):
        noise = torch.rand(1, 3, side, side + side // 3, generator=source) * 2 - 1
        total = total + share * resize(noise, (height, width))[0]
    return to_uint8(total)


def inputs(recombiner: FreeRecombiner, count: int, size: tuple[int, int] | None = None) -> tuple[Tensor, list[Tensor]]:
    source = torch.Generator().manual_seed(5)
    z = torch.randn(count, *recombiner.latent_shape(size), generator=source)
    return z, [torch.randn(count, *shape, generator=source) for shape in recombiner.noise_shapes(size)]


def coarse_step(level: ExampleLevel, size: tuple[int, int], rate: float) -> CoarseStep:
    vote = vote_weights(level.patch, 0.8, level.pictures)
    return CoarseStep(level, size, drift=(0.2, 0.5), rate=rate, limit=30.0, vote=vote)


def test_the_coarsest_level_weighs_as_the_formula_says() -> None:
    pictures = to_float(torch.stack([landscape(1, 9, 11), landscape(2, 9, 11)]))
    size, patch, sigma = (8, 12), 5, 1.3
    x = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
    weights = coarse_step(ExampleLevel(pictures, (9, 11), patch, 8), size, rate=0.0).weights(x, sigma)
    expected = []
    for top in range(size[0] - patch + 1):
        for left in range(size[1] - patch + 1):
            query = x[0, :, top : top + patch, left : left + patch].double()
            logits = []
            for picture in pictures.double():
                for row in range(9 - patch + 1):
                    for column in range(11 - patch + 1):
                        key = picture[:, row : row + patch, column : column + patch]
                        down = (top + 2.5) / size[0] - (row + 2.5) / 9
                        across = (left + 2.5) / size[1] - (column + 2.5) / 11
                        bias = (down / 0.2) ** 2 / 2 + (across / 0.5) ** 2 / 2
                        logits.append(-float((query - key).square().sum()) / (2 * sigma**2) - bias)
            expected.append(torch.tensor(logits, dtype=torch.float64).softmax(0))
    assert torch.allclose(weights.double(), torch.stack(expected), atol=1e-5)


def test_all_patches_are_used_alike() -> None:
    level = ExampleLevel(to_float(landscape(1, 16, 16))[None], (16, 16), 7, 8)
    x = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    as_they_come = coarse_step(level, (16, 16), rate=0.0).weights(x, 1.0).sum(0)
    step = coarse_step(level, (16, 16), rate=0.5)
    for _ in range(30):
        even = step.weights(x, 1.0).sum(0)
    assert as_they_come.max() > 4
    assert even.min() > 0.9
    assert even.max() < 1.1


def test_relatives_by_comparing_all_pairs() -> None:
    level = ExampleLevel(to_float(torch.stack([landscape(1, 12, 14), landscape(2, 12, 14)])), (12, 14), 5, 10)
    found = find_relatives(level, 2)
    distances = torch.cdist(level.keys.double(), level.keys.double())
    picture, row, column = level.split(torch.arange(level.count))
    for patch in range(0, level.count, 7):
        taken = [patch]
        for _ in range(2):
            allowed = torch.ones(level.count, dtype=torch.bool)
            for one in taken:
                near = (picture == picture[one]) & ((row - row[one]).abs() <= 2) & ((column - column[one]).abs() <= 2)
                allowed &= ~near
            taken.append(int(distances[patch].masked_fill(~allowed, torch.inf).argmin()))
        assert found[patch].tolist() == taken[1:]


def test_relatives_are_carried_to_a_finer_level() -> None:
    tile = resize(to_float(landscape(1, 32, 24))[None], (32, 24))
    pictures = torch.cat([tile, tile], 3)
    coarse, fine = ExampleLevel(pictures, (16, 24), 5, 12), ExampleLevel(pictures, (32, 48), 5, 12)
    carried = carry_relatives(coarse, find_relatives(coarse, 1), fine)
    _, row, column = fine.split(torch.arange(fine.count))
    _, other_row, other_column = fine.split(carried[:, 0])
    same = (other_row == row) & ((other_column - column).abs() == 24)
    inside = (column < 17) | (column > 26)  # the others have no partner at the coarser level
    assert same[inside].float().mean() > 0.9


def test_a_match_that_is_off_by_a_pixel_is_mended() -> None:
    example = to_float(landscape())[None]
    level = ExampleLevel(example, (36, 48), 5, 24)
    true = torch.arange(level.count).view(level.rows, level.columns)
    guess = true.roll((1, -1), (0, 1))
    for _ in range(2):
        x, guess = fine_step(level, example, guess, None, vote_weights(5, 0.8, example))
    assert torch.equal(guess, true)
    assert torch.allclose(x, example, atol=1e-6)


def test_a_match_is_enlarged_in_place() -> None:
    example = to_float(landscape())[None]
    coarse, fine = ExampleLevel(example, (18, 24), 7, 8), ExampleLevel(example, (36, 48), 5, 8)
    match = carry_match(coarse, torch.arange(coarse.count).view(coarse.rows, coarse.columns), fine, (36, 48))
    _, row, column = fine.split(match)
    assert (row - torch.arange(fine.rows)[:, None]).abs().max() <= 1
    assert (column - torch.arange(fine.columns)).abs().max() <= 1


def test_the_polish_is_transport_along_its_kernels() -> None:
    example, x = (to_float(landscape(seed, 10, 12))[None].double() for seed in (1, 2))
    polish = PatchPolish(example, patch=3, kernels=2, steps=1, rate=0.7)
    total, cover = torch.zeros_like(x[0]), torch.zeros(10, 12, dtype=torch.float64)
    for kernel in polish.kernels[0]:
        places = [(row, column) for row in range(8) for column in range(10)]
        mine = [float((x[0, :, row : row + 3, column : column + 3] * kernel).sum()) for row, column in places]
        theirs = sorted(float((example[0, :, r : r + 3, c : c + 3] * kernel).sum()) for r, c in places)
        for rank, place in enumerate(sorted(range(len(places)), key=lambda one: mine[one])):
            row, column = places[place]
            total[:, row : row + 3, column : column + 3] += (theirs[rank] - mine[place]) * kernel
    for row, column in places:
        cover[row : row + 3, column : column + 3] += 1
    assert torch.allclose(polish(x)[0], x[0] + 0.7 * 27 / 2 * total / cover, atol=1e-9)


def test_the_polish_leaves_the_picture_itself_and_mends_a_soft_one() -> None:
    example = to_float(landscape())[None]
    polish = PatchPolish(example, patch=5, kernels=16, steps=20, rate=0.8)
    # Many values are ranked by a histogram, which is near; few are sorted.
    assert (polish(example) - example).abs().mean() < 0.002
    small = to_float(landscape(0, 24, 24))[None]
    assert torch.allclose(PatchPolish(small, patch=5, kernels=16, steps=20, rate=0.8)(small), small, atol=1e-5)
    soft = F.avg_pool2d(F.pad(example, (1, 1, 1, 1), mode="replicate"), 3, 1)
    before, after = (patch_swd(to_uint8(x)[0], landscape()) for x in (soft, polish(soft)))
    assert after < 0.75 * before


def test_a_start_without_noise_gives_the_picture_back() -> None:
    picture = landscape()
    recombiner = FreeRecombiner(picture[None], settings=QUICK)
    z, _ = inputs(recombiner, 1)
    drawn = recombiner.draw(z, start=to_float(picture)[None], strength=0.0)
    rows, columns = torch.arange(36)[:, None], torch.arange(48)
    there = (drawn.sources[0, ..., 1] == rows) & (drawn.sources[0, ..., 2] == columns)
    assert there.float().mean() > 0.95
    assert (drawn.pictures[0] - to_float(picture)).abs().mean() < 0.02


def test_more_strength_and_more_variety_change_more() -> None:
    picture = landscape()
    recombiner = FreeRecombiner(picture[None], settings=QUICK)
    z, noise = inputs(recombiner, 1)
    changes = [
        (recombiner.draw(z, noise, start=to_float(picture)[None], strength=strength).pictures - to_float(picture))
        .abs()
        .mean()
        for strength in (0.0, 0.7)
    ]
    assert changes[1] > 1.2 * changes[0]
    moves = []
    for variety in (0.3, 3.0):
        other = FreeRecombiner(picture[None], variety=variety, settings=QUICK)
        sources = other.draw(*inputs(other, 2)).sources
        moves.append((sources[..., 2] - torch.arange(48)).abs().float().mean())
    assert moves[1] > 2 * moves[0]


def named_pixels(pictures: Tensor, drawn: Drawn) -> Tensor:
    index, row, column = drawn.sources.long().unbind(-1)
    return to_float(pictures)[index % len(pictures), :, row, column].permute(0, 3, 1, 2)


def test_sources_name_the_pixels() -> None:
    pictures = torch.stack([landscape(1), landscape(2)])
    recombiner = FreeRecombiner(pictures, mirror=True, settings=PLAIN)
    drawn = recombiner.draw(*inputs(recombiner, 3))
    assert drawn.sources.shape == (3, 36, 48, 3)
    assert drawn.sources.dtype == torch.int32
    assert drawn.sources[..., 0].unique().tolist() == [0, 1, 2, 3]
    assert (named_pixels(pictures, drawn) - drawn.pictures).abs().max() < 0.01


def test_the_polish_keeps_most_pixels_near_their_sources() -> None:
    picture = landscape()[None]
    recombiner = FreeRecombiner(picture, settings=QUICK)
    drawn = recombiner.draw(*inputs(recombiner, 2))
    assert (named_pixels(picture, drawn) - drawn.pictures).abs().mean() < 0.1


@pytest.mark.parametrize("size", [(36, 96), (60, 30), (23, 47)])
def test_any_size(size: tuple[int, int]) -> None:
    recombiner = FreeRecombiner(landscape()[None], settings=QUICK)
    drawn = recombiner.draw(*inputs(recombiner, 1, size), size=size)
    assert drawn.pictures.shape == (1, 3, *size)
    assert drawn.sources.shape == (1, *size, 3)
    assert drawn.pictures.abs().max() <= 1
    assert (drawn.sources[..., 1] < 36).all()
    assert (drawn.sources[..., 2] < 48).all()
    assert patch_swd(to_uint8(drawn.pictures)[0], landscape()) < 0.15 if min(size) >= 28 else True


def test_the_batch_changes_nothing_and_seeds_do() -> None:
    recombiner = FreeRecombiner(landscape()[None], settings=QUICK)
    z, noise = inputs(recombiner, 3)
    together = recombiner.draw(z, noise)
    alone = FreeRecombiner(landscape()[None], settings=QUICK).draw(z[1:2], [part[1:2] for part in noise])
    assert torch.equal(together.pictures[1:2], alone.pictures)
    assert torch.equal(together.sources[1:2], alone.sources)
    assert (together.pictures[0] - together.pictures[1]).abs().mean() > 0.02
    other_noise = recombiner.draw(z[:1], [-part[:1] for part in noise])
    assert not torch.equal(other_noise.pictures, together.pictures[:1])


def test_a_picture_as_small_as_the_coarsest_level() -> None:
    recombiner = FreeRecombiner(landscape(1, 16, 20)[None], settings=QUICK)
    assert recombiner.noise_shapes() == ()
    assert recombiner.draw(*inputs(recombiner, 1)).pictures.shape == (1, 3, 16, 20)


@pytest.mark.parametrize("size", [(96, 128), (128, 96), (188, 250), (20, 400), (14, 14), (64, 64)])
def test_levels_grow_evenly_to_the_size(size: tuple[int, int]) -> None:
    sizes = level_sizes(size, 32, 1.5, 7)
    assert sizes[-1] == size
    assert min(sizes[0]) >= 7
    for before, after in pairwise(sizes):
        assert 1 < max(after) / max(before) < 1.56


def test_what_cannot_be_used_is_refused() -> None:
    with pytest.raises(DataError, match="12 x 40 px"):
        FreeRecombiner(landscape(1, 40, 12)[None])
    with pytest.raises(DataError, match="0 pictures"):
        FreeRecombiner(torch.zeros(0, 3, 40, 40, dtype=torch.uint8))
    with pytest.raises(UsageError, match="variety is 0"):
        FreeRecombiner(landscape()[None], variety=0)
    recombiner = FreeRecombiner(landscape()[None], settings=QUICK)
    with pytest.raises(DataError, match="10 x 60"):
        recombiner.latent_shape((60, 10))
    with pytest.raises(UsageError, match="strength is 2"):
        recombiner.draw(*inputs(recombiner, 1), strength=2)
