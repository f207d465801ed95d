"""Picture files of any size become one uint8 tensor; what is done with such a set before training."""

import dataclasses
import hashlib
import io
import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from sase_gan.colours import CHANNELS, Colours
from sase_gan.datasets.fitting import fit_size
from sase_gan.datasets.notes import ImageSetNotes, Loaded, make_notes
from sase_gan.datasets.room import Room
from sase_gan.datasets.sources import ImageSource, open_images
from sase_gan.errors import DataError, UsageError
from sase_gan.files import write_atomically
from sase_gan.fits import Fit, checked_fit
from sase_gan.pixels import WHITE, Colour, parse_colour, to_pillow, to_tensor
from sase_gan.progress import Count
from sase_gan.resizing import at_size
from sase_gan.seeds import generator
from sase_gan.sixteen_bits import kept, widened

Wanted = int | tuple[int, int] | None
"""The side of squares, height and width, or None for pictures as they are."""
_BLOCK = 1024
"""Pictures after which a large set's memory is let go."""
_AHEAD = 128
"""Pictures that threads may have read before one is taken from them."""
_NO_PIXELS = torch.empty(0, dtype=torch.uint8)


@dataclass(frozen=True)
class ImageSet:
    """A set holds pictures of one size, in memory or, where they are many, in a mapped file (`room`).

    Attributes:
        images: uint8 [N, 3, H, W]; of other colours with other channels, see `sase_gan.colours`.
        names: posix paths below the folder or zip, sorted.
        digest: SHA-256 over the shape and the pixel bytes in order (`pixel_digest`).
        fine: of grey pictures, some of whose files have 16 bits: all of these, int16 [N, 1, H, W], see
            `sase_gan.sixteen_bits`; None of other sets. Networks learn from them, all else sees `images`.
        classes, labels: names of the classes, and the index of each picture's; both empty where none were asked for.
    """

    images: Tensor
    names: tuple[str, ...]
    digest: str
    notes: ImageSetNotes
    classes: tuple[str, ...] = ()
    labels: tuple[int, ...] = ()
    fine: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, indices: Sequence[int]) -> "ImageSet":
        """Take the pictures at these indices, in that order, with their own digest; the notes stay the whole set's."""
        chosen = torch.tensor(indices, dtype=torch.int64)
        images = self.images[chosen]
        return dataclasses.replace(
            self,
            images=images,
            names=tuple(self.names[index] for index in indices),
            digest=pixel_digest(images),
            labels=tuple(self.labels[index] for index in indices) if self.labels else (),
            fine=None if self.fine is None else self.fine[chosen],
        )

    @property
    def learnt(self) -> Tensor:
        """Return what a network learns from, with as many bits as there are."""
        return self.images if self.fine is None else self.fine

    @property
    def identity(self) -> str:
        """Name what is learnt from: the digest, of pictures with classes together with these."""
        if not self.labels:
            return self.digest
        return hashlib.sha256(repr((self.digest, self.classes, self.labels)).encode()).hexdigest()


@dataclass(frozen=True)
class Survey:
    """A survey holds all readable pictures of a source, and an error sentence for each of the others."""

    images: ImageSet | None
    sizes: tuple[tuple[int, int], ...]
    broken: tuple[str, ...]


def load_image_set(
    path: Path | str | ImageSource,
    *,
    image_size: Wanted,
    fit: Fit = "crop",
    max_images: int | None = None,
    background: Colour = WHITE,
    colours: Colours = "rgb",
    progress: Count | None = None,
) -> ImageSet:
    """Read a folder, zip or picture into memory.

    Args:
        image_size: side of square pictures, or height and width; None keeps all as they are, all of one size.
        fit: how pictures of other proportions get these, see `fit_size`.
        max_images: takes the first ones by name.
        background: the colour behind transparent pixels, and of padding; of an open source its own counts.
        colours: what is kept: with "grey" one channel, with "rgba" four, see `sase_gan.colours`.

    Raises:
        DataError: nothing to read, unreadable pictures (all are counted, the first are named), or different sizes when
            `image_size` is None.
        UsageError: an image size or a number of images below 1.
    """
    found = survey(
        path,
        image_size=image_size,
        fit=fit,
        max_images=max_images,
        background=background,
        colours=colours,
        progress=progress,
    )
    if found.broken:
        more = f" (and {len(found.broken) - 1} more unreadable pictures: 'data check' lists all)"
        raise DataError(found.broken[0] + (more if len(found.broken) > 1 else ""))
    assert found.images is not None
    return found.images


