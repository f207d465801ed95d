"""What is said of training pictures and of a training, and how the page follows the one that works."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr

from sase_gan.datasets.images import Survey
from sase_gan.markdown import escaped
from sase_gan.pixels import read_image
from sase_gan.progress import readable_seconds
from sase_gan.runs.presets import ADVISED_IMAGES, FEWEST_IMAGES
from sase_gan.ui.checks import without_folders
from sase_gan.ui.entries import OF_ONE_PICTURE
from sase_gan.ui.events import AT_ONCE, Action, Trigger
from sase_gan.ui.markup import quiet
from sase_gan.ui.models import Models
from sase_gan.ui.pictures import enlarged, picture
from sase_gan.ui.trainings import Job, Trainings, TrainingState
from sase_gan.ui.uploads import left_out_words

SAMPLES_SIDE = 560
SECONDS_BETWEEN_LOOKS = 3
# The mark of a page that has just been opened.
UNSEEN = "none yet"
_INSTANT_WORDS = {
    "preparing": "is being made: the pictures are read and prepared, and eight new ones drawn.",
    "stopping": "stops after this step.",
    "finished": "is made, without training. It contains its training pictures, and every region of what it draws "
    "comes from one of them; it is in the list of models.",
    "stopped": "was stopped before it was made; start it anew.",
    "failed": "failed: {message}",
}
_INSTANT_WORDS["running"] = _INSTANT_WORDS["preparing"]


def describe_survey(found: Survey) -> str:
    """Say what a set of pictures is like, and what to do about it, as Markdown."""
    lines = []
    if found.images is not None:
        notes, count = found.images.notes, len(found.images)
        (width, height), *others = set(found.sizes)
        sides = f"Their sides are {notes.smallest_side} to {notes.largest_side} px long."
        lines += [f"### {count} picture{'s' * (count != 1)}", sides if others else f"All are {width} × {height} px."]
        advice = "These are enough for a training."
        if count < FEWEST_IMAGES:
            advice = f"They draw at once, without training; at least {FEWEST_IMAGES} are required to train on a set."
        elif count < ADVISED_IMAGES:
            advice = (
                "They draw at once, without training. For a network these are very few: expect near copies; "
                f"{ADVISED_IMAGES} or more are better."
            )
        lines += [*_remarks(notes, count), advice]
    if found.broken:
        lines.append(f"**{escaped(left_out_words([without_folders(each) for each in found.broken]))}**")
    return "\n\n".join(lines) or "No picture could be read."


def _remarks(notes: Any, count: int) -> list[str]:
    shares = (
        (notes.non_square_share, "not square: their margins are cropped or padded"),
        (notes.transparent_share, "with transparency, which is shown on white"),
        (notes.grey_share if 0 < notes.grey_share < 1 else 0, "without colour among coloured ones"),
        (notes.jpeg_sources / count, "JPEG, whose artefacts are learnt too"),
    )
    kinds = [f"{round(share * count)} {words}" for share, words in shares if share]
    lines = [f"{'; '.join(kinds)}."] if kinds else []
    pairs = [f"{escaped(pair.first)} = {escaped(pair.second)} ({pair.kind})" for pair in notes.duplicates]
    if not pairs:
        return [*lines, "No duplicates, exact, near or mirrored."]
    more = f" and {len(pairs) - 3} more" if len(pairs) > 3 else ""
    found = f"**{len(pairs)} near-duplicate pair{'s' * (len(pairs) != 1)}**: {'; '.join(pairs[:3])}{more}."
    return [*lines, f"{found} Leave one of each out: copies in the set spoil the check for copying."]


def start_sentence(job: Job, left_out: Sequence[str] = ()) -> str:
    """Say that a training was started, and what of its pictures is left out."""
    words = "is being made; its first eight pictures appear here."
    if not job.instant:
        words = "has started. You may close this page; the training goes on."
    return " ".join([f"**{escaped(job.run)}** {words}", *(escaped(without_folders(each)) for each in left_out)])


def status_sentence(state: TrainingState) -> str:
    """Say how far a training is."""
    if state.instant:
        return f"{state.run} {_INSTANT_WORDS[state.state].format(message=without_folders(state.message))}"
    seen = f"{state.images_seen:,}"
    saved = f"after {seen} images and saved; it can be gone on with"
    if state.images_seen == 0:
        saved = "before anything was saved; start it anew"
    running = f"is being trained: {seen} of {state.total_images:,} images seen."
    if 0 < state.total_images <= state.images_seen:
        running = "has seen all its images; what it draws is being measured, which takes a minute or two."
    words = {
        "preparing": "is being prepared: pictures are read, and the untrained networks measured.",
        "running": running,
        "stopping": "stops after this step and saves everything; pictures of where it is follow, which takes some "
        "seconds. Stop now ends it at once, with what is saved by then.",
        "finished": f"is finished after {seen} images; it is in the list of models.",
        "stopped": f"was stopped {saved}.",
        "failed": f"failed: {without_folders(state.message)}",
    }
    return f"{state.run} {words[state.state]}"


def status_html(state: TrainingState | None, *, one_picture: bool = False) -> str:
    """Show a sentence, a bar and the time left; of a training of the other tab only that it works."""
    if state is None or (state.one_picture != one_picture and not state.alive):
        advice = (
            "Choose pictures: an instant model of them draws within a minute; a network takes about ten minutes on two "
            "processor cores for a first impression."
        )
        if one_picture:
            advice = (
                "Choose a picture: an instant model of it draws within a minute; a network takes five minutes on two "
                "processor cores as a good start."
            )
        return f"<p>No training is running. {advice}</p>"
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
        facts.append(f"about {readable_seconds(state.seconds_left)} left")
    if state.seconds:
        facts.append(f"{readable_seconds(state.seconds)} {'so far' if state.alive else 'of training'}")
    extra = f"<small>{' · '.join(facts)}</small>" if facts else ""
    share = 1.0 if state.state == "finished" else state.share
    if state.instant and state.alive:
        share = 0.0  # what takes seconds tells no shares
    bar = f'<div class="progress {state.state}"><i style="width:{100 * share:.1f}%"></i></div>'
    return f'<div class="status" role="status"><p>{escaped(status_sentence(state))}</p>{bar}{extra}</div>'


def stop_button(state: TrainingState | None, *, one_picture: bool = False) -> Any:
    """Show the button to stop while a training of its tab works."""
    working = state is not None and state.alive and state.one_picture == one_picture
    asked = state is not None and state.state == "stopping"
    return gr.update(visible=working, interactive=working, value="Stop now" if asked else "Stop and save")


@lru_cache(maxsize=4)
def curves_html(run: Path, mark: str) -> str:
    """Draw the run's curves; `mark` says which version, so that many pages cost as much as one."""
    # matplotlib takes a second to import, and the first picture is not to wait for it.
    from sase_gan.report.curves import curve_panels
    from sase_gan.runs.history import read_run

    panels = curve_panels(read_run(run), None)[:6]
    if not panels:
        return quiet("Curves appear with the first row of the log.")
    shown = (f"<figure><figcaption><b>{escaped(p.title)}</b></figcaption>{p.svg}</figure>" for p in panels)
    return f'<div class="curves">{"".join(shown)}</div>'


