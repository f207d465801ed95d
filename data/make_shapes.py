"""Draw `data/shapes`: a small instance-segmentation set in COCO's format, of our own making and free (Apache-2.0).

    python data/make_shapes.py [FOLDER]

100 training and 40 test pictures of 96 x 96 pixels: discs, squares and triangles of any colour, size and rotation on
shaded backgrounds, never overlapping. As in COCO itself, the category numbers have gaps, some pictures hold no object,
and some hold a crowd region (many little discs, one run-length mask), which training leaves out and evaluation ignores.
"""

import json
import math
import random
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

SIDE = 96
SCALE = 4  # drawn larger and reduced, for smooth edges
CATEGORIES = {1: "disc", 3: "square", 7: "triangle"}
PARTS = {"train": 100, "test": 40}


def outline(kind: int, x: float, y: float, radius: float, angle: float) -> list[tuple[float, float]]:
    corners = {1: 32, 3: 4, 7: 3}[kind]
    return [
        (
            x + radius * math.cos(angle + 2 * math.pi * i / corners),
            y + radius * math.sin(angle + 2 * math.pi * i / corners),
        )
        for i in range(corners)
    ]


def background(source: random.Random) -> Image.Image:
    """A shaded background with a few stripes, in muted colours."""
    corners = np.array([[[source.randint(60, 180) for _ in range(3)] for _ in range(2)] for _ in range(2)], np.uint8)
    image = Image.fromarray(corners).resize((SIDE * SCALE, SIDE * SCALE), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(source.randint(0, 3)):
        ends = [source.uniform(0, SIDE * SCALE) for _ in range(4)]
        draw.line(ends, fill=tuple(source.randint(60, 180) for _ in range(3)), width=SCALE * source.randint(1, 2))
    return image


def colour(source: random.Random) -> tuple[int, ...]:
    """A vivid colour, so that no shape drowns in the background."""
    channels = [source.randint(200, 255), source.randint(0, 60), source.randint(0, 255)]
    source.shuffle(channels)
    return tuple(channels)


def place(source: random.Random, taken: list[tuple[float, float, float]]) -> tuple[float, float, float] | None:
    for _ in range(50):
        radius = source.uniform(7, 22)
        x, y = (source.uniform(radius, SIDE - radius) for _ in range(2))
        if all(math.hypot(x - a, y - b) > radius + r + 1 for a, b, r in taken):
            return x, y, radius
    return None


def draw_objects(source: random.Random, image: Image.Image) -> list[dict]:
    draw, taken, annotations = ImageDraw.Draw(image), [], []
    # Every eighth picture or so stays empty.
    for _ in range(0 if source.random() < 0.12 else source.randint(1, 5)):
        spot = place(source, taken)
        if spot is None:
            continue
        taken.append(spot)
        kind = source.choice(sorted(CATEGORIES))
        points = outline(kind, *spot, source.uniform(0, 2 * math.pi))
        draw.polygon([(SCALE * x, SCALE * y) for x, y in points], fill=colour(source))
        flat = [round(v, 2) for point in points for v in point]
        region = coco_mask.merge(coco_mask.frPyObjects([flat], SIDE, SIDE))
        xs, ys = flat[::2], flat[1::2]
        box = [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
        annotations.append(
            {
                "category_id": kind,
                "segmentation": [flat],
                "area": float(coco_mask.area(region)),
                "bbox": [round(v, 2) for v in box],
                "iscrowd": 0,
            }
        )
    if source.random() < 0.06:
        crowd = draw_crowd(source, draw, taken)
        if crowd:
            annotations.append(crowd)
    return annotations


def draw_crowd(
    source: random.Random, draw: ImageDraw.ImageDraw, taken: list[tuple[float, float, float]]
) -> dict | None:
    spot = place(source, taken)
    if spot is None:
        return None
    x, y, radius = spot
    region = np.zeros((SIDE, SIDE), np.uint8)
    fill = colour(source)
    for _ in range(14):
        angle, away = source.uniform(0, 2 * math.pi), radius * math.sqrt(source.random()) * 0.85
        points = outline(1, x + away * math.cos(angle), y + away * math.sin(angle), 2.0, 0.0)
        draw.polygon([(SCALE * a, SCALE * b) for a, b in points], fill=fill)
        flat = [v for point in points for v in point]
        region |= coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects([flat], SIDE, SIDE)))
    # COCO writes crowds as plain run lengths, column by column, starting with the background.
    flat_region, counts, current = region.flatten(order="F"), [], 0
    start = 0
    for index, value in enumerate(flat_region):
        if value != current:
            counts.append(index - start)
            start, current = index, value
    counts.append(len(flat_region) - start)
    rows, columns = np.nonzero(region)
    box = [columns.min(), rows.min(), columns.max() - columns.min() + 1, rows.max() - rows.min() + 1]
    return {
        "category_id": 1,
        "segmentation": {"size": [SIDE, SIDE], "counts": counts},
        "area": float(region.sum()),
        "bbox": [float(v) for v in box],
        "iscrowd": 1,
    }


def make(folder: Path) -> None:
    for part, count in PARTS.items():
        source = random.Random(f"shapes {part}")
        (folder / part).mkdir(parents=True, exist_ok=True)
        images, annotations = [], []
        for number in range(1, count + 1):
            image = background(source)
            for annotation in draw_objects(source, image):
                annotations.append({"id": len(annotations) + 1, "image_id": number, **annotation})
            name = f"{number:03d}.png"
            image.resize((SIDE, SIDE), Image.Resampling.BOX).quantize(48, dither=Image.Dither.NONE).save(
                folder / part / name, optimize=True
            )
            images.append({"id": number, "file_name": name, "width": SIDE, "height": SIDE})
        content = {
            "info": {"description": "shapes drawn by data/make_shapes.py of sase_gan", "version": "1"},
            "licenses": [{"id": 1, "name": "Apache-2.0"}],
            "categories": [{"id": i, "name": name} for i, name in CATEGORIES.items()],
            "images": images,
            "annotations": annotations,
        }
        (folder / f"{part}.json").write_text(json.dumps(content, separators=(",", ":")))


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "shapes")
