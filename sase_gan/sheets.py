"""Sheets show several pictures side by side: laid out, marked as such, and cut apart again."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from sase_gan.errors import UsageError
from sase_gan.pixels import write_png

SHEET = {"sase_gan": "sheet"}
"""The text of a PNG that shows several pictures, or evidence: such a file is never taken for a picture of a set."""


def grid(images: Tensor, columns: int | None = None, padding: int = 2, background: int = 255) -> Tensor:
    """Lay uint8 [N, 3, H, W] out row by row as one picture uint8 [3, H', W'].

    H' = rows * (H + padding) + padding, and W' likewise: the padding surrounds the pictures too. Unfilled places have
    the background's grey level. Unlike torchvision's `make_grid` this frames a single picture too, and keeps the width
    of all columns where there are fewer pictures. Columns left out are about the square root of N.

    Raises:
        UsageError: another type or shape, or no picture.

    Example:
        >>> grid(torch.zeros(5, 3, 8, 8, dtype=torch.uint8), columns=3).shape
        torch.Size([3, 22, 32])
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3 or len(images) == 0:
        raise UsageError(
            f"a grid of {images.dtype} {tuple(images.shape)} was asked; uint8 [N >= 1, 3, H, W] is required"
        )
    count, _, height, width = images.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    step_y, step_x = height + padding, width + padding
    canvas = images.new_full((3, rows * step_y + padding, columns * step_x + padding), background)
    for index, image in enumerate(images):
        top, left = padding + index // columns * step_y, padding + index % columns * step_x
        canvas[:, top : top + height, left : left + width] = image
    return canvas


_LETTERS = 14  # px, of names beside rows


def named_rows(images: Tensor, names: Sequence[str], counts: Sequence[int], padding: int = 2) -> Tensor:
    """Lay uint8 [N, 3, H, W] out in rows, each with its name at its left, as one picture uint8 [3, H', W'].

    Args:
        counts: of the pictures in each row, of sum N.
    """
    columns, height = max(counts), images.shape[2]
    font = ImageFont.load_default(_LETTERS)
    left = 2 * padding + math.ceil(max(font.getlength(name) for name in names)) + 4
    sheets = []
    for name, row in zip(names, images.split(list(counts)), strict=True):
        label = Image.new("RGB", (left, height + 2 * padding), "white")
        ImageDraw.Draw(label).text((2 * padding, label.height // 2), name, fill="black", font=font, anchor="lm")
        head = torch.from_numpy(np.array(label)).permute(2, 0, 1)
        body = grid(row, columns=columns, padding=padding)
        sheets.append(torch.cat([head, body], 2)[:, : height + padding])
    rim = images.new_full((3, padding, sheets[0].shape[2]), 255)
    return torch.cat([*sheets, rim], 1)


def cut_grid(sheet: Tensor, size: tuple[int, int], count: int, padding: int = 2) -> Tensor:
    """Cut the pictures out of what `grid` laid out with its own number of columns: uint8 [count, 3, *size].

    Raises:
        UsageError: if so many pictures of that size, height and width, give another grid.

    Example:
        >>> images = torch.randint(256, (5, 3, 8, 6), dtype=torch.uint8)
        >>> torch.equal(cut_grid(grid(images), (8, 6), 5), images)
        True
    """
    step_y, step_x = size[0] + padding, size[1] + padding
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    if tuple(sheet.shape[1:]) != (rows * step_y + padding, columns * step_x + padding):
        raise UsageError(f"a grid is {tuple(sheet.shape[1:])} px; {count} pictures of {size} px give another")
    places = [(padding + index // columns * step_y, padding + index % columns * step_x) for index in range(count)]
    return torch.stack([sheet[:, top : top + size[0], left : left + size[1]] for top, left in places])


def write_sheet(
    path: Path | str, images: Tensor, text: Mapping[str, str] | None = None, *, columns: int | None = None
) -> None:
    """Write uint8 [N, 3, H, W] as one PNG, see `grid`, marked as a sheet: it is never taken for a picture of a set."""
    write_png(path, grid(images, columns=columns), {**SHEET, **(text or {})})
