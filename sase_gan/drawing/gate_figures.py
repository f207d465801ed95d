"""How much the SASE gates of a generator do, in shares of pixels that a visitor sees change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from sase_gan.drawing.gates import GateEdit, draw_edited, view_layers
from sase_gan.drawing.sampling import draw_inputs
from sase_gan.errors import UsageError
from sase_gan.networks.generator import Generator

VISIBLE = 8
"""Levels by which one channel of a pixel must change to be seen."""

_LENDERS = 1_000
"""A picture borrows the styles of the seed that is so much larger."""


@dataclass(frozen=True)
class GateFigures:
    """The figures of a generator's gates are shares of pixels that change visibly, means over pictures.

    Attributes:
        closed: of each gate, for each of its masks, when that mask is closed.
        borrowed: of each gate, when all of its styles are another picture's.
        inside, outside: in a region and outside it, when all gates borrow their styles there.
    """

    closed: dict[str, tuple[float, ...]]
    borrowed: dict[str, float]
    inside: float
    outside: float

    def summary(self) -> dict[str, float]:
        """Return the three figures of tables: the strongest mask's, and both of the region."""
        strongest = max(share for shares in self.closed.values() for share in shares)
        return {"gates_closed": strongest, "gates_inside": self.inside, "gates_outside": self.outside}


def gates_table(figures: GateFigures) -> str:
    """Write the figures as Markdown: a row a gate, and a sentence on the region."""
    most = max(len(shares) for shares in figures.closed.values())
    heads = ["gate", *(f"mask {mask + 1} closed" for mask in range(most)), "all styles borrowed"]
    rows = [
        [name, *(f"{share:.1%}" for share in shares), *[""] * (most - len(shares)), f"{figures.borrowed[name]:.1%}"]
        for name, shares in figures.closed.items()
    ]
    lines = [f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows)]
    told = f"{figures.inside:.1%} of the pixels in the middle quarter change, and {figures.outside:.1%} outside it"
    return "\n".join([*lines, "", f"With styles borrowed in the middle quarter by all gates, {told}."])


def changed_share(before: Tensor, after: Tensor, where: Tensor | None = None) -> float:
    """Tell the share of pixels of which a channel changed by `VISIBLE` levels or more.

    Args:
        before, after: uint8 `[N, 3, H, W]`.
        where: bool `[H, W]`, the pixels that count; None for all.

    Example:
        >>> black = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
        >>> after = black.clone()
        >>> after[0, 1, 0, 0], after[0, 1, 1, 1] = 8, 7
        >>> changed_share(black, after)
        0.25
    """
    seen = ((before.int() - after.int()).abs() >= VISIBLE).any(1)
    return (seen if where is None else seen[:, where]).cpu().double().mean().item()


def middle(height: int, width: int) -> Tensor:
    """Mark the middle quarter of a picture, bool `[height, width]`: the region that figures borrow styles in."""
    region = torch.zeros(height, width, dtype=torch.bool)
    region[height // 4 : height - height // 4, width // 4 : width - width // 4] = True
    return region


def gate_figures(network: Generator, seeds: Sequence[int] = range(16)) -> GateFigures:
    """Measure the SASE gates of a generator on the pictures of some seeds.

    Raises:
        UsageError: for a generator without SASE gates.
    """
    gates = network.sase_gates()
    if not gates:
        raise UsageError("this generator has no SASE gates; train one with generator.skip=sase")
    region = middle(*network.config.picture_size)
    parts = [_of_picture(network, seed, region) for seed in seeds]
    return GateFigures(
        closed={
            name: tuple(fmean(part["closed"][name][mask] for part in parts) for mask in range(gate.groups))
            for name, gate in gates.items()
        },
        borrowed={name: fmean(part["borrowed"][name] for part in parts) for name in gates},
        inside=fmean(part["inside"] for part in parts),
        outside=fmean(part["outside"] for part in parts),
    )


def _of_picture(network: Generator, seed: int, region: Tensor) -> dict[str, Any]:
    inputs, gates = draw_inputs(network, [seed]), network.sase_gates()
    before = draw_edited(network, inputs, {})
    lent = view_layers(network, draw_inputs(network, [seed + _LENDERS])).styles

    def changed(edits: dict[str, GateEdit], where: Tensor | None = None) -> float:
        return changed_share(before, draw_edited(network, inputs, edits), where)

    def closed(name: str, mask: int) -> float:
        strengths = tuple(0.0 if k == mask else 1.0 for k in range(gates[name].groups))
        return changed({name: GateEdit(strengths=strengths)})

    def borrowing(name: str, where: Tensor | None) -> GateEdit:
        own = None if where is None else where.float()
        return GateEdit(styles=lent[name], borrowed=frozenset(range(gates[name].groups)), region=own)

    in_region = draw_edited(network, inputs, {name: borrowing(name, region) for name in gates})
    return {
        "closed": {name: [closed(name, mask) for mask in range(gate.groups)] for name, gate in gates.items()},
        "borrowed": {name: changed({name: borrowing(name, None)}) for name in gates},
        "inside": changed_share(before, in_region, region),
        "outside": changed_share(before, in_region, ~region),
    }
