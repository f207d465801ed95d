"""Which kind of run, preset and image size suit pictures on a machine, and why; how many pictures a set needs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sase_gan.fits import sides
from sase_gan.networks.channel_tables import IMAGE_SIZES
from sase_gan.recombination.schedules import COARSEST

FEWEST_IMAGES = 4
"""A set that a network is trained on has at least so many pictures."""

ADVISED_IMAGES = 30
"""With fewer pictures a trained network mostly draws near copies of them: they are recombined without training."""


@dataclass(frozen=True)
class Choice:
    """A choice names a preset, the image size, and the reason in one sentence."""

    preset: str
    image_size: int | str
    reason: str


def choose_kind(num_images: int) -> tuple[str, str]:
    """Choose what to make of so many pictures where nothing was asked for: the task's name, and why in one sentence."""
    if num_images == 1:
        return "instant", (
            "one picture: new arrangements of it, at once; --preset quick or standard trains a network on it, which "
            "keeps large things whole"
        )
    if num_images < ADVISED_IMAGES:
        return "instant", (
            f"{num_images} pictures are fewer than {ADVISED_IMAGES}, of which a network mostly learns near copies: new "
            "arrangements of them, at once; a network is trained on them with --preset cpu or gpu"
        )
    return "low_shot", f"{num_images} pictures: a network is trained; --preset instant needs no training"


def choose_instant_side(sides: Sequence[int], *, gpu: bool) -> int:
    """Choose the side of pictures that are recombined: as large as these sides allow, up to what is drawn in a second.

    Example:
        >>> choose_instant_side([500, 90], gpu=False), choose_instant_side([500, 333], gpu=True)
        (88, 256)
    """
    return recombinable(min(256 if gpu else 128, *sides))


def choose_free_side(sides: Sequence[int], count: int, *, gpu: bool) -> int:
    """Choose the side of a few pictures that are recombined from any place.

    Their patches are searched in each other first: 10 pictures of 64 px take 16 CPU seconds, of 128 px 80.

    Example:
        >>> [choose_free_side([500], count, gpu=False) for count in (2, 5, 10, 29)]
        [128, 88, 64, 64]
    """
    side = choose_instant_side(sides, gpu=gpu)
    return side if gpu else min(side, recombinable(max(64, math.isqrt(10 * 64**2 // count))))


def recombinable(side: int, shorter: int | None = None) -> int:
    """Round a side down so that it can be halved until it is shorter than 64 px, and then has whole blocks of 4 px.

    Args:
        shorter: the shorter side, which decides how often, where this is the longer one.

    Example:
        >>> [recombinable(side) for side in (18, 63, 101, 128, 250)]
        [16, 60, 96, 128, 240]
    """
    block = 4
    while (shorter or side) // block >= 2 * COARSEST // 4:
        block *= 2
    return side // block * block


def choose_preset(num_images: int, smallest_side: int, *, gpu: bool, image_size: int | str | None = None) -> Choice:
    """Choose the preset for a low-shot run.

    On a CPU pictures of 64 px train in minutes and 256 px would take days, so the small preset is chosen whatever the
    pictures' size. On a GPU the image size is the largest, up to 256 px, that the smallest picture reaches; 512 and
    1024 px cost several times more and are taken on request only.

    Args:
        smallest_side: of the pictures in pixels; smaller pictures would be enlarged.
        image_size: the user's wish, a side or WIDTHxHEIGHT, which is kept.
    """
    if not gpu:
        size = image_size or 64
        return Choice("cpu", size, f"{num_images} pictures on a CPU: a narrow network at {size} px")
    size = image_size or max((s for s in IMAGE_SIZES if s <= min(256, smallest_side)), default=min(IMAGE_SIZES))
    reason = f"{num_images} pictures, the smallest {smallest_side} px, on a GPU: the full network at {size} px"
    return Choice("gpu" if min(sides(size)) <= 256 else "gpu_large", size, reason)


def recommend_image_size(short_sides: Sequence[int]) -> int:
    """Recommend the largest image size that enlarges no more than a twentieth of the pictures.

    Advice for whoever chooses the size: a training that chooses by itself (`choose_preset`) enlarges none and stops at
    256 px, because larger networks cost several times more.
    """
    limit = sorted(short_sides)[int(0.05 * len(short_sides))]
    return max((size for size in IMAGE_SIZES if size <= limit), default=IMAGE_SIZES[0])


def choose_one_shot_preset(*, gpu: bool) -> tuple[str, str]:
    """Choose the preset for a run on one picture; with the reason in one sentence."""
    if gpu:
        return "standard", "one picture on a GPU: the full recipe at up to 250 px"
    return "quick", "one picture on a CPU: the short recipe at up to 128 px"
