"""What a training foretells of its pictures: from the measured set of about that size, after about as many images."""

import pytest

from sase_gan.config import resolve
from sase_gan.runs.expectation import COURSES, WIDE_COURSES, Course, expectation
from sase_gan.training.config import LowShotConfig

PRESETS = {course.what: "cpu" for course in COURSES} | {course.what: "gpu" for course in WIDE_COURSES}
every_course = pytest.mark.parametrize("course", [*COURSES, *WIDE_COURSES], ids=lambda course: course.what)


def config(*settings: str, course: Course = COURSES[0]) -> LowShotConfig:
    return resolve(LowShotConfig, preset=f"low_shot/{PRESETS[course.what]}", settings=settings)


@every_course
def test_a_measured_set_is_told_its_own_course(course) -> None:
    for level in course.levels:
        told = expectation(config(course=course), course.pictures, level.images)
        assert told is not None
        best = min((one for one in course.levels if one.images <= level.images), key=lambda one: one.kid)
        assert told.startswith(
            f"what to expect: as {course.what} after {best.images:,} images, {best.look}, with KID near {best.kid:.2g}"
        )
        assert told.endswith(f"gave {course.instant_kid:.2g} at once")


@every_course
def test_levels_rise_and_what_comes_later_is_told(course) -> None:
    images = [level.images for level in course.levels]
    assert images == sorted(images)
    best = min(course.levels, key=lambda one: one.kid)
    first, last = (expectation(config(course=course), course.pictures, count) for count in (1, 10**6))
    if best is not course.levels[0]:
        assert f"and {best.kid:.2g} after {best.images:,} ({best.look})" in str(first)
    assert ", and" not in str(last).partition(";")[0].replace(best.look, "")


def test_nothing_is_foretold_of_what_was_not_measured() -> None:
    for setting in (
        "image_size=128",
        "generator.width=32",
        "likelihood.weight=0",
        "colours=grey",
        "optimiser.batch_size=4",
    ):
        assert expectation(config(setting), 100, 10_000) is None
