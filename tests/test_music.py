"""What begins in music is heard in the frame in which it begins, however the file is written."""

import wave
from pathlib import Path

import av
import numpy as np
import pytest

from sase_gan.errors import DataError
from sase_gan.music import RATE, listen

SAMPLES = 44_100


def clicks(path: Path, moments: list[float], seconds: float, *, tone: float = 0.05) -> Path:
    """A quiet tone with short loud ones at these moments, as a stereo WAV."""
    times = np.arange(round(SAMPLES * seconds)) / SAMPLES
    sound = tone * np.sin(2 * np.pi * 220 * times)
    for moment in moments:
        start = round(moment * SAMPLES)
        after = np.arange(min(2000, len(sound) - start))
        sound[start : start + len(after)] += 0.8 * np.exp(-after / 400) * np.sin(2 * np.pi * 1000 * after / SAMPLES)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(SAMPLES)
        file.writeframes((np.repeat(sound, 2) * 32_000).astype("<i2").tobytes())
    return path


def as_mp3(source: Path, goal: Path) -> Path:
    with av.open(str(source)) as read, av.open(str(goal), "w") as written:
        stream = written.add_stream("libmp3lame", rate=SAMPLES)
        for frame in read.decode(audio=0):
            written.mux(stream.encode(frame))
        written.mux(stream.encode(None))
    return goal


@pytest.mark.parametrize("rate", [10, 24, 25])
def test_onsets_are_in_the_frames_in_which_they_begin(tmp_path, rate):
    moments = [0.51, 1.03, 1.77, 2.41]
    music = listen(clicks(tmp_path / "x.wav", moments, 3.0), rate)
    assert music.seconds == pytest.approx(3.0, abs=1 / RATE)
    assert len(music.onsets) == 3 * rate
    strongest = np.sort(np.argsort(music.onsets[1:])[-len(moments) :] + 1)  # in the first frame the tone begins
    np.testing.assert_array_equal(strongest, [int(moment * rate) for moment in moments])
    assert (np.delete(music.onsets[1:], strongest - 1) < 0.5 * music.onsets[strongest].min()).all()


def test_an_mp3_is_heard_alike_and_the_beginning_alone_on_request(tmp_path):
    source = clicks(tmp_path / "x.wav", [0.5, 1.5], 2.0)
    music = listen(as_mp3(source, tmp_path / "x.mp3"), 10)
    assert abs(int(np.argmax(music.onsets[2:10])) + 2 - 5) <= 1  # an MP3 begins some hundredths later
    first = listen(source, 10, seconds=0.75)
    assert len(first.onsets) == 8
    assert first.seconds == pytest.approx(0.75, abs=1 / RATE)
    np.testing.assert_array_equal(first.onsets[:7], listen(source, 10).onsets[:7])


def test_silence_begins_nothing(tmp_path):
    assert not listen(clicks(tmp_path / "x.wav", [], 1.0, tone=0.0), 10).onsets.any()


def test_what_is_no_music_is_refused(tmp_path):
    (tmp_path / "x.wav").write_text("no music")
    with pytest.raises(DataError, match=r"x.wav cannot be read as music"):
        listen(tmp_path / "x.wav", 10)
    with pytest.raises(DataError, match=r"none.mp3 does not exist; give a WAV or an MP3"):
        listen(tmp_path / "none.mp3", 10)
    with av.open(str(tmp_path / "x.mp4"), "w") as film:
        stream = film.add_stream("libx264", rate=10)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        film.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")))
        film.mux(stream.encode(None))
    with pytest.raises(DataError, match="has no sound in it"):
        listen(tmp_path / "x.mp4", 10)
