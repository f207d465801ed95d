"""The tab Explore: the neighbours of a picture on a map, directions as sliders, and walks between pictures."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from sase_gan.drawing.recipes import MAP_SIDE
from sase_gan.drawing.sampling import MAX_SEED
from sase_gan.ui.events import Action, at_once, in_turn, moved_by_hand
from sase_gan.ui.handlers.explore import MOST_STEPS, NUM_DIRECTIONS, REACH_OF_DIRECTION, ExploreHandlers
from sase_gan.ui.models import Models
from sase_gan.ui.pictures import Sheet
from sase_gan.ui.widgets import film_view, gallery_view, image_view, seed_field


@dataclass(frozen=True)
class ExploreTab:
    """What the page connects to: the map that is drawn when the tab is opened, and the stations of the walk."""

    draw_map: Action
    stations: gr.Textbox


def build(models: Models, model: gr.Dropdown) -> ExploreTab:
    """Lay the tab out and connect its events."""
    handlers = ExploreHandlers(models)
    with gr.Tabs(elem_classes="inner-tabs", overflow_behavior="wrap"):
        with gr.Tab("Neighbours", id="neighbours", elem_id="tab-neighbours") as neighbours:
            draw_map = _build_neighbours(handlers, model)
        with gr.Tab("Directions", id="directions", elem_id="tab-directions") as directions:
            move, strips = _build_directions(handlers, model)
        with gr.Tab("Walk", id="walk", elem_id="tab-walk"):
            stations = _build_walk(handlers, model)
    in_turn(neighbours.select, draw_map)
    in_turn(directions.select, move, strips)
    return ExploreTab(draw_map, stations)


def _build_neighbours(handlers: ExploreHandlers, model: gr.Dropdown) -> Action:
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
            gallery = gallery_view("map", "map", columns=MAP_SIDE, buttons=["download"], allow_preview=False)
    draw_map = Action(
        handlers.neighbours, [model, centre, reach, plane], {"gallery": gallery, "note": note, "sheet": sheet}
    )
    draw_map.on(draw.click, api="neighbours")
    draw_map.on(centre.submit)
    draw_map.on(at_once(turn.click, lambda now: (int(now or 0) + 1) % MAX_SEED, [plane], [plane]).then)

    def go(event: gr.SelectData, current: Sheet | None) -> str:
        return handlers.name_at(current, int(event.index[0] if isinstance(event.index, list) else event.index))

    draw_map.on(at_once(gallery.select, go, [sheet], [centre]).success)
    return draw_map


def _build_directions(handlers: ExploreHandlers, model: gr.Dropdown) -> tuple[Action, Action]:
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            with gr.Group():
                seed = seed_field()
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
                before = image_view("Before", "direction-before", "pictures", "large", min_width=140)
                after = image_view("After", "direction-after", "pictures", "large", min_width=140)
            gr.Markdown("### What each direction does\nFrom -5 on the left to 5 on the right, all others at 0.")
            shown = gr.HTML("", elem_id="strips")
    move = Action(handlers.move, [model, seed, method, *sliders], {"before": before, "after": after})
    strips = Action(handlers.strips, [model, seed, method], shown)
    # The public event first: gradio numbers those that follow under the same name.
    move.on(at_once(reset.click, lambda: [0] * NUM_DIRECTIONS, [], sliders).then, api="move")
    moved_by_hand(sliders, move)
    for trigger in (seed.submit, method.change):
        in_turn(trigger, move, strips)
    return move, strips


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
            film = film_view("film", "gif")
    Action(handlers.walk, [model, stations, steps, loop], {**film, "note": note}).on(start.click, api="walk")
    return stations
