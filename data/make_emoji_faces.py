"""Draw the set emoji-faces/ from the Noto Color Emoji font: the round yellow faces, on white, one PNG each.

    python data/make_emoji_faces.py [--font NotoColorEmoji.ttf] [--out data/emoji-faces]

The font is the bitmap edition (its strikes are 136 x 128 pixels, chosen by asking for size 109), for example of
Debian's package fonts-noto-color-emoji; Pillow must have been built with Raqm, as its wheels are, for the faces that
join several characters.
"""

import argparse
import shutil
import subprocess
import unicodedata
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, features

STRIKE = 109
IMAGE_SIZE = 128
WINDOW = (-4, 1)  # where the 136 x 128 strike starts in the picture: the disc is then in the middle
KNOWN_PLACES = (
    Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"),
    Path("/usr/share/fonts/noto/NotoColorEmoji.ttf"),
    Path("/usr/share/fonts/google-noto-emoji/NotoColorEmoji.ttf"),
)

# Left out: cats, moons, monkeys, robot, clown, devils, ghosts, persons; and the red, green and blue faces (enraged,
# cursing, nauseated, hot, cold), the dotted and the clouded one, so that every picture is a yellow disc with features.
SINGLE = [
    *range(0x1F600, 0x1F608),
    *range(0x1F609, 0x1F621),
    *range(0x1F622, 0x1F638),
    *range(0x1F641, 0x1F645),
    *range(0x1F910, 0x1F916),
    0x1F917,
    0x1F920,
    *range(0x1F923, 0x1F926),
    *range(0x1F927, 0x1F92C),
    *range(0x1F92D, 0x1F930),
    *range(0x1F970, 0x1F975),
    *range(0x1F978, 0x1F97B),
    0x1F9D0,
    *range(0x1FAE0, 0x1FAE5),
    0x2639,
    0x263A,
]
# Not one character, or too new for the names in Python 3.11.
NAMED = {
    "shaking face": "\U0001fae8",
    "face exhaling": "\U0001f62e\u200d\U0001f4a8",
    "face with spiral eyes": "\U0001f635\u200d\U0001f4ab",
}


def find_font() -> Path:
    for place in KNOWN_PLACES:
        if place.is_file():
            return place
    if shutil.which("fc-match"):
        command = ["fc-match", "--format=%{file}", "Noto Color Emoji"]
        found = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        if "NotoColorEmoji" in found.name:
            return found
    raise SystemExit("NotoColorEmoji.ttf was not found; install the font or name it with --font")


def draw(text: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    """The glyph on white: an unscaled window of the strike, the same for all, so every disc lies in the same place."""
    layer = Image.new("RGBA", (IMAGE_SIZE, IMAGE_SIZE), (255, 255, 255, 0))
    ImageDraw.Draw(layer).text(WINDOW, text, font=font, embedded_color=True)
    if layer.getbbox() is None:
        raise SystemExit(f"the font has no picture for {text!r}; a newer edition is needed")
    picture = Image.new("RGBA", layer.size, "white")
    picture.alpha_composite(layer)
    return picture.convert("RGB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--font", type=Path, help="NotoColorEmoji.ttf; searched for when left out")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "emoji-faces")
    options = parser.parse_args()
    if not features.check("raqm"):
        raise SystemExit(
            "this Pillow was built without Raqm, which joins the characters of some faces; install its wheel"
        )
    font = ImageFont.truetype(options.font or find_font(), STRIKE, layout_engine=ImageFont.Layout.RAQM)
    texts = {unicodedata.name(chr(code)).lower(): chr(code) for code in SINGLE} | NAMED
    options.out.mkdir(parents=True, exist_ok=True)
    for old in options.out.glob("*.png"):
        old.unlink()
    for name, text in texts.items():
        draw(text, font).save(options.out / f"{name.replace(' ', '-')}.png", optimize=True)


if __name__ == "__main__":
    main()
