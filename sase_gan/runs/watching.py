"""What is worth a warning while a run trains: one player winning for long, collapse, copying; and what can be done.

Every warning follows from what the run's folder holds and from images seen, so a resumed run gives the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from sase_gan.metrics.records import EvaluationRecord
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.tasks.base import RunPlan

ROWS = 20
"""A player is winning for long when all of so many rows of `metrics.csv` in a row say so."""
FAULTLESS = 0.05
"""Below this mean hinge loss of both kinds of pictures, the discriminator makes next to no mistakes."""
COLLAPSED = 0.1
"""Pictures that differ from each other by less than this share of how much the training pictures do are one."""


class Watch:
    """Look at rows, sheets and figures of a run, and tell what is wrong once: in the terminal and in its folder.

    Args:
        real_spread: of the training pictures, see `spread`; 0 for one picture, whose samples are not judged so.
    """

    def __init__(self, run: RunFolder, plan: RunPlan, real_spread: float, tell: Callable[[str], None]) -> None:
        self.run, self.total, self.real_spread, self.tell = run, plan.config.total_images, real_spread, tell

    def row(self, row: Mapping[str, float]) -> None:
        """Look at the newest row of the table, which is written already."""
        rows = self.run.rows()[-ROWS:]
        if len(rows) < ROWS or not {"d_real", "d_fake", "real_logit", "fake_logit"} <= rows[0].keys():
            return
        try:
            values = [
                {name: float(one[name]) for name in ("d_real", "d_fake", "real_logit", "fake_logit")} for one in rows
            ]
        except ValueError:  # a cell is empty
            return
        seen = int(row["images_seen"])
        if all(one["d_real"] < FAULTLESS and one["d_fake"] < FAULTLESS for one in values):
            self._warn(
                seen,
                "the discriminator has long told all real pictures from generated ones; the generator learns little: "
                "more pictures help most, then a stronger augment.policy, or a lower optimiser.discriminator_rate "
                "(--resume with --set)",
            )
        if all(one["fake_logit"] > one["real_logit"] for one in values):
            self._warn(
                seen,
                "the discriminator has long taken generated pictures for real ones; it teaches the generator nothing: "
                "a lower optimiser.generator_rate or a higher optimiser.discriminator_rate helps (--resume with --set)",
            )

    def sheet(self, seen: int, pictures: Tensor) -> None:
        """Look at the pictures of a snapshot's grid, uint8 `[N, 3, height, width]`."""
        if self.real_spread > 0 and len(pictures) > 1 and 10 * seen >= self.total:
            share = spread(pictures) / self.real_spread
            if share < COLLAPSED:
                self._warn(
                    seen,
                    f"the generator has collapsed: its pictures differ by {share:.0%} of how much the training "
                    "pictures do; use an earlier snapshot, and train anew with lower rates or more pictures",
                )

    def figures(self, seen: int, figures: EvaluationRecord | None) -> None:
        """Look at the figures of a snapshot."""
        if figures is not None and seen > 0 and figures.colour("copying") == "red":
            self._warn(
                seen,
                "the generator copies its training pictures: an earlier snapshot that does not is chosen where there "
                "is one; more pictures help, a longer training does not",
            )

    def _warn(self, seen: int, sentence: str) -> None:
        if self.run.add_note(seen, sentence):
            self.tell(f"warning at {seen:,} images: {sentence}")


def spread(pictures: Tensor) -> float:
    """Measure how much pictures `[N, 3, height, width]` differ: the mean over pixels of the deviation over pictures.

    Example:
        >>> import torch
        >>> spread(torch.tensor([0, 2], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 4, 4))
        1.0
    """
    return float(pictures[:256].double().std(0, correction=0).mean())
