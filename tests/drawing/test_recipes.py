from pathlib import Path

import pytest
import torch

from sase_gan.drawing.latents import class_walk
from sase_gan.drawing.recipes import Move, Recipe, draw_recipes, parse_names, stations_of, walk_recipes
from sase_gan.drawing.sampling import draw_inputs, sample_images
from sase_gan.drawing.walks import at_place, latent_walk
from sase_gan.errors import UsageError
from sase_gan.networks.generator import Generator, GeneratorConfig
from sase_gan.networks.pyramid import Pyramid, PyramidConfig
from sase_gan.recombination.model import Recombiner, RecombinerConfig

FAR = Recipe(17, (Move("~", 50, 3, 2), Move("@", 60, 0, 12)))


@pytest.fixture(scope="module")
def single() -> Pyramid:
    torch.manual_seed(0)
    return Pyramid(PyramidConfig(sizes=((12, 12), (18, 18)), width=8)).eval()


def test_seeds_and_names_are_read_from_one_list():
    assert parse_names("0,4-5, 17~50.3.2@60.0.12") == [Recipe(0), Recipe(4), Recipe(5), FAR]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not understood"),
        ("1,,2", "'' is not understood"),
        ("1,x", "'x' is not understood"),
        ("17~50.3", "'17~50.3' is not understood; variations are written 17~50.3.2"),
        ("17@60.0.25", "17@60.0.25 names a variation that does not exist"),
        ("../17~50.3.2", "is not understood"),
    ],
)
def test_what_is_no_name_is_refused(text, message):
    with pytest.raises(UsageError, match=message):
        parse_names(text)


@pytest.mark.parametrize("recipe", [Recipe(7), Recipe(2**31 - 1), FAR], ids=lambda recipe: recipe.name)
def test_a_file_name_is_safe_and_is_read_back(recipe):
    name = recipe.file_name()
    assert not set(name) - set("0123456789~@.depsng")
    assert parse_names(Path(name).stem.removeprefix("seed")) == [recipe]


def test_classes_are_part_of_a_name_and_of_a_files():
    faces, both = (("faces", 100),), (("faces", 30), ("fruits", 70))
    named = parse_names("5-6=faces, 17=faces.30=fruits.70~50.3.2")
    assert [recipe.classes for recipe in named] == [faces, faces, both]
    assert [recipe.name for recipe in named] == ["5=faces", "6=faces", "17=faces.30=fruits.70~50.3.2"]
    for recipe in named:
        assert parse_names(Path(recipe.file_name()).stem.removeprefix("seed")) == [recipe]
    assert named[2].text("")["class"] == "30 % faces, 70 % fruits"
    with pytest.raises(UsageError, match="names no mixture of classes"):
        parse_names("17=faces.30")


def test_a_walk_leads_from_class_to_class_in_a_straight_line_and_a_name_without_a_class_has_one():
    torch.manual_seed(0)
    config = {"image_size": 32, "width": 4, "latent_size": 8, "classes": ("a", "b"), "class_counts": (3, 1)}
    model = Generator(GeneratorConfig(**config)).eval()
    stations = stations_of(model, parse_names("3=a,3=b"))
    assert at_place(stations, (0, 0.25)).classes.tolist() == [[0.75, 0.25]]
    assert torch.equal(at_place(stations, (0, 0.25)).z[0], draw_inputs(model, [3]).z[0])
    film = walk_recipes(model, parse_names("3=a,3=b"), steps=4)
    mixed = draw_recipes(model, parse_names("3=a.75=b.25"))
    assert (film[1].int() - mixed[0].int()).abs().max() <= 1
    own = int(draw_inputs(model, [3]).classes.argmax())
    plain, named = draw_recipes(model, parse_names("3")), draw_recipes(model, parse_names(f"3={'ab'[own]}"))
    assert torch.equal(plain, named)
    eased = class_walk([torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])], 4, loop=False)
    assert eased.sum(1).tolist() == pytest.approx([1.0] * 5)
    assert eased[[0, 2, 4], 1].tolist() == pytest.approx([0, 0.5, 1])
    with pytest.raises(UsageError, match="this model has no classes"):
        draw_recipes(Generator(GeneratorConfig(image_size=32, width=4, latent_size=8)).eval(), parse_names("3=a"))


def test_a_seeds_file_is_called_as_ever():
    assert Recipe(7).file_name() == "seed000007.png"


def test_a_name_too_long_for_a_file_is_refused():
    recipe = Recipe(7, (Move("~", 160, 2**31 - 1, 63),) * 32)
    with pytest.raises(UsageError, match="has 32 steps, and a file may not have so long a name"):
        recipe.file_name()


def test_seeds_are_drawn_as_sampling_draws_them(network, single):
    for model in (network, single):
        for settings in ({}, {"noise": "fixed", "truncation": 0.7}, {"noise": "off"}):
            recipes = [Recipe(seed, **settings) for seed in (5, 0, 9)]
            assert torch.equal(
                draw_recipes(model, recipes, batch_size=2), sample_images(model, [5, 0, 9], batch_size=2, **settings)
            )


def test_a_walk_over_seeds_is_samplings_and_may_pass_variations(network, single):
    for model in (network, single):
        for loop in (True, False):
            walk = walk_recipes(model, [Recipe(3), Recipe(8)], steps=3, loop=loop)
            assert torch.equal(walk, latent_walk(model, [3, 8], steps=3, loop=loop))
    walk = walk_recipes(network, [Recipe(17), FAR], steps=3)
    assert torch.equal(walk[-1], draw_recipes(network, [FAR])[0])
    with pytest.raises(UsageError, match="a walk needs at least two seeds; got 1"):
        walk_recipes(network, [FAR])


def test_impossible_recipes_are_refused(network, single):
    with pytest.raises(UsageError, match=r"17~50.3.2@60.0.12 names a variation, which models of one picture lack"):
        draw_recipes(single, [FAR])
    with pytest.raises(UsageError, match="which models of one picture lack"):
        FAR.seed_alone()
    with pytest.raises(UsageError, match="truncation is 3; it must be between 0 and 2"):
        draw_recipes(network, [Recipe(1, truncation=3)])


def test_a_model_without_training_has_variations_and_neighbours_too():
    network = Recombiner(RecombinerConfig(count=4, size=(64, 64)))
    network.pictures.copy_(torch.randint(256, (4, 3, 64, 64), generator=torch.Generator().manual_seed(0)))
    here, near, far, beside = (recipe.latent(network) for recipe in parse_names("3,3~30.0.1,3~150.0.1,3@60.0.3"))
    assert here.shape == near.shape == (3, 32, 32)
    assert (near - here).norm() < 0.5 * (far - here).norm()
    assert beside.norm() == pytest.approx(here.norm().item(), rel=1e-4)
    drawn = draw_recipes(network, parse_names("3,3~0.0.1,3~150.0.1"))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
