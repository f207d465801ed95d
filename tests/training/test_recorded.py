"""Recorded steps: on the CPU with a stand-in for the graph, on a CUDA device with the real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from sase_gan.errors import SaseGanError
from sase_gan.training import recorded
from sase_gan.training.low_shot import LowShotModule
from sase_gan.training.one_shot import OneShotModule
from sase_gan.training.recorded import RecordedSteps
from tests.training import test_one_shot as one
from tests.training.test_low_shot import fit, make, pictures

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
on_a_gpu = pytest.mark.skipif(DEVICE.type != "cuda", reason="needs a CUDA device, and there is none")


class StandIn:
    """A graph that takes the step itself again, and leaves what it gives where the first time did."""

    def __init__(self) -> None:
        self.given: Any = None
        self.replay: Callable[[], None] = lambda: None

    def register_generator_state(self, source: torch.Generator) -> None:
        self.source = source

    def pool(self) -> tuple[int, int]:
        return (0, 0)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> list[StandIn]:
    """Record as on a CUDA device, though nothing runs while it is recorded; list what was recorded."""
    made: list[StandIn] = []

    @contextmanager
    def graph(which: StandIn, pool: Any, capture_error_mode: str) -> Iterator[None]:
        which.given = pool
        made.append(which)
        yield

    def record(self: RecordedSteps, inputs: tuple[Tensor, ...], step: Any) -> Any:
        kept: dict[str, Tensor] = {}

        def deferred(given: tuple[Tensor, ...], source: torch.Generator) -> dict[str, Tensor]:
            def replay() -> None:
                for name, value in step(given, source).items():
                    kept[name] = value.clone()

            made[-1].replay = replay
            return kept

        return real(self, inputs, deferred)

    real = RecordedSteps._record
    monkeypatch.setattr(RecordedSteps, "_record", record)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", StandIn)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    return made


def recording(module: Any, prepare: Callable[[], None] = lambda: None) -> None:
    module.recorded = RecordedSteps(torch.device("cpu"), prepare)
    if getattr(module, "likelihood", None) is not None:
        module.likelihood.recorded = module.recorded


def test_a_kind_runs_plainly_once_is_recorded_once_and_replayed_from_then_on(stand_in: list[StandIn]) -> None:
    prepared: list[int] = []
    steps = RecordedSteps(torch.device("cpu"), lambda: prepared.append(len(stand_in)))
    seen: list[tuple[int, float]] = []

    def step(inputs: tuple[Tensor, ...], source: torch.Generator) -> dict[str, Tensor]:
        drawn = torch.rand((), generator=source)
        seen.append((id(inputs[0]), inputs[0].item()))
        return {"sum": inputs[0] + drawn, "drawn": drawn}

    expected, found = [], []
    for number in range(6):
        source = torch.Generator().manual_seed(number)
        terms = steps.take("a", source, [torch.tensor(float(number))], step)
        found.append((terms["sum"].item(), torch.rand((), generator=source).item()))
        same = torch.Generator().manual_seed(number)
        expected.append(((number + torch.rand((), generator=same)).item(), torch.rand((), generator=same).item()))
    assert found == expected
    assert [value for _, value in seen] == [0, 1, 2, 3, 4, 5]
    assert len({place for place, _ in seen[1:]}) == 1
    assert (len(stand_in), prepared, steps.replays) == (1, [0], 5)
    # Another kind, another shape: a recording of its own; forgotten ones are made anew.
    for _ in range(2):
        steps.take("b", torch.Generator(), [torch.zeros(())], step)
    for _ in range(2):
        steps.take("b", torch.Generator(), [torch.zeros(1)], lambda inputs, source: {"sum": inputs[0].sum()})
    assert (len(stand_in), prepared) == (3, [0])
    assert [graph.given for graph in stand_in] == [None, (0, 0), (0, 0)]
    steps.forget()
    stand_in.clear()
    for _ in range(3):
        steps.take("a", torch.Generator(), [torch.zeros(())], step)
    assert (len(stand_in), steps.replays) == (1, 9)


@pytest.mark.parametrize(
    ("problem", "expected", "words"),
    [
        (
            partial(RuntimeError, "CUDA error: operation not permitted\nmore"),
            SaseGanError,
            "this device cannot record a training step (CUDA error: operation not permitted); go on without "
            "recordings: --set optimiser.recorded=false",
        ),
        # Which halves the batch, as everywhere.
        (partial(torch.OutOfMemoryError, "out of memory"), torch.OutOfMemoryError, "out of memory"),
    ],
)
@pytest.mark.parametrize("broken_off", [False, True])
def test_what_cannot_be_recorded_is_said_with_what_to_do(
    problem: Callable[[], Exception],
    expected: type[Exception],
    words: str,
    broken_off: bool,
    stand_in: list[StandIn],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The real recording raises an error of its own on leaving, when the step has raised one."""

    @contextmanager
    def graph(*arguments: Any, **options: Any) -> Iterator[None]:
        try:
            raise problem()
        finally:
            if broken_off:
                raise RuntimeError("the capture was invalidated")
        yield

    monkeypatch.setattr(torch.cuda, "graph", graph)
    steps = RecordedSteps(torch.device("cpu"), lambda: None)
    steps.take("a", torch.Generator(), [], lambda inputs, source: {})
    with pytest.raises(expected) as caught:
        steps.take("a", torch.Generator(), [], lambda inputs, source: {})
    assert str(caught.value) == words


