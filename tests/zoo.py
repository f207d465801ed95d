"""A zoo of bad and odd inputs, made by code, and what `sase-gan data check` answers to each.

`python -m tests.zoo` writes docs/results/zoo.md. Every inmate lies in a folder of its own beside two good pictures, or
is a zip or a path that is checked itself.
"""

import io
import os
import re
import struct
import sys
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin
from typer.testing import CliRunner

from sase_gan.commands import data
from sase_gan.errors import SaseGanError

SIDE = 24


@dataclass(frozen=True)
class Inmate:
    """An inmate: how it is made, and what is said of it.

    Attributes:
        make: writes into the folder; returns what is to be checked, or None for the folder.
        code: the exit code.
        says: a regular expression that the answer holds.
    """

    name: str
    make: Callable[[Path], Path | None]
    code: int
    says: str


def picture(seed: int = 0, side: int = SIDE) -> Image.Image:
    """A smooth picture of its own for each seed."""
    noise = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC)


def png(image: Image.Image, **options: object) -> bytes:
    """The bytes of a PNG."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", **options)
    return buffer.getvalue()


def png_16_bit_colour(values: np.ndarray) -> bytes:
    """The bytes of a PNG of uint16 [H, W, 3]; Pillow cannot write one."""
    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def bmp_header(width: int, height: int) -> bytes:
    """A BMP's header alone."""
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, *([0] * 6))
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + info


def saved(name: str, image: Image.Image | None = None, **options: object) -> Callable[[Path], None]:
    """Save a picture under a name."""

    def make(folder: Path) -> None:
        given = dict(options)
        if frames := given.pop("append_images", 0):
            # New ones each time: Pillow leaves the settings of one format on a picture that it has saved.
            given["append_images"] = [picture(8 + index) for index in range(int(str(frames)))]
        (image or picture(7)).copy().save(folder / name, **given)

    return make


def written(name: str | bytes, content: bytes) -> Callable[[Path], None]:
    """Write bytes under a name, which may be no UTF-8."""

    def make(folder: Path) -> None:
        path = os.path.join(os.fsencode(folder), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)

    return make


def several(*makes: Callable[[Path], object]) -> Callable[[Path], None]:
    """Do one after the other."""

    def make(folder: Path) -> None:
        for one in makes:
            one(folder)

    return make


def alone(*makes: Callable[[Path], object]) -> Callable[[Path], None]:
    """A folder without the two good pictures."""

    def make(folder: Path) -> None:
        for good in folder.glob("good*.png"):
            good.unlink()
        several(*makes)(folder)

    return make


def zipped(*members: tuple[str, bytes], change: Callable[[bytearray], None] | None = None) -> Callable[[Path], Path]:
    """A zip of these members, perhaps changed afterwards, is what is checked."""

    def make(folder: Path) -> Path:
        path = folder.parent / f"{folder.name}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members:
                with warnings.catch_warnings(action="ignore"):  # of two members of one name
                    archive.writestr(zipfile.ZipInfo(name), content)
        if change:
            content = bytearray(path.read_bytes())
            change(content)
            path.write_bytes(content)
        return path

    return make


def file_given(name: str, content: bytes) -> Callable[[Path], Path]:
    """A file that is itself what is checked."""

    def make(folder: Path) -> Path:
        written(name, content)(folder)
        return folder / name

    return make


def fifo(folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")


def linked(name: str, target: str) -> Callable[[Path], None]:
    return lambda folder: os.symlink(target, folder / name)


def text_of(**entries: str) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for key, value in entries.items():
        info.add_text(key, value)
    return info


def truncated(name: str, share: float = 0.6, **options: object) -> Callable[[Path], None]:
    """The beginning of a picture file."""

    def make(folder: Path) -> None:
        picture(7, 96).save(folder / name, **options)
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * share)])

    return make


def bad_checksum(folder: Path) -> None:
    content = bytearray(png(picture(7)))
    content[content.index(b"IDAT") + 8] ^= 0xFF
    (folder / "odd.png").write_bytes(content)


def own_run(folder: Path) -> Path:
    for name in ("runs/cats-001/grids", "runs/cats-001/snapshots"):
        (folder / name).mkdir(parents=True)
    (folder / "runs/cats-001/config.yaml").write_text("task: low_shot\n")
    picture(7).save(folder / "runs/cats-001/grids/000001kimg.png")
    return folder / "runs/cats-001"


