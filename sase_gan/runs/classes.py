"""The classes of a run's pictures: asked for and read, or seen and left alone."""

from __future__ import annotations

from typing import Any

from sase_gan.class_names import counted
from sase_gan.datasets.classes import (
    LABEL_SOURCES,
    Labels,
    LabelSource,
    class_counts,
    labelled,
    read_labels,
    seen_labels,
)
from sase_gan.datasets.images import ImageSet
from sase_gan.datasets.sources import ImageSource, open_images
from sase_gan.errors import DataError, UsageError
from sase_gan.runs.request import Report, TrainRequest


def asked_classes(request: TrainRequest, source: ImageSource, report: Report) -> dict[str, Any] | None:
    """Read the classes that a request asks for: the settings `source`, `names` and `counts`; None for none.

    Labels that are there and not asked for are told in a sentence.

    Raises:
        UsageError: for another source of labels than there are; DataError: as `datasets.classes.read_labels`.
    """
    if request.classes is None:
        for how, labels in seen_labels(source):
            report(words_of_unused(how, labels))
        return None
    how = checked_source(request.classes)
    labels = read_labels(source, how)
    return {"source": how, "names": list(labels.classes), "counts": list(labels.counts)}


def checked_source(text: str) -> LabelSource:
    """Check where labels come from.

    Raises:
        UsageError: for something else.
    """
    for how in LABEL_SOURCES:
        if text == how:
            return how
    raise UsageError(f"classes is {text!r}; choose folders, or dataset.json in the form that StyleGAN's tools write")


def words_of_unused(how: LabelSource, labels: Labels) -> str:
    """Say that labels are not used, and how they would be."""
    what = "sub-folders" if how == "folders" else f"labels in {how}"
    return f"{what} could be classes ({labels.words()}) and are not used; --classes {how} makes a conditional model"


def with_classes(images: ImageSet, path: str, how: str, names: tuple[str, ...]) -> ImageSet:
    """Give the pictures of a run their classes, before any are held out.

    Args:
        names: that the run knows.

    Raises:
        DataError: if they have others now, or as `read_labels`.
    """
    if how == "none":
        return images
    labels = read_labels(open_images(path), checked_source(how))
    if labels.classes != names:
        raise DataError(
            f"the pictures in {path} have the classes {', '.join(labels.classes)}, and the run those of its beginning: "
            f"{', '.join(names)}; restore them, or start anew"
        )
    return labelled(images, labels)


def class_facts(images: ImageSet, how: str) -> dict[str, Any]:
    """Gather what a snapshot says of the classes of its training pictures: where they stand, and how many there are."""
    return {"source": how, "counts": dict(zip(images.classes, class_counts(images), strict=True))}


def check_left(images: ImageSet) -> ImageSet:
    """Refuse a set of which a holdout has left too little of a class.

    Raises:
        DataError: for a class of fewer than two pictures.
    """
    counts = class_counts(images)
    if images.classes and min(counts) < 2:
        raise DataError(
            f"of the training pictures {counted(images.classes, counts)} are left beside the holdout, and each class "
            "needs two; hold out less, or add pictures"
        )
    return images
