"""Films as sources of pictures: every n-th frame, without those that look like one that was taken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from sase_gan.datasets.duplicates import NEAR_THRESHOLD, thumbnail
from sase_gan.errors import DataError, UsageError
from sase_gan.pixels import to_tensor, write_png

SUFFIXES = frozenset((".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg"))
SECONDS_BETWEEN = 0.5
"""Between frames, where nothing else is asked for."""


def is_video(path: Path) -> bool:
    """Tell whether a file counts as a film, by its suffix."""
    return path.suffix.lower() in SUFFIXES


def take_frames(
    path: Path, folder: Path, *, every: int | None = None, progress: Callable[[int], None] | None = None
) -> tuple[int, int]:
    """Write every n-th frame of a film as a PNG, named by its number, but none that looks like one before.

    Frames are compared with all that were taken, by the measure of `datasets.duplicates`; mirror images count as new
    here. One frame is in memory at a time, and of each that was taken 256 bytes.

    Args:
        every: n; None for a frame each half second.
        progress: called with the number of frames read.

    Returns:
        How many frames were looked at, and how many of them were left out as too like another.

    Raises:
        DataError: no film that can be read, or one without a frame.
        UsageError: n below 1.
    """
    import av

    if every is not None and every < 1:
        raise UsageError(f"every is {every}; it must be 1 or more (1 takes every frame)")
    taken: list[Tensor] = []
    looked_at = 0
    try:
        with av.open(str(path)) as film:
            stream = film.streams.video[0]
            rate = float(stream.average_rate or 24)
            step = every or max(1, round(SECONDS_BETWEEN * rate))
            for number, frame in enumerate(film.decode(stream)):
                if progress is not None:
                    progress(number + 1)
                if number % step:
                    continue
                looked_at += 1
                image: Image.Image = frame.to_image()
                small = thumbnail(image)
                if not _seen(small, taken):
                    taken.append(small)
                    write_png(folder / f"{path.stem}-{number:06d}.png", to_tensor(image))
    except (av.FFmpegError, IndexError, OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read as a film ({error}); convert it to MP4 (H.264), or give pictures"
        ) from (error)
    if not looked_at:
        raise DataError(f"{path} holds no frame; convert it to MP4 (H.264), or give pictures")
    return looked_at, looked_at - len(taken)


def _seen(small: Tensor, taken: list[Tensor]) -> bool:
    if not taken:
        return False
    differences = (torch.stack(taken).float() - small.float()).abs().amax(1)
    return bool((differences <= NEAR_THRESHOLD).any())
