"""What all tabs share: pictures for the browser, errors as sentences, checked numbers, the one device slot."""

from __future__ import annotations

import base64
import functools
import html
import io
import logging
import math
import os
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

import gradio as gr
from PIL import Image
from torch import Tensor

from sase_gan.drawing.sampling import MAX_SEED, NoiseMode
from sase_gan.errors import SaseGanError, UsageError
from sase_gan.pixels import to_pillow

logger = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")

_FOLDERS = re.compile(r"(?<![\w.])/(?:[^/\s'\"]+/)+")
NOISE_MODES: tuple[NoiseMode, ...] = ("random", "fixed", "off")

# Everything that computes with a network waits in one line: two at once would only slow each other down.
DEVICE: dict[str, Any] = {"concurrency_id": "device", "concurrency_limit": 1}


def sentences(handler: Callable[P, R]) -> Callable[P, R]:
    """A handler whose errors reach the visitor as one sentence; an unforeseen one is logged and told without detail."""

    @functools.wraps(handler)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return handler(*args, **kwargs)
        except gr.Error:
            raise
        except SaseGanError as error:
            raise gr.Error(_sentence(str(error)), title="That did not work", print_exception=False) from error
        except Exception as error:
            logger.exception("%s failed", handler.__name__)
            message = "Something went wrong in the studio; the details are in the window it was started from."
            raise gr.Error(message, title="An error of ours", print_exception=False) from error

    return guarded


def _sentence(text: str) -> str:
    """As prose, and as text: gradio shows messages as HTML, and names in them are other people's."""
    # Folders are nobody's business but the owner's, who finds them in the window the studio was started from.
    text = _FOLDERS.sub("", text)
    text = text[:1].upper() + text[1:]
    return html.escape(text if text.endswith((".", "!", "?")) else f"{text}.", quote=False)


def picture(image: Tensor, text: Mapping[str, str] | None = None) -> Image.Image:
    """uint8 [3, H, W] for the browser; `text` goes into the PNG that gradio writes."""
    shown = to_pillow(image)
    shown.info.update(text or {})
    return shown


def enlarged(image: Image.Image, least: int) -> Image.Image:
    """A picture enlarged by a whole factor with hard edges, until its longer side has at least so many pixels."""
    factor = max(1, math.ceil(least / max(image.size)))
    large = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    large.info.update(image.info)
    return large


def whole_number(value: object, low: int, high: int, what: str) -> int:
    """A number of the interface as an integer within limits.

    Raises:
        UsageError: for anything else; the interface's own limits do not hold for what comes over the network.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value != int(value):
        raise UsageError(f"{what} is {str(value)[:40]}; a whole number between {low} and {high} is required.")
    if not low <= value <= high:
        raise UsageError(f"{what} is {int(value)}; it must be between {low} and {high}.")
    return int(value)


def number(value: object, low: float, high: float, what: str) -> float:
    """A number of the interface within limits; errors as in `whole_number`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{what} is {str(value)[:40]}; a number between {low:g} and {high:g} is required.")
    if not low <= value <= high:
        raise UsageError(f"{what} is {value:g}; it must be between {low:g} and {high:g}.")
    return float(value)


def chosen(value: object, known: tuple[Any, ...], what: str) -> Any:
    """One of the known values.

    Raises:
        UsageError: for anything else.
    """
    if not isinstance(value, str | int) or value not in known:
        raise UsageError(f"{what} is {str(value)[:40]!r}; choose one of {', '.join(map(str, known))}.")
    return value


def switch(value: object, what: str) -> bool:
    """A choice between yes and no.

    Raises:
        UsageError: for anything else: the word "false" would count as yes.
    """
    if not isinstance(value, bool):
        raise UsageError(f"{what} is {str(value)[:40]!r}; true or false is required.")
    return value


def seed_number(value: object, *, randomise: object = False) -> int:
    """The seed that is used: the given one, or a random one of six digits, which is easily written down."""
    if switch(randomise, "The choice of a random seed"):
        return secrets.randbelow(1_000_000)
    return whole_number(value, 0, MAX_SEED, "The seed")


def escaped(text: object) -> str:
    """For HTML."""
    return html.escape(str(text))


def data_uri(image: Tensor) -> str:
    """uint8 [3, H, W] as a PNG within a page."""
    content = io.BytesIO()
    to_pillow(image).save(content, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def figures(items: Sequence[tuple[Tensor, str]], *, columns: int = 2) -> str:
    """Pictures with captions below them, as HTML; the first line of a caption stands out."""
    cells = []
    for image, caption in items:
        first, _, rest = caption.partition("\n")
        cells.append(
            f'<figure><img src="{data_uri(image)}" alt="{escaped(rest or first)}">'
            f"<figcaption><b>{escaped(first)}</b>{escaped(rest)}</figcaption></figure>"
        )
    return f'<div class="figures" style="--columns:{columns}">{"".join(cells)}</div>'


def open_choice(choice: Any) -> Any:
    """A dropdown whose list changes while the studio runs: the API is told of a name, not of today's list."""
    one = {"type": "string"}
    choice.api_info = lambda: {"type": "array", "items": one} if choice.multiselect else one
    return choice


def moved_by_hand(sliders: Sequence[Any], handler: Callable[..., Any], inputs: list[Any], outputs: list[Any]) -> None:
    """Draw again when a slider is moved, be it dragged, by arrow keys, or by a number that is typed.

    Gradio tells of a release for the pointer alone. While one drawing is made, only the newest position waits.
    """
    triggers = [trigger for slider in sliders for trigger in (slider.input, slider.release)]
    gr.on(triggers, handler, inputs, outputs, api_visibility="private", trigger_mode="always_last", **DEVICE)


def temporary_folder() -> str | None:
    """The server's own folder, from which gradio may serve and which is cleaned."""
    return os.environ.get("GRADIO_TEMP_DIR")


def reporter(progress: gr.Progress, words: str) -> Callable[[int, int], None]:
    """A callback (done, total) that moves the browser's progress bar."""

    def report(done: int, total: int) -> None:
        progress((done, total), desc=words)

    return report
