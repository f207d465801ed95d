"""What the tabs compute, called as plain functions: no server, no browser."""

import re
import shutil
from dataclasses import dataclass

import gradio as gr
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from sase_gan.cli import app
from sase_gan.drawing.gates import GateEdit, draw_edited, view_layers
from sase_gan.drawing.recipes import Move, Recipe, draw_recipes, parse_recipes
from sase_gan.drawing.sampling import draw_inputs, sample_images
from sase_gan.pixels import read_image, read_png_text, to_tensor
from sase_gan.ui import checks, close_up
from sase_gan.ui.events import DEVICE, Action
from sase_gan.ui.models import Models
from sase_gan.ui.tabs import explore, generate, layers, mix


@pytest.fixture(scope="module")
def models(models_folder) -> Models:
    return Models([models_folder])


def refused(message: str):
    return pytest.raises(gr.Error, match=message)


# --- recipes ---------------------------------------------------------------------------------------------------------


def test_a_name_that_was_shown_gives_the_same_recipe_again():
    recipe = Recipe(17).moved(Move("~", 50, 3, 2)).moved(Move("@", 60, 0, 12))
    assert recipe.name == "17~50.3.2@60.0.12"
    assert parse_recipes(recipe.name, most=1) == [recipe]
    assert [r.seed for r in parse_recipes("0, 4-6,9", most=9)] == [0, 4, 5, 6, 9]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "0 pictures are named; between 1 and 3"),
        ("1,2,3,4", "4 pictures are named; between 1 and 3"),
        ("0-99999999", "0-99999999 are too many pictures; at most 3"),
        ("17~50.3.64", "names a variation that does not exist"),
        ("17@60.0.25", "names a variation that does not exist"),
        ("9999999999", "it must be between 0 and 2147483647"),
        ("9999999999~50.3.2", "seeds go up to 2147483647"),
        ("1" * 3000, "Write the pictures as a list of seeds"),
        (None, "Write the pictures as a list of seeds"),
        ("../../etc/passwd", "etc/passwd"),
    ],
)
def test_other_names_are_refused(text, message):
    with pytest.raises(checks.SaseGanError, match=re.escape(message)):
        parse_recipes(text, most=3)


def test_a_recipe_draws_the_picture_that_the_command_line_draws(models):
    network = models.open("tiny").network
    assert torch.equal(draw_recipes(network, [Recipe(5)]), sample_images(network, [5]))
    half = Recipe(5, truncation=0.5, noise="off")
    assert torch.equal(draw_recipes(network, [half]), sample_images(network, [5], truncation=0.5, noise="off"))


def test_the_command_draws_the_variations_of_the_studio_under_their_names(models, models_folder, tmp_path):
    handlers = generate.GenerateHandlers(models)
    shown = handlers.more_like(Recipe(4), "tiny", 0.5, 3).gallery
    names = [name for _, name in shown]
    run = CliRunner().invoke(
        app, ["sample", str(models_folder / "tiny"), "--seeds", ",".join(names), "--out", str(tmp_path)]
    )
    assert run.exit_code == 0, run.output
    assert names[3] == "4~50.3.2"
    assert {path.name for path in tmp_path.iterdir()} == {"grid.png", "seed000004.png"} | {
        f"seed00000{name}.png" for name in names[1:]
    }
    for image, name in shown:
        path = tmp_path / f"seed00000{name}.png"
        assert torch.equal(read_image(path), to_tensor(image))
        assert read_png_text(path).get("picture", "4") == name
        assert read_png_text(path)["seed"] == "4"


# --- checks ----------------------------------------------------------------------------------------------------------


def test_errors_reach_the_visitor_as_a_sentence_without_folders_and_without_markup():
    @checks.sentences
    def failing():
        raise checks.UsageError("the file /home/me/secret/<b>x.png is no picture")

    with refused(r"^'The file &lt;b&gt;x.png is no picture.'$"):
        failing()


def test_unforeseen_errors_tell_no_detail(caplog):
    @checks.sentences
    def failing():
        raise RuntimeError("password")

    with refused("the details are in the window it was started from"):
        failing()
    assert "password" in caplog.text


