"""Where something drawn meets what was kept of a picture: the drawn part takes over the kept part's tone."""

from __future__ import annotations

import torch
from torch import Tensor

STEPS = ((-1, 0), (1, 0), (0, -1), (0, 1))
"""Up, down, left and right, in rows and columns."""
_TONE = 0.3
"""A step across the border of about so much, in [-1, 1], is a difference of light; one of far more is another thing."""
_MOST_POINTS = 512


def toned(drawn: Tensor, beyond: Tensor, picture: Tensor, keep: Tensor) -> Tensor:
    """Lay the step at the border, as a slow change of tone, over all that was drawn.

    As in mean-value cloning (Farbman and others, "Coordinates for instant image cloning", 2009) the correction of a
    pixel is the average of the steps along the border, weighed by one over the squared distance. Deviation: a step
    counts the less the larger it is, or an eye that is cut off would cast a shadow.

    Args:
        drawn: float `[3, height, width]`, with `picture` where it is kept.
        beyond: float `[4, 3, height, width]`: what the source of each pixel shows one of `STEPS` further.
        picture: float `[3, height, width]`; keep: float `[height, width]`, above 0 where any of it is kept.
    """
    inside = keep <= 0
    points, steps = [], []
    for (down, right), shown in zip(STEPS, beyond, strict=True):
        there = _moved(keep >= 1, down, right)
        border = inside & there
        points.append(border.nonzero())
        steps.append((_moved(picture, down, right) - shown)[:, border].T)
    place, step = torch.cat(points).float(), torch.cat(steps)
    if len(place) == 0:
        return drawn
    every = -(-len(place) // _MOST_POINTS)
    place, step = place[::every], step[::every]
    trust = torch.exp(-step.square().mean(1) / (2 * _TONE**2))
    where = inside.nonzero()
    corrections = []
    for some in where.split(4096):
        weights = trust / torch.cdist(some.float(), place).square().clamp_min(0.25)
        # A little weight for no change at all, at the size of the picture: where nothing near can be trusted.
        corrections.append(weights @ step / (weights.sum(1, keepdim=True) + 1e-2))
    result = drawn.clone()
    result[:, inside] += torch.cat(corrections).T
    return result


def _moved(values: Tensor, down: int, right: int) -> Tensor:
    """Show at every place what lies one step down and right of it; at the rim itself."""
    rows = (torch.arange(values.shape[-2], device=values.device) + down).clamp(0, values.shape[-2] - 1)
    columns = (torch.arange(values.shape[-1], device=values.device) + right).clamp(0, values.shape[-1] - 1)
    return values[..., rows[:, None], columns]
