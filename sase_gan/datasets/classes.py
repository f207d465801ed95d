"""Classes of a set: by the sub-folders that its pictures lie in, or by the labels of a `dataset.json`.

`dataset.json` has the form that StyleGAN's tools write and read: `{"labels": [["00000/img00000000.png", 6], ...]}`, in
the folder or at the top of the zip. Labels are whole numbers there; a text is understood too, and names the class.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sase_gan.class_names import MOST, checked_name, counted
from sase_gan.datasets.images import ImageSet
from sase_gan.datasets.sources import ImageSource
from sase_gan.errors import DataError

LabelSource = Literal["folders", "dataset.json"]
LABEL_SOURCES: tuple[LabelSource, ...] = ("folders", "dataset.json")
LABELS_FILE = "dataset.json"
_LARGEST_FILE = 256 * 2**20
"""Bytes; the labels of a million pictures take a fifth of that."""
_FEWEST = 2
"""Pictures of a class: of one alone a discriminator learns nothing but that picture."""


@dataclass(frozen=True)
class Labels:
    """The labels say of each picture of a source which class it has.

    Attributes:
        classes: names, sorted: numbers as numbers, else by letters.
        by_name: index of the class by the picture's name.
    """

    classes: tuple[str, ...]
    by_name: Mapping[str, int]

    @property
    def counts(self) -> tuple[int, ...]:
        """Count the pictures of each class."""
        found = Counter(self.by_name.values())
        return tuple(found[index] for index in range(len(self.classes)))

    def words(self) -> str:
        """List the classes with their pictures."""
        return counted(self.classes, self.counts)


def read_labels(source: ImageSource, how: LabelSource) -> Labels:
    """Read the classes of a source's pictures.

    Raises:
        DataError: a picture without a label, a label without a picture, fewer than two classes, or a class of one
            picture; a name that cannot be a class's.
    """
    found = _of_folders(source) if how == "folders" else _of_file(source)
    if len(found) < len(source.names):
        missing = [name for name in source.names if name not in found]
        without = "without a sub-folder" if how == "folders" else f"without a label in {LABELS_FILE}"
        raise DataError(
            f"{source.path} holds {_counted(len(missing), 'picture')} {without}, such as {missing[0]}; with --classes "
            f"{how} each picture needs a class: give it one, take it away, or leave --classes out"
        )
    return checked(_named(found, source), str(source.path), how)


def checked(labels: Labels, where: str, how: LabelSource) -> Labels:
    """Refuse labels that are no classes to train on.

    Raises:
        DataError: fewer than two classes, too many, or a class of one picture.
    """
    advice = f"leave --classes {how} out to train without classes"
    if len(labels.classes) < 2:
        name = labels.classes[0]
        raise DataError(f"{where} has one class only ({name}); a conditional model needs at least two: {advice}")
    if len(labels.classes) > MOST:
        raise DataError(f"{where} has {len(labels.classes):,} classes; at most {MOST:,} are possible: {advice}")
    few = [name for name, count in zip(labels.classes, labels.counts, strict=True) if count < _FEWEST]
    if few:
        names = ", ".join(few[:3]) + (" ..." if len(few) > 3 else "")
        raise DataError(
            f"{where} has fewer than {_FEWEST} pictures of {_counted(len(few), 'class')} ({names}); add some, take the "
            f"class away, or {advice}"
        )
    return labels


def seen_labels(source: ImageSource) -> list[tuple[LabelSource, Labels]]:
    """Find what could serve as classes of a source's pictures; nothing where there is none, or it has faults."""
    found: list[tuple[LabelSource, Labels]] = []
    for how in LABEL_SOURCES:
        try:
            found.append((how, read_labels(source, how)))
        except DataError:
            continue
    return found


def labelled(images: ImageSet, labels: Labels) -> ImageSet:
    """Give the pictures of a set their classes."""
    return dataclasses.replace(
        images, classes=labels.classes, labels=tuple(labels.by_name[name] for name in images.names)
    )


