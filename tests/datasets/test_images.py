import hashlib
import io
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from sase_gan.datasets.duplicates import find_duplicates, thumbnail
from sase_gan.datasets.fitting import fit_size, fit_square
from sase_gan.datasets.images import (
    ImageSet,
    load_image_set,
    pixel_digest,
    split_holdout,
    survey,
    write_image_set,
)
from sase_gan.datasets.notes import losses_in_words
from sase_gan.datasets.sources import bundled_data
from sase_gan.errors import DataError, UsageError
from sase_gan.pixels import read_image, to_pillow


def smooth(seed, width=64, height=64):
    """A different smooth colour picture for each seed."""
    noise = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture
def folder(tmp_path):
    for seed in range(10):
        smooth(seed).save(tmp_path / f"{seed}.png")
    return tmp_path


# --- fitting


def test_a_square_of_the_right_size_is_not_touched():
    image = smooth(0)
    for fit in ("crop", "pad", "squash"):
        assert np.array_equal(np.asarray(fit_square(image, 64, fit)), np.asarray(image))


def test_crop_takes_the_middle():
    stripes = Image.new("RGB", (300, 100), "red")
    stripes.paste("blue", (100, 0, 200, 100))
    assert np.array_equal(np.asarray(fit_square(stripes, 50)), np.asarray(Image.new("RGB", (50, 50), "blue")))
    assert np.array_equal(
        np.asarray(fit_square(stripes.rotate(90, expand=True), 50)), np.full((50, 50, 3), (0, 0, 255))
    )


def test_pad_keeps_everything_in_the_middle_of_the_background():
    wide = np.asarray(fit_square(Image.new("RGB", (300, 100), "red"), 60, "pad", background=(1, 2, 3)))
    expected = np.full((60, 60, 3), (1, 2, 3))
    expected[20:40] = (255, 0, 0)
    assert np.array_equal(wide, expected)
    thin = fit_square(Image.new("RGB", (1, 1000), "red"), 60, "pad")
    assert np.array_equal(np.asarray(thin)[0, 29:31], [[255, 0, 0], [255, 255, 255]])


def test_other_proportions_are_cropped_padded_and_squashed_to():
    """Closed forms: of three stripes a wide crop keeps all columns, a tall one the middle stripe."""
    stripes = Image.new("RGB", (300, 100), "red")
    stripes.paste("blue", (100, 0, 200, 100))
    tall = np.asarray(fit_size(stripes, (80, 40)))
    assert np.array_equal(tall, np.full((80, 40, 3), (0, 0, 255)))
    wide = np.asarray(fit_size(stripes, (20, 60)))
    assert np.array_equal(wide[:, 25:35], np.full((20, 10, 3), (0, 0, 255)))
    assert np.array_equal(wide[:, :10], np.full((20, 10, 3), (255, 0, 0)))
    exact = fit_size(stripes, (100, 200))
    assert np.array_equal(np.asarray(exact), np.asarray(stripes)[:, 50:250])
    padded = np.asarray(fit_size(Image.new("RGB", (100, 100), "red"), (40, 80), "pad", background=(1, 2, 3)))
    expected = np.full((40, 80, 3), (1, 2, 3))
    expected[:, 20:60] = (255, 0, 0)
    assert np.array_equal(padded, expected)
    assert fit_size(stripes, (40, 80), "squash").size == (80, 40)


def triangle(size: int, length: int) -> np.ndarray:
    """Weights [size, length] of bilinear reduction: a triangle as wide as two output pixels, cut off at the border."""
    scale = max(length / size, 1.0)
    centre = (np.arange(size)[:, None] + 0.5) * length / size
    weights = np.clip(1 - np.abs((np.arange(length)[None] + 0.5 - centre) / scale), 0, None)
    return weights / weights.sum(1, keepdims=True)


@pytest.mark.parametrize(("width", "height"), [(150, 90), (40, 130), (128, 64)])
def test_squashing_keeps_all_of_the_picture_reduced_bilinearly(width, height):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    found = np.asarray(fit_square(Image.fromarray(image), 64, "squash")).astype(float)
    expected = np.einsum("ih,hwc,jw->ijc", triangle(64, height), image.astype(float), triangle(64, width))
    # Pillow rounds after each of its two passes.
    assert np.abs(found - expected).max() <= 1.01