@pytest.mark.parametrize("value", [None, True, "3", 2.5, float("nan"), float("inf"), -1, 2**31])
def test_numbers_are_checked_here_too(value):
    with pytest.raises(checks.UsageError, match="The seed is"):
        checks.seed_number(value)


# --- events ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    words: str
    numbers: tuple[int, int]
    unseen: str = "not shown"


def test_the_fields_of_a_result_go_to_their_components_by_name():
    def handler(text: str) -> Result:
        return Result(text, (1, 2))

    def trigger(answer, inputs, outputs, **options):
        return answer, inputs, outputs, options

    action = Action(handler, ["field"], {"numbers": ["first", "second"], "words": "words"})
    answer, inputs, outputs, options = action.on(trigger)
    assert (inputs, outputs) == (["field"], ["first", "second", "words"])
    assert answer("hello") == [1, 2, "hello"]
    assert options == {"api_visibility": "private", **DEVICE}
    assert Action(handler, [], {"words": "words"}).on(trigger)[0]("hello") == "hello"
    assert Action(handler, [], ["first", "second"]).on(trigger)[2] == ["first", "second"]
    with pytest.raises(TypeError, match=r"Result has no field \['sentence'\]"):
        Action(handler, [], {"sentence": "words"})


# --- models ----------------------------------------------------------------------------------------------------------


def test_the_list_has_what_lies_in_the_folders(models):
    assert models.names() == ["instant", "pickled", "plain", "tiny"]
    # Other files' fixtures add classifiers to the same folder, where they run first.
    assert {"pickled", "plain", "tiny"}.isdisjoint(models.names("classifier"))
    opened = models.open("tiny")
    assert opened is models.open("tiny")
    assert len(opened.digest) == 64


@pytest.mark.parametrize("name", ["../tiny", "/etc/passwd", "tiny/model.safetensors", "", None, 7, ["tiny"]])
def test_a_name_is_looked_up_and_never_becomes_a_path(models, name):
    with pytest.raises(checks.UsageError, match="There is no model called"):
        models.open(name)


def test_a_renamed_pickle_is_refused_in_a_sentence(models):
    with refused("not a safetensors file"):
        generate.GenerateHandlers(models).sample("pickled")


def test_without_models_the_sentence_says_what_to_do(tmp_path):
    with refused("There is no model yet: train one in the tab Train"):
        generate.GenerateHandlers(Models([tmp_path])).sample("tiny")


def test_only_the_last_few_models_stay_in_memory(models_folder, tmp_path):
    for name in "abcde":
        shutil.copytree(models_folder / "plain", tmp_path / name)
    many = Models([tmp_path])
    for name in "abcde":
        many.open(name)
    assert len(many._open) == 3


# --- Generate --------------------------------------------------------------------------------------------------------


def test_drawing_shows_consecutive_seeds_with_their_facts_in_the_files(models):
    handlers = generate.GenerateHandlers(models)
    drawn = handlers.sample("tiny", seed=40, count=3)
    assert drawn.seed == 40
    assert [name for _, name in drawn.gallery] == ["40", "41", "42"]
    assert "Seeds 40 to 42" in drawn.note
    opened = models.open("tiny")
    for (image, name), expected in zip(drawn.gallery, sample_images(opened.network, [40, 41, 42]), strict=True):
        assert torch.equal(to_tensor(image), expected)
        assert image.info["seed"] == name
        assert image.info["snapshot"] == opened.digest
    assert [recipe.seed for recipe in drawn.sheet.recipes] == [40, 41, 42]


def test_another_model_leaves_a_typed_seed_alone(models):
    handlers = generate.GenerateHandlers(models)
    drawn = handlers.redraw("tiny", seed=40, count=2)
    assert len(drawn.gallery) == 2
    assert drawn.seed == gr.skip()
    assert "Seeds 40 to 41" in drawn.note


