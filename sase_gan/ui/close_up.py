"""A chosen picture from near: large, what it is drawn from and came from, and the training pictures nearest to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import gradio as gr
from PIL import Image
from torch import Tensor

from sase_gan.class_names import in_words
from sase_gan.colours import learnt, seen
from sase_gan.drawing.recipes import Recipe, draw_recipes
from sase_gan.errors import SaseGanError, UsageError
from sase_gan.markdown import escaped
from sase_gan.networks.load import recombiner_of
from sase_gan.ui import widgets
from sase_gan.ui.carrying import check_picked
from sase_gan.ui.checks import chosen, sentence, sentences
from sase_gan.ui.events import BAR, Action, Trigger, at_once
from sase_gan.ui.markup import figures
from sase_gan.ui.models import Models
from sase_gan.ui.pictures import Sheet, picture, recipe_at
from sase_gan.ui.tracing import show_sources
from sase_gan.ui.tracing_view import build_sources

if TYPE_CHECKING:
    from sase_gan.ui.nearest import Neighbour

ENLARGEMENT = 4
SIZES = ("as drawn", "smooth", "hard")
MAP, LAYERS, SHAPES, APPEARANCE, WALK = "Map", "Layers", "Mix: shapes", "Mix: look", "Walk"
CARRIED = (MAP, LAYERS, SHAPES, APPEARANCE, WALK)
"""Where the chosen picture can be taken."""
_SPACE_WORDS = {"mid": "features", "pixels": "pixels"}


@dataclass(frozen=True)
class CloseUp:
    """The clicked picture large, its description, and what it came from."""

    large: Image.Image
    original: Image.Image
    about: str
    recipe: Recipe
    model: str
    name: str
    panel: Any = field(default_factory=lambda: gr.update(visible=True))
    near_note: str = "Looking through the training pictures ..."
    near: str = ""
    sources: list[Any] = field(default_factory=list)


class CloseUpHandlers:
    """What the close-up does."""

    def __init__(self, models: Models) -> None:
        self.models = models

    @sentences
    def choose(self, sheet: Sheet | None, place: int) -> CloseUp:
        """Look closely at the picture at a place of the gallery."""
        recipe, model = recipe_at(sheet, place)
        opened = self.models.open(model)
        maps: list[Tensor] | None = None if recombiner_of(opened.network) is None else []
        image = draw_recipes(opened.network, [recipe], sources=maps, ground="file")[0]
        sources = show_sources(opened, seen(learnt(image)), maps[0][0] if maps else None).values()
        shown = picture(image, recipe.text(opened.digest))
        return CloseUp(shown, shown, describe_recipe(recipe), recipe, model, recipe.name, sources=sources)

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
        found = pictures.nearest(draw_recipes(opened.network, [known], ground="white")[0])
        shown = figures([(item.image, _caption(item)) for item in found])
        return shown, explain_nearest(found, len(pictures.images))


@sentences
def sized(original: Image.Image | None, size: str) -> Image.Image:
    """The chosen picture as its file is wanted: as it was drawn, or four times as large, smooth or with hard edges.

    Raises:
        UsageError: if none is chosen.
    """
    how = chosen(size, SIZES, "The size of the file")
    if original is None:
        raise UsageError("No picture is chosen; click one first.")
    if how == "as drawn":
        return original
    resampling = Image.Resampling.LANCZOS if how == "smooth" else Image.Resampling.NEAREST
    large = original.resize((ENLARGEMENT * original.width, ENLARGEMENT * original.height), resampling)
    large.info.update({**original.info, "enlarged": f"{ENLARGEMENT} times, {how}"})
    return large


def describe_recipe(recipe: Recipe) -> str:
    """Write a picture's name and settings as Markdown."""
    start = f"seed {recipe.seed}" if recipe.inversion is None else "a photograph"
    head = f"### {start.capitalize()}"
    if recipe.moves:
        steps = "One step" if len(recipe.moves) == 1 else f"{len(recipe.moves)} steps"
        head = f"### Picture {escaped(recipe.name)}\n{steps} from {start}"
    head += f", {escaped(in_words(recipe.classes))}" if recipe.classes else ""
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
    if found and all(item.far for item in found):
        verdict = (
            "**It is far from all of them**: farther than nineteen in twenty training pictures are from their own "
            "nearest. Such a picture is new, or broken: look at it."
        )
    if close := [item for item in found if item.near]:
        verdict = (
            f"**This may be a copy**: it is nearer to {escaped(close[0].name)} than nineteen in twenty training "
            "pictures are to their own nearest."
        )
    return f"{verdict} Among the {count} training pictures the usual distance to the nearest is {levels}."


@dataclass(frozen=True)
class View:
    """The close-up on the page.

    Attributes:
        picked, model, original: the chosen picture, its model, and it as it was drawn; nothing before a choice.
        buttons: those that carry the picture elsewhere, by their words.
        shown: the components of a `CloseUp`, by its fields.
    """

    handlers: CloseUpHandlers
    picked: gr.State
    model: gr.State
    original: gr.State
    more: gr.Button
    keep: gr.Button
    amount: gr.Slider
    buttons: dict[str, gr.Button]
    size: gr.Radio
    shown: dict[str, Any]

    def on(self, trigger: Trigger, choose: Callable[..., CloseUp], inputs: Sequence[Any]) -> None:
        """Look closely at what `choose` returns when it is triggered, and then for what is near to it."""
        seen = Action(choose, inputs, self.shown).on(trigger, show_progress_on=[self.shown["large"]])
        # On a phone the close-up lies below the pictures.
        scroll = "() => { if (innerWidth < 700) document.getElementById('about').scrollIntoView(); }"
        scrolled = seen.success(None, js=scroll, api_visibility="private")
        at_once(scrolled.then, lambda: SIZES[0], [], [self.size])
        near = [self.shown["near"], self.shown["near_note"]]
        Action(self.handlers.nearest, [self.picked, self.model], near).on(scrolled.success)


def build(models: Models) -> View:
    """Lay the close-up out."""
    picked, model, original = gr.State(None), gr.State(""), gr.State(None)
    about = gr.Markdown(
        "### Look closely\nClick a picture for its seed, the training pictures nearest to it, a lossless file, "
        "and more like it.",
        elem_id="about",
    )
    with gr.Column(visible=False, elem_id="close-up") as panel:
        large = widgets.image_view("The chosen picture", "large", "pictures", "large", show_label=False)
        with gr.Row():
            more = gr.Button("More like this", variant="secondary", size="md", min_width=100)
            keep = gr.Button("Keep", variant="secondary", size="md", min_width=100, elem_id="keep")
        name = widgets.name_view("close-name")
        amount = gr.Slider(0.05, 1.6, 0.4, step=0.05, label="Change")
        gr.Markdown("### Take it to")
        with gr.Row():
            buttons = {words: gr.Button(words, size="sm", min_width=80) for words in CARRIED}
        sizes = list(zip(("As drawn", "4 × smooth", "4 × hard edges"), SIZES, strict=True))
        size = gr.Radio(sizes, value=SIZES[0], label="Download as")
        traced = build_sources(models, "sources")
        gr.Markdown("### Nearest training pictures")
        near_note = gr.Markdown("", elem_id="near-note")
        near = gr.HTML("", elem_id="near")
    at_once(size.input, sized, [original, size], [large])
    shown = {"large": large, "original": original, "about": about, "recipe": picked, "model": model, "panel": panel}
    shown["name"] = name
    shown |= {"near_note": near_note, "near": near, "sources": traced}
    return View(CloseUpHandlers(models), picked, model, original, more, keep, amount, buttons, size, shown)