LOW_SHOT: list[dict[str, Any]] = [
    {"likelihood": {"weight": 1.0, "pool": 100, "every": 8}, "loss": {"reconstruction_every": 2}},
    {"loss": {"lecam": 0.1, "r1": 1.0, "r1_every": 3}, "optimiser": {"decay": 0.5}},
]


def low_shot_run(changes: dict[str, Any], steps: int, device: torch.device, *, recorded_steps: bool) -> LowShotModule:
    module = make(**changes)
    if module.likelihood is not None:
        module.show(pictures(5), mirror=True)
    if recorded_steps and device.type == "cpu":
        recording(module)
    fit(module, steps)
    return module


def same(one_module: torch.nn.Module, other: torch.nn.Module) -> bool:
    pairs = zip(one_module.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("changes", LOW_SHOT)
def test_a_run_on_a_set_is_the_same_with_recordings(changes: dict[str, Any], stand_in: list[StandIn]) -> None:
    """Whatever a step reads is an input of the recording, or a tensor that lives on: else a replay would be stale."""
    cpu = torch.device("cpu")
    plain, replayed = (low_shot_run(changes, 9, cpu, recorded_steps=how) for how in (False, True))
    assert replayed.recorded is not None
    assert replayed.recorded.replays > 2
    assert same(plain, replayed)
    assert plain.read_terms() == replayed.read_terms()


def test_a_run_on_one_picture_is_the_same_with_recordings(stand_in: list[StandIn]) -> None:
    modules = [one.module_of(one.configuration()) for _ in range(2)]
    recording(modules[1])
    until = modules[0].config.total_images
    for module in modules:
        one.fit(module, until)
    assert modules[1].phase == modules[1].config.num_stages - 1 > 0
    # A phase has tensors of its own, and so recordings.
    assert len(stand_in) == modules[1].config.num_stages
    assert same(*modules)
    assert modules[0].read_terms() == modules[1].read_terms()


def test_a_checkpoint_of_recorded_steps_is_one_of_plain_steps() -> None:
    group = {"lr": torch.tensor(0.25), "capturable": True, "betas": (0.5, 0.9)}
    checkpoint = {"optimizer_states": [{"state": {}, "param_groups": [group, {"lr": 0.5, "capturable": False}]}]}
    recorded.plain_groups(checkpoint)
    first, second = checkpoint["optimizer_states"][0]["param_groups"]
    assert first == {"lr": 0.25, "capturable": False, "betas": (0.5, 0.9)}
    assert second == {"lr": 0.5, "capturable": False}


def test_rates_reach_an_optimiser_that_reads_them_from_the_device() -> None:
    parameter = torch.nn.Parameter(torch.zeros(3))
    optimiser = torch.optim.Adam([parameter], lr=0.1)
    recorded.make_recordable(optimiser, torch.device("cpu"))
    (group,) = optimiser.param_groups
    kept = group["lr"]
    recorded.set_rate(group, 0.5)
    assert group["lr"] is kept
    assert (kept.item(), group["capturable"]) == (0.5, True)
    plain: dict[str, Any] = {"lr": 0.1}
    recorded.set_rate(plain, 0.2)
    assert plain == {"lr": 0.2}


@on_a_gpu
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("changes", LOW_SHOT)
def test_on_a_gpu_replays_are_the_steps_bit_for_bit(changes: dict[str, Any], precision: str) -> None:
    torch.backends.cudnn.deterministic = True
    runs = []
    for how in (False, True):
        module = make(**{**changes, "optimiser": {**changes.get("optimiser", {}), "recorded": how}})
        if module.likelihood is not None:
            module.show(pictures(5), mirror=True)
        fit(module, 24, precision=precision, device="cuda")
        runs.append(module.cpu())
    assert runs[1].recorded is not None
    assert runs[1].recorded.replays > 10
    assert same(*runs)


@on_a_gpu
def test_on_a_gpu_iterations_of_one_picture_are_replayed_bit_for_bit() -> None:
    """One stage at a time: a CUDA device adds up the gradient of an enlarged picture in an order of its own."""
    torch.backends.cudnn.deterministic = True
    runs: list[OneShotModule] = []
    for how in (False, True):
        module = one.module_of(one.configuration(optimiser={"recorded": how}, pyramid={"concurrent": 1}))
        one.fit(module, module.config.total_images, kind="cuda")
        runs.append(module.cpu())
    assert runs[1].recorded is not None
    assert same(*runs)