def test_the_last_seeds_are_drawn_without_running_over(models):
    drawn = generate.GenerateHandlers(models).sample("tiny", seed=2**31 - 1, count=2)
    assert drawn.seed == 2**31 - 2
    assert drawn.sheet.recipes[-1].seed == 2**31 - 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "The seed is -1; it must be between 0 and 2147483647"),
        ({"count": 65}, "The number of pictures is 65; it must be between 1 and 64"),
        ({"count": 2.5}, "a whole number between 1 and 64 is required"),
        ({"truncation": 2.1}, "The truncation is 2.1; it must be between 0 and 2"),
        ({"noise": "loud"}, "choose one of random, fixed, off"),
    ],
)
def test_values_out_of_range_are_refused(models, arguments, message):
    with refused(message):
        generate.GenerateHandlers(models).sample("tiny", **arguments)


def test_a_picture_is_chosen_varied_and_compared(models):
    handlers = generate.GenerateHandlers(models)
    sheet = handlers.sample("tiny", seed=3, count=2).sheet
    close = close_up.CloseUpHandlers(models)
    chosen = close.choose(sheet, 1)
    assert chosen.recipe == Recipe(4)
    assert "Seed 4" in chosen.about
    assert chosen.model == "tiny"
    more = handlers.more_like(chosen.recipe, chosen.model, 0.4, 0)
    assert len(more.gallery) == 12
    assert torch.equal(to_tensor(more.gallery[0][0]), to_tensor(chosen.large))
    assert more.sheet.recipes[1].name == "4~40.0.0"
    assert "Like 4" in more.note
    near, near_note = close.nearest(chosen.recipe, chosen.model)
    assert near.count("<figure>") == 2
    assert "Among the 8 training pictures" in near_note
    with refused("no longer there; draw again"):
        close.choose(sheet, 2)
    with refused("No picture is chosen"):
        close.nearest(None, chosen.model)


def test_a_model_without_its_pictures_says_so_instead_of_comparing(models):
    near, near_note = close_up.CloseUpHandlers(models).nearest(Recipe(1), "plain")
    assert near == ""
    assert "none can be compared" in near_note


# --- Explore ---------------------------------------------------------------------------------------------------------


def test_the_map_has_the_picture_in_its_middle(models):
    handlers = explore.ExploreHandlers(models)
    found = handlers.neighbours("tiny", "7", 0.5, 2)
    assert len(found.gallery) == 25
    assert found.gallery[12][1] == "7"
    assert torch.equal(to_tensor(found.gallery[12][0]), sample_images(models.open("tiny").network, [7])[0])
    assert found.sheet.recipes[0].name == "7@50.2.0"
    assert "**7** is in the middle" in found.note
    assert handlers.name_at(found.sheet, 0) == "7@50.2.0"
    with refused("no longer there; draw again"):
        handlers.name_at(found.sheet, 25)


def test_directions_at_zero_change_nothing(models):
    handlers = explore.ExploreHandlers(models)
    moved = handlers.move("tiny", 7)
    assert torch.equal(to_tensor(moved.before), to_tensor(moved.after))
    assert moved.name == "7"
    moved = handlers.move("tiny", 7, "components", 0, 4.0)
    assert not torch.equal(to_tensor(moved.before), to_tensor(moved.after))
    assert handlers.strips("tiny", 7, "factorisation").count('<div class="strip">') == 6
    with refused("slider is 6; it must be between -5 and 5"):
        handlers.move("tiny", 7, "components", 6)
    with refused("choose one of factorisation, components"):
        handlers.move("tiny", 7, "labels")


# --- Layers ----------------------------------------------------------------------------------------------------------


def test_every_mask_and_mixture_is_shown(models):
    looked = layers.LayerHandlers(models).look("tiny", 5)
    view = view_layers(models.open("tiny").network, draw_inputs(models.open("tiny").network, [5]))
    assert looked.masks.count("<figure>") == sum(len(m) for m in view.masks.values())
    assert looked.styles.count('class="bar"') == sum(len(m) for m in view.masks.values())
    assert looked.mixtures.count("<tr>") == 1 + len(view.mixtures)


def test_a_model_without_gates_has_a_sentence_for_each_empty_place(models):
    handlers = layers.LayerHandlers(models)
    looked = handlers.look("plain", 5)
    assert looked.masks == "<p>This model has no SASE block.</p>"
    assert "batch normalisation, which mixes nothing" in looked.mixtures
    assert "skip-layer excitation alone" in handlers.gates("plain").note
    with refused("This model has no SASE block"):
        handlers.edit("plain", 5)


