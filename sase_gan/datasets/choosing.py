"""Choosing from a set before training: the most interesting square, one of each duplicate, equally many of a kind."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np
import torch
from PIL import Image

from sase_gan.datasets.images import ImageSet
from sase_gan.datasets.sources import ImageSource
from sase_gan.errors import DataError
from sase_gan.pixels import Picture
from sase_gan.seeds import generator

_LOOKED_AT = 96
"""Pixels of the longer side in which the interesting is looked for."""
_MIDDLE = 0.15
"""What the middle counts more than an end: where nothing stands out, the middle is taken."""


class InterestingSource(ImageSource):
    """A source of the most interesting square of each picture of another source."""

    def __init__(self, source: ImageSource) -> None:
        vars(self).update(vars(source))
        self._source = source

    def decode(self, index: int, *, at_least: int | None = None, fine: bool = False) -> Picture:
        """Decode as the other source does, and crop."""
        picture = self._source.decode(index, at_least=at_least, fine=fine)
        box = interesting_box(picture.rgb)
        return replace(picture, rgb=picture.rgb.crop(box), fine=picture.fine and picture.fine.crop(box))


def interesting_square(image: Image.Image) -> Image.Image:
    """Crop the largest square with the most in it, see `interesting_box`."""
    return image if image.width == image.height else image.crop(interesting_box(image))


def interesting_box(image: Image.Image) -> tuple[int, int, int, int]:
    """Find the largest square with the most in it: edges, and colours that are far from the picture's usual one.

    Both are measured on a picture of 96 px, each as a share of its sum; a square half as rich in the middle does not
    win over a rich one, but a picture without anything that stands out is cropped in the middle.
    """
    width, height = image.size
    side = min(width, height)
    if width == height:
        return 0, 0, width, height
    scale = min(1.0, _LOOKED_AT / max(width, height))
    small = image.resize((max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BOX)
    pixels = np.asarray(small, dtype=np.float64)
    grey = pixels.mean(2)
    edges = np.abs(np.diff(grey, axis=0, append=grey[-1:])) + np.abs(np.diff(grey, axis=1, append=grey[:, -1:]))
    strange = np.abs(pixels - np.median(pixels, axis=(0, 1))).sum(2)
    axis = 0 if width > height else 1
    along = sum(part.sum(axis) / part.sum() for part in (edges, strange) if part.sum() > 1e-9)
    length = grey.shape[1 - axis]
    window = min(length, max(1, round(side * scale)))
    sums = np.concatenate([[0.0], np.cumsum(np.broadcast_to(along, (length,)))])
    found = sums[window:] - sums[:-window]
    places = np.arange(len(found))
    middle = (len(found) - 1) / 2
    found = found + _MIDDLE * (1 - np.abs(places - middle) / max(middle, 1))
    start = round(int(found.argmax()) / max(1, len(found) - 1) * (max(width, height) - side))
    return (start, 0, start + side, side) if axis == 0 else (0, start, side, start + side)


def without_duplicates(images: ImageSet) -> tuple[ImageSet, tuple[str, ...]]:
    """Keep one picture, the first by name, of those that are the same, nearly so, or mirror images of each other.

    Returns:
        the set, and the names of those that were left out.
    """
    copies = {pair.second for pair in images.notes.duplicates} & set(images.names)
    kept = [index for index, name in enumerate(images.names) if name not in copies]
    return images.subset(kept), tuple(sorted(copies))


def balanced(images: ImageSet, *, seed: int = 0) -> tuple[ImageSet, dict[str, int]]:
    """Keep as many pictures of each sub-folder as the smallest has, drawn by the seed, in the set's order.

    Returns:
        the set, and how many each sub-folder had.

    Raises:
        DataError: pictures in fewer than two sub-folders.
    """
    folders = [str(PurePosixPath(name).parent) for name in images.names]
    counts = dict(sorted(Counter(folders).items()))
    if len(counts) < 2:
        raise DataError(
            f"all pictures lie in one folder ({next(iter(counts))}); to be balanced they must lie in two sub-folders "
            "or more"
        )
    least = min(counts.values())
    kept: list[int] = []
    for folder in counts:
        own = [index for index, name in enumerate(folders) if name == folder]
        order = torch.randperm(len(own), generator=generator(seed, "balance", folder)).tolist()
        kept += [own[place] for place in order[:least]]
    return images.subset(sorted(kept)), counts
