"""Pictures moved along a model's own directions, as sliders do; each has a name like any other."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from sase_gan.drawing.directions import Direction
from sase_gan.drawing.latents import DIRECTION_METHODS, directions
from sase_gan.drawing.recipes import Along, Recipe
from sase_gan.networks.generator import Generator
from sase_gan.ui.checks import chosen, number
from sase_gan.ui.models import Opened

NUM_DIRECTIONS = 6
REACH = 5.0

_directions = lru_cache(maxsize=6)(directions)


def steered(opened: Opened[Generator], recipe: Recipe, method: object, values: Sequence[object]) -> Recipe:
    """Move a picture along the model's strongest directions, in whole hundredths; those at 0 leave no trace.

    Raises:
        UsageError: for an unknown method, a value beyond -5 to 5, or after too many steps.
    """
    how = chosen(method, DIRECTION_METHODS, "The method")
    steps = [number(value, -REACH, REACH, "A direction's slider") for value in values]
    opened.draws(recipe)
    # Found once for a model, and not once for each name as `own_direction` would.
    found = _directions(opened.network, how, NUM_DIRECTIONS)
    for index, (step, vector) in enumerate(zip(steps, found, strict=False)):
        if percent := round(100 * step):
            recipe = recipe.moved(Along(f"{how[0]}{index}", percent, Direction(vector)))
    return recipe
