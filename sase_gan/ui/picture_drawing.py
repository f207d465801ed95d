"""What the tab One picture draws with a model of one picture, trained or instant: each application in a method."""

from __future__ import annotations

import html
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
import torch
from PIL import Image
from torch import Tensor

from sase_gan.api.film import enlarged
from sase_gan.colours import brought, filed
from sase_gan.drawing import applications, injection
from sase_gan.drawing.applications import last_scale
from sase_gan.errors import SaseGanError, UsageError
from sase_gan.networks.load import own_colours
from sase_gan.networks.pyramid import Pyramid
from sase_gan.platforms import free_process_memory_mb
from sase_gan.progress import readable_seconds
from sase_gan.recombination.model import Recombiner
from sase_gan.resizing import at_size, resize
from sase_gan.ui.checks import chosen, number, seed_number, seed_numbers, sentence, sentences, switch, whole_number
from sase_gan.ui.entries import OF_ONE_PICTURE
from sase_gan.ui.events import BAR, reporter
from sase_gan.ui.markup import refusal
from sase_gan.ui.models import Models, Opened
from sase_gan.ui.pictures import FILM_SIDES, PREVIEW_SIDE, Drawn, Film, gallery, painted, picture, strokes, write_film
from sase_gan.ui.uploads import read_upload

LONGEST_SIDE = 1024
MOST_DRAWN = 8
LONGEST_FILM, PREVIEW_SECONDS = 20.0, 1.0
# Of a million pixels, on one core; docs/results/studio.md has the measurements. A trained model takes more of each for
# larger pictures: 52 s at 256 px, 66 at 512; an instant one less: 164 and 156.
INSTANT_SECONDS, PYRAMID_SECONDS, GIGABYTES = 170.0, 80.0, 4.0
MOST_SECONDS = 160.0
NUM_COLOURS = 6
WAYS = ("edit", "harmonise")
MANNERS = ("new", "retarget", "symmetric")
FRAMES_PER_SECOND = 10


@dataclass(frozen=True)
class Changed:
    """A picture with what was painted as a part of it, a sentence, and it as it was painted."""

    after: Image.Image
    note: str
    before: Image.Image


