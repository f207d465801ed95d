"""The place where the sources of an instant model's picture are shown, on whichever tab it was drawn."""

from __future__ import annotations

from typing import Any

import gradio as gr

from sase_gan.ui import widgets
from sase_gan.ui.events import AT_ONCE, Action, clicked
from sase_gan.ui.models import Models
from sase_gan.ui.tracing import SourceHandlers, Trace


def build_sources(models: Models, elem_id: str) -> list[Any]:
    """Lay the place out, hidden; returns what takes the values of `Sources`, in their order."""
    handlers = SourceHandlers(models)
    trace = gr.State(None)
    with gr.Column(visible=False, elem_id=elem_id) as panel:
        gr.Markdown("### Where it came from")
        words = gr.Markdown("", elem_id=f"{elem_id}-words")
        classes = ("pictures", "large", "clickable")
        coloured = widgets.image_view(
            "Each colour a training picture", f"{elem_id}-map", *classes, show_label=False, buttons=["download"]
        )
        legend = widgets.gallery_view(
            f"{elem_id}-legend", "legend", "late", columns=3, buttons=[], allow_preview=False, object_fit="contain"
        )
        pointed = gr.HTML("", elem_id=f"{elem_id}-pointed")

    def point(event: gr.SelectData, current: Trace | None) -> str:
        return handlers.point(current, event.index)

    def pick(event: gr.SelectData, current: Trace | None) -> str:
        return handlers.pick(current, clicked(event))

    Action(point, [trace], pointed, AT_ONCE).on(coloured.select, show_progress="hidden")
    Action(pick, [trace], pointed, AT_ONCE).on(legend.select, show_progress="hidden")
    return [panel, words, coloured, legend, pointed, trace]
