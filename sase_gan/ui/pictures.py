"""Pictures for the browser, with their facts in the file, as galleries and films; and back from it, painted over."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

import gradio as gr
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sase_gan.class_names import written
from sase_gan.drawing.recipes import Recipe, draw_recipes
from sase_gan.errors import UsageError
from sase_gan.films import write_gif, write_mp4
from sase_gan.pixels import to_pillow
from sase_gan.recombination.model import Recombiner
from sase_gan.runs.instant import grid_pictures
from sase_gan.ui.models import OpenModel
from sase_gan.ui.uploads import PAINTING_PIXELS, temporary_folder

# Small pictures are enlarged for brushes and films; a player would blur them.
ENLARGED_SIDE = 384
NO_PAINTING = "The painting is not what the brush of this page gives; paint again."

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


@dataclass(frozen=True)
class Drawn:
    """A gallery of pictures, a sentence, and what is remembered of them; `seed` is the one that was used."""

    gallery: Gallery
    note: str
    sheet: Sheet | None = None
    seed: Any = field(default_factory=gr.skip)


def draw_sheet(
    opened: OpenModel, recipes: Sequence[Recipe], note: str, progress: Callable[[int, int], None], **more: Any
) -> Drawn:
    """Draw recipes as a gallery, with the sheet to be remembered; what the model's run drew already is taken over.

    Pictures are as files hold them, so that what is downloaded has its transparency.
    """
    opened.draws(*recipes)
    images = _drawn_already(opened, recipes)
    if images is None:
        images = draw_recipes(opened.network, recipes, progress=progress, ground="file")
    pairs = zip(images, recipes, strict=True)
    shown = [(picture(image, recipe.text(opened.digest)), short_name(recipe)) for image, recipe in pairs]
    return Drawn(shown, note, Sheet(opened.entry.name, tuple(recipes)), **more)


def short_name(recipe: Recipe) -> str:
    """A picture's name where there is little room: its classes, and of several steps the last alone.

    Example:
        >>> from sase_gan.drawing.recipes import Move
        >>> short_name(Recipe(17).moved(Move("~", 50, 3, 2)))
        '17~50.3.2'
        >>> short_name(Recipe(7, (Move("@", 60, 0, 3), Move("@", 60, 0, 8))))
        '…@60.0.8'
        >>> short_name(Recipe(7, (Move("@", 60, 0, 3), Move("@", 60, 0, 8)), classes=(("faces", 100),)))
        '…=faces@60.0.8'
        >>> short_name(Recipe(7, classes=(("faces", 30), ("fruits", 70))))
        '7=30/70'
    """
    start = str(recipe.seed) if recipe.inversion is None else "photo"
    steps = [move.file_part for move in recipe.moves]
    classes = written(recipe.classes)
    if len(recipe.classes) > 1:
        classes = f"={'/'.join(str(share) for _, share in recipe.classes)}"
    return f"{start if len(steps) < 2 else '…'}{classes}{''.join(steps[-1:])}"


def _drawn_already(opened: OpenModel, recipes: Sequence[Recipe]) -> Tensor | None:
    """Take the first pictures of an instant model from its run's grid: of one picture they cost seconds each."""
    network, run = opened.network, opened.entry.run
    first = [Recipe(seed) for seed in range(len(recipes))]
    if run is None or not isinstance(network, Recombiner) or list(recipes) != first:
        return None
    if network.config.colours != "rgb":  # the grid shows them, and is no file of theirs
        return None
    found = grid_pictures(run, opened.digest, network.size)
    return None if found is None or len(found) < len(first) else found[: len(first)]


def recipe_at(sheet: Sheet | None, place: int) -> tuple[Recipe, str]:
    """The recipe at a place of a sheet, and its model.

    Raises:
        UsageError: if nothing is there any more.
    """
    if sheet is None or not 0 <= place < len(sheet.recipes):
        raise UsageError("This picture is no longer there; draw again.")
    return sheet.recipes[place], sheet.model


# --- films -----------------------------------------------------------------------------------------------------------


FILM_SIDES = (128, 256, 384, 512, 768)
PREVIEW_SIDE = 256


@dataclass(frozen=True)
class Film:
    """A film (MP4) and the same as an animation (GIF), by their paths, and a sentence."""

    film: str
    animation: str
    note: str


def write_film(large: Tensor, small: Tensor, name: str, note: str, *, frames_per_second: int) -> Film:
    """Write frames uint8 [n, 3, H, W] where the browser may fetch them: large ones as a film, small ones as a GIF."""
    folder = scratch_folder(name)
    film, animation = folder / f"{name}.mp4", folder / f"{name}.gif"
    write_mp4(film, large, frames_per_second=frames_per_second)
    write_gif(animation, small, frames_per_second=frames_per_second)
    return Film(str(film), str(animation), note)


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
    region = shown_region(painting)
    if region is None:
        raise UsageError("Nothing is painted; paint over a part of the picture first.")
    return region


def shown_region(painting: dict[str, Any] | None) -> Tensor | None:
    """What the brush covered, as `painted_region`; None if nothing was painted.

    Raises:
        UsageError: if what came is no painting.
    """
    alphas = [layer[:, :, 3] / 255 for layer in _layers(painting)]
    return torch.from_numpy(np.max(alphas, 0)).float() if any(alpha.any() for alpha in alphas) else None


def strokes(painting: dict[str, Any] | None) -> Tensor:
    """What the brush laid over the picture, float `[4, H, W]` in [0, 1]: colours times cover, and the cover.

    Raises:
        UsageError: as `painted_region`.
    """
    laid = torch.zeros(4, *painted_region(painting).shape)
    for layer in _layers(painting):
        colour = torch.from_numpy(layer.copy()).permute(2, 0, 1).float() / 255
        colour[:3] *= colour[3]
        laid = colour + (1 - colour[3]) * laid
    return laid


def _layers(painting: dict[str, Any] | None) -> list[np.ndarray]:
    layers = (painting.get("layers") if isinstance(painting, dict) else None) or []
    if not all(_is_drawn(layer, 4) for layer in layers) or len({layer.shape for layer in layers}) > 1:
        raise UsageError(NO_PAINTING)
    return list(layers)


def painted(painting: dict[str, Any] | None) -> tuple[Tensor, Tensor]:
    """The picture with what was painted, uint8 `[3, H, W]`, and where, `[H, W]`.

    Raises:
        UsageError: as `painted_region`.
    """
    region = painted_region(painting)
    composite = (painting or {}).get("composite")
    if not _is_drawn(composite, 3, 4) or composite.shape[:2] != region.shape:
        raise UsageError(NO_PAINTING)
    return torch.from_numpy(composite[:, :, :3].copy()).permute(2, 0, 1), region


def _is_drawn(value: object, *channels: int) -> TypeGuard[np.ndarray]:
    return (
        isinstance(value, np.ndarray)
        and value.ndim == 3
        and value.shape[2] in channels
        and value.shape[0] * value.shape[1] <= PAINTING_PIXELS
    )
