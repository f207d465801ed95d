"""Labelled data: idx files, class folders and zips, splits, and what the transforms do."""

import gzip
import struct
import zipfile
from pathlib import Path

import pytest
import torch

from sase_gan.errors import DataError, UsageError
from sase_gan.pixels import write_png
from sase_gan.recognition.classification.data import (
    EvaluationPictures,
    LabelledSet,
    TrainingPictures,
    evaluation_transform,
    open_labelled,
    read_idx,
    take_evenly,
    training_transform,
)
from sase_gan.recognition.settings import PicturesSection


def write_idx(path, values: torch.Tensor) -> None:
    header = b"\x00\x00\x08" + bytes([values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    content = header + values.to(torch.uint8).numpy().tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.fixture
def class_folder(tmp_path):
    for index, name in enumerate(["apple", "pear", "quince"]):
        for number in range(10):
            image = torch.full((3, 9, 7), 80 * index + number, dtype=torch.uint8)
            write_png(tmp_path / "fruit" / name / f"{number}.png", image)
    return tmp_path / "fruit"


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_files_give_what_was_written(tmp_path, suffix):
    images, labels = torch.randint(0, 256, (6, 4, 5)), torch.tensor([0, 2, 1, 1, 0, 2])
    for part in ("train", "t10k"):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte{suffix}", images)
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte{suffix}", labels)
    data = open_labelled(tmp_path, "test")
    assert data.channels == 1
    assert torch.equal(torch.stack([data.read(i)[0] for i in range(6)]), images.to(torch.uint8))
    assert torch.equal(data.labels, labels)
    assert data.classes == ("0", "1", "2")


def test_fashion_mnist_of_debian():
    folder = Path("/usr/share/datasets/fashion-mnist")
    if not folder.is_dir():
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    data = open_labelled(folder, "test")
    assert data.classes[0] == "T-shirt/top"
    assert data.labels.bincount().tolist() == [1000] * 10
    # The published pictures: first an ankle boot, then a pullover.
    assert [data.classes[int(i)] for i in data.labels[:2]] == ["ankle boot", "pullover"]
    assert data.read(0).shape == (1, 28, 28)


def test_damaged_idx_files_are_named(tmp_path):
    path = tmp_path / "a-idx1-ubyte"
    write_idx(path, torch.arange(5))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="promises 5"):
        read_idx(path)
    path.write_bytes(b"hello")
    with pytest.raises(DataError, match="does not start"):
        read_idx(path)
    (tmp_path / "b.gz").write_bytes(b"no gzip")
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path / "b.gz")


