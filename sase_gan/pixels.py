"""The two formats of pictures, the only conversions between them, and reading and writing files of them and films.

uint8 [3, H, W] in 0..255 is how pictures are stored, shown and measured; float32 in [-1, 1] is what networks see. In:
divide by 127.5, subtract 1. Out: multiply by 127.5, add 128, clamp, truncate. That pair returns all 256 levels exactly.

Greyscale, transparency, palettes, 16 bits, CMYK and EXIF rotation are settled here and nowhere else. Embedded colour
profiles are not applied, as in the data sets and the feature networks that published figures rest on.
"""

import math
import threading
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngImageFile, PngInfo
from torch import Tensor

from sase_gan.errors import DataError, UsageError
from sase_gan.files import write_atomically

MAX_PIXELS = 120_000_000
"""Larger pictures are refused by their header, before a pixel is decoded."""

# Only these decoders are offered a file; "JPEG" includes MPO, which many phones write under .jpg.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")

_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Python's warning filters are global to the process: two threads must not change them at once.
_warnings_lock = threading.Lock()


def to_float(images: Tensor) -> Tensor:
    """Convert uint8 0..255 to float32 in [-1, 1], any shape: x / 127.5 - 1.

    Raises:
        TypeError: another type than uint8.

    Example:
        >>> to_float(torch.tensor([0, 255], dtype=torch.uint8))
        tensor([-1.,  1.])
    """
    if images.dtype != torch.uint8:
        raise TypeError(f"to_float got {images.dtype}; it takes uint8 pictures (are these converted already?)")
    return images.to(torch.float32) / 127.5 - 1


def to_uint8(images: Tensor) -> Tensor:
    """Convert floating point in [-1, 1] to uint8 0..255, any shape: x * 127.5 + 128, clamped, truncated.

    Values outside the range are clamped; the arithmetic is float32 whatever the input's precision.

    Raises:
        TypeError: another type than floating point.

    Example:
        >>> to_uint8(torch.tensor([-1.0, 0.0, 1.0, 7.0]))
        tensor([  0, 128, 255, 255], dtype=torch.uint8)
    """
    if not images.is_floating_point():
        raise TypeError(f"to_uint8 got {images.dtype}; it takes floating-point pictures in [-1, 1]")
    return (images.float() * 127.5 + 128).clamp(0, 255).to(torch.uint8)


@dataclass(frozen=True)
class Picture:
    """A decoded picture comes with what its file was like.

    Attributes:
        rgb: 8-bit RGB, upright, transparency composed; smaller than the file's when `at_least` allowed it.
        width, height: of the whole picture, upright, before any reduction.
        file_format: Pillow's name, "JPEG" for phones' MPO too.
        transparent: whether any pixel was not opaque.
    """

    rgb: Image.Image
    width: int
    height: int
    file_format: str
    transparent: bool


def decode_picture(
    source: Path | str | BinaryIO,
    *,
    background: tuple[int, int, int] = (255, 255, 255),
    at_least: int | None = None,
    name: str | None = None,
) -> Picture:
    """Decode the first frame of a PNG, JPEG, WebP, BMP, TIFF or GIF.

    16-bit greyscale is scaled by 1/257 (65535 becomes 255), never clipped.

    Args:
        source: a path, or a file open for reading bytes.
        background: the colour behind transparent pixels.
        at_least: the picture may be reduced by a whole factor while both sides stay at least this long; saves memory.
        name: how errors call the picture; the path when left out.

    Raises:
        DataError: the file is missing, broken, of another kind, or has more than `MAX_PIXELS` pixels.
    """
    name = name or str(source if isinstance(source, Path | str) else getattr(source, "name", "the picture"))
    try:
        with _open(source) as image:
            if (count := image.width * image.height) > MAX_PIXELS:
                raise DataError(_too_large(name, f"{image.width} x {image.height} = {count / 1e6:.0f}"))
            return _decode(image, background, at_least)
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{name} does not exist; check the path") from None
    except IsADirectoryError:
        raise DataError(f"{name} is a folder where a picture is required; name a picture file in it") from None
    except Image.DecompressionBombError:
        raise DataError(_too_large(name, "far more")) from None
    # Pillow's decoders answer a damaged file with nearly any kind of exception.
    except Exception as error:
        reason = "not a picture of a known kind" if isinstance(error, UnidentifiedImageError) else str(error)
        raise DataError(
            f"{name} cannot be read ({reason}); replace or remove it (PNG, JPEG, WebP, BMP, TIFF and GIF are read)"
        ) from error


