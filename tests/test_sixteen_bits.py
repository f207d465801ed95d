"""Grey pictures of 16 bits, from a file to what a network sees and back: by a ramp of all 65,536 values."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

import sase_gan
from sase_gan.cli import app
from sase_gan.datasets.images import load_image_set, open_picture
from sase_gan.datasets.low_shot import EndlessBatches
from sase_gan.datasets.notes import losses_in_words
from sase_gan.datasets.sources import open_images
from sase_gan.errors import UsageError
from sase_gan.networks.generator import GeneratorConfig
from sase_gan.pixels import read_png_text, to_float, write_png
from sase_gan.runs.run import RunFolder
from sase_gan.sixteen_bits import kept, narrowed, to_sixteen, widened
from tests.awake import awake

RAMP = torch.arange(65536, dtype=torch.int32).view(1, 256, 256)


def values_of(path: Path) -> Tensor:
    """The values of a file of 16 bits, by Pillow alone."""
    with Image.open(path) as image:
        assert image.mode == "I;16"
        return torch.from_numpy(np.asarray(image).astype(np.int32))


def as_file(path: Path, values: np.ndarray) -> Path:
    Image.fromarray(values.astype(np.uint16)).save(path)
    return path


def test_all_values_survive_the_way_to_float_and_back(tmp_path):
    inside = (RAMP - 2**15).to(torch.int16)
    seen = to_float(inside)
    assert seen.dtype == torch.float32
    assert torch.equal(seen.double(), (RAMP.double() / 32767.5 - 1).float().double()) or (
        (seen.double() - (RAMP.double() / 32767.5 - 1)).abs().max() < 1e-7
    )
    assert torch.equal(to_sixteen(seen), inside)
    write_png(tmp_path / "ramp.png", inside)
    assert torch.equal(values_of(tmp_path / "ramp.png"), RAMP[0])
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(narrowed(widened(levels)), levels)
    # Each to the nearest of 256: no more than half a step away.
    assert ((narrowed(inside).int() * 257 - RAMP).abs() <= 128).all()
    assert to_sixteen(torch.tensor([-9.0, 9.0])).tolist() == [-(2**15), 2**15 - 1]


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_file_keeps_all_its_values_in_grey_and_8_bits_of_them_else(tmp_path, suffix):
    as_file(tmp_path / f"ramp{suffix}", RAMP[0].numpy())
    found = load_image_set(tmp_path, image_size=256, colours="grey")
    assert torch.equal(found.fine[0].int() + 2**15, RAMP)
    assert found.images.dtype == torch.uint8
    assert (found.images[0].int() - narrowed(found.fine[0]).int()).abs().max() <= 1
    batch = next(iter(EndlessBatches(found.learnt, batch_size=2, seed=0, mirror=False)))
    assert torch.equal(to_sixteen(to_float(batch)).int() + 2**15, RAMP.expand(2, -1, -1, -1))
    assert "16 bits: all of them are learnt of 1 picture, and figures and previews show 8" in said(found)
    coloured = load_image_set(tmp_path, image_size=256)
    assert coloured.fine is None
    assert "16 bits: 8 of them are kept of 1 picture; of a set, --colours grey learns all, in grey" in said(coloured)


def said(found: object) -> list[str]:
    return losses_in_words(found.notes, len(found))


def test_pictures_of_8_and_of_16_bits_meet_in_one_set(tmp_path):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8)).save(tmp_path / "a.png")
    deep = rng.integers(0, 65536, (16, 16))
    deep[0, 0] = 65535
    as_file(tmp_path / "b.png", deep)
    Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8)).save(tmp_path / "c.png")
    found = load_image_set(tmp_path, image_size=16, colours="grey")
    assert torch.equal(found.fine[0], widened(found.images[0]))
    assert torch.equal(found.fine[1, 0].int() + 2**15, torch.from_numpy(deep.astype(np.int32)))
    assert torch.equal(found.fine[2], widened(found.images[2]))
    part = found.subset([2, 1])
    assert torch.equal(part.fine, found.fine[[2, 1]])
    assert load_image_set(tmp_path / "a.png", image_size=16, colours="grey").fine is None


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
def test_resized_pictures_are_those_of_8_bits_up_to_their_rounding(tmp_path, fit):
    y, x = np.mgrid[:40, :60]
    as_file(tmp_path / "wave.png", 32768 + 30000 * np.sin(x / 5) * np.cos(y / 7) + (x == 0) * 2767)
    found = load_image_set(tmp_path, image_size=16, fit=fit, colours="grey")
    assert (narrowed(found.fine).int() - found.images.int()).abs().max() <= 2
    assert found.fine.unique().numel() > found.images.unique().numel()


def test_of_colours_the_grey_is_kept_with_16_bits(tmp_path):
    import av

    colour = np.random.default_rng(1).integers(0, 65536, (8, 8, 3)).astype(np.uint16)
    colour[0, 0] = 65535
    frame = av.VideoFrame.from_ndarray(colour, format="rgb48le").reformat(format="rgb48be")
    with av.open(str(tmp_path / "a.png"), "w", format="image2", options={"update": "1"}) as file:
        stream = file.add_stream("png")
        stream.width, stream.height, stream.pix_fmt = 8, 8, "rgb48be"
        file.mux(stream.encode(frame))
        file.mux(stream.encode())
    found = load_image_set(tmp_path, image_size=8, colours="grey")
    expected = colour.astype(np.float64) @ [0.299, 0.587, 0.114]
    assert (found.fine[0, 0].double() + 2**15 - torch.from_numpy(expected)).abs().max() <= 0.51
    assert (found.images[0].int() - narrowed(found.fine[0]).int()).abs().max() <= 1


def test_what_a_narrow_range_becomes_is_said(tmp_path):
    values = np.tile(np.linspace(40_000, 41_000, 16), (16, 1))
    as_file(tmp_path / "a.png", values)
    found = load_image_set(tmp_path, image_size=16, colours="grey")
    told = next(line for line in said(found) if line.startswith("narrow"))
    assert "values 40000 to 41000 of 0 to 65535 alone, 5 of the 256 greys of 8 bits" in told
    assert found.images.unique().numel() == 5
    assert found.fine.unique().numel() == 16
    wide = np.tile(np.linspace(0, 41_000, 16), (16, 1))
    as_file(tmp_path / "a.png", wide)
    assert not any(line.startswith("narrow") for line in said(load_image_set(tmp_path, image_size=16)))


def test_a_camera_of_12_bits_uses_the_whole_range(tmp_path):
    as_file(tmp_path / "a.png", np.arange(4096).reshape(64, 64))
    found = load_image_set(tmp_path, image_size=64, colours="grey")
    expected = torch.arange(4096).double() * 65535 / 4095
    assert (found.fine[0].flatten().double() + 2**15 - expected).abs().max() <= 0.51


def test_samples_of_16_bits_are_those_of_the_network_and_are_read_as_such(tmp_path):
    network = awake(GeneratorConfig(image_size=32, width=4, latent_size=8, spectral_norm=False, colours="grey"))
    images = sase_gan.sample(network, range(3), bits=16, progress=False)
    plain = sase_gan.sample(network, range(3), progress=False)
    assert (images.pixels.int() - plain.pixels.int()).abs().max() <= 1
    assert torch.equal(images[1].fine, images.fine[1:2])
    dark = replace(images, fine=(images.fine.int() // 4 - 20_000).to(torch.int16))
    dark.save(tmp_path)
    assert torch.equal(values_of(tmp_path / "seed000001.png"), dark.fine[1, 0].int() + 2**15)
    assert read_png_text(tmp_path / "seed000001.png")["white"] == "65535"
    (tmp_path / "grid.png").unlink()
    # A dark set of a camera would be made brighter; these files say themselves what is white.
    again = load_image_set(open_images(tmp_path, drawn=True), image_size=32, colours="grey")
    assert torch.equal(again.fine, dark.fine)
    coloured = awake(GeneratorConfig(image_size=32, width=4, latent_size=8, spectral_norm=False))
    with pytest.raises(UsageError, match="only networks draw that learned a set with --colours grey"):
        sase_gan.sample(coloured, [0], bits=16, progress=False)
    with pytest.raises(UsageError, match="bits is 12; it must be 8 or 16"):
        sase_gan.sample(network, [0], bits=12, progress=False)


def test_resizing_that_throws_beyond_the_ends_is_clamped():
    image = Image.fromarray(np.array([[-3.0, 65_600.0, 0.5, 1.5]], dtype=np.float32))
    assert (kept(image).int() + 2**15).tolist() == [[[0, 65535, 0, 2]]]


@pytest.mark.slow
def test_scans_of_16_bits_are_trained_on_drawn_and_measured(tmp_path):
    pictures = tmp_path / "scans"
    pictures.mkdir()
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:40, :40]
    for index in range(8):
        wave = np.sin((x + rng.integers(9)) / 3) * np.cos((y + rng.integers(9)) / 4)
        as_file(pictures / f"{index}.tif", 32768 + 32000 * wave + rng.integers(0, 500, (40, 40)))
    run = tmp_path / "run"
    command = [
        "train",
        str(pictures),
        "--preset",
        "smoke/low_shot",
        "--colours",
        "grey",
        "--out",
        str(run),
        "--device",
        "cpu",
    ]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "16 bits: all of them are learnt of 8 pictures" in result.output
    assert RunFolder(run).path.is_dir()
    command = ["sample", str(run), "--seeds", "0-3", "--bits", "16", "--out", str(tmp_path / "s")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    drawn = torch.stack([values_of(tmp_path / "s" / f"seed{seed:06d}.png") for seed in range(4)])
    assert drawn.unique().numel() > 256
    assert (drawn % 257 != 0).any()
    command = ["evaluate", str(tmp_path / "s"), "--real", str(pictures), "--metrics", "diversity", "--out"]
    result = CliRunner().invoke(app, [*command, str(tmp_path / "e"), "--image-size", "32"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "e" / "metrics.json").is_file()


def test_of_one_picture_alone_eight_bits_are_kept_which_is_said(tmp_path: Path) -> None:
    picture = open_picture(as_file(tmp_path / "ramp.png", RAMP[0].numpy()), colours="grey")
    assert picture.fine is None
    assert "16 bits: 8 of them are kept of 1 picture; of a set, --colours grey learns all, in grey" in said(picture)
