import subprocess
import sys

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from sase_gan.commands import data
from sase_gan.datasets.images import load_image_set
from sase_gan.datasets.sources import bundled_data
from sase_gan.errors import DataError, UsageError
from sase_gan.pixels import read_image


def run(*arguments):
    """The output of a command that succeeds; its error otherwise."""
    result = CliRunner().invoke(data.app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_check_tells_what_a_good_set_is_like():
    output = run("check", bundled_data("emoji-faces"))
    assert "96 readable, 0 unreadable" in output
    assert "all 128 x 128" in output
    assert "96 pictures suit low-shot training" in output
    assert "--image-size 128" in output
    assert "training takes the preset" in output
    assert "JPEG:" not in output
    assert "Unreadable" not in output


def test_check_lists_every_problem_at_once(tmp_path, capsys):
    folder = tmp_path / "odd [set]"
    folder.mkdir()
    for index, size in enumerate([(90, 60), (64, 64), (16, 16)]):
        Image.effect_noise(size, 80).convert("RGB").rotate(index).save(folder / f"{index}.jpg")
    Image.open(folder / "1.jpg").save(folder / "copy.png")
    Image.new("RGBA", (64, 64), (255, 0, 0, 9)).save(folder / "clear.png")
    for name in ("bad1.png", "bad2.jpg"):
        (folder / name).write_bytes(b"broken")
    (folder / "photo.heic").write_bytes(b"")
    with pytest.raises(DataError, match=r"2 of 7 pictures in .* cannot be read") as caught:
        data.check(folder, image_size=32, fit="pad")
    assert caught.value.exit_code == 4
    output = " ".join(capsys.readouterr().out.split())
    for expected in (
        "odd [set]",
        "5 readable, 2 unreadable",
        "shortest side 16, longest 90 px",
        "5 pictures are very few",
        "1 picture is smaller than 32 px",
        "--fit crop",
        "3 pictures are JPEG",
        "1.jpg = copy.png (exact)",
        "mixes colour and grey",
        "Transparent pixels",
        "photo.heic",
        "bad1.png cannot be read",
        "bad2.jpg cannot be read",
    ):
        assert expected in output


def test_check_of_one_picture_points_to_one_shot_training():
    assert "One picture" in run("check", bundled_data("single") / "coffee.png")


def test_prepare_writes_a_set_that_loads_equal(tmp_path):
    source = bundled_data("single")
    output = run("prepare", source, tmp_path / "set.zip", "--image-size", 64, "--fit", "pad")
    expected = load_image_set(source, image_size=64, fit="pad")
    prepared = load_image_set(tmp_path / "set.zip", image_size=None)
    assert prepared.digest == expected.digest
    assert expected.digest in output
    assert "3 pictures of 64 x 64" in output
    assert "enlarged" not in output


def test_prepare_says_what_it_had_to_enlarge(tmp_path):
    assert "3 pictures had to be enlarged" in run(
        "prepare", bundled_data("single"), tmp_path / "x.zip", "--image-size", 300
    )


def test_prepare_replaces_nothing_unasked(tmp_path):
    (tmp_path / "set.zip").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        run("prepare", bundled_data("single"), tmp_path / "set.zip", "--image-size", 32)
    assert (tmp_path / "set.zip").read_text() == "mine"
    run("prepare", bundled_data("single"), tmp_path / "set.zip", "--image-size", 32, "--force", "--max-images", 2)
    assert load_image_set(tmp_path / "set.zip", image_size=None).names == ("coffee.png", "hubble_deep_field.png")
    with pytest.raises(UsageError, match=r"must end in \.zip"):
        run("prepare", bundled_data("single"), tmp_path / "folder", "--image-size", 32)


def test_preview_shows_the_pictures_and_their_augmentation(tmp_path):
    out = tmp_path / "p.png"
    run(
        "preview", bundled_data("emoji-faces"), out, "--image-size", 32, "--count", 9, "--augment", "color, translation"
    )
    faces = load_image_set(bundled_data("emoji-faces"), image_size=32).images
    sheet = read_image(out)
    assert sheet.shape == (3, 3 * 34 + 2, 3 * 34 + 2)
    assert torch.equal(sheet[:, 2:34, 2:34], faces[0])
    assert torch.equal(sheet[:, 36:68, 36:68], faces[4 * 96 // 9])
    augmented = read_image(tmp_path / "p-augmented.png")
    assert augmented.shape == (3, 8 * 34 + 2, 8 * 34 + 2)
    assert torch.equal(augmented[:, 2:34, 2:34], faces[0])
    assert not torch.equal(augmented[:, 2:34, 36:68], faces[0])
    run(
        "preview",
        bundled_data("emoji-faces"),
        "--out",
        tmp_path / "q.png",
        "--image-size",
        32,
        "--augment",
        "color,translation",
    )
    assert torch.equal(read_image(tmp_path / "q-augmented.png"), augmented)


def test_preview_refuses_other_names_and_policies(tmp_path):
    with pytest.raises(UsageError, match=r"must end in \.png"):
        run("preview", bundled_data("single"), tmp_path / "x.jpg")
    for policy in ("sparkle", ","):
        with pytest.raises(UsageError, match="color, translation, cutout"):
            run("preview", bundled_data("single"), tmp_path / "x.png", "--image-size", 16, "--augment", policy)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_a_data_error():
    with pytest.raises(DataError, match="does not exist"):
        run("check", "no-such-folder")


def test_listing_the_commands_imports_nothing_heavy():
    code = (
        "import sys, sase_gan.commands.data; print(sorted({'torch', 'PIL', 'numpy', 'lightning'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_bundled_sets_are_listed_named_and_copied_with_their_licence(tmp_path):
    assert str(bundled_data("emoji-faces")) in run("bundled")
    assert run("bundled", "single") == str(bundled_data("single"))
    run("bundled", "single", "--out", tmp_path / "mine")
    assert {path.name for path in (tmp_path / "mine").iterdir()} >= {"coffee.png", "LICENSE.txt"}
    with pytest.raises(UsageError, match="exists already"):
        run("bundled", "single", "--out", tmp_path / "mine")
    with pytest.raises(DataError, match="no bundled set 'cats'"):
        run("bundled", "cats")
    with pytest.raises(UsageError, match="without the name of a bundled set"):
        run("bundled", "--out", tmp_path / "other")
