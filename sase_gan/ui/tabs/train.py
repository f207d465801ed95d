"""The tab Train: pictures in, a training with live samples, curves and time left, and back to it after a reload."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from sase_gan.datasets.bundled import bundled_data
from sase_gan.datasets.images import Survey
from sase_gan.drawing.sampling import MAX_SEED
from sase_gan.errors import SaseGanError, UsageError
from sase_gan.networks.channel_tables import IMAGE_SIZES
from sase_gan.pixels import grid, read_image
from sase_gan.runs.presets import FEWEST_IMAGES
from sase_gan.ui.models import PYRAMID, Models
from sase_gan.ui.trainings import Trainings, TrainingState, checked_name
from sase_gan.ui.uploads import gather, next_set, survey_set, uploaded_set
from sase_gan.ui.widgets import (
    chosen,
    enlarged,
    escaped,
    number,
    open_choice,
    picture,
    reporter,
    seed_number,
    sentences,
    temporary_folder,
)

PRESETS = {
    "auto": "Automatic",
    "cpu": "A narrow network",
    "gpu": "The full network, for a GPU",
    "smoke/low_shot": "A try-out of seconds",
}
SOURCES = ("upload", "faces")
FITS = ("crop", "pad")
AUTOMATIC = 0
LONGEST_MINUTES = 7 * 24 * 60
FEWEST_ADVISED = 30
PREVIEW_SIDE, MOST_PREVIEWED, SAMPLES_SIDE = 64, 96, 560
SECONDS_BETWEEN_LOOKS = 3
# The mark of a page that has just been opened.
UNSEEN = "none yet"
# On a CPU a snapshot each thousand images is one each minute: the eye learns more from them than from curves.
LIVE_OPTIONS = ("--set", "schedule.snapshot_images=1000", "--set", "schedule.log_images=200")


class TrainHandlers:
    """The handlers, as methods so that they know the trainings and the models."""

    def __init__(self, trainings: Trainings, models: Models) -> None:
        self.trainings, self.models = trainings, models

    @sentences
    def check(
        self,
        source: str = "faces",
        files: list[str] | None = None,
        fit: str = "crop",
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[str, Image.Image | None]:
        """Read pictures as a training would and say what they are like; nothing is kept.

        Args:
            source: "upload" for the uploaded files, "faces" for the bundled faces.
            files: Pictures, or one zip of pictures.
            fit: How pictures become square: "crop" the middle, or "pad" with white.
            progress: The browser's bar.
        """
        how = chosen(fit, FITS, "The way to a square")
        with tempfile.TemporaryDirectory(dir=temporary_folder()) as scratch:
            path = self._pictures(source, files)(Path(scratch))
            found = survey_set(path, PREVIEW_SIDE, how, reporter(progress, "reading the pictures"))
        shown = None
        if found.images is not None:
            images = found.images.images
            step = max(1, len(images) // MOST_PREVIEWED)
            shown = picture(grid(images[::step][:MOST_PREVIEWED], columns=12))
        return describe_survey(found), shown

    def _pictures(self, source: object, files: object) -> Callable[[Path], Path]:
        """From a folder that may be written into to the place of the pictures."""
        if chosen(source, SOURCES, "The source of pictures") == "faces":
            faces = bundled_data("emoji-faces")
            return lambda folder: faces
        paths = uploaded_set(files)
        return lambda folder: gather(paths, folder / "set")

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
        limit = number(minutes, 0.1, LONGEST_MINUTES, "The time limit in minutes")
        size = chosen(image_size, (AUTOMATIC, *IMAGE_SIZES), "The image size")
        options = ["--fit", chosen(fit, FITS, "The way to a square"), "--seed", str(seed_number(seed))]
        known = chosen(preset, tuple(PRESETS), "The preset")
        options += list(LIVE_OPTIONS) if known == "auto" else ["--preset", known]
        options += [] if size == AUTOMATIC else ["--image-size", str(size)]
        options += [] if kimg == 0 else ["--kimg", f"{number(kimg, 0.01, 1e6, 'Thousand images'):g}"]
        uploaded = source == "upload"
        prepare = partial(_keep, uploaded_set(files), stem) if uploaded else self._pictures(source, files)
        job = self.trainings.start(prepare, stem, options, minutes=limit)
        return f"**{escaped(job.run)}** has started. You may close this page; the training goes on."

    @sentences
    def resume(self, run: str, minutes: float = 20, kimg: float = 0) -> str:
        """Go on with a run.

        Args:
            run: Its name.
            minutes: Time limit, 0.1 to 10080.
            kimg: Thousand images to see at most, from the run's beginning; 0 for what was configured.
        """
        limit = number(minutes, 0.1, LONGEST_MINUTES, "The time limit in minutes")
        more = None if kimg == 0 else number(kimg, 0.01, 1e6, "Thousand images")
        job = self.trainings.resume(run, minutes=limit, kimg=more)
        return f"Going on with **{escaped(job.run)}**."

    @sentences
    def stop(self) -> str:
        """Stop the training after its step; everything is saved. Returns what that means for it, as a sentence."""
        return status_sentence(self.trainings.stop())

    @sentences
    def status(self) -> str:
        """The training that was started last, as a sentence."""
        state = self.trainings.state()
        return "No training was started here yet." if state is None else status_sentence(state)

    def watch(self, before: str) -> list[Any]:
        """What the page shows of the training, or nothing if nothing is new since `before`.

        Returns:
            Updates of the tab Train: status, samples, curves, button to stop, note; of the tab One picture: status,
            samples, button to stop, note; then the models of sets, the runs, the models of one picture, the new mark.
        """
        mark = self.trainings.fingerprint()
        state = self.trainings.state()
        if mark == before and not (state and state.alive):
            return [gr.skip()] * 13
        bars = [status_html(state), status_html(state, one_picture=True)]
        if mark == before:
            # Only the time that is left moves between two rows.
            return [bars[0], *[gr.skip()] * 4, bars[1], *[gr.skip()] * 7]
        samples = None
        if state is not None and state.grid is not None:
            samples = enlarged(picture(read_image(state.grid)), SAMPLES_SIDE)
        of_one = state is not None and state.one_picture
        curves = curves_html(self.trainings.runs / state.run, mark) if state is not None and not of_one else ""
        # What was said when the button was pressed has had its time once the training ends.
        note = gr.skip() if before == UNSEEN or (state is not None and state.alive) else ""
        names = self.models.names()
        runs = self.trainings.names()
        return [
            bars[0],
            None if of_one else samples,
            curves,
            stop_button(state),
            note,
            bars[1],
            samples if of_one else None,
            stop_button(state, one_picture=True),
            note,
            gr.update(choices=names) if names else gr.skip(),
            gr.update(choices=runs, value=runs[0] if runs else None),
            self._of_one_picture(state, seen_working=before != UNSEEN),
            mark,
        ]

    def _of_one_picture(self, state: TrainingState | None, *, seen_working: bool) -> Any:
        """The list of the tab One picture; a run that ends while the page is open is chosen, to be played with."""
        names = self.models.names(PYRAMID)
        done = state is not None and not state.alive and state.one_picture and state.run in names
        return (
            gr.update(choices=names, value=state.run) if seen_working and done and state else gr.update(choices=names)
        )


def _keep(paths: list[Path], name: str, folder: Path) -> Path:
    """Uploaded pictures, put down for good: a run that goes on needs them again."""
    kept = gather(paths, next_set(folder, name))
    with_pictures = survey_set(kept, PREVIEW_SIDE, "crop")
    readable = 0 if with_pictures.images is None else len(with_pictures.images)
    problem = ""
    if with_pictures.broken:
        problem = f"{with_pictures.broken[0]}."
    elif readable < FEWEST_IMAGES:
        problem = (
            f"{readable} pictures were uploaded; at least {FEWEST_IMAGES} are required, and 30 or more are better."
        )
    if problem:
        remove(kept)
        raise UsageError(problem)
    return kept


def remove(kept: Path) -> None:
    """Pictures that no training will need."""
    if kept.is_dir():
        shutil.rmtree(kept, ignore_errors=True)
    else:
        kept.unlink(missing_ok=True)


# --- words -----------------------------------------------------------------------------------------------------------


def describe_survey(found: Survey) -> str:
    """What a set of pictures is like, and what to do about it, as Markdown."""
    lines = []
    if found.images is not None:
        notes, count = found.images.notes, len(found.images)
        sizes = sorted(set(found.sizes))
        one = len(sizes) == 1
        lines.append(f"### {count} picture{'s' * (count != 1)}")
        lines.append(
            f"All are {sizes[0][0]} × {sizes[0][1]} px."
            if one
            else f"Their sides are {notes.smallest_side} to {notes.largest_side} px long."
        )
        lines += _remarks(notes, count)
        lines.append(_on_count(count))
    if found.broken:
        more = f" And {len(found.broken) - 1} more." if len(found.broken) > 1 else ""
        lines.append(f"**{len(found.broken)} cannot be read**: {escaped(found.broken[0])}.{more}")
    return "\n\n".join(lines) or "No picture could be read."


def _remarks(notes: Any, count: int) -> list[str]:
    lines = []
    shares = (
        (notes.non_square_share, "not square: their margins are cropped or padded"),
        (notes.transparent_share, "with transparency, which is shown on white"),
        (notes.grey_share if 0 < notes.grey_share < 1 else 0, "without colour among coloured ones"),
        (notes.jpeg_sources / count, "JPEG, whose artefacts are learnt too"),
    )
    kinds = [f"{round(share * count)} {words}" for share, words in shares if share]
    if kinds:
        lines.append(f"{'; '.join(kinds)}.")
    if notes.duplicates:
        pairs = [f"{escaped(pair.first)} = {escaped(pair.second)} ({pair.kind})" for pair in notes.duplicates]
        more = f" and {len(pairs) - 3} more" if len(pairs) > 3 else ""
        lines.append(
            f"**{len(pairs)} near-duplicate pair{'s' * (len(pairs) != 1)}**: {'; '.join(pairs[:3])}{more}. Leave one "
            "of each out: copies in the set spoil the check for copying."
        )
    else:
        lines.append("No duplicates, exact, near or mirrored.")
    return lines


def _on_count(count: int) -> str:
    if count < FEWEST_IMAGES:
        return f"At least {FEWEST_IMAGES} are required to train on a set."
    if count < FEWEST_ADVISED:
        return f"These are very few: expect near copies. {FEWEST_ADVISED} or more are better."
    return "These are enough for a training."


def status_sentence(state: TrainingState) -> str:
    """How far a training is."""
    name = f"{state.run}"
    seen = f"{state.images_seen:,} of {state.total_images:,} images seen"
    saved = f"after {state.images_seen:,} images and saved; it can be gone on with"
    if state.images_seen == 0:
        saved = "before anything was saved; start it anew"
    running = f"{name} is being trained: {seen}."
    if 0 < state.total_images <= state.images_seen:
        running = f"{name} has seen all its images; what it draws is being measured, which takes a minute or two."
    sentences_by_state = {
        "preparing": f"{name} is being prepared: pictures are read, and the untrained networks measured.",
        "running": running,
        "stopping": f"{name} stops after this step and saves everything.",
        "finished": f"{name} is finished after {state.images_seen:,} images; it is in the list of models.",
        "stopped": f"{name} was stopped {saved}.",
        "failed": f"{name} failed: {state.message}",
    }
    return sentences_by_state[state.state]


def status_html(state: TrainingState | None, *, one_picture: bool = False) -> str:
    """A sentence, a bar and the time left; of a training of the other tab only that it works."""
    if state is None or (state.one_picture != one_picture and not state.alive):
        if one_picture:
            return (
                "<p>No training is running. Choose a picture; five minutes on two processor cores are a good start.</p>"
            )
        return (
            "<p>No training is running. Choose pictures; on two processor cores a first impression takes about ten "
            "minutes.</p>"
        )
    if state.one_picture != one_picture:
        other = "Train" if one_picture else "One picture"
        return (
            f"<p>{escaped(state.run)} is being trained, see the tab {other}. There is one training at a time: wait for "
            "its end, or stop it there.</p>"
        )
    facts = []
    if state.alive and state.images_per_second:
        facts.append(f"{state.images_per_second:.1f} images a second")
    if state.seconds_left is not None and state.seconds_left >= 1:
        facts.append(f"about {readable(state.seconds_left)} left")
    if state.seconds:
        facts.append(f"{readable(state.seconds)} {'so far' if state.alive else 'of training'}")
    extra = f"<small>{' · '.join(facts)}</small>" if facts else ""
    share = 1.0 if state.state == "finished" else state.share
    bar = f'<div class="progress {state.state}"><i style="width:{100 * share:.1f}%"></i></div>'
    return f'<div class="status" role="status"><p>{escaped(status_sentence(state))}</p>{bar}{extra}</div>'


def stop_button(state: TrainingState | None, *, one_picture: bool = False) -> Any:
    """The button to stop, there while a training of its tab works."""
    working = state is not None and state.alive and state.one_picture == one_picture
    asked = state is not None and state.state == "stopping"
    return gr.update(visible=working, interactive=working, value="Stop now" if asked else "Stop and save")


def readable(seconds: float) -> str:
    """A duration in words."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    if seconds < 5400:
        return f"{seconds / 60:.0f} minutes"
    hours, rest = divmod(round(seconds / 60), 60)
    return f"{hours} h {rest:02d} min"


