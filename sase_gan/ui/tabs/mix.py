"""The tab Mix: rows and columns of pictures, and the size from which the column's appearance takes over."""

from __future__ import annotations

import gradio as gr

from sase_gan.ui.events import Action
from sase_gan.ui.handlers.mix import MixHandlers
from sase_gan.ui.models import Models
from sase_gan.ui.widgets import image_view


def build(models: Models, model: gr.Dropdown) -> list[Action]:
    """Lay the tab out and connect its events; returns what is done in turn when it is opened."""
    handlers = MixHandlers(models)
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            with gr.Group():
                rows = gr.Textbox("0, 1, 4, 5", label="Rows: shapes", info="Up to six seeds or names.", max_length=400)
                columns = gr.Textbox("2, 6, 9, 11, 13", label="Columns: appearance", max_length=400)
                size = gr.Radio(
                    [("4", 4), ("8", 8), ("16", 16), ("32", 32), ("64", 64)],
                    value=8,
                    label="The column takes over from maps of",
                    info="Small sizes: parts and colours. Large sizes: colours alone.",
                )
            start = gr.Button("Mix", variant="primary", elem_id="mix-button")
            with gr.Accordion("What is mixed", open=False):
                gr.Markdown(
                    "A latent enters this generator at 4 × 4 alone. What takes over is what describes a picture as a "
                    "whole: the mean and deviation of every channel, the weights of attentive normalization, and the "
                    "styles of the gates. Masks and noise, which say where things are, stay."
                )
        with gr.Column(scale=3, min_width=300):
            note = gr.Markdown("The mixtures appear here.", elem_id="mix-note")
            alt = "Mixtures of the rows' and the columns' pictures"
            table = image_view(alt, "mix-table", "pictures", "table", show_label=False)
    mix = Action(handlers.mix, [model, rows, columns, size], {"table": table, "note": note})
    mix.on(start.click, api="mix")
    for trigger in (rows.submit, columns.submit, size.input):
        mix.on(trigger)
    return [Action(handlers.sizes, [model], size), mix]
