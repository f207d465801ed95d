from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sase_gan.features.efficientnet_lite0 import EfficientNetLite0, efficientnet_lite0


@pytest.fixture(scope="module")
def network() -> EfficientNetLite0:
    return efficientnet_lite0()


@pytest.fixture(scope="module")
def pandas(shared_data: Path) -> torch.Tensor:
    files = sorted((shared_data / "100-shot-panda").glob("*.jpg"))
    return torch.stack([torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1) for file in files])
