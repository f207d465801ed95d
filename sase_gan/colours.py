"""Pictures that are not of three colours: grey ones, and ones with transparency; how they are learnt, seen and filed.

Inside, a grey picture has one channel, and a picture with transparency four: what is seen of it on white, and how
opaque it is. So what is seen is always there as it is, two pictures that look alike are alike, whatever colour their
files hold where nothing is seen, and resizing needs no weights. A file holds colours that are not yet mixed with the
ground (`filed`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from sase_gan.pixels import read_image, read_rgba

Colours = Literal["rgb", "grey", "rgba"]

CHANNELS: Mapping[str, int] = {"rgb": 3, "grey": 1, "rgba": 4}
"""Of a picture inside."""

Ground = Literal["checkerboard", "white", "file"]
"""What a picture with transparency is seen on; "file": as a file holds it, grey ones too."""

_FIELD = 8  # px, the side of a field of the checkerboard
_LIGHT, _DARK = 255, 205


def seen(images: Tensor) -> Tensor:
    """Return what is seen on white, `[..., 3, H, W]`, of pictures `[..., C, H, W]` of any type; of RGB themselves."""
    channels = images.shape[-3]
    if channels == 3:
        return images
    return images.expand(*images.shape[:-3], 3, -1, -1) if channels == 1 else images[..., :3, :, :]


def shown(images: Tensor, ground: Ground) -> Tensor:
    """Show pictures uint8 `[..., C, H, W]` on a ground, or as files hold them, which leaves C.

    Example:
        >>> nothing = torch.tensor([255, 255, 255, 0], dtype=torch.uint8)[:, None, None]
        >>> [shown(nothing, ground)[:, 0, 0].tolist() for ground in ("white", "file")]
        [[255, 255, 255], [255, 255, 255, 0]]
    """
    if ground == "file":
        return filed(images)
    on_white = seen(images)
    if images.shape[-3] != 4 or ground == "white":
        return on_white.contiguous()
    clear = 255 - images[..., 3:, :, :].int()
    darker = 255 - checkerboard(images.shape[-2], images.shape[-1]).int().to(images.device)
    return (on_white.int() - (clear * darker + 127) // 255).clamp(0, 255).to(torch.uint8)


def checkerboard(height: int, width: int) -> Tensor:
    """Make a checkerboard in two light greys, uint8 `[1, height, width]`."""
    rows, columns = torch.arange(height)[:, None] // _FIELD, torch.arange(width)[None] // _FIELD
    return torch.where((rows + columns) % 2 == 0, _LIGHT, _DARK).to(torch.uint8)[None]


def check_ground(colours: Colours, background: str) -> None:
    """Refuse a background, of a record, for pictures whose transparency is kept.

    Raises:
        ValueError: for another one than white.
    """
    if colours == "rgba" and background != "white":
        raise ValueError(
            f"colours is 'rgba', data.background {background!r}; transparency is kept, and nothing laid behind it: "
            "leave the background out"
        )


def brought(images: Tensor, colours: Colours) -> Tensor:
    """Bring pictures uint8 `[..., C, H, W]` of any of the colours to those of a model; what fits is returned itself.

    A grey is that of what is seen, weighed as files are (ITU-R BT.601); what knows no transparency is opaque.

    Example:
        >>> red = torch.tensor([255, 0, 0], dtype=torch.uint8)[:, None, None]
        >>> [brought(red, colours)[:, 0, 0].tolist() for colours in ("grey", "rgba")]
        [[76], [255, 0, 0, 255]]
    """
    if images.shape[-3] == CHANNELS[colours]:
        return images
    if colours == "rgb":
        return seen(images).contiguous()
    if colours == "grey":
        red, green, blue = seen(images).int().unbind(-3)
        # In whole numbers, as Pillow does it: a grey picture in three channels gives exactly itself.
        return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).to(torch.uint8).unsqueeze(-3)
    return torch.cat([seen(images), torch.full_like(images[..., :1, :, :], 255)], dim=-3)


def read_in(path: Path | str, colours: Colours) -> Tensor:
    """Read a picture file in a model's colours, uint8 `[C, H, W]` as inside; other transparency is laid on white.

    Raises:
        DataError: as `pixels.decode_picture`.
    """
    return learnt(read_rgba(path)) if colours == "rgba" else brought(read_image(path), colours)


def filed(images: Tensor) -> Tensor:
    """Give pictures uint8 `[..., C, H, W]` the colours that a file holds: unmixed with white; white where clear."""
    if images.shape[-3] != 4:
        return images
    colour, alpha = images[..., :3, :, :].int(), images[..., 3:, :, :].int()
    unmixed = ((colour + alpha - 255) * 255 + alpha // 2) // alpha.clamp_min(1)
    unmixed = torch.where(alpha > 0, unmixed, 255).clamp(0, 255)
    return torch.cat([unmixed, alpha], dim=-3).to(torch.uint8)


def learnt(images: Tensor) -> Tensor:
    """Undo `filed`: mix the colours of files uint8 `[..., C, H, W]` with white."""
    if images.shape[-3] != 4:
        return images
    colour, alpha = images[..., :3, :, :].int(), images[..., 3:, :, :].int()
    mixed = (colour * alpha + 255 * (255 - alpha) + 127) // 255
    return torch.cat([mixed, alpha], dim=-3).to(torch.uint8)