def own_snapshot(folder: Path) -> None:
    for name in ("config.json", "model.safetensors", "look.png"):
        written(f"model/{name}", png(picture(7)))(folder)


def own_evaluation(folder: Path) -> None:
    for name in ("metrics.json", "report.html", "samples/fakes.png"):
        written(f"evaluation-cats/{name}", png(picture(7)))(folder)


def encrypted(content: bytearray) -> None:
    for mark, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        position = content.find(mark)
        while position >= 0:
            content[position + offset] |= 1
            position = content.find(mark, position + 1)


def damaged_data(content: bytearray) -> None:
    place = content.index(b"IDAT") + 10
    content[place : place + 8] = bytes(8)


def no_utf8(content: bytearray) -> None:
    """Names that are said to be UTF-8 and are not."""
    for mark, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        content[content.index(mark) + offset + 1] |= 8
    for _ in range(2):
        place = content.index(b"odd.png")
        content[place] = 0xFF


def lying_size(content: bytearray) -> None:
    """A header that says the member unpacks to 600 MiB."""
    struct.pack_into("<I", content, content.index(b"PK\x01\x02") + 24, 600 * 2**20)


def drawn(folder: Path) -> None:
    picture(7).save(folder / "seed000001.png", pnginfo=text_of(snapshot="a" * 64, seed="1"))


GOOD = png(picture(1))
DEEP = np.arange(SIDE * SIDE, dtype=np.uint16).reshape(SIDE, SIDE)
FULL_DEEP, TWELVE = DEEP * 113, DEEP * 7
COLOUR = np.stack([FULL_DEEP, FULL_DEEP[::-1], FULL_DEEP.T], -1)
TWELVE_COLOUR = np.stack([TWELVE, TWELVE[::-1], TWELVE.T], -1)
SHADES = Image.merge("RGBA", (*[Image.new("L", (SIDE, SIDE), 255)] * 3, picture(7).convert("L")))
ROTATED = Image.Exif()
ROTATED[0x0112] = 6
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
READ = "3 readable, 0 unreadable"
LOST = "2 readable, 1 unreadable"
APART = r"2 readable, 0 unreadable.*Left out, "

