"""Writing films, MP4 and GIF."""

from pathlib import Path

import torch.nn.functional as F
from torch import Tensor

from sase_gan.errors import UsageError
from sase_gan.files import write_atomically
from sase_gan.pixels import to_pillow

FRAMES_PER_SECOND = 20
MOST_FRAMES_PER_SECOND = 120
_SHORTEST_GIF_FRAME = 2
"""In hundredths of a second; browsers show shorter ones for ten."""


def write_mp4(path: Path | str, frames: Tensor, *, frames_per_second: int = FRAMES_PER_SECOND) -> None:
    """Write uint8 `[n, 3, height, width]` as H.264; a row or column is repeated where a side is odd.

    Raises:
        UsageError: for no frame, or a speed outside 1 to `MOST_FRAMES_PER_SECOND`.
    """
    import imageio.v3 as imageio

    check_film(frames, frames_per_second)
    height, width = frames.shape[2:]
    if height % 2 or width % 2:
        frames = F.pad(frames.float(), (0, width % 2, 0, height % 2), mode="replicate").to(frames.dtype)
    pictures = frames.permute(0, 2, 3, 1).contiguous().numpy()
    with write_atomically(path) as temporary:
        imageio.imwrite(temporary, pictures, plugin="pyav", codec="libx264", fps=frames_per_second)


def write_gif(path: Path | str, frames: Tensor, *, frames_per_second: int = FRAMES_PER_SECOND) -> None:
    """Write uint8 `[n, 3, height, width]` as an animated GIF that repeats for ever and lasts as long as the MP4.

    GIF counts hundredths of a second: frames differ by one, so that the sum is right, and where they would be shorter
    than browsers show, some are left out.

    Raises:
        UsageError: as `write_mp4`.
    """
    check_film(frames, frames_per_second)
    shown, durations = _gif_times(len(frames), frames_per_second)
    first, *others = [to_pillow(frames[index]).quantize(256) for index in shown]
    with write_atomically(path) as temporary:
        # Pillow takes milliseconds.
        times = [10 * duration for duration in durations]
        first.save(temporary, format="GIF", save_all=True, append_images=others, duration=times, loop=0)


def check_film(frames: Tensor, frames_per_second: int) -> None:
    """Refuse what is no film.

    Raises:
        UsageError: as `write_mp4`.
    """
    check_speed(frames_per_second)
    if frames.ndim != 4 or frames.shape[1] != 3 or len(frames) == 0:
        raise UsageError(f"frames of shape {tuple(frames.shape)} were given; [n, 3, height, width], n >= 1 is required")


def check_speed(frames_per_second: int) -> None:
    """Refuse a speed that no film has, before its frames are drawn.

    Raises:
        UsageError: outside 1 to `MOST_FRAMES_PER_SECOND`.
    """
    if not 1 <= frames_per_second <= MOST_FRAMES_PER_SECOND:
        raise UsageError(
            f"frames_per_second is {frames_per_second}; it must be between 1 and {MOST_FRAMES_PER_SECOND} (10 to 25 "
            "are usual)"
        )


def _gif_times(count: int, frames_per_second: int) -> tuple[list[int], list[int]]:
    """Choose the frames that a GIF shows, and how many hundredths of a second each lasts.

    Example:
        >>> _gif_times(3, 30)
        ([0, 1, 2], [3, 4, 3])
        >>> _gif_times(6, 100)
        ([0, 2, 4], [2, 2, 2])
    """
    end = max(_SHORTEST_GIF_FRAME, round(100 * count / frames_per_second))
    shown, starts = [0], [0]
    for index in range(1, count):
        start = round(100 * index / frames_per_second)
        if start - starts[-1] >= _SHORTEST_GIF_FRAME and end - start >= _SHORTEST_GIF_FRAME:
            shown.append(index)
            starts.append(start)
    return shown, [after - start for start, after in zip(starts, [*starts[1:], end], strict=True)]
