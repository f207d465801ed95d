"""What `data prepare` chooses: frames of a film, the interesting square, one of each duplicate, equal sub-folders."""

import zipfile
from collections import Counter
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from sase_gan import cli
from sase_gan.api.prepare import Preparation, prepare_set
from sase_gan.datasets.choosing import interesting_square
from sase_gan.datasets.videos import is_video, take_frames
from sase_gan.errors import DataError, UsageError


def scene(shade: int) -> np.ndarray:
    rng = np.random.default_rng(shade)
    return np.kron(rng.integers(0, 256, (4, 6, 3), dtype=np.uint8), np.ones((16, 16, 1), dtype=np.uint8))


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    """Three scenes of ten frames each, 20 frames a second, the first scene once more at the end."""
    path = tmp_path_factory.mktemp("film") / "holiday.mp4"
    frames = np.stack([scene(number) for number in (1, 2, 3, 1) for _ in range(10)])
    imageio.imwrite(path, frames, plugin="pyav", codec="libx264", fps=20)
    return path


def test_frames_that_look_like_one_before_are_left_out(film, tmp_path):
    read: list[int] = []
    assert take_frames(film, tmp_path, every=5, progress=read.append) == (8, 5)
    assert read == list(range(1, 41))
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["holiday-000000.png", "holiday-000010.png", "holiday-000020.png"]
    drawn = np.asarray(Image.open(tmp_path / files[1])).astype(float)
    assert np.abs(drawn - scene(2)).mean() < 12  # H.264 halves the resolution of colours


def test_without_a_number_a_frame_is_taken_each_half_second(film, tmp_path):
    assert take_frames(film, tmp_path)[0] == 4  # 40 frames at 20 a second


def test_what_is_no_film_is_refused(tmp_path):
    (tmp_path / "text.mp4").write_text("no film")
    with pytest.raises(DataError, match=r"text.mp4 cannot be read as a film"):
        take_frames(tmp_path / "text.mp4", tmp_path)
    with pytest.raises(UsageError, match="every is 0"):
        take_frames(tmp_path / "text.mp4", tmp_path, every=0)
    assert is_video(Path("A.MOV"))
    assert not is_video(Path("a.gif"))


def test_the_command_prepares_a_film(film, tmp_path):
    goal = tmp_path / "set.zip"
    arguments = ["data", "prepare", str(film), str(goal), "--image-size", "32", "--every", "5"]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 0, result.output
    assert "8 frames were looked at, 5 of them left out" in " ".join(result.output.split())
    with zipfile.ZipFile(goal) as archive:
        assert archive.namelist() == ["holiday-000000.png", "holiday-000010.png", "holiday-000020.png"]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("left", "expected"), [(4, 0), (150, 120), (75, 60)])
def test_the_interesting_square_holds_what_stands_out(left, expected, turned):
    pixels = np.full((80, 200, 3), 200, dtype=np.uint8)
    pixels[20:60, left : left + 40] = np.random.default_rng(0).integers(0, 256, (40, 40, 3))
    image = Image.fromarray(pixels.transpose(1, 0, 2) if turned else pixels)
    cropped = interesting_square(image)
    assert cropped.size == (80, 80)
    found = np.asarray(cropped).astype(int)
    assert (np.abs(found - 200).sum(2) > 0).sum() > 0.97 * 40 * 40  # all of it
    assert abs(_place(image, cropped) - expected) <= 40


def _place(image: Image.Image, cropped: Image.Image) -> int:
    whole, part = np.asarray(image), np.asarray(cropped)
    if image.height > image.width:
        whole, part = whole.transpose(1, 0, 2), part.transpose(1, 0, 2)
    return next(x for x in range(whole.shape[1]) if np.array_equal(whole[:, x : x + part.shape[1]], part))


def test_where_nothing_stands_out_the_middle_is_taken():
    layers = np.broadcast_to(np.linspace(0, 200, 81, dtype=np.uint8)[:, None, None], (81, 201, 3)).copy()
    layers[0] = np.arange(201)[:, None]  # to know the place by
    assert abs(_place(Image.fromarray(layers), interesting_square(Image.fromarray(layers))) - 60) <= 2
    plain = interesting_square(Image.new("RGB", (201, 81), "red"))
    assert plain.size == (81, 81)
    square = Image.new("RGB", (40, 40))
    assert interesting_square(square) is square


@pytest.fixture
def folders(tmp_path) -> Path:
    """Five cats, one of them twice and one mirrored, and two dogs, not square."""
    for kind, count in (("cats", 5), ("dogs", 2)):
        (tmp_path / "set" / kind).mkdir(parents=True)
        for index in range(count):
            Image.fromarray(scene(10 * count + index)).save(tmp_path / "set" / kind / f"{index}.png")
    first = Image.fromarray(scene(50))
    first.save(tmp_path / "set" / "cats" / "copy.png")
    first.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "set" / "cats" / "turned.png")
    return tmp_path / "set"


def test_duplicates_go_and_sub_folders_are_balanced(folders):
    images, said = prepare_set(folders, 32, Preparation(unique=True))
    assert list(images.names) == [*(f"cats/{index}.png" for index in range(5)), "dogs/0.png", "dogs/1.png"]
    assert said == ["left out as duplicates: 2, such as cats/copy.png"]
    images, said = prepare_set(folders, 32, Preparation(unique=True, balance=True, seed=3))
    assert Counter(Path(name).parent.name for name in images.names) == {"cats": 2, "dogs": 2}
    assert list(images.names) == sorted(images.names)
    assert said[-1] == "2 of each sub-folder; there were cats 5, dogs 2"
    again, _ = prepare_set(folders, 32, Preparation(unique=True, balance=True, seed=3))
    assert torch.equal(images.images, again.images)
    drawn = {prepare_set(folders, 32, Preparation(balance=True, seed=seed))[0].names for seed in range(4)}
    assert len(drawn) > 1


def test_interesting_crops_reach_the_set(folders):
    plain, _ = prepare_set(folders, 32)
    cropped, said = prepare_set(folders, 32, Preparation(interesting=True))
    assert said == ["each was cropped where the most is to be seen"]
    assert plain.names == cropped.names
    assert not torch.equal(plain.images, cropped.images)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Preparation(every=3), "every is 3, and .* is no film"),
        (Preparation(fit="pad", interesting=True), "fit is 'pad', which crops nothing"),
    ],
)
def test_options_without_effect_are_refused(folders, wanted, message):
    with pytest.raises(UsageError, match=message):
        prepare_set(folders, 32, wanted)


def test_films_and_single_folders_are_not_balanced(film, folders):
    with pytest.raises(UsageError, match="is a film, whose frames have no sub-folders"):
        prepare_set(film, 32, Preparation(balance=True))
    with pytest.raises(DataError, match=r"all pictures lie in one folder \(\.\)"):
        prepare_set(folders / "dogs", 32, Preparation(balance=True))
