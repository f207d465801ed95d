"""The kinds of picture files that are read: their suffixes, Pillow's decoders, and how a list of them is worded.

HEIC, which phones write, needs a decoder that Pillow does not have: `pip install pillow-heif` brings it.
"""

from functools import cache

_DECODERS: dict[str, tuple[str, ...]] = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
    "AVIF": (".avif", ".avifs"),
    "JPEG2000": (".jp2", ".j2k", ".jpx"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "QOI": (".qoi",),
}
"""By Pillow's name; "JPEG" includes MPO, which many phones write under .jpg. All of them begin with a signature, so
that a damaged file of one kind is never taken for another."""

_HEIC = (".heic", ".heif", ".hif")
HEIC_PACKAGE = "pip install pillow-heif"
READ_KINDS = "PNG, JPEG, WebP, BMP, TIFF, GIF, AVIF, JPEG 2000, PPM and QOI files"


@cache
def heic_is_read() -> bool:
    """Tell whether the package that decodes HEIC is installed; the first call makes Pillow know it."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True


@cache
def decoders() -> tuple[str, ...]:
    """Name the decoders that a file is offered, as Pillow calls them; no other one is ever tried."""
    return (*_DECODERS, "HEIF") if heic_is_read() else tuple(_DECODERS)


@cache
def suffixes() -> frozenset[str]:
    """Give the suffixes, in small letters, by which a file counts as a picture."""
    known = {suffix for several in _DECODERS.values() for suffix in several}
    return frozenset(known | set(_HEIC)) if heic_is_read() else frozenset(known)


def needs_package(suffix: str) -> bool:
    """Tell whether a suffix, in small letters, is of pictures that an optional package would read."""
    return suffix in _HEIC and not heic_is_read()
