"""Photographs brought into a generator: what is found is near, drawn again, moved, walked to and mixed."""

import json

import pytest
import torch
from safetensors.torch import save_file

from sase_gan.drawing.inversions import Inversion, read_inversion
from sase_gan.drawing.inverting import Inverted, InvertingSettings, distances, distances_between, invert
from sase_gan.drawing.latents import mix
from sase_gan.drawing.recipes import Recipe, draw_recipes, parse_names, walk_recipes
from sase_gan.drawing.sampling import Inputs, draw_images, draw_inputs, joined, sample_images
from sase_gan.drawing.walks import walk_between
from sase_gan.errors import DataError, UsageError
from sase_gan.features.reconstruction import EfficientNetLite0Loss
from sase_gan.networks.generator import Generator, GeneratorConfig
from sase_gan.pixels import to_float
from tests.awake import awake

QUICK = InvertingSettings(latent_steps=16, map_steps=10, noise_steps=5, examples=32)


@pytest.fixture(scope="module")
def small() -> Generator:
    return awake(GeneratorConfig(image_size=32, width=4, latent_size=16, num_components=3, spectral_norm=False))


@pytest.fixture(scope="module")
def found(small: Generator) -> tuple[torch.Tensor, Inverted]:
    """Two pictures of the model's own, brought back into it."""
    pictures = sample_images(small, [70, 71])
    return pictures, invert(small, pictures, settings=QUICK)


@pytest.fixture
def recipe(found, tmp_path) -> Recipe:
    found[1].inversions[0].save(tmp_path / "cat.recipe")
    return parse_names(f"{tmp_path}/cat.recipe", files=True)[0]


def test_each_space_brings_the_pictures_nearer(small, found):
    pictures, inverted = found
    assert set(inverted.by_space) == {"latent", "first map", "noise"}
    assert (inverted.by_space["first map"] < inverted.by_space["latent"]).all()
    others = distances(sample_images(small, list(range(20))), pictures[:1].expand(20, -1, -1, -1))
    assert inverted.distances[0] < others.min()


def test_what_is_said_is_of_the_picture_that_is_drawn(small, found):
    pictures, inverted = found
    loss = EfficientNetLite0Loss()
    for index, inversion in enumerate(inverted.inversions):
        drawn = draw_recipes(small, [Recipe(0, inversion=inversion)])
        torch.testing.assert_close(drawn[0].int(), inverted.pixels[index].int(), atol=1, rtol=0)
        with torch.no_grad():
            expected = loss(to_float(drawn), to_float(pictures[index : index + 1]))[0]
        torch.testing.assert_close(inverted.distances[index], expected, atol=2e-3, rtol=0)
        level = (drawn[0].double() - pictures[index].double()).abs().mean()
        torch.testing.assert_close(inverted.levels[index].double(), level, atol=0.1, rtol=0)


