"""Grey pictures and pictures with transparency: their arithmetic, and models of them from files to files."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sase_gan.colours import brought, checkerboard, filed, learnt, read_in, seen, shown
from sase_gan.datasets.images import fitted, load_image_set, open_picture
from sase_gan.drawing.sampling import sample_images
from sase_gan.networks.load import load_generator, load_pyramid
from sase_gan.runs.folder import RunFolder
from sase_gan.training import augment
from sase_gan.training.config import LowShotConfig, OneShotConfig
from sase_gan.training.instant_config import InstantConfig
from tests.processes import invoke

QUIET = ("schedule.baseline_images=0", "schedule.log_images=4", "schedule.checkpoint_images=4")
TAUGHT = ("likelihood.weight=1", "likelihood.pool=4")


def settings(images: int) -> list[str]:
    ends = (f"schedule.total_images={images}", f"schedule.snapshot_images={images}", "schedule.evaluation_count=4")
    return [word for setting in (*QUIET, *TAUGHT, *ends) for word in ("--set", setting)]


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Discs on nothing, each of its own colour and size, half transparent at the rim; what is clear holds green."""
    folder = tmp_path_factory.mktemp("drawings") / "discs"
    folder.mkdir()
    for index in range(6):
        y, x = np.mgrid[:40, :40] - 19.5
        alpha = np.clip(128 * (10 + index - np.hypot(y, x)), 0, 255).astype(np.uint8)
        values = np.zeros((40, 40, 4), np.uint8)
        values[..., 0], values[..., 2], values[..., 3] = 30 * index, 200 - 20 * index, alpha
        values[alpha == 0, 1] = 255
        Image.fromarray(values).save(folder / f"{index}.png")
    return folder


def pixel(*values: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.uint8)[:, None, None]


def test_what_is_seen_is_the_colour_over_the_ground() -> None:
    """Closed forms: an opaque, a clear, and a half transparent pixel."""
    for colours, on_white in (((10, 20, 30, 255), (10, 20, 30)), ((9, 9, 9, 0), (255, 255, 255))):
        assert torch.equal(seen(learnt(pixel(*colours))), pixel(*on_white))
    half = learnt(pixel(0, 100, 255, 128))
    assert half.flatten().tolist() == [127, 177, 255, 128]
    board = checkerboard(16, 16)
    assert board[0, 0, 0] == board[0, 8, 8] == 255
    assert board[0, 0, 8] == board[0, 8, 0] == 205
    wide = half.expand(4, 16, 16)
    assert torch.equal(shown(wide, "white")[:, 0, 8], half[:3, 0, 0])
    # On the darker field: 128 parts of the colour and 127 of 205, of 255.
    assert (shown(wide, "checkerboard")[:, 0, 8].int() - torch.tensor([102, 152, 230])).abs().max() <= 1
    assert torch.equal(shown(wide, "checkerboard")[:, 0, 0], half[:3, 0, 0])


def test_colours_of_files_come_back_to_rounding() -> None:
    source = torch.Generator().manual_seed(0)
    files = torch.randint(256, (5, 4, 6, 7), dtype=torch.uint8, generator=source)
    files[:, 3].clamp_(128)
    assert (filed(learnt(files)).int() - files.int()).abs().max() <= 1
    assert torch.equal(filed(pixel(255, 255, 255, 0)), pixel(255, 255, 255, 0))
    for other in (files[:, :1], files[:, :3]):
        assert torch.equal(filed(other), other)
        assert torch.equal(learnt(other), other)


def test_transparency_is_read_resized_and_padded(drawings: Path) -> None:
    whole = load_image_set(drawings, image_size=40, colours="rgba")
    files = torch.stack([torch.from_numpy(np.array(Image.open(path))) for path in sorted(drawings.iterdir())])
    assert torch.equal(whole.images[:, 3], files[..., 3])
    assert (seen(whole.images)[:, :, 0, 0] == 255).all()  # the green where nothing is seen is gone
    plain = load_image_set(drawings, image_size=32)
    small = load_image_set(drawings, image_size=32, colours="rgba")
    assert torch.equal(seen(small.images), plain.images)
    wide = load_image_set(drawings, image_size=(32, 64), fit="pad", colours="rgba").images
    assert (wide[:, 3, :, :16] == 0).all()
    assert (wide[:, :3, :, :16] == 255).all()
    grey = load_image_set(drawings, image_size=32, colours="grey").images
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    assert (grey.float() - (plain.images * weights).sum(1, keepdim=True)).abs().max() <= 1


def test_changes_of_colour_leave_transparency_alone() -> None:
    x, source = torch.rand(2, 4, 8, 8) * 2 - 1, torch.Generator().manual_seed(0)
    draws = augment.draw(("color",), 2, generator=source)
    assert torch.equal(augment.apply(x, draws)[:, 3], x[:, 3])
    assert torch.equal(augment.apply(x, draws)[:, :3], augment.apply(x[:, :3], draws))


