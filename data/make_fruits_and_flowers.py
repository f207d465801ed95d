"""Make the set fruits-and-flowers/ from the stamps of Tux Paint: photographs of one thing each, on white.

    python data/make_fruits_and_flowers.py --stamps /usr/share/tuxpaint/stamps [--out data/fruits-and-flowers]

The stamps are those of Debian's package tuxpaint-stamps-default (2022.06.04 was used). Each is cut to what is not
transparent, scaled to the same longer side and laid in the middle of a white square.
"""

import argparse
from pathlib import Path

from PIL import Image

IMAGE_SIZE = 128
LONGER_SIDE = 116
FOLDERS = ("food/fruit", "food/nuts", "food/vegetables", "plants/flowers")
# Whole shrubs, a string of garlic and leaves in a heap: none of them is one thing of a clear outline.
LEFT_OUT = {"plants/flowers/eggplant", "plants/flowers/adeenia", "food/vegetables/garlics"}


def draw(stamp: Path) -> Image.Image:
    """The thing on the stamp, in the middle of a white square."""
    with Image.open(stamp) as opened:
        picture = opened.convert("RGBA")
    box = picture.getchannel("A").point(lambda alpha: 255 * (alpha > 16)).getbbox()
    if box is None:
        raise SystemExit(f"{stamp} is transparent everywhere; stamps of Tux Paint are required")
    thing = picture.crop(box)
    scale = LONGER_SIDE / max(thing.size)
    thing = thing.resize((round(thing.width * scale), round(thing.height * scale)), Image.Resampling.LANCZOS)
    square = Image.new("RGBA", (IMAGE_SIZE, IMAGE_SIZE), "white")
    square.alpha_composite(thing, ((IMAGE_SIZE - thing.width) // 2, (IMAGE_SIZE - thing.height) // 2))
    return square.convert("RGB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stamps", type=Path, required=True, help="the folder of stamps of Tux Paint")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "fruits-and-flowers")
    options = parser.parse_args()
    stamps = [stamp for folder in FOLDERS for stamp in sorted((options.stamps / folder).glob("*.png"))]
    chosen = [one for one in stamps if str(one.relative_to(options.stamps).with_suffix("")) not in LEFT_OUT]
    if not chosen:
        raise SystemExit(f"{options.stamps} has no pictures in {', '.join(FOLDERS)}; name the folder of the stamps")
    options.out.mkdir(parents=True, exist_ok=True)
    for old in options.out.glob("*.png"):
        old.unlink()
    for stamp in chosen:
        name = stamp.stem.lower().replace("_", "-")
        draw(stamp).save(options.out / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
