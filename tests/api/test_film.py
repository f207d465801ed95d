"""Films: in time with their music, as long and large as asked, written as their frames come."""

import weakref
from itertools import pairwise

import av
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import sase_gan
from sase_gan import cli
from sase_gan.api import film as filming
from sase_gan.api.film import enlarged, timed_places
from sase_gan.drawing.recipes import Recipe, draw_recipes
from sase_gan.drawing.walks import latent_walk
from sase_gan.errors import DataError, UsageError
from sase_gan.films import FilmWriter
from sase_gan.networks.generator import Generator, GeneratorConfig
from tests.awake import awake
from tests.test_music import clicks


@pytest.fixture(scope="module")
def network() -> Generator:
    return awake(GeneratorConfig(image_size=32, width=4, latent_size=16, num_components=3, spectral_norm=False))


def along(places) -> np.ndarray:
    return np.array([leg + share for leg, share in places])


def test_without_music_the_pace_is_even_and_a_loop_closes():
    places = along(timed_places(3, 60, seconds=12, loop=True))  # 12 s at 2 s a station: twice through three
    np.testing.assert_allclose(places, np.arange(60) / 10, atol=1e-8)
    places = along(timed_places(3, 61, seconds=12, loop=False))
    np.testing.assert_allclose(places, np.arange(61) / 30, atol=1e-8)
    assert timed_places(3, 61, seconds=12, loop=False)[-1] == (1, 1.0)


@pytest.mark.parametrize("loop", [False, True])
def test_with_music_the_film_moves_where_something_begins(loop):
    onsets = np.zeros(40)
    onsets[[10, 25]] = 1.0, 2.0
    places = along(timed_places(4, 40, seconds=4, loop=loop, onsets=onsets, strength=0.9))
    steps = np.diff(places)
    assert (steps > 0).all()
    assert set(np.argsort(np.diff(steps))[-2:]) == {8, 23}  # the very frame: step i leads to frame i + 1
    assert steps[24] == pytest.approx(2 * steps[9], rel=0.15)
    even = along(timed_places(4, 40, seconds=4, loop=loop, onsets=onsets, strength=0.0))
    np.testing.assert_allclose(np.diff(even), np.diff(even)[0])
    still = timed_places(4, 40, seconds=4, loop=loop, onsets=np.zeros(40), strength=1.0)
    np.testing.assert_allclose(along(still), even)


def test_a_film_with_music_lasts_as_long_sounds_and_moves_in_time(repository, tmp_path):
    music = clicks(tmp_path / "x.wav", [0.5, 1.0, 1.5], 2.0)
    options = {"music": music, "frames_per_second": 20, "side": 96, "strength": 0.95, "progress": False}
    faces = repository / "data" / "snapshots" / "emoji-faces"
    done = sase_gan.film(faces, [0, 5], tmp_path / "x.mp4", device="cpu", **options)
    assert (done.frames, done.seconds, done.size) == (40, 2.0, (96, 96))
    with av.open(str(tmp_path / "x.mp4")) as film:
        video, sound = film.streams.video[0], film.streams.audio[0]
        assert (video.frames, video.width, video.height) == (40, 96, 96)
        assert float(video.duration * video.time_base) == pytest.approx(2.0, abs=0.001)
        assert float(sound.duration * sound.time_base) == pytest.approx(2.0, abs=0.03)
        frames = [frame.to_ndarray(format="rgb24").astype(float) for frame in film.decode(video)]
        film.seek(0)
        heard = np.concatenate([frame.to_ndarray()[0] for frame in film.decode(film.streams.audio[0])])
    moved = [np.abs(after - before).mean() for before, after in pairwise(frames)]
    for moment in (10, 20, 30):  # the frame in which the click is heard is the first to have moved
        assert moved[moment - 1] > 1.5 * moved[moment - 2]
        assert np.abs(heard[moment * 2205 : moment * 2205 + 1500]).max() > 0.3
        assert np.abs(heard[moment * 2205 - 2500 : moment * 2205 - 500]).max() < 0.2


