"""What a visitor keeps, carries to other tabs, and finds in the address: as functions, without a browser."""

import json
import zipfile
from pathlib import Path

import gradio as gr
import pytest
import torch
from PIL import Image

from sase_gan.colours import seen, shown
from sase_gan.datasets.images import load_image_set
from sase_gan.datasets.sources import bundled_data
from sase_gan.drawing.recipes import Move, Recipe, draw_recipes
from sase_gan.drawing.sampling import MAX_SEED
from sase_gan.pixels import read_image, to_tensor
from sase_gan.recombination.model import Recombiner, RecombinerConfig
from sase_gan.ui import favourites
from sase_gan.ui.address import from_address
from sase_gan.ui.carrying import named_too
from sase_gan.ui.checks import named_picture
from sase_gan.ui.close_up import CloseUpHandlers, explain_nearest, sized
from sase_gan.ui.models import Models
from sase_gan.ui.tabs.generate import paged
from tests.ui.test_handlers import refused

VARIED = Recipe(4, (Move("~", 40, 0, 3),), truncation=0.7)


@pytest.fixture(scope="module")
def models(models_folder):
    return Models([models_folder])


@pytest.fixture
def chosen(models):
    """Two pictures of a model, looked at closely."""
    handlers = CloseUpHandlers(models)
    sheet = favourites.Sheet("tiny", (Recipe(3), VARIED))
    return [handlers.choose(sheet, place) for place in (0, 1)]


def test_pages_go_on_where_the_last_one_ended_and_stop_at_the_ends():
    assert paged(40, 18, 1) == 58
    assert paged(58, 18, -1) == 40
    assert paged(10, 18, -1) == 0
    assert paged(MAX_SEED - 20, 18, 1) == MAX_SEED - 17
    with refused("The seed is -1"):
        paged(-1, 18, 1)


def test_what_is_kept_is_left_out_again_by_the_same_button(chosen):
    first, second = chosen
    shown = favourites.keep((), first.recipe, first.model, first.original)
    shown = favourites.keep(shown.kept, second.recipe, second.model, second.original)
    assert [name for _, name in shown.gallery] == ["3", "4~40.0.3"]
    assert "2 kept" in shown.note
    shown = favourites.keep(shown.kept, first.recipe, first.model, first.original)
    assert [favourite.recipe for favourite in shown.kept] == [VARIED]
    sheet, place = favourites.favourite_at(shown.kept, 0)
    assert (sheet.recipes[place], sheet.model) == (VARIED, "tiny")
    with refused("No picture is chosen"):
        favourites.keep((), None, "", None)
    with refused("64 pictures are kept"):
        favourites.keep(shown.kept * 64, first.recipe, first.model, first.original)
    with refused("no longer kept"):
        favourites.favourite_at(shown.kept, 1)


def test_the_files_hold_what_draws_the_pictures_again(chosen, models, temporary):
    kept = ()
    for each in chosen:
        kept = favourites.keep(kept, each.recipe, each.model, each.original).kept
    sheet, archive = map(Path, favourites.as_files(kept).files["value"])
    assert sheet.is_relative_to(temporary)
    with Image.open(sheet) as image:
        assert image.size == (2 * (128 + 8) + 8, 128 + 34 + 8)
    with zipfile.ZipFile(archive) as file:
        file.extractall(archive.parent)
        facts = json.loads(file.read("recipes.json"))
    assert facts[1] == {
        "file": "02-seed000004~40.0.3.png",
        "model": "tiny",
        "snapshot": models.open("tiny").digest,
        "picture": "4~40.0.3",
        "truncation": 0.7,
        "noise": "random",
    }
    drawn = draw_recipes(models.open("tiny").network, [VARIED])[0]
    assert torch.equal(read_image(archive.parent / facts[1]["file"]), drawn)
    with refused("Nothing is kept yet"):
        favourites.as_files(())


def test_the_file_of_a_picture_is_as_large_as_is_wished(chosen):
    original = chosen[0].original
    assert sized(original, "as drawn") is original
    hard = sized(original, "hard")
    assert torch.equal(to_tensor(hard), to_tensor(original).repeat_interleave(4, 1).repeat_interleave(4, 2))
    assert (hard.info["seed"], hard.info["enlarged"]) == ("3", "4 times, hard")
    assert sized(original, "smooth").size == hard.size
    with refused("choose one of as drawn, smooth, hard"):
        sized(original, "huge")