def test_latents_stay_where_normal_ones_lie_and_noise_is_noise(found):
    for inversion in found[1].inversions:
        torch.testing.assert_close(inversion.z.norm(), torch.tensor(4.0))
        for maps in inversion.noise:
            torch.testing.assert_close(maps.mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
            torch.testing.assert_close(maps.std(), torch.tensor(1.0))


def test_a_search_is_the_same_again_and_leaves_the_network_alone(small, found):
    before = {name: value.clone() for name, value in small.state_dict().items()}
    settings = QUICK.model_copy(update={"latent_steps": 2, "map_steps": 0, "noise_steps": 0})
    first, second = (invert(small, found[0][:1], settings=settings) for _ in range(2))
    assert torch.equal(first.inversions[0].z, second.inversions[0].z)
    assert not first.inversions[0].shift.any()
    assert list(first.by_space) == ["latent"]
    assert all(torch.equal(value, before[name]) for name, value in small.state_dict().items())
    assert all(parameter.grad is None for parameter in small.parameters())


def test_pictures_of_another_size_are_refused(small):
    with pytest.raises(UsageError, match=r"photographs are \(1, 3, 16, 16\); \[n >= 1, 3, 32, 32\] is required"):
        invert(small, torch.zeros(1, 3, 16, 16, dtype=torch.uint8))


def test_distances_between_pictures_are_those_of_pairs(found):
    pictures = torch.cat([found[0], found[0][:1].flip(-1)])
    table = distances_between(pictures, batch_size=2)
    torch.testing.assert_close(table, table.T)
    assert table.diagonal().isinf().all()
    torch.testing.assert_close(table[0, 1], distances(pictures[:1], pictures[1:2])[0], atol=1e-5, rtol=1e-4)


def test_a_file_holds_all_of_it(found, recipe, small):
    kept, first = recipe.inversion, found[1].inversions[0]
    assert torch.equal(kept.z, first.z)
    assert torch.equal(kept.shift, first.shift)
    assert all(torch.equal(a, b) for a, b in zip(kept.noise, first.noise, strict=True))
    assert torch.equal(draw_recipes(small, [recipe]), draw_recipes(small, [Recipe(0, inversion=first)]))


def test_a_shift_is_added_to_the_first_map(small):
    inputs = draw_inputs(small, [3], noise="off")
    shift = torch.randn(1, *small.mean_first_map().shape[1:])
    with torch.no_grad():
        moved = small.first_map(inputs.z, torch.tensor([0.5]), shift)
        mean = small.mean_first_map()
        torch.testing.assert_close(moved, mean + 0.5 * (small.b4(inputs.z) + shift - mean))
    assert torch.equal(draw_images(small, inputs), draw_images(small, inputs._replace(shift=torch.zeros_like(shift))))
    both = joined([inputs, inputs._replace(shift=shift)])
    assert torch.equal(both.shift[0], torch.zeros_like(shift[0]))
    assert torch.equal(both.shift[1], shift[0])


def test_a_recipe_is_moved_named_and_read_again(recipe, small, tmp_path):
    (moved,) = parse_names(f"{recipe.name}~50.3.2@60.0.12", files=True)
    assert moved.file_name() == "cat~50.3.2@60.0.12.png"
    assert moved.text("hash")["seed"] == recipe.name
    assert [found.name for found in parse_names(f"7, {recipe.name}", files=True)] == ["7", f"{tmp_path}/cat.recipe"]
    pictures = draw_recipes(small, [recipe, moved, Recipe(5)])
    assert not torch.equal(pictures[0], pictures[1])
    assert torch.equal(pictures[2], sample_images(small, [5])[0])
    still = parse_names(f"{recipe.name}@0.0.12", files=True)  # the middle of a map is the picture itself
    torch.testing.assert_close(draw_recipes(small, still)[0].int(), pictures[0].int(), atol=1, rtol=0)


def test_where_strangers_type_no_file_is_read(recipe):
    for name in (recipe.name, f"{recipe.name}~50.3.2"):
        with pytest.raises(UsageError, match="is not understood"):
            parse_names(name)


@pytest.mark.parametrize("loop", [False, True])
def test_a_walk_comes_to_the_photograph(recipe, small, loop):
    frames = walk_recipes(small, [Recipe(3), recipe], steps=3, loop=loop)
    assert len(frames) == (6 if loop else 4)
    ends = draw_recipes(small, [Recipe(3), recipe])
    torch.testing.assert_close(frames[0].int(), ends[0].int(), atol=1, rtol=0)
    torch.testing.assert_close(frames[3].int(), ends[1].int(), atol=1, rtol=0)
    middle = walk_between(small, joined([one.inputs(small) for one in (Recipe(3), recipe)]), steps=3)[1]
    assert torch.equal(frames[1], middle)


def test_a_photograph_mixes_with_a_seed(recipe, small):
    ours, other = recipe.inputs(small), Recipe(4).inputs(small)
    assert torch.equal(mix(small, ours, other, from_size=64), draw_recipes(small, [recipe]))
    assert not torch.equal(mix(small, ours, other, from_size=8), draw_recipes(small, [recipe]))


def test_truncation_and_noise_apply(recipe, small):
    settings = [
        Recipe(0, inversion=recipe.inversion, truncation=0.5),
        Recipe(0, inversion=recipe.inversion, noise="off"),
    ]
    plain, typical, silent = draw_recipes(small, [recipe]), *(draw_recipes(small, [one]) for one in settings)
    assert not torch.equal(plain, typical)
    assert not torch.equal(plain, silent)


def test_another_model_is_refused(recipe, plain):
    with pytest.raises(UsageError, match=r"found in another model: its latent is \(16,\), and \(24,\) is required"):
        recipe.inputs(plain)
    kept = Inversion("a.recipe", recipe.inversion.z, recipe.inversion.shift, recipe.inversion.noise, "a" * 64)
    Recipe(0, inversion=kept).check_snapshot("a" * 64)
    Recipe(0, inversion=kept).check_snapshot(None)
    with pytest.raises(UsageError, match="was found in the snapshot aaaaaaaaaaaa, and bbbbbbbbbbbb is to draw it"):
        Recipe(0, inversion=kept).check_snapshot("b" * 64)


def test_files_that_are_no_recipes_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"none.recipe does not exist"):
        read_inversion(tmp_path / "none.recipe")
    (tmp_path / "text.recipe").write_text("no tensors")
    with pytest.raises(DataError, match=r"text.recipe is no recipe of a photograph"):
        read_inversion(tmp_path / "text.recipe")
    description = json.dumps({"snapshot": "", "facts": {}})
    save_file({"z": torch.zeros(4)}, tmp_path / "half.recipe", metadata={"recipe": description})
    with pytest.raises(DataError, match=r"half.recipe is no recipe of a photograph"):
        read_inversion(tmp_path / "half.recipe")
    endless = {"z": torch.full((4,), torch.inf), "shift": torch.zeros(1, 4, 4)}
    save_file(endless, tmp_path / "endless.recipe", metadata={"recipe": description})
    with pytest.raises(DataError, match="no finite 32-bit numbers"):
        read_inversion(tmp_path / "endless.recipe")


def test_first_keeps_everything_of_the_first_picture(small):
    both = joined([Recipe(1, truncation=0.5).inputs(small), Recipe(2).inputs(small)])
    first = both._replace(shift=torch.ones(2, *small.mean_first_map().shape[1:])).first()
    assert isinstance(first, Inputs)
    assert {len(part) for part in (first.z, first.truncation, first.shift, *first.noise)} == {1}