def test_a_silent_film_shows_the_walk(network, tmp_path):
    done = sase_gan.film(network, "3,8", tmp_path / "x.mp4", seconds=0.8, frames_per_second=10, progress=False)
    assert done.frames == 8
    with av.open(str(tmp_path / "x.mp4")) as film:
        assert not film.streams.audio
        frames = [torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1) for frame in film.decode(video=0)]
    walk = latent_walk(network, [3, 8], steps=4, loop=True)
    for shown, drawn in zip(frames, walk, strict=True):
        assert (shown.float() - drawn.float()).abs().mean() < 20  # H.264 halves the resolution of colours


def test_frames_are_forgotten_when_they_are_written(network, tmp_path, monkeypatch):
    alive: list[weakref.ref] = []
    most = 0

    def counted(frames, side):
        nonlocal most
        alive.append(weakref.ref(frames))
        most = max(most, sum(one() is not None for one in alive))
        return frames

    monkeypatch.setattr(filming, "enlarged", counted)
    sase_gan.film(network, [0, 5], tmp_path / "x.mp4", seconds=6, frames_per_second=10, progress=False)
    assert len(alive) == 8
    assert most <= 2


def test_music_that_ends_early_is_followed_by_silence(network, tmp_path):
    music = clicks(tmp_path / "x.wav", [0.2], 0.5)
    done = sase_gan.film(network, [0, 5], tmp_path / "x.mp4", music=music, seconds=1.5, progress=False)
    assert done.seconds == pytest.approx(1.5, abs=0.03)
    with av.open(str(tmp_path / "x.mp4")) as film:
        assert film.streams.video[0].frames == done.frames
        assert float(film.streams.audio[0].duration * film.streams.audio[0].time_base) == pytest.approx(0.5, abs=0.05)


def test_nothing_is_left_of_a_film_that_fails(tmp_path):
    def write() -> None:
        with FilmWriter(tmp_path / "x.mp4") as writer:
            writer.write(torch.zeros(2, 3, 16, 16, dtype=torch.uint8))
            writer.write(torch.zeros(2, 1, 16, 16, dtype=torch.uint8))

    with pytest.raises(UsageError, match="frames of shape"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_frames_are_enlarged_by_their_shorter_side():
    frames = torch.randint(0, 256, (2, 3, 20, 30), dtype=torch.uint8)
    assert enlarged(frames, 40).shape == (2, 3, 40, 60)
    assert enlarged(frames, None) is frames
    flat = torch.full((1, 3, 8, 8), 77, dtype=torch.uint8)
    assert (enlarged(flat, 31) == 77).all()


def test_truncation_reaches_the_film(network):
    stations = [Recipe(3, truncation=0.0), Recipe(8, truncation=0.0)]
    (frame,) = filming.walk_frames(network, filming.stations_of(network, stations), [(0, 0.5)])
    torch.testing.assert_close(frame.int(), draw_recipes(network, stations[:1]).int(), atol=40, rtol=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pictures": [3]}, "a walk needs at least two seeds; got 1"),
        ({"side": 8}, "side is 8; it must be between 16 and 4096"),
        ({"seconds": 0}, "seconds is 0; it must be over 0"),
        ({"pace": -1}, "pace is -1"),
        ({"strength": 2}, "strength is 2; it must be between 0"),
        ({"frames_per_second": 500}, "frames_per_second is 500"),
        ({"out": "x.gif"}, "its name must end in .mp4"),
    ],
)
def test_what_cannot_be_filmed_is_refused(network, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        sase_gan.film(network, **options, progress=False)
    with pytest.raises(DataError, match=r"none.mp3 does not exist"):
        sase_gan.film(network, music="none.mp3", progress=False)
    assert list(tmp_path.iterdir()) == []


def test_the_command_films_with_music(network, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network.save_pretrained(tmp_path / "model")
    clicks(tmp_path / "song.wav", [0.2], 0.5)
    arguments = ["film", "model", "--seeds", "0,17~50.3.2", "--music", "song.wav", "--rate", "10", "--device", "cpu"]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 0, result.output
    assert "5 frames of 32x32 px, 0.5 s, in film.mp4" in result.output
    assert (tmp_path / "film.mp4").stat().st_size > 500
