"""Sizes of the one-shot pyramid: the published rules, without the float noise of the published code."""

from itertools import pairwise

import pytest

from sase_gan.errors import DataError
from sase_gan.networks.pyramid_sizes import LEAST_GROWTH, dense_sizes, released_sizes, round_up, training_size


@pytest.mark.parametrize(
    ("picture", "stages", "finest"),
    [((750, 1000), 9, (188, 250)), ((188, 250), 10, (188, 250)), ((512, 512), 10, (250, 250))],
)
def test_released_rule_gives_the_released_numbers(
    picture: tuple[int, int], stages: int, finest: tuple[int, int]
) -> None:
    sizes = released_sizes(*picture)
    assert len(sizes) == stages
    assert sizes[-1] == finest
    assert min(sizes[0]) == 25


def test_float_noise_adds_no_pixel() -> None:
    # 0.13020833... * 1920 is 250.00000000000003 in floats.
    assert training_size(1080, 1920, 250) == (141, 250)
    assert min(released_sizes(188, 250)[0]) == 25
    assert round_up(25.0000000001) == 25
    assert round_up(25.001) == 26


def test_dense_rule_gives_the_published_short_sides() -> None:
    assert [min(size) for size in dense_sizes(188, 250)] == [25, 32, 42, 63, 126, 188]


@pytest.mark.parametrize("picture", [(25, 25), (30, 30), (48, 64), (64, 48), (100, 640), (3000, 4000)])
def test_stages_grow_and_keep_the_proportions(picture: tuple[int, int]) -> None:
    sizes = dense_sizes(*picture)
    for coarse, fine in pairwise(sizes):
        assert max(fine) >= LEAST_GROWTH * max(coarse)
    finest = sizes[-1]
    for height, width in sizes:
        # Both sides are rounded up, by less than a pixel each.
        assert abs(height * finest[1] - width * finest[0]) <= max(finest)
    assert finest == training_size(*picture, 250)


def test_small_pictures_are_never_enlarged() -> None:
    assert dense_sizes(60, 80, max_size=1000)[-1] == (60, 80)
    assert dense_sizes(25, 25) == ((25, 25),)


@pytest.mark.parametrize("rule", [dense_sizes, released_sizes])
def test_pictures_too_small_or_too_long_are_refused(rule: type) -> None:
    with pytest.raises(DataError, match="10x12 px; its shorter side must be at least 25"):
        rule(12, 10)
    with pytest.raises(DataError, match="250x7; its shorter side must stay at least 25 px: crop it"):
        rule(100, 4000)
    with pytest.raises(DataError, match="smallest_side is 5"):
        rule(100, 100, smallest_side=5)
