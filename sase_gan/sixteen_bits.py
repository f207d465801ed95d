"""Pictures of 16 bits a value: reading all of them, and bringing them to 8."""

from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

FULL_WHITE = 65535
"""The value that is white in a picture which uses its 16 bits."""


def is_deep(image: Image.Image) -> bool:
    """Tell whether a picture that was not decoded yet has 16 bits a value."""
    return image.mode.startswith("I") or any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def all_bits(image: Image.Image, file: BinaryIO) -> NDArray[np.int64]:
    """Read all 16 bits: [H, W, C]. Pillow reads them of grey pictures alone, torchvision of coloured PNGs.

    Of other coloured ones, TIFF files for example, the upper 8 bits are all that can be had.

    Raises:
        ValueError: for values outside 16 bits.
    """
    if image.mode.startswith("I"):
        image.load()
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > FULL_WHITE:
            raise ValueError(f"its values reach from {values.min()} to {values.max()}, more than 16 bits")
        return values[..., None]
    if image.format == "PNG":
        from torchvision.io import ImageReadMode, decode_png

        file.seek(0)
        content = torch.frombuffer(bytearray(file.read()), dtype=torch.uint8)
        mode = ImageReadMode.RGB_ALPHA if "A" in image.mode else ImageReadMode.RGB
        return decode_png(content, mode).permute(1, 2, 0).numpy().astype(np.int64)
    image.load()
    return np.asarray(image).astype(np.int64) * 257


def scaled(values: NDArray[np.int64], white: int) -> Image.Image:
    """Scale [H, W, 1, 3 or 4] by rounded division, so that `white` becomes 255; the alpha channel is scaled fully."""
    result = np.minimum((values * 255 + white // 2) // white, 255)
    if values.shape[2] == 4:
        result[..., 3] = (values[..., 3] + 128) // 257
    return Image.fromarray((result[..., 0] if result.shape[2] == 1 else result).astype(np.uint8))
