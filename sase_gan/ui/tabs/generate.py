"""The tab Generate: pictures by seed; a picture's own page with its nearest training pictures; more like it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from sase_gan.ui.events import Action, at_once
from sase_gan.ui.handlers.generate import MOST_PICTURES, CloseUp, GenerateHandlers
from sase_gan.ui.models import Models
from sase_gan.ui.pictures import Sheet
from sase_gan.ui.widgets import gallery_view, image_view, seed_field


@dataclass(frozen=True)
class GenerateTab:
    """What the page connects to: drawing of another model, and the button that adds the chosen picture to the walk."""

    redraw: Action
    picked: gr.State
    to_walk: gr.Button


def build(models: Models, model: gr.Dropdown) -> GenerateTab:
    """Lay the tab out and connect its events."""
    handlers = GenerateHandlers(models)
    sheet, picked, picked_model = gr.State(None), gr.State(None), gr.State("")
    with gr.Row(elem_classes="studio-row"):
        with gr.Column(scale=1, min_width=260):
            with gr.Group():
                seed = seed_field()
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
            gallery = gallery_view("sheet", columns=6, object_fit="contain", allow_preview=False)
        with gr.Column(scale=1, min_width=290):
            about = gr.Markdown(
                "### Look closely\nClick a picture for its seed, the training pictures nearest to it, a lossless file, "
                "and more like it.",
                elem_id="about",
            )
            with gr.Column(visible=False, elem_id="close-up") as close_up:
                large = image_view("The chosen picture", "large", "pictures", "large", show_label=False)
                with gr.Row():
                    more = gr.Button("More like this", variant="secondary", size="md", min_width=100)
                    to_walk = gr.Button("Add to walk", variant="secondary", size="md", min_width=100)
                amount = gr.Slider(0.05, 1.6, 0.4, step=0.05, label="Change")
                gr.Markdown("### Nearest training pictures")
                near_note = gr.Markdown("", elem_id="near-note")
                near = gr.HTML("", elem_id="near")
    inputs = [model, seed, randomise, count, truncation, noise]
    drawn = {"gallery": gallery, "seed": seed, "note": note, "sheet": sheet}
    sample = Action(handlers.sample, inputs, drawn)
    sample.on(draw.click, api="sample")
    sample.on(seed.submit)

    def choose(event: gr.SelectData, current: Sheet | None) -> CloseUp:
        index = event.index
        return handlers.choose(current, int(index[0] if isinstance(index, list) else index))

    closer = Action(
        choose,
        [sheet],
        {
            "large": large,
            "about": about,
            "recipe": picked,
            "model": picked_model,
            "panel": close_up,
            "near_note": near_note,
            "near": near,
        },
    )
    nearest = Action(handlers.nearest, [picked, picked_model], {"near": near, "near_note": near_note})
    # On a phone the close-up lies below the pictures.
    scroll = "() => { if (innerWidth < 700) document.getElementById('about').scrollIntoView(); }"
    looked = closer.on(gallery.select, show_progress_on=[large]).success(None, js=scroll, api_visibility="private")
    nearest.on(looked.success)
    Action(handlers.more_like, [picked, picked_model, amount], {"gallery": gallery, "note": note, "sheet": sheet}).on(
        more.click
    )
    at_once(view.change, _as_grid_or_single, [view], [gallery])
    return GenerateTab(Action(handlers.redraw, inputs, drawn), picked, to_walk)


def _as_grid_or_single(how: str) -> Any:
    single = how == "Single"
    return gr.update(allow_preview=single, preview=single, selected_index=0 if single else None)
