"""Sliders, films, the trail of the map, and live pictures: as functions, without a browser."""

import base64
import html
import io
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import pytest
import torch
from PIL import Image

from sase_gan.drawing.recipes import draw_recipes, parse_names, stations_of
from sase_gan.drawing.sampling import draw_images
from sase_gan.drawing.walks import at_place
from sase_gan.errors import UsageError
from sase_gan.pixels import to_tensor
from sase_gan.recombination.model import Recombiner, RecombinerConfig
from sase_gan.ui import live, walking
from sase_gan.ui.models import Models
from sase_gan.ui.pictures import Sheet
from sase_gan.ui.tabs import explore
from tests.test_music import clicks
from tests.ui.test_handlers import refused


@pytest.fixture(scope="module")
def models(models_folder) -> Models:
    return Models([models_folder])


@pytest.mark.parametrize("method", ["factorisation", "components"])
def test_what_sliders_show_has_a_name_that_the_command_line_draws_alike(models, method):
    moved = explore.ExploreHandlers(models).move("tiny", 7, method, 1.5, 0, -0.3)
    assert moved.name == f"7+{method[0]}0.150+{method[0]}2.-30"
    assert moved.after.info["picture"] == moved.name
    again = draw_recipes(models.open("tiny").network, parse_names(moved.name))[0]
    assert torch.equal(to_tensor(moved.after), again)


def test_a_walk_is_written_as_film_and_animation_into_the_temporary_folder(models, temporary):
    handlers = walking.WalkHandlers(models)
    walk = handlers.walk("tiny", "1, 2", 0.5, 128, True)
    assert Path(walk.film).is_relative_to(temporary)
    assert Path(walk.film).stat().st_size > 1000
    with Image.open(walk.animation) as image:
        assert image.n_frames == 10
        assert image.size == (128, 128)
    assert "Film: 10 frames in 0.5 s, 128 × 128 px" in walk.note
    assert "Preview: 24 frames in 12.0 s, 256 × 256 px" in handlers.preview("tiny", "1, 2", 12, 768, False).note
    with refused("1 pictures are named; between 2 and 12"):
        handlers.walk("tiny", "1")
    with refused("length in seconds is 61; it must be between 0.5 and 60"):
        handlers.walk("tiny", "1, 2", 61)
    with refused("10 frames for 12 pictures; give it more seconds"):
        handlers.walk("tiny", "0-11", 0.5)


def test_a_walk_with_music_sounds_moves_in_time_and_its_preview_is_the_beginning(models, temporary):
    music = clicks(temporary / "clicks.wav", [0.5, 1.5], 2.0)
    handlers = walking.WalkHandlers(models)
    walk = handlers.walk("tiny", "1, 2", 2, 128, True, str(music), 1.0)
    assert "Film: 40 frames in 2.0 s, 128 × 128 px, in time with the music" in walk.note
    with av.open(walk.film) as film:
        assert film.streams.audio
        lasts = float(film.streams.audio[0].duration * film.streams.audio[0].time_base)
        assert lasts == pytest.approx(2, abs=0.06)
        loud = [abs(part.to_ndarray()).max() for part in film.decode(film.streams.audio[0])]
    assert max(loud) > 0.5
    wish = walking.Wish(tuple(parse_names("1,2")), 2.0, 128, True, music, 1.0)
    places, rate = walking.frames_of(wish, preview=False)
    steps = [(b[0] + b[1]) - (a[0] + a[1]) for a, b in pairwise(places)]
    assert rate == 20
    assert {steps.index(step) for step in sorted(steps)[-2:]} <= {9, 10, 29, 30}  # step i leads to frame i + 1
    previewed, slower = walking.frames_of(wish, preview=True)
    assert (previewed, slower) == (places[::2], 10)
    long = replace(wish, seconds=30.0)
    assert len(walking.frames_of(long, preview=True)[0]) == 40
    assert walking.length_of_music(str(music), 4) == 2
    assert walking.length_of_music(None, 4) == 4


def test_what_is_no_music_is_refused_and_no_list_of_addresses_is_opened(models, temporary):
    handlers = walking.WalkHandlers(models)
    (temporary / "a.txt").write_text("words")
    with refused("A.txt is no music by its name|a.txt is no music by its name"):
        handlers.walk("tiny", "1, 2", 1, 128, True, str(temporary / "a.txt"))
    with refused("Only files that were uploaded"):
        handlers.walk("tiny", "1, 2", 1, 128, True, "/etc/passwd.mp3")
    for content in ("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/x.ts\n", "ffconcat version 1.0\nfile /etc/passwd\n"):
        for name in ("list.mp3", "list.wav"):
            (temporary / name).write_text(content)
            with refused("cannot be read as music|has no sound in it"):
                handlers.walk("tiny", "1, 2", 1, 128, True, str(temporary / name))
    with refused("The share that the music moves is 2"):
        handlers.walk("tiny", "1, 2", 1, 128, True, None, 2)


