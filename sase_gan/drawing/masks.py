"""Masks and their soft edges, moved regions, main colours: what the applications of one-shot models need of pictures.

Radii and the shape of the soft edge: SinGAN, arXiv 1905.01164.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from sase_gan.errors import UsageError
from sase_gan.masks import INSIDE
from sase_gan.pixels import to_float, to_uint8

REFERENCE_SIDE = 250
"""The longer side at which radii in pixels are given; they grow with the picture."""
FEATHER = 5.0


def soft_mask(mask: Tensor, size: Sequence[int], *, dilate: float = 0.0, feather: float = FEATHER) -> Tensor:
    """Turn a mask into weights in [0, 1], `[1, *size]`: resized, dilated by a disk, blurred, stretched to 0 and 1.

    An empty mask stays 0 everywhere, a full one 1.

    Args:
        mask: nonzero inside; `[height, width]` or `[channels, height, width]`.
        dilate: radius of the disk; feather: standard deviation of the blur; in pixels at a longer side of 250.
    """
    weights = F.interpolate(_inside(mask)[None, None].float(), tuple(size), mode="nearest")[0]
    scale = max(size) / REFERENCE_SIDE
    if not 0 < weights.mean() < 1:
        return weights
    radius = round(dilate * scale)
    if radius > 0:
        reach = torch.arange(-radius, radius + 1)
        disk = (reach[:, None].square() + reach.square() <= radius**2).float()
        weights = (F.conv2d(weights[None], disk[None, None], padding=radius)[0] > 0.5).float()
    if feather > 0 and 0 < weights.mean() < 1:
        weights = _blurred(weights, feather * scale)
        weights = (weights - weights.min()) / (weights.max() - weights.min())
    return weights


def blend(base: Tensor, drawn: Tensor, weights: Tensor) -> Tensor:
    """Blend two pictures, `(1 - w) base + w drawn`, uint8; exact where w is 0 or 1."""
    return to_uint8((1 - weights) * to_float(base) + weights * to_float(drawn))


def main_colours(picture: Tensor, count: int) -> Tensor:
    """Find the main colours of a picture uint8 `[C, height, width]` by k-means without chance: uint8 `[count, C]`.

    Raises:
        UsageError: for fewer than 1 or more than 64 colours.
    """
    pixels = picture.flatten(1).T.float()
    if not 1 <= count <= 64:
        raise UsageError(f"colours is {count}; it must be between 1 and 64 (5 serves most paintings)")
    order = pixels.sum(1).argsort()
    centres = pixels[order[((torch.arange(count) + 0.5) / count * len(order)).long()]]
    for _ in range(20):
        nearest = torch.cdist(pixels, centres).argmin(1)
        for index in range(count):
            if (chosen := nearest == index).any():
                centres[index] = pixels[chosen].mean(0)
    return centres.round().to(torch.uint8)


def nearest_colours(picture: Tensor, colours: Tensor) -> Tensor:
    """Give every pixel of a picture uint8 `[C, height, width]` the nearest of the colours uint8 `[count, C]`.

    A painting that is opaque everywhere says nothing of transparency: it gets that of the colours that it shows.
    """
    told = 3 if len(picture) == 4 and bool((picture[3] == 255).all()) else len(picture)
    nearest = torch.cdist(picture[:told].flatten(1).T.float(), colours[:, :told].float()).argmin(1)
    return colours[nearest].T.reshape(picture.shape)


def move_region(image: Tensor, box: tuple[int, int, int, int], offset: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Copy a rectangle to another place, a rough edit for `edit`; return the mask `[height, width]` of the change too.

    Args:
        image: uint8 `[3, height, width]`.
        box: left, top, width, height in pixels.
        offset: right and down, in pixels; what leaves the picture is cut off.

    Raises:
        UsageError: if the rectangle or its new place lies outside the picture.
    """
    height, width = image.shape[1:]
    left, top, across, down = box
    if min(left, top) < 0 or min(across, down) < 1 or left + across > width or top + down > height:
        raise UsageError(f"box is {box}; left, top, width, height must lie within the picture's {width}x{height} px")
    right, below = left + offset[0], top + offset[1]
    columns, rows = _clip(right, across, width), _clip(below, down, height)
    if columns.start >= columns.stop or rows.start >= rows.stop:
        raise UsageError(f"offset is {offset}; it moves the box out of the picture's {width}x{height} px")
    edited, mask = image.clone(), torch.zeros(height, width, dtype=torch.bool)
    edited[:, rows, columns] = image.roll((offset[1], offset[0]), (1, 2))[:, rows, columns]
    mask[rows, columns] = True
    return edited, mask


def _inside(mask: Tensor) -> Tensor:
    """Tell what is inside, `[height, width]` bool; a picture is inside where a channel is bright."""
    if mask.ndim == 2:
        return mask != 0
    if mask.ndim == 3:
        return mask.amax(0) >= INSIDE if mask.dtype == torch.uint8 else mask.bool().any(0)
    raise UsageError(f"the mask has shape {tuple(mask.shape)}; [height, width] or [channels, height, width] is needed")


def _clip(start: int, length: int, limit: int) -> slice:
    return slice(max(0, start), min(limit, start + length))


def _blurred(weights: Tensor, sigma: float) -> Tensor:
    reach = max(1, round(3 * sigma))
    kernel = torch.exp(-torch.arange(-reach, reach + 1).float().square() / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    # Edges are continued: a mask that touches the border stays whole there.
    padded = F.pad(weights[None], (reach,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel[None, None, None]), kernel[None, None, :, None])[0]
