"""Maps of parts as pictures."""

import torch

from sase_gan.colouring import coloured_parts, part_colour


def test_the_first_colours_are_far_from_each_other_and_every_number_has_one():
    colours = torch.tensor([part_colour(index) for index in range(10)], dtype=torch.float32)
    apart = torch.cdist(colours, colours) + 1000 * torch.eye(10)
    assert apart.min() > 60
    assert all(0 <= level <= 255 for index in (10, 99, 1000) for level in part_colour(index))


def test_parts_without_a_picture_are_plain_colours_on_white():
    labels = torch.tensor([[0, -1], [3, 0]])
    drawn = coloured_parts(labels)
    assert drawn.dtype == torch.uint8
    assert drawn[:, 0, 0].tolist() == list(part_colour(0)) == drawn[:, 1, 1].tolist()
    assert drawn[:, 1, 0].tolist() == list(part_colour(3))
    assert drawn[:, 0, 1].tolist() == [255, 255, 255]


def test_a_map_without_parts_is_white():
    assert (coloured_parts(torch.full((2, 3), -1)) == 255).all()


def test_over_a_picture_the_map_is_enlarged_without_blending_and_the_rest_is_faded_grey():
    picture = torch.randint(0, 256, (3, 8, 12), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    labels = torch.tensor([[0, 0, -1], [-1, -1, -1]])
    drawn = coloured_parts(labels, picture).float()
    assert drawn.shape == (3, 8, 12)
    faded = drawn[:, 4:]
    assert (faded == faded[:1]).all()
    assert faded.min() > 160
    # Orange: more red than blue wherever the part lies, and nowhere else.
    redder = drawn[0] > drawn[2]
    assert redder[:4, :8].all()
    assert redder.sum() == 32


def test_a_brighter_place_of_the_picture_stays_brighter_within_a_part():
    picture = torch.tensor([[0, 255]], dtype=torch.uint8).expand(3, 1, 2)
    drawn = coloured_parts(torch.zeros(1, 2, dtype=torch.int16), picture).float()
    assert (drawn[:, 0, 1] > drawn[:, 0, 0] + 20).all()
