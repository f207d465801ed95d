"""Speed of presets over sizes, batches and precisions, against the released settings and against the device's peak."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import torch

from sase_gan.config import resolve
from sase_gan.hardware import Hardware, choose_hardware
from sase_gan.runs.apart import Apart, GivenUp
from sase_gan.runs.cost import TrainingCost, measure_training
from sase_gan.training.config import LowShotConfig

REFERENCE = "paper_256"


@dataclass(frozen=True)
class Case:
    """A case is one preset at one size, batch and precision."""

    preset: str
    image_size: int
    batch_size: int
    precision: str

    def __str__(self) -> str:
        """Name it as tables do."""
        return f"{self.preset} {self.image_size} px batch {self.batch_size} {self.precision}"

    @property
    def reference(self) -> Case:
        """Name what it is compared with: the released settings in float32, at the same size and batch."""
        return replace(self, preset=REFERENCE, precision="32-true")


@dataclass(frozen=True)
class Outcome:
    """An outcome is a case's cost; or, where there is none, a sentence that says why."""

    case: Case
    cost: TrainingCost | None
    share_of_peak: float | None = None
    problem: str = ""


def cases(image_sizes: tuple[int, ...], batch_sizes: tuple[int, ...]) -> Iterator[Case]:
    """List the cases, those first that matter most: each size and batch with its reference before it."""
    for image_size, batch_size in product(image_sizes, batch_sizes):
        for preset, precision in ((REFERENCE, "32-true"), ("gpu", "bf16-mixed"), ("gpu", "32-true")):
            yield Case(preset, image_size, batch_size, precision)


def sweep(
    chosen: Sequence[Case],
    hardware: Hardware,
    *,
    steps: int,
    seconds: float,
    limit: float = 120.0,
    measure: Callable[[Case, Hardware, int], Outcome] | None = None,
) -> Iterator[Outcome]:
    """Measure case by case in a process apart until the time is over, judged by what the cases before have taken.

    A case that fails, runs out of memory or hangs costs its own time and no other case's.

    Args:
        seconds: for all together, by the clock; none goes on after it.
        limit: seconds for one case.
        measure: what measures a case, in place of a training.

    Raises:
        UsageError: for a case that no settings give, before any is measured.
    """
    for case in chosen:
        settings_of(case)
    start, longest = time.monotonic(), 0.0
    # In a process apart threads are as many as in this one. Of a CPU peak memory is a process's, so each case has one.
    with Apart(choose_hardware, hardware.kind, hardware.precision, hardware.threads) as process:
        for case in chosen:
            begun = time.monotonic()
            left = seconds - (begun - start)
            if left < max(longest, 1.0):
                return
            try:
                outcome = process.call(measure or measured, case, hardware, steps, seconds=min(limit, left))
                longest = max(longest, time.monotonic() - begun)
            except GivenUp as why:
                outcome = Outcome(case, None, problem=str(why))
            if hardware.kind == "cpu":
                process.end()
            yield outcome


def settings_of(case: Case) -> LowShotConfig:
    """Return the settings that a case trains with.

    Raises:
        UsageError: for an unknown preset, or a size or batch that it cannot have.
    """
    changes = {"image_size": case.image_size, "optimiser": {"batch_size": case.batch_size}}
    return resolve(LowShotConfig, preset=case.preset, flags=changes, task="low_shot")


def measured(case: Case, hardware: Hardware, steps: int) -> Outcome:
    """Measure one case in this process."""
    config = settings_of(case)
    untrained = config.loss.reconstruction.startswith("lpips")
    hardware = replace(hardware, precision=case.precision)
    cost = measure_training(config, hardware, steps=steps, untrained_perceptual=untrained, count_flops=True)
    assert cost.flops_per_step is not None
    speed = cost.flops_per_step / cost.work_per_step(hardware)
    return Outcome(case, cost, speed / peak_flops(hardware, case.precision))


@cache
def peak_flops(hardware: Hardware, precision: str) -> float:
    """Measure the operations a second of a large matrix product: the fastest of five, after one to warm up.

    A multiplication and an addition count as two. float32 is torch's own, without the shortened mantissa of TF32.
    """
    side = 1024 if hardware.kind == "cpu" else 8192
    clock = hardware.clock
    dtype = torch.bfloat16 if precision == "bf16-mixed" else torch.float32
    a = torch.randn(side, side, device=hardware.device).to(dtype)

    def seconds(work: Callable[[], object]) -> float:
        if hardware.kind == "cuda":
            torch.cuda.synchronize()
        start = clock()
        work()
        if hardware.kind == "cuda":
            torch.cuda.synchronize()
        return clock() - start

    return float(2 * side**3 / min([seconds(lambda: a @ a) for _ in range(6)][1:]))
