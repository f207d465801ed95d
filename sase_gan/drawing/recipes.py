"""How a picture of the studio came about, so that it can be drawn again: a seed, and small moves away from it.

Every picture has a name that can be typed: `17` is the picture of seed 17, `17~50.3.2` the third variation of it with
amount 0.50 and variation seed 3, and `17@60.0.12` place 12 on its map of neighbours with reach 0.60 in plane 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from sase_gan.drawing.explore import neighbours, variations
from sase_gan.drawing.sampling import MAX_SEED, Inputs, NoiseMode, draw_images, draw_inputs, parse_seeds
from sase_gan.errors import UsageError
from sase_gan.networks.generator import Generator

MAP_SIDE = 5
MOST_VARIATIONS = 64
MOST_MOVES = 32
_MOVE = re.compile(r"([~@])(\d{1,3})\.(\d{1,10})\.(\d{1,2})")
_NAME = re.compile(rf"(\d{{1,10}})((?:{_MOVE.pattern})*)")


@dataclass(frozen=True)
class Move:
    """A step from one picture to a similar one.

    Attributes:
        kind: "~", a variation; "@", a place on the map of neighbours.
        percent: amount or reach in hundredths of a radian.
        seed: of the variation or the plane.
        place: which of them.
    """

    kind: str
    percent: int
    seed: int
    place: int

    def __str__(self) -> str:
        return f"{self.kind}{self.percent}.{self.seed}.{self.place}"

    def apply(self, z: Tensor) -> Tensor:
        """The latent after the step."""
        if self.kind == "~":
            # All are drawn and one is taken, so that a variation does not depend on how many were asked for.
            return variations(z, MOST_VARIATIONS, amount=self.percent / 100, seed=self.seed)[self.place]
        return neighbours(z, side=MAP_SIDE, reach=self.percent / 100, seed=self.seed)[self.place]


@dataclass(frozen=True)
class Recipe:
    """All that a picture depends on beside the model."""

    seed: int
    moves: tuple[Move, ...] = ()
    truncation: float = 1.0
    noise: NoiseMode = "random"

    @property
    def name(self) -> str:
        """As it can be typed."""
        return f"{self.seed}{''.join(map(str, self.moves))}"

    def moved(self, move: Move) -> Recipe:
        """One step further."""
        if len(self.moves) >= MOST_MOVES:
            raise UsageError(f"This picture is {MOST_MOVES} steps away from its seed already; start again from a seed.")
        return replace(self, moves=(*self.moves, move))

    def latent(self, network: Generator) -> Tensor:
        """`[latent_size]`, before truncation."""
        z = draw_inputs(network, [self.seed], noise="off").z[0]
        for move in self.moves:
            z = move.apply(z)
        return z

    def inputs(self, network: Generator) -> Inputs:
        """Of a batch of one."""
        noise = draw_inputs(network, [self.seed], noise=self.noise).noise
        return Inputs(self.latent(network)[None] * self.truncation, noise)

    def text(self, digest: str) -> dict[str, str]:
        """For the text chunks of its PNG."""
        return {
            "snapshot": digest,
            "seed": str(self.seed),
            "picture": self.name,
            "truncation": f"{self.truncation:g}",
            "noise": self.noise,
            "software": "sase_gan studio",
        }


def parse_recipes(text: object, *, most: int, least: int = 1) -> list[Recipe]:
    """Pictures from a list of names such as `0, 4-6, 17~50.3.2`.

    Raises:
        UsageError: for anything else, or another number of pictures than allowed.
    """
    if not isinstance(text, str) or len(text) > 2000:
        raise UsageError("Write the pictures as a list of seeds, such as 0, 5, 12.")
    found: list[Recipe] = []
    for part in (part.strip() for part in text.split(",")):
        if not part:
            continue
        match = _NAME.fullmatch(part)
        if match and match[2]:
            moves = tuple(Move(m[1], int(m[2]), int(m[3]), int(m[4])) for m in _MOVE.finditer(match[2]))
            found.append(_checked(Recipe(int(match[1]), moves), part))
        else:
            first, _, last = part.partition("-")
            if last.isdecimal() and first.isdecimal() and int(last) - int(first) >= most:
                raise UsageError(f"{part} are too many pictures; at most {most} are possible here.")
            found += [Recipe(seed) for seed in parse_seeds(part)]
    if not least <= len(found) <= most:
        raise UsageError(f"{len(found)} pictures are named; between {least} and {most} are possible here.")
    return found


def _checked(recipe: Recipe, part: str) -> Recipe:
    places = {"~": MOST_VARIATIONS, "@": MAP_SIDE**2}
    limits = {"~": 160, "@": 300}
    for move in recipe.moves:
        if move.place >= places[move.kind] or move.percent > limits[move.kind] or move.seed > MAX_SEED:
            raise UsageError(f"{part} names a variation that does not exist.")
    if recipe.seed > MAX_SEED or len(recipe.moves) > MOST_MOVES:
        raise UsageError(f"{part} is no picture: seeds go up to {MAX_SEED}, and steps up to {MOST_MOVES}.")
    return recipe


def draw_recipes(
    network: Generator,
    recipes: Sequence[Recipe],
    *,
    batch_size: int = 8,
    progress: Callable[[int, int], Any] | None = None,
) -> Tensor:
    """The pictures, uint8 `[n, 3, S, S]`."""
    parts = []
    for start in range(0, len(recipes), batch_size):
        inputs = [recipe.inputs(network) for recipe in recipes[start : start + batch_size]]
        # A batch may mix pictures with and without noise only through a caller's mistake: one setting serves all.
        noises = [item.noise for item in inputs]
        noise = None if noises[0] is None else [torch.cat(maps) for maps in zip(*noises, strict=True)]
        parts.append(draw_images(network, Inputs(torch.cat([item.z for item in inputs]), noise)))
        if progress is not None:
            progress(min(start + batch_size, len(recipes)), len(recipes))
    return torch.cat(parts)
