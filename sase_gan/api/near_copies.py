"""Leaving out generated pictures that lie suspiciously near to a training picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sase_gan.api.images import Images
from sase_gan.colours import seen
from sase_gan.datasets.images import load_as_trained
from sase_gan.errors import DataError
from sase_gan.metrics.catalogue import SPACES
from sase_gan.metrics.reference import PictureSet, PreparedReference


def part_near_copies(
    images: Images, pictures: Path | str, facts: Mapping[str, Any] | None = None
) -> tuple[Images, Images]:
    """Part images into those that are apart from a folder's pictures, and those suspiciously near to one of them.

    Near is what the copying check calls so: nearer to a picture, its mirror image or a small shift of either than
    nineteen in twenty of those pictures are to their own nearest, by layout and texture or by pixels.

    Args:
        pictures: folder or zip of the training pictures, of the images' size, or larger.
        facts: what the model's snapshot says of them, such as how they became square; see `load_as_trained`.

    Raises:
        DataError: for pictures that cannot be read, or fewer than two, of which none has a nearest other one.
    """
    height, width = images.pixels.shape[-2:]
    fitted = height == width or (facts or {}).get("fit")
    reals = load_as_trained(pictures, (height, width) if fitted else None, facts or {})
    if len(reals) < 2:
        raise DataError(f"{pictures} holds one picture; near is told by how near pictures are to each other: name two")
    near = suspiciously_near(images.seen("white"), seen(reals.images))
    return images.chosen((~near).nonzero()[:, 0].tolist()), images.chosen(near.nonzero()[:, 0].tolist())


def suspiciously_near(generated: Tensor, reals: Tensor) -> Tensor:
    """Tell of each generated picture whether it is suspiciously near to a real one: bool [n].

    Args:
        generated, reals: uint8 [n, 3, H, W] and [N, 3, H, W].
    """
    reference, drawn = PreparedReference(reals), PictureSet(generated)
    near = torch.zeros(len(generated), dtype=torch.bool)
    for space in SPACES:
        near[drawn.order] |= reference.nearest(drawn, space).distance < reference.copying(space).limit
    return near