def test_a_squashed_jpeg_is_decoded_whole_and_said_to_be_distorted(tmp_path):
    smooth(0, 640).crop((0, 0, 640, 400)).save(tmp_path / "wide.jpg", quality=95)
    smooth(1).save(tmp_path / "square.png")
    found = load_image_set(tmp_path, image_size=64, fit="squash")
    whole = Image.open(tmp_path / "wide.jpg").convert("RGB").resize((64, 64), Image.Resampling.BILINEAR)
    assert np.array_equal(found.images[1].permute(1, 2, 0), np.asarray(whole))
    assert found.notes.squashed == ("wide.jpg",)
    (line,) = losses_in_words(found.notes, 2)
    assert line.startswith("squashed: 1 picture of other proportions, which a generator learns distorted (wide.jpg)")
    assert load_image_set(tmp_path, image_size=64).notes.squashed == ()


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_nothing_is_stretched_unless_squashed(fit):
    # A disc stays a disc: its extent across equals its extent down.
    y, x = np.mgrid[0:200, 0:320]
    disc = np.where(((x - 160) ** 2 + (y - 100) ** 2 < 80**2)[..., None], 0, 255).repeat(3, 2).astype(np.uint8)
    dark = np.asarray(fit_square(Image.fromarray(disc), 128, fit))[..., 0] < 128
    across, down = dark.any(0).sum(), dark.any(1).sum()
    assert across == down
    assert across == pytest.approx(160 * 128 / (200 if fit == "crop" else 320), abs=1.01)


def test_shrinking_is_antialiased():
    # One-pixel stripes shrunk to a half must become even grey; nearest sampling would give black or white.
    stripes = np.zeros((128, 128, 3), np.uint8)
    stripes[:, ::2] = 255
    inner = np.asarray(fit_square(Image.fromarray(stripes), 64))[8:-8, 8:-8]
    assert np.abs(inner.astype(int) - 127.5).max() < 2


# --- loading


def test_a_set_holds_the_pictures_in_order_with_names_and_digest(folder):
    images = load_image_set(folder, image_size=64)
    assert images.names == tuple(f"{seed}.png" for seed in range(10))
    assert all(torch.equal(images.images[i], read_image(folder / f"{i}.png")) for i in range(10))
    expected = hashlib.sha256(b"(10, 3, 64, 64)" + images.images.numpy().tobytes()).hexdigest()
    assert images.digest == expected


def test_digest_sees_a_pixel_the_order_and_the_shape():
    images = torch.randint(0, 256, (4, 3, 6, 6), dtype=torch.uint8)
    changed = images.clone()
    changed[2, 1, 3, 3] ^= 1
    digests = [pixel_digest(x) for x in (images, changed, images.flip(0), images.reshape(4, 3, 4, 9), images[:3])]
    assert len(set(digests)) == 5
    assert pixel_digest(images.flip(3).flip(3)) == digests[0]


def test_without_an_image_size_rectangles_stay_as_they_are(tmp_path):
    for seed in range(3):
        smooth(seed, 40, 30).save(tmp_path / f"{seed}.png")
    assert load_image_set(tmp_path, image_size=None).images.shape == (3, 3, 30, 40)
    smooth(9, 41, 30).save(tmp_path / "9.png")
    with pytest.raises(DataError, match=r"0\.png is 40 x 30 and 9\.png is 41 x 30"):
        load_image_set(tmp_path, image_size=None)


def test_mixed_kinds_and_sizes_are_loaded_and_noted(tmp_path):
    smooth(0, 100, 80).save(tmp_path / "a.jpg")
    smooth(1, 20, 20).save(tmp_path / "b.png")
    smooth(2, 64, 64).convert("L").save(tmp_path / "c.png")
    transparent = smooth(3, 300, 64)
    transparent.putalpha(100)
    transparent.save(tmp_path / "d.webp")
    (tmp_path / "readme.txt").write_text("")
    exif = Image.Exif()
    exif[0x0112] = 6
    smooth(4, 70, 90).save(tmp_path / "e.jpg", exif=exif)
    images = load_image_set(tmp_path, image_size=64)
    assert images.images.shape == (5, 3, 64, 64)
    notes = images.notes
    assert notes.ignored == ("readme.txt",)
    assert notes.jpeg_sources == 2
    assert notes.upscaled == ("b.png",)
    assert notes.grey_share == pytest.approx(1 / 5)
    assert notes.transparent_share == pytest.approx(1 / 5)
    assert notes.non_square_share == pytest.approx(3 / 5)
    assert (notes.smallest_side, notes.largest_side) == (20, 300)
    assert notes.duplicates == ()


def test_a_large_jpeg_reduced_while_decoding_looks_like_the_whole_one(tmp_path):
    smooth(0, 1200, 900).save(tmp_path / "x.jpg", quality=95)
    quick = load_image_set(tmp_path, image_size=64).images[0].int()
    whole = np.asarray(fit_square(to_pillow(read_image(tmp_path / "x.jpg")), 64)).transpose(2, 0, 1).astype(int)
    assert (quick - torch.from_numpy(whole)).abs().max() <= 4


