"""The tab Recognise: classes or objects in an uploaded picture by a backbone of ours, with what its attention did."""

from __future__ import annotations

import gradio as gr

from sase_gan.ui.events import Action
from sase_gan.ui.handlers.recognise import NONE_YET, RecogniseHandlers
from sase_gan.ui.markup import quiet
from sase_gan.ui.models import CLASSIFIER, DETECTOR, Models
from sase_gan.ui.widgets import has_bundled, image_view, open_list, shown_for_uploads, upload_view


def build(models: Models) -> Action:
    """Lay the tab out and connect its events; returns what is done when it is opened."""
    handlers = RecogniseHandlers(models)
    names, example = models.names(CLASSIFIER, DETECTOR), has_bundled("shapes")
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            with gr.Group():
                model = open_list(names, "Classifier or detector", "recogniser")
                source = gr.Radio(
                    [("My picture", "upload"), ("A bundled picture", "example")],
                    value="example" if example else "upload",
                    label="Picture",
                    elem_id="recognise-source",
                )
                upload = upload_view("recognise-upload", visible=not example, height=220)
                threshold = gr.Slider(0, 1, 0.5, step=0.05, label="Least score of an object")
            about = gr.Markdown("" if names else NONE_YET, elem_id="recognise-about")
            go = gr.Button("Recognise", variant="primary", elem_id="recognise-start")
        with gr.Column(scale=3, min_width=300):
            shown = image_view("What was found", "recognise-shown", "table", height=420)
            words = gr.HTML("", elem_id="recognise-words")
            gr.Markdown(
                "### Attention\nBright and tinted where a SASE convolution attends most, dark where it attends least. "
                "Below, its range, from 0, none, to 1, full."
            )
            attention = gr.HTML(quiet("Recognise a picture to see it."), elem_id="recognise-attention")
            gr.Markdown("### Attentive normalization\nWeights of its affine maps, computed from this picture.")
            weights = gr.HTML("", elem_id="recognise-weights")
    shown_for_uploads(source, upload)
    found = {"shown": shown, "words": words, "attention": attention, "weights": weights}
    recognise = Action(handlers.recognise, [model, source, upload, threshold], found)
    recognise.on(go.click, api="recognise", show_progress_on=[shown])
    facts = {"about": about, "threshold": threshold}
    Action(handlers.about, [model], facts).on(model.input)
    return Action(handlers.refresh, [model], {"models": model, **facts})
