"""Instant models of grey pictures and of pictures with transparency: against coloured ones, and by what must hold."""

import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from sase_gan.colours import learnt, seen
from sase_gan.drawing.sampling import draw_inputs, sample_images
from sase_gan.networks.load import load_network
from sase_gan.pixels import write_png
from sase_gan.recombination.control import Control
from sase_gan.recombination.model import Recombiner, RecombinerConfig
from sase_gan.runs.folder import RunFolder
from tests.processes import invoke

FORMS = pytest.mark.parametrize("form", ["aligned", pytest.param("free", marks=pytest.mark.slow)])


def model(pictures: Tensor, colours: str, form: str) -> Recombiner:
    count, _, height, width = pictures.shape
    made = Recombiner(RecombinerConfig(count=count, size=(height, width), form=form, colours=colours)).eval()
    made.pictures.copy_(pictures)
    return made


def discs(count: int = 6, side: int = 32) -> Tensor:
    """Discs of a colour each with soft rims on clear ground, as files hold them: uint8 `[count, 4, side, side]`."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    made = []
    for index in range(count):
        middle = side / 2 + (index % 3 - 1) * 2
        apart = ((y - middle) ** 2 + (x - side / 2) ** 2).sqrt()
        alpha = ((9 + index - apart) / 4).clamp(0, 1) * 255
        colour = torch.tensor([40 * index, 255 - 30 * index, 90.0]).view(3, 1, 1).expand(3, side, side)
        made.append(torch.cat([colour, alpha[None]]))
    return torch.stack(made).to(torch.uint8)


@FORMS
def test_grey_pictures_are_recombined_as_coloured_ones_without_colour(form):
    pictures = torch.randint(256, (6, 1, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    grey, coloured = model(pictures, "grey", form), model(pictures.expand(-1, 3, -1, -1), "rgb", form)
    inputs = draw_inputs(grey, range(2))
    own, other = grey(inputs.z, inputs.noise), coloured(inputs.z, inputs.noise)
    assert own.big.shape == (2, 1, 32, 32)
    torch.testing.assert_close(own.big.expand(-1, 3, -1, -1), other.big, rtol=0, atol=1e-6)
    assert torch.equal(own.sources, other.sources)
    assert sample_images(grey, [0]).shape == (1, 3, 32, 32)
    assert sample_images(grey, [0], ground="file").shape == (1, 1, 32, 32)


@FORMS
def test_pieces_bring_their_transparency_along(form):
    files = discs()
    inside = learnt(files)
    made = model(inside, "rgba", form)
    drawn = sample_images(made, range(3), ground="file")
    assert drawn.shape == (3, 4, 32, 32)
    within = learnt(drawn).int()
    # What lies on white can be no darker than white minus how opaque it is, as in every one of the pictures.
    assert (within[:, :3] >= 255 - within[:, 3:] - 2).all()
    alpha = drawn[:, 3]
    assert (alpha == 0).any()
    assert (alpha == 255).any()
    # Opaque parts have colours of the pictures: their third channel is 90 in all of them.
    opaque = drawn[:, 2][alpha == 255].int()
    assert (opaque - 90).abs().float().mean() < 6


def test_opaque_pictures_stay_opaque_and_a_visitors_picture_is():
    pictures = torch.randint(256, (6, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    opaque = torch.cat([pictures, torch.full_like(pictures[:, :1], 255)], 1)
    made = model(opaque, "rgba", "aligned")
    assert (sample_images(made, range(2), ground="file")[:, 3] >= 254).all()
    keep = torch.zeros(32, 32)
    keep[:, :16] = 1
    clear = model(learnt(discs()), "rgba", "aligned")
    inputs = draw_inputs(clear, [0])
    own = clear(inputs.z, inputs.noise, control=Control(keep=keep, picture=torch.full((3, 32, 32), -1.0))).big
    assert (own[0, 3, :, :16] == 1).all()
    assert (own[0, :3, :, :14] == -1).all()
    assert torch.equal(seen(clear.pictures), clear.seen_pictures)


@pytest.mark.parametrize("colours", ["rgba", pytest.param("grey", marks=pytest.mark.slow)])
def test_a_set_becomes_a_model_by_the_command_line(colours: str, tmp_path: Path) -> None:
    folder = tmp_path / "discs"
    folder.mkdir()
    for index, disc in enumerate(discs()):
        write_png(folder / f"{index}.png", disc)
    few = (
        "--set",
        "schedule.grid_images=2",
        "--set",
        "schedule.evaluation_count=0",
        "--set",
        "recombination.even=false",
    )
    invoke(
        "train",
        folder,
        "--preset",
        "instant",
        "--colours",
        colours,
        "--image-size",
        32,
        "--out",
        tmp_path / "run",
        *few,
    )
    run = RunFolder(tmp_path / "run")
    network = load_network(run.snapshot(0))
    assert network.config.colours == network.provenance["data"]["colours"] == colours
    invoke("sample", run.path, "--seeds", "0-1", "--sources", "--out", tmp_path / "drawn", "--device", "cpu")
    with Image.open(tmp_path / "drawn" / "seed000001.png") as file:
        assert file.mode == {"rgba": "RGBA", "grey": "L"}[colours]
    with Image.open(tmp_path / "drawn" / "seed000001.sources.png") as file:
        assert file.mode == "RGB"
    shutil.rmtree(folder)


@pytest.mark.parametrize("colours", ["rgba", pytest.param("grey", marks=pytest.mark.slow)])
def test_one_picture_becomes_a_model_by_the_command_line(colours: str, tmp_path: Path) -> None:
    write_png(tmp_path / "one.png", discs(1, 40)[0])
    few = ("--set", "schedule.grid_images=1", "--set", "schedule.evaluation_count=0", "--max-size", 32)
    invoke("train", tmp_path / "one.png", "--preset", "instant", "--colours", colours, "--out", tmp_path / "run", *few)
    run = RunFolder(tmp_path / "run")
    network = load_network(run.snapshot(0))
    assert network.config.colours == network.provenance["data"]["colours"] == colours
    drawn = ("--seeds", "0", "--device", "cpu", "--out", tmp_path / "drawn")
    invoke("recombine", run.path, "--from", tmp_path / "one.png", "--strength", 0.2, "--sources", *drawn)
    with Image.open(tmp_path / "drawn" / "seed000000.png") as file:
        assert file.mode == {"rgba": "RGBA", "grey": "L"}[colours]
        # What begins from a file's picture has its clear ground, or white in its place.
        assert file.getpixel((0, 0)) in {"rgba": [(255, 255, 255, 0)], "grey": range(250, 256)}[colours]
    invoke("inject", "retarget", run.path, "--size", "48x32", "--seeds", "0", "--out", tmp_path / "wide")
    with Image.open(tmp_path / "wide" / "seed000000.png") as file:
        assert (file.mode, file.size) == ({"rgba": "RGBA", "grey": "L"}[colours], (48, 32))