def test_broken_pictures_are_all_found_and_counted(folder):
    for name in ("3.png", "7.png"):
        (folder / name).write_bytes(b"broken")
    found = survey(folder, image_size=32)
    assert found.images.names == tuple(f"{seed}.png" for seed in range(10) if seed not in (3, 7))
    assert torch.equal(found.images.images, load_image_set_without(folder, {3, 7}))
    assert len(found.broken) == 2
    assert "3.png" in found.broken[0]
    assert "7.png" in found.broken[1]
    with pytest.raises(DataError, match=r"3\.png cannot be read .*and 1 more unreadable"):
        load_image_set(folder, image_size=32)


def load_image_set_without(folder, left_out):
    for seed in left_out:
        (folder / f"{seed}.png").unlink()
    images = load_image_set(folder, image_size=32).images
    for seed in left_out:
        (folder / f"{seed}.png").write_bytes(b"broken")
    return images


def test_nothing_readable_at_all_is_survived(tmp_path):
    (tmp_path / "x.png").write_bytes(b"broken")
    found = survey(tmp_path, image_size=32)
    assert found.images is None
    assert len(found.broken) == 1


def test_max_images_takes_the_first_by_name_and_progress_counts(folder):
    calls = []
    images = load_image_set(
        folder, image_size=16, max_images=4, progress=lambda done, total: calls.append((done, total))
    )
    assert images.names == ("0.png", "1.png", "2.png", "3.png")
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_impossible_numbers_are_refused(folder):
    with pytest.raises(UsageError, match="image_size is 0"):
        load_image_set(folder, image_size=0)
    with pytest.raises(UsageError, match="max_images is 0"):
        load_image_set(folder, image_size=8, max_images=0)


# --- duplicates


def jpeg_copy(image, quality):
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def test_copies_are_found_by_kind_and_others_are_not(folder):
    smooth(2).save(folder / "copy.bmp")
    jpeg_copy(smooth(4), 40).save(folder / "recompressed.png")
    smooth(5).resize((32, 32)).save(folder / "small.png")
    smooth(6).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "turned.png")
    found = {(pair.first, pair.second): pair.kind for pair in load_image_set(folder, image_size=64).notes.duplicates}
    assert found == {
        ("2.png", "copy.bmp"): "exact",
        ("4.png", "recompressed.png"): "near",
        ("5.png", "small.png"): "near",
        ("6.png", "turned.png"): "mirrored",
    }


@pytest.mark.parametrize("threshold", [35.0, 36.0, 39.0])
def test_groups_agree_with_a_plain_double_loop(threshold):
    thumbnails = torch.randint(0, 40, (60, 256)).float()
    names = [str(index) for index in range(60)]

    def alike(i, j):
        mirrored = thumbnails[j].reshape(16, 16).flip(1).flatten()
        return min((thumbnails[i] - thumbnails[j]).abs().max(), (thumbnails[i] - mirrored).abs().max()) <= threshold

    expected = [{index} for index in range(60)]
    for i in range(60):
        for j in range(i + 1, 60):
            if alike(i, j) and expected[i] is not expected[j]:
                merged = expected[i] | expected[j]
                for index in merged:
                    expected[index] = merged
    found = find_duplicates(names, thumbnails, names, threshold)
    assert all(alike(int(pair.first), int(pair.second)) for pair in found)
    groups = [{index} for index in range(60)]
    for pair in found:
        merged = groups[int(pair.first)] | groups[int(pair.second)]
        for index in merged:
            groups[index] = merged
    assert groups == expected
    assert len(found) == 60 - len({min(group) for group in groups}) > 0


def test_few_copies_among_many_pictures_are_found_with_their_difference():
    # Most pairs are so far apart that the Euclidean distance excludes them.
    thumbnails = torch.randint(0, 256, (1200, 256)).float()
    thumbnails[1100] = thumbnails[3]
    thumbnails[1100, 77] += 16
    thumbnails[1150] = thumbnails[1020].reshape(16, 16).flip(1).flatten()
    thumbnails[1170] = thumbnails[4]
    thumbnails[1170, 200] -= 16.5
    names = [str(index) for index in range(1200)]
    found = find_duplicates(names, thumbnails, names)
    assert [(pair.first, pair.second, pair.kind, pair.difference) for pair in found] == [
        ("3", "1100", "near", 16.0),
        ("1020", "1150", "mirrored", 0.0),
    ]


