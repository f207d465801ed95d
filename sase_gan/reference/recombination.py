"""The local denoiser of `recombination.aligned` by its formula alone: one level, every window summed pixel by pixel."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def local_denoiser(
    x: Tensor, examples: Tensor, noise: float, window: float, log_prior: Tensor
) -> tuple[Tensor, Tensor]:
    """Estimate the clean picture behind a noisy one, in float64.

        w_i(p) = softmax_i( log_prior_i - sum over q in window(p) of |x(q) - x_i(q)|^2 / (2 noise^2) )

    Pixels that a window covers in part count by that part; outside of the picture the nearest edge counts.

    Args:
        x: `[3, height, width]`.
        examples: `[E, 3, height, width]`.
        window: side of the window in pixels, a real number.
        log_prior: `[E]`.

    Returns:
        The estimate `[3, height, width]` and the weights `[E, height, width]`.
    """
    x, examples = x.double(), examples.double()
    distances = (x - examples).square().sum(1)
    reach = max(0, math.ceil((window - 1) / 2))
    steps = torch.arange(-reach, reach + 1, dtype=torch.float64)
    covered = ((window / 2 - steps.abs()) + 0.5).clamp(0, 1)
    kernel = (covered[:, None] * covered)[None, None]
    padded = F.pad(distances[:, None], (reach,) * 4, mode="replicate") if reach else distances[:, None]
    sums = F.conv2d(padded, kernel)[:, 0]
    weights = (log_prior.double()[:, None, None] - sums / (2 * noise**2)).softmax(0)
    return torch.einsum("ehw,echw->chw", weights, examples), weights
