"""Pictures to begin with: a whole folder of the visitor's, with its name, or bundled sets as thumbnails to click."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from sase_gan.datasets.sources import bundled_data, open_images
from sase_gan.formats import suffixes
from sase_gan.ui import widgets
from sase_gan.ui.events import at_once, clicked
from sase_gan.ui.uploads import MOST_PICTURES, suffix_of, within_temporary

UNNAMED = "my pictures"
LONGEST_NAME = 40
THUMBNAIL, SIDE = 9, 96
_STRANGE = re.compile(r"[^A-Za-z0-9_-]+")


def suggested_name(files: object, folder: object = "") -> str:
    """A run's name for an upload: that of its folder or zip, of its only picture, or what all names begin with.

    Example:
        >>> suggested_name(["x/IMG_001.jpg", "y/IMG_002.jpg"]), suggested_name(["x/a.png", "x/b.png"], "my cats")
        ('IMG', 'my cats')
    """
    stems = [Path(str(file)).stem for file in files] if isinstance(files, list | tuple) else []
    wished = folder if isinstance(folder, str) and folder else _beginning(stems)
    if len(stems) > 1 and not folder:
        wished = wished.rstrip("0123456789")
    found = _STRANGE.sub(" ", wished).strip(" -_")[:LONGEST_NAME].strip(" -_")
    return found if len(found) > 1 else UNNAMED


def _beginning(names: Sequence[str]) -> str:
    """What all names begin with."""
    first, last = (min(names), max(names)) if names else ("", "")
    same = [a == b for a, b in zip(first, last, strict=False)]
    return first[: same.index(False) if False in same else len(same)]


def renamed(source: str, files: Any, folder: str, name: str, before: str, sets: Mapping[str, str]) -> tuple[Any, str]:
    """The name that suits the pictures now, unless the visitor has typed another one; and what was suggested."""
    fitting = sets[source] if source in sets else suggested_name(files, folder)
    return (fitting if name in (before, "") else gr.skip()), fitting


def name_after(source: gr.Radio, files: gr.File, name: gr.Textbox, sets: Mapping[str, str]) -> None:
    """Name a run after its pictures, whenever others are chosen; the script knows the folder that they came from."""
    before, folder = gr.State(UNNAMED), gr.Textbox("", visible=False)
    js = "(source, files, folder, name, before) => [source, files, window.chosenFolder || '', name, before]"
    for trigger in (source.change, files.change):
        trigger(
            partial(renamed, sets=sets), [source, files, folder, name, before], [name, before], js=js,
            api_visibility="private", queue=False, show_progress="hidden",
        )  # fmt: skip


def folder_button(files: gr.File, elem_id: str) -> gr.UploadButton:
    """A button that uploads a whole folder into the place for files; what is no picture by its name stays out."""
    button = gr.UploadButton("Choose a folder", file_count="directory", size="sm", elem_id=elem_id)
    at_once(button.upload, pictures_among, [button], [files])
    return button


def pictures_among(paths: Sequence[str] | None) -> list[str]:
    """The pictures of an uploaded folder, by their names, no more than are allowed and one."""
    known = {*suffixes()}
    found = [str(within_temporary(path)) for path in paths or [] if suffix_of(str(path)) in known]
    return sorted(path for path in found if not Path(path).name.startswith("."))[: MOST_PICTURES + 1]


def thumbnails(sets: Mapping[str, str], elem_id: str, source: gr.Radio) -> None:
    """Bundled sets to begin with, a thumbnail each, of which a click chooses one."""
    there = [name for name, folder in sets.items() if widgets.has_bundled(folder)]
    shown = [_set(sets[name]) for name in there]
    pick_of(shown, elem_id, "No pictures at hand? Click a bundled set.", lambda place: there[place], source)


def _set(folder: str) -> tuple[Image.Image, str]:
    """Nine pictures of a bundled set as one, and what it is."""
    source = open_images(bundled_data(folder))
    sheet = Image.new("RGB", (3 * SIDE, 3 * SIDE), "white")
    step = max(1, len(source.names) // THUMBNAIL)
    for place in range(min(THUMBNAIL, len(source.names))):
        with source.open(place * step) as file, Image.open(file) as image:
            small = image.convert("RGBA").resize((SIDE, SIDE))
            sheet.paste(small, (place % 3 * SIDE, place // 3 * SIDE), small)
    return sheet, f"{folder.replace('-', ' ').capitalize()} ({len(source.names)})"


def single_thumbnails(known: Sequence[tuple[str, str]], elem_id: str, source: gr.Radio) -> None:
    """Bundled pictures to begin with, by words and name: a click on one chooses it."""
    pictures: list[tuple[Any, str]] = [(bundled_data("single") / f"{name}.png", words) for words, name in known]
    pick_of(pictures, elem_id, "No picture at hand? Click one of these.", lambda place: known[place][1], source)


def pick_of(
    pictures: Sequence[tuple[Any, str]], elem_id: str, words: str, value: Callable[[int], Any], field: Any
) -> Any:
    """Thumbnails under a sentence; returns the event of a click, which writes a value into a field.

    They are hidden where there are none.
    """
    gr.Markdown(words, visible=bool(pictures), elem_id=f"{elem_id}-words")
    # Not as paths: the server hands out no files that lie elsewhere.
    shown = [(_opened(picture) if isinstance(picture, Path) else picture, caption) for picture, caption in pictures]
    gallery = widgets.gallery_view(
        elem_id, "thumbnails", value=shown, visible=bool(pictures), columns=6, buttons=[], allow_preview=False
    )

    def pick(event: gr.SelectData) -> Any:
        return value(clicked(event))

    return at_once(gallery.select, pick, [], [field])


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")
