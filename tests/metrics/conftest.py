import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from sase_gan.datasets.images import load_image_set
from sase_gan.metrics.reference import PreparedReference


def each(images: Tensor, change) -> Tensor:  # type: ignore[no-untyped-def]
    """Apply a change of Pillow pictures to every picture."""
    changed = [change(Image.fromarray(image.permute(1, 2, 0).numpy())) for image in images]
    return torch.stack([torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1) for image in changed])


def compressed(image: Image.Image, quality: int = 50) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def blurred(image: Image.Image, factor: int = 4) -> Image.Image:
    size = image.size
    small = image.resize((size[0] // factor, size[1] // factor), Image.Resampling.LANCZOS)
    return small.resize(size, Image.Resampling.BICUBIC)


def shifted(images: Tensor, down: int, right: int) -> Tensor:
    """Moved down and right, the border repeated."""
    height, width = images.shape[-2:]
    padded = torch.nn.functional.pad(images.float(), (right, 0, down, 0), mode="replicate")
    return padded[..., :height, :width].to(torch.uint8)


@pytest.fixture(scope="package")
def faces() -> Tensor:
    return load_image_set(Path(__file__).parents[2] / "data" / "emoji-faces", image_size=128, max_images=50).images


@pytest.fixture(scope="package")
def pandas(shared_data: Path) -> Tensor:
    return load_image_set(shared_data / "100-shot-panda", image_size=128, max_images=50).images


@pytest.fixture(scope="package")
def face_reference(faces: Tensor) -> PreparedReference:
    return PreparedReference(faces)


@pytest.fixture(scope="package")
def panda_reference(pandas: Tensor) -> PreparedReference:
    return PreparedReference(pandas)
