"""The tab Train: pictures in, a training with live samples, curves and time left, and back to it after a reload."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from sase_gan.networks.channel_tables import IMAGE_SIZES
from sase_gan.ui.checks import LONGEST_MINUTES
from sase_gan.ui.events import AT_ONCE, READING, Action, at_once
from sase_gan.ui.handlers.train import AUTOMATIC, PRESETS, UNSEEN, TrainHandlers
from sase_gan.ui.models import Models
from sase_gan.ui.training_view import status_html
from sase_gan.ui.trainings import Trainings
from sase_gan.ui.widgets import has_bundled, image_view, open_list, seed_field, shown_for_uploads, status_view

SECONDS_BETWEEN_LOOKS = 3


@dataclass(frozen=True)
class TrainTab:
    """What `follow` connects to: where the training is shown, and what begins or ends one."""

    handlers: TrainHandlers
    shown: dict[str, Any]
    triggers: list[Callable[..., Any]]


def build(trainings: Trainings, models: Models) -> TrainTab:
    """Lay the tab out and connect its events."""
    handlers = TrainHandlers(trainings, models)
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            with gr.Group():
                source = gr.Radio(
                    [("My pictures", "upload"), ("The bundled faces", "faces")],
                    value="faces" if has_bundled("emoji-faces") else "upload",
                    label="Pictures",
                    elem_id="train-source",
                )
                files = gr.File(
                    label="Pictures, or one zip of them",
                    file_count="multiple",
                    file_types=["image", ".zip"],
                    type="filepath",
                    visible=False,
                    height=150,
                    elem_id="train-files",
                )
                name = gr.Textbox("faces", label="Name of the run", max_length=40, elem_id="train-name")
                minutes = gr.Number(
                    20, label="Minutes", info="Stops then; you can go on later.", minimum=0.1, maximum=LONGEST_MINUTES
                )
            with gr.Row():
                check = gr.Button("Check the pictures", min_width=160)
                start = gr.Button("Start training", variant="primary", min_width=160, elem_id="train-start")
            with gr.Accordion("More", open=False, elem_id="train-more"):
                image_size = gr.Dropdown(
                    [("Automatic", AUTOMATIC), *((f"{size} px", size) for size in IMAGE_SIZES)],
                    value=AUTOMATIC,
                    label="Image size",
                    filterable=False,
                )
                fit = gr.Radio(
                    [("Crop the middle", "crop"), ("Pad with white", "pad")], value="crop", label="To a square"
                )
                kimg = gr.Number(0, label="Thousand images at most", info="0: the preset's.", minimum=0)
                seed = seed_field()
                preset = gr.Dropdown(
                    [(words, key) for key, words in PRESETS.items()],
                    value="auto",
                    label="Preset",
                    filterable=False,
                    elem_id="train-preset",
                )
            with gr.Accordion("Go on with a run", open=False):
                runs = open_list(trainings.names(), "Run", "train-runs")
                more_minutes = gr.Number(20, label="Minutes", minimum=0.1, maximum=LONGEST_MINUTES)
                more_kimg = gr.Number(0, label="Thousand images in all", info="0: as configured.", minimum=0)
                resume = gr.Button("Go on", elem_id="train-resume")
        with gr.Column(scale=3, min_width=300):
            status, stop, note = status_view(status_html(trainings.state()), "train-status", "train-note")
            checked = gr.Markdown("", elem_id="train-checked")
            with gr.Row():
                preview = image_view(
                    "The pictures as they will be used",
                    "train-preview",
                    "pictures",
                    "table",
                    buttons=["fullscreen"],
                    visible=False,
                )
            samples = image_view(
                "Samples: the same 64 seeds at every snapshot", "train-samples", "pictures", "table", "late"
            )
            curves = gr.HTML("", elem_id="train-curves")
    shown_for_uploads(source, files)
    looked = Action(handlers.check, [source, files, fit], {"words": checked, "preview": preview}, READING)
    at_once(looked.on(check.click, api="check_pictures").success, lambda: gr.update(visible=True), [], [preview])
    wishes = [source, files, name, minutes, image_size, fit, kimg, seed, preset]
    started = Action(handlers.start, wishes, note, READING).on(start.click, api="start_training")
    wishes = [runs, more_minutes, more_kimg]
    resumed = Action(handlers.resume, wishes, note, {}).on(resume.click, api="resume_training")
    stopped = Action(handlers.stop, [], note, {}).on(stop.click, api="stop_training")
    gr.api(handlers.status, api_name="training_status", queue=False)  # type: ignore[attr-defined]
    shown = {"status": status, "samples": samples, "curves": curves, "stop": stop, "note": note, "runs": runs}
    return TrainTab(handlers, shown, [started.success, resumed.success, stopped.success])


def follow(tab: TrainTab, shown: dict[str, Any], triggers: list[Callable[..., Any]]) -> None:
    """Follow the training that works: every few seconds, and after each button.

    Args:
        shown: components outside this tab that show something of it.
        triggers: what begins or ends a training elsewhere.
    """
    mark = gr.State(UNSEEN)
    watch = Action(tab.handlers.watch, [mark], {**tab.shown, **shown, "mark": mark}, AT_ONCE)
    for trigger in (*tab.triggers, *triggers, gr.Timer(SECONDS_BETWEEN_LOOKS).tick):
        watch.on(trigger, show_progress="hidden")