READABLE = (
    Inmate("PNG of colours", saved("odd.png"), 0, READ),
    Inmate("grey PNG", saved("odd.png", picture(7).convert("L")), 0, f"{READ}.*mixes colour and grey"),
    Inmate("PNG with a palette", saved("odd.png", picture(7).quantize(16)), 0, READ),
    Inmate("PNG of one bit", saved("odd.png", picture(7).convert("1")), 0, READ),
    Inmate("PNG with grey and alpha", saved("odd.png", picture(7).convert("LA")), 0, READ),
    Inmate(
        "transparent PNG", saved("odd.png", Image.new("RGBA", (SIDE, SIDE), (9, 200, 9, 90))), 0, "shown on the back"
    ),
    Inmate("16-bit grey PNG", saved("odd.png", Image.fromarray(FULL_DEEP)), 0, f"{READ}(?!.*Scaled)"),
    Inmate("16-bit colour PNG", written("odd.png", png_16_bit_colour(COLOUR)), 0, f"{READ}(?!.*Scaled)"),
    Inmate("PNG with a colour profile", saved("odd.png", icc_profile=PROFILE), 0, READ),
    Inmate("JPEG", saved("odd.jpg"), 0, f"{READ}.*1 picture is JPEG"),
    Inmate("progressive JPEG", saved("odd.jpeg", progressive=True), 0, READ),
    Inmate("grey JPEG", saved("odd.jpg", picture(7).convert("L")), 0, READ),
    Inmate("CMYK JPEG", saved("odd.jpg", picture(7).convert("CMYK")), 0, READ),
    Inmate("JPEG called .jfif", saved("odd.jfif", format="JPEG"), 0, f"{READ}.*1 picture is JPEG"),
    Inmate("JPEG called .jpe", saved("odd.jpe", format="JPEG"), 0, READ),
    Inmate("JPEG called .JPG", saved("ODD.JPG", format="JPEG"), 0, READ),
    Inmate("a phone's MPO", saved("odd.jpg", format="MPO", save_all=True, append_images=2), 0, f"{READ}(?!.*Cut)"),
    Inmate("rotated JPEG", saved("odd.jpg", exif=ROTATED), 0, READ),
    Inmate("WebP", saved("odd.webp"), 0, READ),
    Inmate("lossless WebP", saved("odd.webp", lossless=True), 0, READ),
    Inmate("BMP", saved("odd.bmp"), 0, READ),
    Inmate("BMP called .dib", saved("odd.dib"), 0, READ),
    Inmate("compressed TIFF", saved("odd.tif", compression="tiff_lzw"), 0, READ),
    Inmate("CMYK TIFF", saved("odd.tiff", picture(7).convert("CMYK")), 0, READ),
    Inmate("16-bit TIFF", saved("odd.tiff", Image.fromarray(FULL_DEEP)), 0, f"{READ}(?!.*Scaled)"),
    Inmate("GIF", saved("odd.gif"), 0, f"{READ}(?!.*Cut)"),
    Inmate("AVIF", saved("odd.avif"), 0, READ),
    Inmate("JPEG 2000", saved("odd.jp2"), 0, READ),
    Inmate("PPM", saved("odd.ppm"), 0, READ),
    Inmate("PGM", saved("odd.pgm", picture(7).convert("L")), 0, READ),
    Inmate("PBM", saved("odd.pbm", picture(7).convert("1")), 0, READ),
    Inmate("PNG called .jpg", written("odd.jpg", png(picture(7))), 0, f"{READ}(?!.*JPEG:)"),
    Inmate("JPEG called .png", saved("odd.png", format="JPEG"), 0, f"{READ}.*1 picture is JPEG"),
    Inmate("one pixel", saved("odd.png", Image.new("RGB", (1, 1), (9, 99, 9))), 0, f"{READ}.*shortest side 1"),
    Inmate("a strip of one row", saved("odd.png", picture(7).resize((900, 1))), 0, f"{READ}.*longest 900"),
    Inmate("a strip of one column", saved("odd.png", picture(7).resize((1, 900))), 0, f"{READ}.*longest 900"),
    Inmate("a folder called x.png", written("x.png/odd.png", png(picture(7))), 0, READ),
    Inmate("a folder within folders", written("a/b/c/d/e/odd.png", png(picture(7))), 0, READ),
    Inmate("a link that leads back", several(linked("again", "."), saved("odd.png")), 0, READ),
)

