"""The tab Generate: pictures by seed; a picture's own page with its nearest training pictures; more like it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import gradio as gr
from PIL import Image
from torch import Tensor

from sase_gan.drawing.recipes import Move, Recipe, draw_recipes
from sase_gan.drawing.sampling import MAX_SEED, NoiseMode
from sase_gan.errors import SaseGanError, UsageError
from sase_gan.markdown import escaped
from sase_gan.recombination.model import Recombiner
from sase_gan.ui import widgets
from sase_gan.ui.checks import chosen, number, seed_number, sentence, sentences, whole_number
from sase_gan.ui.entries import INSTANT_OF_ONE
from sase_gan.ui.events import BAR, Action, at_once, clicked, reporter
from sase_gan.ui.markup import figures
from sase_gan.ui.models import Models
from sase_gan.ui.pictures import Drawn, Sheet, draw_sheet, picture, recipe_at
from sase_gan.ui.tracing import show_sources
from sase_gan.ui.tracing_view import build_sources

if TYPE_CHECKING:
    from sase_gan.ui.nearest import Neighbour

MOST_PICTURES = 64
VARIATIONS = 11
FIRST_OF_ONE = 8
NOISE_MODES: tuple[NoiseMode, ...] = ("random", "fixed", "off")
_SPACE_WORDS = {"mid": "features", "pixels": "pixels"}


@dataclass(frozen=True)
class CloseUp:
    """The clicked picture large, its description, and what it came from."""

    large: Image.Image
    about: str
    recipe: Recipe
    model: str
    panel: Any = field(default_factory=lambda: gr.update(visible=True))
    near_note: str = "Looking through the training pictures ..."
    near: str = ""
    sources: list[Any] = field(default_factory=list)


class GenerateHandlers:
    """What the tab does."""

    def __init__(self, models: Models) -> None:
        self.models = models

    @sentences
    def sample(
        self,
        model: str,
        seed: float = 0,
        randomise: bool = False,
        count: float = 18,
        truncation: float = 1.0,
        noise: str = "random",
        progress: gr.Progress = BAR,
    ) -> Drawn:
        """Draw pictures of consecutive seeds.

        Args:
            seed: Of the first picture, 0 to 2147483647.
            randomise: Draw a seed instead; the one that is used is returned.
            count: How many pictures, 1 to 64.
            truncation: 0 to 2; below 1 pictures are more typical and less varied.
            noise: "random": each picture has its own fine detail; "fixed": all share that of seed 0; "off": none.
        """
        used = seed_number(seed, randomise=randomise)
        amount = whole_number(count, 1, MOST_PICTURES, "The number of pictures")
        used = min(used, MAX_SEED - amount + 1)
        cut = number(truncation, 0, 2, "The truncation")
        mode = chosen(noise, NOISE_MODES, "The noise")
        recipes = [Recipe(used + i, truncation=cut, noise=mode) for i in range(amount)]
        opened = self.models.open(model)
        words = f"Seed {used}" if amount == 1 else f"Seeds {used} to {used + amount - 1}"
        note = f"**{words}** of {escaped(opened.entry.name)}. Click a picture to look at it closely."
        return draw_sheet(opened, recipes, note, reporter(progress, "drawing"), seed=used)

    @sentences
    def redraw(
        self,
        model: str,
        seed: float = 0,
        randomise: bool = False,
        count: float = 18,
        truncation: float = 1.0,
        noise: str = "random",
        progress: gr.Progress = BAR,
    ) -> Drawn:
        """Draw the same of another model: the seed's field is left alone, in which the visitor may be typing.

        Of one picture, whose drawings cost seconds each, no more than eight unless they are asked for.
        """
        amount = whole_number(count, 1, MOST_PICTURES, "The number of pictures")
        first = min(amount, FIRST_OF_ONE) if self.models.find(model).kind == INSTANT_OF_ONE else amount
        drawn = self.sample(model, seed, randomise, first, truncation, noise, progress)
        return drawn if randomise else replace(drawn, seed=gr.skip())

    @sentences
    def choose(self, sheet: Sheet | None, place: int) -> CloseUp:
        """Look closely at the picture at a place of the gallery."""
        recipe, model = recipe_at(sheet, place)
        opened = self.models.open(model)
        maps: list[Tensor] | None = [] if isinstance(opened.network, Recombiner) else None
        image = draw_recipes(opened.network, [recipe], sources=maps)[0]
        sources = show_sources(opened, image, maps[0][0] if maps else None).values()
        shown = picture(image, recipe.text(opened.digest))
        return CloseUp(shown, describe_recipe(recipe), recipe, model, sources=sources)

    @sentences
    def nearest(self, recipe: Recipe | None, model: str, progress: gr.Progress = BAR) -> tuple[str, str]:
        """Find the training pictures nearest to a picture, as HTML, and say how near they are."""
        known = check_picked(recipe)
        opened = self.models.open(model)
        progress(0.1, desc="looking through the training pictures")
        try:
            pictures = self.models.training_pictures(opened)
        except SaseGanError as error:
            return "", escaped(sentence(error))
        found = pictures.nearest(draw_recipes(opened.network, [known])[0])
        shown = figures([(item.image, _caption(item)) for item in found])
        return shown, explain_nearest(found, len(pictures.images))

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


def check_picked(recipe: Recipe | None) -> Recipe:
    """Check that a picture is chosen.

    Raises:
        UsageError: if none is.
    """
    if recipe is None:
        raise UsageError("No picture is chosen; click one first.")
    return recipe


def describe_recipe(recipe: Recipe) -> str:
    """Write a picture's name and settings as Markdown."""
    head = f"### Seed {recipe.seed}"
    if recipe.moves:
        steps = "One step" if len(recipe.moves) == 1 else f"{len(recipe.moves)} steps"
        head = f"### Picture {escaped(recipe.name)}\n{steps} from seed {recipe.seed}"
    settings = [] if recipe.truncation == 1 else [f"truncation {recipe.truncation:g}"]
    settings += [] if recipe.noise == "random" else [f"noise {recipe.noise}"]
    return head + (f"\n{', '.join(settings).capitalize()}" if settings else "")


