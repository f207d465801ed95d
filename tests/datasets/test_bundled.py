import hashlib
import re

import numpy as np
import pytest

from sase_gan.datasets import bundled
from sase_gan.datasets.bundled import bundled_data
from sase_gan.datasets.images import load_image_set
from sase_gan.errors import DataError, UsageError


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


def test_single_pictures_are_what_the_readme_says(checksums):
    files = sorted(bundled_data("single").glob("*.png"))
    assert [file.name for file in files] == ["coffee.png", "hubble_deep_field.png", "rocket.png"]
    for file in files:
        assert hashlib.sha256(file.read_bytes()).hexdigest() == checksums[f"single/{file.name}"]
        assert max(load_image_set(file, image_size=None).images.shape[2:]) == 256


def test_bundled_sets_are_small_and_carry_their_licence():
    for name in ("emoji-faces", "single"):
        folder = bundled_data(name)
        assert sum(file.stat().st_size for file in folder.iterdir()) < 1_500_000
        assert (folder / "LICENSE.txt").read_text().strip()


def test_an_unknown_set_is_answered_with_the_known_ones():
    with pytest.raises(DataError, match="no bundled set 'cats'; the bundled sets are emoji-faces, single"):
        bundled_data("cats")
    with pytest.raises(UsageError, match="a plain name"):
        bundled_data("../tests")


def test_outside_a_checkout_the_error_says_where_the_sets_come_from(tmp_path, monkeypatch):
    monkeypatch.setattr(bundled, "_CHECKOUT", tmp_path)
    (tmp_path / "data" / "emoji-faces").mkdir(parents=True)
    with pytest.raises(DataError, match="comes with the repository, not with the installed package"):
        bundled_data("emoji-faces")
