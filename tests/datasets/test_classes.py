"""Classes of a set: by sub-folders and by labels as StyleGAN's tools write them, and what cannot be classes."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from sase_gan.datasets.classes import labelled, read_labels, seen_labels, some_of_each
from sase_gan.datasets.images import load_image_set
from sase_gan.datasets.low_shot import EndlessBatches, balanced_places
from sase_gan.datasets.sources import open_images
from sase_gan.errors import DataError


def fill(folder: Path, *names: str) -> Path:
    """Write pictures, each of one grey level: its place in the list."""
    for level, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (level, level, level)).save(folder / name)
    return folder


def write_labels(folder: Path, labels: object) -> Path:
    (folder / "dataset.json").write_text(json.dumps(labels))
    return folder


SET = ("cats/a.png", "cats/old/b.png", "dogs/a.png", "dogs/c.png", "dogs/d.png")


def test_a_sub_folder_is_a_class_whatever_lies_below_it_and_all_of_them_in(tmp_path: Path) -> None:
    labels = read_labels(open_images(fill(tmp_path / "plain", *SET)), "folders")
    assert (labels.classes, labels.counts, labels.words()) == (("cats", "dogs"), (2, 3), "cats 2, dogs 3")
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for name in SET:
            file.write(tmp_path / "plain" / name, f"download/{name}")
    packed = read_labels(open_images(archive), "folders")
    assert packed.classes == labels.classes
    assert {name.removeprefix("download/"): label for name, label in packed.by_name.items()} == labels.by_name


def test_labels_of_a_file_are_classes_in_the_order_of_numbers(tmp_path: Path) -> None:
    names = [f"{index:02d}.png" for index in range(6)]
    numbers = [10, 2, 10, 2, -1, -1]
    folder = write_labels(fill(tmp_path, *names), {"labels": [list(pair) for pair in zip(names, numbers, strict=True)]})
    labels = read_labels(open_images(folder), "dataset.json")
    assert labels.classes == ("-1", "2", "10")
    assert [labels.classes[labels.by_name[name]] for name in names] == [str(number) for number in numbers]
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in folder.iterdir():
            if path != archive:
                file.write(path, path.name)
    assert read_labels(open_images(archive), "dataset.json") == labels


def no_labels(entries: object) -> Callable[[Path], Path]:
    return lambda folder: write_labels(fill(folder, "a.png", "b.png", "c.png", "d.png"), entries)


def pairs(*labels: object) -> dict[str, object]:
    return {"labels": [[f"{name}.png", label] for name, label in zip("abcd", labels, strict=False)]}


@pytest.mark.parametrize(
    ("make", "how", "says"),
    [
        (lambda f: fill(f, *SET, "e.png"), "folders", r"1 picture without a sub-folder, such as e.png"),
        (lambda f: fill(f, "cats/a.png", "cats/b.png"), "folders", r"has one class only \(cats\)"),
        (lambda f: fill(f, *SET, "cows/e.png"), "folders", r"fewer than 2 pictures of 1 class \(cows\)"),
        (lambda f: fill(f, *SET, "a=b/e.png", "a=b/f.png"), "folders", r"'a=b' cannot be the name of a class"),
        (lambda f: fill(f, *SET), "dataset.json", r"has no dataset.json; put it there, or take sub-folders"),
        (no_labels(pairs(0, 0, 0, 0)), "dataset.json", r"one class only \(0\)"),
        (no_labels(pairs(0, 0, 1, 1, 1)), "folders", r"4 pictures without a sub-folder"),
        (no_labels(pairs(0, 0, 1)), "dataset.json", r"1 picture without a label in dataset.json, such as d.png"),
        (no_labels({"labels": [["z.png", 0]]}), "dataset.json", r"labels 1 picture not there, such as z.png"),
        (no_labels(pairs(0, 0, 1, [0.5, 1])), "dataset.json", r"gives d.png the label \[0.5, 1\]"),
        (no_labels({"labels": None}), "dataset.json", r"has no labels \(None\)"),
        (no_labels([1, 2]), "dataset.json", r"is not of the form"),
        (no_labels({"labels": [["a.png", 0], ["a.png", 1]]}), "dataset.json", r"gives a.png two labels, 0 and 1"),
    ],
)
def test_what_is_no_class_is_refused_in_a_sentence(
    tmp_path: Path, make: Callable[[Path], Path], how: str, says: str
) -> None:
    source = open_images(make(tmp_path))
    with pytest.raises(DataError, match=says):
        read_labels(source, how)  # type: ignore[arg-type]
    assert how not in dict(seen_labels(source))


def test_pictures_keep_their_classes_in_subsets_and_in_batches(tmp_path: Path) -> None:
    folder = fill(tmp_path, *SET)
    plain = load_image_set(folder, image_size=16)
    images = labelled(plain, read_labels(open_images(folder), "folders"))
    assert (images.labels, images.digest) == ((0, 0, 1, 1, 1), plain.digest)
    assert (
        len({images.identity, plain.identity, labelled(plain, read_labels(open_images(folder), "folders")).identity})
        == 2
    )
    assert images.subset([4, 0]).labels == (1, 0)
    assert some_of_each(images, 4) == [0, 2, 1, 3]
    batches = iter(EndlessBatches(images.images, batch_size=7, seed=0, labels=images.labels))
    for pictures, labels in (next(batches) for _ in range(3)):
        assert [images.labels[level] for level in pictures[:, 0, 0, 0].tolist()] == labels.tolist()
    plain_batch = next(iter(EndlessBatches(images.images, batch_size=7, seed=0)))
    assert torch.equal(
        next(iter(EndlessBatches(images.images, batch_size=7, seed=0, labels=images.labels)))[0], plain_batch
    )


def test_balanced_epochs_show_every_class_equally_often_and_every_picture() -> None:
    labels = [0] * 5 + [1] * 2 + [2]
    places = balanced_places(labels)
    assert torch.tensor(labels)[places].bincount().tolist() == [5, 5, 5]
    assert set(places.tolist()) == set(range(8))
    pictures = torch.arange(8, dtype=torch.uint8)[:, None, None, None].expand(8, 3, 4, 4)
    batch, own = next(iter(EndlessBatches(pictures, batch_size=15, seed=0, labels=labels, balanced=True)))
    assert own.bincount().tolist() == [5, 5, 5]
    assert sorted(batch[:, 0, 0, 0].tolist()) == sorted(places.tolist())