class PictureDrawing:
    """What a model of one picture can do."""

    def __init__(self, models: Models) -> None:
        self.models = models

    def _open(self, model: object) -> Opened[Pyramid | Recombiner]:
        if not self.models.names(*OF_ONE_PICTURE):
            raise UsageError("There is no model of one picture yet: make one above; an instant one takes seconds.")
        return self.models.open_of_one_picture(model)

    def _painted(
        self, model: object, painting: dict[str, Any] | None, *, over_picture: bool = True
    ) -> tuple[Opened[Pyramid | Recombiner], Tensor, Tensor]:
        """The model, what was painted at its size in its colours, and where it was painted.

        Of a model with transparency, what was painted is opaque; all else is as clear as its picture, or clear.

        Args:
            over_picture: whether it was painted over the model's picture, or on an empty canvas.
        """
        opened = self._open(model)
        network = opened.network
        composite, mask = painted(painting)
        if network.config.colours != "rgba":
            return opened, brought(at_size(composite, network.size), network.config.colours), mask
        # What lies below the strokes is shown on a checkerboard, of which nothing is to come into the picture.
        nothing = torch.tensor([1.0, 1.0, 1.0, 0.0])[:, None, None].expand(-1, *network.size)
        below = own_colours(network).float() / 255 if over_picture else nothing
        laid = resize(strokes(painting)[None], network.size)[0].clamp(0, 1)
        return opened, (255 * (laid + (1 - laid[3]) * below)).round().clamp(0, 255).to(torch.uint8), mask

    @sentences
    def draw(
        self,
        model: str,
        width: float = 0,
        height: float = 0,
        seeds: str = "0-3",
        start_scale: float = 0,
        tiles: bool = False,
        manner: str = "new",
        progress: gr.Progress = BAR,
    ) -> Drawn:
        """Draw pictures like the one that was learnt, at any size.

        Args:
            width, height: In pixels, 16 to 1024; 0 for the trained one.
            start_scale: Stages before it keep the layout of the picture; 0 redraws everything.
            manner: "new"; of instant models also "retarget", objects at their scale, and "symmetric".
        """
        opened = self._open(model)
        size = _size(opened.network, width, height)
        numbers = seed_numbers(seeds, MOST_DRAWN)
        scale = _start_scale(opened.network, start_scale)
        how, tiled = chosen(manner, MANNERS, "The manner"), switch(tiles, "Seamless tiles")
        check_cost(opened.network, len(numbers), size)
        told, drawn = reporter(progress, "drawing"), list[Tensor]()
        # One after the other: a large picture takes gigabytes, and between two a visitor may cancel.
        for done, seed in enumerate(numbers):
            told(done, len(numbers))
            drawn.append(_one(opened.network, seed, size, scale, how, tiled=tiled))
        images = filed(torch.cat(drawn))
        text = {"snapshot": opened.digest, "start_scale": str(scale), "software": "sase_gan studio"}
        note = f"{len(images)} picture{'s' * (len(images) > 1)} of {images.shape[3]} × {images.shape[2]} px."
        return Drawn(gallery(images, numbers, text), note)

    def check_draw(self, model: str, width: float, height: float, seeds: str, *more: object) -> None:
        """Refuse before it waits what would take too long.

        Raises:
            UsageError: as `check_cost`, and for a size or seeds that are none.
        """
        network = self._open(model).network
        check_cost(network, len(seed_numbers(seeds, MOST_DRAWN)), _size(network, width, height))

    def foretell(self, model: str, width: float, height: float, seeds: str) -> str:
        """Say how long the wished pictures will take, and how much memory; nothing for wishes that are refused."""
        try:
            network = self._open(model).network
            count, size = len(seed_numbers(seeds, MOST_DRAWN)), _size(network, width, height)
            check_cost(network, count, size)
        except SaseGanError as error:
            return refusal(html.escape(sentence(error)))
        seconds, gigabytes = foretold(network, count, size)
        time = readable_seconds(max(1, seconds))
        return f"Takes about {time} on two processor cores, and {max(0.1, gigabytes):.1f} GB."

    @sentences
    def change(
        self,
        model: str,
        painting: dict[str, Any] | None = None,
        way: str = "edit",
        start_scale: float = 0,
        seed: float = 0,
    ) -> Changed:
        """Make what was painted over the picture a part of it.

        Args:
            way: "edit" redraws around the change, "harmonise" keeps more of what was painted.
            start_scale: The stage at which it enters, 1 redraws the most; 0 chooses.
        """
        how = chosen(way, WAYS, "The way")
        opened, fitted, mask = self._painted(model, painting)
        scale = _start_scale(opened.network, start_scale) or None
        used = seed_number(seed)
        drawn = (applications.edit if how == "edit" else applications.harmonise)(
            opened.network, fitted, mask, scale, seeds=(used,)
        )[0]
        text = {"snapshot": opened.digest, "application": how, "seed": str(used)}
        note = f"Seed {used}; outside the painted part the picture is untouched."
        return Changed(picture(filed(drawn), text), note, picture(filed(fitted)))

    @sentences
    def strip(self, model: str, painting: dict[str, Any] | None = None, seed: float = 0) -> Drawn:
        """Show what each start scale makes of a painted picture, the coarsest first."""
        opened, fitted, mask = self._painted(model, painting)
        drawn = applications.strip(opened.network, fitted, mask, seed=seed_number(seed))
        shown = [(picture(image), f"start scale {scale}") for scale, image in enumerate(filed(drawn), start=1)]
        return Drawn(shown, "The same change entering at every stage: early ones redraw it, late ones keep it.")

    @sentences
    def paint(
        self, model: str, painting: dict[str, Any] | None = None, start_scale: float = 0, seeds: str = "0-3"
    ) -> Drawn:
        """Turn a flat painting into pictures of the learnt texture.

        Args:
            start_scale: The stage at which it enters; 1 or 2 serve most paintings, 0 chooses.
        """
        opened, fitted, _ = self._painted(model, painting, over_picture=False)
        scale = _start_scale(opened.network, start_scale) or None
        numbers = seed_numbers(seeds, MOST_DRAWN)
        check_cost(opened.network, len(numbers), opened.network.size)
        drawn = applications.paint_to_image(opened.network, fitted, scale, seeds=numbers, colours=NUM_COLOURS)
        text = {"snapshot": opened.digest, "application": "paint", "start_scale": str(scale or "chosen")}
        return Drawn(gallery(filed(drawn), numbers, text), "Each seed another picture of your painting.")

    @sentences
    def animate(
        self,
        model: str,
        seconds: float = 6,
        side: int = 384,
        calm: float = 0.9,
        pull: float = 0.1,
        start_scale: float = 0,
        seed: float = 0,
        progress: gr.Progress = BAR,
    ) -> Film:
        """Let the picture move, as a film (MP4) and an animation (GIF).

        Args:
            seconds: 0.5 to 20, of ten frames each.
            side: The frames' shorter side: 128, 256, 384, 512 or 768 px.
            calm: Smoothness of the motion, 0 to 1.
            pull: How strongly it is drawn back to the picture, 0 to 1.
            start_scale: Stages before it stand still.
        """
        lasts = number(seconds, 0.5, LONGEST_FILM, "The film's length in seconds")
        return self._animation(model, lasts, side, calm, pull, start_scale, seed, progress)

    @sentences
    def preview(
        self, model: str, seconds: float, side: int, calm: float, pull: float, start_scale: float, seed: float,
        progress: gr.Progress = BAR,
    ) -> Film:  # fmt: skip
        """Show the beginning of the same film, small."""
        lasts = min(number(seconds, 0.5, LONGEST_FILM, "The film's length in seconds"), PREVIEW_SECONDS)
        small = min(chosen(side, FILM_SIDES, "The size"), PREVIEW_SIDE)
        found = self._animation(model, lasts, small, calm, pull, start_scale, seed, progress)
        return replace(found, note=f"**Preview**, the beginning: {found.note}")

    def _animation(
        self, model: str, seconds: float, side: object, calm: object, pull: object, start_scale: object, seed: object,
        progress: gr.Progress,
    ) -> Film:  # fmt: skip
        size = chosen(side, FILM_SIDES, "The size")
        opened = self._open(model)
        count = max(2, round(seconds * FRAMES_PER_SECOND))
        check_cost(opened.network, count, opened.network.size)
        film = applications.animate(
            opened.network,
            count,
            seed=seed_number(seed),
            start_scale=whole_number(start_scale, 0, 16, "The start scale"),
            alpha=number(pull, 0, 1, "The pull"),
            beta=number(calm, 0, 1, "The smoothness"),
            progress=reporter(progress, "drawing the film"),
        )
        shown = enlarged(film, size)
        note = f"{count} frames in {count / FRAMES_PER_SECOND:g} s, {shown.shape[3]} × {shown.shape[2]} px."
        return write_film(shown, film, "animation", note, frames_per_second=FRAMES_PER_SECOND)

    @sentences
    def analogy(self, model: str, file: str | None = None, start_scale: float = 0, seeds: str = "0-3") -> Drawn:
        """Draw the layout of another picture out of the learnt one; instant models only.

        Args:
            file: The picture whose layout is drawn.
            start_scale: The level at which it enters, finer keeps more of its details; 0 chooses.
        """
        opened = self._open(model)
        layout, numbers = read_upload(file, opened.network.config.colours), seed_numbers(seeds, MOST_DRAWN)
        check_cost(opened.network, len(numbers), opened.network.size)
        scale = _start_scale(opened.network, start_scale) or None
        drawn = applications.analogy(opened.network, layout, seeds=numbers, start_scale=scale)
        text = {"snapshot": opened.digest, "application": "analogy", "start_scale": str(scale or "chosen")}
        return Drawn(
            gallery(filed(drawn), numbers, text), "The layout of your picture, in the matter of the learnt one."
        )


