"""The tab Train: pictures in, a training with live samples, curves and time left, and back to it after a reload."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from sase_gan.datasets.sources import bundled_data, open_images
from sase_gan.fits import sides
from sase_gan.markdown import escaped
from sase_gan.networks.channel_tables import IMAGE_SIZES
from sase_gan.runs.presets import ADVISED_IMAGES, FEWEST_IMAGES
from sase_gan.sheets import grid
from sase_gan.ui import widgets
from sase_gan.ui.checks import chosen, number, seed_number, sentences, time_limit
from sase_gan.ui.events import BAR, READING, Action, at_once, reporter
from sase_gan.ui.pictures import picture
from sase_gan.ui.training_view import TrainingPlace, describe_survey, start_sentence, status_html, status_sentence
from sase_gan.ui.trainings import Trainings, checked_name
from sase_gan.ui.uploads import (
    SURVEY_SIDE,
    count_pictures,
    gather,
    keep_set,
    survey_set,
    temporary_folder,
    uploaded_set,
)

PRESETS = {
    "auto": "Automatic",
    "cpu": "A narrow network",
    "gpu": "The full network, for a GPU",
    "smoke/low_shot": "A try-out of seconds",
}
SOURCES = ("upload", "faces")
AUTO, INSTANT, NETWORK = "auto", "instant", "network"
WAYS = (AUTO, INSTANT, NETWORK)
FITS = ("crop", "pad")
AUTOMATIC = 0
RECTANGLES = ("96x64", "64x96", "128x64", "64x128", "192x128", "128x192")
"""Width and height of what is no square; the command line takes any other."""
MOST_PREVIEWED = 96
# On a CPU a snapshot each thousand images is one each minute: the eye learns more from them than from curves.
LIVE_OPTIONS = ("--set", "schedule.snapshot_images=1000", "--set", "schedule.log_images=200")


class TrainHandlers:
    """What the tab does."""

    def __init__(self, trainings: Trainings) -> None:
        self.trainings = trainings

    @sentences
    def check(
        self, source: str = "faces", files: list[str] | None = None, fit: str = "crop", progress: gr.Progress = BAR
    ) -> tuple[str, Image.Image | None]:
        """Read pictures as a training would and say what they are like; nothing is kept.

        Args:
            source: "upload" for the uploaded files, "faces" for the bundled faces.
            fit: How pictures become square: "crop" the middle, or "pad" with white.
        """
        how = chosen(fit, FITS, "The way to a square")
        with tempfile.TemporaryDirectory(dir=temporary_folder()) as scratch:
            path = _pictures(source, files, lambda paths, folder: gather(paths, folder / "set"))(Path(scratch))
            found = survey_set(path, SURVEY_SIDE, how, reporter(progress, "reading the pictures"))
        if found.images is None:
            return describe_survey(found), None
        images = found.images.images
        shown = images[:: max(1, len(images) // MOST_PREVIEWED)][:MOST_PREVIEWED]
        return describe_survey(found), picture(grid(shown, columns=12))

    @sentences
    def start(
        self,
        source: str = "faces",
        files: list[str] | None = None,
        name: str = "my run",
        minutes: float = 20,
        image_size: int | str = AUTOMATIC,
        fit: str = "crop",
        kimg: float = 0,
        seed: float = 0,
        preset: str = "auto",
        way: str = "auto",
    ) -> str:
        """Make a model in a process of its own, at once or by training; returns a sentence.

        Args:
            source: "upload" for the uploaded files, "faces" for the bundled faces.
            name: Of the run, 1 to 40 letters, digits, spaces, hyphens or underscores; a number is added.
            minutes: Time limit, 0.1 to 10080; the run can be gone on with later.
            image_size: Side of squares, or "WIDTHxHEIGHT" of the list; 0 chooses a side by itself.
            fit: How pictures become square: "crop" the middle, or "pad" with white.
            kimg: Thousand images to see at most; 0 for the preset's.
            preset: Of a network: "auto" chooses by the pictures and the machine; "smoke/low_shot" is a try-out of
                seconds.
            way: "instant" makes an instant model, which contains the pictures and draws at once, and to which minutes,
                kimg and preset mean nothing; "network" trains one; "auto" makes an instant model of fewer than 30
                pictures where no preset is named.
        """
        stem, limit = checked_name(name), time_limit(minutes)
        size = chosen(image_size, (AUTOMATIC, *IMAGE_SIZES, *RECTANGLES), "The image size")
        options = ["--fit", chosen(fit, FITS, "The way to a square"), "--seed", str(seed_number(seed))]
        known = chosen(preset, tuple(PRESETS), "The preset")
        most, instant = _thousand_images(kimg), self._is_instant(way, source, files, known)
        least = 1 if instant else FEWEST_IMAGES
        left_out: list[str] = []
        keep = partial(keep_set, least=least, tell=left_out.append)
        prepare = _pictures(source, files, lambda paths, folder: keep(paths, stem, folder))
        if instant:
            alone = source == "upload" and count_pictures(files) == 1
            options = _instant_options(size, options[:2], options[2:], alone=alone)
            return start_sentence(self.trainings.start(prepare, stem, options, instant=True), left_out)
        options += LIVE_OPTIONS if known == "auto" else ("--preset", known)
        options += [] if size == AUTOMATIC else ["--image-size", str(size)]
        options += [] if most is None else ["--kimg", f"{most:g}"]
        return start_sentence(self.trainings.start(prepare, stem, options, minutes=limit), left_out)

    def _is_instant(self, way: object, source: object, files: object, preset: str) -> bool:
        how = chosen(way, WAYS, "The way")
        return how == INSTANT or (how == AUTO and preset == AUTO and self.advised(source, files)[0] == INSTANT)

    def advised(self, source: object, files: object) -> tuple[str, str]:
        """Advise a way for pictures as `sase-gan train` chooses it, and why in one sentence."""
        faces = source == "faces"
        count = len(open_images(bundled_data("emoji-faces")).names) if faces else count_pictures(files)
        if count == 0:
            return INSTANT, ""
        if count >= ADVISED_IMAGES:
            return NETWORK, f"{count} pictures are enough to train a network; an instant model of them draws at once."
        what = "One picture draws" if count == 1 else f"{count} pictures draw"
        return INSTANT, f"{what} best at once, without training; a network would mostly learn near copies."

    @sentences
    def resume(self, run: str, minutes: float = 20, kimg: float = 0) -> str:
        """Go on with a run.

        Args:
            minutes: Time limit, 0.1 to 10080; a run on one picture goes on to its last stage.
            kimg: Thousand images to see at most, from the run's beginning; 0 for what was configured.
        """
        limit = time_limit(minutes)
        job = self.trainings.resume(run, minutes=limit, kimg=_thousand_images(kimg))
        return f"Going on with **{escaped(job.run)}**."

    @sentences
    def stop(self) -> str:
        """Stop the training after its step; everything is saved. Returns what that means for it, as a sentence."""
        return escaped(status_sentence(self.trainings.stop()))

    @sentences
    def status(self) -> str:
        """Say how far the training is that was started last."""
        state = self.trainings.state()
        return "No training was started here yet." if state is None else status_sentence(state)


def _pictures(source: object, files: object, put: Callable[[list[Path], Path], Path]) -> Callable[[Path], Path]:
    """Make, of a source, what puts its pictures into a folder, where they are not there already, and says where."""
    if chosen(source, SOURCES, "The source of pictures") == "faces":
        faces = bundled_data("emoji-faces")
        return lambda folder: faces
    return partial(put, uploaded_set(files))


def _instant_options(size: int | str, fit: list[str], seed: list[str], *, alone: bool) -> list[str]:
    """The options of an instant model; one picture keeps its proportions, and its size is that of the longer side."""
    if alone and isinstance(size, str):
        size = max(sides(size))
    sized = [] if size == AUTOMATIC else ["--max-size" if alone else "--image-size", str(size)]
    return [*seed, *sized, *([] if alone else fit)]


def _thousand_images(kimg: object) -> float | None:
    return None if kimg == 0 else number(kimg, 0.01, 1e6, "Thousand images")


def _sizes() -> list[tuple[str, int | str]]:
    squares = [(f"{size} px", size) for size in IMAGE_SIZES]
    return [("Automatic", AUTOMATIC), *squares, *((f"{size.replace('x', ' × ')} px", size) for size in RECTANGLES)]


def build(trainings: Trainings) -> TrainingPlace:
    """Lay the tab out and connect its events; returns where the training that works is shown."""
    handlers = TrainHandlers(trainings)
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            with gr.Group():
                sources = [("My pictures", "upload"), ("The bundled faces", "faces")]
                has_faces = widgets.has_bundled("emoji-faces")
                source = widgets.source_choice(sources, "Pictures", "train-source", bundled=has_faces)
                several: dict[str, Any] = {"file_count": "multiple", "file_types": ["image", ".zip"]}
                words = "Pictures, or one zip of them"
                files = gr.File(label=words, visible=False, height=150, elem_id="train-files", **several)
                name = gr.Textbox("faces", label="Name of the run", max_length=40, elem_id="train-name")
                ways = [("Pictures at once, no training", INSTANT), ("Train a network", NETWORK)]
                first, why = handlers.advised("faces" if has_faces else "upload", None)
                way = gr.Radio(ways, value=first, label="What to make of them", elem_id="train-way")
                minutes = widgets.minutes_field(20, info="Stops then; you can go on later.", visible=first == NETWORK)
            advice = gr.Markdown(why, elem_id="train-advice")
            with gr.Row():
                check = gr.Button("Check the pictures", min_width=160)
                start = gr.Button("Start", variant="primary", min_width=160, elem_id="train-start")
            with gr.Accordion("More", open=False, elem_id="train-more"):
                image_size = gr.Dropdown(_sizes(), value=AUTOMATIC, label="Image size", filterable=False)
                fits = [("Crop the middle", "crop"), ("Pad with white", "pad")]
                fit = gr.Radio(fits, value="crop", label="To that size")
                kimg = gr.Number(0, label="Thousand images at most", info="0: the preset's.", minimum=0)
                seed = widgets.seed_field()
                preset = widgets.preset_list(PRESETS, "train-preset")
            with gr.Accordion("Go on with a run", open=False):
                runs = widgets.open_list(trainings.names(), "Run", "train-runs")
                more_minutes = widgets.minutes_field(20)
                more_kimg = gr.Number(0, label="Thousand images in all", info="0: as configured.", minimum=0)
                resume = gr.Button("Go on", elem_id="train-resume")
        with gr.Column(scale=3, min_width=300):
            status, stop, note = widgets.status_view(status_html(trainings.state()), "train-status", "train-note")
            checked = gr.Markdown("", elem_id="train-checked")
            used: dict[str, Any] = {"buttons": ["fullscreen"], "visible": False}
            words = "The pictures as they will be used"
            with gr.Row():
                preview = widgets.image_view(words, "train-preview", "pictures", "table", **used)
            words = "Samples: the same seeds at every snapshot"
            samples = widgets.image_view(words, "train-samples", "pictures", "table", "late")
            curves = gr.HTML("", elem_id="train-curves")
    widgets.shown_for_uploads(source, files)
    looked = Action(handlers.check, [source, files, fit], [checked, preview], READING, judges=True)
    at_once(looked.on(check.click, api="check_pictures").success, lambda: gr.update(visible=True), [], [preview])
    for trigger in (source.change, files.change):
        at_once(trigger, handlers.advised, [source, files], [way, advice])
    at_once(way.change, lambda how: gr.update(visible=how == NETWORK), [way], [minutes])
    wishes = [source, files, name, minutes, image_size, fit, kimg, seed, preset, way]
    started = Action(handlers.start, wishes, note, READING).on(start.click, api="start_training")
    wishes = [runs, more_minutes, more_kimg]
    resumed = Action(handlers.resume, wishes, note, {}).on(resume.click, api="resume_training")
    stopped = Action(handlers.stop, [], note, {}).on(stop.click, api="stop_training")
    gr.api(handlers.status, api_name="training_status", queue=False)  # type: ignore[attr-defined]
    shown = {"status": status, "samples": samples, "curves": curves, "stop": stop, "note": note, "runs": runs}
    return TrainingPlace(shown, [started.success, resumed.success, stopped.success])
