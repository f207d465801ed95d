"""Bringing pictures, or the frames of a film, into shape for training: what `sase-gan data prepare` does."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sase_gan.datasets.choosing import InterestingSource, balanced, without_duplicates
from sase_gan.datasets.images import ImageSet, load_image_set
from sase_gan.datasets.sources import open_images
from sase_gan.datasets.videos import is_video, take_frames
from sase_gan.errors import UsageError
from sase_gan.fits import Fit
from sase_gan.pixels import WHITE, Colour
from sase_gan.progress import Progress, named


@dataclass(frozen=True)
class Preparation:
    """A preparation says how a set is brought into shape.

    Attributes:
        fit: how pictures become square.
        max_images: take the first ones by name.
        every: of a film, take every n-th frame; None for one each half second.
        interesting: crop the most interesting square, see `choosing.interesting_square`.
        unique: keep one of each group of duplicates.
        balance: keep as many of each sub-folder as the smallest has, drawn by the seed.
    """

    fit: Fit = "crop"
    max_images: int | None = None
    every: int | None = None
    interesting: bool = False
    unique: bool = False
    balance: bool = False
    seed: int = 0


def prepare_set(
    source: Path,
    image_size: int,
    wanted: Preparation | None = None,
    *,
    background: Colour = WHITE,
    progress: Progress | None = None,
) -> tuple[ImageSet, list[str]]:
    """Read a folder, a zip, a picture or a film as squares of one size.

    Returns:
        the set, and a sentence about each choice that was made.

    Raises:
        DataError: nothing to read, or pictures that cannot be read.
        UsageError: options that have no effect together.
    """
    wanted = wanted or Preparation()
    if wanted.interesting and wanted.fit != "crop":
        raise UsageError(f"fit is {wanted.fit!r}, which crops nothing; leave it out, or leave out --interesting")
    if wanted.every is not None and not is_video(source):
        raise UsageError(f"every is {wanted.every}, and {source} is no film; leave it out")
    if wanted.balance and is_video(source):
        raise UsageError(f"{source} is a film, whose frames have no sub-folders; leave out --balance")
    sentences: list[str] = []
    with _pictures_of(source, wanted.every, sentences, progress) as place:
        opened = open_images(place, background=background)
        images = load_image_set(
            InterestingSource(opened) if wanted.interesting else opened,
            image_size=image_size,
            fit=wanted.fit,
            max_images=wanted.max_images,
            progress=named(progress, "preparing"),
        )
    if wanted.interesting:
        sentences.append("each was cropped where the most is to be seen")
    if wanted.unique:
        images, copies = without_duplicates(images)
        some = f", such as {copies[0]}" if copies else ""
        sentences.append(f"left out as duplicates: {len(copies)}{some}")
    if wanted.balance:
        images, counts = balanced(images, seed=wanted.seed)
        had = ", ".join(f"{folder} {count}" for folder, count in counts.items())
        sentences.append(f"{min(counts.values())} of each sub-folder; there were {had}")
    return images, sentences


@contextmanager
def _pictures_of(source: Path, every: int | None, sentences: list[str], progress: Progress | None) -> Iterator[Path]:
    """Give the folder of a film's frames, which is there within the block alone, or the source itself."""
    if not (is_video(source) and source.is_file()):
        yield source
        return
    told = named(progress, "reading frames")
    with tempfile.TemporaryDirectory(prefix="sase-gan-frames-") as folder:
        looked_at, alike = take_frames(
            source, Path(folder), every=every, progress=None if told is None else lambda done: told(done, done)
        )
        sentences.append(f"{looked_at} frames were looked at, {alike} of them left out as too like another")
        yield Path(folder)
