"""When a run ends: at its goal, after so many minutes or CPU seconds, or because someone asked it to."""

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lightning import Callback, LightningModule, Trainer

from sase_gan.platforms import stop_signals
from sase_gan.runs.shared import any_of_all


class Stopping(Callback):
    """End the run at its goal, after so many minutes of training, or when another reason holds.

    All processes of a run agree, or one would wait for the others for ever. The module's CPU seconds are counted here:
    of its steps alone, without figures, checkpoints and the gathering of batches; and its share of the minutes, by
    which rates fall. Where several processes train together it stays 0: their clocks, and so their rates, would differ.
    """

    def __init__(
        self,
        total_images: int,
        minutes: float | None,
        *reasons: Callable[[], bool],
        cpu_seconds: float | None = None,
    ) -> None:
        self.total_images, self.minutes, self.reasons = total_images, minutes, reasons
        self.cpu_seconds = math.inf if cpu_seconds is None else cpu_seconds

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Start the watch."""
        self._start = time.monotonic()

    def on_train_batch_start(self, trainer: Trainer, module: Any, batch: Any, batch_idx: int) -> None:
        """Start the watch of the step."""
        self._step_start = time.process_time()
        module.time_share = self._share_of_minutes() if trainer.world_size == 1 else 0.0

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Stop when a reason holds in any process."""
        module.cpu_seconds += time.process_time() - self._step_start
        late = self._share_of_minutes() >= 1
        done = module.images_seen >= self.total_images or module.cpu_seconds >= self.cpu_seconds
        stop = done or late or any(reason() for reason in self.reasons)
        if any_of_all(trainer, stop):
            trainer.should_stop = True

    def _share_of_minutes(self) -> float:
        return 0.0 if self.minutes is None else (time.monotonic() - self._start) / (60 * self.minutes)


class StopNow(BaseException):
    """A second signal asked a run to stop at once; Lightning lets it pass, and no `KeyboardInterrupt`."""


@contextmanager
def signals_given_back() -> Iterator[None]:
    """Give back at the end of the block, after an error too, what was to happen at signals before it."""
    before = {number: signal.getsignal(number) for number in stop_signals()}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)


class StopOnSignal(Callback):
    """Notice the first Ctrl-C, polite kill or closed terminal: the run stops after the running step, all saved."""

    def __init__(self) -> None:
        self._received_at: float | None = None

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Listen in Lightning's place, whose own handling of a polite kill ends a run without saving."""
        if threading.current_thread() is threading.main_thread():  # the only one that may
            for number in stop_signals():
                signal.signal(number, self._note)

    def _note(self, number: int, frame: Any) -> None:
        now = time.monotonic()
        if self._received_at is not None:
            if now - self._received_at < 0.5:  # `timeout` sends its one signal to the process and to its group
                return
            raise StopNow  # the second one means now
        self._received_at = now
        print("\nstopping after this step; everything will be saved (once more to stop at once)", file=sys.stderr)

    def was_received(self) -> bool:
        """Tell whether a signal came: a reason to stop."""
        return self._received_at is not None
