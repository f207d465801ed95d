"""The one picture of a one-shot run is opened at its own size and brought to its training size."""

import dataclasses
from pathlib import Path

from sase_gan.datasets.images import ImageSet, load_image_set, open_images, pixel_digest
from sase_gan.errors import DataError
from sase_gan.resizing import at_size


def open_picture(path: Path | str) -> ImageSet:
    """Open the picture in a file, or the only one in a folder or zip, at its own size: a set of one.

    Raises:
        DataError: if the file is broken or missing, or there is more than one picture.
    """
    source = open_images(path)
    if len(source) != 1:
        raise DataError(f"{path} holds {len(source)} pictures; one-shot training takes one: name the file itself")
    return load_image_set(source, image_size=None)


def fitted(picture: ImageSet, size: tuple[int, int]) -> ImageSet:
    """Bring the set's one picture to (height, width), with the digest of that."""
    images = at_size(picture.images[0], size)[None]
    return dataclasses.replace(picture, images=images, digest=pixel_digest(images))