TOLD = (
    Inmate("animated GIF", saved("odd.gif", save_all=True, append_images=2), 0, f"{READ}.*Cut: 1 file"),
    Inmate("animated PNG", saved("odd.png", save_all=True, append_images=2), 0, f"{READ}.*Cut: 1 file"),
    Inmate("animated WebP", saved("odd.webp", save_all=True, append_images=2), 0, f"{READ}.*Cut: 1 file"),
    Inmate("animated AVIF", saved("odd.avif", save_all=True, append_images=2), 0, f"{READ}.*Cut: 1 file"),
    Inmate("TIFF of three pages", saved("odd.tif", save_all=True, append_images=2), 0, f"{READ}.*Cut: 1 file"),
    Inmate("12 bits in a 16-bit PNG", saved("odd.png", Image.fromarray(TWELVE)), 0, "Scaled: 1 pic.*4095 is white"),
    Inmate("12 bits in a 16-bit TIFF", saved("odd.tif", Image.fromarray(TWELVE)), 0, "Scaled: 1 pic.*4095 is white"),
    Inmate(
        "12 bits of colour", written("odd.png", png_16_bit_colour(TWELVE_COLOUR)), 0, "Scaled: 1 pic.*4095 is white"
    ),
    Inmate("white drawing on transparent", saved("odd.png", SHADES), 0, r"Lost: 1 picture.*odd\.png.*--background"),
    Inmate("nothing but transparency", saved("odd.png", Image.new("RGBA", (9, 9))), 0, r"Empty: 1 picture.*odd\.png"),
    Inmate("black picture", saved("odd.png", Image.new("RGB", (SIDE, SIDE))), 0, r"Empty: 1 picture.*odd\.png"),
    Inmate("a set of one picture thrice", alone(*(saved(f"{i}.png") for i in range(3))), 0, "Alike: all 3 pictures"),
    Inmate("HEIC", written("odd.heic", b"\0\0\0\x18ftypheic"), 0, rf"{APART}HEIC, which pip install .*odd\.heic"),
    Inmate("Photoshop file", written("odd.psd", b"8BPS"), 0, rf"{APART}no picture by the suffix: 1 file \(odd\.psd"),
    Inmate("drawing as SVG", written("odd.svg", b"<svg/>"), 0, rf"{APART}no picture.*odd\.svg"),
    Inmate("a film", written("odd.mp4", b"\0\0\0\x18ftypmp42"), 0, rf"{APART}no picture.*odd\.mp4"),
    Inmate("labels", written("labels.csv", b"name,label"), 0, rf"{APART}no picture.*labels\.csv"),
    Inmate("a picture without suffix", written("odd", png(picture(7))), 0, rf"{APART}no picture.*\(odd\)"),
    Inmate(
        "our own grid", saved("grid.png", pnginfo=text_of(sase_gan="sheet")), 0, rf"{APART}a sheet that sase-gan wrote"
    ),
    Inmate("an older grid of ours", saved("grid.png", pnginfo=text_of(seeds="0-63")), 0, rf"{APART}a sheet"),
    Inmate("our own sample", drawn, 0, rf"{APART}drawn by sase-gan: 1 file"),
    Inmate(
        "a run among the pictures",
        lambda folder: own_run(folder) and None,
        0,
        rf"{APART}written by sase-gan .run.: 1 file",
    ),
    Inmate("a snapshot among them", own_snapshot, 0, rf"{APART}written by sase-gan .snapshot.: 1 file"),
    Inmate("an evaluation among them", own_evaluation, 0, rf"{APART}written by sase-gan .evaluation.: 1 file"),
    Inmate("a pipe called a.png", fifo, 0, rf"{APART}no regular file.*pipe\.png"),
    Inmate("a link that leads nowhere", linked("odd.png", "gone.png"), 0, rf"{APART}no regular file.*odd\.png"),
    Inmate("a link to a device", linked("odd.png", "/dev/zero"), 0, rf"{APART}no regular file.*odd\.png"),
    Inmate(
        "hidden files", several(written(".odd.png", b"x"), written("__MACOSX/odd.png", b"x")), 0, "2 readable, 0 un"
    ),
)

NAMES = (
    Inmate("a name that is no UTF-8", written(b"caf\xe9.png", png(picture(7))), 0, READ),
    Inmate(
        "a broken one of such a name", written(b"caf\xe9.png", b"x"), 4, "caf\N{REPLACEMENT CHARACTER}.png cannot be"
    ),
    Inmate(
        "a command to the terminal", written("\x1b[31mred.png", b"x"), 4, "\N{REPLACEMENT CHARACTER}.31mred.png can"
    ),
    Inmate("a name of two lines", written("a\nb.png", b"x"), 4, "a\N{REPLACEMENT CHARACTER}b.png cannot be read"),
    Inmate(
        "two names alike when shown", several(written("a\x01.png", GOOD), written("a\x02.png", b"x")), 4, "~2.png can"
    ),
    Inmate("a name against the reading direction", written("\u202egnp.png", b"x"), 4, "gnp.png cannot be read"),
    Inmate("a name with a colon", written("a:b.png", png(picture(7))), 0, READ),
    Inmate("a very long name", written("n" * 250 + ".png", png(picture(7))), 0, READ),
    Inmate("a name of emoji", written("\U0001f600.png", png(picture(7))), 0, READ),
    Inmate("a name like an option", written("--help.png", png(picture(7))), 0, READ),
    Inmate("a name with markup", written("[bold]x[/].png", b"x"), 4, r"\[bold\]x\[/\].png cannot be read"),
)