@dataclass(frozen=True)
class Watched:
    """What the page shows of the training that was started last; left out is what stays as it is.

    What begins with `picture` is of the tab One picture; `mark` names the state that is shown.
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


def watched(trainings: Trainings, models: Models, before: str) -> Watched:
    """Show what is new of the training since the state that the mark `before` names."""
    mark, state = trainings.fingerprint(), trainings.state()
    alive = state is not None and state.alive
    if mark == before and not alive:
        return Watched()
    status, picture_status = status_html(state), status_html(state, one_picture=True)
    if mark == before:
        # Only the time that is left moves between two rows.
        return Watched(status=status, picture_status=picture_status)
    grid = None if state is None else state.grid
    samples = None if grid is None else enlarged(picture(read_image(grid)), SAMPLES_SIDE)
    of_one = state is not None and state.one_picture
    # What was said when the button was pressed has had its time once the training ends.
    note = gr.skip() if before == UNSEEN or alive else ""
    names, runs, pictures = models.names(), trainings.names(), models.names(*OF_ONE_PICTURE)
    # A run on one picture that ends while the page is open is chosen, to be played with.
    ended = state is not None and of_one and not alive and before != UNSEEN and state.run in pictures
    chosen: dict[str, Any] = {"value": state.run} if ended and state is not None else {}
    # A model that was made at once is what the visitor waits for.
    made = state is not None and state.instant and not (alive or of_one) and before != UNSEEN and state.run in names
    drawing: dict[str, Any] = {"value": state.run} if made and state is not None else {}
    return Watched(
        status=status,
        samples=None if of_one else samples,
        curves="" if state is None or of_one or state.instant else curves_html(trainings.runs / state.run, mark),
        stop=stop_button(state),
        note=note,
        picture_status=picture_status,
        picture_samples=samples if of_one else None,
        picture_stop=stop_button(state, one_picture=True),
        picture_note=note,
        models=gr.update(choices=names, **drawing) if names else gr.skip(),
        runs=gr.update(choices=runs, value=next(iter(runs), None)),
        picture_models=gr.update(choices=pictures, **chosen),
        mark=mark,
    )


@dataclass(frozen=True)
class TrainingPlace:
    """Where a tab shows the training that works, by field of `Watched`, and what begins or ends one there."""

    shown: dict[str, Any]
    triggers: list[Trigger]


def follow(trainings: Trainings, models: Models, shown: dict[str, Any], triggers: Sequence[Trigger]) -> None:
    """Follow the training that works: every few seconds, and after each trigger."""
    mark = gr.State(UNSEEN)

    def watch(before: str) -> Watched:
        return watched(trainings, models, before)

    action = Action(watch, [mark], {**shown, "mark": mark}, AT_ONCE)
    for trigger in (*triggers, gr.Timer(SECONDS_BETWEEN_LOOKS).tick):
        action.on(trigger, show_progress="hidden")
