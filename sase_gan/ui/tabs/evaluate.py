"""The tab Evaluate: measure a model against its training pictures, read reports, compare them."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from sase_gan.ui.events import AT_ONCE, Action, at_once
from sase_gan.ui.handlers.evaluate import MOST_COMPARED, EvaluateHandlers
from sase_gan.ui.markup import quiet
from sase_gan.ui.models import Models
from sase_gan.ui.widgets import open_list


def build(models: Models, runs: Path, model: gr.Dropdown) -> Action:
    """Lay the tab out and connect its events; returns what is done when it is opened."""
    handlers = EvaluateHandlers(models, runs)
    names = list(handlers.reports())
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            with gr.Group():
                protocol = gr.Radio(
                    [("Quick", "quick"), ("Standard", "standard")],
                    value="quick",
                    label="How to measure the model chosen above",
                    info="Standard adds networks whose weights are here; it takes minutes.",
                )
                count = gr.Slider(
                    20, 1000, 200, step=20, label="Pictures to draw", info="More: narrower intervals, more time."
                )
            start = gr.Button("Measure", variant="primary", elem_id="evaluate-start")
            with gr.Group():
                report = open_list(names, "Reports", "report-list")
            show = gr.Button("Show the report", elem_id="report-show")
            with gr.Group():
                several = open_list(
                    names,
                    "Compare",
                    "compare-list",
                    multiselect=True,
                    max_choices=MOST_COMPARED,
                    info="Two to four of them.",
                )
            compare = gr.Button("Compare", elem_id="compare-start")
        with gr.Column(scale=3, min_width=300):
            words = gr.HTML(
                quiet(
                    "Measure a model, or show an earlier report. The report says how far its pictures are from the "
                    "real ones, whether it copies them, and how different they are among each other."
                ),
                elem_id="verdicts",
            )
            page = gr.HTML("", elem_id="report")
            file = gr.File(label="The report as a file", interactive=False, visible=True, elem_id="report-file")
    shown = {"words": words, "page": page, "file": file}
    measure = Action(handlers.evaluate, [model, protocol, count], {**shown, "reports": report})
    measured = measure.on(start.click, api="evaluate", show_progress_on=[words])
    at_once(measured.success, lambda: gr.update(choices=list(handlers.reports())), [], [several])
    Action(handlers.show, [report], shown, {}).on(show.click, api="report")
    Action(handlers.compare, [several], shown, {}).on(compare.click, api="compare")
    return Action(handlers.refresh, [], {"reports": report, "several": several}, AT_ONCE)