def test_class_folders_are_split_evenly_without_overlap(class_folder):
    train, test = (open_labelled(class_folder, part, held_out=0.3) for part in ("train", "test"))
    assert train.classes == test.classes == ("apple", "pear", "quince")
    assert test.labels.bincount().tolist() == [3, 3, 3]
    assert train.labels.bincount().tolist() == [7, 7, 7]
    values = [int(data.read(i)[0, 0, 0]) for data in (train, test) for i in range(len(data))]
    assert len(set(values)) == 30
    assert all(int(train.read(i)[0, 0, 0]) // 80 == train.labels[i] for i in range(len(train)))
    again = open_labelled(class_folder, "test", held_out=0.3)
    assert [int(again.read(i)[0, 0, 0]) for i in range(9)] == [int(test.read(i)[0, 0, 0]) for i in range(9)]


def test_own_parts_are_used(class_folder, tmp_path):
    (tmp_path / "set").mkdir()
    class_folder.rename(tmp_path / "set" / "train")
    for name in ("apple", "pear", "quince"):
        write_png(tmp_path / "set" / "val" / name / "x.png", torch.full((3, 4, 4), 200, dtype=torch.uint8))
    assert len(open_labelled(tmp_path / "set", "train")) == 30
    assert len(open_labelled(tmp_path / "set", "test")) == 3


def test_a_training_part_alone_is_split_without_overlap(class_folder, tmp_path):
    (tmp_path / "set").mkdir()
    class_folder.rename(tmp_path / "set" / "train")
    parts = [open_labelled(tmp_path / "set", part, held_out=0.3) for part in ("train", "test")]
    assert [len(part) for part in parts] == [21, 9]
    assert len({int(data.read(i)[0, 0, 0]) for data in parts for i in range(len(data))}) == 30


def test_zips_equal_folders(class_folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "fruit.zip", "w") as archive:
        for path in sorted(class_folder.rglob("*.png")):
            archive.write(path, path.relative_to(class_folder))
    folder, zipped = (open_labelled(p, "train") for p in (class_folder, tmp_path / "fruit.zip"))
    assert torch.equal(folder.labels, zipped.labels)
    assert all(torch.equal(folder.read(i), zipped.read(i)) for i in range(len(folder)))


def test_unusable_data_are_refused(class_folder, tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        open_labelled(tmp_path / "nothing", "train")
    write_png(tmp_path / "one" / "apple" / "a.png", torch.zeros(3, 4, 4, dtype=torch.uint8))
    with pytest.raises(DataError, match="only the class folder 'apple'"):
        open_labelled(tmp_path / "one", "train")
    write_png(class_folder / "loose.png", torch.zeros(3, 4, 4, dtype=torch.uint8))
    with pytest.raises(DataError, match="lies in no class folder"):
        open_labelled(class_folder, "train")
    with pytest.raises(UsageError, match="no data set 'CIFAR7'"):
        open_labelled("torchvision:CIFAR7:somewhere", "train")
    with pytest.raises(UsageError, match="write torchvision:NAME:FOLDER"):
        open_labelled("torchvision:CIFAR10", "train")
    with pytest.raises(DataError, match="download it there first"):
        open_labelled(f"torchvision:CIFAR10:{tmp_path}", "train")


def test_taking_fewer_keeps_classes_even(class_folder):
    data = open_labelled(class_folder, "train", held_out=0.1)
    few = take_evenly(data, 10)
    assert sorted(few.labels.bincount().tolist()) == [3, 3, 4]
    assert take_evenly(data, None) is data
    assert torch.equal(take_evenly(data, 10).labels, few.labels)


def test_evaluation_crops_the_middle():
    settings = PicturesSection(image_size=8, resize=10)
    image = torch.arange(100, dtype=torch.uint8).reshape(1, 10, 10)
    assert torch.equal(evaluation_transform(settings)(image), image[:, 1:9, 1:9])
    assert evaluation_transform(PicturesSection(image_size=8, evaluation_size=12))(image).shape == (1, 12, 12)


@pytest.mark.parametrize("crop", ["none", "padded", "random_resized"])
def test_training_pictures_have_the_wanted_size(crop):
    settings = PicturesSection(image_size=8, crop=crop, flip=True, colour_jitter=0.2)
    image = torch.randint(0, 256, (3, 13, 9), dtype=torch.uint8)
    result = training_transform(settings)(image)
    assert result.shape == (3, 8, 8)
    assert result.dtype == torch.uint8


def test_padded_crop_keeps_a_window_of_the_picture():
    image = torch.full((1, 16, 16), 200, dtype=torch.uint8)
    shares = {
        float((training_transform(PicturesSection(image_size=16, crop="padded"))(image) == 200).float().mean())
        for _ in range(20)
    }
    assert len(shares) > 3
    assert min(shares) >= (14 / 16) ** 2


def test_augmentation_depends_on_seed_epoch_and_index_only():
    noise = torch.randint(0, 256, (4, 3, 20, 20), dtype=torch.uint8)
    data = LabelledSet(noise.__getitem__, torch.arange(4), ("a", "b", "c", "d"))
    settings = PicturesSection(image_size=8, crop="random_resized")
    pictures = TrainingPictures(data, settings, seed=1)
    first = pictures[2][0]
    torch.rand(5)
    assert torch.equal(pictures[2][0], first)
    next_epoch, label = pictures[2 + 4]
    assert label == 2
    assert not torch.equal(next_epoch, first)
    assert not torch.equal(TrainingPictures(data, settings, seed=2)[2][0], first)


def test_rand_augment_works_on_grey_and_colour(class_folder):
    data = open_labelled(class_folder, "train")
    pictures = TrainingPictures(data, PicturesSection(image_size=8, rand_augment="rand-m9-mstd0.5"))
    assert pictures[0][0].shape == (3, 8, 8)
    plain = EvaluationPictures(data, PicturesSection(image_size=8))
    assert int(plain[3][1]) == int(data.labels[3])
