import hashlib
import os
import re
import unicodedata
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from sase_gan.datasets import sources
from sase_gan.datasets.images import load_image_set
from sase_gan.datasets.sources import bundled_data, open_images
from sase_gan.errors import DataError, UsageError


def write_picture(path, grey=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), (grey, grey, grey)).save(path)


@pytest.fixture
def folder(tmp_path):
    for position, name in enumerate(["b/2.png", "b/10.JPG", "a.PNG", "B.webp", "c/d/e.bmp", "f.tif", "g.Gif"]):
        write_picture(tmp_path / "set" / name, position * 20)
    for name in ("notes.txt", ".hidden.png", "__MACOSX/a.png", "b/.cache/x.png", "labels.csv"):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_text("no picture")
    return tmp_path / "set"


@pytest.fixture
def archive(folder):
    path = folder.parent / "set.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as writer:
        for file in sorted(folder.rglob("*"), reverse=True):
            writer.write(file, file.relative_to(folder))
    return path


SORTED = ("B.webp", "a.PNG", "b/10.JPG", "b/2.png", "c/d/e.bmp", "f.tif", "g.Gif")


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_pictures_are_listed_by_suffix_in_code_point_order(kind, request):
    source = open_images(request.getfixturevalue(kind))
    assert source.names == SORTED
    assert len(source) == 7
    assert source.ignored == ("labels.csv", "notes.txt")


def test_folder_and_zip_give_the_same_pixels(folder, archive):
    loose, packed = open_images(folder), open_images(archive)
    for index in range(7):
        assert torch.equal(loose.read(index), packed.read(index))
    assert packed.read(1)[0, 0, 0] == 40


def test_names_that_differ_in_the_form_of_their_accents_only_sort_alike(tmp_path):
    for form in ("NFC", "NFD"):
        for name in ("e.png", "é.png", "f.png", "z.png"):
            write_picture(tmp_path / form / unicodedata.normalize(form, name))
    composed, decomposed = open_images(tmp_path / "NFC").names, open_images(tmp_path / "NFD").names
    assert composed == tuple(unicodedata.normalize("NFC", name) for name in decomposed)


def test_links_are_followed_once(folder, tmp_path):
    outside = tmp_path / "outside"
    write_picture(outside / "x.png")
    os.symlink(outside, folder / "linked")
    os.symlink(folder, folder / "c" / "loop")
    assert open_images(folder).names == (*SORTED, "linked/x.png")


def test_a_single_picture_is_a_set_of_one(folder):
    source = open_images(folder / "a.PNG")
    assert source.names == ("a.PNG",)
    assert source.read(0)[0, 0, 0] == 40


