"""Handlers of the tab Explore: the neighbours of a picture on a map, directions as sliders, walks between pictures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import gradio as gr
import torch
from PIL import Image
from torch import Tensor

from sase_gan.drawing.latents import DIRECTION_METHODS, closed_walk, directions
from sase_gan.drawing.recipes import MAP_SIDE, Move, Recipe, parse_recipes
from sase_gan.drawing.sampling import MAX_SEED, draw_latents
from sase_gan.ui.checks import chosen, number, seed_number, sentences, switch, whole_number
from sase_gan.ui.events import BAR, reporter
from sase_gan.ui.markup import escaped, figures
from sase_gan.ui.models import Models, OpenModel
from sase_gan.ui.pictures import Film, Gallery, Sheet, draw_sheet, picture, recipe_at, write_film

NUM_DIRECTIONS = 6
REACH_OF_DIRECTION = 5.0
MOST_STATIONS = 12
MOST_STEPS = 30
MOST_LARGE_FRAMES = 120

_directions = lru_cache(maxsize=6)(directions)


@dataclass(frozen=True)
class Map:
    """The pictures of a map, a sentence, and what is remembered of them."""

    gallery: Gallery
    note: str
    sheet: Sheet


@dataclass(frozen=True)
class Moved:
    """A picture before and after a move along directions."""

    before: Image.Image
    after: Image.Image


class ExploreHandlers:
    """The handlers, as methods so that they know the models."""

    def __init__(self, models: Models) -> None:
        self.models = models

    @sentences
    def neighbours(
        self, model: str, picture_name: str = "0", reach: float = 0.6, plane: float = 0, progress: gr.Progress = BAR
    ) -> Map:
        """Draw the map of neighbours around a picture: 25 pictures, the given one in the middle.

        Args:
            model: A name of the list of models.
            picture_name: A seed such as 17, or the name of a variation such as 17~40.0.3.
            reach: How far the edge is from the middle, 0.05 to 1.4 radians.
            plane: Which two random directions the map lies in, 0 to 2147483647.
            progress: The browser's bar.
        """
        centre = parse_recipes(picture_name, most=1)[0]
        far = round(number(reach, 0.05, 1.4, "The reach") * 100)
        which = whole_number(plane, 0, MAX_SEED, "The plane")
        middle = MAP_SIDE**2 // 2
        recipes = [
            centre if place == middle else centre.moved(Move("@", far, which, place)) for place in range(MAP_SIDE**2)
        ]
        gallery, sheet = draw_sheet(self.models.open(model), recipes, reporter(progress, "drawing the map"))
        note = f"**{escaped(centre.name)}** is in the middle. Click another picture to go there."
        return Map(gallery, note, sheet)

    @sentences
    def name_at(self, sheet: Sheet | None, place: int) -> str:
        """The name of the picture at a place of the map."""
        return recipe_at(sheet, place)[0].name

    @sentences
    def move(
        self,
        model: str,
        seed: float = 0,
        method: str = "factorisation",
        first: float = 0,
        second: float = 0,
        third: float = 0,
        fourth: float = 0,
        fifth: float = 0,
        sixth: float = 0,
    ) -> Moved:
        """Move a picture along directions found without labels; returns it before and after.

        Args:
            model: A name of the list of models.
            seed: 0 to 2147483647.
            method: "factorisation" of the first layer, or principal "components" of early features.
            first: How far along the strongest direction, -5 to 5.
            second: Along the second.
            third: Along the third.
            fourth: Along the fourth.
            fifth: Along the fifth.
            sixth: Along the sixth.
        """
        steps = [number(v, -REACH_OF_DIRECTION, REACH_OF_DIRECTION, "A direction's slider") for v in
                 (first, second, third, fourth, fifth, sixth)]  # fmt: skip
        recipe, opened, found = self._directions(model, seed, method)
        start = recipe.inputs(opened.network)
        z = start.z[0] + torch.tensor(steps) @ found
        before, after = draw_latents(opened.network, torch.stack([start.z[0], z]), start.noise)
        text = recipe.text(opened.digest)
        words = ", ".join(f"{step:g}" for step in steps)
        return Moved(picture(before, text), picture(after, {**text, "directions": f"{method}: {words}"}))

    @sentences
    def strips(self, model: str, seed: float, method: str, progress: gr.Progress = BAR) -> str:
        """Show what each direction does to a picture: a row of pictures from -5 to 5 for each."""
        recipe, opened, found = self._directions(model, seed, method)
        start = recipe.inputs(opened.network)
        steps = torch.linspace(-REACH_OF_DIRECTION, REACH_OF_DIRECTION, 5)
        rows = []
        for index, direction in enumerate(found):
            images = draw_latents(opened.network, start.z + steps[:, None] * direction, start.noise)
            shown = figures([(image, "") for image in images], columns=len(images))
            rows.append(f'<div class="strip"><b>Direction {index + 1}</b>{shown}</div>')
            progress((index + 1, len(found)), desc="drawing what each direction does")
        return "".join(rows)

    def _directions(self, model: str, seed: float, method: str) -> tuple[Recipe, OpenModel, Tensor]:
        recipe = Recipe(seed_number(seed))
        how = chosen(method, DIRECTION_METHODS, "The method")
        opened = self.models.open(model)
        return recipe, opened, _directions(opened.network, how, NUM_DIRECTIONS)

    @sentences
    def walk(
        self, model: str, pictures: str = "0, 5, 12", steps: float = 12, loop: bool = True, progress: gr.Progress = BAR
    ) -> Film:
        """Walk from picture to picture, as a film (MP4) and an animation (GIF).

        Args:
            model: A name of the list of models.
            pictures: Two to twelve pictures, such as 0, 5, 12 or 3-6, or names of variations.
            steps: Frames from picture to picture, 2 to 30.
            loop: Return to the first picture, so that the film can be repeated without a jump.
            progress: The browser's bar.
        """
        stations = parse_recipes(pictures, most=MOST_STATIONS, least=2)
        frames_each = whole_number(steps, 2, MOST_STEPS, "The number of frames")
        closed = switch(loop, "The return to the first picture")
        network = self.models.open(model).network
        latents = closed_walk(torch.stack([recipe.latent(network) for recipe in stations]), frames_each, loop=closed)
        noise = stations[0].inputs(network).noise
        parts = []
        for start in range(0, len(latents), 8):
            parts.append(draw_latents(network, latents[start : start + 8], noise))
            progress((start, len(latents)), desc="drawing the film")
        progress(0.95, desc="writing the film")
        names = ", ".join(recipe.name for recipe in stations)
        way = f"{names} and back" if closed else names
        note = (
            f"**{len(latents)} frames**: {escaped(way)}. Every picture on the way is drawn by the model, not blended."
        )
        return write_film(torch.cat(parts), "walk", note, most_large=MOST_LARGE_FRAMES)
