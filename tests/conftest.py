"""What every test may rely on: one thread, a fixed seed, and the shared benchmark pictures where they exist."""

import os
from pathlib import Path

# Before torch is imported anywhere: thread counts make timings and last digits depend on the machine.
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
import torch

from tests import shape_checks
from tests.shape_checks import without_shape_checks  # noqa: F401 - a fixture

shape_checks.install()

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def fixed_seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The benchmark pictures that lie beside a developer's checkout; never part of the repository."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not (folder / "100-shot-panda").is_dir():
        pytest.skip("the shared benchmark pictures are not beside this checkout")
    return folder
