"""Writing films, MP4 and GIF."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import torch.nn.functional as F
from torch import Tensor

from sase_gan.errors import UsageError
from sase_gan.files import write_atomically
from sase_gan.music import open_music
from sase_gan.pixels import to_pillow

FRAMES_PER_SECOND = 20
MOST_FRAMES_PER_SECOND = 120
_SHORTEST_GIF_FRAME = 2
"""In hundredths of a second; browsers show shorter ones for ten."""


class FilmWriter:
    """A film that is written as its frames come, with or without music: of any length it takes no more memory.

    H.264, and AAC for the sound. A row or column is repeated where a side is odd. Use it in a `with`; the file appears
    whole when the block ends, or not at all.

    Args:
        path: ends in .mp4.
        frames_per_second: 1 to `MOST_FRAMES_PER_SECOND`.
        music: a file whose sound goes along, from its beginning, as long as the film lasts.

    Raises:
        UsageError: a speed that no film has.
    """

    def __init__(
        self, path: Path | str, *, frames_per_second: int = FRAMES_PER_SECOND, music: Path | str | None = None
    ) -> None:
        check_speed(frames_per_second)
        self._path, self._rate, self._music = path, frames_per_second, music
        self.frames = 0

    def __enter__(self) -> Self:
        """Open the file, under another name first."""
        import av

        with ExitStack() as opened:
            temporary = opened.enter_context(write_atomically(self._path))
            self._film = opened.enter_context(av.open(str(temporary), "w", format="mp4"))
            self._video: Any = None
            self._sound = None if self._music is None else _Sound(opened, self._film, self._music)
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *error: Any) -> bool | None:
        """Write what is left, and give the file its name."""
        try:
            if error[0] is None and self._video is not None:
                self._film.mux(self._video.encode(None))
                if self._sound is not None:
                    self._sound.write_until(self.frames / self._rate, last=True)
        except BaseException:
            if not self._opened.__exit__(*sys.exc_info()):
                raise
        return self._opened.__exit__(*error)

    def write(self, frames: Tensor) -> None:
        """Append uint8 `[n, 3, height, width]`, all of one size.

        Raises:
            UsageError: for no frame, or another shape or type.
        """
        import av

        check_film(frames, self._rate)
        height, width = frames.shape[2:]
        if height % 2 or width % 2:
            frames = F.pad(frames.float(), (0, width % 2, 0, height % 2), mode="replicate").to(frames.dtype)
        if self._video is None:
            self._video = self._film.add_stream("libx264", rate=self._rate)
            self._video.height, self._video.width = frames.shape[2:]
            self._video.pix_fmt = "yuv420p"
        for picture in frames.permute(0, 2, 3, 1).contiguous().numpy():
            self._film.mux(self._video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            self.frames += 1
        if self._sound is not None:
            self._sound.write_until(self.frames / self._rate)


class _Sound:
    """The sound of a file on its way into a film."""

    RATE = 44_100

    def __init__(self, opened: ExitStack, film: Any, music: Path | str) -> None:
        import av

        self._source = opened.enter_context(open_music(music))
        self._film, self._done = film, 0
        self._stream = film.add_stream("aac", rate=self.RATE, layout="stereo")
        self._decoded = self._resampled(av.AudioResampler(format="fltp", layout="stereo", rate=self.RATE))
        self._waiting = av.AudioFifo()

    def _resampled(self, resampler: Any) -> Iterator[Any]:
        for frame in self._source.decode(self._source.streams.audio[0]):
            yield from resampler.resample(frame)
        yield from resampler.resample(None)

    def write_until(self, seconds: float, *, last: bool = False) -> None:
        """Encode the sound up to this moment of the film, as far as there is any, in whole frames but for the last."""
        wanted = round(seconds * self.RATE)
        while self._done < wanted:
            size = min(self._stream.codec_context.frame_size or 1024, wanted - self._done if last else 1 << 30)
            while self._waiting.samples < size and (part := next(self._decoded, None)) is not None:
                part.pts = None
                self._waiting.write(part)
            frame = self._waiting.read(size, partial=True)
            if frame is None:
                break
            frame.pts, frame.time_base, frame.sample_rate = self._done, Fraction(1, self.RATE), self.RATE
            self._done += frame.samples
            self._film.mux(self._stream.encode(frame))
        if last:
            self._film.mux(self._stream.encode(None))


def write_mp4(path: Path | str, frames: Tensor, *, frames_per_second: int = FRAMES_PER_SECOND) -> None:
    """Write uint8 `[n, 3, h, w]` as H.264; see `FilmWriter`.

    Raises:
        UsageError: for no frame, or a speed outside 1 to `MOST_FRAMES_PER_SECOND`.
    """
    check_film(frames, frames_per_second)
    with FilmWriter(path, frames_per_second=frames_per_second) as film:
        film.write(frames)


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
