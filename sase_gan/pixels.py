"""The two formats of pictures, the only conversions between them, and reading and writing files of them.

uint8 [3, H, W] in 0..255 is how pictures are stored, shown and measured; float32 in [-1, 1] is what networks see. In:
divide by 127.5, subtract 1. Out: multiply by 127.5, add 128, clamp, truncate. That pair returns all 256 levels exactly.

Greyscale, transparency, palettes, 16 bits, CMYK and EXIF rotation are settled here and nowhere else. Embedded colour
profiles are not applied, as in the data sets and the feature networks that published figures rest on.
"""

import stat
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import torch
from PIL import Image, ImageColor, UnidentifiedImageError
from PIL.PngImagePlugin import PngImageFile, PngInfo
from torch import Tensor

from sase_gan.errors import DataError, UsageError
from sase_gan.files import write_atomically
from sase_gan.formats import READ_KINDS, decoders
from sase_gan.sixteen_bits import FULL_WHITE, all_bits, grey_of, is_deep, scaled, to_deep_pillow

MAX_PIXELS = 120_000_000
"""Larger pictures are refused by their header, before a pixel is decoded."""

WHITE_KEY = "white"
"""Of the text of a PNG of 16 bits: the value that is white, where none of its set may be as bright."""

Colour = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""
WHITE: Colour = (255, 255, 255)
_A_COLOUR = "write a name such as black, or #rrggbb such as #ff8000"

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
    """Convert uint8 0..255 to float32 in [-1, 1], any shape: x / 127.5 - 1; int16 as `sixteen_bits` says.

    Raises:
        TypeError: another type than these two.

    Example:
        >>> to_float(torch.tensor([0, 255], dtype=torch.uint8))
        tensor([-1.,  1.])
    """
    if images.dtype == torch.int16:
        return (images.to(torch.float32) + 32768) / 32767.5 - 1
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
        frames_left: whether the file has further frames or pages, of which only the first is here.
        deep: whether the file has 16 bits a value.
        extremes: lowest and highest value of a grey file of 16 bits, whose `white` became 255; None of other files.
        fine: where it was asked for, a grey picture of floats, 0 to 65535, of a file of 16 bits; None of other files.
        alpha: how opaque it is, 8 bits, at the size of `rgb`; None where all is.
        hidden: whether transparency hides the drawing: it has shades, and on the background is one colour.
    """

    rgb: Image.Image
    width: int
    height: int
    file_format: str
    transparent: bool
    frames_left: bool = False
    deep: bool = False
    hidden: bool = False
    alpha: Image.Image | None = None
    extremes: tuple[int, int] | None = None
    fine: Image.Image | None = None


def parse_colour(text: str) -> Colour:
    """Read a colour: a name such as `black`, or `#rrggbb`.

    Raises:
        UsageError: for anything else.

    Example:
        >>> parse_colour("black"), parse_colour("#ff8000")
        ((0, 0, 0), (255, 128, 0))
    """
    try:
        red, green, blue = ImageColor.getrgb(text)[:3]
    except ValueError:
        raise UsageError(f"the colour is {text!r}; {_A_COLOUR}") from None
    return red, green, blue


def checked_colour(text: str) -> str:
    """Return a colour's text as it is, for a record: whoever reads that says where in it which text stands.

    Raises:
        ValueError: for what is no colour; it says only how one is written.
    """
    try:
        parse_colour(text)
    except UsageError:
        raise ValueError(_A_COLOUR) from None
    return text


def decode_picture(
    source: Path | str | BinaryIO,
    *,
    background: Colour = WHITE,
    at_least: int | None = None,
    white: int | None = None,
    name: str | None = None,
    fine: bool = False,
) -> Picture:
    """Decode a picture, of several frames the first.

    Args:
        source: a path, or a file open for reading bytes.
        background: the colour behind transparent pixels.
        at_least: the picture may be reduced by a whole factor while both sides stay at least this long; saves memory.
        white: the value of a 16-bit picture that becomes 255, as its set has it (`ImageSource.white`); 65535 if None.
        name: how errors call the picture; the path when left out.
        fine: also keep all 16 bits of a file that has them, in grey.

    Raises:
        DataError: the file is missing, broken, of another kind, or has more than `MAX_PIXELS` pixels.
    """
    name = name or str(source if isinstance(source, Path | str) else getattr(source, "name", "the picture"))
    with _explained(name), _opened(source) as (file, image):
        _check_size(image, name)
        return _decode(image, file, background, at_least, white or FULL_WHITE, fine=fine)


def highest_value(file: BinaryIO, name: str = "the picture") -> int:
    """Find the highest value of a picture of 16 bits; -1 for one of 8 bits, whose header alone is read.

    Raises:
        DataError: as `decode_picture`.
    """
    with _explained(name), _opened(file) as (file, image):
        if not is_deep(image):
            return -1
        if image.info.get(WHITE_KEY) == str(FULL_WHITE):  # it says so itself
            return FULL_WHITE
        _check_size(image, name)
        return int(all_bits(image, file)[..., : 3 if len(image.getbands()) > 2 else 1].max())


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file that is not empty; reading from a pipe or a device might wait for ever.

    Raises:
        DataError: if it is something else, or empty.
    """
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(str(path))
    if not stat.S_ISREG(found.st_mode):
        raise DataError(f"{path} is no regular file but a pipe or a device; name a picture file")
    if found.st_size == 0:
        raise DataError(f"{path} cannot be read (it is empty); replace or remove it")
    return path.open("rb")


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn what decoders raise into a sentence about the picture of this name."""
    try:
        yield
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
        raise DataError(f"{name} cannot be read ({reason}); replace or remove it ({READ_KINDS} are read)") from error


def read_image(source: Path | str | BinaryIO, *, background: Colour = WHITE) -> Tensor:
    """Read a picture file as uint8 [3, H, W]; arguments as in `decode_picture`.

    Raises:
        DataError: as `decode_picture`.
    """
    return to_tensor(decode_picture(source, background=background).rgb)


def read_rgba(path: Path | str) -> Tensor:
    """Read a picture file with its transparency, uint8 [4, H, W], upright.

    Raises:
        DataError: as `decode_picture`.
    """
    name = str(path)
    with _explained(name), _opened(path) as (file, image):
        _check_size(image, name)
        values = scaled(all_bits(image, file), FULL_WHITE) if image.mode.startswith("I") else image
        rgba = values.convert("RGBA")
        orientation = _orientation(image)
        rgba = rgba.transpose(_TRANSPOSE[orientation]) if orientation in _TRANSPOSE else rgba
        return torch.from_numpy(np.array(rgba)).permute(2, 0, 1).contiguous()


def to_tensor(image: Image.Image) -> Tensor:
    """Convert an 8-bit RGB Pillow picture to uint8 [3, H, W], or a grey one to [1, H, W]."""
    assert image.mode in ("RGB", "L"), image.mode
    return torch.from_numpy(np.atleast_3d(np.array(image))).permute(2, 0, 1).contiguous()


def to_pillow(image: Tensor) -> Image.Image:
    """Convert uint8 [3, H, W] to a Pillow picture; [1, H, W] to a grey one, [4, H, W] to one with transparency.

    int16 [1, H, W] becomes a grey one of 16 bits.

    Raises:
        UsageError: another type or shape.
    """
    if image.dtype == torch.int16 and image.ndim == 3 and image.shape[0] == 1:
        return to_deep_pillow(image)
    if image.dtype != torch.uint8 or image.ndim != 3 or image.shape[0] not in (1, 3, 4):
        raise UsageError(
            f"a picture of {image.dtype} {tuple(image.shape)} was given; uint8 [1, 3 or 4, H, W] is required"
        )
    values = image.detach().cpu().permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(values[..., 0] if image.shape[0] == 1 else values)


def write_png(path: Path | str, image: Tensor, text: Mapping[str, str] | None = None) -> None:
    """Write what `to_pillow` takes as PNG, under a temporary name first; `text` goes into text chunks."""
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


@contextmanager
def _opened(source: Path | str | BinaryIO) -> Iterator[tuple[BinaryIO, Image.Image]]:
    """Open the file and the picture in it."""
    own = isinstance(source, Path | str)
    file = open_regular(Path(source)) if isinstance(source, Path | str) else source
    try:
        with _warnings_lock, warnings.catch_warnings():
            # Pillow warns from 89 megapixels on; our own limit decides.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(file, formats=decoders())
        with image:
            yield file, image
    finally:
        if own:
            file.close()


def _check_size(image: Image.Image, name: str) -> None:
    if (count := image.width * image.height) > MAX_PIXELS:
        raise DataError(_too_large(name, f"{image.width} x {image.height} = {count / 1e6:.0f}"))


def _too_large(name: str, megapixels: str) -> str:
    return f"{name} has {megapixels} megapixels where {MAX_PIXELS // 10**6} are allowed; scale it down first"


def _decode(
    image: Image.Image, file: BinaryIO, background: Colour, at_least: int | None, white: int, *, fine: bool
) -> Picture:
    file_format = "JPEG" if image.format == "MPO" else str(image.format)
    width, height = image.size
    if at_least is not None and file_format == "JPEG":
        # The JPEG decoder itself can leave out detail by 2, 4 or 8; it never goes below the size asked for.
        image.draft(None, (at_least, at_least))
    deep, grey = is_deep(image), image.mode.startswith("I")
    if not (deep and grey):
        image.load()  # before all bits are read: that moves in the file
    values = all_bits(image, file) if deep and (fine or grey or white < FULL_WHITE) else None
    opaque = image if values is None or (white == FULL_WHITE and not grey) else scaled(values, white)
    orientation = _orientation(image)
    rgb, transparent = _to_rgb(opaque, background)
    hidden = transparent and _is_flat(rgb) and not _is_flat(opaque.convert("RGBA"))
    parts = [rgb, opaque.convert("RGBA").getchannel("A")] if transparent else [rgb]
    parts += [grey_of(values, white, background)] if fine and values is not None else []
    if at_least is not None and (factor := min(rgb.size) // at_least) > 1:
        parts = [part.reduce(factor) for part in parts]
    if orientation in _TRANSPOSE:
        parts = [part.transpose(_TRANSPOSE[orientation]) for part in parts]
    if orientation in (5, 6, 7, 8):
        width, height = height, width
    # The second picture of a phone's MPO is a depth map or a thumbnail, and no picture of the set.
    further = image.format != "MPO" and _has_further_frames(image)
    alpha = parts[1] if transparent else None
    extremes = (int(values.min()), int(values.max())) if grey and values is not None else None
    own = parts[-1] if fine and values is not None else None
    return Picture(parts[0], width, height, file_format, transparent, further, deep, hidden, alpha, extremes, own)


def _is_flat(image: Image.Image) -> bool:
    """Tell whether all pixels are one colour."""
    return all(low == high for low, high in cast(Any, image.getextrema()))


def _has_further_frames(image: Image.Image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    # A damaged second frame is none.
    except Exception:
        return False


def _orientation(image: Image.Image) -> int:
    """Read the EXIF orientation, after decoding because Pillow turns TIFF files itself while decoding."""
    try:
        return int(image.getexif().get(0x0112, 1))
    # A damaged EXIF block does not make the picture unusable: it is then taken as upright.
    except Exception:
        return 1


def _to_rgb(image: Image.Image, background: Colour) -> tuple[Image.Image, bool]:
    """Convert to 8-bit RGB and tell whether any pixel was transparent."""
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
