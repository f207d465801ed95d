"""Directions in names and files: pictures moved along them, by the command line too."""

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from sase_gan import cli
from sase_gan.drawing.directions import Direction, direction_between, own_direction, read_direction
from sase_gan.drawing.latents import directions
from sase_gan.drawing.recipes import Along, Move, Recipe, draw_recipes, parse_names
from sase_gan.drawing.sampling import Inputs, draw_images
from sase_gan.errors import DataError, UsageError
from sase_gan.networks.pyramid import Pyramid, PyramidConfig
from sase_gan.pixels import read_image, read_png_text


def test_a_name_moves_along_the_models_own_direction(network):
    (recipe,) = parse_names("17+f1.150")
    assert recipe == Recipe(17, (Along("f1", 150),))
    assert recipe.name == "17+f1.150"
    assert recipe.file_name() == "seed000017+f1.150.png"
    start = Recipe(17).inputs(network)
    moved = start.z + 1.5 * directions(network, "factorisation", 2)[1]
    assert torch.equal(draw_recipes(network, [recipe]), draw_images(network, Inputs(moved, start.noise)))
    (back,) = parse_names("17+c0.-80~50.3.2")
    assert back.moves == (Along("c0", -80), Move("~", 50, 3, 2))
    z = Recipe(17).latent(network) - 0.8 * directions(network, "components", 1)[0]
    torch.testing.assert_close(back.latent(network), back.moves[1].apply(z, network))


def test_a_direction_is_kept_and_read(network, tmp_path):
    vector = own_direction(network, "f0")
    Direction(vector, "a" * 64, "smiling").save(tmp_path / "smile.direction")
    found = read_direction(tmp_path / "smile.direction")
    assert torch.equal(found.vector, vector)
    assert (found.snapshot, found.what) == ("a" * 64, "smiling")
    text = f"17+{tmp_path}/smile.direction.150"
    (recipe,) = parse_names(text, files=True)
    assert recipe.name == text
    assert recipe.file_name() == "seed000017+smile.direction.150.png"
    assert torch.equal(draw_recipes(network, [recipe]), draw_recipes(network, parse_names("17+f0.150")))
    recipe.check_snapshot("a" * 64)
    with pytest.raises(UsageError, match=r"smile.direction was found in the snapshot aaaaaaaaaaaa, and bbbb"):
        recipe.check_snapshot("b" * 64)
    with pytest.raises(UsageError, match="where no files are read"):
        parse_names(text)


def test_what_leads_from_some_pictures_to_others():
    before, after = torch.zeros(3, 4), torch.tensor([[3.0, 0, 0, 4], [3.0, 0, 0, 4]])
    vector, length = direction_between(before, after)
    assert length == 5
    torch.testing.assert_close(vector, torch.tensor([0.6, 0, 0, 0.8]))
    with pytest.raises(UsageError, match="are the same ones"):
        direction_between(before, before)


def test_directions_of_other_models_are_refused(network):
    with pytest.raises(UsageError, match=r"x.direction is a direction of 9 values, and latents have 24 here"):
        Recipe(1, (Along("x.direction", 10, Direction(torch.ones(9))),)).latent(network)
    pyramid = Pyramid(PyramidConfig(sizes=((12, 12), (18, 18)), width=8)).eval()
    with pytest.raises(UsageError, match="names a variation, which models of one picture lack"):
        draw_recipes(pyramid, parse_names("1+f0.20"))


@pytest.mark.parametrize("text", ["17+f0", "17+x0.20", "17+f0.1.2", "+f0.20"])
def test_what_is_no_direction_is_said(text):
    with pytest.raises(UsageError, match=r"moves along a direction 17\+f0.150"):
        parse_names(text)


def test_files_that_are_no_directions_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"none.direction does not exist"):
        parse_names(f"1+{tmp_path}/none.direction.20", files=True)
    (tmp_path / "x.direction").write_text("no vector")
    with pytest.raises(DataError, match=r"x.direction is no direction"):
        read_direction(tmp_path / "x.direction")
    Direction(torch.full((4,), torch.nan)).save(tmp_path / "nan.direction")
    with pytest.raises(DataError, match="its vector is none"):
        read_direction(tmp_path / "nan.direction")


def test_the_commands_show_keep_and_use_directions(network, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network.save_pretrained("model")

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(cli.app, list(arguments))
        assert result.exit_code == 0, result.output
        return " ".join(result.output.split())

    assert "a row each for f0, c0, from -2 to 2" in run("directions", "model", "--count", "1", "--reach", "2")
    assert read_image("directions/model/directions.png").shape == (3, 2 * 66 + 2, 7 * 66 + 2)
    assert "kept directions/model/mine.direction" in run("directions", "model", "--save", "mine=f0")
    way = ("--before", "0-2", "--after", "5,6", "--name", "smile")
    assert "along it lead from the first pictures to the others" in run("directions", "model", *way)
    names = [f"1+directions/model/{name}.direction.120" for name in ("mine", "smile")]
    run("sample", "model", "--seeds", ",".join(names), "--out", "drawn", "--device", "cpu")
    files = {path.name for path in Path("drawn").iterdir()}
    assert files == {"grid.png", *(f"seed000001+{name}.direction.120.png" for name in ("mine", "smile"))}
    assert read_png_text("drawn/seed000001+smile.direction.120.png")["picture"] == names[1]
    assert torch.equal(
        read_image("drawn/seed000001+mine.direction.120.png"), draw_recipes(network, parse_names("1+f0.120"))[0]
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--before", "1"], "--before, --after and --name belong together"),
        (["--save", "smile"], "'smile' is not understood; write NAME=f0"),
        (["--save", "smile=x1"], "'x1' is no direction"),
        (["--save", "a+b=f0"], "cannot be the name of a direction"),
    ],
)
def test_what_cannot_be_kept_is_refused(network, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    network.save_pretrained("model")
    result = CliRunner().invoke(cli.app, ["directions", "model", *options])
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)