def read_image(source: Path | str | BinaryIO, *, background: tuple[int, int, int] = (255, 255, 255)) -> Tensor:
    """Read a picture file as uint8 [3, H, W]; arguments as in `decode_picture`.

    Raises:
        DataError: as `decode_picture`.
    """
    return to_tensor(decode_picture(source, background=background).rgb)


def to_tensor(image: Image.Image) -> Tensor:
    """Convert an 8-bit RGB Pillow picture to uint8 [3, H, W]."""
    assert image.mode == "RGB", image.mode
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def to_pillow(image: Tensor) -> Image.Image:
    """Convert uint8 [3, H, W] to a Pillow picture.

    Raises:
        UsageError: another type or shape.
    """
    if image.dtype != torch.uint8 or image.ndim != 3 or image.shape[0] != 3:
        raise UsageError(f"a picture of {image.dtype} {tuple(image.shape)} was given; uint8 [3, H, W] is required")
    return Image.fromarray(image.detach().cpu().permute(1, 2, 0).contiguous().numpy())


def write_png(path: Path | str, image: Tensor, text: Mapping[str, str] | None = None) -> None:
    """Write uint8 [3, H, W] as PNG, under a temporary name first; `text` goes into text chunks (`read_png_text`)."""
    chunks = PngInfo()
    for key, value in (text or {}).items():
        chunks.add_text(key, value)
    with write_atomically(path, synced=False) as temporary:
        to_pillow(image).save(temporary, format="PNG", pnginfo=chunks)


def read_png_text(path: Path | str) -> dict[str, str]:
    """Read the text chunks of a PNG.

    Raises:
        DataError: the file is missing, broken or no PNG.
    """
    try:
        with Image.open(path, formats=("PNG",)) as image:
            assert isinstance(image, PngImageFile)
            return {str(key): str(value) for key, value in image.text.items()}
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; check the path") from None
    except Exception as error:
        raise DataError(f"{path} is not a readable PNG ({error}); text is stored in PNG files only") from error


