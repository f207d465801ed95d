"""The tab Layers: the masks and styles of every SASE block, and the weights of attentive normalization."""

from __future__ import annotations

from typing import Any

import gradio as gr

from sase_gan.ui.events import Action, at_once, moved_by_hand
from sase_gan.ui.handlers.layers import CHANGE_FACTOR, MOST_MASKS, STRONGEST, LayerHandlers
from sase_gan.ui.models import Models
from sase_gan.ui.widgets import editor, image_view, open_list, seed_field

BRUSH = gr.Brush(default_size=36, colors=["#ff7a1a"], color_mode="fixed")


def build(models: Models, model: gr.Dropdown) -> list[Action]:
    """Lay the tab out and connect its events; returns what is done in turn when it is opened."""
    handlers = LayerHandlers(models)
    gr.Markdown(
        "A SASE block reads **masks** and **style vectors** from a small early map: where a mask is high, its style "
        "decides how strongly each channel of a large late map counts. Here both are seen, and moved by hand.",
        elem_classes="intro",
    )
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            with gr.Group():
                seed = seed_field(5, elem_id="layer-seed")
                gate = open_list([], "SASE block", "gate")
            none = gr.Markdown("")
            with gr.Group():
                strengths = [
                    gr.Slider(
                        0,
                        STRONGEST,
                        1,
                        step=0.1,
                        label=f"Strength of mask {index + 1}",
                        visible=index < 4,
                        elem_id=f"mask-{index + 1}",
                        elem_classes="thin",
                    )
                    for index in range(MOST_MASKS)
                ]
            with gr.Row():
                reset = gr.Button("All at 1", min_width=100)
                off = gr.Button("All off", min_width=100)
        with gr.Column(scale=3, min_width=300):
            with gr.Row(elem_classes="pair"):
                before = image_view("Before", "layer-before", "pictures", "large", min_width=100)
                after = image_view("After", "layer-after", "pictures", "large", min_width=100)
                change = image_view(f"Change × {CHANGE_FACTOR}", "layer-change", "pictures", "large", min_width=100)
            verdict = gr.Markdown("", elem_id="layer-verdict")
            with gr.Accordion("Styles of another picture", open=False, elem_id="local-mixing"), gr.Row():
                with gr.Column(min_width=260):
                    donor = gr.Number(9, label="Seed of the other picture", precision=0, minimum=0)
                    where = gr.Radio(
                        [("Nowhere", "nowhere"), ("For some masks", "masks"), ("Where I paint", "region")],
                        value="nowhere",
                        label="Take its styles",
                    )
                    borrowed = gr.CheckboxGroup(list(range(1, MOST_MASKS + 1)), value=[1], label="Masks", visible=False)
                    apply = gr.Button("Take the styles", variant="primary")
                with gr.Column(min_width=280, visible=False) as painting_column:
                    painting = editor("Paint over the part that is to change", "painting", BRUSH)
            gr.Markdown(
                "### Masks\nBright and tinted where a mask is high, dark where it is low; below each, its range."
            )
            masks = gr.HTML("", elem_id="masks")
            with gr.Row():
                with gr.Column(scale=2, min_width=280):
                    gr.Markdown("### Strength of the styles\nRoot mean square of each style vector.")
                    styles = gr.HTML("", elem_id="styles")
                with gr.Column(scale=3, min_width=300):
                    gr.Markdown(
                        "### Attentive normalization\nWeights of its affine maps, 0 to 1, computed from this picture."
                    )
                    mixtures = gr.HTML("", elem_id="mixtures")
    look = Action(handlers.look, [model, seed], {"masks": masks, "styles": styles, "mixtures": mixtures})
    edit = Action(
        handlers.edit,
        [model, seed, gate, donor, where, borrowed, painting, *strengths],
        {"before": before, "after": after, "change": change, "verdict": verdict},
    )
    edit.on(apply.click, api="edit_layers")
    moved_by_hand(strengths, edit)
    edit.on(at_once(reset.click, lambda: [1] * MOST_MASKS, [], strengths).then)
    edit.on(at_once(off.click, lambda: [0] * MOST_MASKS, [], strengths).then)
    edit.on(gate.input)
    edit.on(at_once(look.on(seed.submit, api="layers").success, lambda: "nowhere", [], [where]).success)

    def show(how: str) -> tuple[Any, Any]:
        return gr.update(visible=how == "masks"), gr.update(visible=how == "region")

    def paint(how: str, name: str, now: float) -> Any:
        return handlers.canvas(name, now) if how == "region" else gr.skip()

    at_once(where.change, show, [where], [borrowed, painting_column])
    Action(paint, [where, model, seed], painting).on(where.input)
    gates = {"gate": gate, "note": none, "borrowed": borrowed, "strengths": strengths}
    return [Action(handlers.gates, [model], gates), look, edit]