def load_as_trained(path: Path | str, image_size: Wanted, facts: Mapping[str, Any]) -> ImageSet:
    """Read pictures as a training read them.

    Args:
        facts: what a snapshot says of its training pictures: `fit`, `background` and `colours`, of others and older
            ones nothing.

    Raises:
        DataError, UsageError: as of `load_image_set`, and for a fit or a colour that is unknown.
    """
    colours: Any = facts.get("colours")
    return load_image_set(
        path,
        image_size=image_size,
        fit=checked_fit(str(facts.get("fit") or "crop")),
        background=parse_colour(str(facts.get("background") or "white")),
        colours=colours if colours in CHANNELS else "rgb",
    )


def survey(
    path: Path | str | ImageSource,
    *,
    image_size: Wanted,
    fit: Fit = "crop",
    max_images: int | None = None,
    background: Colour = WHITE,
    colours: Colours = "rgb",
    progress: Count | None = None,
) -> Survey:
    """Read as `load_image_set` does, but report pictures that cannot be read in the result instead of raising.

    Raises:
        DataError: nothing to read, or different sizes when `image_size` is None.
        UsageError: an image size or a number of images below 1.
    """
    size = (image_size, image_size) if isinstance(image_size, int) else image_size
    if size is not None and min(size) < 1:
        raise UsageError(f"image_size is {image_size}; it must be at least 1 (usual values are 64, 128 and 256)")
    if max_images is not None and max_images < 1:
        raise UsageError(f"max_images is {max_images}; it must be at least 1")
    source = path if isinstance(path, ImageSource) else open_images(path, background=background)
    names = source.names[:max_images]

    def load(index: int) -> Loaded | DataError:
        try:
            return _load(source, index, size, fit, colours)
        except DataError as error:
            return error

    room: Room | None = None
    fine: Room | None = None
    loaded: list[tuple[str, Loaded]] = []
    broken: list[str] = list(source.broken)
    # Decoding releases Python's lock: two threads are twice as fast, more would multiply the memory of huge pictures.
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        # In parts: what threads have read ahead lies in memory.
        parts = (range(start, min(start + _AHEAD, len(names))) for start in range(0, len(names), _AHEAD))
        results = (result for part in parts for result in pool.map(load, part))
        for done, (name, result) in enumerate(zip(names, results, strict=True), start=1):
            if isinstance(result, DataError):
                broken.append(str(result))
            else:
                if room is None:
                    room = Room((len(names), *result.pixels.shape))
                elif result.pixels.shape != room.images.shape[1:]:
                    raise DataError(_unequal(source, loaded[0][0], room.images.shape, name, result.pixels.shape))
                room.images[len(loaded)] = result.pixels
                if result.fine is not None and fine is None:  # the first of 16 bits: those before it had 8
                    fine = Room((len(names), *result.pixels.shape), torch.int16)
                    fine.images[: len(loaded)] = widened(room.images[: len(loaded)])
                if fine is not None:
                    fine.images[len(loaded)] = widened(result.pixels) if result.fine is None else result.fine
                loaded.append((name, dataclasses.replace(result, pixels=_NO_PIXELS, fine=None)))
                if len(loaded) % _BLOCK == 0:
                    room.let_go()
            if progress is not None:
                progress(done, len(names))
    sizes = tuple((item.width, item.height) for _, item in loaded)
    if room is None:
        return Survey(None, sizes, tuple(broken))
    images, names_kept = room.images[: len(loaded)], tuple(name for name, _ in loaded)
    notes = make_notes(source, names_kept, [item for _, item in loaded], size, fit, fine=fine is not None)
    deep = None if fine is None else fine.images[: len(loaded)]
    return Survey(ImageSet(images, names_kept, pixel_digest(images, room), notes, fine=deep), sizes, tuple(broken))


