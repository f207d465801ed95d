"""The tab Train: pictures in, a training with live samples, curves and time left, and back to it after a reload."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from sase_gan.datasets.bundled import bundled_data
from sase_gan.networks.channel_tables import IMAGE_SIZES
from sase_gan.pixels import grid, read_image
from sase_gan.ui.checks import LONGEST_MINUTES, chosen, number, seed_number, sentences, time_limit
from sase_gan.ui.events import AT_ONCE, BAR, READING, Action, at_once, reporter
from sase_gan.ui.markup import escaped
from sase_gan.ui.models import PYRAMID, Models
from sase_gan.ui.pictures import enlarged, picture, temporary_folder
from sase_gan.ui.training_view import (
    curves_html,
    describe_survey,
    start_sentence,
    status_html,
    status_sentence,
    stop_button,
)
from sase_gan.ui.trainings import Trainings, TrainingState, checked_name
from sase_gan.ui.uploads import SURVEY_SIDE, gather, keep_set, survey_set, uploaded_set
from sase_gan.ui.widgets import has_bundled, image_view, open_list, seed_field, shown_for_uploads, status_view

PRESETS = {
    "auto": "Automatic",
    "cpu": "A narrow network",
    "gpu": "The full network, for a GPU",
    "smoke/low_shot": "A try-out of seconds",
}
SOURCES = ("upload", "faces")
FITS = ("crop", "pad")
AUTOMATIC = 0
MOST_PREVIEWED, SAMPLES_SIDE = 96, 560
# The mark of a page that has just been opened.
UNSEEN = "none yet"
# On a CPU a snapshot each thousand images is one each minute: the eye learns more from them than from curves.
LIVE_OPTIONS = ("--set", "schedule.snapshot_images=1000", "--set", "schedule.log_images=200")


@dataclass(frozen=True)
class Checked:
    """What a set of pictures is like, and the pictures as they will be used."""

    words: str
    preview: Image.Image | None


@dataclass(frozen=True)
class Watched:
    """What the page shows of the training that was started last; left out is what stays as it is.

    Attributes:
        status, samples, curves, stop, note: of the tab Train.
        picture_status, picture_samples, picture_stop, picture_note: of the tab One picture.
        models, runs, picture_models: lists.
        mark: names the state that is shown.
    """

    status: Any = field(default_factory=gr.skip)
    samples: Any = field(default_factory=gr.skip)
    curves: Any = field(default_factory=gr.skip)
    stop: Any = field(default_factory=gr.skip)
    note: Any = field(default_factory=gr.skip)
    picture_status: Any = field(default_factory=gr.skip)
    picture_samples: Any = field(default_factory=gr.skip)
    picture_stop: Any = field(default_factory=gr.skip)
    picture_note: Any = field(default_factory=gr.skip)
    models: Any = field(default_factory=gr.skip)
    runs: Any = field(default_factory=gr.skip)
    picture_models: Any = field(default_factory=gr.skip)
    mark: Any = field(default_factory=gr.skip)


class TrainHandlers:
    """The handlers, as methods so that they know the trainings and the models."""

    def __init__(self, trainings: Trainings, models: Models) -> None:
        self.trainings, self.models = trainings, models

    @sentences
    def check(
        self, source: str = "faces", files: list[str] | None = None, fit: str = "crop", progress: gr.Progress = BAR
    ) -> Checked:
        """Read pictures as a training would and say what they are like; nothing is kept.

        Args:
            source: "upload" for the uploaded files, "faces" for the bundled faces.
            files: Pictures, or one zip of pictures.
            fit: How pictures become square: "crop" the middle, or "pad" with white.
            progress: The browser's bar.
        """
        how = chosen(fit, FITS, "The way to a square")
        with tempfile.TemporaryDirectory(dir=temporary_folder()) as scratch:
            path = _pictures(source, files, lambda paths, folder: gather(paths, folder / "set"))(Path(scratch))
            found = survey_set(path, SURVEY_SIDE, how, reporter(progress, "reading the pictures"))
        shown = None
        if found.images is not None:
            images = found.images.images
            step = max(1, len(images) // MOST_PREVIEWED)
            shown = picture(grid(images[::step][:MOST_PREVIEWED], columns=12))
        return Checked(describe_survey(found), shown)

    @sentences
    def start(
        self,
        source: str = "faces",
        files: list[str] | None = None,
        name: str = "my run",
        minutes: float = 20,
        image_size: int = AUTOMATIC,
        fit: str = "crop",
        kimg: float = 0,
        seed: float = 0,
        preset: str = "auto",
    ) -> str:
        """Start a training in a process of its own; returns a sentence.

        Args:
            source: "upload" for the uploaded files, "faces" for the bundled faces.
            files: Pictures, or one zip of pictures.
            name: Of the run, 1 to 40 letters, digits, spaces, hyphens or underscores; a number is added.
            minutes: Time limit, 0.1 to 10080; the run can be gone on with later.
            image_size: 32, 64, 128, 256, 512 or 1024 px; 0 chooses by the pictures and the machine.
            fit: How pictures become square: "crop" the middle, or "pad" with white.
            kimg: Thousand images to see at most; 0 for the preset's.
            seed: Everything random follows from it.
            preset: "auto" chooses by the pictures and the machine; "smoke/low_shot" is a try-out of seconds.
        """
        stem = checked_name(name)
        limit = time_limit(minutes)
        size = chosen(image_size, (AUTOMATIC, *IMAGE_SIZES), "The image size")
        options = ["--fit", chosen(fit, FITS, "The way to a square"), "--seed", str(seed_number(seed))]
        known = chosen(preset, tuple(PRESETS), "The preset")
        options += list(LIVE_OPTIONS) if known == "auto" else ["--preset", known]
        options += [] if size == AUTOMATIC else ["--image-size", str(size)]
        most = _thousand_images(kimg)
        options += [] if most is None else ["--kimg", f"{most:g}"]
        prepare = _pictures(source, files, lambda paths, folder: keep_set(paths, stem, folder))
        return start_sentence(self.trainings.start(prepare, stem, options, minutes=limit))

    @sentences
    def resume(self, run: str, minutes: float = 20, kimg: float = 0) -> str:
        """Go on with a run.

        Args:
            run: Its name.
            minutes: Time limit, 0.1 to 10080.
            kimg: Thousand images to see at most, from the run's beginning; 0 for what was configured.
        """
        limit = time_limit(minutes)
        job = self.trainings.resume(run, minutes=limit, kimg=_thousand_images(kimg))
        return f"Going on with **{escaped(job.run)}**."

    @sentences
    def stop(self) -> str:
        """Stop the training after its step; everything is saved. Returns what that means for it, as a sentence."""
        return status_sentence(self.trainings.stop())

    @sentences
    def status(self) -> str:
        """Say how far the training is that was started last."""
        state = self.trainings.state()
        return "No training was started here yet." if state is None else status_sentence(state)

    def watch(self, before: str) -> Watched:
        """Show what is new of the training since the state that the mark `before` names."""
        mark = self.trainings.fingerprint()
        state = self.trainings.state()
        alive = state is not None and state.alive
        if mark == before and not alive:
            return Watched()
        status, picture_status = status_html(state), status_html(state, one_picture=True)
        if mark == before:
            # Only the time that is left moves between two rows.
            return Watched(status=status, picture_status=picture_status)
        samples = None
        if state is not None and state.grid is not None:
            samples = enlarged(picture(read_image(state.grid)), SAMPLES_SIDE)
        of_one = state is not None and state.one_picture
        # What was said when the button was pressed has had its time once the training ends.
        note = gr.skip() if before == UNSEEN or alive else ""
        names, runs = self.models.names(), self.trainings.names()
        return Watched(
            status=status,
            samples=None if of_one else samples,
            curves="" if state is None or of_one else curves_html(self.trainings.runs / state.run, mark),
            stop=stop_button(state),
            note=note,
            picture_status=picture_status,
            picture_samples=samples if of_one else None,
            picture_stop=stop_button(state, one_picture=True),
            picture_note=note,
            models=gr.update(choices=names) if names else gr.skip(),
            runs=gr.update(choices=runs, value=next(iter(runs), None)),
            picture_models=self._of_one_picture(state, seen_working=before != UNSEEN),
            mark=mark,
        )

    def _of_one_picture(self, state: TrainingState | None, *, seen_working: bool) -> Any:
        """The list of the tab One picture; a run that ends while the page is open is chosen, to be played with."""
        names = self.models.names(PYRAMID)
        if seen_working and state is not None and not state.alive and state.one_picture and state.run in names:
            return gr.update(choices=names, value=state.run)
        return gr.update(choices=names)


def _pictures(source: object, files: object, put: Callable[[list[Path], Path], Path]) -> Callable[[Path], Path]:
    """Make, of a source, what puts its pictures into a folder, where they are not there already, and says where."""
    if chosen(source, SOURCES, "The source of pictures") == "faces":
        faces = bundled_data("emoji-faces")
        return lambda folder: faces
    return partial(put, uploaded_set(files))


def _thousand_images(kimg: object) -> float | None:
    return None if kimg == 0 else number(kimg, 0.01, 1e6, "Thousand images")


# --- the page


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
