"""Make the set single/ from the pictures that come with scikit-image: three that may be used freely, 256 pixels wide.

python data/make_single.py [--out data/single]
"""

import argparse
from pathlib import Path

import skimage.data
from PIL import Image

LONG_SIDE = 256
PICTURES = {
    "coffee": skimage.data.coffee,
    "hubble_deep_field": skimage.data.hubble_deep_field,
    "rocket": skimage.data.rocket,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "single")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name, load in PICTURES.items():
        picture = Image.fromarray(load())
        scale = LONG_SIDE / max(picture.size)
        size = (round(picture.width * scale), round(picture.height * scale))
        picture.resize(size, Image.Resampling.LANCZOS).save(options.out / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
