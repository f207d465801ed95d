"""The aligned form beside its plain formula, and what must hold of every drawing."""

import math

import pytest
import torch

from sase_gan.pixels import to_float
from sase_gan.recombination.aligned import AlignedRecombiner, _finer_noise
from sase_gan.recombination.box_sums import margin, window_sums
from sase_gan.recombination.control import Control, only, without
from sase_gan.recombination.evenness import even_prior, use_entropy
from sase_gan.recombination.examples import Examples
from sase_gan.recombination.grid import Grid
from sase_gan.recombination.schedules import Schedule, level_sizes
from sase_gan.recombination.shortlists import CELL, Shortlists, cells, whole
from sase_gan.reference.recombination import local_denoiser
from sase_gan.resizing import resize


def smooth_pictures(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    source = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 5, 5, generator=source)
    large = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic")
    return (255 * large.clamp(0, 1)).round().to(torch.uint8)


def drawn(recombiner: AlignedRecombiner, seeds: list[int], control: Control | None = None):
    def normal(shape, purpose):
        return torch.stack(
            [torch.randn(shape, generator=torch.Generator().manual_seed(100 * seed + purpose)) for seed in seeds]
        )

    z = normal(recombiner.latent_shape(), 0)
    noise = [normal(shape, index + 1) for index, shape in enumerate(recombiner.noise_shapes())]
    return recombiner.draw(z, noise, control)


