"""Components that several tabs have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from sase_gan.datasets.sources import bundled_data
from sase_gan.drawing.sampling import MAX_SEED
from sase_gan.errors import DataError
from sase_gan.ui.checks import named_picture
from sase_gan.ui.events import at_once
from sase_gan.ui.fields import checked

BOTH_BUTTONS = ("download", "fullscreen")


def image_view(label: str, elem_id: str, *classes: str, buttons: Sequence[str] = BOTH_BUTTONS, **more: Any) -> gr.Image:
    """A picture to look at, kept without loss."""
    more |= {"elem_id": elem_id, "elem_classes": list(classes), "buttons": list(buttons)}
    return gr.Image(label=label, alt_text=label, format="png", interactive=False, **more)


def gallery_view(elem_id: str, *classes: str, buttons: Sequence[str] = BOTH_BUTTONS, **more: Any) -> gr.Gallery:
    """Pictures side by side, kept without loss, each with its name."""
    more |= {"elem_id": elem_id, "elem_classes": ["pictures", *classes], "buttons": list(buttons)}
    return gr.Gallery(show_label=False, height="auto", format="png", interactive=False, **more)


def editor(label: str, elem_id: str, brush: gr.Brush) -> gr.ImageEditor:
    """A picture to paint over: one brush, one eraser, and nothing to load from elsewhere."""
    tools: dict[str, Any] = {"brush": brush, "eraser": gr.Eraser(default_size=brush.default_size), "layers": False}
    closed: dict[str, Any] = {"sources": (), "transforms": (), "buttons": []}
    kept: dict[str, Any] = {"type": "numpy", "image_mode": "RGBA", "format": "png"}
    return gr.ImageEditor(label=label, height=460, elem_id=elem_id, **tools, **closed, **kept)


def film_view(elem_id: str, animation_id: str | None = None) -> dict[str, Any]:
    """A film that repeats and the file of the same as an animation, as outputs of a `Film`."""
    looks: dict[str, Any] = {"autoplay": True, "loop": True, "interactive": False, "buttons": ["download"]}
    film = gr.Video(label="Film", height=420, elem_id=elem_id, **looks)
    animation = gr.File(label="The same as an animated GIF", interactive=False, elem_id=animation_id)
    return {"film": film, "animation": animation}


def thin_slider(low: float, high: float, value: float, label: str, elem_id: str, **more: Any) -> gr.Slider:
    """One of several sliders below each other."""
    return gr.Slider(low, high, value, step=0.1, label=label, elem_id=elem_id, elem_classes="thin", **more)


def seed_field(value: int = 0, label: str = "Seed", **more: Any) -> gr.Number:
    """A seed to type."""
    return gr.Number(value, label=label, precision=0, minimum=0, maximum=MAX_SEED, **more)


def picture_field(value: str = "0", **more: Any) -> gr.Textbox:
    """A picture to name."""
    words = "A seed, or the name under any picture."
    made = gr.Textbox(value, label="Picture", info=words, max_length=200, lines=1, **more)
    return checked(made, named_picture)


def name_view(elem_id: str) -> gr.Textbox:
    """A picture's whole name, to be copied."""
    copied: dict[str, Any] = {"interactive": False, "buttons": ["copy"], "lines": 1, "max_lines": 4}
    words = "For any field that takes a picture, and for --seeds."
    return gr.Textbox("", label="Its name", info=words, elem_id=elem_id, **copied)


def minutes_field(value: float, most: float, **more: Any) -> gr.Number:
    """How long a training may take, of at most so many minutes."""
    return gr.Number(min(value, most), label="Minutes", minimum=0.1, maximum=most, **more)


def preset_list(words: Mapping[str, str], elem_id: str, value: str = "auto") -> gr.Dropdown:
    """The presets by name, each with words for it."""
    choices = [(shown, name) for name, shown in words.items()]
    return gr.Dropdown(choices, value=value, label="Preset", filterable=False, elem_id=elem_id)


def open_list(names: Sequence[str], label: str, elem_id: str, **more: Any) -> Any:
    """A list that changes while the studio runs, its first entry chosen; the API is told of names, not of today's."""
    made = gr.Dropdown(list(names), label=label, filterable=False, elem_id=elem_id, **more)
    one = {"type": "string"}
    made.api_info = lambda: {"type": "array", "items": one} if made.multiselect else one  # type: ignore[method-assign]
    return made


def has_bundled(name: str) -> bool:
    """Whether a bundled set is there; an installed package comes without its repository."""
    try:
        return bundled_data(name).is_dir()
    except DataError:
        return False


def source_choice(choices: Sequence[tuple[str, str]], label: str, elem_id: str, *, bundled: bool) -> gr.Radio:
    """A choice between the visitor's pictures, first, and bundled ones, chosen where they are there."""
    return gr.Radio(list(choices), value=choices[bundled][1], label=label, elem_id=elem_id)


def upload_view(elem_id: str, **more: Any) -> gr.Image:
    """A place for a visitor's picture, whose path is handed on."""
    return gr.Image(type="filepath", label="Upload a picture", sources=["upload"], buttons=[], elem_id=elem_id, **more)


def shown_for_uploads(source: gr.Radio, upload: Any) -> None:
    """Show the place for uploads while the source of pictures is "upload"."""
    at_once(source.change, lambda how: gr.update(visible=how == "upload"), [source], [upload])


def status_view(status: str, elem_id: str, note_id: str) -> tuple[gr.HTML, gr.Button, gr.Markdown]:
    """How far a training is, the button that stops it, and what was said when a button was pressed."""
    with gr.Row(equal_height=True, elem_classes="status-row"):
        bar = gr.HTML(status, elem_id=elem_id)
        stop = gr.Button("Stop and save", variant="stop", visible=False, min_width=160, scale=0)
    return bar, stop, gr.Markdown("", elem_id=note_id)
