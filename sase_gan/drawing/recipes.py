"""How a picture came about, so that it can be drawn again: a seed, and small moves away from it.

Every picture has a name that can be typed, in the studio and on the command line alike: `17` is the picture of seed 17,
`17~50.3.2` the third variation of it with amount 0.50 and variation seed 3, and `17@60.0.12` place 12 on its map of
neighbours with reach 0.60 in plane 0. Of a model with classes `17=faces` is seed 17 as one of them,
`17=faces.30=fruits.70` lies between two, and `17` has a class of its own. A photograph that was brought into the model
begins with its file instead of a seed: `found/cat.recipe`, and `found/cat.recipe~50.3.2`. `17+f0.150` is 17, moved
along a direction of the model's own by 1.50, and `17+smile.direction.-80` along one that was kept in a file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sase_gan.allocator import freed_memory_kept
from sase_gan.class_names import Mixture, check_known, in_words, parse_mixture, written
from sase_gan.drawing.directions import SUFFIX as DIRECTION_SUFFIX
from sase_gan.drawing.directions import Direction, own_direction, read_direction
from sase_gan.drawing.inversions import SUFFIX, Inversion, read_inversion
from sase_gan.drawing.latents import neighbours, variations
from sase_gan.drawing.sampling import (
    MAX_SEED,
    Inputs,
    NoiseMode,
    check_truncation,
    draw_images,
    draw_inputs,
    gathered,
    joined,
    own_classes,
    parse_seeds,
    truncated,
)
from sase_gan.drawing.walks import walk_between
from sase_gan.errors import UsageError
from sase_gan.networks.conditioning import class_rows, class_rows_of, names_of
from sase_gan.networks.load import Network
from sase_gan.networks.pyramid import Pyramid
from sase_gan.progress import Count, batches

MAP_SIDE = 5
MOST_VARIATIONS = 64
MOST_MOVES = 32
_MOVE = re.compile(
    rf"([~@])(\d{{1,3}})\.(\d{{1,10}})\.(\d{{1,2}})|\+([fc]\d{{1,3}}|[^+~@,]+{re.escape(DIRECTION_SUFFIX)})\.(-?\d{{1,4}})"
)
_CLASSES = r"(?:=[^=~@+,]+)*"
AtHand = Mapping[str, Inversion]
NONE_AT_HAND: AtHand = {}
_NAME = re.compile(rf"(\d{{1,10}}|.+{re.escape(SUFFIX)})({_CLASSES})((?:{_MOVE.pattern})*)")
_RANGE = re.compile(r"(\d{1,10}-\d{1,10})((?:=[^=~@+,]+)+)")


@dataclass(frozen=True)
class Move:
    """A move steps from one picture to a similar one.

    Attributes:
        kind: "~", a variation; "@", a place on the map of neighbours.
        percent: amount or reach in hundredths of a radian.
    """

    kind: str
    percent: int
    seed: int
    place: int

    def __str__(self) -> str:
        return f"{self.kind}{self.percent}.{self.seed}.{self.place}"

    @property
    def file_part(self) -> str:
        """Return how it is written in the name of a file."""
        return str(self)

    def apply(self, z: Tensor, network: Network) -> Tensor:
        """Move a latent of a network by this step."""
        if self.kind == "~":
            # All are drawn and one is taken, so that a variation does not depend on how many were asked for.
            return variations(z, MOST_VARIATIONS, amount=self.percent / 100, seed=self.seed)[self.place]
        return neighbours(z, side=MAP_SIDE, reach=self.percent / 100, seed=self.seed)[self.place]


@dataclass(frozen=True)
class Along:
    """A move leads along a direction.

    Attributes:
        name: of the direction: one of the model's own, see `directions.own_direction`, or a file.
        percent: how far, in hundredths of a unit vector's length.
        direction: what the file holds.
    """

    name: str
    percent: int
    direction: Direction | None = None

    def __str__(self) -> str:
        return f"+{self.name}.{self.percent}"

    @property
    def file_part(self) -> str:
        """Return how it is written in the name of a file, where a path may not be."""
        return f"+{Path(self.name).name}.{self.percent}"

    def apply(self, z: Tensor, network: Network) -> Tensor:
        """Move a latent of a network along the direction.

        Raises:
            UsageError: a direction of another model.
        """
        vector = own_direction(network, self.name) if self.direction is None else self.direction.vector
        if vector.shape != z.shape:
            raise UsageError(
                f"{self.name} is a direction of {len(vector)} values, and latents have {len(z)} here: it belongs to "
                "another model"
            )
        return z + self.percent / 100 * vector


@dataclass(frozen=True)
class Recipe:
    """A recipe holds all that a picture depends on beside the model.

    Attributes:
        inversion: a photograph that was brought into the model, from which the recipe begins instead of from the seed.
        classes: with their shares in per cent; none: the seed's own, or the photograph's.
    """

    seed: int
    moves: tuple[Move | Along, ...] = ()
    truncation: float = 1.0
    noise: NoiseMode = "random"
    inversion: Inversion | None = None
    classes: Mixture = ()

    @property
    def start(self) -> str:
        """Return the name of what the moves begin from."""
        return str(self.seed) if self.inversion is None else self.inversion.name

    @property
    def name(self) -> str:
        """Return the name as it can be typed."""
        return f"{self.start}{written(self.classes)}{''.join(map(str, self.moves))}"

    def file_name(self) -> str:
        """Return the name of the picture's PNG, whose part behind "seed" `parse_names` reads again.

        That of a photograph begins with its own name instead.

        Raises:
            UsageError: after so many steps that no file may be called so.

        Example:
            >>> Recipe(17, (Move("~", 50, 3, 2),)).file_name()
            'seed000017~50.3.2.png'
        """
        start = f"seed{self.seed:06d}" if self.inversion is None else self.inversion.stem
        name = f"{start}{written(self.classes)}{''.join(move.file_part for move in self.moves)}.png"
        if len(name) > 255:  # bytes, on all usual file systems
            raise UsageError(
                f"picture {self.name} has {len(self.moves)} steps, and a file may not have so long a name; take fewer "
                "steps, or write the grid alone (--grid-only)"
            )
        return name

    def moved(self, move: Move | Along) -> Recipe:
        """Go one step further.

        Raises:
            UsageError: after too many steps.
        """
        if len(self.moves) >= MOST_MOVES:
            raise UsageError(f"This picture is {MOST_MOVES} steps away from its seed already; start again from a seed.")
        return replace(self, moves=(*self.moves, move))

    def seed_alone(self) -> int:
        """Return the seed, for models of one picture, whose pictures have no variations.

        Raises:
            UsageError: after any step.
        """
        if self.moves or self.inversion:
            what = "a variation" if self.moves else "a photograph in a recipe"
            raise UsageError(f"{self.name} names {what}, which models of one picture lack; name seeds alone")
        return self.seed

    def check_snapshot(self, digest: str | None) -> None:
        """Refuse another snapshot than that which photograph and directions were found in, as far as that is known.

        Raises:
            UsageError: for another one.
        """
        from_files = {} if self.inversion is None else {self.start: self.inversion.snapshot}
        from_files |= {
            move.name: move.direction.snapshot for move in self.moves if isinstance(move, Along) and move.direction
        }
        for name, found in from_files.items():
            if digest and found and digest != found:
                raise UsageError(
                    f"{name} was found in the snapshot {found[:12]}, and {digest[:12]} is to draw it, where it is "
                    "something else; find it anew in this model, with sase-gan invert or sase-gan directions"
                )

    def latent(self, network: Network) -> Tensor:
        """Return the latent before truncation, `[latent_size]`, or a map.

        Raises:
            UsageError: steps in a pyramid.
        """
        z = draw_inputs(network, [self.seed], noise="off").z[0] if self.inversion is None else self.inversion.z
        if isinstance(network, Pyramid):
            self.seed_alone()
        for move in self.moves:
            z = move.apply(z.flatten(), network).view_as(z)
        return z

    def class_weights(self, network: Network) -> Tensor | None:
        """Return the weights of the classes `[classes]`; None of a model without them, or of all its pictures.

        Raises:
            UsageError: a class that the model does not have.
        """
        names = names_of(network)
        mixture = self.classes or (() if self.inversion is None else self.inversion.classes)
        check_known(names, mixture)
        if mixture:
            return class_rows(names, mixture)
        own = own_classes(network, [self.seed])
        return None if own is None else own[0]

    def inputs(self, network: Network) -> Inputs:
        """Return what a batch of this picture alone is drawn from."""
        weights = self.class_weights(network)
        if self.inversion is not None:
            inputs = self.inversion.inputs(network, self.latent(network), self.noise)
        else:
            inputs = Inputs(self.latent(network)[None], draw_inputs(network, [self.seed], noise=self.noise).noise)
        inputs = inputs._replace(classes=None if weights is None else weights[None])
        return truncated(network, inputs, self.truncation)

    def text(self, digest: str) -> dict[str, str]:
        """Describe the picture for the text chunks of its PNG."""
        return {
            "snapshot": digest,
            "seed": self.start,
            "picture": self.name,
            "truncation": f"{self.truncation:g}",
            "noise": self.noise,
            "software": "sase_gan studio",
            **({"class": in_words(self.classes)} if self.classes else {}),
        }


def parse_names(text: str, *, files: bool = False, known: AtHand = NONE_AT_HAND) -> list[Recipe]:
    """Read a list of pictures such as `0,4-6,17~50.3.2`.

    Args:
        files: whether `found/cat.recipe` is read too; not where strangers type.
        known: photographs by such names that are at hand, and are not read from a file.

    Raises:
        DataError: a file of a recipe that is missing or damaged.
        UsageError: for anything else, naming the part that is not understood.

    Example:
        >>> [recipe.name for recipe in parse_names("4-5,17~50.3.2")]
        ['4', '5', '17~50.3.2']
    """
    found: list[Recipe] = []
    for part in (part.strip() for part in text.split(",")):
        match = _NAME.fullmatch(part)
        from_file = match is not None and (match[1] in known or (files and match[1].endswith(SUFFIX)))
        if match and (from_file or ((match[2] or match[3]) and match[1].isdecimal())):
            moves = tuple(_read_move(found, part, files=files) for found in _MOVE.finditer(match[3]))
            inversion = (known.get(match[1]) or read_inversion(match[1])) if from_file else None
            seed, classes = 0 if inversion else int(match[1]), parse_mixture(match[2]) if match[2] else ()
            found.append(_checked(Recipe(seed, moves, inversion=inversion, classes=classes), part))
        elif several := _RANGE.fullmatch(part):
            classes = parse_mixture(several[2])
            found += [Recipe(seed, classes=classes) for seed in parse_seeds(several[1])]
        elif "~" in part or "@" in part or "+" in part:
            raise UsageError(
                f"{part!r} is not understood; variations are written 17~50.3.2 (amount, seed, number), neighbours "
                "17@60.0.12 (reach, plane, place) and moves along a direction 17+f0.150 (direction, how far)"
            )
        else:
            found += [Recipe(seed) for seed in parse_seeds(part)]
    return found


def parse_recipes(text: object, *, most: int, least: int = 1, known: AtHand = NONE_AT_HAND) -> list[Recipe]:
    """Read the pictures that a visitor of the studio named, as `parse_names` does, but no more than are allowed.

    Raises:
        UsageError: for anything else, or another number of pictures than allowed.
    """
    if not isinstance(text, str) or len(text) > 2000:
        raise UsageError("Write the pictures as a list of seeds, such as 0, 5, 12.")
    found: list[Recipe] = []
    for part in filter(None, map(str.strip, text.split(","))):
        first, _, last = part.partition("-")
        if last.isdecimal() and first.isdecimal() and int(last) - int(first) >= most:
            raise UsageError(f"{part} are too many pictures; at most {most} are possible here.")
        found += parse_names(part, known=known)
    if not least <= len(found) <= most:
        raise UsageError(f"{len(found)} pictures are named; between {least} and {most} are possible here.")
    return found


def _read_move(match: re.Match[str], part: str, *, files: bool) -> Move | Along:
    if match[1]:
        return Move(match[1], int(match[2]), int(match[3]), int(match[4]))
    if not match[5].endswith(DIRECTION_SUFFIX):
        return Along(match[5], int(match[6]))
    if not files:
        raise UsageError(f"{part!r} is not understood here, where no files are read; directions are f0, c0 and so on")
    return Along(match[5], int(match[6]), read_direction(match[5]))


def _checked(recipe: Recipe, part: str) -> Recipe:
    limits = {"~": (MOST_VARIATIONS, 160), "@": (MAP_SIDE**2, 300)}
    for move in recipe.moves:
        if isinstance(move, Along):
            continue
        places, percent = limits[move.kind]
        if move.place >= places or move.percent > percent or move.seed > MAX_SEED:
            raise UsageError(f"{part} names a variation that does not exist.")
    if recipe.seed > MAX_SEED or len(recipe.moves) > MOST_MOVES:
        raise UsageError(f"{part} is no picture: seeds go up to {MAX_SEED}, and steps up to {MOST_MOVES}.")
    return recipe


@freed_memory_kept()
def draw_recipes(
    network: Network,
    recipes: Sequence[Recipe],
    *,
    batch_size: int = 8,
    progress: Count | None = None,
    **how: Any,
) -> Tensor:
    """Draw the pictures, uint8 `[n, 3, height, width]`.

    Args:
        how: sources, control, ground, finish, sixteen: as of `draw_images`.

    Raises:
        UsageError: a truncation outside 0 to 2, or a variation in a model of one picture.
    """
    for recipe in recipes:
        check_truncation(recipe.truncation)
    drawn = (
        draw_images(network, joined([recipe.inputs(network) for recipe in part]), **how)
        for part in batches(recipes, batch_size, progress)
    )
    return gathered(len(recipes), drawn)


def walk_recipes(
    network: Network, recipes: Sequence[Recipe], *, steps: int = 8, loop: bool = False, batch_size: int = 8
) -> Tensor:
    """Walk from picture to picture as `walks.latent_walk` does, with the first one's own noise throughout.

    With a photograph among them each brings its own noise, so that the walk comes to it.

    Raises:
        UsageError: as `stations_of`, or no step.
    """
    return walk_between(network, stations_of(network, recipes), steps=steps, loop=loop, batch_size=batch_size)


def stations_of(network: Network, recipes: Sequence[Recipe]) -> Inputs:
    """Return the stations of a walk from picture to picture, see `walk_recipes`; all with the first one's truncation.

    Raises:
        UsageError: fewer than two pictures, or a variation in a model of one picture.
    """
    if len(recipes) < 2:
        raise UsageError(f"a walk needs at least two seeds; got {len(recipes)}")
    truncation = recipes[0].truncation
    if any(recipe.inversion for recipe in recipes):
        return joined([replace(recipe, truncation=truncation).inputs(network) for recipe in recipes])
    latents = torch.stack([recipe.latent(network) for recipe in recipes])
    rows = class_rows_of([recipe.class_weights(network) for recipe in recipes])
    stations = Inputs(latents, draw_inputs(network, [recipes[0].seed]).noise, classes=rows)
    return truncated(network, stations, truncation)
