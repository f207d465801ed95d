r"""Make the README's rows of pictures from what `sase-gan sample` wrote.

    sase-gan train data/fruits-and-flowers --preset instant --image-size 128 --out runs/fruits
    sase-gan sample runs/fruits --seeds 0-9 --sources --out runs/fruits/samples
    python docs/images/make_front.py runs/fruits/samples docs/images/front_instant.jpg --enlarge 2 --sources

    sase-gan train data/single/hubble_deep_field.png --preset instant --out runs/sky
    sase-gan sample runs/sky --seeds 0-3 --out runs/sky/samples
    python docs/images/make_front.py runs/sky/samples docs/images/front_one.jpg --first \
        data/single/hubble_deep_field.png

    sase-gan finish data/snapshots/emoji-faces --strength 0.4 --variety 1.5 --out runs/finished
    sase-gan sample runs/finished --seeds 0-9 --sources --out runs/finished-samples
    sase-gan sample runs/finished --seeds 0-9 --unfinished --out runs/network-samples
    python docs/images/make_front.py runs/finished-samples docs/images/front_finished.jpg --enlarge 2 --sources \
        --above runs/network-samples

The first seeds are taken as they come.
"""

import argparse
from pathlib import Path

from PIL import Image

GAP = 4
WIDTH = 1320
"""Of the whole, at most."""


def enlarged(path: Path, times: int, size: tuple[int, int] | None = None) -> Image.Image:
    """The picture in a file, `times` as large or of that size."""
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    size = size or (picture.width * times, picture.height * times)
    return picture.resize(size, Image.Resampling.LANCZOS)


def main() -> None:
    """Make one row or more."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("samples", type=Path, help="the folder that `sase-gan sample` wrote")
    parser.add_argument("out", type=Path)
    parser.add_argument("--enlarge", type=int, default=1)
    parser.add_argument("--sources", action="store_true", help="under each picture the map of where it came from")
    parser.add_argument("--above", type=Path, help="a folder of what is shown above each picture")
    parser.add_argument("--first", type=Path, help="a picture to show before them, at their size")
    options = parser.parse_args()
    files = sorted(options.samples.glob("seed*[0-9].png"))
    pictures = [enlarged(file, options.enlarge) for file in files]
    if options.first:
        pictures.insert(0, enlarged(options.first, 1, pictures[0].size))
    below = [enlarged(file.with_suffix(".sources.png"), 1) for file in files] if options.sources else []
    above = [enlarged(options.above / file.name, options.enlarge) for file in files] if options.above else []
    stacks = [part for part in (above, pictures, below) if part]
    width = pictures[0].width
    columns = min(len(pictures), WIDTH // (width + GAP))
    tall = sum(part[0].height + GAP for part in stacks)
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * (width + GAP) - GAP, rows * tall - GAP), "white")
    for index in range(len(pictures)):
        left, top = index % columns * (width + GAP), index // columns * tall
        for part in stacks:
            sheet.paste(part[index], (left, top))
            top += part[index].height + GAP
    sheet.save(options.out, quality=90, optimize=True)


if __name__ == "__main__":
    main()
