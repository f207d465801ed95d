"""The way from one class to another: the same pictures in shares of both, in the tab Mix."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr

from sase_gan.drawing.recipes import Recipe
from sase_gan.errors import UsageError
from sase_gan.markdown import escaped
from sase_gan.networks.conditioning import names_of
from sase_gan.ui import widgets
from sase_gan.ui.checks import chosen, sentences
from sase_gan.ui.class_choice import Known, mixture_of
from sase_gan.ui.events import BAR, Action, at_once, clicked, reporter
from sase_gan.ui.models import Models
from sase_gan.ui.photographs import named_pictures
from sase_gan.ui.pictures import Drawn, Sheet, draw_sheet, recipe_at

SHARES = (0, 20, 40, 60, 80, 100)
MOST_ROWS = 6


class BetweenHandlers:
    """What the part does."""

    def __init__(self, models: Models) -> None:
        self.models = models

    @sentences
    def between(
        self, model: str, pictures: str = "0, 1, 4, 5", first: str = "", second: str = "", progress: gr.Progress = BAR
    ) -> Drawn:
        """Draw pictures of one class, of another, and in four shares between them: a row of six for each picture.

        Args:
            pictures: One to six pictures, such as 0, 1, 4; a class that a name has is left out.
            first, second: Two classes of the model.

        Raises:
            UsageError: for a model without classes, or one class twice.
        """
        found = named_pictures(pictures, most=MOST_ROWS)
        opened = self.models.open(model)
        names = names_of(opened.network)
        if not names:
            raise UsageError(f"{opened.entry.name} has no classes; choose a model that has.")
        one, other = chosen(first, names, "The first class"), chosen(second, names, "The second class")
        if one == other:
            raise UsageError(f"Both classes are {one}; choose two different ones.")
        recipes = [replace(recipe, classes=mixture_of(one, other, share)) for recipe in found for share in SHARES]
        note = f"From **{escaped(one)}** to **{escaped(other)}**, by a fifth each. Click a picture for its name."
        return draw_sheet(opened, recipes, note, reporter(progress, "drawing"))


def offered(known: Known) -> tuple[Any, Any, Any]:
    """Offer the classes of a model, the first two chosen: updates of the part and of both lists."""
    choices = list(known.names)
    first, second = (*choices, "", "")[:2]
    return (
        gr.update(visible=bool(choices)),
        gr.update(choices=choices, value=first),
        gr.update(choices=choices, value=second),
    )


def build(models: Models, model: gr.Dropdown, known: gr.State, pictures: gr.Textbox) -> None:
    """Lay the part out and connect its events; it draws the pictures of a field, and is seen with classes only."""
    handlers = BetweenHandlers(models)
    sheet = gr.State(None)
    with gr.Column(visible=False, elem_id="between") as part:
        gr.Markdown("### Between two classes")
        with gr.Row():
            with gr.Column(scale=1, min_width=280):
                with gr.Group():
                    first = gr.Dropdown([], label="From class", elem_id="between-first")
                    second = gr.Dropdown([], label="To class", elem_id="between-second")
                start = gr.Button("Draw the way for the rows' pictures", elem_id="between-button")
                name = widgets.name_view("between-name")
            with gr.Column(scale=3, min_width=300):
                note = gr.Markdown("The pictures between two classes appear here.", elem_id="between-note")
                gallery = widgets.gallery_view("between-sheet", "between", columns=len(SHARES), allow_preview=False)
    shown = {"gallery": gallery, "note": note, "sheet": sheet}
    Action(handlers.between, [model, pictures, first, second], shown).on(start.click, api="between")

    def named(event: gr.SelectData, current: Sheet | None) -> str:
        found: Recipe = recipe_at(current, clicked(event))[0]
        return found.name

    at_once(gallery.select, sentences(named), [sheet], [name])
    at_once(known.change, offered, [known], [part, first, second])
