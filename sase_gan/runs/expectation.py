"""What to expect of a network that learns from a set: what sets of about its size gave after about as many images.

Measured with the preset `gpu` at 256 px: docs/results/gpu.md. With the preset `cpu` at 64 px: docs/results/records.md,
layers.md and rates.md have the pandas, gates.md the faces, finishing.md what patches make of both, long_run.md sets of
20 and 500, with commands, dates and machine. A promise for other pictures it is not, and the sentence says on what it
was measured. Sets of more pictures were not measured: what comes nearest is told.
"""

import math
from dataclasses import dataclass

from sase_gan.training.config import LowShotConfig


@dataclass(frozen=True)
class Level:
    """A level of quality that a training was seen to reach: after so many images, and what its pictures looked like."""

    images: int
    kid: float
    look: str


@dataclass(frozen=True)
class Course:
    """A course of quality over one training: of what pictures, how many, and what else was measured of them.

    Attributes:
        instant_kid: of recombining them alone.
        finished_kid: of the network's pictures, finished with patches; None where they were not measured.
    """

    what: str
    pictures: int
    instant_kid: float
    finished_kid: float | None
    levels: tuple[Level, ...]


COURSES = (
    Course(
        "100 photographs of pandas",
        100,
        0.023,
        0.016,
        (
            Level(8_000, 0.070, "most whole, soft, of many kinds"),
            Level(16_000, 0.042, "most whole, of many kinds"),
        ),
    ),
    Course(
        "96 drawn faces",
        96,
        0.018,
        0.008,
        (
            Level(5_000, 0.23, "every third broken, of few kinds"),
            Level(10_000, 0.12, "most whole, of several kinds"),
            Level(15_000, 0.093, "four of five whole, of many kinds"),
            Level(30_000, 0.084, "four of five whole, of many kinds"),
        ),
    ),
    Course(
        "20 photographs of pandas",
        20,
        0.019,
        0.011,
        (
            Level(4_000, 0.12, "every third broken, soft"),
            Level(8_000, 0.099, "every fourth broken, soft"),
        ),
    ),
    Course(
        "500 small drawings of many kinds",
        500,
        0.149,
        0.094,
        (
            Level(4_000, 0.16, "blots of the right colours"),
            Level(8_000, 0.14, "blots of the right colours"),
        ),
    ),
)
"""One seed each; KID of 300 pictures, of 1,000 where a study measured."""

WIDE_COURSES = (
    Course(
        "100 photographs of pandas at 256 px",
        100,
        0.032,
        None,
        (
            Level(4_000, 0.071, "broken, of several kinds"),
            Level(9_800, 0.026, "two of three whole, of many kinds"),
        ),
    ),
)
"""Of the full network; one seed; KID of 100, then of 500 pictures."""


def expectation(config: LowShotConfig, pictures: int, images: int) -> str | None:
    """Tell what so many images gave on the measured set that comes nearest in its number of pictures.

    Args:
        pictures: of the set.
        images: that the training will see, repeats counted.

    Returns:
        One sentence; None for a network that is too unlike the measured one.
    """
    courses = _courses_of(config)
    if not courses:
        return None
    course = min(courses, key=lambda one: abs(math.log(one.pictures / pictures)))
    reached = [level for level in course.levels if level.images <= 1.25 * images] or [course.levels[0]]
    best = min(course.levels, key=lambda one: one.kid)
    level = min(reached, key=lambda one: one.kid)
    later = "" if level is best else f", and {best.kid:.2g} after {best.images:,} ({best.look})"
    finished = ""
    if config.finish.enabled and course.finished_kid is not None:
        finished = f"; finished with patches, as at the end, {course.finished_kid:.2g}"
    return (
        f"what to expect: as {course.what} after {level.images:,} images, {level.look}, with KID near {level.kid:.2g}"
        f"{later}{finished}; recombining them alone, --preset instant, gave {course.instant_kid:.2g} at once"
    )


def _courses_of(config: LowShotConfig) -> tuple[Course, ...]:
    """Return what was measured of a network like this one."""
    if config.likelihood.weight <= 0 or config.start.path is not None or config.generator.classes:
        return ()
    section = config.optimiser
    measured = {((64, 64), 16, 5e-4): COURSES, ((256, 256), 64, 2e-4): WIDE_COURSES}
    own = config.picture_size, config.generator.width, section.generator_rate
    return measured.get(own, ()) if (config.colours, section.batch_size) == ("rgb", 8) else ()
