"""What to expect of a network that learns from a set: what sets of about its size gave after about as many images.

Measured with the preset `cpu` at 64 px (docs/results/by_number.md has commands, dates and grids); a promise for other
pictures it is not, and sentences say on what it was measured.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Level:
    """A level of quality that a training was seen to reach: after so many images, and what its pictures looked like."""

    images: int
    kid: float
    look: str


@dataclass(frozen=True)
class Course:
    """A course of quality over one training: of what pictures, how many, and what recombining them alone gives."""

    what: str
    pictures: int
    instant_kid: float
    levels: tuple[Level, ...]


COURSES: tuple[Course, ...] = ()
"""One seed each; KID of 300 pictures, of 1,000 where a study measured."""


def expectation(pictures: int, images: int) -> str:
    """Tell in a sentence what so many images gave on the measured set that comes nearest in its number of pictures.

    Args:
        pictures: of the set.
        images: that the training will see, repeats counted.
    """
    course = min(COURSES, key=lambda one: abs(math.log(one.pictures / pictures)))
    reached = [level for level in course.levels if level.images <= 1.25 * images] or list(course.levels[:1])
    level = reached[-1]
    sentence = (
        f"what to expect: {level.look}, KID near {level.kid:.2g}, as {course.what} gave after {level.images:,} images; "
        f"recombining them alone gave {course.instant_kid:.2g} at once (--preset instant)"
    )
    best = min(course.levels, key=lambda one: one.kid)
    if best.images > 1.25 * images:
        return f"{sentence}; after {best.images:,} images it was {best.kid:.2g}: {best.look}"
    return sentence
