"""What is done with a loaded set before training: parting off a holdout, writing it as one prepared file."""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor

from sase_gan.datasets.images import ImageSet
from sase_gan.errors import DataError, UsageError
from sase_gan.files import write_atomically
from sase_gan.pixels import to_pillow
from sase_gan.seeds import generator


def split_holdout(image_set: ImageSet, share: float, seed: int) -> tuple[ImageSet, ImageSet]:
    """Part off a holdout, drawn by the seed: (training pictures, holdout pictures), both in the set's order.

    The holdout has round(N * share) pictures, at least one, as far as possible without parting duplicates: pictures
    that are the same or nearly so always end up on one side.

    Raises:
        UsageError: `share` is not between 0 and 1.
        DataError: the set cannot be parted, being too small or nothing but duplicates of one picture.
    """
    if not 0 < share < 1:
        raise UsageError(f"the holdout share is {share}; it must lie between 0 and 1 (0.1 keeps every tenth back)")
    groups = _duplicate_groups(image_set)
    wanted = max(1, round(len(image_set) * share))
    held: list[int] = []
    for group in torch.randperm(len(groups), generator=generator(seed, "holdout")).tolist():
        if len(held) + len(groups[group]) <= wanted:
            held += groups[group]
    if not held or len(held) == len(image_set):
        raise DataError(
            f"{len(image_set)} pictures ({len(groups)} without duplicates) cannot be parted into training and "
            f"a holdout of {wanted}; add pictures or train without a holdout"
        )
    return image_set.subset(sorted(set(range(len(image_set))) - set(held))), image_set.subset(sorted(held))


def write_image_set(images: Tensor, names: Sequence[str], path: Path | str) -> None:
    """Write uint8 [N, 3, H, W] as a zip of PNGs, both uncompressed (StyleGAN's convention: they decode fastest).

    The suffixes of the names become .png. Equal pictures and names give equal bytes.

    Raises:
        UsageError: the path does not end in .zip, names and pictures differ in number, or two names become equal.
    """
    path = Path(path)
    if path.suffix.lower() != ".zip":
        raise UsageError(f"{path} was given as the prepared set; its name must end in .zip")
    if len(images) != len(names):
        raise UsageError(f"{len(names)} names were given for {len(images)} pictures; each picture needs one")
    members = [str(PurePosixPath(name).with_suffix(".png")) for name in names]
    if len(set(members)) < len(members):
        # cat.jpg and cat.webp: then the old suffix stays in the name.
        members = [f"{name}.png" for name in names]
    if len(set(members)) < len(members):
        raise UsageError("two pictures have the same name; each needs a name of its own")
    with write_atomically(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for image, member in zip(images, members, strict=True):
            content = io.BytesIO()
            to_pillow(image).save(content, format="PNG", compress_level=0)
            # ZipInfo's own date, 1980, makes the bytes reproducible.
            archive.writestr(zipfile.ZipInfo(member), content.getvalue())


def _duplicate_groups(image_set: ImageSet) -> list[list[int]]:
    """Group indices so that duplicates, and duplicates of duplicates, share a group; in order of their first."""
    index = {name: position for position, name in enumerate(image_set.names)}
    leader = list(range(len(image_set)))
    for pair in image_set.notes.duplicates:
        if pair.first in index and pair.second in index:
            old, new = sorted((leader[index[pair.first]], leader[index[pair.second]]), reverse=True)
            leader = [new if entry == old else entry for entry in leader]
    groups: dict[int, list[int]] = {}
    for position, entry in enumerate(leader):
        groups.setdefault(entry, []).append(position)
    return list(groups.values())
