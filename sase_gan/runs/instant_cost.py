"""Cost of a model without training: CPU seconds to make it and to draw a picture, and peak memory."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sase_gan.datasets.images import fitted, load_image_set
from sase_gan.drawing.sampling import sample_images
from sase_gan.hardware import Hardware, peak_memory_mb
from sase_gan.pixels import to_float, to_uint8
from sase_gan.resizing import resize
from sase_gan.runs.instant import build
from sase_gan.seeds import generator
from sase_gan.training.instant_config import RecombinationSection


@dataclass(frozen=True)
class InstantRequest:
    """A request names the pictures, how many of them serve, and their side in pixels: the longer one of one picture."""

    pictures: Path
    count: int
    side: int


@dataclass(frozen=True)
class InstantCost:
    """The cost of a model without training, in CPU seconds of all threads; memory includes that of the pictures."""

    form: str
    seconds_to_make: float
    seconds_a_picture: float
    peak_memory_mb: float


def measure_instant(request: InstantRequest, hardware: Hardware, *, drawn: int = 8) -> InstantCost:
    """Make a model and draw with it, in groups of four; mirror images serve where the pictures are aligned.

    Call it in a process of its own: peak memory is a process's.

    Args:
        drawn: pictures that are drawn and timed.

    Raises:
        DataError: for pictures that cannot be read or recombined.
    """
    pictures = _pictures(request)
    names = tuple(str(index) for index in range(request.count))
    form = "free" if request.count == 1 else "aligned"
    start = time.process_time()
    made = build(RecombinationSection(form=form), pictures, names, hardware, mirror=request.count > 1)
    network = made.network
    assert network.engine  # which is made at its first use
    ready = time.process_time()
    sample_images(network, range(drawn), batch_size=4)
    end = time.process_time()
    return InstantCost(form, ready - start, (end - ready) / drawn, peak_memory_mb(hardware.device))


def _pictures(request: InstantRequest) -> Tensor:
    """Read the pictures of a request: squares of a set, or the first picture in its proportions."""
    if request.count > 1:
        squares = load_image_set(request.pictures, image_size=request.side, max_images=request.count)
        return enough(squares.images, request.count)
    picture = load_image_set(request.pictures, image_size=None, max_images=1)
    height, width = picture.images.shape[2:]
    scale = request.side / max(height, width)
    return fitted(picture, (round(scale * height), round(scale * width))).images


def enough(pictures: Tensor, count: int) -> Tensor:
    """Return `count` pictures of uint8 `[N, 3, side, side]`: those given, and crops of them, 60 to 95 % of the side.

    Example:
        >>> enough(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), 5).shape
        torch.Size([5, 3, 32, 32])
    """
    source, side = generator(0, "crops"), pictures.shape[-1]
    more = []
    for index in range(len(pictures), count):
        share, down, right = torch.rand(3, generator=source).tolist()
        cut = round(side * (0.6 + 0.35 * share))
        top, left = round(down * (side - cut)), round(right * (side - cut))
        part = pictures[index % len(pictures), :, top : top + cut, left : left + cut]
        more.append(to_uint8(resize(to_float(part[None]), (side, side))))
    return torch.cat([pictures[:count], *more])
