"""Which preset and image size suit pictures on a machine, and why; how many pictures a set needs."""

from collections.abc import Sequence
from dataclasses import dataclass

from sase_gan.networks.channel_tables import IMAGE_SIZES

FEWEST_IMAGES = 4
"""A training set has at least so many pictures."""

ADVISED_IMAGES = 30
"""With fewer pictures a model mostly draws near copies of them."""


@dataclass(frozen=True)
class Choice:
    """A choice names a preset, the image size, and the reason in one sentence."""

    preset: str
    image_size: int
    reason: str


def choose_preset(num_images: int, smallest_side: int, *, gpu: bool, image_size: int | None = None) -> Choice:
    """Choose the preset for a low-shot run.

    On a CPU pictures of 64 px train in minutes and 256 px would take days, so the small preset is chosen whatever the
    pictures' size. On a GPU the image size is the largest, up to 256 px, that the smallest picture reaches; 512 and
    1024 px cost several times more and are taken on request only.

    Args:
        smallest_side: of the pictures in pixels; smaller pictures would be enlarged.
        image_size: the user's wish, which is kept.
    """
    if not gpu:
        size = image_size or 64
        return Choice("cpu", size, f"{num_images} pictures on a CPU: a narrow network at {size} px")
    size = image_size or max((s for s in IMAGE_SIZES if s <= min(256, smallest_side)), default=min(IMAGE_SIZES))
    reason = f"{num_images} pictures, the smallest {smallest_side} px, on a GPU: the full network at {size} px"
    return Choice("gpu" if size <= 256 else "gpu_large", size, reason)


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
