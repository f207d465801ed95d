"""Music: when something begins in it, frame by frame of a film, read in one pass without holding it in memory.

The onset strength is the spectral flux of Bello and others, "A Tutorial on Onset Detection in Music Signals" (2005):
the sum of what grew in the logarithmic energies of 24 bands, a frame of the film against the one before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sase_gan.errors import DataError

RATE = 22_050
"""Samples a second at which music is listened to."""
_BANDS = 24
_LOWEST, _HIGHEST = 40.0, 10_000.0
_FAINT = 1e-4
"""Energy under which a band counts as silent, so that the noise of a quiet recording begins nothing."""


@dataclass(frozen=True)
class Music:
    """What a film needs to know of a piece of music.

    Attributes:
        onsets: how much begins during each frame, `[frames]`, 0 or more.
        seconds: how long the music is.
    """

    onsets: NDArray[np.float64]
    seconds: float


def listen(path: Path | str, frames_per_second: int, *, seconds: float | None = None) -> Music:
    """Listen to a WAV or MP3, or whatever else the decoder reads, or to its first seconds.

    Raises:
        DataError: no file, or none with sound in it.
    """
    edges = _band_edges(frames_per_second)
    onsets: list[float] = []
    before: NDArray[np.float64] | None = None
    samples = 0
    for piece in _pieces(path, frames_per_second, seconds):
        samples += len(piece)
        bands = _bands(piece, edges)
        # Before the music there was silence: what sounds at once begins.
        onsets.append(float(np.maximum(bands - (0.0 if before is None else before), 0).sum()))
        before = bands
    if not samples:
        raise DataError(f"{path} has no sound in it; give a WAV or an MP3 file")
    return Music(np.array(onsets), samples / RATE)


def _pieces(path: Path | str, frames_per_second: int, seconds: float | None) -> Iterator[NDArray[np.float32]]:
    """Cut the sound, mixed to one channel, where frames of the film begin."""
    most = None if seconds is None else round(seconds * RATE)
    waiting: list[NDArray[np.float32]] = []
    have = start = number = 0
    for samples in _decoded(path):
        waiting.append(samples)
        have += len(samples)
        while have >= (end := round((number + 1) * RATE / frames_per_second)) - start:
            whole = np.concatenate(waiting)
            length = end - start
            if most is not None and end > most:
                if most > start:
                    yield whole[: most - start]
                return
            yield whole[:length]
            waiting, have, start, number = [whole[length:]], have - length, end, number + 1
    if waiting:
        rest = np.concatenate(waiting)[: None if most is None else max(0, most - start)]
        if len(rest):
            yield rest


def open_music(path: Path | str) -> Any:
    """Open a piece of music; a file that calls itself WAV or MP3 is read as that.

    So it cannot be a list of addresses under another name.
    """
    import av

    return av.open(str(path), format={".wav": "wav", ".mp3": "mp3"}.get(Path(path).suffix.lower()))


def seconds_of(path: Path | str) -> float:
    """Tell how long a piece of music is, by its header.

    Raises:
        DataError: as `listen`.
    """
    import av

    try:
        with open_music(path) as file:
            if file.streams.audio and file.duration:
                return float(file.duration / av.time_base)
    except (av.FFmpegError, OSError) as error:
        raise _unreadable(path, error) from error
    raise DataError(f"{path} has no sound in it; give a WAV or an MP3 file")


def _unreadable(path: Path | str, error: Exception) -> DataError:
    return DataError(f"{path} cannot be read as music ({error}); give a WAV or an MP3 file")


def _decoded(path: Path | str) -> Iterator[NDArray[np.float32]]:
    import av

    if not Path(path).is_file():
        raise DataError(f"{path} does not exist; give a WAV or an MP3 file")
    try:
        with open_music(path) as file:
            if not file.streams.audio:
                raise DataError(f"{path} has no sound in it; give a WAV or an MP3 file")
            resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
            for frame in file.decode(file.streams.audio[0]):
                for part in resampler.resample(frame):
                    yield part.to_ndarray()[0]
            for part in resampler.resample(None):
                yield part.to_ndarray()[0]
    except (av.FFmpegError, OSError) as error:
        raise _unreadable(path, error) from error


def _band_edges(frames_per_second: int) -> NDArray[np.float64]:
    return np.geomspace(max(_LOWEST, frames_per_second), _HIGHEST, _BANDS + 1)


def _bands(piece: NDArray[np.float32], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """The logarithmic energies of a frame's sound in bands, 0 for silence."""
    spectrum = np.abs(np.fft.rfft(piece * np.hanning(len(piece)))) ** 2 / max(1, len(piece))
    places = np.fft.rfftfreq(len(piece), 1 / RATE)
    bands = np.zeros(_BANDS)
    np.add.at(bands, np.clip(np.searchsorted(edges, places, side="right") - 1, 0, _BANDS - 1), spectrum)
    return np.log1p(bands / _FAINT)
