"""What is said of training pictures and of a training: sentences, the bar, the curves, the button to stop."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr

from sase_gan.datasets.images import Survey
from sase_gan.runs.durations import readable_seconds
from sase_gan.runs.presets import ADVISED_IMAGES, FEWEST_IMAGES
from sase_gan.ui.markup import escaped, quiet
from sase_gan.ui.trainings import Job, TrainingState


def describe_survey(found: Survey) -> str:
    """Say what a set of pictures is like, and what to do about it, as Markdown."""
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
    if count < ADVISED_IMAGES:
        return f"These are very few: expect near copies. {ADVISED_IMAGES} or more are better."
    return "These are enough for a training."


def start_sentence(job: Job) -> str:
    """Say that a training was started."""
    return f"**{escaped(job.run)}** has started. You may close this page; the training goes on."


def status_sentence(state: TrainingState) -> str:
    """Say how far a training is."""
    name = state.run
    seen = f"{state.images_seen:,} of {state.total_images:,} images seen"
    saved = f"after {state.images_seen:,} images and saved; it can be gone on with"
    if state.images_seen == 0:
        saved = "before anything was saved; start it anew"
    running = f"{name} is being trained: {seen}."
    if 0 < state.total_images <= state.images_seen:
        running = f"{name} has seen all its images; what it draws is being measured, which takes a minute or two."
    words = {
        "preparing": f"{name} is being prepared: pictures are read, and the untrained networks measured.",
        "running": running,
        "stopping": f"{name} stops after this step and saves everything.",
        "finished": f"{name} is finished after {state.images_seen:,} images; it is in the list of models.",
        "stopped": f"{name} was stopped {saved}.",
        "failed": f"{name} failed: {state.message}",
    }
    return words[state.state]


def status_html(state: TrainingState | None, *, one_picture: bool = False) -> str:
    """Show a sentence, a bar and the time left; of a training of the other tab only that it works."""
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
        facts.append(f"about {readable_seconds(state.seconds_left)} left")
    if state.seconds:
        facts.append(f"{readable_seconds(state.seconds)} {'so far' if state.alive else 'of training'}")
    extra = f"<small>{' · '.join(facts)}</small>" if facts else ""
    share = 1.0 if state.state == "finished" else state.share
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
