"""Pictures of 16 bits a value: reading all of them, and bringing them to 8."""

from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

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
