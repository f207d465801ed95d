"""A film lasts as long as it says, in both formats."""

from pathlib import Path

import av
import pytest
import torch
from PIL import Image

from sase_gan.errors import UsageError
from sase_gan.films import write_gif, write_mp4

FRAMES = torch.randint(0, 256, (30, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def seconds_of_gif(path: Path) -> float:
    with Image.open(path) as film:
        total = 0
        for index in range(film.n_frames):
            film.seek(index)
            total += film.info["duration"]
    return total / 1000


@pytest.mark.parametrize("speed", [1, 7, 10, 12, 20, 24, 30, 60, 120])
def test_mp4_and_gif_last_equally_long(tmp_path: Path, speed: int) -> None:
    write_gif(tmp_path / "x.gif", FRAMES, frames_per_second=speed)
    assert seconds_of_gif(tmp_path / "x.gif") == pytest.approx(30 / speed, abs=0.011)
    with Image.open(tmp_path / "x.gif") as film:
        for index in range(film.n_frames):
            film.seek(index)
            assert film.info["duration"] >= 20  # browsers slow shorter ones down
    write_mp4(tmp_path / "x.mp4", FRAMES, frames_per_second=speed)
    with av.open(str(tmp_path / "x.mp4")) as film:
        stream = film.streams.video[0]
        assert stream.frames == 30
        assert float(stream.duration * stream.time_base) == pytest.approx(30 / speed, abs=0.011)


@pytest.mark.parametrize("speed", [0, -5, 121])
def test_a_speed_that_no_film_has_is_refused_before_anything_is_written(tmp_path: Path, speed: int) -> None:
    for write, name in ((write_gif, "x.gif"), (write_mp4, "x.mp4")):
        with pytest.raises(UsageError, match=f"frames_per_second is {speed}; it must be between 1 and 120"):
            write(tmp_path / name, FRAMES, frames_per_second=speed)
    assert list(tmp_path.iterdir()) == []
