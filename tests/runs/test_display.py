from types import SimpleNamespace

import pytest

from sase_gan.runs.callbacks import TrainingDisplay


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def shown(minutes: float | None) -> tuple[TrainingDisplay, Clock]:
    """A display of a run of 1,000 images that begins at none."""
    clock = Clock()
    plan = SimpleNamespace(config=SimpleNamespace(total_images=1000), position=None)
    display = TrainingDisplay(plan, lambda seen: seen / 1000, minutes, clock)
    display.on_train_start(SimpleNamespace(is_global_zero=False), SimpleNamespace(images_seen=0))
    return display, clock


@pytest.mark.parametrize(
    ("minutes", "share", "left"),
    [
        (None, 0.1, "9 min left"),
        (4.0, 0.25, "3 min left"),  # the minutes end it
        (60.0, 0.1, "9 min left"),  # the images end it
    ],
)
def test_the_bar_and_the_time_left_follow_what_ends_the_run_first(minutes, share, left):
    display, clock = shown(minutes)
    clock.seconds += 60
    assert display.share_done(100) == pytest.approx(share)
    assert display._time_left(100) == left


def test_the_bar_is_full_when_minutes_end_the_run():
    display, clock = shown(4.0)
    clock.seconds += 250
    assert display.share_done(100) == 1.0
    assert display._time_left(100) == "0 s left"


def test_before_the_first_step_nothing_is_foretold_without_minutes():
    assert shown(None)[0]._time_left(0) == ""
    assert shown(4.0)[0]._time_left(0) == "4 min left"