@lru_cache(maxsize=4)
def curves_html(run: Path, mark: str) -> str:
    """The run's curves; `mark` says which version, so that many pages cost as much as one."""
    # matplotlib takes a second to import, and the first picture is not to wait for it.
    from sase_gan.report.curves import curve_panels
    from sase_gan.runs.history import read_run

    panels = curve_panels(read_run(run), None)[:6]
    if not panels:
        return '<p class="quiet">Curves appear with the first row of the log.</p>'
    shown = (f"<figure><figcaption><b>{escaped(p.title)}</b></figcaption>{p.svg}</figure>" for p in panels)
    return f'<div class="curves">{"".join(shown)}</div>'


# --- page ------------------------------------------------------------------------------------------------------------


def build(trainings: Trainings, models: Models) -> dict[str, Any]:
    """The tab's components and events; returns what `follow` connects to."""
    handlers = TrainHandlers(trainings, models)
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            with gr.Group():
                source = gr.Radio(
                    [("My pictures", "upload"), ("The bundled faces", "faces")],
                    value="upload" if not _has_faces() else "faces",
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
                seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=MAX_SEED)
                preset = gr.Dropdown(
                    [(words, key) for key, words in PRESETS.items()],
                    value="auto",
                    label="Preset",
                    filterable=False,
                    elem_id="train-preset",
                )
            with gr.Accordion("Go on with a run", open=False):
                runs = open_choice(gr.Dropdown(trainings.names(), label="Run", filterable=False, elem_id="train-runs"))
                more_minutes = gr.Number(20, label="Minutes", minimum=0.1, maximum=LONGEST_MINUTES)
                more_kimg = gr.Number(0, label="Thousand images in all", info="0: as configured.", minimum=0)
                resume = gr.Button("Go on", elem_id="train-resume")
        with gr.Column(scale=3, min_width=300):
            with gr.Row(equal_height=True, elem_classes="status-row"):
                bar = gr.HTML(status_html(trainings.state()), elem_id="train-status")
                stop = gr.Button("Stop and save", variant="stop", visible=False, min_width=160, scale=0)
            note = gr.Markdown("", elem_id="train-note")
            checked = gr.Markdown("", elem_id="train-checked")
            with gr.Row():
                preview = gr.Image(
                    label="The pictures as they will be used",
                    format="png",
                    buttons=["fullscreen"],
                    interactive=False,
                    visible=False,
                    elem_id="train-preview",
                    elem_classes=["pictures", "table"],
                )
            samples = gr.Image(
                label="Samples: the same 64 seeds at every snapshot",
                format="png",
                buttons=["download", "fullscreen"],
                interactive=False,
                elem_id="train-samples",
                elem_classes=["pictures", "table", "late"],
            )
            curves = gr.HTML("", elem_id="train-curves")
    source.change(
        lambda how: gr.update(visible=how == "upload"), [source], [files], api_visibility="private", queue=False
    )
    check.click(
        handlers.check,
        [source, files, fit],
        [checked, preview],
        api_name="check_pictures",
        api_visibility="public",
        concurrency_id="reading",
        concurrency_limit=1,
    ).success(lambda: gr.update(visible=True), None, [preview], api_visibility="private", queue=False)
    started = start.click(
        handlers.start,
        [source, files, name, minutes, image_size, fit, kimg, seed, preset],
        [note],
        api_name="start_training",
        api_visibility="public",
        concurrency_id="reading",
        concurrency_limit=1,
    )
    resumed = resume.click(
        handlers.resume, [runs, more_minutes, more_kimg], [note], api_name="resume_training", api_visibility="public"
    )
    stopped = stop.click(handlers.stop, None, [note], api_name="stop_training", api_visibility="public")
    gr.api(handlers.status, api_name="training_status", queue=False)  # type: ignore[attr-defined]
    return {
        "handlers": handlers,
        "triggers": [started, resumed, stopped],
        "shown": [bar, samples, curves, stop, note],
        "runs": runs,
    }


def follow(tab: dict[str, Any], picture_tab: dict[str, Any], model: gr.Dropdown) -> None:
    """Let both tabs that start trainings follow the one that works: every few seconds, and after each button."""
    mark = gr.State(UNSEEN)
    outputs = [*tab["shown"], *picture_tab["shown"], model, tab["runs"], picture_tab["model"], mark]
    events: dict[str, Any] = {
        "fn": tab["handlers"].watch,
        "inputs": [mark],
        "outputs": outputs,
        "api_visibility": "private",
        "queue": False,
        "show_progress": "hidden",
    }
    for trigger in (*tab["triggers"], *picture_tab["triggers"]):
        trigger.success(**events)
    gr.Timer(SECONDS_BETWEEN_LOOKS).tick(**events)


def _has_faces() -> bool:
    try:
        return bundled_data("emoji-faces").is_dir()
    except SaseGanError:
        return False
