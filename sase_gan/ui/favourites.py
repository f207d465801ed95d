"""Pictures that a visitor keeps while the page is open: side by side, and as files with what they are drawn from."""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from sase_gan.drawing.recipes import Recipe
from sase_gan.errors import UsageError
from sase_gan.markdown import escaped
from sase_gan.ui import widgets
from sase_gan.ui.carrying import check_picked
from sase_gan.ui.checks import sentences
from sase_gan.ui.events import AT_ONCE, READING, Action, at_once
from sase_gan.ui.pictures import Gallery, Sheet, enlarged, scratch_folder, short_name

MOST_KEPT = 64
CELL, GAP, LABEL = 128, 8, 34
NOTHING = "Keep a picture from its close-up, and it stands here while the page is open."


@dataclass(frozen=True)
class Favourite:
    """A kept picture: its PNG, with the facts in it, and what it is drawn from."""

    model: str
    recipe: Recipe
    png: bytes

    @property
    def image(self) -> Image.Image:
        """The picture."""
        return Image.open(io.BytesIO(self.png))

    def facts(self, file: str) -> dict[str, Any]:
        """What it takes to draw the picture again."""
        recipe = self.recipe
        snapshot = self.image.info.get("snapshot", "")
        settings = {"picture": recipe.name, "truncation": recipe.truncation, "noise": recipe.noise}
        return {"file": file, "model": self.model, "snapshot": snapshot, **settings}


Favourites = tuple[Favourite, ...]


@dataclass(frozen=True)
class Shown:
    """The kept pictures, and the page's parts that show them."""

    kept: Favourites
    gallery: Gallery
    note: str
    files: Any


def _shown(kept: Favourites, note: str = "") -> Shown:
    pictures = [(favourite.image, short_name(favourite.recipe)) for favourite in kept]
    return Shown(kept, pictures, note or NOTHING, gr.update(value=None, visible=False))


@sentences
def keep(kept: Favourites, picked: Recipe | None, model: str, image: Image.Image | None) -> Shown:
    """Keep the chosen picture, or leave it out again if it is kept.

    Raises:
        UsageError: if none is chosen, or no more can be kept.
    """
    recipe = check_picked(picked)
    assert image is not None, "a chosen picture was drawn"
    others = tuple(each for each in kept if (each.model, each.recipe) != (model, recipe))
    name = escaped(recipe.name)
    if len(others) < len(kept):
        return _shown(others, f"Picture {name} is left out; {len(others)} are kept." if others else "")
    if len(kept) >= MOST_KEPT:
        raise UsageError(f"{MOST_KEPT} pictures are kept, and no more can be; take the files and leave some out.")
    added = (*kept, Favourite(model, recipe, _png(image)))
    return _shown(added, f"**{len(added)} kept**, picture {name} last. A click looks at one closely.")


@sentences
def favourite_at(kept: Favourites, place: int) -> tuple[Sheet, int]:
    """The picture at a place, as a sheet of its own and the place there.

    Raises:
        UsageError: if there is none.
    """
    if not 0 <= place < len(kept):
        raise UsageError("This picture is no longer kept.")
    return Sheet(kept[place].model, (kept[place].recipe,)), 0


def none_kept() -> Shown:
    """Leave all out."""
    return _shown(())


@sentences
def as_files(kept: Favourites) -> Shown:
    """Write a contact sheet, and a zip of the pictures with recipes.json, where the browser may fetch them.

    Raises:
        UsageError: if nothing is kept.
    """
    if not kept:
        raise UsageError("Nothing is kept yet; keep a picture from its close-up first.")
    folder = scratch_folder("favourites")
    sheet, archive = folder / "contact-sheet.png", folder / "favourites.zip"
    contact_sheet(kept).save(sheet)
    with zipfile.ZipFile(archive, "w") as file:
        names = [f"{number:02d}-{favourite.recipe.file_name()}" for number, favourite in enumerate(kept, start=1)]
        for name, favourite in zip(names, kept, strict=True):
            file.writestr(name, favourite.png)
        facts = [favourite.facts(name) for name, favourite in zip(names, kept, strict=True)]
        file.writestr("recipes.json", json.dumps(facts, indent=2))
    words = "The contact sheet and the zip are below. A picture of recipes.json is drawn again by "
    shown = _shown(kept, f"{words}`sase-gan sample MODEL --seeds PICTURE --truncation T --noise NOISE`.")
    return replace(shown, files=gr.update(value=[str(sheet), str(archive)], visible=True))


def contact_sheet(kept: Sequence[Favourite]) -> Image.Image:
    """Lay pictures out in about a square, each within 128 x 128 pixels or as large as it is, with name and model."""
    images = [enlarged(on_white(favourite.image), CELL) for favourite in kept]
    width, height = max(image.width for image in images), max(image.height for image in images)
    columns = math.ceil(math.sqrt(len(kept)))
    rows = math.ceil(len(kept) / columns)
    canvas = Image.new("RGB", (columns * (width + GAP) + GAP, rows * (height + LABEL) + GAP), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(12)
    letters = max(8, width // 7)
    for place, (image, favourite) in enumerate(zip(images, kept, strict=True)):
        x, y = GAP + place % columns * (width + GAP), GAP + place // columns * (height + LABEL)
        canvas.paste(image, (x, y))
        for line, words in enumerate((favourite.recipe.name, favourite.model)):
            pen.text((x, y + height + 14 * line), words[:letters], fill="#444", font=font)
    return canvas


def on_white(image: Image.Image) -> Image.Image:
    """A picture in colours, on white where it is transparent."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    ground = Image.new("RGBA", image.size, "white")
    ground.alpha_composite(image)
    return ground.convert("RGB")


def _png(image: Image.Image) -> bytes:
    facts = PngInfo()
    for name, value in image.info.items():
        if isinstance(name, str) and isinstance(value, str):
            facts.add_text(name, value)
    content = io.BytesIO()
    image.save(content, format="PNG", pnginfo=facts)
    return content.getvalue()


def build(
    button: gr.Button, picked: gr.State, model: gr.State, image: gr.State
) -> tuple[gr.Gallery, gr.State, tuple[Any, ...]]:
    """Lay out the kept pictures, and connect the button that keeps the chosen one.

    Returns:
        Their gallery, what is kept, and all components that show it, which outlive a change of the model.
    """
    kept = gr.State(())
    with gr.Accordion("Favourites", open=False, elem_id="favourites") as box:
        note = gr.Markdown(NOTHING, elem_id="favourites-note")
        gallery = widgets.gallery_view("kept", "held", columns=9, object_fit="contain", allow_preview=False)
        with gr.Row():
            write = gr.Button("Contact sheet and zip", size="md", min_width=160)
            clear = gr.Button("Leave all out", size="md", min_width=120)
        files = gr.File(label="Files", interactive=False, visible=False, elem_id="favourites-files")
    shown = {"kept": kept, "gallery": gallery, "note": note, "files": files}
    added = Action(keep, [kept, picked, model, image], shown, AT_ONCE).on(button.click)
    at_once(added.then, lambda: gr.update(open=True), [], [box])
    Action(as_files, [kept], shown, READING).on(write.click)
    Action(none_kept, [], shown, AT_ONCE).on(clear.click)
    return gallery, kept, tuple(shown.values())