BROKEN = (
    Inmate("an empty file", written("odd.png", b""), 4, rf"{LOST}.*odd\.png cannot be read \(it is empty\)"),
    Inmate("text", written("odd.png", b"not a picture"), 4, rf"{LOST}.*not a picture of a known kind"),
    Inmate("a web page called .jpg", written("odd.jpg", b"<html></html>"), 4, rf"{LOST}.*odd\.jpg cannot be read"),
    Inmate("zeros", written("odd.png", bytes(4096)), 4, rf"{LOST}.*odd\.png cannot be read"),
    Inmate("a zip called .png", written("odd.png", b"PK\x03\x04" + bytes(40)), 4, rf"{LOST}.*odd\.png cannot be read"),
    Inmate("half a PNG", truncated("odd.png"), 4, rf"{LOST}.*odd\.png cannot be read"),
    Inmate("half a JPEG", truncated("odd.jpg"), 4, rf"{LOST}.*odd\.jpg cannot be read"),
    Inmate("half a GIF", truncated("odd.gif"), 4, rf"{LOST}.*odd\.gif cannot be read"),
    Inmate("half a WebP", truncated("odd.webp"), 4, rf"{LOST}.*odd\.webp cannot be read"),
    Inmate("half a TIFF", truncated("odd.tif"), 4, rf"{LOST}.*odd\.tif cannot be read"),
    Inmate("half an AVIF", truncated("odd.avif"), 4, rf"{LOST}.*odd\.avif cannot be read"),
    Inmate("half a BMP", truncated("odd.bmp"), 4, rf"{LOST}.*odd\.bmp cannot be read"),
    Inmate("half a PPM", truncated("odd.ppm"), 4, rf"{LOST}.*odd\.ppm cannot be read"),
    Inmate("a PNG with a wrong checksum", bad_checksum, 4, rf"{LOST}.*odd\.png cannot be read"),
    Inmate(
        "a header alone of 120 megapixels", written("o.bmp", bmp_header(12_000, 10_001)), 4, r"120 megapixels where"
    ),
    Inmate(
        "a header alone of 3,600", written("o.bmp", bmp_header(60_000, 60_000)), 4, r"o\.bmp has .* megapixels where"
    ),
    Inmate(
        "a TIFF of floats", saved("o.tif", Image.fromarray(np.ones((9, 9), np.float32))), 4, "floating-point numbers"
    ),
    Inmate(
        "a TIFF of 32 bits", saved("o.tif", Image.fromarray(np.full((9, 9), 70_000, np.int32))), 4, "more than 16 bits"
    ),
)

ZIPS = (
    Inmate("a zip of pictures", zipped(("a.png", GOOD), ("b/c.png", png(picture(2)))), 0, "2 readable, 0 unreadable"),
    Inmate("a zip with a colon", zipped(("a:b.png", GOOD)), 0, "1 readable, 0 unreadable"),
    Inmate("a zip with a dot", zipped((".", b"x"), ("a.png", GOOD)), 0, "1 readable, 0 unreadable"),
    Inmate("a zip with one name twice", zipped(("a.png", GOOD), ("a.png", GOOD)), 0, "1 readable, 0 unreadable"),
    Inmate(
        "a zip with samples of ours",
        zipped(("grid.png", png(picture(1), pnginfo=text_of(seeds="1"))), ("a.png", GOOD)),
        0,
        "1 readable, 0 unreadable.*a sheet that sase-gan wrote",
    ),
    Inmate("a zip in a zip", zipped(("in.zip", b"PK"), ("a.png", GOOD)), 0, r"1 readable.*no picture.*in\.zip"),
    Inmate("a zip that writes outside", zipped(("../evil.png", GOOD)), 4, "names must be relative"),
    Inmate("a zip with absolute names", zipped(("/etc/evil.png", GOOD)), 4, "names must be relative"),
    Inmate("a zip with drive letters", zipped(("C:\\evil.png", GOOD)), 4, "names must be relative"),
    Inmate("a zip without pictures", zipped(("a.txt", b"x")), 4, r"holds no picture, only other files \(1 no picture"),
    Inmate("an empty zip", zipped(), 4, "holds no picture;"),
    Inmate("a file called .zip", file_given("odd.zip", b"not a zip"), 4, "is not a readable zip"),
    Inmate("half a zip", file_given("odd.zip", b"PK\x03\x04" + bytes(50)), 4, "is not a readable zip"),
    Inmate("an encrypted zip", zipped(("a.png", GOOD), change=encrypted), 4, r"a\.png cannot be read .*encrypted"),
    Inmate("a zip with damaged data", zipped(("a.png", GOOD), change=damaged_data), 4, r"a\.png cannot be read"),
    Inmate("a zip whose names are not UTF-8", zipped(("odd.png", GOOD), change=no_utf8), 4, "is not a readable zip"),
    Inmate("a zip that says it is huge", zipped(("a.png", GOOD), change=lying_size), 4, "unpacks to more than 512 MiB"),
)

