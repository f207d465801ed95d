"""Pictures come to a size by cropping, padding, or, where asked for, by squashing."""

from typing import Any

from PIL import Image

from sase_gan.fits import Fit
from sase_gan.pixels import WHITE, Colour
from sase_gan.sixteen_bits import grey_level


def fit_size(image: Image.Image, size: tuple[int, int], fit: Fit = "crop", background: Colour = WHITE) -> Image.Image:
    """Bring an 8-bit RGB picture, or a grey one, also of floats, to height and width.

    "crop" takes the largest rectangle of these proportions from the middle and resizes it. "pad" resizes the picture so
    that all of it fits (the other side is rounded to a whole pixel), puts it in the middle and fills the rest with the
    background. "squash" loses the proportions and reduces bilinearly, with antialiasing: what the released low-shot
    loops show their networks.
    """
    (height, width), wanted = size, (size[1], size[0])
    if fit == "crop":
        across, down = image.width * height, image.height * width
        inner = (round(down / height), image.height) if across > down else (image.width, round(across / width))
        left, top = (image.width - inner[0]) // 2, (image.height - inner[1]) // 2
        return _resize(image.crop((left, top, left + max(1, inner[0]), top + max(1, inner[1]))), wanted)
    if fit == "squash":
        return _resize(image, wanted, Image.Resampling.BILINEAR)
    # Resized before it is padded: a long strip padded first would need the memory of its long side squared.
    scale = min(width / image.width, height / image.height)
    whole = _resize(image, (max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    ground: Any = {"RGB": background, "F": grey_level(background)}.get(image.mode, 0)
    canvas = Image.new(image.mode, wanted, ground)
    canvas.paste(whole, ((width - whole.width) // 2, (height - whole.height) // 2))
    return canvas


def fit_square(image: Image.Image, size: int, fit: Fit = "crop", background: Colour = WHITE) -> Image.Image:
    """Bring an 8-bit RGB picture to a square of `size`, see `fit_size`."""
    return fit_size(image, (size, size), fit, background)


def _resize(image: Image.Image, size: tuple[int, int], way: Image.Resampling = Image.Resampling.LANCZOS) -> Image.Image:
    return image if image.size == size else image.resize(size, way)
