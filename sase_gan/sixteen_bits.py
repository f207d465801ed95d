"""Pictures of 16 bits a value: reading all of them, bringing them to 8, and keeping all of grey ones.

A grey picture whose 16 bits are kept is int16 `[1, H, W]`: its values of 0 to 65535 less 32768, since torch computes
little with unsigned numbers of 16 bits. As float32 in [-1, 1] they are `v / 32767.5 - 1`, and back `trunc(x * 32767.5 +
32768)`, clamped; that pair returns all 65,536 values exactly.
"""

from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

FULL_WHITE = 65535
"""The value that is white in a picture which uses its 16 bits."""

_FFMPEG = {"PNG": "png_pipe", "TIFF": "tiff_pipe"}
_LAYOUTS = {"RGB": "rgb48le", "RGBA": "rgba64le"}


def is_deep(image: Image.Image) -> bool:
    """Tell whether a picture that was not decoded yet has 16 bits a value."""
    return image.mode.startswith("I") or any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def all_bits(image: Image.Image, file: BinaryIO) -> NDArray[np.int64]:
    """Read all 16 bits: [H, W, C]. Pillow reads them of grey pictures alone, FFmpeg of coloured PNG and TIFF files too.

    Of others the upper 8 bits are all that can be had.

    Raises:
        ValueError: for values that 16 bits do not hold.
    """
    if image.mode.startswith("I"):
        image.load()
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > FULL_WHITE:
            raise ValueError(f"its values reach from {values.min()} to {values.max()}, more than 16 bits")
        return values[..., None]
    if image.format in _FFMPEG and image.mode in _LAYOUTS:
        return _by_ffmpeg(file, _FFMPEG[image.format], _LAYOUTS[image.mode])
    image.load()
    return np.asarray(image).astype(np.int64) * 257


def _by_ffmpeg(file: BinaryIO, container: str, layout: str) -> NDArray[np.int64]:
    import av

    file.seek(0)
    with av.open(file, mode="r", format=container) as opened:
        frame = next(opened.decode(video=0))
        return frame.to_ndarray(format=layout).astype(np.int64)


def scaled(values: NDArray[np.int64], white: int) -> Image.Image:
    """Scale [H, W, 1, 3 or 4] by rounded division, so that `white` becomes 255; the alpha channel is scaled fully."""
    result = np.minimum((values * 255 + white // 2) // white, 255)
    if values.shape[2] == 4:
        result[..., 3] = (values[..., 3] + 128) // 257
    return Image.fromarray((result[..., 0] if result.shape[2] == 1 else result).astype(np.uint8))


def grey_of(values: NDArray[np.int64], white: int, background: tuple[int, int, int]) -> Image.Image:
    """Make a grey picture of floats, 0 to 65535, of [H, W, 1, 3 or 4]: `white` becomes 65535.

    Colours count as they do where 8 bits become grey, and lie on the background where they are transparent.
    """
    grey: NDArray[np.float64] = _grey(values[..., :3]) if values.shape[2] > 1 else values[..., 0].astype(np.float64)
    grey = np.minimum(grey * (FULL_WHITE / white), FULL_WHITE)
    if values.shape[2] == 4:
        share = values[..., 3] / FULL_WHITE
        grey = share * grey + (1 - share) * grey_level(background)
    return Image.fromarray(grey.astype(np.float32))


def grey_level(colour: tuple[int, int, int]) -> float:
    """Return the grey of a colour of 8 bits, 0 to 65535."""
    return float(_grey(np.asarray(colour))) * 257


def _grey(values: NDArray[np.int64]) -> NDArray[np.float64]:
    return values @ np.array([0.299, 0.587, 0.114])


def kept(image: Image.Image) -> Tensor:
    """Keep a picture of floats, 0 to 65535, as int16 `[1, H, W]`; what resizing threw beyond the ends is clamped."""
    values = np.clip(np.rint(np.asarray(image)), 0, FULL_WHITE).astype(np.int32) - 2**15
    return torch.from_numpy(values.astype(np.int16))[None]


def widened(images: Tensor) -> Tensor:
    """Give pictures uint8 of any shape 16 bits, int16: 255 is white in both.

    Example:
        >>> widened(torch.tensor([0, 1, 255], dtype=torch.uint8))
        tensor([-32768, -32511,  32767], dtype=torch.int16)
    """
    return (images.to(torch.int32) * 257 - 2**15).to(torch.int16)


def narrowed(images: Tensor) -> Tensor:
    """Bring pictures int16 to 8 bits, uint8, each value to the nearest.

    Example:
        >>> narrowed(widened(torch.tensor([0, 1, 255], dtype=torch.uint8)))
        tensor([  0,   1, 255], dtype=torch.uint8)
    """
    return ((images.to(torch.int32) + 2**15 + 128) // 257).to(torch.uint8)


def to_sixteen(images: Tensor) -> Tensor:
    """Convert floating point in [-1, 1] to int16, any shape: 16 bits of what a network gives.

    Example:
        >>> to_sixteen(torch.tensor([-1.0, 0.0, 7.0]))
        tensor([-32768,      0,  32767], dtype=torch.int16)
    """
    return ((images.float() * 32767.5 + 32768).clamp(0, FULL_WHITE).to(torch.int32) - 2**15).to(torch.int16)


def to_deep_pillow(image: Tensor) -> Image.Image:
    """Convert int16 `[1, H, W]` to a Pillow picture of 16 bits."""
    values = (image.detach().cpu()[0].to(torch.int32) + 2**15).numpy().astype(np.uint16)
    return Image.fromarray(values)
