"""Controls of the aligned form: rules hold at every noise, what is kept is kept, and what is drawn fits it."""

import pytest
import torch

from sase_gan.pixels import to_float, to_uint8
from sase_gan.recombination.aligned import AlignedRecombiner
from sase_gan.recombination.control import FIRM, FORBIDDEN, Control, LevelControl, at_this_level, only, without
from sase_gan.recombination.drawn import NOWHERE, Drawn
from sase_gan.recombination.grid import Grid
from sase_gan.recombination.schedules import Schedule
from sase_gan.recombination.seams import STEPS, toned


def blotches(count: int, side: int = 64, seed: int = 0) -> torch.Tensor:
    coarse = torch.rand(count, 3, 7, 7, generator=torch.Generator().manual_seed(seed))
    large = torch.nn.functional.interpolate(coarse, size=side, mode="bicubic", align_corners=True)
    return (255 * large.clamp(0, 1)).to(torch.uint8)


def draw(recombiner: AlignedRecombiner, count: int, control: Control | None = None) -> Drawn:
    source = torch.Generator().manual_seed(5)
    z = torch.randn(count, *recombiner.latent_shape(), generator=source)
    noise = [torch.randn(count, *shape, generator=source) for shape in recombiner.noise_shapes()]
    return recombiner.draw(z, noise, control)


