"""A long training follows what others leave idle of the machine."""

import time
from collections.abc import Callable
from typing import Any

from lightning import Callback, LightningModule, Trainer

from sase_gan.hardware import follow_idle


class FollowIdle(Callback):
    """Set the number of CPU threads anew every so many seconds, between two steps.

    Args:
        seconds: between two looks at the machine.
        follow, clock: as `hardware.follow_idle` and `time.monotonic`.
    """

    def __init__(
        self,
        seconds: float = 15.0,
        *,
        follow: Callable[[], int] = follow_idle,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds, self._follow, self._clock = seconds, follow, clock

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Start the watch."""
        self._last = self._clock()

    def on_train_batch_end(self, trainer: Trainer, module: Any, *unused: Any) -> None:
        """Look when it is time."""
        if self._clock() - self._last >= self.seconds:
            self._last = self._clock()
            self._follow()
