"""Pictures that lie suspiciously near to training pictures are told and left out."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from sase_gan import cli
from sase_gan.api.images import Images
from sase_gan.api.near_copies import part_near_copies, suspiciously_near
from sase_gan.datasets.images import load_image_set
from sase_gan.drawing.recipes import Recipe
from sase_gan.errors import DataError
from sase_gan.metrics.originality import check_copying
from sase_gan.metrics.reference import PreparedReference
from sase_gan.pixels import to_pillow

ROOT = Path(__file__).parents[2]
SNAPSHOT = ROOT / "data" / "snapshots" / "emoji-faces"


@pytest.fixture(scope="module")
def faces():
    return load_image_set(ROOT / "data" / "emoji-faces", image_size=64).images


def planted(faces):
    """Two copies, one of them mirrored and moved, between two pictures of noise and one of a plain colour."""
    noise = torch.randint(256, (2, 3, 64, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    moved = faces[7].flip(-1).roll(1, -1)
    return torch.stack([noise[0], faces[3], noise[1], moved, torch.full((3, 64, 64), 90, dtype=torch.uint8)])


def test_copies_mirrored_and_moved_ones_are_near_and_the_rest_is_not(faces):
    assert suspiciously_near(planted(faces), faces[:40]).tolist() == [False, True, False, True, False]


@pytest.mark.slow
def test_the_share_is_that_of_the_copying_check_in_its_spaces(faces):
    reference, drawn = PreparedReference(faces[:40]), faces[40:]
    near = suspiciously_near(drawn, faces[:40]).double().mean().item()
    rows = reference.describe(PreparedReference(drawn).pictures, "efflite0", ["mid"])["mid"]
    by_layout = check_copying(rows, reference.copying("mid")).scores.copy_share
    assert 0 < by_layout <= near < 1


def test_images_are_parted_in_their_order_with_their_names(faces, tmp_path):
    for index in range(40):
        to_pillow(faces[index]).save(tmp_path / f"{index}.png")
    images = Images(planted(faces), tuple(map(Recipe, range(10, 15))), {})
    apart, near = part_near_copies(images, tmp_path)
    assert (apart.names, near.names) == (("10", "12", "14"), ("11", "13"))
    assert torch.equal(near.pixels, images.pixels[[1, 3]])


def test_pictures_are_read_as_the_model_read_them(faces, tmp_path):
    wide = torch.cat([faces[:20], faces[20:40]], 3)
    for index, picture in enumerate(wide):
        to_pillow(picture).save(tmp_path / f"{index}.png")
    padded = load_image_set(tmp_path, image_size=64, fit="pad", background=(0, 0, 0)).images[:3]
    images = Images(padded, tuple(map(Recipe, range(3))), {})
    assert len(part_near_copies(images, tmp_path, {"fit": "pad", "background": "black"})[1]) == 3
    assert len(part_near_copies(images, tmp_path)[1]) == 0


def test_one_picture_says_nothing_of_what_is_near(faces, tmp_path):
    to_pillow(faces[0]).save(tmp_path / "0.png")
    with pytest.raises(DataError, match="holds one picture"):
        part_near_copies(Images(planted(faces), tuple(map(Recipe, range(5))), {}), tmp_path)


def test_the_command_leaves_them_out_and_names_their_seeds(faces, tmp_path):
    def run(*words):
        return CliRunner().invoke(cli.app, ["sample", str(SNAPSHOT), "--device", "cpu", *words])

    assert run("--seeds", "0-5", "--out", str(tmp_path / "all")).exit_code == 0
    known = tmp_path / "known"
    known.mkdir()
    for index, face in enumerate(faces[:40]):
        to_pillow(face).save(known / f"face{index}.bmp")
    for seed in (1, 4, 5):  # saved anew: what this program drew is no training picture to it
        Image.open(tmp_path / "all" / Recipe(seed).file_name()).convert("RGB").save(known / f"{seed}.bmp")
    told = run("--seeds", "0-5", "--out", str(tmp_path / "new"), "--apart-from", str(known))
    assert told.exit_code == 0, told.output
    written = {path.name for path in (tmp_path / "new").glob("seed*")}
    # The model draws a few kinds of faces, so others are near to these three too.
    assert written
    assert not written & {Recipe(seed).file_name() for seed in (1, 4, 5)}
    assert f"{6 - len(written)} of 6, seeds " in told.output
    nothing = run("--seeds", "1,4", "--out", str(tmp_path / "none"), "--apart-from", str(known))
    assert isinstance(nothing.exception, DataError)
    assert not list((tmp_path / "none").glob("*.png"))