@pytest.mark.parametrize(("colours", "mode"), [("rgba", "RGBA"), pytest.param("grey", "L", marks=pytest.mark.slow)])
def test_a_model_learns_draws_and_is_measured(drawings: Path, tmp_path: Path, colours: str, mode: str) -> None:
    run, options = RunFolder(tmp_path / "run"), ("--threads", 1, "--device", "cpu")
    kind = ("--preset", "smoke/low_shot", "--colours", colours)
    invoke("train", drawings, *kind, "--out", run.path, *options, *settings(8))
    network = load_generator(run.snapshot(8))
    assert network.config.colours == colours
    assert network.provenance["data"]["colours"] == colours
    assert run.records()[-1]["fakes"]["image_size"] == [32, 32]
    invoke("sample", run.path, "--seeds", "0-1", "--out", tmp_path / "drawn", "--device", "cpu")
    with Image.open(tmp_path / "drawn" / "seed000001.png") as file:
        assert file.mode == mode
        found = torch.from_numpy(np.atleast_3d(np.array(file))).permute(2, 0, 1)
    assert torch.equal(found, sample_images(network, [1], ground="file")[0])
    on_white, on_board = (sample_images(network, [1], ground=ground) for ground in ("white", "checkerboard"))
    assert on_white.shape == on_board.shape == (1, 3, 32, 32)
    assert torch.equal(on_white, on_board) == (colours == "grey")
    with Image.open(tmp_path / "drawn" / "grid.png") as sheet:
        assert sheet.mode == "RGB"
    words = ("--real", drawings, "--count", 4, "--out", tmp_path / "report", "--no-cache", "--device", "cpu")
    invoke("evaluate", run.path, *words)
    record = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert record["data"]["image_size"] == [32, 32]


def test_what_cannot_be_is_refused_in_a_sentence(drawings: Path) -> None:
    with pytest.raises(ValueError, match=r"pictures are recombined in rgb only: set recombinations.count=0"):
        LowShotConfig(colours="grey", recombinations={"count": 3})
    with pytest.raises(ValueError, match="leave the background out"):
        LowShotConfig(colours="rgba", data={"background": "black"})
    with pytest.raises(ValueError, match=r"generator.colours is grey, colours rgb; set colours only"):
        LowShotConfig(generator={"colours": "grey"})
    with pytest.raises(ValueError, match="leave the background out"):
        InstantConfig(colours="rgba", data={"background": "black"})
    with pytest.raises(ValueError, match="leave the background out"):
        OneShotConfig(generator={"colours": "rgba"}, data={"background": "black"})


def test_pictures_of_any_colours_come_to_a_model_as_files_do(drawings: Path) -> None:
    source = torch.Generator().manual_seed(0)
    rgb = torch.randint(256, (3, 40, 50), dtype=torch.uint8, generator=source)
    assert torch.equal(to_pillow_grey(rgb), brought(rgb, "grey"))
    assert torch.equal(brought(brought(rgb, "grey"), "rgb"), brought(rgb, "grey").expand(3, -1, -1))
    assert torch.equal(brought(brought(rgb, "rgb"), "rgba")[3], torch.full((40, 50), 255, dtype=torch.uint8))
    assert torch.equal(brought(brought(rgb, "rgba"), "rgb"), rgb)
    one = sorted(drawings.iterdir())[0]
    for colours in ("rgb", "grey", "rgba"):
        found = load_image_set(one, image_size=None, colours=colours).images[0]
        assert (read_in(one, colours).int() - found.int()).abs().max() <= 1


def to_pillow_grey(rgb: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.array(Image.fromarray(rgb.permute(1, 2, 0).numpy()).convert("L")))[None]


@pytest.mark.parametrize("colours", ["rgba", pytest.param("grey", marks=pytest.mark.slow)])
def test_a_pyramid_of_one_picture_learns_draws_and_is_measured(drawings: Path, tmp_path: Path, colours: str) -> None:
    run, options = RunFolder(tmp_path / "run"), ("--threads", 1, "--device", "cpu")
    one = sorted(drawings.iterdir())[0]
    few = ("--set", "schedule.iterations=2", "--set", "schedule.evaluation_count=2")
    invoke("train", one, "--preset", "smoke/one_shot", "--colours", colours, "--out", run.path, *few, *options)
    network = load_pyramid(run.chosen_snapshot())
    assert network.config.colours == network.provenance["data"]["colours"] == colours
    height, width = network.size
    assert torch.equal(network.picture, fitted(open_picture(one, colours=colours), (height, width)).images[0])
    assert run.records()[-1]["fakes"]["image_size"] == [height, width]
    invoke("sample", run.path, "--seeds", "0-1", "--size", "40x30", "--out", tmp_path / "drawn", "--device", "cpu")
    invoke("inject", "edit", run.path, "--move", "4,4,8,8:6,0", "--out", tmp_path / "edited", "--device", "cpu")
    for file in (tmp_path / "drawn" / "seed000001.png", tmp_path / "edited" / "seed000000.png"):
        with Image.open(file) as image:
            assert image.mode == {"rgba": "RGBA", "grey": "L"}[colours]
    with Image.open(tmp_path / "edited" / "grid.png") as sheet:
        assert sheet.mode == "RGB"
