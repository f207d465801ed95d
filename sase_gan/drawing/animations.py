"""Films and animations from pictures: MP4 by PyAV, GIF by Pillow."""

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from torch import Tensor

from sase_gan.errors import UsageError
from sase_gan.files import write_atomically
from sase_gan.pixels import to_pillow

FRAMES_PER_SECOND = 20


def write_mp4(path: Path | str, frames: Tensor, *, frames_per_second: int = FRAMES_PER_SECOND) -> None:
    """Write uint8 `[n, 3, height, width]` as H.264; a row or column is repeated where a side is odd.

    Raises:
        UsageError: for no frame.
    """
    import imageio.v3 as imageio

    _check(frames)
    height, width = frames.shape[2:]
    if height % 2 or width % 2:
        frames = F.pad(frames.float(), (0, width % 2, 0, height % 2), mode="replicate").to(frames.dtype)
    pictures = frames.permute(0, 2, 3, 1).contiguous().numpy()
    with write_atomically(path) as temporary:
        imageio.imwrite(temporary, pictures, plugin="pyav", codec="libx264", fps=frames_per_second)


def write_gif(path: Path | str, frames: Tensor, *, frames_per_second: int = FRAMES_PER_SECOND) -> None:
    """Write uint8 `[n, 3, height, width]` as an animated GIF that repeats for ever.

    Raises:
        UsageError: for no frame.
    """
    _check(frames)
    first, *others = [to_pillow(frame).quantize(256) for frame in frames]
    with write_atomically(path) as temporary:
        first.save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=others,
            duration=round(1000 / frames_per_second),
            loop=0,
        )


def _check(frames: Tensor) -> None:
    if frames.ndim != 4 or frames.shape[1] != 3 or len(frames) == 0:
        raise UsageError(f"frames of shape {tuple(frames.shape)} were given; [n, 3, height, width], n >= 1 is required")
