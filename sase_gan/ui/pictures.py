"""Pictures for the browser, with their facts in the file, as galleries and films; and back from it, painted over."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sase_gan.drawing.recipes import Recipe, draw_recipes
from sase_gan.errors import UsageError
from sase_gan.pixels import FRAMES_PER_SECOND, to_pillow, write_gif, write_mp4
from sase_gan.ui.models import OpenModel
from sase_gan.ui.uploads import PAINTING_PIXELS

# Small pictures are enlarged for brushes and films; a player would blur them.
ENLARGED_SIDE = 384

Gallery = list[tuple[Image.Image, str]]
"""Pictures with their captions, as gradio's gallery takes them."""


def picture(image: Tensor, text: Mapping[str, str] | None = None) -> Image.Image:
    """Make a picture for the browser of uint8 [3, H, W]; `text` goes into the PNG that gradio writes."""
    shown = to_pillow(image)
    shown.info.update(text or {})
    return shown


def gallery(images: Iterable[Tensor], names: Sequence[object], text: Mapping[str, str]) -> Gallery:
    """Make a gallery of pictures that all have the facts `text`, and each the seed that is its name."""
    pairs = zip(images, map(str, names), strict=True)
    return [(picture(image, {**text, "seed": name}), name) for image, name in pairs]


def enlarged(image: Image.Image, least: int) -> Image.Image:
    """Enlarge a picture by a whole factor with hard edges, until its longer side has at least so many pixels."""
    factor = max(1, math.ceil(least / max(image.size)))
    large = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    large.info.update(image.info)
    return large


# --- pictures by recipe ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sheet:
    """What a gallery shows; kept in the visitor's session, so that a click is known to mean a recipe."""

    model: str
    recipes: tuple[Recipe, ...]


def draw_sheet(
    opened: OpenModel, recipes: Sequence[Recipe], progress: Callable[[int, int], None]
) -> tuple[Gallery, Sheet]:
    """Draw recipes as a gallery, with the sheet to be remembered."""
    images = draw_recipes(opened.network, recipes, progress=progress)
    pairs = zip(images, recipes, strict=True)
    shown = [(picture(image, recipe.text(opened.digest)), recipe.name) for image, recipe in pairs]
    return shown, Sheet(opened.entry.name, tuple(recipes))


def recipe_at(sheet: Sheet | None, place: int) -> tuple[Recipe, str]:
    """The recipe at a place of a sheet, and its model.

    Raises:
        UsageError: if nothing is there any more.
    """
    if sheet is None or not 0 <= place < len(sheet.recipes):
        raise UsageError("This picture is no longer there; draw again.")
    return sheet.recipes[place], sheet.model


# --- films -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Film:
    """A film (MP4) and the same as an animation (GIF), by their paths, and a sentence."""

    film: str
    animation: str
    note: str


def write_film(
    frames: Tensor, name: str, note: str, *, most_large: int, frames_per_second: int = FRAMES_PER_SECOND
) -> Film:
    """Write frames uint8 [n, 3, H, W], enlarged, where the browser may fetch them.

    Args:
        most_large: Longer animations stay small: their files are large.
    """
    factor = max(1, ENLARGED_SIDE // max(frames.shape[2:]))
    large = frames.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    folder = scratch_folder(name)
    film, animation = folder / f"{name}.mp4", folder / f"{name}.gif"
    write_mp4(film, large, frames_per_second=frames_per_second)
    write_gif(animation, large if len(large) <= most_large else frames, frames_per_second=frames_per_second)
    return Film(str(film), str(animation), note)


def temporary_folder() -> str | None:
    """The server's own folder, from which gradio may serve and which is cleaned."""
    return os.environ.get("GRADIO_TEMP_DIR")


def scratch_folder(name: str) -> Path:
    """Make a new folder within the server's own."""
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=temporary_folder()))


# --- paintings -------------------------------------------------------------------------------------------------------


def canvas(background: Image.Image) -> dict[str, Any]:
    """A picture for the brush, nothing painted yet."""
    return {"background": background, "layers": [], "composite": None}


def painted_region(painting: dict[str, Any] | None) -> Tensor:
    """What the brush covered, float `[H, W]` in [0, 1].

    Raises:
        UsageError: if nothing was painted, or what came is no painting.
    """
    layers = painting.get("layers") if isinstance(painting, dict) else None
    found = None
    for layer in layers or []:
        if (
            not isinstance(layer, np.ndarray)
            or layer.ndim != 3
            or layer.shape[2] != 4
            or layer.size > 4 * PAINTING_PIXELS
        ):
            raise UsageError("The painting is not what the brush of this page gives; paint again.")
        alpha = torch.from_numpy(layer[:, :, 3].copy()).float() / 255
        found = alpha if found is None else torch.maximum(found, alpha)
    if found is None or found.max() == 0:
        raise UsageError("Nothing is painted; paint over a part of the picture first.")
    return found


def painted(painting: dict[str, Any] | None) -> tuple[Tensor, Tensor]:
    """The picture with what was painted, uint8 `[3, H, W]`, and where, `[H, W]`.

    Raises:
        UsageError: if nothing was painted, or what came is no painting.
    """
    composite = painting.get("composite") if isinstance(painting, dict) else None
    region = painted_region(painting)
    shape: tuple[int, ...] = getattr(composite, "shape", ())
    if len(shape) != 3 or shape[2] not in (3, 4) or shape[0] * shape[1] > PAINTING_PIXELS or shape[:2] != region.shape:
        raise UsageError("The painting is not what the brush of this page gives; paint again.")
    assert composite is not None
    return torch.from_numpy(composite[:, :, :3].copy()).permute(2, 0, 1), region