def grid(images: Tensor, columns: int | None = None, padding: int = 2, background: int = 255) -> Tensor:
    """Lay uint8 [N, 3, H, W] out row by row as one picture uint8 [3, H', W'].

    H' = rows * (H + padding) + padding, and W' likewise: the padding surrounds the pictures too. Unfilled places have
    the background's grey level. Unlike torchvision's `make_grid` this frames a single picture too, and keeps the width
    of all columns where there are fewer pictures. Columns left out are about the square root of N.

    Raises:
        UsageError: another type or shape, or no picture.

    Example:
        >>> grid(torch.zeros(5, 3, 8, 8, dtype=torch.uint8), columns=3).shape
        torch.Size([3, 22, 32])
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3 or len(images) == 0:
        raise UsageError(
            f"a grid of {images.dtype} {tuple(images.shape)} was asked; uint8 [N >= 1, 3, H, W] is required"
        )
    count, _, height, width = images.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    step_y, step_x = height + padding, width + padding
    canvas = images.new_full((3, rows * step_y + padding, columns * step_x + padding), background)
    for index, image in enumerate(images):
        top, left = padding + index // columns * step_y, padding + index % columns * step_x
        canvas[:, top : top + height, left : left + width] = image
    return canvas


def _open(source: Path | str | BinaryIO) -> Image.Image:
    with _warnings_lock, warnings.catch_warnings():
        # Pillow warns from 89 megapixels on; our own limit decides.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(source, formats=FORMATS)


def _too_large(name: str, megapixels: str) -> str:
    return f"{name} has {megapixels} megapixels where {MAX_PIXELS // 10**6} are allowed; scale it down first"


def _decode(image: Image.Image, background: tuple[int, int, int], at_least: int | None) -> Picture:
    file_format = "JPEG" if image.format == "MPO" else str(image.format)
    width, height = image.size
    if at_least is not None and file_format == "JPEG":
        # The JPEG decoder itself can leave out detail by 2, 4 or 8; it never goes below the size asked for.
        image.draft(None, (at_least, at_least))
    image.load()
    orientation = _orientation(image)
    rgb, transparent = _to_rgb(image, background)
    if at_least is not None and (factor := min(rgb.size) // at_least) > 1:
        rgb = rgb.reduce(factor)
    if orientation in _TRANSPOSE:
        rgb = rgb.transpose(_TRANSPOSE[orientation])
    if orientation in (5, 6, 7, 8):
        width, height = height, width
    return Picture(rgb, width, height, file_format, transparent)


def _orientation(image: Image.Image) -> int:
    """Read the EXIF orientation, after decoding because Pillow turns TIFF files itself while decoding."""
    try:
        return int(image.getexif().get(0x0112, 1))
    # A damaged EXIF block does not make the picture unusable: it is then taken as upright.
    except Exception:
        return 1


def _to_rgb(image: Image.Image, background: tuple[int, int, int]) -> tuple[Image.Image, bool]:
    """Convert to 8-bit RGB and tell whether any pixel was transparent."""
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError(f"its values reach from {values.min()} to {values.max()}, more than 16 bits")
        # Rounded division by 257, which takes 0..65535 onto 0..255 evenly.
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB"), False
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers without a known range")
    if not (image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info):
        return (image if image.mode == "RGB" else image.convert("RGB")), False
    rgba = image.convert("RGBA")
    lowest = rgba.getchannel("A").getextrema()[0]
    if lowest == 255:
        return rgba.convert("RGB"), False
    canvas = Image.new("RGBA", rgba.size, (*background, 255))
    canvas.alpha_composite(rgba)
    return canvas.convert("RGB"), True


FRAMES_PER_SECOND = 20


def write_mp4(path: Path | str, frames: Tensor, *, frames_per_second: int = FRAMES_PER_SECOND) -> None:
    """Write uint8 `[n, 3, height, width]` as H.264; a row or column is repeated where a side is odd.

    Raises:
        UsageError: for no frame.
    """
    import imageio.v3 as imageio

    _check(frames)
    height, width = frames.shape[2:]
    if height % 2 or width % 2:
        frames = F.pad(frames.float(), (0, width % 2, 0, height % 2), mode="replicate").to(frames.dtype)
    pictures = frames.permute(0, 2, 3, 1).contiguous().numpy()
    with write_atomically(path) as temporary:
        imageio.imwrite(temporary, pictures, plugin="pyav", codec="libx264", fps=frames_per_second)


def write_gif(path: Path | str, frames: Tensor, *, frames_per_second: int = FRAMES_PER_SECOND) -> None:
    """Write uint8 `[n, 3, height, width]` as an animated GIF that repeats for ever.

    Raises:
        UsageError: for no frame.
    """
    _check(frames)
    first, *others = [to_pillow(frame).quantize(256) for frame in frames]
    with write_atomically(path) as temporary:
        duration = round(1000 / frames_per_second)
        first.save(temporary, format="GIF", save_all=True, append_images=others, duration=duration, loop=0)


def _check(frames: Tensor) -> None:
    if frames.ndim != 4 or frames.shape[1] != 3 or len(frames) == 0:
        raise UsageError(f"frames of shape {tuple(frames.shape)} were given; [n, 3, height, width], n >= 1 is required")
