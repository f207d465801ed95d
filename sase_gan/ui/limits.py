"""What a studio's owner allows its visitors: how long a training may take, and how much all runs may hold.

It imports no gradio, as the server reads it before gradio may be imported.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sase_gan.errors import UsageError

LONGEST_MINUTES = 7 * 24 * 60


@dataclass(frozen=True)
class Limits:
    """Limits of what visitors start.

    Attributes:
        minutes: the longest time limit of a training.
        gigabytes: of all files below the folder of runs, beyond which nothing is started that writes there; None for
            as much as the disk takes. What is begun below it is carried to its end.
    """

    minutes: float = LONGEST_MINUTES
    gigabytes: float | None = None

    def check_minutes(self, minutes: float | None) -> None:
        """Refuse a time limit beyond that of the studio.

        Raises:
            UsageError: for such a limit.
        """
        if minutes is not None and minutes > self.minutes:
            raise UsageError(
                f"The time limit is {minutes:g} minutes; the owner of this studio allows {self.minutes:g}: give fewer, "
                "and go on with the run later."
            )

    def check_room(self, runs: Path) -> None:
        """Refuse to begin what writes into a folder that holds as much as it may.

        Raises:
            UsageError: if it does.
        """
        if self.gigabytes is None:
            return
        held = 0
        for path in runs.rglob("*"):
            with suppress(OSError):  # removed meanwhile
                held += path.lstat().st_size
        if held >= self.gigabytes * 1e9:
            raise UsageError(
                f"The runs of this studio take {held / 1e9:.1f} GB, and its owner allows {self.gigabytes:g}; ask for "
                "some to be removed."
            )
