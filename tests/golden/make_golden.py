"""Make the golden values anew: tiny snapshots, one of each kind that learns, and what they draw. A commit that changes
them says why.

A snapshot is made only where it is missing: it stands for those that people keep, which every later version must open
and draw from as before. Weights keep four binary digits, so that they take less room in the repository.

    python -m tests.golden.make_golden
"""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from sase_gan.drawing.sampling import draw_inputs, sample_images
from sase_gan.files import write_atomically
from sase_gan.networks.finished import FinishedGenerator, FinishedGeneratorConfig
from sase_gan.networks.generator import Generator, GeneratorConfig
from sase_gan.networks.load import Network, load_network
from sase_gan.networks.pyramid import Pyramid, PyramidConfig
from sase_gan.recombination.model import RecombinerConfig
from sase_gan.training.averaging import recalibrated

FOLDER = Path(__file__).parent
SNAPSHOT = FOLDER / "tiny_snapshot"
SEEDS = (0, 1, 2, 2**31 - 1)
PLACES = ((0.0, 0.0), (0.0, 1.0), (0.22, 0.65), (0.5, 0.5), (1.0, 0.0), (1.0, 1.0))
"""Of the pixels that are kept: shares of the way down and to the right."""
CONFIG = GeneratorConfig(image_size=32, width=4, latent_size=4, num_components=2)


def make_generator() -> Generator:
    torch.manual_seed(0)
    network = Generator(CONFIG)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("strength"):
                parameter.fill_(0.3)
    inputs = draw_inputs(network, range(64))
    return recalibrated(network, [(inputs.z, inputs.noise)]).folded()


def make_pyramid() -> Pyramid:
    """Three stages, of which two have gates and the last two are finished."""
    torch.manual_seed(0)
    pyramid = Pyramid(PyramidConfig(sizes=((12, 16), (15, 20), (18, 24)), width=4, num_components=3)).eval()
    pyramid.amplitudes.copy_(torch.tensor([1.0, 0.5, 0.5]))
    pyramid.draw_fixed_noise(0)
    pyramid.picture.copy_(smooth_pictures(1, (18, 24))[0])
    return pyramid


def make_finished() -> FinishedGenerator:
    """The generator of the tiny snapshot, finished out of three pictures and their mirror images."""
    alone = load_network(SNAPSHOT)
    patches = RecombinerConfig(count=3, size=(32, 32), mirror=True, variety=1.5)
    about = alone.config.model_dump() | {"strength": 0.4, "patches": patches}
    model = FinishedGenerator(FinishedGeneratorConfig(**about)).eval()
    model.patches.pictures.copy_(smooth_pictures(3, (32, 32)))
    own = {f"patches.{name}": value for name, value in model.patches.state_dict().items()}
    model.load_state_dict(alone.state_dict() | own)
    return model


def smooth_pictures(count: int, size: tuple[int, int]) -> Tensor:
    """Colours that flow, and a disc each: uint8 `[count, 3, height, width]`."""
    coarse = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(5))
    pictures = nn.functional.interpolate(coarse, size, mode="bicubic").clamp(0, 1)
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, size[0]), torch.linspace(-1, 1, size[1]), indexing="ij")
    for index, picture in enumerate(pictures):
        picture[index % 3, (rows - 0.2 * index).square() + columns.square() < 0.2] = 1
    return (255 * pictures).to(torch.uint8)


KEPT: dict[str, Callable[[], Network]] = {
    "tiny_snapshot": make_generator,
    "tiny_pyramid": make_pyramid,
    "tiny_finished": make_finished,
}
"""Snapshots by folder."""
HALVED = {"tiny_finished"}
"""Those in half precision, for the room that they take."""


def make_snapshot(name: str) -> None:
    network = KEPT[name]()
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.is_floating_point():
                mantissa, exponent = torch.frexp(tensor)
                tensor.copy_(torch.ldexp((mantissa * 16).round() / 16, exponent))
    network.provenance = {"data": {"name": "none", "count": 0}, "images_seen": 0}
    network.save_pretrained(FOLDER / name, half=name in HALVED)
    (FOLDER / name / "README.md").unlink(missing_ok=True)


def pixels_file(name: str) -> Path:
    return FOLDER / f"{name}_pixels.json"


def pixels(name: str) -> dict[str, dict[str, list]]:
    images = sample_images(load_network(FOLDER / name), SEEDS)
    height, width = images.shape[2:]
    places = [(round(down * (height - 1)), round(right * (width - 1))) for down, right in PLACES]
    return {
        str(seed): {
            "mean": [round(value, 4) for value in image.float().mean((1, 2)).tolist()],
            "pixels": [image[:, row, column].tolist() for row, column in places],
        }
        for seed, image in zip(SEEDS, images, strict=True)
    }


if __name__ == "__main__":
    for name in KEPT:
        if not (FOLDER / name).exists():
            make_snapshot(name)
        with write_atomically(pixels_file(name)) as temporary:
            temporary.write_text(json.dumps(pixels(name), indent=1) + "\n")
