"""Nothing of a set is lost or spoilt without a word: right values for each kind of loss."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sase_gan import formats
from sase_gan.api.images import Images
from sase_gan.datasets import duplicates, listing
from sase_gan.datasets.depth import white_of
from sase_gan.datasets.duplicates import find_duplicates
from sase_gan.datasets.images import load_image_set, survey, write_image_set
from sase_gan.datasets.notes import losses_in_words
from sase_gan.datasets.own_output import drawn_in, output_folder_at
from sase_gan.datasets.sources import open_images
from sase_gan.drawing.recipes import Recipe
from sase_gan.errors import DataError, UsageError
from sase_gan.pixels import parse_colour, read_image, write_png
from sase_gan.runs.folder import RunFolder
from sase_gan.sheets import write_sheet
from tests.zoo import picture, png_16_bit_colour


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "set").mkdir()
    for index in range(3):
        picture(index).save(tmp_path / "set" / f"{index}.png")
    return tmp_path / "set"


def images_of(snapshot: str, count: int = 4) -> Images:
    pixels = torch.randint(0, 256, (count, 3, 8, 8), dtype=torch.uint8)
    return Images(pixels, tuple(map(Recipe, range(count))), {"snapshot": snapshot * 64}, "000001kimg")


# --- our own output


def test_runs_and_samples_are_never_read_as_pictures_to_learn_from(folder: Path) -> None:
    run = RunFolder(folder / "runs" / "set-001")
    run.create()
    run.config.write_text("task: low_shot\n")
    write_sheet(run.grid(0), torch.zeros(4, 3, 8, 8, dtype=torch.uint8))
    images_of("a").save(folder / "samples")
    write_sheet(folder / "preview.png", torch.zeros(4, 3, 8, 8, dtype=torch.uint8))
    source = open_images(folder)
    assert source.names == ("0.png", "1.png", "2.png")
    assert {kind.why: len(kind.names) for kind in source.left_out} == {
        "written by sase-gan (run)": 1,
        listing.DRAWN: 4,
        listing.SHEETS: 2,
    }
    # The digest is that of the pictures alone, so a run goes on although its folder lies among them.
    expected = torch.stack([read_image(folder / f"{index}.png") for index in range(3)])
    assert torch.equal(load_image_set(folder, image_size=None).images, expected)
    with pytest.raises(DataError, match=r"was written by sase-gan \(run\) and is no set of pictures"):
        open_images(run.path)
    with pytest.raises(DataError, match=r"holds no picture, only other files \(4 drawn by sase-gan"):
        open_images(folder / "samples")


def test_who_measures_samples_reads_them_without_their_sheet_and_knows_their_snapshots(tmp_path: Path) -> None:
    images_of("a").save(tmp_path / "samples")
    images_of("b", 2).save(tmp_path / "samples")  # replaces the first two
    source = open_images(tmp_path / "samples", drawn=True)
    assert source.names == tuple(f"seed{index:06d}.png" for index in range(4))
    assert source.snapshots == {"a" * 64: 2, "b" * 64: 2} == drawn_in(tmp_path / "samples")
    with zipfile.ZipFile(tmp_path / "samples.zip", "w") as archive:
        for file in (tmp_path / "samples").iterdir():
            archive.write(file, file.name)
    assert open_images(tmp_path / "samples.zip", drawn=True).names == source.names


def test_folders_of_others_are_no_output_of_ours(folder: Path) -> None:
    (folder / "config.yaml").write_text("")
    (folder / "metrics.json").write_text("")
    (folder / "runs").mkdir()
    assert output_folder_at(folder) is None
    # Others write a seed into their pictures too.
    info = PngInfo()
    info.add_text("seed", "7")
    picture(9).save(folder / "theirs.png", pnginfo=info)
    assert "theirs.png" in open_images(folder).names


def test_a_single_file_is_taken_as_what_it_is(tmp_path: Path) -> None:
    images_of("a").save(tmp_path)
    assert len(open_images(tmp_path / "seed000001.png")) == 1


# --- what is read, cut, left out


def test_lines_count_each_kind(folder: Path) -> None:
    frames = [picture(5), picture(6)]
    picture(4).save(folder / "moving.gif", save_all=True, append_images=frames)
    picture(4).rotate(90).save(folder / "pages.tif", save_all=True, append_images=[picture(5)])
    for name in ("a.psd", "b.psd", "c.txt", "d.heic"):
        (folder / name).write_bytes(b"x")
    found = load_image_set(folder, image_size=24)
    assert len(found) == 5
    assert losses_in_words(found.notes, 5) == [
        "left out, no picture by the suffix: 3 files (a.psd, b.psd, c.txt)",
        "left out, HEIC, which pip install pillow-heif reads: 1 file (d.heic)",
        "cut: 2 files with several frames or pages, of which the first is read",
    ]
    assert torch.equal(found.images[found.names.index("pages.tif")], read_image(folder / "pages.tif"))


def test_heic_is_offered_to_its_package_where_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for function in (formats.decoders, formats.suffixes):
        function.cache_clear()
    monkeypatch.setattr(formats, "heic_is_read", lambda: True)
    try:
        assert "HEIF" in formats.decoders()
        assert {".heic", ".heif"} <= formats.suffixes()
        assert not formats.needs_package(".heic")
    finally:
        for function in (formats.decoders, formats.suffixes):
            function.cache_clear()


def test_a_folder_that_cannot_be_looked_into_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Permissions do not bind the superuser, who may run the tests: the system's answer is given by hand.
    closed = folder / "closed"
    closed.mkdir()
    scan = os.scandir

    def scandir(path: str) -> object:
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = survey(folder, image_size=24)
    assert found.images is not None
    assert len(found.images) == 3
    (sentence,) = found.broken
    assert sentence.startswith("set: closed cannot be looked into (Permission denied)")
    with pytest.raises(DataError, match="closed cannot be looked into"):
        load_image_set(folder, image_size=24)


# --- what is spoilt


@pytest.mark.parametrize(("highest", "white"), [(0, 255), (255, 255), (256, 511), (4095, 4095), (32_768, 65_535)])
def test_the_range_has_the_fewest_bits_that_hold_the_brightest_value(highest: int, white: int) -> None:
    assert white_of(highest) == white


def test_the_range_of_16_bit_files_is_found_over_the_set(tmp_path: Path) -> None:
    dark, bright = (np.full((8, 8), value, np.uint16) for value in (1000, 4000))
    dark[0, 0] = 0
    Image.fromarray(dark).save(tmp_path / "dark.png")
    Image.fromarray(bright).save(tmp_path / "bright.tif")
    (tmp_path / "colour.png").write_bytes(png_16_bit_colour(np.stack([dark, 2 * dark, dark], -1)))
    found = load_image_set(tmp_path, image_size=None)
    values = {name: image[:, 4, 4].tolist() for name, image in zip(found.names, found.images, strict=True)}
    # 4095 is white: round(1000 * 255 / 4095) = 62, 2000 is 125 and 4000 is 249.
    assert values == {"dark.png": [62] * 3, "bright.tif": [249] * 3, "colour.png": [62, 125, 62]}
    told = losses_in_words(found.notes, 3)
    assert told[0] == "scaled: 3 pictures of 16 bits that use 12 of them: 4095 is white"
    assert found.notes.flat == ("bright.tif",)
    # One picture that needs all bits makes 65535 white for all.
    Image.fromarray(np.full((8, 8), 65_535, np.uint16)).save(tmp_path / "full.png")
    full = load_image_set(tmp_path, image_size=None)
    assert full.images[full.names.index("bright.tif")][:, 4, 4].tolist() == [16] * 3
    assert not any(line.startswith("scaled") for line in losses_in_words(full.notes, 4))


def test_a_drawing_in_the_background_s_colour_is_told_and_another_background_shows_it(tmp_path: Path) -> None:
    drawing = Image.new("RGBA", (16, 16), (255, 255, 255, 0))
    drawing.paste((255, 255, 255, 255), (4, 4, 12, 12))
    drawing.save(tmp_path / "line.png")
    picture(1, 16).save(tmp_path / "other.png")
    lost = load_image_set(tmp_path, image_size=16)
    assert lost.notes.hidden == ("line.png",)
    assert any(line.startswith("lost: 1 picture with a drawing") for line in losses_in_words(lost.notes, 2))
    shown = load_image_set(tmp_path, image_size=16, background=parse_colour("black"))
    assert shown.notes.hidden == shown.notes.flat == ()
    expected = torch.zeros(16, 16, dtype=torch.uint8)
    expected[4:12, 4:12] = 255
    assert torch.equal(shown.images[0], expected.expand(3, -1, -1))
    with pytest.raises(UsageError, match="the colour is 'blackish'"):
        parse_colour("blackish")


def test_padding_has_the_background_s_colour(tmp_path: Path) -> None:
    Image.new("RGB", (16, 8), (9, 9, 9)).save(tmp_path / "wide.png")
    image = load_image_set(tmp_path, image_size=16, fit="pad", background=(255, 0, 0)).images[0]
    assert image[:, 0, 0].tolist() == [255, 0, 0]


# --- names


def test_zips_that_we_write_can_be_read_whatever_the_names(folder: Path, tmp_path: Path) -> None:
    (folder / "0.png").rename(folder / "a:b.png")
    os.rename(os.fsencode(folder / "1.png"), os.fsencode(folder) + b"/caf\xe9.png")
    found = load_image_set(folder, image_size=None)
    assert found.names == ("2.png", "a:b.png", "caf\N{REPLACEMENT CHARACTER}.png")
    write_image_set(found.images, found.names, tmp_path / "set.zip")
    again = load_image_set(tmp_path / "set.zip", image_size=None)
    assert again.digest == found.digest
    assert again.names == ("2.png", "a_b.png", "caf\N{REPLACEMENT CHARACTER}.png")


def test_a_picture_in_a_zip_with_a_dot_for_a_name_is_passed_over(tmp_path: Path) -> None:
    content = io.BytesIO()
    picture(1).save(content, format="PNG")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(".", b"x")
        archive.writestr("a.png", content.getvalue())
    assert open_images(tmp_path / "x.zip").names == ("a.png",)


# --- growth


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many candidates each call of the comparison looks at."""
    found: list[int] = []
    near = duplicates._near

    def counted(thumbnails, cells, mirrored, candidates, threshold):
        found.append(len(candidates))
        return near(thumbnails, cells, mirrored, candidates, threshold)

    monkeypatch.setattr(duplicates, "_near", counted)
    return found


