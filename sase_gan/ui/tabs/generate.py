"""The tab Generate: pictures by seed; a picture's own page with its nearest training pictures; more like it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr
from PIL import Image

from sase_gan.drawing.recipes import MOST_VARIATIONS, Move, Recipe, draw_recipes
from sase_gan.drawing.sampling import MAX_SEED
from sase_gan.errors import SaseGanError, UsageError
from sase_gan.ui.models import Models, OpenModel
from sase_gan.ui.widgets import (
    DEVICE,
    NOISE_MODES,
    chosen,
    escaped,
    figures,
    number,
    picture,
    reporter,
    seed_number,
    sentences,
    whole_number,
)

if TYPE_CHECKING:
    from sase_gan.ui.nearest import Neighbour

MOST_PICTURES = 64
COLUMNS = 6

Shown = list[tuple[Image.Image, str]]


@dataclass(frozen=True)
class Sheet:
    """What the gallery shows, kept in the visitor's session."""

    model: str
    recipes: tuple[Recipe, ...]


class GenerateHandlers:
    """The handlers, as methods so that they know the models."""

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
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Shown, int, str, Sheet]:
        """Draw pictures of consecutive seeds.

        Args:
            model: A name of the list of models.
            seed: Of the first picture, 0 to 2147483647.
            randomise: Draw a seed instead; the one that is used is returned.
            count: How many pictures, 1 to 64.
            truncation: 0 to 2; below 1 pictures are more typical and less varied.
            noise: "random": each picture has its own fine detail; "fixed": all share that of seed 0; "off": none.
            progress: The browser's bar.
        """
        used = seed_number(seed, randomise=randomise)
        amount = whole_number(count, 1, MOST_PICTURES, "The number of pictures")
        used = min(used, MAX_SEED - amount + 1)
        cut = number(truncation, 0, 2, "The truncation")
        mode = chosen(noise, NOISE_MODES, "The noise")
        recipes = [Recipe(used + i, truncation=cut, noise=mode) for i in range(amount)]
        opened = self.models.open(model)
        last = used + amount - 1
        note = f"Seed {used}" if amount == 1 else f"Seeds {used} to {last}"
        sheet, state = self._draw(opened, recipes, progress)
        return sheet, used, f"**{note}** of {opened.entry.name}. Click a picture to look at it closely.", state

    def redraw(
        self,
        model: str,
        seed: float = 0,
        randomise: bool = False,
        count: float = 18,
        truncation: float = 1.0,
        noise: str = "random",
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Shown, Any, str, Sheet]:
        """The same for another model: the seed's field is left alone, in which the visitor may be typing by then."""
        shown, used, note, state = self.sample(model, seed, randomise, count, truncation, noise, progress)
        return shown, used if randomise else gr.skip(), note, state

    def _draw(self, opened: OpenModel, recipes: Sequence[Recipe], progress: gr.Progress) -> tuple[Shown, Sheet]:
        images = draw_recipes(opened.network, recipes, progress=reporter(progress, "drawing"))
        shown = [
            (picture(image, recipe.text(opened.digest)), recipe.name)
            for image, recipe in zip(images, recipes, strict=True)
        ]
        return shown, Sheet(opened.entry.name, tuple(recipes))

    @sentences
    def choose(self, sheet: Sheet | None, place: int) -> tuple[Image.Image, str, Recipe, str]:
        """The clicked picture large, its description, and what it came from."""
        recipe = _at(sheet, place)
        assert sheet is not None
        opened = self.models.open(sheet.model)
        image = draw_recipes(opened.network, [recipe])[0]
        return picture(image, recipe.text(opened.digest)), describe_recipe(recipe), recipe, sheet.model

    @sentences
    def nearest(
        self,
        recipe: Recipe | None,
        model: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[str, str]:
        """The training pictures nearest to a picture, with distances and a sentence."""
        if recipe is None:
            raise UsageError("No picture is chosen; click one first.")
        opened = self.models.open(model)
        progress(0.1, desc="looking through the training pictures")
        try:
            pictures = self.models.training_pictures(opened)
        except SaseGanError as error:
            return "", str(error)
        found = pictures.nearest(draw_recipes(opened.network, [recipe])[0])
        return figures([(item.image, _caption(item)) for item in found]), explain_nearest(found, len(pictures.images))

    @sentences
    def more_like(
        self,
        recipe: Recipe | None,
        model: str,
        amount: float,
        seed: float,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Shown, str, Sheet]:
        """Eleven variations of a picture, behind the picture itself."""
        if recipe is None:
            raise UsageError("No picture is chosen; click one first.")
        share = number(amount, 0.05, 1.6, "The amount of change")
        start = whole_number(seed, 0, MAX_SEED, "The seed of the variations")
        moves = [Move("~", round(share * 100), start, place) for place in range(min(11, MOST_VARIATIONS))]
        opened = self.models.open(model)
        shown, sheet = self._draw(opened, [recipe, *(recipe.moved(move) for move in moves)], progress)
        return shown, f"**Like {escaped(recipe.name)}**, which is the first. Click one to go on from it.", sheet


def _at(sheet: Sheet | None, place: int) -> Recipe:
    if sheet is None or not 0 <= place < len(sheet.recipes):
        raise UsageError("This picture is no longer there; draw again.")
    return sheet.recipes[place]


def describe_recipe(recipe: Recipe) -> str:
    """A picture's name and settings, as Markdown."""
    if recipe.moves:
        steps = "one step" if len(recipe.moves) == 1 else f"{len(recipe.moves)} steps"
        head = f"### Picture {recipe.name}\n{steps.capitalize()} from seed {recipe.seed}"
    else:
        head = f"### Seed {recipe.seed}"
    settings = [] if recipe.truncation == 1 else [f"truncation {recipe.truncation:g}"]
    settings += [] if recipe.noise == "random" else [f"noise {recipe.noise}"]
    return head + (f"\n{', '.join(settings).capitalize()}" if settings else "")


def _caption(item: Neighbour) -> str:
    mirrored = ", mirrored" if item.mirrored else ""
    name = item.name.rpartition("/")[2].rpartition(".")[0] or item.name
    return f"{item.distance:.2f} in {_SPACE_WORDS[item.space]}{mirrored}\n{name}"


_SPACE_WORDS = {"mid": "features", "pixels": "pixels"}


def explain_nearest(found: Sequence[Neighbour], count: int) -> str:
    """What the distances say, in one or two sentences."""
    usual = {item.space: item.usual for item in found}
    levels = " and ".join(f"{value:.2f} in {_SPACE_WORDS[space]}" for space, value in sorted(usual.items()))
    close = [item for item in found if item.near]
    if close:
        verdict = (
            f"**This may be a copy**: it is nearer to {escaped(close[0].name)} than nineteen in twenty training "
            "pictures are to their own nearest."
        )
    else:
        verdict = "It is no nearer to them than they are to each other."
    return f"{verdict} Among the {count} training pictures the usual distance to the nearest is {levels}."


def build(models: Models, model: gr.Dropdown, first_seed: int = 0) -> dict[str, Any]:
    """The tab's components and events; returns what other tabs connect to."""
    handlers = GenerateHandlers(models)
    sheet, picked, picked_model = gr.State(None), gr.State(None), gr.State("")
    with gr.Row(elem_classes="studio-row"):
        with gr.Column(scale=1, min_width=260):
            with gr.Group():
                seed = gr.Number(first_seed, label="Seed", precision=0, minimum=0, maximum=MAX_SEED)
                randomise = gr.Checkbox(False, label="A random seed at every draw")
                count = gr.Slider(1, MOST_PICTURES, 18, step=1, label="Pictures")
                truncation = gr.Slider(
                    0, 2, 1, step=0.05, label="Truncation", info="Below 1: more typical, less varied."
                )
            draw = gr.Button("Draw", variant="primary", elem_id="draw")
            with gr.Accordion("More", open=False):
                noise = gr.Radio(
                    [("Own", "random"), ("Shared", "fixed"), ("None", "off")],
                    value="random",
                    label="Fine noise",
                    info="The random detail of each picture.",
                )
                view = gr.Radio(["Grid", "Single"], value="Grid", label="View")
        with gr.Column(scale=3, min_width=300):
            note = gr.Markdown("The first pictures are being drawn.", elem_id="sheet-note")
            gallery = gr.Gallery(
                show_label=False,
                columns=COLUMNS,
                height="auto",
                object_fit="contain",
                format="png",
                buttons=["download", "fullscreen"],
                allow_preview=False,
                interactive=False,
                elem_id="sheet",
                elem_classes="pictures",
            )
        with gr.Column(scale=1, min_width=290):
            about = gr.Markdown(
                "### Look closely\nClick a picture for its seed, the training pictures nearest to it, a lossless file, "
                "and more like it.",
                elem_id="about",
            )
            with gr.Column(visible=False, elem_id="close-up") as close_up:
                large = gr.Image(
                    show_label=False,
                    format="png",
                    buttons=["download", "fullscreen"],
                    interactive=False,
                    elem_id="large",
                    elem_classes=["pictures", "large"],
                    alt_text="The chosen picture",
                )
                with gr.Row():
                    more = gr.Button("More like this", variant="secondary", size="md", min_width=100)
                    to_walk = gr.Button("Add to walk", variant="secondary", size="md", min_width=100)
                amount = gr.Slider(0.05, 1.6, 0.4, step=0.05, label="Change")
                variation = gr.Number(0, visible=False, precision=0)
                gr.Markdown("### Nearest training pictures")
                near_note = gr.Markdown("", elem_id="near-note")
                near = gr.HTML("", elem_id="near")
    inputs: list[Any] = [model, seed, randomise, count, truncation, noise]
    outputs: list[Any] = [gallery, seed, note, sheet]
    draw.click(handlers.sample, inputs, outputs, api_name="sample", api_visibility="public", **DEVICE)
    seed.submit(handlers.sample, inputs, outputs, api_visibility="private", **DEVICE)

    def choose(event: gr.SelectData, current: Sheet | None) -> Any:
        index = event.index
        shown, words, recipe, name = handlers.choose(current, int(index[0] if isinstance(index, list) else index))
        return shown, words, recipe, name, gr.update(visible=True), "Looking through the training pictures ...", ""

    gallery.select(
        choose,
        [sheet],
        [large, about, picked, picked_model, close_up, near_note, near],
        api_visibility="private",
        **DEVICE,
        show_progress_on=[large],
    ).success(
        # On a phone the close-up lies below the pictures.
        None,
        js="() => { if (innerWidth < 700) document.getElementById('about').scrollIntoView(); }",
        api_visibility="private",
    ).success(handlers.nearest, [picked, picked_model], [near, near_note], api_visibility="private", **DEVICE)
    more.click(
        handlers.more_like,
        [picked, picked_model, amount, variation],
        [gallery, note, sheet],
        api_visibility="private",
        **DEVICE,
    )
    view.change(
        lambda how: (
            gr.update(allow_preview=True, preview=True, selected_index=0)
            if how == "Single"
            else gr.update(allow_preview=False, preview=False, selected_index=None)
        ),
        [view],
        [gallery],
        api_visibility="private",
        queue=False,
    )
    return {
        "handlers": handlers,
        "inputs": inputs,
        "outputs": outputs,
        "picked": picked,
        "to_walk": to_walk,
    }