PATHS = (
    Inmate("nothing there", lambda folder: folder / "missing", 4, "does not exist"),
    Inmate("an empty folder", alone(), 4, "holds no picture;"),
    Inmate("a folder of text", alone(written("a.txt", b"x")), 4, "only other files"),
    Inmate("a folder of our samples alone", alone(drawn), 4, "only other files .1 drawn by sase-gan"),
    Inmate("a run of ours", own_run, 4, "was written by sase-gan .run. and is no set of pictures"),
    Inmate("a pipe", lambda folder: (fifo(folder), folder / "pipe.png")[1], 4, "is no regular file but a pipe"),
    Inmate("a device", lambda folder: Path("/dev/null"), 4, "is no regular file but a pipe or a device"),
    Inmate("a text file", file_given("notes.txt", b"x"), 4, r"is no folder, \.zip or picture"),
    Inmate("a HEIC file", file_given("odd.heic", b"x"), 4, "pip install .* brings HEIC"),
)

INMATES = {"Read": READABLE, "Told": TOLD, "Names": NAMES, "Broken": BROKEN, "Zips": ZIPS, "Paths": PATHS}


def housed(inmate: Inmate, folder: Path) -> Path:
    """Put an inmate into an empty folder, beside two good pictures; returns what is to be checked."""
    folder.mkdir()
    for index in (1, 2):
        picture(index).save(folder / f"good{index}.png")
    return inmate.make(folder) or folder


def answer(path: Path) -> tuple[int, str]:
    """Check a path as the command line does: the exit code, and all that was said, on one line."""
    result = CliRunner().invoke(data.app, ["check", "--", str(path)])
    said = result.output
    error = result.exception
    if isinstance(error, SaseGanError):
        return error.exit_code, " ".join(f"{said}\n{error}".split())
    if error is not None and not isinstance(error, SystemExit):
        raise error
    return result.exit_code, " ".join(said.split())


def gist(inmate: Inmate, said: str, place: Path) -> str:
    """What is said about the inmate itself: the line about it, or the numbers."""
    numbers = re.search(r"\d+ readable, \d+ unreadable", said)
    if not numbers:
        return said.replace(str(place), "PLACE").replace("|", r"\|")
    kinds = ("Left out", "Cut", "Scaled", "Lost", "Empty", "Alike")
    points = [point.split(" Unreadable pictures")[0] for point in said.split(" - ")[1:]]
    told = [point for point in points if point.startswith(kinds) or "cannot be read" in point or "megapixels" in point]
    # After the list the error counts what is in it.
    told = [re.split(r" \d+ of \d+ pictures in |; replace or remove", point)[0] for point in told]
    text = "; ".join([numbers[0], *told])
    return text.replace(str(place), "PLACE").replace(f"{place.name}: ", "").replace("|", r"\|")


def table(place: Path) -> list[str]:
    """The rows of the table, kind by kind."""
    lines = ["| input | exit code | answer |", "| --- | --- | --- |"]
    for kind, inmates in INMATES.items():
        for number, inmate in enumerate(inmates):
            path = housed(inmate, place / f"{kind.lower()}-{number}")
            with chdir(place):
                code, said = answer(path)
            lines.append(f"| {inmate.name} | {code} | {gist(inmate, said, path)} |")
    return lines


def main() -> None:
    """Write the table."""
    count = sum(map(len, INMATES.values()))
    with tempfile.TemporaryDirectory() as place:
        rows = table(Path(place))
    text = (
        f"# A zoo of {count} bad and odd inputs\n\nWhat `sase-gan data check` answers to each, written by "
        "`python -m tests.zoo`. Each lies beside two good pictures where\nit is no zip or path of its own; `tests/"
        "test_zoo.py` holds the answers to it. Exit code 4 is unusable data.\n\n"
    )
    target = Path(__file__).resolve().parents[1] / "docs" / "results" / "zoo.md"
    target.parent.mkdir(exist_ok=True)
    target.write_text(text + "\n".join(rows) + "\n", encoding="utf-8")
    print(f"{count} inputs: {target}", file=sys.stderr)


if __name__ == "__main__":
    main()
