"""The two descriptions in which copies are looked for, and those of small shifts of a picture.

"mid" is EfficientNet-Lite0's mid-level descriptor: it sees through blur, compression, colour and blends on photographs.
"pixels" is the picture itself at 32 x 32, brightness and contrast removed: it sees copies in drawings and icons, which
are so alike that a compressed drawing is farther from itself in network features than from another drawing. Each misses
what the other sees, so the check asks both; `originality` has the measurements.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from sase_gan.features.efficientnet_lite0 import cell_descriptor
from sase_gan.features.frozen import to_unit

THUMBNAIL_SIDE = 32
# Steps of the grids that are shifted: a 28th of the picture's side in "mid", a 32nd in "pixels", along and across.
SHIFT_STEPS = (1, 2)
SHIFTS = (
    (0, 0),
    *((n * y, n * x) for n in SHIFT_STEPS for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)),
)


def thumbnails(images: Tensor) -> Tensor:
    """Float [N, 3, 32, 32] from uint8 [N, 3, H, W], bicubic with antialiasing."""
    return F.interpolate(to_unit(images), size=(THUMBNAIL_SIDE,) * 2, mode="bicubic", antialias=True)


def pixel_descriptor(small: Tensor) -> Tensor:
    """Thumbnails [N, 3, 32, 32] as rows [N, 3072] of mean 0 and length 1, or shorter for nearly flat pictures."""
    rows = small.flatten(1)
    rows = rows - rows.mean(1, keepdim=True)
    # Below a deviation of one level of 256 contrast is noise, and is not blown up.
    return rows / rows.std(1, keepdim=True).clamp_min(1 / 255) / rows.shape[1] ** 0.5


def shifted(maps: Tensor, describe: Callable[[Tensor], Tensor]) -> Tensor:
    """Descriptions of all `SHIFTS` of maps [N, C, H, W]: [N, 17, D].

    The border is repeated. A shift of a network's map by whole cells stands for a shift of the picture: exact inside,
    where the network is translation invariant, and near enough at the border.
    """
    reach = max(SHIFT_STEPS)
    padded = F.pad(maps, (reach,) * 4, mode="replicate")
    height, width = maps.shape[-2:]
    views = [padded[..., reach + y : reach + y + height, reach + x : reach + x + width] for y, x in SHIFTS]
    return torch.stack([describe(view) for view in views], dim=1)


def shifted_mid(maps: Tensor) -> Tensor:
    """Descriptions [N, 17, 1960] of `EfficientNetLite0.mid_map` outputs."""
    return shifted(maps, cell_descriptor)


def shifted_pixels(images: Tensor) -> Tensor:
    """Descriptions [N, 17, 3072] of uint8 pictures."""
    return shifted(thumbnails(images), pixel_descriptor)
