"""The tab Explore: the neighbours of a picture on a map, directions as sliders, and walks between pictures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial

import gradio as gr
import torch
from PIL import Image
from torch import Tensor

from sase_gan.drawing.latents import DIRECTION_METHODS, class_walk, closed_walk, directions
from sase_gan.drawing.recipes import MAP_SIDE, Move, Recipe, parse_recipes
from sase_gan.drawing.sampling import MAX_SEED, draw_latents
from sase_gan.markdown import escaped
from sase_gan.networks.generator import Generator
from sase_gan.ui import widgets
from sase_gan.ui.checks import chosen, named_picture, number, sentences, switch, whole_number
from sase_gan.ui.events import BAR, Action, Trigger, at_once, clicked, in_turn, moved_by_hand, open_tab, reporter
from sase_gan.ui.fields import checked
from sase_gan.ui.markup import figures
from sase_gan.ui.models import Models, Opened
from sase_gan.ui.pictures import Drawn, Film, Sheet, draw_sheet, picture, recipe_at, write_film
from sase_gan.ui.suited import InTurn, OpenTabs, in_sight, lacks, suited

NUM_DIRECTIONS = 6
REACH_OF_DIRECTION = 5.0
MOST_STATIONS = 12
MOST_STEPS = 30
MOST_LARGE_FRAMES = 120

_directions = lru_cache(maxsize=6)(directions)


class ExploreHandlers:
    """What the tab does."""

    def __init__(self, models: Models) -> None:
        self.models = models

    @sentences
    def neighbours(
        self, model: str, picture_name: str = "0", reach: float = 0.6, plane: float = 0, progress: gr.Progress = BAR
    ) -> Drawn:
        """Draw the map of neighbours around a picture: 25 pictures, the given one in the middle.

        Args:
            picture_name: A seed such as 17, or the name of a variation such as 17~40.0.3.
            reach: How far the edge is from the middle, 0.05 to 1.4 radians.
            plane: Which two random directions the map lies in, 0 to 2147483647.
        """
        centre = named_picture(picture_name)
        far = round(number(reach, 0.05, 1.4, "The reach") * 100)
        which = whole_number(plane, 0, MAX_SEED, "The plane")
        recipes = [centre.moved(Move("@", far, which, place)) for place in range(MAP_SIDE**2)]
        recipes[MAP_SIDE**2 // 2] = centre
        note = f"**{escaped(centre.name)}** is in the middle. Click another picture to go there."
        return draw_sheet(self.models.open(model), recipes, note, reporter(progress, "drawing the map"))

    @sentences
    def name_at(self, sheet: Sheet | None, place: int) -> str:
        """The name of the picture at a place of the map."""
        return recipe_at(sheet, place)[0].name

    @sentences
    def move(
        self, model: str, picture_name: str = "0", method: str = "factorisation", first: float = 0,
        second: float = 0, third: float = 0, fourth: float = 0, fifth: float = 0, sixth: float = 0,
    ) -> tuple[Image.Image, Image.Image]:  # fmt: skip
        """Move a picture along directions found without labels; returns it before and after.

        Args:
            picture_name: A seed such as 17, or the name of a variation such as 17~40.0.3.
            method: "factorisation" of the first layer, or principal "components" of early features.
            first: How far along the strongest direction, -5 to 5; the others along those that follow.
        """
        values = (first, second, third, fourth, fifth, sixth)
        steps = [number(value, -REACH_OF_DIRECTION, REACH_OF_DIRECTION, "A direction's slider") for value in values]
        recipe, opened, found = self._directions(model, picture_name, method)
        start = recipe.inputs(opened.network)
        z = start.z[0] + torch.tensor(steps) @ found
        latents = torch.stack([start.z[0], z])
        before, after = draw_latents(opened.network, latents, start.noise, classes=start.classes)
        text = recipe.text(opened.digest)
        words = ", ".join(f"{step:g}" for step in steps)
        return picture(before, text), picture(after, {**text, "directions": f"{method}: {words}"})

    @sentences
    def strips(self, model: str, picture_name: str, method: str, progress: gr.Progress = BAR) -> str:
        """Show what each direction does to a picture: a row of pictures from -5 to 5 for each."""
        recipe, opened, found = self._directions(model, picture_name, method)
        start = recipe.inputs(opened.network)
        steps = torch.linspace(-REACH_OF_DIRECTION, REACH_OF_DIRECTION, 5)
        rows = []
        for index, direction in enumerate(found):
            latents = start.z + steps[:, None] * direction
            images = draw_latents(opened.network, latents, start.noise, classes=start.classes)
            shown = figures([(image, "") for image in images], columns=len(images))
            rows.append(f'<div class="strip"><b>Direction {index + 1}</b>{shown}</div>')
            progress((index + 1, len(found)), desc="drawing what each direction does")
        return "".join(rows)

    def _directions(self, model: str, name: str, method: str) -> tuple[Recipe, Opened[Generator], Tensor]:
        recipe = named_picture(name)
        how = chosen(method, DIRECTION_METHODS, "The method")
        opened = self.models.open_generator(model, "directions")
        return recipe, opened, _directions(opened.network, how, NUM_DIRECTIONS)

    @sentences
    def walk(
        self, model: str, pictures: str = "0, 5, 12", steps: float = 12, loop: bool = True, progress: gr.Progress = BAR
    ) -> Film:
        """Walk from picture to picture, as a film (MP4) and an animation (GIF).

        Args:
            pictures: Two to twelve pictures, such as 0, 5, 12 or 3-6, or names of variations.
            steps: Frames from picture to picture, 2 to 30.
        """
        stations = parse_recipes(pictures, most=MOST_STATIONS, least=2)
        frames_each = whole_number(steps, 2, MOST_STEPS, "The number of frames")
        closed = switch(loop, "The return to the first picture")
        network = self.models.open(model).network
        latents = closed_walk(torch.stack([recipe.latent(network) for recipe in stations]), frames_each, loop=closed)
        noise = stations[0].inputs(network).noise
        classes = class_walk([recipe.class_weights(network) for recipe in stations], frames_each, loop=closed)
        parts = []
        for start in range(0, len(latents), 8):
            rows = None if classes is None else classes[start : start + 8]
            parts.append(draw_latents(network, latents[start : start + 8], noise, classes=rows))
            progress((start, len(latents)), desc="drawing the film")
        progress(0.95, desc="writing the film")
        names = ", ".join(recipe.name for recipe in stations)
        way = escaped(f"{names} and back" if closed else names)
        note = f"**{len(latents)} frames**: {way}. Every picture on the way is drawn by the model, not blended."
        return write_film(torch.cat(parts), "walk", note, most_large=MOST_LARGE_FRAMES)


@dataclass(frozen=True)
class Explored:
    """What draws the part of the tab that is in sight, its inner tabs, and the fields that take pictures."""

    draw: InTurn
    tabs: gr.Tabs
    centre: gr.Textbox
    stations: gr.Textbox


def build(models: Models, model: gr.Dropdown) -> Explored:
    """Lay the tab out."""
    handlers = ExploreHandlers(models)
    with gr.Tabs(elem_classes="inner-tabs", overflow_behavior="wrap") as tabs:
        with gr.Tab("Neighbours", id="neighbours", elem_id="tab-neighbours") as neighbours:
            centre, draw_map = _build_neighbours(handlers, model)
        directions = gr.Tab("Directions", id="directions", elem_id="tab-directions")
        with directions, suited(models, model, lacks("directions")) as begin:
            move, strips = _build_directions(handlers, model)
        with gr.Tab("Walk", id="walk", elem_id="tab-walk") as walk:
            stations = _build_walk(handlers, model)
    opened = open_tab([neighbours, directions, walk])

    def draw(trigger: Trigger, open_tabs: OpenTabs) -> None:
        in_sight(trigger, [*open_tabs, (opened, "neighbours")], draw_map)
        begin(trigger, [*open_tabs, (opened, "directions")], move, strips)

    for tab in (neighbours, directions):
        draw(tab.select, [])
    return Explored(draw, tabs, centre, stations)


def _build_neighbours(handlers: ExploreHandlers, model: gr.Dropdown) -> tuple[gr.Textbox, Action]:
    sheet = gr.State(None)
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            with gr.Group():
                centre = widgets.picture_field(elem_id="centre")
                reach = gr.Slider(0.05, 1.4, 0.6, step=0.05, label="Reach", info="How different the edges are.")
                plane = gr.Number(0, label="Plane", info="Which two directions the map shows.", precision=0, minimum=0)
            draw = gr.Button("Draw the map", variant="primary")
            turn = gr.Button("Another plane")
        with gr.Column(scale=3, min_width=300):
            note = gr.Markdown("The map appears here.", elem_id="explore-note")
            gallery = widgets.gallery_view("map", "map", columns=MAP_SIDE, buttons=["download"], allow_preview=False)
    shown = {"gallery": gallery, "note": note, "sheet": sheet}
    draw_map = Action(handlers.neighbours, [model, centre, reach, plane], shown)
    draw_map.on(draw.click, api="neighbours")
    draw_map.on(centre.submit)
    draw_map.on(at_once(turn.click, lambda now: (int(now or 0) + 1) % MAX_SEED, [plane], [plane]).then)

    def go(event: gr.SelectData, current: Sheet | None) -> str:
        return handlers.name_at(current, clicked(event))

    draw_map.on(at_once(gallery.select, go, [sheet], [centre]).success)
    return centre, draw_map


def _build_directions(handlers: ExploreHandlers, model: gr.Dropdown) -> tuple[Action, Action]:
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            with gr.Group():
                start = widgets.picture_field()
                methods = [("First layer", "factorisation"), ("Components", "components")]
                words = "The first layer's strongest directions, or the principal components of early features."
                method = gr.Radio(methods, value="factorisation", label="Found by", info=words)
            with gr.Group():
                sliders = [
                    widgets.thin_slider(-REACH_OF_DIRECTION, REACH_OF_DIRECTION, 0, f"Direction {k}", f"direction-{k}")
                    for k in range(1, NUM_DIRECTIONS + 1)
                ]
            reset = gr.Button("All back to 0")
        with gr.Column(scale=2, min_width=300):
            with gr.Row(elem_classes="pair"):
                before = widgets.image_view("Before", "direction-before", "pictures", "large", min_width=140)
                after = widgets.image_view("After", "direction-after", "pictures", "large", min_width=140)
            gr.Markdown("### What each direction does\nFrom -5 on the left to 5 on the right, all others at 0.")
            shown = gr.HTML("", elem_id="strips")
    move = Action(handlers.move, [model, start, method, *sliders], [before, after])
    strips = Action(handlers.strips, [model, start, method], shown)
    # The public event first: gradio numbers those that follow under the same name.
    move.on(at_once(reset.click, lambda: [0] * NUM_DIRECTIONS, [], sliders).then, api="move")
    moved_by_hand(sliders, move)
    for trigger in (start.submit, method.change):
        in_turn(trigger, move, strips)
    return move, strips


def _build_walk(handlers: ExploreHandlers, model: gr.Dropdown) -> gr.Textbox:
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            with gr.Group():
                words = "Seeds or names; 'Add to walk' in the tab Generate adds one."
                stations = gr.Textbox("0, 5, 12", label="Pictures", info=words, max_length=1000, elem_id="stations")
                checked(stations, partial(parse_recipes, most=MOST_STATIONS, least=2))
                steps = gr.Slider(2, MOST_STEPS, 12, step=1, label="Frames from picture to picture")
                loop = gr.Checkbox(True, label="Return to the first picture")
            start = gr.Button("Make the film", variant="primary")
        with gr.Column(scale=2, min_width=300):
            note = gr.Markdown("The film appears here. It takes a few seconds.")
            film = widgets.film_view("film", "gif")
    Action(handlers.walk, [model, stations, steps, loop], {**film, "note": note}).on(start.click, api="walk")
    return stations
