from itertools import pairwise

import pytest

from sase_gan.networks.channel_tables import (
    GENERATOR_CHANNELS,
    IMAGE_SIZES,
    check_first_map,
    check_image_size,
    generator_gates,
    generator_sizes,
    map_size,
    scaled,
    size_of_network,
    small_image_size,
)
from sase_gan.networks.parts import norm_factory, skip_factory


def pairs(image_size: int) -> list[tuple[int, int, str, int, bool]]:
    return [(g.source, g.target, g.kind, g.dilation, g.noise) for g in generator_gates(image_size, "sase")]


def test_gates_of_every_size_are_those_of_the_specification():
    assert pairs(256) == [(4, 64, "sle", 2, False), (8, 128, "sase", 2, False), (16, 256, "sase", 2, False)]
    for size in (512, 1024):
        assert pairs(size) == [
            (4, 64, "sle", 2, True),
            (8, 128, "sase", 2, True),
            (16, 256, "sase", 2, True),
            (32, 512, "sase", 4, True),
        ]
    assert pairs(128) == [(4, 64, "sle", 2, False), (8, 128, "sase", 2, False)]
    assert pairs(64) == [(4, 32, "sle", 2, False), (8, 64, "sase", 2, False)]
    assert pairs(32) == [(4, 16, "sle", 2, False), (8, 32, "sase", 2, False)]


@pytest.mark.parametrize("image_size", IMAGE_SIZES)
def test_the_baseline_has_the_same_places_with_excitations(image_size):
    gates, baseline = generator_gates(image_size, "sase"), generator_gates(image_size, "sle")
    assert [(g.source, g.target) for g in gates] == [(g.source, g.target) for g in baseline]
    assert {g.kind for g in baseline} == {"sle"}


@pytest.mark.parametrize("image_size", IMAGE_SIZES)
def test_sizes_double_up_to_the_pictures(image_size):
    sizes = (4, *generator_sizes(image_size))
    assert all(2 * a == b for a, b in pairwise(sizes))
    assert sizes[-1] == image_size


def test_small_picture_is_half_at_most_128():
    assert [small_image_size(size) for size in IMAGE_SIZES] == [16, 32, 64, 128, 128, 128]


def test_channels_grow_with_the_width_and_never_vanish():
    assert scaled(GENERATOR_CHANNELS[4], 64) == 1024
    assert scaled(GENERATOR_CHANNELS[256], 16) == 8
    assert scaled(GENERATOR_CHANNELS[1024], 4) == 1


@pytest.mark.parametrize("image_size", [0, 16, 48, 100, 2048])
def test_sizes_that_no_network_is_built_for_are_refused(image_size):
    with pytest.raises(ValueError, match=f"image_size is {image_size}; choose one of 32, 64, 128, 256, 512, 1024"):
        check_image_size(image_size)


def test_unknown_parts_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="norm is 'layer'; choose one of batch, attentive"):
        norm_factory("layer", num_components=10, init_scale="unit")
    with pytest.raises(ValueError, match="skip is 'none'; choose one of sase, sle"):
        skip_factory("none")


@pytest.mark.parametrize(
    ("height", "width", "found"),
    [
        (64, 64, (64, None)),
        (96, 64, (64, (6, 4))),
        (64, 256, (64, (4, 16))),
        (80, 112, (64, (5, 7))),
        (32, 128, (32, (4, 16))),
        (1792, 1024, (1024, (7, 4))),
        (448, 448, (256, (7, 7))),
    ],
)
def test_a_size_is_that_of_a_square_and_a_first_map(height, width, found):
    assert size_of_network(height, width) == found
    assert map_size(*found) == (height, width)


@pytest.mark.parametrize(
    ("height", "width", "words"),
    [
        (96, 70, "the size is 70x96; both sides must be multiples of 16 px, as in 64x96"),
        (64, 272, "the size is 272x64; the longer side may be 4 times the shorter one"),
        (31, 64, "the size is 64x31; the shorter side must be 32 to 2047 px"),
    ],
)
def test_a_size_that_no_network_draws_is_refused_with_a_near_one(height, width, words):
    with pytest.raises(ValueError, match=words):
        size_of_network(height, width)


def test_first_maps_of_no_size_are_refused():
    for wrong in ((3, 4), (8, 8), (4, 17)):
        with pytest.raises(ValueError, match="its shorter side must be 4 to 7"):
            check_first_map(wrong)
    assert check_first_map((4, 4)) is None
