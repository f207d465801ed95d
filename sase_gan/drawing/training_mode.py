"""Pictures are drawn and brought to size here as FastGAN's own evaluation does, for the protocol `fid_fastgan` alone.

Averaged weights, all modules left in training mode, so that batch normalisation uses each batch of 16; every picture
goes to 512 px by nearest pixels whatever its own size, into bytes, and is scored at 256 px (Pillow's bilinear filter).
Written from the description of the loop: Liu et al. 2021, arXiv 2101.04775, as released with arXiv 2112.14804.

Deviation: a snapshot's weights are already divided by their spectral norms, found by ten iterations on the averaged
weights; there the first pictures are drawn while those iterations still go on.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sase_gan.colours import seen
from sase_gan.datasets.fitting import fit_square
from sase_gan.drawing.sampling import device_of, draw_inputs, truncated
from sase_gan.errors import UsageError
from sase_gan.networks.finished import FinishedGenerator
from sase_gan.networks.generator import Generator
from sase_gan.pixels import to_pillow, to_tensor, to_uint8
from sase_gan.progress import Count, batches

BATCH = 16
DRAWN_SIDE, SCORED_SIDE = 512, 256


def sample_in_training_mode(
    network: Any, seeds: Sequence[int], *, truncation: float = 1.0, progress: Count | None = None
) -> Tensor:
    """Draw one picture for each seed, uint8 `[len(seeds), 3, 256, 256]`; a picture depends on its batch of 16.

    The network itself keeps its mode and its statistics.

    Raises:
        UsageError: for a network without batches, of one picture or without training, and for finished pictures.
    """
    if isinstance(network, FinishedGenerator):
        raise UsageError(
            "fid_fastgan draws with the network alone, and this model finishes its pictures with patches; measure the "
            "snapshot that it was made of"
        )
    if not isinstance(network, Generator):
        raise UsageError(f"fid_fastgan draws with a generator trained on a set, and this is a {type(network).__name__}")
    drawing = copy.deepcopy(network).train()
    images = torch.empty(len(seeds), 3, SCORED_SIDE, SCORED_SIDE, dtype=torch.uint8)
    done = 0
    with torch.no_grad():
        for part in batches(seeds, BATCH, progress):
            inputs = truncated(drawing, draw_inputs(drawing, part), truncation).to(device_of(drawing))
            images[done : done + len(part)] = as_scored(seen(to_uint8(drawing(*inputs).big).cpu()))
            done += len(part)
    return images


def as_scored(images: Tensor) -> Tensor:
    """Bring drawn pictures, uint8 `[N, 3, side, side]`, to 512 px by nearest pixels and to 256 px bilinearly."""
    large = F.interpolate(images, size=(DRAWN_SIDE, DRAWN_SIDE), mode="nearest")
    return torch.stack([to_tensor(fit_square(to_pillow(image), SCORED_SIDE, "squash")) for image in large])