def _load(source: ImageSource, index: int, size: tuple[int, int] | None, fit: Fit, colours: Colours) -> Loaded:
    # Twice the size is left for the good filter; the decoder's own reduction is a plain average. Released loops squash
    # what they find in the file.
    at_least = None if size is None or fit == "squash" else 2 * max(size)
    picture = source.decode(index, at_least=at_least, fine=colours == "grey")
    image = picture.rgb if size is None else fit_size(picture.rgb, size, fit, source.background)
    pixels = to_tensor(image.convert("L") if colours == "grey" else image)
    if colours == "rgba":
        alpha = picture.alpha or Image.new("L", picture.rgb.size, 255)
        alpha = alpha if size is None else fit_size(alpha, size, fit)
        pixels = torch.cat([pixels, to_tensor(alpha)])
    fine = picture.fine
    if fine is not None and size is not None:
        fine = fit_size(fine, size, fit, source.background)
    return Loaded.of(picture, image, pixels, pixel_digest(pixels[None]), None if fine is None else kept(fine))


def pixel_digest(images: Tensor, room: Room | None = None) -> str:
    """Return the SHA-256, in hexadecimal, over the shape and the pixel bytes of uint8 [N, 3, H, W] in order.

    Args:
        room: where they lie, whose memory is let go again on the way.
    """
    digest = hashlib.sha256(repr(tuple(images.shape)).encode())
    # One picture at a time, so that a slice of a large set is never copied as a whole.
    for index, image in enumerate(images, start=1):
        digest.update(image.contiguous().numpy().data)
        if room is not None and (index % _BLOCK == 0 or index == len(images)):
            room.let_go()
    return digest.hexdigest()


def _unequal(source: ImageSource, first: str, shape: Sequence[int], name: str, other: Sequence[int]) -> str:
    sizes = [f"{width} x {height}" for height, width in (tuple(shape)[-2:], tuple(other)[-2:])]
    return (
        f"{source.path}: {first} is {sizes[0]} and {name} is {sizes[1]}; pictures must be of one size when no image "
        "size is given: choose one, or prepare the set first"
    )


def open_picture(path: Path | str, *, background: Colour = WHITE, colours: Colours = "rgb") -> ImageSet:
    """Open the picture in a file, or the only one in a folder or zip, at its own size: a set of one, of `colours`.

    Models of one picture have 8 bits, so these are kept of one with 16.

    Raises:
        DataError: if the file is broken or missing, or there is more than one picture.
    """
    source = open_images(path, background=background)
    if len(source) != 1:
        raise DataError(f"{path} holds {len(source)} pictures; one-shot training takes one: name the file itself")
    found = load_image_set(source, image_size=None, colours=colours)
    return dataclasses.replace(found, fine=None, notes=dataclasses.replace(found.notes, fine=False))


def fitted(picture: ImageSet, size: tuple[int, int], factor: float | None = None) -> ImageSet:
    """Bring the set's one picture to (height, width), as `resizing.at_size` does, with the digest of that."""
    images = at_size(picture.images[0], size, factor)[None]
    return dataclasses.replace(picture, images=images, digest=pixel_digest(images))


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

    The suffixes of the names become .png, and signs that no file system likes `_`. Equal pictures and names give equal
    bytes.

    Raises:
        UsageError: the path does not end in .zip, names and pictures differ in number, or two names become equal.
    """
    path = Path(path)
    if path.suffix.lower() != ".zip":
        raise UsageError(f"{path} was given as the prepared set; its name must end in .zip")
    if len(images) != len(names):
        raise UsageError(f"{len(names)} names were given for {len(images)} pictures; each picture needs one")
    plain = [re.sub(r'[:<>"|?*\\]', "_", name) for name in names]
    members = [str(PurePosixPath(name).with_suffix(".png")) for name in plain]
    if len(set(members)) < len(members):
        # cat.jpg and cat.webp: then the old suffix stays in the name.
        members = [f"{name}.png" for name in plain]
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