@pytest.mark.parametrize(
    ("before", "most", "last", "after"),
    [
        ("0", 1, False, "4~40.0.3"),
        ("0, 1-2", 6, False, "4~40.0.3, 0, 1, 2"),
        ("0-5", 6, False, "4~40.0.3, 0, 1, 2, 3, 4"),
        ("1, 4~40.0.3, 2", 6, False, "4~40.0.3, 1, 2"),
        ("0, 5, 12", 12, True, "0, 5, 12, 4~40.0.3"),
        ("0-11", 12, True, "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 4~40.0.3"),
        ("what is this", 6, False, "4~40.0.3"),
        (None, 6, True, "4~40.0.3"),
    ],
)
def test_a_picture_is_written_where_a_field_has_room(before, most, last, after):
    assert named_too(VARIED, before, most, last=last) == after


def test_a_field_takes_a_seed_as_number_or_text_or_a_variation():
    assert named_picture(5) == named_picture("5") == named_picture(5.0) == Recipe(5)
    assert named_picture("4~40.0.3").moves == VARIED.moves
    for wrong in (-5, "1, 2", "x", None, True):
        with pytest.raises(Exception, match=r"must be|named|not|Write"):
            named_picture(wrong)


@pytest.mark.parametrize(
    ("query", "model", "seed", "tab"),
    [
        ({}, None, gr.skip(), gr.skip()),
        ({"model": "b", "seed": "17", "tab": "explore"}, "b", 17, gr.update(selected="explore")),
        ({"model": "gone", "seed": "-1", "tab": "<b>"}, None, gr.skip(), gr.skip()),
        ({"seed": "2147483648"}, None, gr.skip(), gr.skip()),
        ({"seed": "²"}, None, gr.skip(), gr.skip()),
        ({"seed": "9" * 5000}, None, gr.skip(), gr.skip()),
    ],
)
def test_an_address_is_followed_as_far_as_it_means_something(query, model, seed, tab):
    found = from_address(query, ["a", "b"], "a", ["generate", "explore"])
    # Without a word about the model, a choice that was made while the page opened stays.
    assert found[0] == (gr.update(choices=["a", "b"]) if model is None else gr.update(choices=["a", "b"], value=model))
    assert found[1:] == [seed, tab]
    assert from_address(query, ["b", "c"], "a", [])[0]["value"] == "b"


def test_a_picture_far_from_all_is_said_to_be(models):
    opened = models.open("tiny")
    pictures = models.training_pictures(opened)
    noise = torch.randint(256, pictures.images.shape[1:], dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = pictures.nearest(noise)
    assert all(item.far for item in found)
    assert "far from all of them" in explain_nearest(found, 8)
    itself = pictures.nearest(pictures.images[0])
    assert not itself[0].far
    assert "may be a copy" in explain_nearest(itself, 8)


def test_what_is_near_to_a_picture_with_transparency_is_told_of_what_is_seen_on_white(tmp_path):
    faces = load_image_set(bundled_data("emoji-faces"), image_size=32, max_images=8, colours="rgba").images.clone()
    faces[:, :3, :, :8], faces[:, 3, :, :8] = 255, 0
    network = Recombiner(RecombinerConfig(count=8, size=(32, 32), names=tuple("abcdefgh"), colours="rgba"))
    network.pictures.copy_(faces)
    network.eval().save_pretrained(tmp_path / "clear")
    models = Models([tmp_path])
    known = models.training_pictures(models.open("clear"))
    found = known.nearest(seen(faces)[3])[0]
    assert (found.name, found.near) == ("d", True)
    assert torch.equal(found.image, shown(faces[3], "checkerboard"))
    drawn = draw_recipes(models.open("clear").network, [Recipe(5)], ground="white")[0]
    _, told = CloseUpHandlers(models).nearest(Recipe(5), "clear")
    assert told == explain_nearest(known.nearest(drawn), 8)
    assert "far from all" not in told
