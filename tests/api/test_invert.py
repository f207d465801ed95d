"""`sase_gan.invert` and `sase-gan invert`: photographs to recipes that `sample` draws, and words on it."""

import json

import pytest
import torch
from typer.testing import CliRunner

import sase_gan
from sase_gan import cli
from sase_gan.api.invert import Reach, _stems
from sase_gan.datasets.own_output import drawn_in
from sase_gan.drawing.inverting import InvertingSettings
from sase_gan.errors import UsageError
from sase_gan.networks.pyramid import PyramidConfig
from sase_gan.pixels import read_image, read_png_text, write_png
from sase_gan.snapshot import snapshot_digest
from tests.awake import awake

FEW = InvertingSettings(latent_steps=4, map_steps=2, noise_steps=1, examples=16)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A snapshot `model`, a picture of its own `own.png`, and pictures of noise in `noisy`."""
    folder = tmp_path_factory.mktemp("invert")
    small = {"image_size": 32, "width": 4, "latent_size": 16, "num_components": 3, "spectral_norm": False}
    awake(sase_gan.networks.generator.GeneratorConfig(**small)).save_pretrained(folder / "model")
    image = sase_gan.sample(folder / "model", [9], device="cpu", progress=False).pixels[0]
    write_png(folder / "own.png", image)
    for index in range(3):
        write_png(folder / "noisy" / f"{index}.png", torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8))
    return folder


def test_the_command_writes_recipes_that_sample_draws(place, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SASE_GAN_CACHE", str(tmp_path / "cache"))
    runner = CliRunner()
    arguments = ["invert", str(place / "model"), str(place / "own.png"), str(place / "noisy"), "--steps", "5"]
    result = runner.invoke(cli.app, [*arguments, "--reach", "2", "--device", "cpu"])
    assert result.exit_code == 0, result.output
    folder = tmp_path / "inverted" / "model"
    record = json.loads((folder / "inverted.json").read_text())
    assert [row["recipe"] for row in record["photographs"]] == ["own.recipe", "0.recipe", "1.recipe", "2.recipe"]
    assert record["reach"]["whose"] == "the model's own pictures"
    assert len(record["reach"]["distances"]) == 2
    assert {row["answer"] for row in record["photographs"]} <= {"shown", "in part", "not shown"}
    assert "own.png: " in result.output
    assert read_image(folder / "sheet.png").shape == (3, 70, 138)
    drawn = ["sample", str(place / "model"), "--seeds", "3,inverted/model/own.recipe,inverted/model/own.recipe~50.0.1"]
    result = runner.invoke(cli.app, [*drawn, "--out", "drawn", "--device", "cpu"])
    assert result.exit_code == 0, result.output
    names = {"grid.png", "seed000003.png", "own.png", "own~50.0.1.png"}
    assert {path.name for path in (tmp_path / "drawn").iterdir()} == names
    again = read_image(tmp_path / "drawn" / "own.png")
    torch.testing.assert_close(again.int(), read_image(folder / "own.png").int(), atol=1, rtol=0)
    assert read_png_text(tmp_path / "drawn" / "own~50.0.1.png")["picture"] == "inverted/model/own.recipe~50.0.1"
    # So that no drawn picture is ever taken for one of a set.
    assert drawn_in(tmp_path / "drawn") == {snapshot_digest(place / "model"): 3}


def test_the_comparison_is_made_once_and_kept(place, monkeypatch, tmp_path):
    monkeypatch.setenv("SASE_GAN_CACHE", str(tmp_path))
    options = {"real": place / "noisy", "reach": 2, "settings": FEW, "device": "cpu", "progress": False}
    first = sase_gan.invert(place / "model", place / "own.png", **options)
    (kept,) = (tmp_path / "reach").iterdir()
    assert first.reach.whose == "the training pictures"
    kept.write_text(kept.read_text().replace('"apart": ', '"apart": 1'))
    assert sase_gan.invert(place / "model", place / "own.png", **options).reach.apart > 1


def test_a_network_and_a_tensor_will_do(place):
    network = sase_gan.load(place / "model", device="cpu")
    pixels = torch.stack([read_image(place / "own.png")] * 2)
    found = sase_gan.invert(network, pixels, reach=0, settings=FEW, progress=False)
    assert found.reach is None
    assert found.images.names == ("inverted/photograph-0.recipe", "inverted/photograph-1.recipe")
    assert repr(found).startswith("photograph-0: not judged, at 0.")
    assert torch.equal(found.images.pixels[0], found.images.pixels[1])


def test_models_of_one_picture_are_refused():
    pyramid = sase_gan.Pyramid(PyramidConfig(sizes=((12, 12), (18, 18)), width=8)).eval()
    with pytest.raises(UsageError, match="this model was trained on one picture or not at all"):
        sase_gan.invert(pyramid, torch.zeros(1, 3, 18, 18, dtype=torch.uint8), progress=False)


def test_a_picture_that_cannot_be_shown_is_said_to_be_so():
    reach = Reach("the training pictures", (0.02, 0.08), 0.1)
    assert [reach.answer(value) for value in (0.08, 0.09, 0.1)] == ["shown", "in part", "not shown"]
    assert reach.sentence(0.05) == "at 0.050, as near as 2 of the training pictures, which it shows at 0.020 to 0.080"
    assert reach.sentence(0.2).endswith("no nearer than another picture would be (0.100): this model cannot show it")
    assert reach.sentence(0.05, 0.2).endswith(
        "; the latent alone gives another picture (0.200), so variations may lead away"
    )
    assert reach.sentence(0.05, 0.09) == reach.sentence(0.05)
    assert reach.sentence(0.2, 0.3) == reach.sentence(0.2)
    assert Reach("the training pictures", (0.3,), 0.1).answer(0.2) == "not shown"


def test_stems_are_safe_where_names_are_typed():
    assert _stems(["~a,b@c.png", "x/a-b-c.jpg", "a-b-c.gif", "~@.png"]) == ["a-b-c", "a-b-c-2", "a-b-c-3", "photograph"]
