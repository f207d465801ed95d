"""The steps of the free form: what a noisy picture is denoised to, at the coarsest level and at finer ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from sase_gan.recombination.control import FORBIDDEN
from sase_gan.recombination.free_control import FreeControl
from sase_gan.recombination.free_examples import ExampleLevel, enlarged
from sase_gan.recombination.free_planes import OPEN, Plane, Size

_EVEN_ROUNDS = 3
_BLOCK = 1 << 24
"""So many pairs of patches are compared at a time."""


def vote_weights(patch: int, deviation: float, like: Tensor) -> Tensor:
    """Weigh the pixels of a patch where patches overlap, `[patch * patch]`: the middle most."""
    reach = torch.arange(patch, device=like.device, dtype=like.dtype) - (patch - 1) / 2
    bell = torch.exp(-0.5 * (reach / deviation) ** 2)
    return (bell[:, None] * bell).flatten()


class CoarseStep:
    """The coarsest level compares every patch of the noisy picture with every patch of the training pictures.

    With a_j the log-prior of patch j that makes its use even, and (t, u) the shift down and across between the middles
    of both in shares of the sides,

        w_j(p) = softmax_j( a_j - |x(p) - y_j|^2 / (2 s^2) - (t / drift_down)^2 / 2 - (u / drift_across)^2 / 2 )

    and x0 is the average of the mixed patches where they overlap. Each step moves a_j by `rate` times the logarithm of
    how much less than its even share patch j is used: with a rate of 1 these are Sinkhorn's iterations, so that a
    drawn picture is, at every noise, close to a transport of the training pictures' patches.

    Args:
        size: of the pictures that are drawn, at this level.
        drift: down and across, in shares of height and width.
        limit: of a_j, either way.
        plane: in which the drawn pictures lie.
        control: at this level.
    """

    def __init__(
        self,
        level: ExampleLevel,
        size: Size,
        *,
        drift: tuple[float, float],
        rate: float,
        limit: float,
        vote: Tensor,
        plane: Plane = OPEN,
        control: FreeControl | None = None,
    ) -> None:
        self.level, self.size, self.rate, self.limit, self.vote = level, size, rate, limit, vote
        self.plane = plane
        self.patches = torch.cat([F.unfold(x[None], level.patch)[0].T for x in level.pictures])
        self.lengths = self.patches.square().sum(1)
        self.prior = _position_prior(level, size, drift, plane)
        if control is not None and control.binds:
            every = torch.arange(level.count, device=level.keys.device)
            self.prior = self.prior + control.costs(every.expand(len(self.prior), -1))
        self.even = torch.zeros_like(self.lengths)
        self.usable = int((self.prior > FORBIDDEN / 2).any(0).sum())

    def __call__(self, x: Tensor | None, sigma: float) -> tuple[Tensor, Tensor]:
        """Denoise `x` `[1, 3, *size]`, or nothing at all, which gives the mean; return the likeliest patches too."""
        weights = self.weights(x, sigma)
        return self.plane.fold((weights @ self.patches).T, self.size, self.vote), weights.argmax(1)

    def weights(self, x: Tensor | None, sigma: float) -> Tensor:
        """Weigh the patches of the training pictures for each place, `[places, patches]`."""
        logits = self.prior
        if x is not None:
            queries = F.unfold(self.plane.extended(x, self.level.patch), self.level.patch)[0].T
            distances = torch.addmm(self.lengths, queries, self.patches.T, alpha=-2)
            logits = logits - distances / (2 * sigma * sigma)
        for _ in range(_EVEN_ROUNDS if self.rate else 0):
            use = (logits + self.even).softmax(1).sum(0) * (self.usable / len(logits))
            self.even = self.even - self.rate * use.clamp(math.exp(-2), math.exp(2)).log()
            self.even = self.even.clamp(-self.limit, self.limit)
        return (logits + self.even).softmax(1)


def _position_prior(level: ExampleLevel, size: Size, drift: tuple[float, float], plane: Plane) -> Tensor:
    """Give the log-prior of patches at places by the shift between their middles, `[places, patches]`.

    In a mirrored plane a patch counts as near at both of the two places that are each other's images.
    """
    _, *there = level.split(torch.arange(level.count, device=level.keys.device))
    parts = []
    for axis, (deviation, places) in enumerate(zip(drift, plane.places(size, level.patch), strict=True)):
        here = torch.arange(places, device=level.keys.device)
        own, theirs = (here + level.patch / 2) / size[axis], (there[axis] + level.patch / 2) / level.size[axis]
        parts.append(-0.5 * (plane.shift(own, theirs) / deviation) ** 2)
    if plane.kind == "mirrored":
        parts[1] = torch.logaddexp(parts[1], parts[1].flip(0))
    return (parts[0][:, None] + parts[1]).flatten(0, 1)


def candidates(level: ExampleLevel, match: Tensor, relatives: Tensor | None, plane: Plane = OPEN) -> Tensor:
    """List where the matches of the nine neighbours lead, the relatives of those, and what lies around the own match.

    `[places, candidates]`; a patch may be listed several times.

    Args:
        match: `[rows, columns]`, a patch for each place.
        relatives: as of `find_relatives`.
        plane: in which the picture with this match lies.
    """
    down, right = (torch.arange(side, device=match.device) for side in match.shape)
    found = []
    for y, x in product((-1, 0, 1), repeat=2):
        above, left = plane.beside(down + y, match.shape[0]), plane.beside(right + x, match.shape[1])
        there = match[above][:, left].flatten()[:, None]
        if relatives is not None:
            there = torch.cat([there, relatives[there[:, 0]]], 1)
        picture, row, column = level.split(there)
        # The way back from the neighbour, which is shorter where it would lie beyond the rim.
        back_y, back_x = (-y, -x) if plane.round else (down - above, right - left)
        back_y, back_x = torch.as_tensor(back_y).view(-1, 1), torch.as_tensor(back_x)
        back_y, back_x = back_y.to(down).expand(match.shape), back_x.to(down).expand(match.shape)
        found.append(level.join(picture, row + back_y.reshape(-1, 1), column + back_x.reshape(-1, 1)))
    picture, row, column = level.split(match.flatten()[:, None])
    found += [level.join(picture, row + y, column + x) for y, x in product((-1, 0, 1), repeat=2) if y or x]
    return torch.cat(found, 1)


def fine_step(
    level: ExampleLevel,
    x: Tensor,
    match: Tensor,
    relatives: Tensor | None,
    vote: Tensor,
    *,
    plane: Plane = OPEN,
    control: FreeControl | None = None,
) -> tuple[Tensor, Tensor]:
    """Replace every patch of `x` `[1, 3, h, w]` by the nearest of its candidates; return these as the new match.

    A softmax over the nearest four, as at the coarsest level, was no better on Places50 and a tenth slower.
    """
    queries = level.describe(plane.extended(x, level.patch))[0].flatten(1).T
    index = candidates(level, match, relatives, plane)
    if control is not None and control.where is not None:
        index = torch.cat([index, _in_place(level, match.shape)], 1)
    distances = level.distances(index, queries)
    if control is not None and control.binds:
        distances = distances - control.costs(index)
    nearest = index.gather(1, distances.argmin(1, keepdim=True))[:, 0]
    return plane.fold(level.cut(nearest), (x.shape[2], x.shape[3]), vote), nearest.view(match.shape)


def _in_place(level: ExampleLevel, places: Sequence[int]) -> Tensor:
    """List for each place the patches of all training pictures at it, `[places, N]`: one of them may always serve."""
    row, column = (
        (torch.arange(count, device=level.keys.device) * ((side - 1) / max(1, count - 1))).round().long()
        for count, side in zip(places, (level.rows, level.columns), strict=True)
    )
    every = torch.arange(len(level.pictures), device=level.keys.device)
    return level.join(every, row[:, None, None], column[:, None]).flatten(0, 1)


def nearest_patches(
    level: ExampleLevel, x: Tensor, *, plane: Plane = OPEN, control: FreeControl | None = None
) -> Tensor:
    """Find the patch nearest to each of `x` `[1, 3, h, w]` by comparing all pairs: a match, `[rows, columns]`."""
    queries = level.describe(plane.extended(x, level.patch))[0]
    lengths, found = level.keys.square().sum(1), []
    for places in torch.arange(queries[0].numel(), device=x.device).split(max(1, _BLOCK // level.count)):
        distances = torch.addmm(lengths, queries.flatten(1).T[places], level.keys.T, alpha=-2)
        if control is not None and control.binds:
            part = control if control.where is None else control._replace(where=control.where[:, places])
            every = torch.arange(level.count, device=x.device).expand(len(places), -1)
            distances = distances - part.costs(every)
        found.append(distances.argmin(1))
    return torch.cat(found).view(queries.shape[1:])


def carry_match(before: ExampleLevel, match: Tensor, level: ExampleLevel, size: Size, plane: Plane = OPEN) -> Tensor:
    """Turn a match of the level before into a guess for this one: the same displacement, enlarged.

    Args:
        match: `[rows, columns]`, a patch of the level before for each place.
        size: of the drawn pictures at this level.
        plane: in which they lie.
    """
    reach = 0 if plane.round else before.patch - 1
    drawn_before = (match.shape[0] + reach, match.shape[1] + reach)
    here = [torch.arange(places, device=match.device) for places in plane.places(size, level.patch)]
    (near_row, near_column), (rest_row, rest_column) = before.nearest(here, level.patch, size, drawn_before, plane)
    picture, row, column = before.split(match[near_row][:, near_column])
    row = enlarged(row, 0, before, level, rest_row[:, None])
    return level.join(picture, row, enlarged(column, 1, before, level, rest_column))
