"""The tab Explore: the neighbours of a picture on a map, directions as sliders, and walks between pictures."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr
import torch
from PIL import Image
from torch import Tensor

from sase_gan.drawing.animations import write_gif, write_mp4
from sase_gan.drawing.latents import DIRECTION_METHODS, closed_walk, directions, draw_latents
from sase_gan.drawing.recipes import MAP_SIDE, Move, Recipe, draw_recipes, parse_recipes
from sase_gan.drawing.sampling import MAX_SEED
from sase_gan.errors import UsageError
from sase_gan.networks.generator import Generator
from sase_gan.ui.models import Models
from sase_gan.ui.tabs.generate import Sheet, Shown
from sase_gan.ui.widgets import (
    DEVICE,
    chosen,
    escaped,
    figures,
    moved_by_hand,
    number,
    picture,
    reporter,
    seed_number,
    sentences,
    switch,
    temporary_folder,
    whole_number,
)

NUM_DIRECTIONS = 6
REACH_OF_DIRECTION = 5.0
MOST_STATIONS = 12
MOST_STEPS = 30
# Small pictures are enlarged in films, where a player would blur them.
FILM_SIDE = 384

_directions = lru_cache(maxsize=6)(directions)


class ExploreHandlers:
    """The handlers, as methods so that they know the models."""

    def __init__(self, models: Models) -> None:
        self.models = models

    @sentences
    def neighbours(
        self,
        model: str,
        picture_name: str = "0",
        reach: float = 0.6,
        plane: float = 0,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Shown, str, Sheet]:
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
        opened = self.models.open(model)
        images = draw_recipes(opened.network, recipes, progress=reporter(progress, "drawing the map"))
        shown = [(picture(i, r.text(opened.digest)), r.name) for i, r in zip(images, recipes, strict=True)]
        note = f"**{escaped(centre.name)}** is in the middle. Click another picture to go there."
        return shown, note, Sheet(opened.entry.name, tuple(recipes))

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
    ) -> tuple[Image.Image, Image.Image]:
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
        recipe, network, digest, found = self._directions(model, seed, method)
        start = recipe.inputs(network)
        z = start.z[0] + torch.tensor(steps) @ found
        before, after = draw_latents(network, torch.stack([start.z[0], z]), start.noise)
        words = ", ".join(f"{step:g}" for step in steps)
        text = {**recipe.text(digest), "directions": f"{method}: {words}"}
        return picture(before, recipe.text(digest)), picture(after, text)

    @sentences
    def strips(
        self,
        model: str,
        seed: float,
        method: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> str:
        """What each direction does to a picture: a row of pictures from -5 to 5 for each."""
        recipe, network, _, found = self._directions(model, seed, method)
        start = recipe.inputs(network)
        steps = torch.linspace(-REACH_OF_DIRECTION, REACH_OF_DIRECTION, 5)
        rows = []
        for index, direction in enumerate(found):
            images = draw_latents(network, start.z + steps[:, None] * direction, start.noise)
            rows.append(_strip(f"Direction {index + 1}", images))
            progress((index + 1, len(found)), desc="drawing what each direction does")
        return "".join(rows)

    def _directions(self, model: str, seed: float, method: str) -> tuple[Recipe, Generator, str, Tensor]:
        recipe = Recipe(seed_number(seed))
        how = chosen(method, DIRECTION_METHODS, "The method")
        opened = self.models.open(model)
        return recipe, opened.network, opened.digest, _directions(opened.network, how, NUM_DIRECTIONS)

    @sentences
    def walk(
        self,
        model: str,
        pictures: str = "0, 5, 12",
        steps: float = 12,
        loop: bool = True,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[str, str, str]:
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
        opened = self.models.open(model)
        latents = closed_walk(
            torch.stack([recipe.latent(opened.network) for recipe in stations]), frames_each, loop=closed
        )
        noise = stations[0].inputs(opened.network).noise
        parts = []
        for start in range(0, len(latents), 8):
            parts.append(draw_latents(opened.network, latents[start : start + 8], noise))
            progress((start, len(latents)), desc="drawing the film")
        frames = _enlarged_frames(torch.cat(parts), FILM_SIDE)
        folder = Path(tempfile.mkdtemp(prefix="walk-", dir=temporary_folder()))
        progress(0.95, desc="writing the film")
        write_mp4(folder / "walk.mp4", frames)
        write_gif(folder / "walk.gif", torch.cat(parts) if len(frames) > 120 else frames)
        names = ", ".join(recipe.name for recipe in stations)
        way = f"{names} and back" if closed else names
        note = f"**{len(frames)} frames**: {escaped(way)}. Every picture on the way is drawn by the model, not blended."
        return str(folder / "walk.mp4"), str(folder / "walk.gif"), note


def _enlarged_frames(frames: Tensor, side: int) -> Tensor:
    factor = max(1, side // frames.shape[-1])
    return frames.repeat_interleave(factor, 2).repeat_interleave(factor, 3)


def _strip(title: str, images: Sequence[Tensor] | Tensor) -> str:
    shown = figures([(image, "") for image in images], columns=len(images))
    return f'<div class="strip"><b>{escaped(title)}</b>{shown}</div>'


def build(models: Models, model: gr.Dropdown) -> dict[str, Any]:
    """The tab's components and events; returns what other tabs connect to."""
    handlers = ExploreHandlers(models)
    with gr.Tabs(elem_classes="inner-tabs", overflow_behavior="wrap"):
        with gr.Tab("Neighbours", id="neighbours", elem_id="tab-neighbours") as neighbour_tab:
            first_map = _build_neighbours(handlers, model)
        with gr.Tab("Directions", id="directions", elem_id="tab-directions") as direction_tab:
            first_directions = _build_directions(handlers, model)
        with gr.Tab("Walk", id="walk", elem_id="tab-walk"):
            stations = _build_walk(handlers, model)
    neighbour_tab.select(*first_map, api_visibility="private", **DEVICE)
    direction_tab.select(*first_directions[0], api_visibility="private", **DEVICE).success(
        *first_directions[1], api_visibility="private", **DEVICE
    )
    return {"stations": stations, "on_open": first_map}


