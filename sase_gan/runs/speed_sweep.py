"""Speed of presets over sizes, batches and precisions, against the released settings and against the device's peak."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product

import torch

from sase_gan.config import resolve
from sase_gan.hardware import Hardware
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
    """An outcome is a case's cost; None where the device has too little memory for it."""

    case: Case
    cost: TrainingCost | None
    share_of_peak: float | None = None


def cases(image_sizes: tuple[int, ...], batch_sizes: tuple[int, ...]) -> Iterator[Case]:
    """List the cases, those first that matter most: each size and batch with its reference before it."""
    for image_size, batch_size in product(image_sizes, batch_sizes):
        for preset, precision in ((REFERENCE, "32-true"), ("gpu", "bf16-mixed"), ("gpu", "32-true")):
            yield Case(preset, image_size, batch_size, precision)


def sweep(chosen: list[Case], hardware: Hardware, *, steps: int, seconds: float) -> Iterator[Outcome]:
    """Measure case by case until the time is over, judged by what the cases before have taken."""
    start, longest = time.monotonic(), 0.0
    peaks: dict[str, float] = {}
    for case in chosen:
        begun = time.monotonic()
        if begun - start + longest > seconds:
            return
        if case.precision not in peaks:
            peaks[case.precision] = peak_flops(hardware, case.precision)
        yield _measured(case, replace(hardware, precision=case.precision), steps, peaks[case.precision])
        longest = max(longest, time.monotonic() - begun)


def _measured(case: Case, hardware: Hardware, steps: int, peak: float) -> Outcome:
    changes = {"image_size": case.image_size, "optimiser": {"batch_size": case.batch_size}}
    config = resolve(LowShotConfig, preset=case.preset, flags=changes, task="low_shot")
    untrained = config.loss.reconstruction.startswith("lpips")
    try:
        cost = measure_training(config, hardware, steps=steps, untrained_perceptual=untrained, count_flops=True)
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        return Outcome(case, None)
    assert cost.flops_per_step is not None
    return Outcome(case, cost, cost.flops_per_step / cost.seconds_per_step / peak)


def peak_flops(hardware: Hardware, precision: str) -> float:
    """Measure the operations a second of a large matrix product: the fastest of five, after one to warm up.

    A multiplication and an addition count as two. float32 is torch's own, without the shortened mantissa of TF32.
    """
    side = 1024 if hardware.kind == "cpu" else 8192
    dtype = torch.bfloat16 if precision == "bf16-mixed" else torch.float32
    a = torch.randn(side, side, device=hardware.device).to(dtype)

    def seconds(work: Callable[[], object]) -> float:
        if hardware.kind == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        if hardware.kind == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    return float(2 * side**3 / min([seconds(lambda: a @ a) for _ in range(6)][1:]))
