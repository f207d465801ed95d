"""A step as a GPU takes it, tried on the CPU: nothing is read back from the device, and every step is the same work."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from lightning import Callback, Trainer
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tests.training.test_low_shot import fit, make

WAITING = (
    "_local_scalar_dense",  # .item(), bool(), int(), a Python number as an argument
    "nonzero",  # and boolean indexing: the size of the result depends on values
    "masked_select",
    "_unique2",
    "unique_dim",
    "unique_consecutive",
    "equal",
    "is_nonzero",
    "repeat_interleave.Tensor",
)


class Watch(TorchDispatchMode):
    """Notes operations with the shapes of their tensors, and refuses those for which a host waits for its device."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func).removeprefix("aten.")
        if name.split(".")[0] in WAITING or name in WAITING:
            raise AssertionError(f"{name} makes the host wait for the device")
        tensors = [tuple(value.shape) for value in torch.utils._pytree.tree_leaves((args, kwargs)) if _is_tensor(value)]
        self.seen.append((name, *tensors))
        return func(*args, **(kwargs or {}))


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)


class WatchSteps(Callback):
    """Watches training steps from the second on; the first fills caches."""

    def __init__(self) -> None:
        self.steps: list[list[Any]] = []

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        step = module.training_step

        def watched(*arguments: Any) -> None:
            if module.steps == 0:
                return step(*arguments)
            with Watch() as watch:
                step(*arguments)
            self.steps.append(watch.seen)

        module.training_step = watched


EVERYTHING = {
    "loss": {"lecam": 0.1, "r1": 1.0, "r1_every": 1},
    "augment": {"policy": ["color", "translation", "cutout"]},
}
RELEASED = {
    "generator": {"norm": "batch", "skip": "sle"},
    "augment": {"shared": False},
    "optimiser": {"power_iteration": "forward"},
}


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("changes", [{}, EVERYTHING, RELEASED, {"loss": {"reconstruction": "efflite0"}}])
def test_no_step_waits_and_all_steps_are_the_same_work(changes, precision):
    watch = WatchSteps()
    fit(make(**changes), 4, watch, precision=precision)
    first, *others = watch.steps
    assert len(first) > 1000
    for other in others:
        assert [pair for pair in zip(first, other, strict=True) if pair[0] != pair[1]] == []


@pytest.mark.parametrize(
    "read", [Tensor.item, bool, lambda x: x[x > 0], torch.nonzero, lambda x: torch.zeros(3)[: int(x)]]
)
def test_the_watch_refuses_what_waits(read: Callable[[Tensor], Any]):
    with pytest.raises(AssertionError, match="makes the host wait"), Watch():
        read(torch.ones(()))