def _build_neighbours(handlers: ExploreHandlers, model: gr.Dropdown) -> tuple[Any, list[Any], list[Any]]:
    sheet = gr.State(None)
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            with gr.Group():
                centre = gr.Textbox(
                    "0", label="Picture", info="A seed, or the name under any picture.", max_length=200, lines=1
                )
                reach = gr.Slider(0.05, 1.4, 0.6, step=0.05, label="Reach", info="How different the edges are.")
                plane = gr.Number(0, label="Plane", info="Which two directions the map shows.", precision=0, minimum=0)
            draw = gr.Button("Draw the map", variant="primary")
            turn = gr.Button("Another plane")
        with gr.Column(scale=3, min_width=300):
            note = gr.Markdown("The map appears here.", elem_id="explore-note")
            gallery = gr.Gallery(
                show_label=False,
                columns=MAP_SIDE,
                height="auto",
                format="png",
                buttons=["download"],
                allow_preview=False,
                interactive=False,
                elem_id="map",
                elem_classes=["pictures", "map"],
            )
    inputs, outputs = [model, centre, reach, plane], [gallery, note, sheet]
    draw.click(handlers.neighbours, inputs, outputs, api_name="neighbours", api_visibility="public", **DEVICE)
    centre.submit(handlers.neighbours, inputs, outputs, api_visibility="private", **DEVICE)
    turn.click(
        lambda now: (int(now or 0) + 1) % MAX_SEED, [plane], [plane], api_visibility="private", queue=False
    ).then(handlers.neighbours, inputs, outputs, api_visibility="private", **DEVICE)

    @sentences
    def go(event: gr.SelectData, current: Sheet | None) -> str:
        index = int(event.index[0] if isinstance(event.index, list) else event.index)
        if current is None or not 0 <= index < len(current.recipes):
            raise UsageError("This map is no longer there; draw it again.")
        return current.recipes[index].name

    gallery.select(go, [sheet], [centre], api_visibility="private", queue=False).success(
        handlers.neighbours, inputs, outputs, api_visibility="private", **DEVICE
    )
    return handlers.neighbours, inputs, outputs


def _build_directions(handlers: ExploreHandlers, model: gr.Dropdown) -> list[tuple[Any, list[Any], list[Any]]]:
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            with gr.Group():
                seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=MAX_SEED)
                method = gr.Radio(
                    [("First layer", "factorisation"), ("Components", "components")],
                    value="factorisation",
                    label="Found by",
                    info="The first layer's strongest directions, or the principal components of early features.",
                )
            with gr.Group():
                sliders = [
                    gr.Slider(
                        -REACH_OF_DIRECTION, REACH_OF_DIRECTION, 0, step=0.1, label=f"Direction {index + 1}",
                        elem_id=f"direction-{index + 1}", elem_classes="thin",
                    )
                    for index in range(NUM_DIRECTIONS)
                ]  # fmt: skip
            reset = gr.Button("All back to 0")
        with gr.Column(scale=2, min_width=300):
            with gr.Row(elem_classes="pair"):
                before = _large_picture("Before", "direction-before")
                after = _large_picture("After", "direction-after")
            gr.Markdown("### What each direction does\nFrom -5 on the left to 5 on the right, all others at 0.")
            strips = gr.HTML("", elem_id="strips")
    inputs = [model, seed, method, *sliders]
    move = (handlers.move, inputs, [before, after])
    show = (handlers.strips, [model, seed, method], [strips])
    # The public event first: gradio numbers those that follow under the same name.
    reset.click(lambda: [0] * NUM_DIRECTIONS, None, sliders, api_visibility="private", queue=False).then(
        *move, api_name="move", api_visibility="public", **DEVICE
    )
    moved_by_hand(sliders, *move)
    for trigger in (seed.submit, method.change):
        trigger(*move, api_visibility="private", **DEVICE).success(*show, api_visibility="private", **DEVICE)
    return [move, show]


def _large_picture(label: str, elem_id: str) -> gr.Image:
    return gr.Image(
        label=label,
        format="png",
        buttons=["download", "fullscreen"],
        interactive=False,
        min_width=140,
        elem_id=elem_id,
        elem_classes=["pictures", "large"],
        alt_text=label,
    )


def _build_walk(handlers: ExploreHandlers, model: gr.Dropdown) -> gr.Textbox:
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            with gr.Group():
                stations = gr.Textbox(
                    "0, 5, 12",
                    label="Pictures",
                    info="Seeds or names; 'Add to walk' in the tab Generate adds one.",
                    max_length=1000,
                    elem_id="stations",
                )
                steps = gr.Slider(2, MOST_STEPS, 12, step=1, label="Frames from picture to picture")
                loop = gr.Checkbox(True, label="Return to the first picture")
            start = gr.Button("Make the film", variant="primary")
        with gr.Column(scale=2, min_width=300):
            note = gr.Markdown("The film appears here. It takes a few seconds.")
            film = gr.Video(
                label="Film",
                autoplay=True,
                loop=True,
                interactive=False,
                buttons=["download"],
                elem_id="film",
                height=420,
            )
            animation = gr.File(label="The same as an animated GIF", interactive=False, elem_id="gif")
    start.click(
        handlers.walk,
        [model, stations, steps, loop],
        [film, animation, note],
        api_name="walk",
        api_visibility="public",
        **DEVICE,
    )
    return stations
