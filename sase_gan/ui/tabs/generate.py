"""The tab Generate: pictures by seed; a picture's own page with its nearest training pictures; more like it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from sase_gan.class_names import Mixture
from sase_gan.drawing.recipes import Move, Recipe
from sase_gan.drawing.sampling import MAX_SEED, NoiseMode
from sase_gan.markdown import escaped
from sase_gan.networks.conditioning import names_of
from sase_gan.ui import close_up, favourites, widgets
from sase_gan.ui.carrying import check_picked
from sase_gan.ui.checks import chosen, number, seed_number, sentences, surprising_seed, whole_number
from sase_gan.ui.class_choice import OWN_CLASS, Known
from sase_gan.ui.entries import INSTANT_OF_ONE
from sase_gan.ui.events import BAR, Action, at_once, clicked, moved_by_hand, reporter
from sase_gan.ui.models import Models
from sase_gan.ui.pictures import Drawn, Sheet, draw_sheet

if TYPE_CHECKING:
    pass

MOST_PICTURES = 64
VARIATIONS = 11
FIRST_OF_ONE = 8
NOISE_MODES: tuple[NoiseMode, ...] = ("random", "fixed", "off")


class GenerateHandlers:
    """What the tab does."""

    def __init__(self, models: Models) -> None:
        self.models = models

    @sentences
    def sample(
        self,
        model: str,
        seed: float = 0,
        count: float = 18,
        truncation: float = 1.0,
        noise: str = "random",
        kind: str = "",
        progress: gr.Progress = BAR,
    ) -> Drawn:
        """Draw pictures of consecutive seeds.

        Args:
            seed: Of the first picture, 0 to 2147483647.
            count: How many pictures, 1 to 64.
            truncation: 0 to 2; below 1 pictures are more typical and less varied.
            noise: "random": each picture has its own fine detail; "fixed": all share that of seed 0; "off": none.
            kind: A class of the model, such as faces; nothing for each seed's own, or a model without classes.
        """
        used = seed_number(seed)
        amount = whole_number(count, 1, MOST_PICTURES, "The number of pictures")
        used = min(used, MAX_SEED - amount + 1)
        cut = number(truncation, 0, 2, "The truncation")
        mode = chosen(noise, NOISE_MODES, "The noise")
        opened = self.models.open(model)
        picked = chosen(kind or "", ("", *names_of(opened.network)), "The class")
        classes: Mixture = ((picked, 100),) if picked else ()
        recipes = [Recipe(used + i, truncation=cut, noise=mode, classes=classes) for i in range(amount)]
        words = f"Seed {used}" if amount == 1 else f"Seeds {used} to {used + amount - 1}"
        note = f"**{words}** of {escaped(opened.entry.name)}. Click a picture to look at it closely."
        return draw_sheet(opened, recipes, note, reporter(progress, "drawing"), seed=used)

    @sentences
    def redraw(
        self,
        model: str,
        seed: float = 0,
        count: float = 18,
        truncation: float = 1.0,
        noise: str = "random",
        kind: str = "",
        progress: gr.Progress = BAR,
    ) -> Drawn:
        """Draw the same of another model: the seed's field is left alone, in which the visitor may be typing.

        Of one picture, whose drawings cost seconds each, no more than eight unless they are asked for.
        """
        amount = whole_number(count, 1, MOST_PICTURES, "The number of pictures")
        first = min(amount, FIRST_OF_ONE) if self.models.find(model).kind == INSTANT_OF_ONE else amount
        known = kind if kind in names_of(self.models.open(model).network) else ""
        return replace(self.sample(model, seed, first, truncation, noise, known, progress), seed=gr.skip())

    @sentences
    def more_like(
        self, recipe: Recipe | None, model: str, amount: float, seed: float = 0, progress: gr.Progress = BAR
    ) -> Drawn:
        """Draw eleven variations of a picture, behind the picture itself."""
        known = check_picked(recipe)
        share = number(amount, 0.05, 1.6, "The amount of change")
        start = whole_number(seed, 0, MAX_SEED, "The seed of the variations")
        moves = [Move("~", round(share * 100), start, place) for place in range(VARIATIONS)]
        note = f"**Like {escaped(known.name)}**, which is the first. Click one to go on from it."
        recipes = [known, *map(known.moved, moves)]
        return draw_sheet(self.models.open(model), recipes, note, reporter(progress, "drawing"))


def offered_classes(known: Known, kind: str = "") -> Any:
    """Offer the classes that a model has; nothing is shown of one without."""
    choices = [(OWN_CLASS, ""), *((name, name) for name in known.names)]
    return gr.update(choices=choices, value=kind if kind in known.names else "", visible=bool(known.names))


@sentences
def paged(seed: object, count: object, pages: int) -> int:
    """The first seed so many pages of pictures further on, or back; at the ends the first or the last page's."""
    amount = whole_number(count, 1, MOST_PICTURES, "The number of pictures")
    return min(max(0, seed_number(seed) + pages * amount), MAX_SEED - amount + 1)