def test_what_is_not_there_or_no_set_is_named(tmp_path):
    with pytest.raises(DataError, match="missing does not exist"):
        open_images(tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty holds no picture;"):
        open_images(tmp_path / "empty")
    (tmp_path / "empty" / "photo.heic").write_text("")
    with pytest.raises(DataError, match=r"only other files \(1 HEIC, which pip install .* reads, such as photo\.heic"):
        open_images(tmp_path / "empty")
    with pytest.raises(DataError, match=r"is no folder, \.zip or picture"):
        open_images(tmp_path / "empty" / "photo.heic")
    (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04 no zip")
    with pytest.raises(DataError, match=r"bad\.zip is not a readable zip"):
        open_images(tmp_path / "bad.zip")


@pytest.mark.parametrize("name", ["../evil.png", "/etc/evil.png", "a/../../evil.png", "..\\evil.png", "C:\\evil.png"])
def test_zip_members_outside_the_zip_are_refused(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as writer:
        writer.writestr(name, b"")
    with pytest.raises(DataError, match="names must be relative"):
        open_images(tmp_path / "x.zip")


def test_zip_bombs_are_refused_by_their_header_and_while_reading(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as writer:
        writer.writestr("bomb.png", bytes(100_000))
    monkeypatch.setattr(sources, "MAX_MEMBER_BYTES", 99_999)
    with pytest.raises(DataError, match=r"bomb\.png unpacks to more than"):
        open_images(tmp_path / "x.zip")
    monkeypatch.setattr(sources, "MAX_MEMBER_BYTES", 100_000)
    source = open_images(tmp_path / "x.zip")
    monkeypatch.setattr(sources, "MAX_MEMBER_BYTES", 99_999)
    with pytest.raises(DataError, match=r"bomb\.png unpacks to more than"):
        source.read(0)


def test_a_damaged_or_encrypted_zip_member_is_named(archive):
    content = bytearray(archive.read_bytes())
    source = open_images(archive)
    # The first member's data: reverse order, so g.Gif.
    start = content.index(b"g.Gif") + len("g.Gif")
    content[start + 3 : start + 8] = b"\xff" * 5
    archive.write_bytes(content)
    with pytest.raises(DataError, match=r"set\.zip: g\.Gif cannot be read"):
        open_images(archive).read(source.names.index("g.Gif"))
    for flags in (b"PK\x01\x02", b"PK\x03\x04"):
        position = content.index(flags)
        while position >= 0:
            content[position + (8 if flags == b"PK\x01\x02" else 6)] |= 1
            position = content.find(flags, position + 1)
    archive.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.PNG cannot be read .*encrypted"):
        open_images(archive).read(source.names.index("a.PNG"))


def test_a_broken_picture_and_a_vanished_file_are_named(folder):
    source = open_images(folder)
    (folder / "a.PNG").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(DataError, match=r"set: a\.PNG cannot be read"):
        source.read(1)
    (folder / "B.webp").unlink()
    with pytest.raises(DataError, match=r"set: B\.webp cannot be read"):
        source.read(0)


@pytest.fixture
def checksums(repository):
    """Set or file: SHA-256, from the table of data/README.md."""
    table = re.findall(
        r"^\| (\S+) \| `([0-9a-f]{64})` \|$", (repository / "data" / "README.md").read_text(), re.MULTILINE
    )
    return dict(table)


def test_emoji_faces_are_what_the_readme_says(checksums):
    faces = load_image_set(bundled_data("emoji-faces"), image_size=None)
    assert faces.images.shape == (96, 3, 128, 128)
    assert faces.digest == checksums["emoji-faces"]
    assert faces.notes.ignored == ("LICENSE.txt",)


def test_every_face_is_a_yellow_disc_in_the_middle_on_white():
    faces = load_image_set(bundled_data("emoji-faces"), image_size=None).images.numpy().astype(int)
    corners = faces[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners == 255).all()
    red, green, blue = faces[:, 0], faces[:, 1], faces[:, 2]
    yellow = (red > 220) & (green > 140) & (blue < 120)
    # A disc of 117 x 112 pixels covers 63 % of the picture; hats, hands and open mouths cover part of it.
    assert (yellow.mean((1, 2)) > 0.15).all()
    assert np.median(yellow.mean((1, 2))) > 0.5
    columns = np.arange(128) - 63.5
    centre = (yellow.mean(1) * columns).sum(1) / yellow.mean(1).sum(1)
    assert np.abs(centre).max() < 12
    assert np.median(np.abs(centre)) < 1


def test_fruits_and_flowers_are_what_the_readme_says_one_thing_in_the_middle_on_white(checksums):
    things = load_image_set(bundled_data("fruits-and-flowers"), image_size=None)
    assert things.images.shape == (70, 3, 128, 128)
    assert things.digest == checksums["fruits-and-flowers"]
    assert things.notes.ignored == ("LICENSE.txt",)
    dark = (things.images < 250).any(1)
    assert not dark[:, :, [0, -1]].any()
    assert not dark[:, [0, -1]].any()
    for drawn in dark:
        rows, columns = drawn.nonzero(as_tuple=True)
        sides = rows.max() - rows.min() + 1, columns.max() - columns.min() + 1
        assert 112 <= max(sides) <= 118
        assert abs(rows.max() + rows.min() - 127) <= 6
        assert abs(columns.max() + columns.min() - 127) <= 6


def test_single_pictures_are_what_the_readme_says(checksums):
    files = sorted(bundled_data("single").glob("*.png"))
    assert [file.name for file in files] == ["coffee.png", "hubble_deep_field.png", "rocket.png"]
    for file in files:
        assert hashlib.sha256(file.read_bytes()).hexdigest() == checksums[f"single/{file.name}"]
        assert max(load_image_set(file, image_size=None).images.shape[2:]) == 256


def test_bundled_sets_are_small_and_carry_their_licence():
    for name in ("emoji-faces", "fruits-and-flowers", "single"):
        folder = bundled_data(name)
        assert sum(file.stat().st_size for file in folder.iterdir()) < 1_500_000
        assert (folder / "LICENSE.txt").read_text().strip()


def test_an_unknown_set_is_answered_with_the_known_ones():
    known = "emoji-faces, fruits-and-flowers, single"
    with pytest.raises(DataError, match=f"no bundled set 'cats'; the bundled sets are {known}"):
        bundled_data("cats")
    with pytest.raises(UsageError, match="a plain name"):
        bundled_data("../tests")


def test_outside_a_checkout_the_sets_are_those_of_the_package(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "_CHECKOUT", tmp_path)
    monkeypatch.setattr(sources, "_PACKAGED", tmp_path / "bundled")
    (tmp_path / "data" / "emoji-faces").mkdir(parents=True)  # of somebody else: no project lies around it
    with pytest.raises(DataError, match="comes with the repository or the installed package, and neither is whole"):
        bundled_data("emoji-faces")
    assert sources.bundled_sets() == []
    for name in ("faces", "snapshots"):
        (tmp_path / "bundled" / name).mkdir(parents=True)
    (tmp_path / "bundled" / "faces" / "a.png").touch()
    assert bundled_data("faces") == tmp_path / "bundled" / "faces"
    assert bundled_data("snapshots").is_dir()
    assert sources.bundled_sets() == [tmp_path / "bundled" / "faces"]
    with pytest.raises(DataError, match="no bundled set 'fruits'; the bundled sets are faces"):
        bundled_data("fruits")


def test_a_broken_picture_in_the_working_folder_is_called_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.png").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"^x\.png cannot be read"):
        open_images("x.png").decode(0)
