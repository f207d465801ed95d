"""How evenly do pictures change on the way through the latent space?

In the spirit of the perceptual path length of Karras and others (StyleGAN, 2019), with these differences: pictures are
finished uint8 pictures, so steps are finite instead of 1e-4; the distance is EfficientNet-Lite0's mid-level descriptor,
or LPIPS where its weights are; and beside the length stands the evenness of the steps, because a generator that has
memorised its pictures rests at them and jumps between them (Kong and others, MixDL, 2022). This module sees pictures
only: how they were sampled is the caller's business.
"""

from dataclasses import dataclass

from torch import Tensor

from sase_gan.metrics.book import NotApplicable
from sase_gan.metrics.bootstrap import Interval, mean_interval


@dataclass(frozen=True)
class Smoothness:
    """Figures of several walks of equal length.

    Attributes:
        steps: distance of neighbouring pictures [walks, steps].
        evenness: standard deviation of the steps over their mean, per walk, mean over walks; 0 is perfectly even.
        evenness_interval: over walks.
        largest_step: largest step over mean step, mean over walks; 1 is even, the number of steps is one jump.
        detour: sum of steps over the distance of the ends, mean over walks; 1 is straight.
        detour_interval: over walks.
    """

    steps: Tensor
    evenness: float
    evenness_interval: Interval | None
    largest_step: float
    largest_interval: Interval | None
    detour: float
    detour_interval: Interval | None


def walk_smoothness(descriptors: Tensor, draws: int = 200) -> Smoothness:
    """Figures of walks from the descriptors of their pictures.

    Args:
        descriptors: [walks, pictures, D], at least three pictures a walk.
        draws: for the intervals, over walks.

    Raises:
        NotApplicable: fewer than three pictures a walk, or a walk in which nothing changes.
    """
    if descriptors.ndim != 3 or descriptors.shape[1] < 3:
        raise NotApplicable(
            f"Walks [walks, pictures, D] of three pictures or more are needed; {list(descriptors.shape)} was given."
        )
    rows = descriptors.double()
    steps = (rows[:, 1:] - rows[:, :-1]).norm(dim=2)
    ends = (rows[:, -1] - rows[:, 0]).norm(dim=1)
    mean = steps.mean(1)
    if (mean <= 0).any() or (ends <= 0).any():
        raise NotApplicable("The pictures of a walk do not change, so its steps cannot be compared.")
    evenness, largest, detour = steps.std(1, correction=0) / mean, steps.max(1).values / mean, steps.sum(1) / ends
    return Smoothness(
        steps=steps,
        evenness=evenness.mean().item(),
        evenness_interval=mean_interval(evenness, "walks", draws, lowest=0.0),
        largest_step=largest.mean().item(),
        largest_interval=mean_interval(largest, "walks", draws, lowest=1.0),
        detour=detour.mean().item(),
        detour_interval=mean_interval(detour, "walks", draws, lowest=1.0),
    )


def path_length(first: Tensor, second: Tensor, epsilon: float, *, discard: float = 0.01) -> float:
    """Mean squared descriptor distance of pairs, over epsilon squared, without the outer `discard` on either side.

    Args:
        first: descriptors [P, D] of pictures at some latents.
        second: of pictures at latents a share `epsilon` farther on the way to another latent.
        epsilon: in (0, 1]. uint8 pictures need steps that change them: 0.05 rather than the 1e-4 of the literature.
        discard: share of pairs left out on either side, as in the original.

    Raises:
        ValueError: epsilon out of range, or unequal numbers.
    """
    if not 0 < epsilon <= 1:
        raise ValueError(f"epsilon is a share of the way in (0, 1]; {epsilon} was given.")
    if first.shape != second.shape:
        raise ValueError(f"Pairs need equal numbers; {list(first.shape)} and {list(second.shape)} were given.")
    values = ((first.double() - second.double()).square().sum(1) / epsilon**2).sort().values
    cut = int(len(values) * discard)
    return values[cut : len(values) - cut].mean().item()