def class_counts(images: ImageSet) -> tuple[int, ...]:
    """Count the pictures of each class of a set."""
    found = Counter(images.labels)
    return tuple(found[index] for index in range(len(images.classes)))


def some_of_each(images: ImageSet, count: int) -> list[int]:
    """Choose so many pictures to show: the first ones, or the first of each class in turn.

    Example:
        `some_of_each(images, 4)` is `[0, 7, 1, 8]` of a set whose second class begins at 7.
    """
    if not images.labels:
        return list(range(min(count, len(images))))
    rows = [[index for index, one in enumerate(images.labels) if one == label] for label in range(len(images.classes))]
    turns = [row[turn] for turn in range(max(map(len, rows))) for row in rows if turn < len(row)]
    return turns[:count]


def _of_folders(source: ImageSource) -> dict[str, str | int]:
    """Take as class the first folder in which the names part: those of a zip often lie all in one folder of its own."""
    folders = [name.split("/")[:-1] for name in source.names]
    depth = 0
    while all(len(parts) > depth + 1 and parts[depth] == folders[0][depth] for parts in folders):
        depth += 1
    return {name: parts[depth] for name, parts in zip(source.names, folders, strict=True) if len(parts) > depth}


def _of_file(source: ImageSource) -> dict[str, str | int]:
    raw = source.beside(LABELS_FILE, _LARGEST_FILE)
    if raw is None:
        raise DataError(f"{source.path} has no {LABELS_FILE}; put it there, or take sub-folders: --classes folders")
    try:
        content = json.loads(raw)
        entries = content["labels"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            f'{source.path}: {LABELS_FILE} is not of the form {{"labels": [["picture.png", 0], ...]}} ({error})'
        ) from error
    if isinstance(entries, dict):  # StyleGAN's reader takes this form too
        entries = list(entries.items())
    if not isinstance(entries, list):
        raise DataError(f"{source.path}: {LABELS_FILE} has no labels ({entries!r}); leave --classes out")
    found: dict[str, str | int] = {}
    for entry in entries:
        if not (isinstance(entry, list | tuple) and len(entry) == 2 and isinstance(entry[0], str)):
            raise DataError(
                f'{source.path}: {LABELS_FILE} has the entry {str(entry)[:80]}; ["picture.png", 0] is meant'
            )
        name, label = entry[0].replace("\\", "/"), entry[1]
        if isinstance(label, bool) or not isinstance(label, int | str):
            raise DataError(
                f"{source.path}: {LABELS_FILE} gives {name} the label {str(label)[:40]}; a whole number or a name is "
                "required: labels of several numbers are no classes"
            )
        if found.setdefault(name, label) != label:
            raise DataError(f"{source.path}: {LABELS_FILE} gives {name} two labels, {found[name]} and {label}")
    known = set(source.names)
    if strange := [name for name in found if name not in known]:
        raise DataError(
            f"{source.path}: {LABELS_FILE} labels {_counted(len(strange), 'picture')} not there, such as "
            f"{strange[0]}; restore them, or take their lines away"
        )
    return found


def _named(found: Mapping[str, str | int], source: ImageSource) -> Labels:
    """Number the classes; a text that is a number is the same class as that number."""
    texts = {name: str(label) for name, label in found.items()}
    names = sorted(set(texts.values()), key=_in_order)
    for name in names:
        try:
            checked_name(name)
        except ValueError as error:
            raise DataError(f"{source.path}: {error}") from error
    index = {name: place for place, name in enumerate(names)}
    return Labels(tuple(names), {name: index[text] for name, text in texts.items()})


def _in_order(name: str) -> tuple[int, int, str]:
    number = name.removeprefix("-")
    whole = number.isascii() and number.isdecimal() and len(number) < 18
    return (0, int(name), name) if whole else (1, 0, name)


def _counted(number: int, noun: str) -> str:
    plural = "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}" + ("" if number == 1 else plural)
