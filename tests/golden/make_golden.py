"""Make the golden values anew: the tiny snapshot, and what it draws. A commit that changes them says why.

The snapshot is made only where it is missing: it stands for those that people keep, which every later version must open
and draw from as before. Its weights keep four binary digits, so that they take less room in the repository.

    python -m tests.golden.make_golden
"""

import json
from pathlib import Path

import torch

from sase_gan.drawing.sampling import draw_inputs, sample_images
from sase_gan.files import write_atomically
from sase_gan.networks.generator import Generator, GeneratorConfig
from sase_gan.networks.load import load_generator
from sase_gan.training.averaging import recalibrated

FOLDER = Path(__file__).parent
SNAPSHOT = FOLDER / "tiny_snapshot"
PIXELS = FOLDER / "tiny_snapshot_pixels.json"
SEEDS = (0, 1, 2, 2**31 - 1)
PLACES = ((0, 0), (0, 31), (7, 20), (16, 16), (31, 0), (31, 31))
CONFIG = GeneratorConfig(image_size=32, width=4, latent_size=4, num_components=2)


def make_snapshot() -> None:
    torch.manual_seed(0)
    network = Generator(CONFIG)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("strength"):
                parameter.fill_(0.3)
    inputs = draw_inputs(network, range(64))
    published = recalibrated(network, [(inputs.z, inputs.noise)]).folded()
    with torch.no_grad():
        for tensor in (*published.parameters(), *published.buffers()):
            if tensor.is_floating_point():
                mantissa, exponent = torch.frexp(tensor)
                tensor.copy_(torch.ldexp((mantissa * 16).round() / 16, exponent))
    published.provenance = {"data": {"name": "none", "count": 0}, "images_seen": 0}
    published.save_pretrained(SNAPSHOT)
    (SNAPSHOT / "README.md").unlink(missing_ok=True)


def pixels() -> dict[str, dict[str, list]]:
    images = sample_images(load_generator(SNAPSHOT), SEEDS)
    return {
        str(seed): {
            "mean": [round(value, 4) for value in image.float().mean((1, 2)).tolist()],
            "pixels": [image[:, row, column].tolist() for row, column in PLACES],
        }
        for seed, image in zip(SEEDS, images, strict=True)
    }


if __name__ == "__main__":
    if not SNAPSHOT.exists():
        make_snapshot()
    with write_atomically(PIXELS) as temporary:
        temporary.write_text(json.dumps(pixels(), indent=1) + "\n")
