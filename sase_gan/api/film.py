"""Films of a model: walks from picture to picture of any length, at an even pace or in time with music."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sase_gan.api.models import HasFolder, find_snapshot, load
from sase_gan.api.progress import shown
from sase_gan.drawing.recipes import Recipe, parse_names, stations_of
from sase_gan.drawing.sampling import check_seeds, check_truncation
from sase_gan.drawing.walks import Place, walk_frames
from sase_gan.errors import UsageError
from sase_gan.films import FilmWriter, check_speed
from sase_gan.music import listen
from sase_gan.networks.load import Network
from sase_gan.pixels import to_float, to_uint8
from sase_gan.progress import named
from sase_gan.snapshot import snapshot_digest

LARGEST_SIDE = 4096
_ECHO = 0.25
"""Seconds in which what an onset sets going falls to a third."""


@dataclass(frozen=True)
class Film:
    """A film that was written.

    Attributes:
        size: width and height in pixels.
    """

    path: Path
    frames: int
    seconds: float
    size: tuple[int, int]


def film(
    model: Network | Path | str | HasFolder,
    pictures: str | Iterable[int] = (0, 5, 12),
    out: Path | str = "film.mp4",
    *,
    music: Path | str | None = None,
    seconds: float | None = None,
    frames_per_second: int = 25,
    side: int | None = None,
    loop: bool = True,
    pace: float = 2.0,
    strength: float = 0.8,
    truncation: float = 1.0,
    batch_size: int = 8,
    device: str = "auto",
    progress: bool = True,
) -> Film:
    """Write a film from picture to picture, an MP4; with music it goes faster where something begins in that.

    Frames are drawn, written and forgotten in batches, and the music is read as it is needed: a film of any length
    takes the same memory.

    Args:
        pictures: the stations, as seeds or names, see `sample`.
        music: WAV or MP3, which goes along; None for a silent film at an even pace.
        seconds: of the film; None for as long as the music, or `pace` for each station.
        side: of the frames in pixels, the shorter one; None for the model's own. Frames are enlarged smoothly.
        loop: end where it began, so that the film can be repeated without a jump.
        pace: seconds from station to station; the stations come again and again while the film lasts.
        strength: 0 to 1, the share of the way that is gone where something begins in the music; the rest is even.

    Raises:
        DataError: no such model, or no music.
        UsageError: fewer than two stations, or a number out of range.

    Example:
        `sase_gan.film("runs/faces-001", "0,5,12", music="song.mp3", side=256)`
    """
    _check(seconds, frames_per_second, side, pace, strength, truncation)
    out = Path(out)
    if out.suffix.lower() != ".mp4":
        raise UsageError(f"the film is to be written to {out}; its name must end in .mp4")
    recipes = [replace(recipe, truncation=truncation) for recipe in _stations(pictures)]
    network: Network = model if isinstance(model, Network) else load(model, device=device)
    if not isinstance(model, Network):
        for recipe in recipes:
            recipe.check_snapshot(snapshot_digest(find_snapshot(model)))
    stations = stations_of(network, recipes)
    onsets = None
    if music is not None:
        heard = listen(music, frames_per_second, seconds=seconds)
        onsets, seconds = heard.onsets, seconds or heard.seconds
    seconds = seconds or pace * (len(recipes) if loop else len(recipes) - 1)
    count = max(2, round(seconds * frames_per_second))
    places = timed_places(len(recipes), count, seconds=seconds, loop=loop, pace=pace, onsets=onsets, strength=strength)
    size = (0, 0)
    with shown(progress) as bars, FilmWriter(out, frames_per_second=frames_per_second, music=music) as writer:
        told = named(bars, "filming")
        for frames in walk_frames(network, stations, places, batch_size=batch_size):
            frames = enlarged(frames, side)
            size = frames.shape[3], frames.shape[2]
            writer.write(frames)
            if told is not None:
                told(writer.frames, count)
    return Film(out, count, count / frames_per_second, (size[0] + size[0] % 2, size[1] + size[1] % 2))


def timed_places(
    stations: int,
    count: int,
    *,
    seconds: float,
    loop: bool,
    pace: float = 2.0,
    onsets: NDArray[np.float64] | None = None,
    strength: float = 0.8,
) -> list[Place]:
    """Place the frames of a film on its walk.

    In a loop all stations are passed so often that one takes about `pace` seconds; an open film passes each once.

    Args:
        onsets: how much begins in the music during each frame; fewer than frames are followed by silence. What begins
            moves the very frame in which it does, and those after it less and less.

    Example:
        >>> timed_places(2, 4, seconds=4, loop=True)
        [(0, 0.0), (0, 0.5), (1, 0.0), (1, 0.5)]
        >>> timed_places(2, 3, seconds=4, loop=False)
        [(0, 0.0), (0, 0.5), (0, 1.0)]
    """
    legs = stations * max(1, round(seconds / (pace * stations))) if loop else stations - 1
    # Step i leads to frame i; the one to frame 0 is, in a loop, that from the last frame back to it.
    steps = np.full(count, 1 / count)
    if onsets is not None and strength > 0:
        moving = _moving(onsets, count, seconds)
        if moving.sum() > 0:
            steps = (1 - strength) * steps + strength * moving / moving.sum()
    if loop:
        along = legs * (np.cumsum(steps) - steps[0]) / steps.sum()
    else:
        along = legs * (np.cumsum(steps) - steps[0]) / max(1e-12, steps[1:].sum())
    places = [(int(place), float(place - int(place))) for place in np.round(along, 9)]
    return places if loop else [*places[:-1], (legs - 1, 1.0)]


def _moving(onsets: NDArray[np.float64], count: int, seconds: float) -> NDArray[np.float64]:
    """Let what begins in each frame echo in those after it."""
    fade = float(np.exp(-seconds / count / _ECHO))
    moving, now = np.zeros(count), 0.0
    for frame in range(count):
        now = fade * now + (onsets[frame] if frame < len(onsets) else 0.0)
        moving[frame] = now
    return moving


def enlarged(frames: Tensor, side: int | None) -> Tensor:
    """Bring uint8 frames `[n, 3, height, width]` to a shorter side of so many pixels, smoothly; None leaves them."""
    height, width = frames.shape[2:]
    if side is None or min(height, width) == side:
        return frames
    factor = side / min(height, width)
    size = (round(height * factor), round(width * factor))
    return to_uint8(F.interpolate(to_float(frames), size=size, mode="bicubic", antialias=factor < 1))


def _stations(pictures: str | Iterable[int]) -> Sequence[Recipe]:
    if isinstance(pictures, str):
        return parse_names(pictures, files=True)
    found = [Recipe(int(seed)) for seed in pictures]
    check_seeds([recipe.seed for recipe in found])
    return found


def _check(
    seconds: float | None, frames_per_second: int, side: int | None, pace: float, strength: float, truncation: float
) -> None:
    check_speed(frames_per_second)
    check_truncation(truncation)
    if seconds is not None and seconds <= 0:
        raise UsageError(f"seconds is {seconds}; it must be over 0")
    if side is not None and not 16 <= side <= LARGEST_SIDE:
        raise UsageError(f"side is {side}; it must be between 16 and {LARGEST_SIDE} px (256 to 1080 are usual)")
    if pace <= 0:
        raise UsageError(f"pace is {pace}; it must be over 0 seconds (2 is usual)")
    if not 0 <= strength <= 1:
        raise UsageError(
            f"strength is {strength}; it must be between 0 (the music moves nothing) and 1 (it alone does)"
        )
