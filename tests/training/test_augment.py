import pytest
import torch
from torch import Tensor

from sase_gan.training import augment
from sase_gan.training.augment import TRANSFORMATIONS, brightness, contrast, cutout, saturation, translation


def uniform(*values: float, numbers: int = 1) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).reshape(-1, numbers)


def pictures(batch: int = 2, side: int = 8) -> Tensor:
    return torch.rand(batch, 3, side, side, dtype=torch.float64) * 2 - 1


@pytest.mark.parametrize("transform", [brightness, saturation, contrast])
def test_colour_transformations_at_one_half_change_nothing(transform):
    x = pictures()
    assert torch.allclose(transform(x, uniform(0.5, 0.5)), x, atol=1e-15)


def test_brightness_adds():
    x = pictures()
    y = brightness(x, uniform(0.0, 0.9))
    assert torch.allclose(y[0] - x[0], torch.full((), -0.5, dtype=torch.float64))
    assert torch.allclose(y[1] - x[1], torch.full((), 0.4, dtype=torch.float64))


def test_saturation_scales_the_distance_from_each_pixels_grey():
    x = pictures()
    grey = x.mean(1, keepdim=True)
    y = saturation(x, uniform(0.0, 1.0))
    assert torch.allclose(y[0], grey[0].expand(3, 8, 8))
    assert torch.allclose(y[1], (2 * x - grey)[1])


def test_contrast_scales_the_distance_from_each_pictures_mean():
    x = pictures()
    y = contrast(x, uniform(0.0, 0.75))
    for n, factor in enumerate((0.5, 1.25)):
        mean = x[n].mean()
        assert torch.allclose(y[n], mean + factor * (x[n] - mean))


@pytest.mark.parametrize("side", [8, 12, 32, 35])
def test_translation_is_a_roll_filled_with_zeros(side):
    x = pictures(1, side) + 5  # no zero of its own
    reach = round(side / 8)
    seen = set()
    for step in range(2 * reach + 1):
        # The middle of each of the 2 * reach + 1 equal parts of [0, 1), and the same backwards for columns.
        u = uniform((step + 0.5) / (2 * reach + 1), 1 - (step + 0.5) / (2 * reach + 1), numbers=2)
        rows, columns = -(step - reach), -(reach - step)
        expected = torch.roll(x, (rows, columns), (2, 3))
        if rows > 0:
            expected[:, :, :rows] = 0
        if rows < 0:
            expected[:, :, rows:] = 0
        if columns > 0:
            expected[:, :, :, :columns] = 0
        if columns < 0:
            expected[:, :, :, columns:] = 0
        assert torch.equal(translation(x, u), expected)
        seen.add(rows)
    assert seen == set(range(-reach, reach + 1))


def test_translation_reaches_an_eighth_of_the_side_and_no_farther():
    for side in (32, 64, 256):
        x = torch.ones(2, 3, side, side, dtype=torch.float64)
        u = torch.tensor([[0.0, 0.0], [1 - 2**-24, 1 - 2**-24]])
        empty = (translation(x, u) == 0)[:, 0].all(2).sum(1)
        assert empty.tolist() == [side // 8, side // 8]


def test_cutout_blanks_a_square_of_half_the_side_around_its_centre():
    x = torch.ones(1, 3, 8, 8)
    y = cutout(x, torch.tensor([[0.5, 0.5]]))
    blank = (y[0, 0] == 0).nonzero()
    assert blank.min(0).values.tolist() == [2, 2]
    assert blank.max(0).values.tolist() == [5, 5]
    assert len(blank) == 16
    # Centred on a corner, a quarter of it is left; of a square of five a little more, as its middle is a pixel.
    for side, blanked in ((8, 2), (10, 3)):
        x = torch.ones(2, 3, side, side)
        y = cutout(x, torch.tensor([[0.0, 0.0], [1 - 2**-24, 1 - 2**-24]]))
        assert (y == 0).sum((1, 2, 3)).tolist() == [3 * blanked**2] * 2


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_gradients_are_right(name):
    numbers, transform = TRANSFORMATIONS[name]
    u = torch.rand(2, numbers, dtype=torch.float64)
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda images: transform(images, u), (x,))


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_pictures_of_a_batch_are_augmented_independently(name):
    numbers, transform = TRANSFORMATIONS[name]
    x, u = pictures(3), torch.rand(3, numbers, dtype=torch.float64)
    alone = torch.cat([transform(x[i : i + 1], u[i : i + 1]) for i in range(3)])
    assert torch.allclose(transform(x, u), alone, atol=1e-15)


