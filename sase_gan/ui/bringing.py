"""A visitor's photograph brought into a model: side by side with what the model makes of it, and named like a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from PIL import Image

from sase_gan.api.invert import invert
from sase_gan.drawing.inverting import InvertingSettings
from sase_gan.drawing.recipes import Recipe
from sase_gan.errors import UsageError
from sase_gan.markdown import escaped
from sase_gan.ui import close_up, widgets
from sase_gan.ui.checks import chosen, sentences
from sase_gan.ui.events import BAR, LONG, Action, is_wanted
from sase_gan.ui.models import Models
from sase_gan.ui.photographs import AT_HAND
from sase_gan.ui.pictures import picture, scratch_folder
from sase_gan.ui.uploads import read_upload, within_temporary
from sase_gan.ui.walking import cancels

WAYS = {
    "near": InvertingSettings(),
    "latent": InvertingSettings(map_steps=0, noise_steps=0),
}
COMPARED = 8
ANSWERS = {
    "shown": "**This model shows it**",
    "in part": "**This model shows it in part**",
    "not shown": "**This model cannot show it**: what stands beside it is another picture",
    "not judged": "How near that is was not judged",
}


@dataclass(frozen=True)
class Brought:
    """A photograph as the model was asked for it and as it draws it, a sentence, its name, and the recipe as a file."""

    before: Image.Image
    after: Image.Image
    note: str
    name: str
    file: str
    recipe: Recipe
    model: str
    panel: Any


class PhotographHandlers:
    """What the part does."""

    def __init__(self, models: Models) -> None:
        self.models = models

    @sentences
    def bring(self, model: str, file: str | None = None, way: str = "near", progress: gr.Progress = BAR) -> Brought:
        """Bring a photograph into a trained model: find what it draws it from, as near as it comes.

        Args:
            way: "near" searches latent, first map and noise; "latent" the latent alone, which is as easily varied as a
                seed.

        Raises:
            UsageError: without a photograph, or for a model that takes none.
        """
        settings = WAYS[chosen(way, tuple(WAYS), "The way")]
        if file is None:
            raise UsageError("Upload a photograph first.")
        read_upload(file)  # what cannot be read, or is too large, is refused before anything is computed
        opened = self.models.open_generator(model, "space for photographs")

        def tell(what: str, done: int, total: int) -> None:
            if not is_wanted():
                raise gr.Error("This was cancelled.", visible=False, print_exception=False)
            progress((done, total), desc=what)

        found = invert(
            opened.entry.folder,
            within_temporary(file),
            reach=COMPARED,
            settings=settings,
            device=str(self.models.device),
            progress=tell,
        )
        inversion = found.images.recipes[0].inversion
        assert inversion is not None
        recipe = Recipe(0, inversion=AT_HAND.keep(inversion))
        written = scratch_folder("photograph") / recipe.name
        inversion.save(written)
        sentence = found.sentences()[0].partition(", ")[2]
        answer = found.answers()[0]
        return Brought(
            picture(found.photographs[0]),
            picture(found.images.pixels[0], recipe.text(opened.digest)),
            f"{ANSWERS[answer]} (perceptual distance {escaped(sentence.removeprefix('at '))}).",
            recipe.name,
            str(written),
            recipe,
            opened.entry.name,
            gr.update(visible=True),
        )


@dataclass(frozen=True)
class Bringing:
    """The photograph that was brought in, its model, and the buttons that take it elsewhere, by their words."""

    picked: gr.State
    model: gr.State
    buttons: dict[str, gr.Button]


def build(models: Models, model: gr.Dropdown) -> Bringing:
    """Lay the part out and connect its events."""
    handlers = PhotographHandlers(models)
    picked, of_model = gr.State(None), gr.State("")
    gr.Markdown(
        "Bring a photograph of the kind that the model learned from into it: what it is drawn from is then a picture "
        "like any other, which can be varied, walked to and mixed. At 64 px it takes ten seconds of a processor; the "
        "first time for a model three times as long, since some of its training pictures are brought in too, to say "
        "how near is near."
    )
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            upload = widgets.upload_view("photograph-upload", height=220)
            ways = [("As near as it comes", "near"), ("By its latent alone: less near, easier to vary", "latent")]
            way = gr.Radio(ways, value="near", label="Search", elem_id="photograph-way")
            with gr.Row():
                start = gr.Button("Bring it in", variant="primary", elem_id="photograph-start", min_width=140)
                cancel = gr.Button("Cancel", elem_id="photograph-cancel", min_width=90)
        with gr.Column(scale=2, min_width=300):
            note = gr.Markdown("", elem_id="photograph-note")
            with gr.Column(visible=False, elem_id="photograph-result") as panel:
                with gr.Row(elem_classes="pair"):
                    looks = ("pictures", "large")
                    before = widgets.image_view("Your photograph", "photograph-before", *looks, min_width=140)
                    after = widgets.image_view("As the model draws it", "photograph-after", *looks, min_width=140)
                name = widgets.name_view("photograph-name")
                with gr.Row():
                    buttons = {words: gr.Button(words, size="sm", min_width=80) for words in close_up.CARRIED}
                words = "For the command line: sase-gan sample MODEL --seeds THIS.recipe"
                file = gr.File(label=words, interactive=False, elem_id="photograph-file")
    shown = {"note": note, "before": before, "after": after, "name": name, "file": file}
    shown |= {"recipe": picked, "model": of_model, "panel": panel}
    brought = Action(handlers.bring, [model, upload, way], shown, LONG)
    cancels(cancel, note, brought.on(start.click, api="bring_photograph", show_progress_on=[note]))
    return Bringing(picked, of_model, buttons)