def _caption(item: Neighbour) -> str:
    mirrored = ", mirrored" if item.mirrored else ""
    name = item.name.rpartition("/")[2].rpartition(".")[0] or item.name
    return f"{item.distance:.2f} in {_SPACE_WORDS[item.space]}{mirrored}\n{name}"


def explain_nearest(found: Sequence[Neighbour], count: int) -> str:
    """Say in one or two sentences what the distances mean."""
    usual = {item.space: item.usual for item in found}
    levels = " and ".join(f"{value:.2f} in {_SPACE_WORDS[space]}" for space, value in sorted(usual.items()))
    verdict = "It is no nearer to them than they are to each other."
    if close := [item for item in found if item.near]:
        verdict = (
            f"**This may be a copy**: it is nearer to {escaped(close[0].name)} than nineteen in twenty training "
            "pictures are to their own nearest."
        )
    return f"{verdict} Among the {count} training pictures the usual distance to the nearest is {levels}."


def build(models: Models, model: gr.Dropdown) -> tuple[Action, gr.State, gr.State, gr.Button]:
    """Lay the tab out; returns drawing of another model, the sheet, the chosen picture, and the button for the walk."""
    handlers = GenerateHandlers(models)
    sheet, picked, picked_model = gr.State(None), gr.State(None), gr.State("")
    with gr.Row(elem_classes="studio-row"):
        with gr.Column(scale=1, min_width=260):
            with gr.Group():
                seed = widgets.seed_field()
                randomise = gr.Checkbox(False, label="A random seed at every draw")
                count = gr.Slider(1, MOST_PICTURES, 18, step=1, label="Pictures")
                words = "Below 1: more typical, less varied."
                truncation = gr.Slider(0, 2, 1, step=0.05, label="Truncation", info=words)
            draw = gr.Button("Draw", variant="primary", elem_id="draw")
            with gr.Accordion("More", open=False):
                modes = [("Own", "random"), ("Shared", "fixed"), ("None", "off")]
                words = "The random detail of each picture."
                noise = gr.Radio(modes, value="random", label="Fine noise", info=words)
                view = gr.Radio(["Grid", "Single"], value="Grid", label="View")
        with gr.Column(scale=3, min_width=300):
            note = gr.Markdown("The first pictures are being drawn.", elem_id="sheet-note")
            gallery = widgets.gallery_view("sheet", columns=6, object_fit="contain", allow_preview=False)
        with gr.Column(scale=1, min_width=290):
            about = gr.Markdown(
                "### Look closely\nClick a picture for its seed, the training pictures nearest to it, a lossless file, "
                "and more like it.",
                elem_id="about",
            )
            with gr.Column(visible=False, elem_id="close-up") as close_up:
                large = widgets.image_view("The chosen picture", "large", "pictures", "large", show_label=False)
                with gr.Row():
                    more = gr.Button("More like this", variant="secondary", size="md", min_width=100)
                    to_walk = gr.Button("Add to walk", variant="secondary", size="md", min_width=100)
                amount = gr.Slider(0.05, 1.6, 0.4, step=0.05, label="Change")
                traced = build_sources(models, "sources")
                gr.Markdown("### Nearest training pictures")
                near_note = gr.Markdown("", elem_id="near-note")
                near = gr.HTML("", elem_id="near")
    inputs = [model, seed, randomise, count, truncation, noise]
    shown = {"gallery": gallery, "note": note, "sheet": sheet}
    drawn = {"gallery": gallery, "seed": seed, "note": note, "sheet": sheet}
    sample = Action(handlers.sample, inputs, drawn)
    sample.on(draw.click, api="sample")
    sample.on(seed.submit)

    def choose(event: gr.SelectData, current: Sheet | None) -> CloseUp:
        return handlers.choose(current, clicked(event))

    looked = {"large": large, "about": about, "recipe": picked, "model": picked_model, "panel": close_up}
    closer = Action(choose, [sheet], {**looked, "near_note": near_note, "near": near, "sources": traced})
    # On a phone the close-up lies below the pictures.
    scroll = "() => { if (innerWidth < 700) document.getElementById('about').scrollIntoView(); }"
    scrolled = closer.on(gallery.select, show_progress_on=[large]).success(None, js=scroll, api_visibility="private")
    Action(handlers.nearest, [picked, picked_model], [near, near_note]).on(scrolled.success)
    Action(handlers.more_like, [picked, picked_model, amount], shown).on(more.click)
    at_once(view.change, _as_grid_or_single, [view], [gallery])
    return Action(handlers.redraw, inputs, drawn), sheet, picked, to_walk


def _as_grid_or_single(how: str) -> Any:
    single = how == "Single"
    return gr.update(allow_preview=single, preview=single, selected_index=0 if single else None)