def test_a_walk_rests_on_its_pictures_and_is_halfway_at_half_the_time():
    assert walking.eased_places(3, 6, loop=True) == [(0, 0), (0, 0.5), (1, 0), (1, 0.5), (2, 0), (2, 0.5)]
    assert walking.eased_places(2, 5, loop=False)[::2] == [(0, 0), (0, 0.5), (0, 1)]
    assert walking.eased(0.25) == pytest.approx((1 - 0.5**0.5) / 2)


def test_the_trail_goes_back_and_forth_and_drops_what_lay_ahead():
    def at(name: str) -> Sheet:
        return Sheet("tiny", tuple(parse_names(name)))

    trail = ((), -1)
    for name in ("7", "7@60.0.3", "7@60.0.3@60.0.8", "7@60.0.3@60.0.8"):
        trail = explore.remembered(at(name), trail)
    assert trail == (("7", "7@60.0.3", "7@60.0.3@60.0.8"), 2)
    assert html.unescape(explore.trail_words(trail)) == "Trail: 7 › @60.0.3 › **@60.0.8**"
    trail, name = explore.stepped(trail, -1)
    assert name == "7@60.0.3"
    assert explore.remembered(at(name), trail) == trail
    assert explore.remembered(at("7@60.0.3@60.0.1"), trail) == (("7", "7@60.0.3", "7@60.0.3@60.0.1"), 2)
    with refused("The trail ends here"):
        explore.stepped(explore.stepped(trail, -1)[0], -1)


# --- Live ------------------------------------------------------------------------------------------------------------


def test_a_live_picture_is_that_of_the_sliders_and_of_the_place_on_the_walk(models):
    handlers = live.LiveHandlers(models)
    network = models.open("tiny").network
    wish = {"model": "tiny", "picture": "7", "method": "factorisation", "values": [1.5, 0, 0, 0, 0, -2]}
    image, name = handlers.drawn(wish)
    assert name == "7+f0.150+f5.-200"
    assert torch.equal(image, draw_recipes(network, parse_names(name))[0])
    shown = handlers.frame(wish)
    assert shown["name"] == name
    content = io.BytesIO(base64.b64decode(shown["picture"].partition(",")[2]))
    assert torch.equal(to_tensor(Image.open(content).convert("RGB")), image)
    walk = {"model": "tiny", "pictures": "7, 4, 9"}
    for place, seed in ((0, 7), (1, 4), (5, 9), (3, 7)):  # behind the last comes the first
        expected = draw_images(network, at_place(stations_of(network, parse_names("7,4,9")), (place, 0.0)))[0]
        assert torch.equal(handlers.drawn({**walk, "place": place})[0], expected), seed
    halfway = handlers.drawn({**walk, "place": 0.5})[0]
    assert torch.equal(halfway, draw_images(network, at_place(stations_of(network, parse_names("7,4,9")), (0, 0.5)))[0])


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (None, "no model called None"),
        ({"model": "../tiny", "picture": "0", "values": []}, "There is no model called"),
        ({"model": "tiny", "picture": "-4", "values": []}, "is not understood"),
        ({"model": "tiny", "picture": "0", "values": "1"}, "a list of 6 numbers is required"),
        ({"model": "tiny", "picture": "0", "method": "x", "values": [1]}, "choose one of factorisation, components"),
        ({"model": "tiny", "picture": "0", "method": "components", "values": [99]}, "it must be between -5 and 5"),
        ({"model": "tiny", "pictures": "0", "place": 0}, "between 2 and 12 are possible"),
        ({"model": "tiny", "pictures": "0,1", "place": -1}, "The place on the walk is -1"),
        ({"model": "instant", "picture": "0", "method": "components", "values": [1]}, "which has no directions"),
    ],
)
def test_a_live_wish_that_is_none_is_answered_with_a_sentence(models, wish, words):
    assert words in live.LiveHandlers(models).frame(wish)["error"]


def test_no_more_than_a_few_live_pictures_hold_the_server(models):
    handlers = live.LiveHandlers(models)
    for _ in range(live.MOST_AT_ONCE):
        assert handlers._places.acquire(blocking=False)
    assert handlers.frame({}) == {"busy": True}
    handlers._places.release()
    assert "error" in handlers.frame({})


def test_a_film_that_would_take_many_minutes_is_refused_with_the_length_that_is_possible(models):
    one = Recombiner(RecombinerConfig(count=1, size=(86, 128), names=("a.png",)))
    walking.check_length(one, 80)
    with pytest.raises(
        UsageError, match=r"1200 frames of this model would take about \d+ min; give the film 4.3 seconds"
    ):
        walking.check_length(one, 1200)
    for several in ("instant", "tiny"):
        walking.check_length(models.open(several).network, 1200)