def test_the_page_edits_as_the_library_does(models):
    handlers = layers.LayerHandlers(models)
    network = models.open("tiny").network
    gate = list(network.sase_gates())[-1]
    edited = handlers.edit("tiny", 5, gate, 9, "masks", [2, 4], None, 1, 0, 1, 2)
    styles = view_layers(network, draw_inputs(network, [9])).styles[gate]
    edit = GateEdit((1.0, 0.0, 1.0, 2.0), styles, frozenset({1, 3}))
    expected = draw_edited(network, draw_inputs(network, [5]), {gate: edit})[0]
    assert torch.equal(to_tensor(edited.after), expected)
    assert torch.equal(to_tensor(edited.before), sample_images(network, [5])[0])
    difference = (expected.float() - to_tensor(edited.before).float()) * layers.CHANGE_FACTOR + 128
    assert torch.equal(to_tensor(edited.change), difference.clamp(0, 255).to(torch.uint8))
    assert "grey levels on average" in edited.verdict
    assert "styles of seed 9 for masks 2 4" in edited.after.info["edit"]


def test_a_painted_region_changes_where_it_was_painted(models):
    handlers = layers.LayerHandlers(models)
    layer = np.zeros((128, 128, 4), np.uint8)
    layer[:64, :, 3] = 255
    painting = {"background": None, "layers": [layer], "composite": None}
    edited = handlers.edit("tiny", 5, "", 9, "region", None, painting)
    change = (to_tensor(edited.after).int() - to_tensor(edited.before).int()).abs().amax(0)
    assert change[:30].max() > 0
    assert change[36:].max() == 0
    nothing = {"layers": [np.zeros((8, 8, 4), np.uint8)]}
    with refused("Nothing is painted"):
        handlers.edit("tiny", 5, "", 9, "region", None, nothing)
    with refused("not what the brush of this page gives"):
        handlers.edit("tiny", 5, "", 9, "region", None, {"layers": ["/etc/passwd"]})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tiny", 5, "gate1to2"), "The block is 'gate1to2'; choose one of gate"),
        (("tiny", 5, "", 9, "everywhere"), "choose one of nowhere, masks, region"),
        (("tiny", 5, "", 9, "masks", [9]), "The mask is '9'; choose one of 1, 2, 3, 4"),
        (("tiny", 5, "", 9, "masks", []), "No mask is chosen"),
        (("tiny", 5, "", 9, "nowhere", None, None, 5), "A mask's strength is 5; it must be between 0 and 4"),
    ],
)
def test_impossible_edits_are_refused(models, arguments, message):
    with refused(message):
        layers.LayerHandlers(models).edit(*arguments)


# --- Mix -------------------------------------------------------------------------------------------------------------


def test_the_table_of_mixtures_has_the_pictures_themselves_at_its_edges(models):
    table, note = mix.MixHandlers(models).mix("tiny", "0, 1", "2, 3, 4", 16)
    cell, gap, label = 128, mix.GAP, 22
    assert table.size == (cell * 4 + gap, cell + gap + label + 2 * (cell + label) - label)
    assert "16 × 16" in note
    pixels = to_tensor(table)
    network = models.open("tiny").network
    corner = pixels[:, label : label + cell : 2, cell + gap : 2 * cell + gap : 2]
    assert torch.equal(corner, sample_images(network, [2])[0])
    side = pixels[:, cell + gap + label : 2 * cell + gap + label : 2, :cell:2]
    assert torch.equal(side, sample_images(network, [0])[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tiny", "0-8", "1"), "0-8 are too many pictures; at most 6"),
        (("tiny", "0", "1", 128), "The size is '128'; choose one of 4, 8, 16, 32, 64"),
        (("tiny", "x", "1"), "x"),
    ],
)
def test_impossible_mixtures_are_refused(models, arguments, message):
    with refused(message):
        mix.MixHandlers(models).mix(*arguments)
