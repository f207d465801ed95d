"""Apple's GPUs have no float64: nothing on such a device may be of it, which a device that only pretends refuses too.

torch's meta device stands for it: every operation is carried out in shapes, types and places alone.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sase_gan import seeds
from sase_gan.drawing import patch_matching
from sase_gan.drawing.sampling import draw_inputs
from sase_gan.networks.generator import Generator
from sase_gan.recombination.drawn import shares_of
from sase_gan.recombination.free_examples import _principal
from sase_gan.training.low_shot import LowShotModule
from sase_gan.training.one_shot import OneShotModule
from tests.golden.make_golden import CONFIG
from tests.training.test_low_shot import configuration
from tests.training.test_one_shot import configuration as picture_configuration

DEVICE = "meta"


class Refusing(TorchDispatchMode):
    """Refuses float64 on the device, as Apple's does; what is copied out of it is nought."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.aten._to_copy.default and str(kwargs.get("device")) == "cpu":
            return torch.zeros(args[0].shape, dtype=kwargs.get("dtype") or args[0].dtype)
        result = func(*args, **kwargs)
        for one in tree_leaves(result):
            if isinstance(one, Tensor) and one.device.type == DEVICE and one.dtype in (torch.float64, torch.complex128):
                raise TypeError(f"{func}: the MPS framework doesn't support float64")
        return result


@contextmanager
def device_without_float64() -> Iterator[None]:
    with Refusing():
        yield


@pytest.fixture(autouse=True)
def generators_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine makes no generators for the device; where they are only matters for values."""

    def generator(*parts: Any, device: Any = "cpu") -> torch.Generator:
        return torch.Generator().manual_seed(seeds.derive_seed(*parts))

    for module in ("training.low_shot", "training.one_shot"):
        monkeypatch.setattr(f"sase_gan.{module}.random_generator", generator)


def without_trainer(module: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A training module whose optimisers step by themselves, on the device."""
    module.to(DEVICE)
    kind = type(module)
    monkeypatch.setattr(kind, "trainer", SimpleNamespace(world_size=1), raising=False)
    monkeypatch.setattr(kind, "device", torch.device(DEVICE), raising=False)
    monkeypatch.setattr(kind, "global_rank", 0, raising=False)
    adam = torch.optim.Adam  # whose fused form the stand-in lacks, and the device has
    monkeypatch.setattr(torch.optim, "Adam", lambda *arguments, fused, **more: adam(*arguments, **more))
    optimisers = module.configure_optimizers()
    for one in optimisers:
        one.optimizer = one
    monkeypatch.setattr(kind, "optimiser", lambda self, index: optimisers[index])
    monkeypatch.setattr(kind, "manual_backward", lambda self, loss: loss.backward())
    monkeypatch.setattr(kind, "toggled_optimizer", lambda self, optimiser: nullcontext())
    return module


EVERYTHING = {
    "loss": {"lecam": 0.1, "r1": 1.0, "r1_every": 1},
    "augment": {"policy": ["color", "translation", "cutout"]},
}


@pytest.mark.parametrize("changes", [{}, EVERYTHING, {"generator": {"norm": "batch", "skip": "sle"}}])
def test_a_step_on_a_set(changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with device_without_float64():
        module = without_trainer(LowShotModule(configuration(**changes).model_dump(mode="json")), monkeypatch)
        for _ in range(2):
            module.training_step(torch.zeros(4, 3, 32, 32, dtype=torch.uint8, device=DEVICE), 0)
        assert module.images_seen == 8
        assert all(one.device.type == DEVICE for one in module.generator.parameters())


def test_steps_on_one_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    with device_without_float64():
        module = OneShotModule(picture_configuration().model_dump(mode="json"))
        module.show(torch.zeros(3, 20, 28, dtype=torch.uint8))
        module = without_trainer(module, monkeypatch)
        for _ in range(module.config.iterations(0) + 1):  # into the second stage
            module.training_step(torch.zeros(1, 3, 20, 28, dtype=torch.uint8, device=DEVICE), 0)
        assert module.phase == 1


def test_drawing_and_truncation() -> None:
    with device_without_float64():
        network = Generator(CONFIG).to(DEVICE).eval()
        inputs = draw_inputs(network, [1, 2]).to(torch.device(DEVICE))
        drawn = network(inputs.z, inputs.noise, truncation=torch.full((2,), 0.7, device=DEVICE))
        assert drawn.big.device.type == DEVICE
        assert network.mean_first_map().dtype == torch.float32


@pytest.mark.parametrize(
    "work",
    [
        lambda: patch_matching._level(torch.zeros(1, 3, 40, 40, device=DEVICE), (30, 30), (20, 20)),
        lambda: shares_of(torch.zeros(2, 8, 8, 3, dtype=torch.int32, device=DEVICE), 3),
        lambda: _principal(torch.zeros(2, 3, 16, 16, device=DEVICE), 5, 8),
    ],
    ids=["patch_matching", "shares", "free_examples"],
)
def test_what_is_worked_out_exactly_is_so_on_the_cpu(work: Callable[[], Any]) -> None:
    with device_without_float64():
        for one in tree_leaves(work()):
            assert not isinstance(one, Tensor) or one.dtype != torch.float64 or one.device.type == "cpu"


def test_the_stand_in_refuses_float64() -> None:
    with device_without_float64():
        with pytest.raises(TypeError, match="doesn't support float64"):
            torch.zeros(2, device=DEVICE).double()
        assert torch.zeros(2, device=DEVICE).cpu().double().dtype == torch.float64
