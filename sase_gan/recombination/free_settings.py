"""How the free form draws: sizes of the levels, patches, noise, evenness, polish.

The defaults were tuned on every tenth scene of SinGAN's Places50, and the one after each, at 128 px, for a low distance
of textures at little copying, and confirmed once on all 50.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FreeSettings:
    """Settings of `FreeRecombiner`; lengths in pixels of a level, noise in units of pictures in [-1, 1]."""

    coarsest: int = 32
    """Longer side of the coarsest level, where the layout is decided."""
    growth: float = 1.5
    """A level is at most so many times larger than the one before."""
    coarse_patch: int = 7
    fine_patch: int = 5
    """Smaller patches give newer textures and are less often copied in one piece; larger ones keep things whole."""
    components: int = 16
    """Principal components by which patches are compared at the finer levels."""
    drift_down: float = 0.06
    """How far up or down a patch may move, as the deviation of a Gaussian prior, in shares of the height; this is what
    keeps the sky above."""
    drift_across: float = 0.12
    """The same to the left and right, in shares of the width."""
    highest: float = 5.0
    """Deviation of the noise that the coarsest level begins with."""
    lowest: float = 0.05
    coarse_steps: int = 24
    even_rate: float = 0.5
    """How fast the log-prior of each patch follows its use, so that the coarsest level uses all alike: without it the
    distance is a third higher. 0 for none."""
    even_limit: float = 6.0
    """The log-prior stays within this, either way."""
    noise: float = 0.78
    """Deviation of the noise that enters at the second level; at finer ones it falls as their size grows. More gives
    newer pictures; the layout stays."""
    floor: float = 0.195
    """Deviation of the last noise of each finer level. Higher copies less and costs a little sharpness."""
    steps: int = 4
    relatives: int = 3
    """For each patch so many patches like it, elsewhere in the training pictures, are candidates too."""
    vote: float = 0.8
    """In pixels, deviation of the weights with which overlapping patches are averaged."""
    last_vote: float = 0.8
    """The same in the last pass: less would be sharper before the polish, and after it is farther from the picture."""
    polish_steps: int = 240
    """Steps of `free_polish` at the end of each finer level."""
    polish_patch: int = 5
    polish_kernels: int = 16
    polish_rate: float = 0.8