def half(side: int = 64) -> torch.Tensor:
    mask = torch.zeros(side, side)
    mask[:, : side // 2] = 1
    return mask


def chosen(*places: int, count: int = 6) -> torch.Tensor:
    return torch.tensor([place in places for place in range(count)])


@pytest.mark.parametrize("side", [48, 64])
def test_forbidden_pictures_weigh_nothing_however_well_they_fit(side: int) -> None:
    # All but one are nearly equal; the one that may serve is as unlike as can be: white where they are black.
    pictures = (blotches(6, side).float() / 8).to(torch.uint8)
    pictures[2] = 255 - pictures[2]
    bound = draw(AlignedRecombiner(pictures, mirror=True), 2, Control((only(half(side), chosen(2)),)))
    assert (bound.sources[:, :, : side // 2, 0] % 6 == 2).all()
    shown = to_uint8(bound.pictures)[:, :, :, : side // 2].float().mean()
    assert shown > 200
    none = draw(AlignedRecombiner(pictures), 2, Control((without(torch.ones(side, side), chosen(0, 1)),)))
    assert (none.shares[:, :2] == 0).all()


def test_what_is_forbidden_costs_more_than_any_window() -> None:
    # The largest sum of squares over the last window, in logarithms.
    schedule = Schedule()
    worst = 3 * 4 * schedule.smallest**2 / (2 * schedule.lowest**2)
    assert 1000 * worst < -FORBIDDEN


def test_a_mask_of_one_pixel_holds_at_that_pixel() -> None:
    mask = torch.zeros(64, 64)
    mask[37, 21] = 1
    found = draw(AlignedRecombiner(blotches(6)), 3, Control((only(mask, chosen(4)),)))
    assert (found.sources[:, 37, 21, 0] == 4).all()


def test_without_a_control_nothing_changes() -> None:
    recombiner = AlignedRecombiner(blotches(5), mirror=True)
    plain, empty = draw(recombiner, 2), draw(recombiner, 2, Control())
    assert all(torch.equal(one, other) for one, other in zip(plain, empty, strict=True))


@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_what_is_kept_stays_byte_for_byte_and_has_no_source(strength: float) -> None:
    own = blotches(1, seed=9)[0]
    found = draw(AlignedRecombiner(blotches(6)), 2, Control(keep=half(), picture=to_float(own), strength=strength))
    assert torch.equal(to_uint8(found.pictures)[..., :32], own[..., :32].expand(2, -1, -1, -1))
    assert (found.sources[:, :, :32] == NOWHERE).all()
    assert (found.sources[:, :, 32:] >= 0).all()


def test_what_is_drawn_fits_what_is_kept() -> None:
    # Half of a training picture is kept: its other half fits best, and is drawn far more often than by chance.
    pictures = blotches(30)
    found = draw(AlignedRecombiner(pictures), 8, Control(keep=half(), picture=to_float(pictures[3])))
    beside = found.sources[:, :, 32:40, 0]
    assert (beside == 3).float().mean() > 0.7  # 0.62 where what is kept counts no more than the rest
    assert found.pictures[..., 32:].std(0).mean() > 0.05  # and yet seeds differ


def test_trust_weighs_the_squares_of_what_is_kept() -> None:
    examples = to_float(blotches(4, 16))
    x = examples[:1] + 0.5 * torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    trust = torch.ones(16, 16)
    trust[:, :8] = 3.0
    _, logits = Grid(examples).estimate(x, 4.0, 3.0, torch.zeros(4), None, trust)
    squares = (trust * (x - examples).square()).sum(1)
    padded = torch.nn.functional.pad(squares[:, None], (1, 1, 1, 1), mode="replicate")
    sums = 9 * torch.nn.functional.avg_pool2d(padded, 3, 1)[:, 0]
    expected = (-sums / (2 * 4.0**2)).softmax(0).permute(1, 2, 0)
    assert torch.allclose(logits[0].softmax(2), expected, atol=1e-4)
    # Ones change nothing, in blocks of several pixels too.
    plain = Grid(examples).estimate(x, 4.0, 9.0, torch.zeros(4))[0]
    ones = Grid(examples).estimate(x, 4.0, 9.0, torch.zeros(4), None, torch.ones(16, 16))[0]
    assert torch.allclose(plain, ones, atol=1e-5)


def test_what_is_kept_counts_as_if_its_noise_were_firm() -> None:
    level = LevelControl(keep=torch.tensor([[1.0, 0.0]]), picture=torch.zeros(3, 1, 2))
    assert level.trust(FIRM) is None
    assert torch.allclose(level.trust(4 * FIRM), torch.tensor([[16.0, 1.0]]))
    assert LevelControl().trust(40.0) is None


def test_a_control_is_brought_to_a_level_by_averaging() -> None:
    level = at_this_level(Control((only(half(), chosen(1)),), half(), torch.zeros(3, 64, 64)), (2, 2), torch.arange(6))
    assert level.rules.masks.tolist() == [[[1, 0], [1, 0]]]
    assert (level.rules.costs[0] == FORBIDDEN).tolist() == [True, False, True, True, True, True]
    assert level.keep.tolist() == [[1, 0], [1, 0]]


def test_a_step_of_light_at_the_border_vanishes_and_a_step_of_things_stays() -> None:
    keep = half(16)

    def after(step: float) -> torch.Tensor:
        picture = torch.full((3, 16, 16), 0.1)
        source = torch.full((3, 16, 16), 0.1 - step)
        drawn = torch.lerp(source, picture, keep)
        return toned(drawn, source.expand(len(STEPS), -1, -1, -1), picture, keep)

    small = after(0.2)
    assert torch.equal(small[..., :8], torch.full((3, 16, 8), 0.1))
    assert (small[..., 8:] - 0.1).abs().max() < 0.02
    large = after(1.5)
    assert (large[..., 8:] + 1.4).abs().max() < 0.02
    nothing = torch.zeros(16, 16)
    drawn = torch.rand(3, 16, 16)
    assert toned(drawn, drawn.expand(4, -1, -1, -1), drawn, nothing) is drawn


def test_strength_goes_evenly_from_the_gentlest_noise_to_the_wildest() -> None:
    schedule = Schedule()
    noises = [schedule.beginning(strength) for strength in (0, 0.5, 1)]
    assert noises[0] == schedule.gentlest
    assert noises[2] == pytest.approx(schedule.wildest)
    assert noises[1] ** 2 == pytest.approx(noises[0] * noises[2])


def test_variations_depart_evenly_from_the_picture_that_they_begin_from() -> None:
    pictures = blotches(12)
    recombiner, own = AlignedRecombiner(pictures[1:]), to_float(pictures[0])
    spreads = []
    for strength in (0.0, 0.25, 0.5, 0.75, 0.99):
        found = draw(recombiner, 8, Control(picture=own, strength=strength)).pictures
        spreads.append(found.std(0).mean().item())
    assert spreads == sorted(spreads)
    assert spreads[0] < 0.5 * spreads[-1]
