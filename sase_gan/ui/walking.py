"""Films of walks from picture to picture: so many seconds, in a size, at first as a preview."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import torch

from sase_gan.api.film import enlarged, timed_places
from sase_gan.drawing.recipes import Recipe, stations_of
from sase_gan.drawing.walks import Place, walk_frames
from sase_gan.errors import UsageError
from sase_gan.films import FRAMES_PER_SECOND, FilmWriter, write_gif
from sase_gan.markdown import escaped
from sase_gan.music import listen
from sase_gan.music import seconds_of as music_seconds
from sase_gan.networks.load import Network
from sase_gan.progress import readable_seconds
from sase_gan.recombination.model import Recombiner
from sase_gan.ui import widgets
from sase_gan.ui.checks import chosen, number, sentences, switch
from sase_gan.ui.class_choice import class_choice
from sase_gan.ui.events import AT_ONCE, BAR, LONG, Action, at_once, reporter
from sase_gan.ui.fields import checked
from sase_gan.ui.models import Models
from sase_gan.ui.photographs import named_pictures
from sase_gan.ui.picture_drawing import MOST_SECONDS, foretold
from sase_gan.ui.pictures import FILM_SIDES, PREVIEW_SIDE, Film, scratch_folder
from sase_gan.ui.uploads import MUSIC, uploaded_music

MOST_STATIONS = 12
LONGEST_SECONDS = 60
PREVIEW_FRAMES = 24
PREVIEW_SECONDS, PREVIEW_STEP = 4.0, 2
"""Of a film with music: so much of its beginning, and every so many frames of it."""
USUAL_STRENGTH = 0.8
MOST_IN_ANIMATION = 160
WORDS = "A preview comes within seconds; the film takes its time."


class WalkHandlers:
    """What the part does."""

    def __init__(self, models: Models) -> None:
        self.models = models

    @sentences
    def walk(
        self,
        model: str,
        pictures: str = "0, 5, 12",
        seconds: float = 4,
        side: int = 384,
        loop: bool = True,
        music: str | None = None,
        strength: float = USUAL_STRENGTH,
        progress: gr.Progress = BAR,
    ) -> Film:
        """Walk from picture to picture, as a film (MP4) and an animation (GIF).

        Args:
            pictures: Two to twelve pictures, such as 0, 5, 12 or 3-6, or names of variations.
            seconds: Of the whole film, 0.5 to 60, at 20 frames a second.
            side: The frames' shorter side: 128, 256, 384, 512 or 768 px.
            music: A WAV or MP3 whose sound goes along; the film goes faster where something begins in it.
            strength: 0 to 1, the share of the way that the music moves.
        """
        known = chosen(side, FILM_SIDES, "The size")
        return self._film(model, _wish(pictures, seconds, known, loop, music, strength), progress, preview=False)

    @sentences
    def preview(
        self, model: str, pictures: str, seconds: float, side: int, loop: bool, music: str | None = None,
        strength: float = USUAL_STRENGTH, progress: gr.Progress = BAR,
    ) -> Film:  # fmt: skip
        """Show the same walk small: with fewer frames, just as long; with music its beginning, which sounds."""
        known = min(chosen(side, FILM_SIDES, "The size"), PREVIEW_SIDE)
        return self._film(model, _wish(pictures, seconds, known, loop, music, strength), progress, preview=True)

    def _film(self, model: str, wish: Wish, progress: gr.Progress, *, preview: bool) -> Film:
        opened = self.models.open(model)
        opened.draws(*wish.stations)
        check_length(opened.network, PREVIEW_FRAMES if preview else round(wish.seconds * FRAMES_PER_SECOND))
        places, rate = frames_of(wish, preview=preview)
        count, tell = len(places), reporter(progress, "drawing the film")
        folder = scratch_folder("walk")
        film, animation = folder / "walk.mp4", folder / "walk.gif"
        # Of a long film the animation has every so many frames, and keeps small: its file is large.
        stride = math.ceil(count / MOST_IN_ANIMATION)
        kept, size = list[torch.Tensor](), (0, 0)
        with FilmWriter(film, frames_per_second=rate, music=wish.music) as writer:
            for frames in walk_frames(opened.network, stations_of(opened.network, wish.stations), places):
                shown = enlarged(frames, wish.side)
                size = shown.shape[3], shown.shape[2]
                # The first of these whose number is a multiple of the stride.
                first = -writer.frames % stride
                kept.append((shown if stride == 1 and wish.side <= PREVIEW_SIDE else frames)[first::stride])
                writer.write(shown)
                tell(writer.frames, count)
        write_gif(animation, torch.cat(kept), frames_per_second=max(1, round(rate / stride)))
        names = ", ".join(recipe.name for recipe in wish.stations)
        way = escaped(f"{names} and back" if wish.loop else names)
        what = ("Preview, the beginning" if wish.music else "Preview") if preview else "Film"
        timed = ", in time with the music" if wish.music else ""
        note = (
            f"**{what}: {count} frames in {count / rate:.1f} s, {size[0]} × {size[1]} px{timed}**: {way}. Every "
            "picture on the way is drawn by the model, not blended."
        )
        return Film(str(film), str(animation), note)


@dataclass(frozen=True)
class Wish:
    """A film as it is wished: its stations, how long and large it is, and its music, or None."""

    stations: tuple[Recipe, ...]
    seconds: float
    side: int
    loop: bool
    music: Path | None
    strength: float


def _wish(pictures: object, seconds: object, side: int, loop: object, music: object, strength: object) -> Wish:
    return Wish(
        tuple(named_pictures(pictures, most=MOST_STATIONS, least=2)),
        number(seconds, 0.5, LONGEST_SECONDS, "The film's length in seconds"),
        side,
        switch(loop, "The return to the first picture"),
        uploaded_music(music),
        number(strength, 0, 1, "The share that the music moves"),
    )


def frames_of(wish: Wish, *, preview: bool) -> tuple[list[Place], int]:
    """Place the frames of a film, or of its preview, on the walk; returns them and how many a second they are.

    The preview of a film with music is its first seconds, since sound and picture are to be judged together.

    Raises:
        UsageError: for fewer frames than stations.
        DataError: for music that cannot be read.
    """
    stations, count = len(wish.stations), round(wish.seconds * FRAMES_PER_SECOND)
    if wish.music is None:
        most = min(count, PREVIEW_FRAMES) if preview else count
        rate = max(1, round(most / wish.seconds)) if preview else FRAMES_PER_SECOND
        return eased_places(stations, most, loop=wish.loop), rate
    if count < stations:
        raise UsageError(f"The film has {count} frames for {stations} pictures; give it more seconds.")
    onsets = listen(wish.music, FRAMES_PER_SECOND, seconds=wish.seconds).onsets
    pace = wish.seconds / stations  # each is passed once, as without music
    how = {"seconds": wish.seconds, "loop": wish.loop, "pace": pace, "strength": wish.strength}
    places = timed_places(stations, count, onsets=onsets, **how)  # type: ignore[arg-type]
    if not preview:
        return places, FRAMES_PER_SECOND
    return places[: round(PREVIEW_SECONDS * FRAMES_PER_SECOND) : PREVIEW_STEP], FRAMES_PER_SECOND // PREVIEW_STEP


@sentences
def length_of_music(music: object, seconds: float) -> float:
    """The seconds of a film with this music: as long as that, as far as films go; as they are without any."""
    found = uploaded_music(music)
    return seconds if found is None else round(min(LONGEST_SECONDS, max(0.5, music_seconds(found))), 1)


def check_length(network: Network, count: int) -> None:
    """Refuse films of an instant model of one picture, which takes seconds for each, that would take many minutes.

    Raises:
        UsageError: for such a one.
    """
    if not isinstance(network, Recombiner) or network.config.count > 1:
        return
    seconds = foretold(network, count, network.size)[0]
    if seconds > MOST_SECONDS:
        possible = MOST_SECONDS / seconds * count / FRAMES_PER_SECOND
        raise UsageError(
            f"{count} frames of this model would take about {readable_seconds(seconds)}; give the film "
            f"{possible:.1f} seconds, or choose Animate in the tab One picture."
        )


def eased_places(stations: int, count: int, *, loop: bool) -> list[Place]:
    """Place the frames of a film on its walk, slower near the stations, so that neither they nor the end jerk.

    Example:
        >>> eased_places(2, 4, loop=True)
        [(0, 0.0), (0, 0.5), (1, 0.0), (1, 0.5)]
        >>> eased_places(2, 3, loop=False)
        [(0, 0.0), (0, 0.5), (0, 1.0)]

    Raises:
        UsageError: for fewer frames than stations.
    """
    legs = stations if loop else stations - 1
    if count < stations:
        raise UsageError(f"The film has {count} frames for {stations} pictures; give it more seconds.")
    places: list[Place] = []
    for frame in range(count):
        leg, share = divmod(frame * legs / (count if loop else count - 1), 1)
        if int(leg) == legs:  # the end of an open walk
            leg, share = leg - 1, 1.0
        places.append((int(leg), eased(share)))
    return places


def eased(share: float) -> float:
    """How far a walk is on its way from one picture to the next after a share of the time: slow at both ends."""
    return round((1 - math.cos(math.pi * share)) / 2, 12)


def build(models: Models, model: gr.Dropdown, known: gr.State) -> gr.Textbox:
    """Lay the part out and connect its events; returns the field for the pictures. `known` are the model's classes."""
    handlers = WalkHandlers(models)
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            with gr.Group():
                words = "Seeds or names; 'Walk' in the tab Generate adds one."
                stations = gr.Textbox("0, 5, 12", label="Pictures", info=words, max_length=1000, elem_id="stations")
                checked(stations, partial(named_pictures, most=MOST_STATIONS, least=2))
                class_choice(known, stations, "stations-class", MOST_STATIONS, "Class of all")
                seconds, side = length_and_size(4, LONGEST_SECONDS, "film")
                loop = gr.Checkbox(True, label="Return to the first picture")
            with gr.Accordion("Music", open=False, elem_id="film-music-part"):
                gr.Markdown("Its sound goes along, and the film goes faster where something begins in it.")
                music = gr.File(label="A WAV or MP3", file_types=list(MUSIC), height=120, elem_id="film-music")
                strength = gr.Slider(0, 1, USUAL_STRENGTH, step=0.05, label="How much of the way the music moves")
            start, preview, cancel = film_buttons("Make the film", "film")
        with gr.Column(scale=2, min_width=300):
            note = gr.Markdown(f"The film appears here. {WORDS}", elem_id="film-note")
            film = widgets.film_view("film", "gif")
    at_once(music.change, length_of_music, [music, seconds], [seconds])
    wishes, shown = [model, stations, seconds, side, loop, music, strength], {**film, "note": note}
    drawn = Action(handlers.walk, wishes, shown, LONG).on(start.click, api="walk")
    previewed = Action(handlers.preview, wishes, shown).on(preview.click)
    cancels(cancel, note, drawn, previewed)
    return stations


