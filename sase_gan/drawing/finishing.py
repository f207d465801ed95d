"""Finishing what a pyramid drew out of patches of its training picture, as the model is set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sase_gan.drawing.patch_matching import PATCH, PatchPainter
from sase_gan.networks.pyramid import Pyramid
from sase_gan.pixels import to_float
from sase_gan.resizing import Padding


def draw_finished(pyramid: Pyramid, noise: Sequence[Tensor | None], **how: Any) -> Tensor:
    """Draw the finest pictures of `Pyramid.climb` and finish them; arguments as there, `carried` one picture for all.

    Each is climbed to by itself: which patch is nearest may turn on a float's last bit, and that on the batch.
    """
    count = next(len(part) for part in noise if part is not None)
    alone = [
        pyramid.climb([None if part is None else part[index : index + 1] for part in noise], **how).big
        for index in range(count)
    ]
    where = {key: value for key, value in how.items() if key in ("start", "sizes", "padding")}
    return finish(pyramid, torch.cat(alone), **where)


def finish(
    pyramid: Pyramid,
    drawn: Tensor,
    *,
    start: int = 0,
    sizes: Sequence[Sequence[int]] | None = None,
    padding: Padding | None = None,
) -> Tensor:
    """Draw pictures `[batch, 3, height, width]` again, at their last sizes, out of patches of the training picture.

    What a sample looks like at the last `finished_stages` sizes is replaced by the nearest patches
    (`drawing.patch_matching`). Short trainings place things well and blur them; this costs a tenth of a second a
    picture. Never at the coarsest size: a patch there is a quarter of the picture, and the result a copy.

    Args:
        start: the first stage that drew; sizes before it are left alone.
        sizes, padding: as given to `Pyramid.climb`.
    """
    trained_sizes = pyramid.config.sizes
    first = max(start, 1, pyramid.num_stages - pyramid.finished_stages)
    pairs = zip((sizes or trained_sizes)[first:], trained_sizes[first:], strict=True)
    levels = [(size, trained) for size, trained in pairs if min(size) >= PATCH]
    if not levels:
        return drawn
    example = to_float(pyramid.picture)[None].to(drawn.device)
    painter = PatchPainter(example, [trained for _, trained in levels], padding=padding or pyramid.config.padding)
    return painter.redraw(drawn, [(int(size[0]), int(size[1])) for size, _ in levels])
