"""The tab Explore: the neighbours of a picture on a map, directions as sliders, live, films, and photographs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr
from PIL import Image

from sase_gan.drawing.recipes import MAP_SIDE, Move, draw_recipes
from sase_gan.drawing.sampling import MAX_SEED
from sase_gan.errors import UsageError
from sase_gan.markdown import escaped
from sase_gan.ui import bringing, live, walking, widgets
from sase_gan.ui.checks import named_picture, number, sentences, whole_number
from sase_gan.ui.class_choice import class_choice
from sase_gan.ui.events import BAR, Action, Trigger, at_once, clicked, in_turn, moved_by_hand, open_tab, reporter
from sase_gan.ui.markup import figures
from sase_gan.ui.models import Models
from sase_gan.ui.pictures import Drawn, Sheet, draw_sheet, picture, recipe_at
from sase_gan.ui.steering import NUM_DIRECTIONS, REACH, steered
from sase_gan.ui.suited import InTurn, OpenTabs, in_sight, lacks, suited

MOST_ON_TRAIL = 50

Trail = tuple[tuple[str, ...], int]
"""The middles that the map had, and which of them it has now."""


@dataclass(frozen=True)
class Moved:
    """A picture before and after it was moved, and the name that it has then."""

    before: Image.Image
    after: Image.Image
    name: str


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
    ) -> Moved:  # fmt: skip
        """Move a picture along directions found without labels; returns it before and after, and its new name.

        Args:
            picture_name: A seed such as 17, or the name of a variation such as 17~40.0.3.
            method: "factorisation" of the first layer, or principal "components" of early features.
            first: How far along the strongest direction, -5 to 5; the others along those that follow.
        """
        start, opened = named_picture(picture_name), self.models.open_generator(model, "directions")
        end = steered(opened, start, method, (first, second, third, fourth, fifth, sixth))
        before, after = draw_recipes(opened.network, [start, end], ground="file")
        return Moved(picture(before, start.text(opened.digest)), picture(after, end.text(opened.digest)), end.name)

    @sentences
    def strips(self, model: str, picture_name: str, method: str, progress: gr.Progress = BAR) -> str:
        """Show what each direction does to a picture: a row of pictures from -5 to 5 for each."""
        start, opened = named_picture(picture_name), self.models.open_generator(model, "directions")
        rows = []
        for index in range(NUM_DIRECTIONS):
            values = [[0.0] * index + [REACH * share] for share in (-1, -0.5, 0, 0.5, 1)]
            images = draw_recipes(opened.network, [steered(opened, start, method, steps) for steps in values])
            shown = figures([(image, "") for image in images], columns=len(images))
            rows.append(f'<div class="strip"><b>Direction {index + 1}</b>{shown}</div>')
            progress((index + 1, NUM_DIRECTIONS), desc="drawing what each direction does")
        return "".join(rows)


@sentences
def remembered(sheet: Sheet | None, trail: Trail) -> Trail:
    """The trail with the middle of the map that is drawn now; what lay ahead is dropped where another way is taken."""
    names, place = trail
    if sheet is None:
        return trail
    middle = sheet.recipes[len(sheet.recipes) // 2].name
    if names and names[place] == middle:
        return trail
    kept = (*names[: place + 1], middle)[-MOST_ON_TRAIL:]
    return kept, len(kept) - 1


@sentences
def stepped(trail: Trail, step: int) -> tuple[Trail, str]:
    """The trail one step back or forth, and the middle there.

    Raises:
        UsageError: where it ends.
    """
    names, place = trail
    if not 0 <= place + step < len(names):
        raise UsageError("The trail ends here; click a picture of the map to go on.")
    return (names, place + step), names[place + step]


def trail_words(trail: Trail) -> str:
    """Show the last steps of a trail, each by what it adds, as Markdown."""
    names, place = trail
    if len(names) < 2:
        return ""
    shown = []
    for index, name in enumerate(names):
        before = names[index - 1] if index else ""
        added = name.removeprefix(before) if before else name
        step = added if added[:1] in ("~", "@", "+") else name
        shown.append(f"**{escaped(step)}**" if index == place else escaped(step))
    first = max(0, min(place - 3, len(shown) - 6))
    more = "… › " if first else ""
    return f"Trail: {more}{' › '.join(shown[first : first + 6])}{' › …' if first + 6 < len(shown) else ''}"


@dataclass(frozen=True)
class Explored:
    """What draws the part of the tab that is in sight, its inner tabs, the fields that take pictures, a photograph."""

    draw: InTurn
    tabs: gr.Tabs
    centre: gr.Textbox
    stations: gr.Textbox
    brought: bringing.Bringing


def build(models: Models, model: gr.Dropdown, known: gr.State) -> Explored:
    """Lay the tab out; `known` are the classes of the model."""
    handlers = ExploreHandlers(models)
    with gr.Tabs(elem_classes="inner-tabs", overflow_behavior="wrap") as tabs:
        with gr.Tab("Neighbours", id="neighbours", elem_id="tab-neighbours") as neighbours:
            centre, draw_map = _build_neighbours(handlers, model, known)
        directions = gr.Tab("Directions", id="directions", elem_id="tab-directions")
        with directions, suited(models, model, lacks("directions")) as begin:
            move, strips = _build_directions(handlers, model, known)
        with gr.Tab("Live", id="live", elem_id="tab-live") as alive:
            live.build(models, model, centre, tabs)
        with gr.Tab("Walk", id="walk", elem_id="tab-walk") as walk:
            stations = walking.build(models, model, known)
        photograph = gr.Tab("My photograph", id="photograph", elem_id="tab-photograph")
        with photograph, suited(models, model, lacks("space for photographs")) as begin_photograph:
            brought = bringing.build(models, model)
    opened = open_tab([neighbours, directions, alive, walk, photograph])

    def draw(trigger: Trigger, open_tabs: OpenTabs) -> None:
        in_sight(trigger, [*open_tabs, (opened, "neighbours")], draw_map)
        begin(trigger, [*open_tabs, (opened, "directions")], move, strips)
        begin_photograph(trigger, [*open_tabs, (opened, "photograph")])

    for tab in (neighbours, directions, photograph):
        draw(tab.select, [])
    return Explored(draw, tabs, centre, stations, brought)


def _build_neighbours(handlers: ExploreHandlers, model: gr.Dropdown, known: gr.State) -> tuple[gr.Textbox, Action]:
    sheet, trail = gr.State(None), gr.State(((), -1))
    with gr.Row(elem_classes="studio-row"):
        with gr.Column(scale=1, min_width=260, elem_classes="controls"):
            with gr.Group():
                centre = widgets.picture_field(elem_id="centre", buttons=["copy"])
                of_class = class_choice(known, centre, "centre-class")
                reach = gr.Slider(0.05, 1.4, 0.6, step=0.05, label="Reach", info="How different the edges are.")
                plane = gr.Number(0, label="Plane", info="Which two directions the map shows.", precision=0, minimum=0)
            draw = gr.Button("Draw the map", variant="primary")
            with gr.Row():
                back = gr.Button("◀ Back", min_width=90, interactive=False, elem_id="trail-back")
                forth = gr.Button("Forth ▶", min_width=90, interactive=False, elem_id="trail-forth")
            turn = gr.Button("Another plane")
        with gr.Column(scale=3, min_width=300):
            note = gr.Markdown("The map appears here.", elem_id="explore-note")
            way = gr.Markdown("", elem_id="trail")
            gallery = widgets.gallery_view("map", "map", columns=MAP_SIDE, buttons=["download"], allow_preview=False)
    shown = {"gallery": gallery, "note": note, "sheet": sheet}
    draw_map = Action(handlers.neighbours, [model, centre, reach, plane], shown)
    draw_map.on(draw.click, api="neighbours")
    draw_map.on(centre.submit)
    draw_map.on(of_class)
    draw_map.on(at_once(turn.click, lambda now: (int(now or 0) + 1) % MAX_SEED, [plane], [plane]).then)

    def go(event: gr.SelectData, current: Sheet | None) -> str:
        return handlers.name_at(current, clicked(event))

    draw_map.on(at_once(gallery.select, go, [sheet], [centre]).success)
    for button, step in ((back, -1), (forth, 1)):
        draw_map.on(at_once(button.click, partial(stepped, step=step), [trail], [trail, centre]).success)

    def tell(known: Trail) -> tuple[str, Any, Any]:
        names, place = known
        ahead = place + 1 < len(names)
        return trail_words(known), gr.update(interactive=place > 0), gr.update(interactive=ahead)

    at_once(at_once(sheet.change, remembered, [sheet, trail], [trail]).then, tell, [trail], [way, back, forth])
    return centre, draw_map


def _build_directions(handlers: ExploreHandlers, model: gr.Dropdown, known: gr.State) -> tuple[Action, Action]:
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            with gr.Group():
                start = widgets.picture_field()
                of_class = class_choice(known, start, "directions-class")
                methods = [("First layer", "factorisation"), ("Components", "components")]
                words = "The first layer's strongest directions, or the principal components of early features."
                method = gr.Radio(methods, value="factorisation", label="Found by", info=words)
            with gr.Group():
                sliders = [
                    widgets.thin_slider(-REACH, REACH, 0, f"Direction {k}", f"direction-{k}")
                    for k in range(1, NUM_DIRECTIONS + 1)
                ]
            reset = gr.Button("All back to 0")
        with gr.Column(scale=2, min_width=300):
            with gr.Row(elem_classes="pair"):
                before = widgets.image_view("Before", "direction-before", "pictures", "large", min_width=140)
                after = widgets.image_view("After", "direction-after", "pictures", "large", min_width=140)
            name = widgets.name_view("direction-name")
            gr.Markdown("### What each direction does\nFrom -5 on the left to 5 on the right, all others at 0.")
            shown = gr.HTML("", elem_id="strips")
    moved = {"before": before, "after": after, "name": name}
    move = Action(handlers.move, [model, start, method, *sliders], moved)
    strips = Action(handlers.strips, [model, start, method], shown)
    # The public event first: gradio numbers those that follow under the same name.
    move.on(at_once(reset.click, lambda: [0] * NUM_DIRECTIONS, [], sliders).then, api="move")
    moved_by_hand(sliders, move)
    for trigger in (start.submit, method.change, of_class):
        in_turn(trigger, move, strips)
    return move, strips