@pytest.mark.parametrize("side", [1.0, 2.0, 2.6, 3.0, 5.5])
def test_window_sums_equal_explicit_sums(side: float) -> None:
    values = torch.rand(12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    reach = margin(side)
    expected = []
    for middle in range(reach, 12 - reach):
        parts = [max(0.0, min(1.0, side / 2 - abs(middle - place) + 0.5)) for place in range(12)]
        expected.append(sum(part * value for part, value in zip(parts, values.tolist(), strict=True)))
    assert torch.allclose(window_sums(values, side, 0), torch.tensor(expected, dtype=torch.float64), atol=1e-12)


@pytest.mark.parametrize(("noise", "window"), [(2.0, 3.9), (0.5, 3.0), (0.2, 2.5)])
def test_the_grid_equals_the_plain_formula(noise: float, window: float) -> None:
    examples = to_float(smooth_pictures(6, 12, 16))
    x = examples[2:4] + noise * torch.randn(2, 3, 12, 16, generator=torch.Generator().manual_seed(1))
    prior = torch.linspace(-1, 1, 6)
    found, logits = Grid(examples).estimate(x, noise, window, prior, None)
    for index in range(2):
        expected, weights = local_denoiser(x[index], examples, noise, window, prior)
        assert torch.allclose(found[index].double(), expected, atol=2e-4)
        assert torch.allclose(logits[index].softmax(2).permute(2, 0, 1).double(), weights, atol=2e-4)


def test_blocks_of_wide_windows_come_near_the_plain_formula() -> None:
    examples = to_float(smooth_pictures(6, 32, 32))
    x = examples[2:3] + 2.0 * torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    found, logits = Grid(examples).estimate(x, 2.0, 17.0, torch.zeros(6), None)
    assert logits.shape == (1, 8, 8, 6)  # four pixels a block
    expected, _ = local_denoiser(x[0], examples, 2.0, 17.0, torch.zeros(6))
    assert (found[0] - expected).abs().mean() < 0.1 * (examples.mean(0) - expected).abs().mean()


@pytest.mark.parametrize("size", [(32, 32), (40, 52)])
def test_shortlists_of_all_examples_equal_the_plain_formula(size: tuple[int, int]) -> None:
    pictures = smooth_pictures(5, *size)
    examples = Examples(pictures, [size], mirror=True)
    every = torch.arange(10).expand(cells(size)[0] * cells(size)[1], -1)
    prior = torch.linspace(-0.5, 0.5, 10)
    shown = to_float(torch.cat([pictures, pictures.flip(3)]))
    x = shown[7] + 0.4 * torch.randn(3, *size, generator=torch.Generator().manual_seed(2))
    found, logits = Shortlists(examples, 0, every, 7.0).estimate(x, 0.4, 5.5, prior, None)
    expected, weights = local_denoiser(x, shown, 0.4, 5.5, prior)
    assert torch.allclose(found.double(), expected, atol=2e-4)
    assert torch.allclose(whole(logits.softmax(1), size).double(), weights, atol=2e-4)


def test_examples_are_the_pictures_mirrored_and_shifted() -> None:
    pictures = smooth_pictures(2, 64, 64)
    examples = Examples(pictures, level_sizes((64, 64)), mirror=True, shift=1)
    assert len(examples) == 2 * 2 * 9
    rows = columns = torch.arange(64)[None]
    cut = examples.cut(1, torch.arange(36)[None], rows, columns)[0].permute(0, 3, 1, 2)
    for index in range(36):
        plain = pictures[examples.picture[index]]
        plain = plain.flip(2) if examples.mirrored[index] else plain
        down, right = (2 * examples.offset[index]).tolist()
        inner = plain[:, 2 + down : 62 + down, 2 + right : 62 + right]
        assert torch.equal(cut[index][:, 2:62, 2:62], inner)


def test_finer_noise_keeps_the_averages_and_is_white() -> None:
    source = torch.Generator().manual_seed(3)
    left, fresh = torch.randn(3, 64, 64, generator=source), torch.randn(3, 128, 128, generator=source)
    made = _finer_noise(left, fresh)
    assert torch.allclose(torch.nn.functional.avg_pool2d(made, 2), left / 2, atol=1e-6)
    assert abs(made.std().item() - 1) < 0.02


@pytest.mark.parametrize("size", [(48, 48), (50, 50), (64, 64), (96, 64), (100, 100), (66, 66), (130, 128)])
def test_pictures_of_many_sizes(size: tuple[int, int]) -> None:
    recombiner = AlignedRecombiner(smooth_pictures(4, *size), mirror=True)
    result = drawn(recombiner, [1, 2])
    assert result.pictures.shape == (2, 3, *size)
    assert result.sources.shape == (2, *size, 3)
    assert torch.allclose(result.shares.sum(1), torch.ones(2, dtype=torch.float64))
    assert result.pictures.abs().max() <= 1.01


def test_sources_name_pixels_that_look_like_those_drawn() -> None:
    pictures = smooth_pictures(6, 64, 64)
    result = drawn(AlignedRecombiner(pictures, mirror=True, shift=1), [0, 1])
    for picture, sources in zip(result.pictures, result.sources.long(), strict=True):
        named = to_float(pictures)[sources[..., 0] % 6, :, sources[..., 1], sources[..., 2]].permute(2, 0, 1)
        assert (picture - named).abs().mean() < 0.02


def test_a_picture_does_not_depend_on_its_batch() -> None:
    recombiner = AlignedRecombiner(smooth_pictures(5, 64, 64), mirror=True)
    together, alone = drawn(recombiner, [3, 4, 5, 6, 7]), drawn(recombiner, [6])
    assert torch.equal(together.pictures[3], alone.pictures[0])
    assert torch.equal(together.sources[3], alone.sources[0])


def test_one_picture_is_drawn_as_it_is() -> None:
    pictures = smooth_pictures(1, 64, 64)
    result = drawn(AlignedRecombiner(pictures), [5])
    assert torch.allclose(result.pictures[0], to_float(pictures[0]), atol=1e-3)


def test_forbidden_pictures_give_nothing_in_their_region() -> None:
    pictures = smooth_pictures(6, 64, 64)
    left = torch.zeros(64, 64)
    left[:, :32] = 1
    chosen = torch.tensor([False, True, False, False, False, False])
    recombiner = AlignedRecombiner(pictures, mirror=True)
    bound = drawn(recombiner, [1, 2, 3], Control(regions=(only(left, chosen),))).sources[..., 0] % 6
    assert (bound[:, :, :32] == 1).all()
    assert (bound[:, :, 36:] != 1).any()
    barred = drawn(recombiner, [1, 2, 3], Control(regions=(without(left, ~chosen),))).sources[..., 0] % 6
    assert torch.equal(bound, barred)


def test_what_is_kept_stays_and_the_rest_is_drawn() -> None:
    pictures = smooth_pictures(6, 64, 64)
    keep = torch.zeros(64, 64)
    keep[:32] = 1
    own = to_float(smooth_pictures(1, 64, 64, seed=9)[0])
    result = drawn(AlignedRecombiner(pictures), [1], Control(keep=keep, picture=own)).pictures[0]
    assert torch.allclose(result[:, :32], own[:, :32], atol=1e-6)
    assert (result[:, 40:] - own[:, 40:]).abs().mean() > 0.05


def test_less_strength_stays_nearer_to_the_picture_that_it_begins_from() -> None:
    pictures = smooth_pictures(8, 64, 64)
    own = to_float(pictures[3])
    recombiner = AlignedRecombiner(pictures)
    distances = [
        (drawn(recombiner, [1, 2, 3, 4], Control(picture=own, strength=strength)).pictures - own).abs().mean().item()
        for strength in (0.1, 0.5, 1.0)
    ]
    assert distances[0] < 0.02
    assert distances[0] <= distances[1] <= distances[2]
    assert distances[2] > 0.1


@pytest.mark.slow
def test_an_even_prior_evens_out_the_use() -> None:
    # One picture is the mean of all others: it fits everywhere, and without a prior it is used most.
    apart = smooth_pictures(6, 64, 64)
    pictures = torch.cat([apart, apart.float().mean(0, keepdim=True).round().to(torch.uint8)])

    def largest(prior):
        shares = drawn(AlignedRecombiner(pictures, log_prior=prior), list(range(40))).shares.mean(0)
        return shares.max().item() * len(shares), use_entropy(shares)

    before = largest(None)
    after = largest(even_prior(AlignedRecombiner(pictures)))
    assert before[0] > 1.5
    assert after[0] < 0.8 * before[0]
    assert after[1] > before[1]


def test_noise_schedules_join_and_windows_follow_the_variety() -> None:
    schedule = Schedule()
    assert schedule.noise(0, 2)[0] == schedule.highest
    assert schedule.noise(0, 2)[-1] == pytest.approx(schedule.turn)
    assert schedule.noise(1, 2)[0] == pytest.approx(2 * schedule.turn)
    assert schedule.noise(1, 2)[-1] == pytest.approx(schedule.lowest)
    assert schedule.window(5.0) == schedule.largest
    assert schedule.window(schedule.lowest) == schedule.smallest
    assert Schedule(variety=2.0).window(5.0) == schedule.largest / 2
    assert level_sizes((256, 256)) == ((32, 32), (64, 64), (128, 128), (256, 256))


def test_windows_grow_and_strength_acts_by_the_logarithm_of_the_noise() -> None:
    schedule = Schedule(lowest=0.04, largest=16.0, smallest=4.0, gentlest=0.5, wildest=8.0)
    assert [schedule.window(noise) for noise in (0.01, 0.04, 0.2, 1.0, 3.0)] == pytest.approx([4, 4, 10, 16, 16])
    assert Schedule(lowest=0.04, largest=16.0, smallest=4.0, variety=8.0).window(0.2) == 4.0  # never below the smallest
    assert [schedule.beginning(strength) for strength in (0.0, 0.5, 1.0)] == pytest.approx([0.5, 2.0, 8.0])


@pytest.mark.parametrize("factor", [1.5, 2.0, 4.0, 20.0])
def test_the_number_of_noise_levels_follows_the_density(factor: float) -> None:
    schedule = Schedule(highest=0.03 * factor, lowest=0.03, density=2.0)
    assert len(schedule.noise(0, 1)) == max(2, round(2 * math.log(factor)) + 1)


def test_the_next_levels_cells_take_what_weighed_most_in_their_quarter_or_nearly_as_much_beside_it() -> None:
    """Six cells of a level of 20 x 40 px, 15 of the next one of 40 x 80, cell by cell."""
    source = torch.Generator().manual_seed(3)
    examples = Examples(smooth_pictures(7, 20, 40), [(20, 40)], mirror=False)
    chosen = torch.stack([torch.randperm(7, generator=source)[:4] for _ in range(6)])
    lists = Shortlists(examples, 0, chosen, 5.0)
    logs = 6 * torch.randn(6, 4, CELL, CELL, generator=source)

    def score(row: int, column: int, example: int) -> float:
        """The largest logarithm in the quarter of the coarse cell that this fine cell covers."""
        if not (0 <= row < 4 and 0 <= column < 6):
            return -math.inf
        cell = (row // 2) * 3 + column // 2
        places = (chosen[cell] == example).nonzero()
        top, left = 8 * (row % 2), 8 * (column % 2)
        return logs[cell, places[0, 0], top : top + 8, left : left + 8].max().item() if len(places) else -math.inf

    found = lists.next(logs, 3).view(3, 5, 3)
    for row in range(3):
        for column in range(5):

            def worth(example: int, row: int = row, column: int = column) -> float:
                around = (
                    score(r, c, example) - 3
                    for r in range(max(0, row - 1), min(2, row + 1) + 1)
                    for c in range(max(0, column - 1), min(4, column + 1) + 1)
                )
                return max(score(row, column, example), *around)

            best = sorted(range(7), key=worth, reverse=True)[:3]
            assert found[row, column].tolist() == best


def test_cells_cover_a_size() -> None:
    assert cells((17, 32)) == (2, 32 // CELL)
    numbers = torch.arange(2 * 2 * CELL * CELL).view(4, 1, CELL, CELL)
    assert whole(numbers, (17, 20)).shape == (1, 17, 20)
    assert resize(torch.zeros(1, 3, 16, 16), (32, 32)).shape == (1, 3, 32, 32)