def test_a_set_of_one_picture_many_times_gives_a_pair_each():
    found = find_duplicates([str(index) for index in range(1500)], torch.zeros(1500, 256), ["same"] * 1500)
    assert [(pair.first, pair.second, pair.kind) for pair in found] == [("0", str(i), "exact") for i in range(1, 1500)]


def test_thumbnail_cells_are_averages_of_grey():
    image = Image.fromarray(np.arange(64 * 64, dtype=np.uint32).reshape(64, 64).astype(np.uint8)).convert("RGB")
    grey = np.asarray(image)[..., 0].reshape(16, 4, 16, 4).mean((1, 3))
    assert np.abs(thumbnail(image).numpy().reshape(16, 16) - grey).max() <= 0.51


def test_bundled_faces_hold_no_duplicates_although_they_are_alike():
    assert load_image_set(bundled_data("emoji-faces"), image_size=64).notes.duplicates == ()


def test_benchmark_pictures_hold_no_duplicates(shared_data):
    notes = load_image_set(shared_data / "100-shot-panda", image_size=64).notes
    assert notes.duplicates == ()
    assert notes.jpeg_sources == 100


# --- holdout


def test_holdout_parts_the_set_by_the_seed(folder):
    images = load_image_set(folder, image_size=16)
    train, holdout = split_holdout(images, 0.3, seed=1)
    assert (len(train), len(holdout)) == (7, 3)
    assert sorted(train.names + holdout.names) == list(images.names)
    assert list(train.names) == sorted(train.names)
    for part in (train, holdout):
        assert part.digest == pixel_digest(part.images)
        for image, name in zip(part.images, part.names, strict=True):
            assert torch.equal(image, images.images[images.names.index(name)])
    assert split_holdout(images, 0.3, seed=1)[1].names == holdout.names
    assert len({split_holdout(images, 0.3, seed=seed)[1].names for seed in range(8)}) > 4


def test_duplicates_end_up_on_one_side(folder):
    for seed in range(0, 8, 2):
        smooth(seed).save(folder / f"{seed}-copy.png")
        jpeg_copy(smooth(seed), 60).save(folder / f"{seed}-recompressed.png")
    images = load_image_set(folder, image_size=32)
    for split_seed in range(20):
        train, holdout = split_holdout(images, 0.4, seed=split_seed)
        assert not {name[0] for name in train.names} & {name[0] for name in holdout.names}
        assert len(holdout) in (5, 6, 7)


def test_a_holdout_that_cannot_be_made_is_refused(folder):
    images = load_image_set(folder, image_size=16)
    for share in (0.0, 1.0, -1):
        with pytest.raises(UsageError, match="must lie between 0 and 1"):
            split_holdout(images, share, seed=0)
    with pytest.raises(DataError, match="cannot be parted"):
        split_holdout(images.subset([0]), 0.5, seed=0)
    assert len(split_holdout(images.subset([0, 1]), 0.01, seed=0)[1]) == 1


# --- prepared sets


def test_a_prepared_set_is_uncompressed_and_loads_equal(folder):
    images = load_image_set(folder, image_size=32)
    write_image_set(images.images, images.names, folder / "out" / "set.zip")
    again = load_image_set(folder / "out" / "set.zip", image_size=None)
    assert isinstance(again, ImageSet)
    assert (again.digest, again.names) == (images.digest, images.names)
    with zipfile.ZipFile(folder / "out" / "set.zip") as archive:
        assert all(member.compress_type == zipfile.ZIP_STORED for member in archive.infolist())
        assert all(member.file_size > 32 * 32 * 3 for member in archive.infolist())


def test_prepared_bytes_are_reproducible_and_names_stay_apart(tmp_path):
    images = torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8)
    names = ["a/cat.jpg", "a/cat.webp", "b.png"]
    for path in ("x.zip", "y.zip"):
        write_image_set(images, names, tmp_path / path)
    assert (tmp_path / "x.zip").read_bytes() == (tmp_path / "y.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert archive.namelist() == ["a/cat.jpg.png", "a/cat.webp.png", "b.png.png"]


def test_prepared_sets_need_a_zip_and_a_name_for_each(tmp_path):
    images = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    with pytest.raises(UsageError, match=r"must end in \.zip"):
        write_image_set(images, ["a", "b"], tmp_path / "folder")
    with pytest.raises(UsageError, match="1 names were given for 2 pictures"):
        write_image_set(images, ["a"], tmp_path / "x.zip")
    with pytest.raises(UsageError, match="same name"):
        write_image_set(images, ["a.png", "a.png"], tmp_path / "x.zip")
    assert list(tmp_path.iterdir()) == []
