"""The tab Train: pictures in, a training with live samples, curves and time left, and back to it after a reload."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from sase_gan.networks.channel_tables import IMAGE_SIZES
from sase_gan.ui import own_pictures, widgets
from sase_gan.ui.entries import GENERATOR
from sase_gan.ui.events import AT_ONCE, READING, Action, at_once
from sase_gan.ui.models import Models
from sase_gan.ui.set_training import (
    AUTO,
    AUTOMATIC,
    COLOURS,
    INSTANT,
    NETWORK,
    NO_START,
    PRESETS,
    RECTANGLES,
    SETS,
    START,
    TrainHandlers,
)
from sase_gan.ui.training_view import TrainingPlace, status_html
from sase_gan.ui.trainings import Trainings

TABLE = ("pictures", "table")


def _sizes() -> list[tuple[str, int | str]]:
    squares = [(f"{size} px", size) for size in IMAGE_SIZES]
    return [("Automatic", AUTOMATIC), *squares, *((f"{size.replace('x', ' × ')} px", size) for size in RECTANGLES)]


def build(trainings: Trainings, models: Models) -> tuple[TrainingPlace, Action]:
    """Lay the tab out and connect its events; returns where the training is shown, and what opening the tab does."""
    handlers = TrainHandlers(trainings, models)
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            form = _build_form(handlers, trainings.limits.minutes)
            more, start_list = _build_more(models)
            resume = _build_resume(trainings)
        with gr.Column(scale=3, min_width=300):
            status, stop, note = widgets.status_view(status_html(trainings.state()), "train-status", "train-note")
            own_pictures.thumbnails(SETS, "train-thumbnails", form.source)
            words = gr.Markdown("", elem_id="train-checked")
            used: dict[str, Any] = {"buttons": ["fullscreen"], "visible": False}
            preview = widgets.image_view("The pictures as they will be used", "train-preview", *TABLE, **used)
            words_on_samples = "Samples: the same seeds at every snapshot"
            samples = widgets.image_view(words_on_samples, "train-samples", *TABLE, "late")
            curves = gr.HTML("", elem_id="train-curves")
    # The page has its own event, which also changes a button.
    named: dict[str, Any] = {"api_name": "check_pictures", "api_visibility": "public", **READING}
    gr.on([], handlers.check, [form.source, form.files, more["fit"]], [words, preview], **named)
    look = Action(
        handlers.look,
        [form.source, form.files, more["fit"]],
        {"words": words, "place": preview, "start": form.start},
        READING,
        judges=True,
    )
    for trigger in (form.source.change, form.files.change, more["fit"].input):
        look.on(trigger, show_progress_on=[words])
    order = ("image_size", "fit", "kimg", "seed", "preset", "way", "colours", "start_from", "freeze", "rate_factor")
    parts = {**more, "way": form.way}
    wishes = [form.source, form.files, form.name, form.minutes, *(parts[name] for name in order)]
    started = Action(handlers.start, wishes, note, READING).on(form.start.click, api="start_training")
    resumed = Action(handlers.resume, resume.inputs, note, {}).on(resume.go.click, api="resume_training")
    stopped = Action(handlers.stop, [], note, {}).on(stop.click, api="stop_training")
    gr.api(handlers.status, api_name="training_status", queue=False)  # type: ignore[attr-defined]
    shown = {"status": status, "samples": samples, "curves": curves, "stop": stop, "note": note, "runs": resume.runs}
    place = TrainingPlace(shown, [started.success, resumed.success, stopped.success])

    def starts() -> Any:
        return gr.update(choices=_starts(models))

    return place, Action(starts, [], start_list, AT_ONCE)


@dataclass(frozen=True)
class Form:
    """What every training asks for."""

    source: gr.Radio
    files: gr.File
    name: gr.Textbox
    way: gr.Radio
    minutes: gr.Number
    start: gr.Button


def _build_form(handlers: TrainHandlers, longest: float) -> Form:
    known = [("Bundled faces", "faces"), ("Bundled fruits and flowers", "fruits")]
    sources = [("My pictures", "upload"), *(pair for pair in known if widgets.has_bundled(SETS[pair[1]]))]
    with gr.Group():
        source = gr.Radio(sources, value="upload", label="Pictures", elem_id="train-source")
        several: dict[str, Any] = {"file_count": "multiple", "file_types": ["image", ".zip"]}
        files = gr.File(label="Pictures, or one zip of them", height=150, elem_id="train-files", **several)
        folder = own_pictures.folder_button(files, "train-folder")
        name = gr.Textbox(own_pictures.UNNAMED, label="Name of the run", max_length=40, elem_id="train-name")
        ways = [("Pictures at once, no training", INSTANT), ("Train a network", NETWORK)]
        way = gr.Radio(ways, value=INSTANT, label="What to make of them", elem_id="train-way")
        minutes = widgets.minutes_field(20, longest, info="Stops then; you can go on later.", visible=False)
    advice = gr.Markdown("", elem_id="train-advice")
    start = gr.Button(START, variant="primary", min_width=160, elem_id="train-start")
    widgets.shown_for_uploads(source, files)
    widgets.shown_for_uploads(source, folder)
    own_pictures.name_after(source, files, name, SETS)
    for trigger in (source.change, files.change):
        at_once(trigger, handlers.advised, [source, files], [way, advice])
    at_once(way.change, lambda how: gr.update(visible=how == NETWORK), [way], [minutes])
    return Form(source, files, name, way, minutes, start)


def _build_more(models: Models) -> tuple[dict[str, Any], gr.Dropdown]:
    """The settings that few ask for, by the argument of `start`."""
    parts: dict[str, Any] = {}
    with gr.Accordion("More", open=False, elem_id="train-more"):
        parts["image_size"] = gr.Dropdown(_sizes(), value=AUTOMATIC, label="Image size", filterable=False)
        fits = [("Crop the middle", "crop"), ("Pad with white", "pad")]
        parts["fit"] = gr.Radio(fits, value="crop", label="To that size")
        words = [(shown, value) for value, shown in COLOURS.items()]
        parts["colours"] = gr.Dropdown(words, value=AUTO, label="Colours", filterable=False, elem_id="train-colours")
        parts["kimg"] = gr.Number(0, label="Thousand images at most", info="0: the preset's.", minimum=0)
        parts["seed"] = widgets.seed_field()
        parts["preset"] = widgets.preset_list(PRESETS, "train-preset")
    with gr.Accordion("Start from another model", open=False, elem_id="train-from"):
        words_on_start = "A network takes over what it can of it, and needs fewer steps where the pictures are alike."
        start = gr.Dropdown(
            _starts(models), value=NO_START, label="Model", info=words_on_start, filterable=False, elem_id="start-from"
        )
        words_on_layers = "So many first layers of its discriminator do not learn."
        parts["start_from"] = start
        parts["freeze"] = gr.Number(
            0, label="Frozen layers", info=words_on_layers, precision=0, minimum=0, maximum=16, elem_id="start-freeze"
        )
        parts["rate_factor"] = gr.Number(
            1, label="Learning rates times", info="Below 1 keeps more of it.", minimum=0.01, maximum=10
        )
    return parts, start


def _starts(models: Models) -> list[tuple[str, str]]:
    return [("None: begin anew", NO_START), *((name, name) for name in models.names(GENERATOR))]


@dataclass(frozen=True)
class Resuming:
    """What it takes to go on with a run."""

    runs: gr.Dropdown
    inputs: list[Any]
    go: gr.Button


def _build_resume(trainings: Trainings) -> Resuming:
    with gr.Accordion("Go on with a run", open=False):
        runs = widgets.open_list(trainings.names(), "Run", "train-runs")
        minutes = widgets.minutes_field(20, trainings.limits.minutes)
        kimg = gr.Number(0, label="Thousand images in all", info="0: as configured.", minimum=0)
        go = gr.Button("Go on", elem_id="train-resume")
    return Resuming(runs, [runs, minutes, kimg], go)
