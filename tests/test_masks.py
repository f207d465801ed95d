"""Masks are read alike everywhere: what is inside, and what is refused."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from sase_gan.drawing.masks import soft_mask
from sase_gan.errors import DataError
from sase_gan.masks import read_mask, same_proportions

INSIDE = torch.zeros(20, 30, dtype=torch.bool)
INSIDE[5:10, 5:20] = True
BOX = (5, 5, 20, 10)


def mask(path: Path, ground: tuple[int, ...], paint: tuple[int, ...]) -> Path:
    image = Image.new("RGBA" if len(ground) == 4 else "RGB", (30, 20), ground)
    image.paste(paint, BOX)
    image.save(path)
    return path


@pytest.mark.parametrize(
    ("ground", "paint"),
    [
        ((0, 0, 0), (255, 255, 255)),
        ((0, 0, 0), (255, 0, 0)),  # red, whose mean is dark
        ((60, 60, 60), (0, 0, 128)),
        ((0, 0, 0, 0), (255, 255, 255, 255)),
        ((0, 0, 0, 0), (0, 0, 0, 255)),  # black paint on transparent ground
        ((255, 255, 255, 0), (255, 255, 255, 255)),  # white on transparent white
        ((0, 0, 0, 255), (255, 255, 255, 200)),
    ],
)
def test_what_is_painted_is_inside(tmp_path: Path, ground: tuple[int, ...], paint: tuple[int, ...]) -> None:
    assert torch.equal(read_mask(mask(tmp_path / "m.png", ground, paint)), INSIDE)


def test_an_empty_mask_is_told(tmp_path: Path) -> None:
    for ground in ((0, 0, 0), (127, 127, 127), (0, 0, 0, 0)):
        Image.new("RGBA" if len(ground) == 4 else "RGB", (30, 20), ground).save(tmp_path / "m.png")
        with pytest.raises(DataError, match=r"the mask is empty: no pixel of .*m\.png is bright"):
            read_mask(tmp_path / "m.png")


def test_a_mask_of_other_proportions_is_refused_and_one_of_another_scale_is_not(tmp_path: Path) -> None:
    path = mask(tmp_path / "m.png", (0, 0, 0), (255, 255, 255))
    assert torch.equal(read_mask(path, like=(200, 300)), INSIDE)
    assert torch.equal(read_mask(path, like=(101, 150)), INSIDE)  # sizes are rounded
    with pytest.raises(DataError, match=r"m\.png is 30x20 and the picture 64x64"):
        read_mask(path, like=(64, 64))
    assert same_proportions((7, 250), (28, 1000))
    assert not same_proportions((100, 106), (100, 100))


def test_a_mask_turns_with_its_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = mask(tmp_path / "m.png", (0, 0, 0), (255, 255, 255))
    Image.open(path).save(path, exif=exif)
    assert torch.equal(read_mask(path), INSIDE.rot90(-1))


def test_a_red_tensor_is_inside_too() -> None:
    red = torch.zeros(3, 20, 30, dtype=torch.uint8)
    red[0][INSIDE] = 255
    assert torch.equal(soft_mask(red, (20, 30), feather=0)[0] > 0, INSIDE)