def length_and_size(seconds: float, longest: float, elem_id: str, value: int = 384) -> tuple[gr.Number, gr.Dropdown]:
    """Lay out how long a film lasts and how large it is."""
    with gr.Row():
        long = gr.Number(
            seconds, label="Seconds", minimum=0.5, maximum=longest, elem_id=f"{elem_id}-seconds", min_width=90
        )
        choices = [(f"{side} px", side) for side in FILM_SIDES]
        size = gr.Dropdown(
            choices, value=value, label="Size", filterable=False, elem_id=f"{elem_id}-size", min_width=110
        )
    return long, size


def film_buttons(words: str, elem_id: str) -> tuple[gr.Button, gr.Button, gr.Button]:
    """Lay out the buttons that make a film, show a preview of it, and cancel either."""
    start = gr.Button(words, variant="primary", elem_id=f"{elem_id}-start")
    with gr.Row():
        preview = gr.Button("Preview", elem_id=f"{elem_id}-preview", min_width=90)
        cancel = gr.Button("Cancel", elem_id=f"{elem_id}-cancel", min_width=90)
    return start, preview, cancel


def cancels(button: gr.Button, note: gr.Markdown, *events: Any) -> Callable[..., Any]:
    """Let a button cancel what is under way, and say so."""
    options: dict[str, Any] = {"cancels": list(events), "api_visibility": "private", **AT_ONCE}
    return button.click(lambda: "Cancelled.", [], [note], **options)
