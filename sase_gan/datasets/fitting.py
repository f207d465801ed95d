"""Pictures become square by cropping, padding, or, where asked for, by squashing."""

from PIL import Image

from sase_gan.fits import Fit
from sase_gan.pixels import WHITE, Colour


def fit_square(image: Image.Image, size: int, fit: Fit = "crop", background: Colour = WHITE) -> Image.Image:
    """Make an 8-bit RGB picture a square of `size`.

    "crop" takes the square in the middle and resizes it. "pad" resizes the picture so that its long side fits (the
    short one is rounded to a whole pixel), puts it in the middle and fills the rest with the background. "squash" loses
    the proportions and reduces bilinearly, with antialiasing: what the released low-shot loops show their networks.
    """
    width, height = image.size
    if fit == "crop":
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        return _resize(image.crop((left, top, left + side, top + side)), (size, size))
    if fit == "squash":
        return _resize(image, (size, size), Image.Resampling.BILINEAR)
    # Resized before it is padded: a long strip padded first would need the memory of its long side squared.
    scale = size / max(width, height)
    inner = _resize(image, (max(1, round(width * scale)), max(1, round(height * scale))))
    canvas = Image.new("RGB", (size, size), background)
    canvas.paste(inner, ((size - inner.width) // 2, (size - inner.height) // 2))
    return canvas


def _resize(image: Image.Image, size: tuple[int, int], way: Image.Resampling = Image.Resampling.LANCZOS) -> Image.Image:
    return image if image.size == size else image.resize(size, way)
