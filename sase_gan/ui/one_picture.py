"""What the tab One picture does: train on a picture; then other sizes, harmonising, editing, painting, animation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image
from torch import Tensor

from sase_gan.datasets.sources import bundled_data
from sase_gan.drawing.injection import animate, edit, harmonise, inject_strip, paint_to_image, sample
from sase_gan.drawing.masks import main_colours
from sase_gan.errors import UsageError
from sase_gan.networks.pyramid import Pyramid
from sase_gan.pixels import to_pillow
from sase_gan.resizing import at_size
from sase_gan.ui.checks import chosen, number, seed_number, seed_numbers, sentences, switch, time_limit, whole_number
from sase_gan.ui.entries import OF_ONE_PICTURE
from sase_gan.ui.events import BAR, relisted, reporter
from sase_gan.ui.models import Models, Opened
from sase_gan.ui.pictures import ENLARGED_SIDE, Drawn, Film, canvas, gallery, painted, picture, write_film
from sase_gan.ui.training_view import start_sentence, status_sentence
from sase_gan.ui.trainings import Trainings, checked_name
from sase_gan.ui.uploads import keep_picture, read_upload, within_temporary

BUNDLED = ("coffee", "hubble_deep_field", "rocket")
SOURCES = ("upload", *BUNDLED)
SPEEDS = {"auto": "Automatic", "quick": "Quick", "standard": "Standard", "smoke/one_shot": "A try-out of seconds"}
LONGEST_SIDE = 1024
MOST_DRAWN, MOST_FRAMES = 8, 200
NUM_COLOURS = 6
WAYS = ("edit", "harmonise")
FRAMES_PER_SECOND = 10


@dataclass(frozen=True)
class Facts:
    """What the page shows of a model; left out is what stays as it is. `blank` is an empty canvas in its colours."""

    about: Any = field(default_factory=gr.skip)
    learnt: Any = field(default_factory=gr.skip)
    canvas: Any = field(default_factory=gr.skip)
    blank: Any = field(default_factory=gr.skip)
    edit_scale: Any = field(default_factory=gr.skip)
    draw_scale: Any = field(default_factory=gr.skip)
    models: Any = field(default_factory=gr.skip)


class PictureHandlers:
    """What the tab does."""

    def __init__(self, models: Models, trainings: Trainings) -> None:
        self.models, self.trainings = models, trainings

    # --- training ----------------------------------------------------------------------------------------------------

    @sentences
    def start(
        self,
        source: str = "coffee",
        file: str | None = None,
        name: str = "my picture",
        minutes: float = 5,
        longest_side: float = 128,
        preset: str = "auto",
    ) -> str:
        """Train on one picture, in a process of its own; returns a sentence.

        Args:
            name: Of the run, 1 to 40 letters, digits, spaces, hyphens or underscores; a number is added.
            minutes: The training is planned to fit into them, 0.1 to 10080.
            longest_side: Of the picture in training, 32 to 512 px.
        """
        stem, limit = checked_name(name), time_limit(minutes)
        side = whole_number(longest_side, 32, 512, "The longest side")
        how = chosen(preset, tuple(SPEEDS), "The preset")
        place = chosen(source, SOURCES, "The picture")
        if place == "upload":
            read_upload(file)  # what cannot be read is refused before a process is started
            prepare = partial(keep_picture, within_temporary(file), stem)
        else:
            prepare = partial(_given, bundled_data("single") / f"{place}.png")
        options = ["--max-size", str(side), *([] if how == "auto" else ["--preset", how])]
        # The try-out is short as it is: measuring first how long it may be would take longer.
        planned = None if how.startswith("smoke") else limit
        return start_sentence(self.trainings.start(prepare, stem, options, minutes=planned, one_picture=True))

    @sentences
    def stop(self) -> str:
        """Stop the training after its step; everything is saved. Returns what that means for it, as a sentence."""
        return status_sentence(self.trainings.stop())

    # --- what a model of one picture can do --------------------------------------------------------------------------

    def _open(self, model: object) -> Opened[Pyramid]:
        if not self.models.names(*OF_ONE_PICTURE):
            raise UsageError("There is no model of one picture yet: train one above; a try-out takes half a minute.")
        return self.models.open_of_one_picture(model)

    def _painted(self, model: object, painting: dict[str, Any] | None) -> tuple[Opened[Pyramid], Tensor, Tensor]:
        """The model, what was painted at its size, and where it was painted."""
        opened = self._open(model)
        composite, mask = painted(painting)
        return opened, at_size(composite, opened.network.size), mask

    @sentences
    def facts(self, model: str) -> Facts:
        """Show a model: a sentence, its picture, canvases, the start scales."""
        network = self._open(model).network
        (height, width), (first_height, first_width) = network.size, network.config.sizes[0]
        last = network.num_stages - 1
        colours = ["#" + bytes(colour.tolist()).hex() for colour in main_colours(network.picture.cpu(), NUM_COLOURS)]
        learnt = _for_brush(network)
        return Facts(
            f"{width} × {height} px in {last + 1} stages, from the coarsest {first_width} × {first_height}.",
            picture(network.picture.cpu()),
            gr.update(value=canvas(learnt)),
            gr.update(
                value=canvas(Image.new("RGB", learnt.size, colours[-1])),
                brush=gr.Brush(default_size=40, colors=list(colours), default_color=colours[0], color_mode="fixed"),
            ),
            gr.update(maximum=last, value=0),
            gr.update(maximum=last, value=0),
        )

    def opened(self, model: str | None) -> Facts:
        """Show the list as it is now and its chosen model; nothing while there is none."""
        names = self.models.names(*OF_ONE_PICTURE)
        if not names:
            return Facts(models=gr.update(choices=[]))
        name = model if model in names else names[0]
        return replace(self.facts(name), models=relisted(names, name))

    @sentences
    def draw(
        self,
        model: str,
        width: float = 0,
        height: float = 0,
        seeds: str = "0-3",
        start_scale: float = 0,
        tiles: bool = False,
        progress: gr.Progress = BAR,
    ) -> Drawn:
        """Draw pictures like the one that was learnt, at any size.

        Args:
            width, height: In pixels, 16 to 1024; 0 for the trained one.
            start_scale: Stages before it keep the layout of the picture; 0 redraws everything.
        """
        opened = self._open(model)
        size = _size(opened.network, width, height)
        numbers = seed_numbers(seeds, MOST_DRAWN)
        scale = _start_scale(opened.network, start_scale)
        images = sample(
            opened.network,
            numbers,
            size=size,
            start_scale=scale,
            padding="circular" if switch(tiles, "Seamless tiles") else None,
            batch_size=2,
            progress=reporter(progress, "drawing"),
        )
        text = {"snapshot": opened.digest, "start_scale": str(scale), "software": "sase_gan studio"}
        note = f"{len(images)} pictures of {images.shape[3]} × {images.shape[2]} px."
        return Drawn(gallery(images, numbers, text), note)

    @sentences
    def change(
        self,
        model: str,
        painting: dict[str, Any] | None = None,
        way: str = "edit",
        start_scale: float = 0,
        seed: float = 0,
    ) -> tuple[Image.Image, str]:
        """Make what was painted over the picture a part of it.

        Args:
            way: "edit" redraws around the change, "harmonise" keeps more of what was painted.
            start_scale: The stage at which it enters, 1 redraws the most; 0 chooses.
        """
        how = chosen(way, WAYS, "The way")
        opened, fitted, mask = self._painted(model, painting)
        scale = _start_scale(opened.network, start_scale) or None
        used = seed_number(seed)
        drawn = (edit if how == "edit" else harmonise)(opened.network, fitted, mask, scale, seeds=(used,))[0]
        text = {"snapshot": opened.digest, "application": how, "seed": str(used)}
        return picture(drawn, text), f"Seed {used}; outside the painted part the picture is untouched."

    @sentences
    def strip(self, model: str, painting: dict[str, Any] | None = None, seed: float = 0) -> Drawn:
        """Show what each start scale makes of a painted picture, the coarsest first."""
        opened, fitted, mask = self._painted(model, painting)
        drawn = inject_strip(opened.network, fitted, mask, seed=seed_number(seed)).masked
        shown = [(picture(image), f"start scale {scale}") for scale, image in enumerate(drawn, start=1)]
        return Drawn(shown, "The same change entering at every stage: early ones redraw it, late ones keep it.")

    @sentences
    def paint(
        self, model: str, painting: dict[str, Any] | None = None, start_scale: float = 1, seeds: str = "0-3"
    ) -> Drawn:
        """Turn a flat painting into pictures of the learnt texture.

        Args:
            start_scale: The stage at which it enters; 1 or 2 serve most paintings.
        """
        opened, fitted, _ = self._painted(model, painting)
        scale = whole_number(start_scale, 1, max(1, opened.network.num_stages - 1), "The start scale")
        numbers = seed_numbers(seeds, MOST_DRAWN)
        drawn = paint_to_image(opened.network, fitted, scale, seeds=numbers, colours=NUM_COLOURS)
        text = {"snapshot": opened.digest, "application": "paint", "start_scale": str(scale)}
        return Drawn(gallery(drawn, numbers, text), "Each seed another picture of your painting.")

    @sentences
    def animate(
        self,
        model: str,
        frames: float = 60,
        calm: float = 0.9,
        pull: float = 0.1,
        start_scale: float = 0,
        seed: float = 0,
        progress: gr.Progress = BAR,
    ) -> Film:
        """Let the picture move, as a film (MP4) and an animation (GIF).

        Args:
            frames: 2 to 200, ten a second.
            calm: Smoothness of the motion, 0 to 1.
            pull: How strongly it is drawn back to the picture, 0 to 1.
            start_scale: Stages before it stand still.
        """
        opened = self._open(model)
        count = whole_number(frames, 2, MOST_FRAMES, "The number of frames")
        film = animate(
            opened.network,
            count,
            seed=seed_number(seed),
            start_scale=whole_number(start_scale, 0, 16, "The start scale"),
            alpha=number(pull, 0, 1, "The pull"),
            beta=number(calm, 0, 1, "The smoothness"),
            progress=reporter(progress, "drawing the film"),
        )
        note = f"{count} frames."
        return write_film(film, "animation", note, most_large=MOST_FRAMES, frames_per_second=FRAMES_PER_SECOND)


def _given(path: Path, folder: Path) -> Path:
    return path


def _for_brush(network: Pyramid) -> Image.Image:
    """The training picture, enlarged for the brush."""
    image = to_pillow(network.picture.cpu())
    factor = max(1, round(ENLARGED_SIDE / max(image.size)))
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.LANCZOS)


def _start_scale(network: Pyramid, value: object) -> int:
    return whole_number(value, 0, network.num_stages - 1, "The start scale")


def _size(network: Pyramid, width: object, height: object) -> tuple[int, int]:
    def side(value: object, trained: int, what: str) -> int:
        return trained if value in (0, None) else whole_number(value, 16, LONGEST_SIDE, what)

    return side(height, network.size[0], "The height"), side(width, network.size[1], "The width")
