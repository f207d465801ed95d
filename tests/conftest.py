"""What every test may rely on, in any order: one thread, fixed seeds, and the benchmark pictures where they exist."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

# Before torch is imported anywhere: thread counts make timings and last digits depend on the machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import pytest
import torch
from xdist.scheduler import LoadScopeScheduling

from tests import shape_checks
from tests.shape_checks import without_shape_checks  # noqa: F401 - a fixture

shape_checks.install()

REPOSITORY = Path(__file__).resolve().parents[1]
STUDIO = ("ui/test_browser.py", "ui/test_server.py")
"""The tests that need the running studio."""


class ByFile(LoadScopeScheduling):
    """One worker runs all tests of a file, so that its fixtures are made once; and one all of the running studio's."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "the studio" if file.endswith(STUDIO) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    return ByFile(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the studio, which takes the longest: the other workers go on beside it."""
    items.sort(key=lambda item: not str(item.path).endswith(STUDIO))


def seed_everything() -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef) -> None:
    """What tests share is made from the same seeds, whichever test comes first."""
    if fixturedef.scope != "function":
        seed_everything()


@pytest.fixture(autouse=True)
def as_if_alone() -> Iterator[None]:
    """Fixed seeds before a test, and the number of threads of before after it."""
    seed_everything()
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


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
