"""What the attention of a recognition network looked at, laid exactly over the picture, and its weights, as HTML."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sase_gan.drawing.gates import mask_overlay
from sase_gan.pixels import to_float
from sase_gan.resizing import at_size
from sase_gan.ui.markup import escaped, figure, mixture_table, quiet
from sase_gan.ui.models import CLASSIFIER

MOST_SHOWN = 8
OVERLAY_SIDE = 160
_STAGES = re.compile(r"(?:layer(\d+)|(?:blocks|stages|layers|features)\.(\d+))\.(?:blocks\.)?(\d+)\.(.+)")
_WRAPPERS = ("network", "backbone", "body")


@dataclass(frozen=True)
class Framing:
    """The picture that a network works on.

    Attributes:
        image: uint8 `[3, H, W]`, what is seen of the visitor's picture.
        inside: (height, width) at which the network sees it.
        covered: (height, width) with the padding at the right and the bottom, or None if there is none.
    """

    image: Tensor
    inside: tuple[int, int]
    covered: tuple[int, int] | None = None


def framing(network: Any, kind: str, image: Tensor) -> Framing:
    """How a network sees a picture: a classifier its resized middle, a detector all of it, resized and padded."""
    if kind == CLASSIFIER:
        seen = network.prepare(image)
        return Framing(seen.expand(3, -1, -1), (seen.shape[1], seen.shape[2]))
    batch, _ = network.network.transform([to_float(image.to(next(network.parameters()).device))])
    height, width = batch.tensors.shape[2:]
    return Framing(image, batch.image_sizes[0], (height, width))


def laid_out(found: Tensor, frame: Framing, size: tuple[int, int]) -> Tensor:
    """A map at the size of the picture that it is shown over, without what lies on padding.

    A cell of the map is a square of whole pixels of what the network sees. Without padding the last cells reach over
    the edge where the size is no multiple of that square's side, which is a power of two in our networks.

    Args:
        found: `[h, w]`.
        frame: how the picture is seen.
        size: (height, width) of the result.

    Returns:
        `[height, width]`, the value of the cell at each pixel's middle.
    """
    indices = []
    for axis in (0, 1):
        cells, inside = found.shape[axis], frame.inside[axis]
        side = frame.covered[axis] / cells if frame.covered else 2 ** math.ceil(math.log2(max(1, inside / cells)))
        middles = (torch.arange(size[axis]) + 0.5) * (inside / size[axis])
        indices.append((middles / side).long().clamp_max(cells - 1))
    return found[indices[0]][:, indices[1]]


def layer_words(path: str) -> str:
    """A layer's place as a phrase, such as `Stage 2, block 1: conv2`; its path without wrappers where it has none."""
    short = ".".join(part for part in path.split(".") if part not in _WRAPPERS)
    match = _STAGES.fullmatch(short)
    if match is None:
        return short
    stage = int(match[1]) if match[1] else int(match[2]) + 1
    return f"Stage {stage}, block {int(match[3]) + 1}: {match[4]}"


def attention_html(maps: dict[str, Tensor], frame: Framing | None) -> str:
    """The maps of SASE convolutions over the picture, early layers first."""
    if not maps or frame is None:
        return quiet("This network has no SASE convolution.")
    height, width = frame.image.shape[1:]
    scale = OVERLAY_SIDE / max(height, width)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    small = at_size(frame.image, size)
    cells = []
    for path, found in list(maps.items())[:MOST_SHOWN]:
        shown = laid_out(found, frame, size)
        place, _, layer = layer_words(path).partition(": ")
        words = f"{escaped(layer)}<br>{_range(shown)}"
        cells.append(figure(mask_overlay(small, shown), place, words, alt=f"Attention of {place}"))
    return f'<div class="figures masks">{"".join(cells)}</div>{_left_out(len(maps) - MOST_SHOWN)}'


def _range(found: Tensor) -> str:
    low, high = found.min().item(), found.max().item()
    digits = 2 if high >= 0.1 else 3
    return f"{low:.{digits}f} to {high:.{digits}f}"


def weights_html(weights: dict[str, Tensor]) -> str:
    """A table of the mixture weights of attentive normalization, early layers first."""
    if not weights:
        return quiet("This network has no attentive normalization.")
    most = 2 * MOST_SHOWN
    rows = {layer_words(path): row.tolist() for path, row in list(weights.items())[:most]}
    return mixture_table("Layer", rows) + _left_out(len(weights) - most)


def _left_out(count: int) -> str:
    return quiet(f"{count} more are not shown.") if count > 0 else ""
