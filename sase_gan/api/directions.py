"""Directions of a model: shown, and kept under names, so that pictures can be moved along them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from sase_gan.api.models import HasFolder, find_snapshot, load
from sase_gan.drawing.directions import SUFFIX, Direction, direction_between, own_direction
from sase_gan.drawing.recipes import Recipe, draw_recipes, parse_names
from sase_gan.errors import UsageError
from sase_gan.networks.generator import Generator
from sase_gan.sheets import write_sheet
from sase_gan.snapshot import snapshot_digest

STEPS = 7


def show_directions(
    model: Path | str | HasFolder, names: list[str], out: Path, *, start: str = "0", reach: float = 3.0
) -> Tensor:
    """Write a sheet with a row for each direction: one picture, moved along it from `-reach` to `reach`.

    Args:
        names: of own directions such as `f0`, or of files.

    Returns:
        the pictures, uint8 `[directions * 7, 3, height, width]`.

    Raises:
        DataError: no such model or file.
        UsageError: no generator of a set of pictures, or not one start alone.
    """
    network, digest = _opened(model)
    recipes: list[Recipe] = []
    for name in names:
        for step in torch.linspace(-100 * reach, 100 * reach, STEPS).round().int().tolist():
            recipes += parse_names(f"{start}+{name}.{step}", files=True)
    for recipe in recipes:
        recipe.check_snapshot(digest)
    if len(recipes) != STEPS * len(names):
        raise UsageError(f"{start!r} names several pictures; directions are shown from one")
    images = draw_recipes(network, recipes)
    write_sheet(out, images, {"snapshot": digest}, columns=STEPS)
    return images


def save_directions(model: Path | str | HasFolder, chosen: Mapping[str, str], folder: Path) -> list[Path]:
    """Keep own directions of a model in files.

    Args:
        chosen: names to keep them under, to names such as `f0`.

    Raises:
        DataError: no such model; UsageError: no generator of a set of pictures, or an unknown direction.
    """
    network, digest = _opened(model)
    paths = []
    for name, own in chosen.items():
        if own[:1] not in ("f", "c") or not own[1:].isdecimal():
            raise UsageError(f"{own!r} is no direction; a model's own are f0, f1, ... and c0, c1, ...")
        paths.append(_place(folder, name))
        Direction(own_direction(network, own), digest, f"{own} of the model's own").save(paths[-1])
    return paths


def save_direction_between(
    model: Path | str | HasFolder, before: str, after: str, name: str, folder: Path
) -> tuple[Path, float]:
    """Keep the direction from some pictures of a model to others in a file.

    Args:
        before, after: names as `sample` takes them; what the second have and the first lack is what it leads to.

    Returns:
        the file, and how far it is from the mean of the first to that of the others.

    Raises:
        DataError: no such model; UsageError: no generator of a set of pictures, or the same pictures twice.
    """
    network, digest = _opened(model)
    latents = []
    for text in (before, after):
        recipes = parse_names(text, files=True)
        for recipe in recipes:
            recipe.check_snapshot(digest)
        latents.append(torch.stack([recipe.latent(network) for recipe in recipes]))
    vector, length = direction_between(*latents)
    path = _place(folder, name)
    Direction(vector, digest, f"from {before} to {after}").save(path)
    return path, length


def _place(folder: Path, name: str) -> Path:
    if not name or set(name) & set("+~@,/\\"):
        raise UsageError(f"{name!r} cannot be the name of a direction; leave out + ~ @ , and slashes")
    return folder / f"{name.removesuffix(SUFFIX)}{SUFFIX}"


def _opened(model: Path | str | HasFolder) -> tuple[Generator, str]:
    network = load(model, device="cpu")
    if not isinstance(network, Generator):
        raise UsageError(
            "this model was trained on one picture or not at all; only generators of a set have directions"
        )
    return network, snapshot_digest(find_snapshot(model))