def test_a_film_s_pictures_are_not_compared_each_with_each(looked_at: list[int]) -> None:
    """All near each other: nearly all would be candidates of all, 4 million pairs; few are looked at."""
    count = 2000
    thumbnails = torch.rand(1, 256) * 200 + torch.rand(count, 256) * 10
    names = [str(index) for index in range(count)]
    found = find_duplicates(names, thumbnails, names)
    assert len(found) == count - 1
    assert sum(looked_at) < 20 * count


def test_different_pictures_are_hardly_compared(looked_at: list[int]) -> None:
    count = 2000
    coarse = torch.nn.functional.interpolate(torch.rand(count, 1, 4, 4) * 255, (16, 16), mode="bilinear")
    thumbnails = coarse.flatten(1)
    thumbnails[1500] = thumbnails[3] + 15
    names = [str(index) for index in range(count)]
    found = find_duplicates(names, thumbnails, names)
    assert [(pair.first, pair.second) for pair in found] == [("3", "1500")]
    assert sum(looked_at) < count


def test_written_pictures_are_no_sheets_and_sheets_are(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", torch.zeros(3, 4, 4, dtype=torch.uint8))
    write_sheet(tmp_path / "b.png", torch.zeros(2, 3, 4, 4, dtype=torch.uint8))
    assert open_images(tmp_path).names == ("a.png",)
