"""What is worth knowing about the files of a set: what was left out, cut or changed, and what spoils it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from PIL import Image
from torch import Tensor

from sase_gan.datasets.duplicates import DuplicatePair, find_duplicates, thumbnail
from sase_gan.datasets.listing import LeftOut
from sase_gan.datasets.sources import ImageSource
from sase_gan.fits import Fit
from sase_gan.pixels import Picture
from sase_gan.sixteen_bits import FULL_WHITE


@dataclass(frozen=True)
class ImageSetNotes:
    """The notes tell what is worth knowing about the files of a set; shares are of the readable pictures, 0..1.

    Attributes:
        ignored: files that lie among the pictures and are none by their suffix.
        jpeg_sources: how many pictures came from JPEG files, whose artefacts a generator learns too.
        upscaled: names of those smaller than the image size.
        grey_share: without any colour; transparent_share: with transparent pixels.
        left_out: all files that were left out, by kind, those of `ignored` among them.
        cut: names of those with further frames or pages, of which the first was read.
        deep: names of those with 16 bits a value; white: the value of them that became 255.
        extremes: lowest and highest value of all grey ones with 16 bits; fine: whether all their bits are learnt from.
        flat: names of those that are one colour all over; hidden: of these, those whose drawing is lost on the
            background behind their transparent pixels.
        squashed: names of those that are not square and were made so without regard to their proportions.
        snapshots: how many of the pictures were drawn by which snapshot of ours, by its hash.
    """

    ignored: tuple[str, ...]
    jpeg_sources: int
    upscaled: tuple[str, ...]
    duplicates: tuple[DuplicatePair, ...]
    grey_share: float
    transparent_share: float
    non_square_share: float
    smallest_side: int
    largest_side: int
    left_out: tuple[LeftOut, ...] = ()
    cut: tuple[str, ...] = ()
    deep: tuple[str, ...] = ()
    white: int = FULL_WHITE
    extremes: tuple[int, int] | None = None
    fine: bool = False
    flat: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    squashed: tuple[str, ...] = ()
    snapshots: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Loaded:
    """A picture that was read, at the size of its set, with what its file was like."""

    pixels: Tensor
    # Bytes, which Python keeps apart: a small tensor of each picture would sit in the hole that its pixels left, where
    # the pixels of the next picture no longer fit.
    thumbnail: bytes
    digest: str
    width: int
    height: int
    jpeg: bool
    transparent: bool
    grey: bool
    cut: bool
    deep: bool
    flat: bool
    hidden: bool
    extremes: tuple[int, int] | None
    fine: Tensor | None

    @classmethod
    def of(cls, picture: Picture, image: Image.Image, pixels: Tensor, digest: str, fine: Tensor | None = None) -> Self:
        """Note what a picture is like: as it was decoded, and as `image` and its pixels uint8 [3, H, W].

        Args:
            fine: its 16 bits, where they are kept.
        """
        return cls(
            pixels=pixels,
            thumbnail=thumbnail(image).numpy().tobytes(),
            digest=digest,
            width=picture.width,
            height=picture.height,
            jpeg=picture.file_format == "JPEG",
            transparent=picture.transparent,
            grey=bool((pixels[:3] == pixels[:1]).all()),
            cut=picture.frames_left,
            deep=picture.deep,
            flat=bool((pixels == pixels[:, :1, :1]).all()),
            hidden=picture.hidden,
            extremes=picture.extremes,
            fine=fine,
        )


def make_notes(
    source: ImageSource,
    names: tuple[str, ...],
    items: Sequence[Loaded],
    size: tuple[int, int] | None,
    fit: Fit,
    *,
    fine: bool = False,
) -> ImageSetNotes:
    """Gather the notes of a set from its source and its pictures, of which there is at least one.

    Args:
        size: height and width that the pictures were brought to; None: as they are.
        fine: whether all bits of those of 16 are learnt from.
    """
    count = len(items)
    thumbnails = torch.frombuffer(bytearray(b"".join(item.thumbnail for item in items)), dtype=torch.uint8)
    sides = [(min(item.width, item.height), max(item.width, item.height)) for item in items]

    def those(*flags: bool) -> tuple[str, ...]:
        return tuple(name for name, flag in zip(names, flags, strict=True) if flag)

    return ImageSetNotes(
        ignored=source.ignored,
        jpeg_sources=sum(item.jpeg for item in items),
        upscaled=those(*(_enlarged(item, size, fit) for item in items)),
        duplicates=find_duplicates(names, thumbnails.view(count, -1), [item.digest for item in items]),
        grey_share=sum(item.grey for item in items) / count,
        transparent_share=sum(item.transparent for item in items) / count,
        non_square_share=sum(short != long for short, long in sides) / count,
        smallest_side=min(short for short, _ in sides),
        largest_side=max(long for _, long in sides),
        left_out=source.left_out,
        cut=those(*(item.cut for item in items)),
        deep=those(*(item.deep for item in items)),
        white=source.white(),
        extremes=_extremes([item.extremes for item in items if item.extremes is not None]),
        fine=fine,
        flat=those(*(item.flat for item in items)),
        hidden=those(*(item.hidden for item in items)),
        squashed=those(*(fit == "squash" and size is not None and _of_other_proportions(i, size) for i in items)),
        snapshots=tuple(source.snapshots.most_common()),
    )


def _extremes(found: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    return (min(low for low, _ in found), max(high for _, high in found)) if found else None


def _enlarged(item: Loaded, size: tuple[int, int] | None, fit: Fit) -> bool:
    if size is None:
        return False
    if size[0] == size[1]:  # a square is told by the shorter side, however it is fitted
        return min(item.width, item.height) < size[0]
    scales = size[0] / item.height, size[1] / item.width
    return (min(scales) if fit == "pad" else max(scales)) > 1


def _of_other_proportions(item: Loaded, size: tuple[int, int]) -> bool:
    return item.height * size[1] != item.width * size[0]


def losses_in_words(notes: ImageSetNotes, count: int) -> list[str]:
    """Say what of a set's files is not in its pictures, or not as it was: a line a kind, with counts.

    Args:
        count: of the pictures.
    """
    lines = [
        f"left out, {kind.why}: {_counted(len(kind.names), 'file')} ({_some(kind.names)})" for kind in notes.left_out
    ]
    if notes.cut:
        lines.append(
            f"cut: {_counted(len(notes.cut), 'file')} with several frames or pages, of which the first is read"
        )
    if notes.squashed:
        lines.append(
            f"squashed: {_counted(len(notes.squashed), 'picture')} of other proportions, which a generator learns "
            f"distorted ({_some(notes.squashed)})"
        )
    if notes.deep and notes.white < FULL_WHITE:
        lines.append(
            f"scaled: {_counted(len(notes.deep), 'picture')} of 16 bits that use {notes.white.bit_length()} of them: "
            f"{notes.white} is white"
        )
    if notes.deep:
        lines += _bits_in_words(notes)
    return [*lines, *_spoilt(notes, count)]


def _bits_in_words(notes: ImageSetNotes) -> list[str]:
    """Say how many bits of pictures of 16 are kept, and what is left of a range of which they use little."""
    count = _counted(len(notes.deep), "picture")
    if notes.fine:
        lines = [f"16 bits: all of them are learnt of {count}, and figures and previews show 8"]
    else:
        lines = [f"16 bits: 8 of them are kept of {count}; of a set, --colours grey learns all, in grey"]
    if notes.extremes is not None:
        low, high = notes.extremes
        if 0 <= 8 * (high - low) < notes.white:
            greys = (high * 255 + notes.white // 2) // notes.white - (low * 255 + notes.white // 2) // notes.white + 1
            lines.append(
                f"narrow: they use the values {low} to {high} of 0 to {notes.white} alone, {greys} of the 256 greys of "
                "8 bits, and look nearly flat; stretch them to the whole range first"
            )
    return lines


def _spoilt(notes: ImageSetNotes, count: int) -> list[str]:
    """Say what makes a training on the set pointless."""
    lines = []
    if notes.hidden:
        lines.append(
            f"lost: {_counted(len(notes.hidden), 'picture')} with a drawing on transparent ground that has the colour "
            f"of the background: {_some(notes.hidden)}; choose another one, such as --background black"
        )
    rest = tuple(name for name in notes.flat if name not in set(notes.hidden))
    if rest:
        lines.append(f"empty: {_counted(len(rest), 'picture')} of one colour all over: {_some(rest)}")
    # Pairs connect pictures that are the same: N - 1 of them leave one.
    if count > 1 and sum(pair.kind == "exact" for pair in notes.duplicates) == count - 1:
        lines.append(f"alike: all {count} pictures are the same one; nothing can be learnt from what is different")
    return lines


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
