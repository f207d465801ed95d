"""Large-scale structure of pictures drawn from one picture: what is made of parts as large as a house or a tree.

The usual distance of one-picture models (`single_image.sifd_efflite0`) sees neighbourhoods of some ten pixels: torn
arches and hovering roofs hardly change it. Here position vectors of the deepest EfficientNet-Lite0 map that
reconstructions are compared in are used: at a longer side of 256 px it has a vector for every 16 x 16 pixels, which
sees nearly the whole picture around it but mostly what is near.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sase_gan.features.efficientnet_lite0 import EfficientNetLite0
from sase_gan.metrics.fidelity import kernel_distance_all
from sase_gan.pixels import to_float
from sase_gan.resizing import resize

SIDE = 256
"""Pictures are brought to this longer side."""
REAL_CROP, FLOOR_CROP = 0.9, 0.8


def structure_distances(fakes: Sequence[Tensor], real: Tensor, network: EfficientNetLite0) -> tuple[Tensor, float]:
    """Measure how unlike each fake's large-scale structure is to the real's: `[N]`, and the floor, 0 or a little more.

    The squared maximum mean discrepancy, unbiased, with the kernel (a.b / D + 1)^3 of position vectors, each of the 112
    channels divided by its root mean square over the reals. Reals are the picture and nine crops of it, 90 % of the
    side, at 3 x 3 places, so that no position matters exactly; all are brought to a longer side of 256 px. The floor is
    the mean of the same figure for five crops of 80 %, in the corners and the middle. A copy scores less than the
    floor: read it beside the copy rate.

    Args:
        fakes: uint8 `[3, h, w]` each.
        real: uint8 `[3, H, W]`.
    """
    height, width = real.shape[-2:]
    nine = [(y / 2, x / 2) for y in range(3) for x in range(3)]
    five = [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.5)]
    size = (round(SIDE * height / max(height, width)), round(SIDE * width / max(height, width)))
    with torch.inference_mode():
        reals = torch.cat(
            [_vectors(one, size, network) for one in (real, *(_crop(real, REAL_CROP, at) for at in nine))]
        )
        scale = reals.square().mean(0).sqrt().clamp_min(1e-6)

        def measure(image: Tensor) -> float:
            return kernel_distance_all(_vectors(image, size, network) / scale, reals / scale)

        floor = [measure(_crop(real, FLOOR_CROP, at)) for at in five]
        return torch.tensor([measure(fake) for fake in fakes], dtype=torch.float64), sum(floor) / len(floor)


def _crop(image: Tensor, share: float, at: tuple[float, float]) -> Tensor:
    """Cut out a share of each side; `at` is 0 to 1, from the upper left to the lower right."""
    sides = [round(share * side) for side in image.shape[-2:]]
    top, left = (round(place * (side - cut)) for place, side, cut in zip(at, image.shape[-2:], sides, strict=True))
    return image[:, top : top + sides[0], left : left + sides[1]]


def _vectors(image: Tensor, size: tuple[int, int], network: EfficientNetLite0) -> Tensor:
    """Describe a picture by position vectors `[positions, 112]`."""
    return network.features(resize(to_float(image[None]), size).clamp(-1, 1))[-1][0].flatten(1).T.double()