def test_same_draws_at_two_sizes_do_the_same():
    big = torch.nn.functional.interpolate(torch.rand(64, 3, 4, 4), scale_factor=16, mode="bilinear")
    small = torch.nn.functional.avg_pool2d(big, 2)
    draws = augment.draw(["color"], 64, generator=torch.Generator().manual_seed(0))
    after = torch.nn.functional.avg_pool2d(augment.apply(big, draws), 2)
    assert torch.allclose(augment.apply(small, draws), after, atol=1e-5)
    # Shifts are whole pixels of each size: they agree to the rounding of one small pixel.
    draws = augment.draw(["translation"], 64, generator=torch.Generator().manual_seed(0))

    def first_row(images: Tensor) -> Tensor:
        moved = augment.apply(images + 1, draws)[:, 0].abs().sum(2) > 0
        top = moved.float().argmax(1)
        return torch.where(top > 0, top, moved.float().sum(1) - images.shape[2])

    assert (first_row(big) / 2 - first_row(small)).abs().max() <= 1


def test_draws_of_a_policy_are_seeded_uniform_and_complete():
    draws = augment.draw(["cutout", "color", "translation"], 500, generator=torch.Generator().manual_seed(3))
    assert {name: u.shape[1] for name, u in draws.items()} == {name: n for name, (n, _) in TRANSFORMATIONS.items()}
    again = augment.draw(["cutout", "color", "translation"], 500, generator=torch.Generator().manual_seed(3))
    assert all(torch.equal(draws[name], again[name]) for name in draws)
    for u in draws.values():
        assert 0 <= u.min() < 0.05
        assert 0.95 < u.max() < 1
        # Uniform mean 1/2; standard error 1 / sqrt(12 * 500) = 0.013.
        assert u.mean().item() == pytest.approx(0.5, abs=0.06)


def test_order_of_application_is_the_tables_whatever_the_policys_order():
    x, generator = pictures().float(), torch.Generator()
    one = augment.augment(x, ["translation", "color"], generator=generator.manual_seed(5))
    other = augment.augment(x, ["color", "translation"], generator=generator.manual_seed(5))
    assert torch.equal(one, other)
    draws = augment.draw(["color", "translation"], 2, generator=generator.manual_seed(5))
    by_hand = translation(
        contrast(saturation(brightness(x, draws["brightness"]), draws["saturation"]), draws["contrast"]),
        draws["translation"],
    )
    assert torch.equal(one, by_hand)


def test_empty_policy_changes_nothing():
    x = pictures()
    assert augment.augment(x, [], generator=torch.Generator()) is x


def test_half_precision_pictures_are_shifted_as_float32_ones():
    # 1 - 2^-9 rounds to 1 in bfloat16, which would be a shift by one pixel too many.
    x = torch.rand(2, 3, 32, 32).bfloat16()
    draws = {"translation": torch.tensor([[0.999, 0.0], [0.3, 0.9999]])}
    y = augment.apply(x, draws)
    assert y.dtype == torch.bfloat16
    assert torch.equal(y.float(), augment.apply(x.float(), draws))
    colour = augment.apply(x, augment.draw(["color"], 2, generator=torch.Generator()))
    assert colour.dtype == torch.bfloat16


def test_unknown_policy_is_named():
    with pytest.raises(ValueError, match="augmentation is 'colour'; choose among color, translation, cutout"):
        augment.draw(["colour"], 2, generator=torch.Generator())