def check_cost(network: Pyramid | Recombiner, count: int, size: tuple[int, int]) -> None:
    """Refuse what would take more than a few minutes, or more memory than is free.

    Raises:
        UsageError: for such a number of pictures, or such a size.
    """
    height, width = size
    seconds, gigabytes = foretold(network, count, size)
    if seconds > MOST_SECONDS:
        possible = int(MOST_SECONDS * count / seconds)
        advice = f"draw {possible} at once, or smaller ones" if possible else "draw smaller ones"
        raise UsageError(
            f"{count} pictures of {width} × {height} px would take many minutes (about {readable_seconds(seconds)}); "
            f"{advice}. The command sase-gan takes its time."
        )
    free = free_process_memory_mb()
    if free is not None and gigabytes > free / 1000:
        raise UsageError(
            f"A picture of {width} × {height} px takes about {gigabytes:.1f} GB of memory, and {free / 1000:.1f} are "
            "free; draw smaller ones."
        )


def foretold(network: Pyramid | Recombiner, count: int, size: tuple[int, int]) -> tuple[float, float]:
    """Tell about how many seconds pictures take on two processor cores, and how many gigabytes one of them."""
    pixels = size[0] * size[1] / 1e6
    seconds = INSTANT_SECONDS if isinstance(network, Recombiner) else PYRAMID_SECONDS
    return seconds * count * pixels, GIGABYTES * pixels


def _one(
    network: Pyramid | Recombiner, seed: int, size: tuple[int, int], start_scale: int, how: str, *, tiled: bool
) -> Tensor:
    if tiled:
        return _tiles(network, [seed], size, start_scale, how)
    if how == "retarget":
        return applications.retarget(network, size, seeds=[seed])
    if how == "symmetric":
        return applications.symmetric(network, [seed], size=size)
    return applications.sample(network, [seed], size=size, start_scale=start_scale)


def _start_scale(network: Pyramid | Recombiner, value: object) -> int:
    return whole_number(value, 0, last_scale(network), "The start scale")


def _size(network: Pyramid | Recombiner, width: object, height: object) -> tuple[int, int]:
    def side(value: object, trained: int, what: str) -> int:
        return trained if value in (0, None) else whole_number(value, 16, LONGEST_SIDE, what)

    return side(height, network.size[0], "The height"), side(width, network.size[1], "The width")


def _tiles(
    network: Pyramid | Recombiner, seeds: list[int], size: tuple[int, int], start_scale: int, how: str
) -> Tensor:
    if how != "new":
        raise UsageError("Seamless tiles are new pictures; choose the manner New, or leave the tiles out.")
    if isinstance(network, Pyramid):
        return injection.sample(network, seeds, size=size, start_scale=start_scale, padding="circular", batch_size=2)
    if start_scale > 0:
        raise UsageError("Seamless tiles of an instant model begin anew; set the start scale to 0.")
    return applications.tile(network, seeds, size=size)
