"""Evaluation and run folders as `sase-gan evaluate` and `sase-gan train` write them, made from a seed without torch."""

import csv
import json
import math
import random
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

SIZE = 96


def face(seed: int) -> Image.Image:
    """A round face whose colours, eyes and mouth depend on the seed."""
    draw_from = random.Random(seed)
    scale = 3
    side = SIZE * scale
    image = Image.new("RGB", (side, side), tuple(draw_from.randint(190, 245) for _ in range(3)))
    draw = ImageDraw.Draw(image)
    skin = draw_from.choice([(250, 205, 80), (242, 170, 110), (190, 220, 120), (240, 150, 160), (150, 190, 240)])
    margin = draw_from.randint(8, 16) * scale
    draw.ellipse((margin, margin, side - margin, side - margin), fill=skin, outline=(70, 50, 40), width=4)
    eye, height, gap = (
        draw_from.randint(5, 10) * scale,
        draw_from.randint(34, 44) * scale,
        draw_from.randint(13, 20) * scale,
    )
    for x in (side // 2 - gap, side // 2 + gap):
        draw.ellipse((x - eye // 2, height - eye // 2, x + eye // 2, height + eye // 2), fill=(45, 35, 35))
    bend, wide = draw_from.randint(4, 18) * scale, draw_from.randint(16, 26) * scale
    box = (side // 2 - wide, 60 * scale - bend, side // 2 + wide, 60 * scale + bend)
    draw.arc(box, 10, 170, fill=(110, 30, 30), width=6) if seed % 3 else draw.arc(
        box, 190, 350, fill=(110, 30, 30), width=6
    )
    return image.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def blended(first: int, second: int, share: float) -> Image.Image:
    return Image.blend(face(first), face(second), share)


def grid(images: list[Image.Image], columns: int) -> Image.Image:
    rows = math.ceil(len(images) / columns)
    sheet = Image.new("RGB", (columns * (SIZE + 2) + 2, rows * (SIZE + 2) + 2), "white")
    for place, image in enumerate(images):
        sheet.paste(image, (2 + place % columns * (SIZE + 2), 2 + place // columns * (SIZE + 2)))
    return sheet


def metric(value: float | None, **more: Any) -> dict[str, Any]:
    record: dict[str, Any] = {
        "status": "ok",
        "value": value,
        "std": None,
        "low": None,
        "high": None,
        "interval": None,
        "n_real": 100,
        "n_fake": 1000,
        "extractor": None,
        "layer": None,
        "weights_sha256": None,
        "resize": None,
        "subset_size": None,
        "reference_set": "train",
        "mirrors": False,
        "reason": None,
        "baseline": None,
        "baseline_std": None,
        "better": "lower",
        "meaning": "A sentence about this number.",
        "comparability": "c0",
    }
    return record | more


EFFLITE0 = {"extractor": "efflite0", "layer": "pooled", "weights_sha256": "57" * 32, "resize": "pil-bicubic-224"}


def metrics(kid: float = 0.081, copy_share: float = 0.12) -> dict[str, Any]:
    error = 0.11 * kid
    bootstrap = "bootstrap over fakes, 200 draws"
    return {
        "kid_efflite0": metric(
            kid,
            std=error / 2,
            low=kid - error,
            high=kid + error,
            interval=bootstrap,
            subset_size=100,
            baseline=0.0001,
            baseline_std=0.0009,
            comparability="k1",
            **EFFLITE0,
            meaning="How far the two sets lie apart in a recognition network's features; 0 means not at all.",
        ),
        "fd_efflite0": metric(
            92.4,
            low=88.1,
            high=97.0,
            interval=bootstrap,
            baseline=24.8,
            baseline_std=0.6,
            comparability="f1",
            **EFFLITE0,
            meaning="The same question, comparing mean and spread only; it grows when there are few pictures.",
        ),
        "fd_mid_efflite0": metric(
            30.2, low=29.4, high=31.3, interval=bootstrap, baseline=25.7, baseline_std=0.4, **EFFLITE0
        ),
        "patch_swd": metric(
            0.034, baseline=0.035, baseline_std=0.002, meaning="Whether small patches have the right textures."
        ),
        "patch_swd_64": metric(0.042, baseline=0.035, baseline_std=0.002),
        "precision_efflite0": metric(
            0.62, low=0.58, high=0.66, interval=bootstrap, better="higher", baseline=0.75, **EFFLITE0
        ),
        "recall_efflite0": metric(
            0.41, low=0.37, high=0.46, interval=bootstrap, better="higher", baseline=0.71, **EFFLITE0
        ),
        "coverage_efflite0": metric(0.83, low=0.78, high=0.88, interval=bootstrap, better="higher", **EFFLITE0),
        "nn1_acc_efflite0": metric(0.71, std=0.03, better="target", baseline=0.5, **EFFLITE0),
        "copy_share": metric(
            copy_share,
            low=copy_share - 0.02,
            high=copy_share + 0.02,
            interval=bootstrap,
            baseline=0.08,
            baseline_std=0.06,
            meaning="How many fakes lie nearer to a training picture than 95 % of those lie to one another.",
        ),
        "nn_ratio": metric(
            0.94,
            low=0.92,
            high=0.96,
            interval=bootstrap,
            baseline=1.0,
            baseline_std=0.02,
            better="higher",
            meaning="The usual distance of a fake to the training set; training pictures have 1.",
        ),
        "authpct": metric(
            66.0, low=62.0, high=69.0, interval=bootstrap, baseline=70.0, baseline_std=9.0, better="higher"
        ),
        "div_efflite0": metric(0.87, low=0.85, high=0.9, interval=bootstrap, better="higher", **EFFLITE0),
        "lpips_diversity": metric(None, status="skipped", reason="weights missing: lpips-alex"),
        "density_efflite0": metric(None, status="failed", reason="the distance matrix did not fit into memory"),
    }


def record(
    *,
    copying: str = "amber",
    kid: float = 0.081,
    copy_share: float = 0.12,
    images_seen: int = 240_000,
    name: str = "faces",
) -> dict[str, Any]:
    draw_from = random.Random(7)
    bins = [round(0.02 * place, 3) for place in range(36)]
    bell = [math.exp(-(((place - 20) / 5) ** 2)) for place in range(35)]
    return {
        "schema_version": 1,
        "created": "2026-03-04T15:09:26+00:00",
        "seconds": 74.2,
        "command": "sase-gan evaluate runs/faces/snapshots/000240kimg --real faces --out runs/faces/evaluation",
        "protocol": {"name": "quick", "fakes": 1000, "reference": "train", "extractor": "auto", "seed": 1},
        "versions": {
            "sase_gan": "0.1.0",
            "commit": "0a1b2c3",
            "python": "3.12.1",
            "torch": "2.15.0",
            "torch_fidelity": "0.4.0",
        },
        "device": "cpu",
        "precision": "fp32",
        "data": {
            "name": name,
            "path_name": name,
            "licence": "CC0-1.0",
            "digest": "ab" * 32,
            "n": 100,
            "image_size": [SIZE, SIZE],
            "mirror": True,
            "jpeg_sources": 12,
            "holdout": 0,
        },
        "fakes": {
            "source": "snapshot",
            "name": "000240kimg",
            "n": 1000,
            "image_size": [SIZE, SIZE],
            "digest": "cd" * 32,
        },
        "model": {
            "snapshot": f"{images_seen // 1000:06d}kimg",
            "digest": "ef" * 32,
            "images_seen": images_seen,
            "averaged": True,
            "truncation": 1.0,
            "seed": 1,
            "noise": "random",
            "extractor_used_in_training": True,
            "parameters": 4_812_345,
        },
        "metrics": metrics(kid, copy_share),
        "verdict": {"quality": "amber", "diversity": "green", "copying": copying},
        "verdict_rules": {
            "copying": {
                "rule": "amber: nn_ratio < 0.950, the honest mean - 3 deviations",
                "text": "The fakes lie a little nearer to training pictures than held-out real pictures do.",
                "number": 0.94,
            },
            "quality": {
                "rule": "amber: kid_efflite0: green up to 0.02, amber up to 0.08, red above",
                "text": "An untrained eye tells most of them from real ones.",
                "number": kid,
            },
            "diversity": {
                "rule": "green: div_efflite0: green from 0.85, amber from 0.6, red below",
                "text": "They differ from each other nearly as much as the real ones.",
                "number": 0.87,
            },
        },
        "disagreement": "Pooled features call this set far from the real pictures, mid-level features and patches call "
        "it close: textures are right where whole shapes are not.",
        "pictures": {
            "reals": "samples/reals.png",
            "fakes": "samples/fakes.png",
            "fakes_truncated": "samples/fakes_truncated.png",
            "walk": {
                "strip": "samples/walk.png",
                "steps": [round(0.2 + 0.05 * draw_from.random(), 4) for _ in range(9)],
            },
            "copying": [
                {
                    "fake": f"samples/copy_{place:02d}_fake.png",
                    "nearest": f"samples/copy_{place:02d}_first.png",
                    "second": f"samples/copy_{place:02d}_second.png",
                    "fake_name": f"seed {draw_from.randint(0, 999)}",
                    "nearest_name": f"{draw_from.randint(0, 99):03d}.png",
                    "mirrored": place % 3 == 1,
                    "distance": round(0.16 + 0.02 * place, 4),
                    "space": "mid",
                    "second_distance": round(0.31 + 0.015 * place, 4),
                    "loo": 0.52,
                }
                for place in range(16)
            ],
            "typical": [
                {"picture": f"samples/typical_{place}.png", "name": f"seed {place}", "distance": 0.2}
                for place in range(6)
            ],
            "atypical": [f"samples/atypical_{place}.png" for place in range(6)],
        },
        "histograms": {
            "copying": {
                "bins": bins,
                "fake_to_train": [
                    round(1000 * height * (0.8 + 0.4 * draw_from.random())) for height in [*bell[3:], 0, 0, 0]
                ],
                "train_to_train": [round(20 * height * (0.6 + 0.8 * draw_from.random())) for height in bell],
            }
        },
        "curves": None,
    }


def write_pictures(folder: Path) -> None:
    samples = folder / "samples"
    samples.mkdir(parents=True, exist_ok=True)
    grid([face(seed) for seed in range(32)], 8).save(samples / "reals.png")
    grid([blended(seed, seed + 3, 0.25) for seed in range(100, 132)], 8).save(samples / "fakes.png")
    grid([blended(100 + seed % 5, seed, 0.25) for seed in range(100, 132)], 8).save(samples / "fakes_truncated.png")
    grid([blended(1, 8, step / 9) for step in range(10)], 10).save(samples / "walk.png")
    for place in range(16):
        blended(place, place + 40, 0.05 + 0.02 * place).save(samples / f"copy_{place:02d}_fake.png")
        face(place).save(samples / f"copy_{place:02d}_first.png")
        face(place + 40).save(samples / f"copy_{place:02d}_second.png")
    for place in range(6):
        face(place + 60).save(samples / f"typical_{place}.png")
        blended(place, place + 71, 0.5).save(samples / f"atypical_{place}.png")


def write_evaluation(folder: Path, content: dict[str, Any] | None = None, *, pictures: bool = True) -> Path:
    """An evaluation folder; `content` is its record."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps(content or record()), encoding="utf-8")
    if pictures:
        write_pictures(folder)
    return folder


def write_run(folder: Path, *, rows: int = 400) -> Path:
    """A run folder: 400 intervals of training, a record every 40,000 images; the late snapshots copy."""
    folder.mkdir(parents=True, exist_ok=True)
    draw_from = random.Random(3)
    columns = [
        "images_seen",
        "seconds",
        "g_adversarial",
        "d_fake",
        "d_rebuild_big",
        "real_logit",
        "fake_logit",
    ]
    columns += ["augment_probability", "images_per_second"]
    with (folder / "metrics.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for row in range(1, rows + 1):
            share = row / rows
            values = [
                0.9 + 0.4 * share,
                0.8 - 0.2 * share,
                0.5 * math.exp(-4 * share),
                0.6 + share,
                -0.4 - share,
                0.6 * share,
                31.0,
            ]
            noisy = [round(value + draw_from.gauss(0, 0.06), 4) for value in values[:5]] + values[5:]
            writer.writerow([row * 800, row * 26.1, *noisy])
    words = ["green", "green", "green", "green", "green", "green", "amber", "red"]
    lines = []
    for place, word in enumerate(words, start=1):
        line = record(
            copying=word,
            kid=round(0.4 / place**0.9, 4),
            copy_share=0.06 + 0.01 * place**2 / 2,
            images_seen=40_000 * place,
        )
        lines.append(json.dumps(line | {"pictures": {}, "histograms": {}}))
    (folder / "results.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "config.yaml").write_text(
        "task: low-shot\ndata:\n  path: faces\n  image_size: 96\ngenerator:\n  base_channels: 32\n"
    )
    (folder / "grids").mkdir(exist_ok=True)
    grid([face(seed) for seed in range(16)], 8).save(folder / "grids" / "000240kimg.png")
    return folder
