"""Colours for parts of a picture: from a map that says which part a pixel belongs to, to a picture that shows it."""

import colorsys

import torch
import torch.nn.functional as F
from torch import Tensor

# Told apart by most eyes, colour-blind ones too (Okabe and Ito 2008, without black, and with darker relatives).
_FIRST = (
    *((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167)),
    *((140, 86, 75), (127, 60, 160), (60, 90, 60)),
)
_GOLDEN_SHARE = 0.61803398875


def part_colour(index: int) -> tuple[int, int, int]:
    """Name the colour, red, green and blue in 0..255, of a part by its number from 0 on; any number has one.

    Example:
        >>> part_colour(0), part_colour(40)
        ((230, 159, 0), (115, 66, 215))
    """
    if index < len(_FIRST):
        return _FIRST[index]
    # Steps of the golden ratio around the circle of hues never come near an earlier one soon.
    lightness, saturation = (0.4, 0.55, 0.7)[index % 3], 0.65
    red, green, blue = colorsys.hls_to_rgb(index * _GOLDEN_SHARE % 1, lightness, saturation)
    return round(255 * red), round(255 * green), round(255 * blue)


def coloured_parts(labels: Tensor, picture: Tensor | None = None, *, opacity: float = 0.6) -> Tensor:
    """Draw a map of parts as a picture uint8 [3, H, W].

    Args:
        labels: whole numbers [h, w]: the part of each pixel; below 0 for none.
        picture: uint8 [3, H, W] that shows through, in grey, and faded where there is no part; without it parts are
            plain on white. The map is enlarged to it, or reduced, without blending.
        opacity: of the colours over a picture, 0..1.
    """
    count = max(0, int(labels.max()) + 1)
    colours = torch.tensor([part_colour(index) for index in range(count)] or [(255, 255, 255)], dtype=torch.float32)
    if picture is not None and labels.shape != picture.shape[1:]:
        labels = F.interpolate(labels[None, None].float(), picture.shape[1:], mode="nearest-exact")[0, 0].long()
    inside = labels >= 0
    plain = colours[labels.long().clamp_min(0)].permute(2, 0, 1)
    if picture is None:
        return torch.where(inside, plain, 255).to(torch.uint8)
    grey = picture.float().mean(0)
    # Light colours must not hide what is drawn: the grey is kept as light and shade of the colour.
    shown = opacity * plain * (0.35 + 0.65 * grey / 255) + (1 - opacity) * grey
    return torch.where(inside, shown, 0.35 * grey + 0.65 * 255).round().clamp(0, 255).to(torch.uint8)