@dataclass(frozen=True)
class Generating:
    """Drawing of another model, what is drawn, the close-up, and the fields for seed and class.

    Attributes:
        lasting: what outlives a change of the model.
    """

    redraw: Action
    sheet: gr.State
    close: close_up.View
    seed: gr.Number
    lasting: tuple[Any, ...]
    kind: gr.Dropdown


def build(models: Models, model: gr.Dropdown, known: gr.State) -> Generating:
    """Lay the tab out and connect its events; `known` are the classes of the model."""
    handlers = GenerateHandlers(models)
    sheet = gr.State(None)
    with gr.Row(elem_classes="studio-row"):
        with gr.Column(scale=1, min_width=260, elem_classes="controls"):
            with gr.Group():
                seed = widgets.seed_field()
                count = gr.Slider(1, MOST_PICTURES, 18, step=1, label="Pictures")
                words = "Below 1: more typical, less varied."
                truncation = gr.Slider(0, 2, 1, step=0.05, label="Truncation", info=words)
            words = "Names say it too: 17=NAME, and of two in shares 17=NAME.30=OTHER.70."
            kind = gr.Dropdown([(OWN_CLASS, "")], value="", label="Class", info=words, visible=False, elem_id="class")
            with gr.Row(elem_classes="pages"):
                back = gr.Button("◀", min_width=44, elem_id="page-back")
                draw = gr.Button("Draw", variant="primary", elem_id="draw", min_width=90)
                forth = gr.Button("▶", min_width=44, elem_id="page-forth")
            surprise = gr.Button("Surprise me", elem_id="surprise")
            with gr.Accordion("More", open=False):
                modes = [("Own", "random"), ("Shared", "fixed"), ("None", "off")]
                words = "The random detail of each picture."
                noise = gr.Radio(modes, value="random", label="Fine noise", info=words)
                view = gr.Radio(["Grid", "Single"], value="Grid", label="View")
        with gr.Column(scale=3, min_width=300):
            note = gr.Markdown("The first pictures are being drawn.", elem_id="sheet-note")
            gallery = widgets.gallery_view("sheet", columns=6, object_fit="contain", allow_preview=False)
            below = gr.Column()
        with gr.Column(scale=1, min_width=290, elem_classes="closer"):
            close = close_up.build(models)
    inputs = [model, seed, count, truncation, noise, kind]
    shown = {"gallery": gallery, "note": note, "sheet": sheet}
    drawn = {"gallery": gallery, "seed": seed, "note": note, "sheet": sheet}
    sample = Action(handlers.sample, inputs, drawn)
    sample.on(draw.click, api="sample")
    sample.on(seed.submit)
    for button, pages in ((back, -1), (forth, 1)):
        sample.on(at_once(button.click, partial(paged, pages=pages), [seed, count], [seed]).success)
    sample.on(at_once(surprise.click, surprising_seed, [], [seed]).then)
    moved_by_hand([count, truncation], sample)
    sample.on(noise.input)
    sample.on(kind.input)

    def choose(event: gr.SelectData, current: Sheet | None) -> close_up.CloseUp:
        return close.handlers.choose(current, clicked(event))

    def choose_favourite(event: gr.SelectData, kept: favourites.Favourites) -> close_up.CloseUp:
        return close.handlers.choose(*favourites.favourite_at(kept, clicked(event)))

    close.on(gallery.select, choose, [sheet])
    with below:
        kept_gallery, kept, lasting = favourites.build(close.keep, close.picked, close.model, close.original)
    close.on(kept_gallery.select, choose_favourite, [kept])
    Action(handlers.more_like, [close.picked, close.model, close.amount], shown).on(close.more.click)
    at_once(view.change, _as_grid_or_single, [view], [gallery])
    at_once(known.change, offered_classes, [known, kind], [kind])
    return Generating(Action(handlers.redraw, inputs, drawn), sheet, close, seed, lasting, kind)


def _as_grid_or_single(how: str) -> Any:
    single = how == "Single"
    return gr.update(allow_preview=single, preview=single, selected_index=0 if single else None)
