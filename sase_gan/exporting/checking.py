"""An exported file is held at once against the model that it was made of, and only one that agrees is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from sase_gan.errors import SaseGanError
from sase_gan.exporting.subject import Subject, Tensors

BATCHES = (1, 2, 5)
TOLERANCE = 1e-4
"""Of values in [-1, 1]; of larger ones a share of the largest."""


class Agreement(NamedTuple):
    """An exported file gives what the model does, up to so much."""

    differences: dict[int, float]
    """By size of the batch, the largest of any value, as a share of the largest value if that is over 1."""

    @property
    def largest(self) -> float:
        """Return the largest difference."""
        return max(self.differences.values())

    def in_words(self) -> str:
        """Say it in a line.

        Example:
            >>> Agreement({1: 2e-7, 5: 1.5e-6}).in_words()
            'equal to PyTorch within 1.5e-06 (batch of 1: 2.0e-07, batch of 5: 1.5e-06; at most 1e-04 is accepted)'
        """
        each = ", ".join(f"batch of {count}: {value:.1e}" for count, value in self.differences.items())
        return f"equal to PyTorch within {self.largest:.1e} ({each}; at most {TOLERANCE:.0e} is accepted)"


def difference(found: Tensors, expected: Tensors) -> float:
    """Return the largest difference of any two values, see `Agreement`; infinite if one of them is no finite number."""
    worst = 0.0
    for one, other in zip(found, expected, strict=True):
        scale = max(1.0, other.abs().max().item())
        apart = (one - other).abs().max().item() / scale
        worst = max(worst, apart if apart == apart else float("inf"))
    return worst


def check(subject: Subject, run: Callable[[Tensors], Tensors], what: str) -> Agreement:
    """Hold a file against the original, in batches of 1, 2 and 5.

    Args:
        run: computes with the file.
        what: the file, as an error names it.

    Raises:
        SaseGanError: if they differ by more than `TOLERANCE`.
    """
    differences = {}
    for count in BATCHES:
        inputs = subject.examples(count)
        expected, found = subject.expected(inputs), run(inputs)
        wrong = [(tuple(a.shape), tuple(b.shape)) for a, b in zip(found, expected, strict=True) if a.shape != b.shape]
        if wrong:
            raise SaseGanError(
                f"{what} gives {wrong[0][0]} where the model gives {wrong[0][1]}; nothing was written: report this, "
                "with the versions that sase-gan doctor prints"
            )
        differences[count] = difference(found, expected)
    agreement = Agreement(differences)
    if not agreement.largest <= TOLERANCE:
        raise SaseGanError(
            f"{what} differs from the model by {agreement.largest:.1e}, and at most {TOLERANCE:.0e} is accepted; "
            "nothing was written: report this, with the versions that sase-gan doctor prints"
        )
    return agreement


def deviation(rounded: Subject, original: Subject, batch: int = 5) -> float:
    """Return by how much rounding the weights changes a batch."""
    inputs: tuple[Tensor, ...] = original.examples(batch)
    return difference(rounded.expected(inputs), original.expected(inputs))
