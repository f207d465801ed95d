"""Cost of training: seconds a step, images a second, peak memory; and the same for the plain forms in one run."""

import gc
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from sase_gan.allocator import freed_memory_kept
from sase_gan.colours import CHANNELS
from sase_gan.datasets.low_shot import EndlessBatches
from sase_gan.hardware import Hardware, peak_memory_mb
from sase_gan.reference.plain import PlainLowShotModule, PlainOneShotModule, use_plain_layers
from sase_gan.runs.trainer import make_trainer
from sase_gan.training.config import LowShotConfig, OneShotConfig
from sase_gan.training.low_shot import LowShotModule, parameter_count
from sase_gan.training.one_shot import OneShotModule
from sase_gan.training.quiet import quiet_lightning

_CALM, _LONGEST_WARM_UP = 12, 80
"""So many steps of known kinds in a row end the warming up of steps that are recorded; at the latest so many."""


@dataclass(frozen=True)
class TrainingCost:
    """The cost of a run on a set says how fast and how large it is; times are means over the timed steps."""

    images_per_second: float
    seconds_per_step: float
    cpu_seconds_per_step: float
    peak_memory_mb: float
    generator_parameters: int
    discriminator_parameters: int
    flops_per_step: float | None = None
    """Of convolutions and matrix products, a multiplication and an addition being two; None where not counted."""

    def work_per_step(self, hardware: Hardware) -> float:
        """Return the seconds of a step by the clock of the hardware that it ran on."""
        return self.cpu_seconds_per_step if hardware.kind == "cpu" else self.seconds_per_step


class _Watch(Callback):
    def __init__(self, warm_up: int, steps: int, *, count_flops: bool = False) -> None:
        self.warm_up, self.steps = warm_up, steps
        self.wall = self.cpu = 0.0
        self.begun: int | None = None
        self._known = self._calm = 0
        self.counter = FlopCounterMode(display=False) if count_flops else None

    def on_train_start(self, trainer: Any, module: Any) -> None:
        """Count in the first step, which is not timed."""
        step = module.training_step

        def counted(*arguments: Any) -> None:
            if self.counter is None or module.steps > 0:
                return step(*arguments)
            with self.counter:
                return step(*arguments)

        module.training_step = counted

    def on_train_batch_end(self, trainer: Any, module: Any, *unused: Any) -> None:
        begins = self.begun is None and self._is_warm(module)
        if begins:
            self.begun = module.steps
        if not begins and (self.begun is None or module.steps < self.begun + self.steps):
            return
        if module.device.type == "cuda":
            torch.cuda.synchronize()
        sign = -1 if begins else 1
        self.wall += sign * time.perf_counter()
        self.cpu += sign * time.process_time()
        trainer.should_stop = sign > 0

    def _is_warm(self, module: Any) -> bool:
        """Tell whether the steps to come are as those of a long run; where steps are recorded, all kinds were met."""
        if module.recorded is not None:
            known, before = module.recorded.known, self._known
            self._known, self._calm = known, self._calm + 1 if known == before else 0
            if self._calm < _CALM and module.steps < _LONGEST_WARM_UP:
                return False
        return bool(module.steps >= self.warm_up)


def measure_training(
    config: LowShotConfig,
    hardware: Hardware,
    *,
    steps: int,
    warm_up: int = 2,
    plain: bool = False,
    untrained_perceptual: bool = False,
    weights_dir: Path | None = None,
    count_flops: bool = False,
) -> TrainingCost:
    """Time the real training step on random pictures.

    Args:
        plain: compute upsampling, SASE gates and normalisation by their definitions, channels first, and let the
            discriminator take gradients in the generator's step, as the released loops do.
        untrained_perceptual: random weights in the reconstruction loss: same cost, no file needed.
        count_flops: count the operations of the first step, which warms up.

    Raises:
        WeightsError: if the reconstruction loss needs a file that is missing.
    """
    module = (PlainLowShotModule if plain else LowShotModule)(
        config.model_dump(mode="json"),
        weights_dir=None if weights_dir is None else str(weights_dir),
        untrained_perceptual=untrained_perceptual,
    )
    if plain:
        use_plain_layers(module)
    batch_size = config.optimiser.batch_size
    watch = _Watch(warm_up, steps, count_flops=count_flops)
    images = _random_images(2 * batch_size, *config.picture_size, CHANNELS[config.colours])
    classes = len(config.classes.names)
    labels = [index % classes for index in range(len(images))] if classes else None
    module.show(images, labels=None if labels is None else torch.tensor(labels))
    batches = EndlessBatches(images, batch_size=batch_size, seed=0, labels=labels)
    _train_under(watch, module, batches, hardware)
    return TrainingCost(
        images_per_second=batch_size * steps / watch.wall,
        seconds_per_step=watch.wall / steps,
        cpu_seconds_per_step=watch.cpu / steps,
        peak_memory_mb=peak_memory_mb(hardware.device),
        generator_parameters=parameter_count(module.generator),
        discriminator_parameters=parameter_count(module.discriminator),
        flops_per_step=None if watch.counter is None else float(watch.counter.get_total_flops()),
    )


@dataclass(frozen=True)
class PictureTrainingCost:
    """The cost of a run on one picture says how long and how large it is.

    Attributes:
        seconds_per_iteration: of each stage, coarse to fine.
        seconds: of all iterations of the configuration together.
        timed_stages: so many were timed; finer ones are extrapolated by pixels and channels.
        peak_memory_mb: at the finest stage; of the process on a CPU, of the device on a GPU.
    """

    seconds_per_iteration: tuple[float, ...]
    seconds: float
    timed_stages: int
    peak_memory_mb: float


class _StageWatch(Callback):
    """Time a few iterations of each stage, coarse to fine, until the next stage would exceed the budget."""

    def __init__(self, config: OneShotConfig, steps: int, budget: float) -> None:
        self.config, self.steps, self.budget = config, steps, budget
        self.seconds: list[float] = []
        self.memory: list[float] = []
        self._times: list[float] = []
        self._spent = 0.0

    def on_train_batch_start(self, trainer: Any, module: Any, *unused: Any) -> None:
        self._start = time.perf_counter()

    def on_train_batch_end(self, trainer: Any, module: Any, *unused: Any) -> None:
        if module.device.type == "cuda":
            torch.cuda.synchronize()
        self._times.append(time.perf_counter() - self._start)
        self._spent += self._times[-1]
        if len(self._times) <= self.steps:
            return
        self.seconds.append(min(self._times[1:]))  # the first warms up
        self.memory.append(peak_memory_mb(module.device))
        self._times = []
        stage, costs = len(self.seconds), self.config.iteration_costs()
        if stage == len(costs):
            trainer.should_stop = True
            return
        expected = (1 + self.steps) * self.seconds[-1] * costs[stage] / costs[stage - 1]
        trainer.should_stop = self._spent + expected > self.budget
        module.images_seen = self.config.stage_starts[stage]


def measure_picture_training(
    config: OneShotConfig, hardware: Hardware, *, budget: float = 8.0, steps: int = 2, plain: bool = False
) -> PictureTrainingCost:
    """Time the real iteration of every stage on a random picture, and foretell what there was no time for.

    Args:
        config: with the pyramid's sizes.
        budget: seconds; stages beyond it are extrapolated.
        steps: timed iterations of each stage, of which the fastest counts, after one to warm up.
        plain: every saving of the iteration turned off; see `reference.steps.PlainOneShotModule`.
    """
    # A measured stage needs its iterations: a schedule of a single one would end before.
    few = max(config.schedule.iterations, 1 + steps)
    timed = config.model_copy(update={"schedule": config.schedule.model_copy(update={"iterations": few})})
    module = (PlainOneShotModule if plain else OneShotModule)(timed.model_dump(mode="json"))
    if plain:
        use_plain_layers(module)
    picture = _random_images(1, *config.generator.sizes[-1], CHANNELS[config.colours])
    module.show(picture[0])
    watch = _StageWatch(timed, steps, budget)
    _train_under(watch, module, EndlessBatches(picture, batch_size=1, seed=0, mirror=False), hardware)
    costs, count = config.iteration_costs(), len(watch.seconds)
    seconds = (*watch.seconds, *(watch.seconds[-1] * cost / costs[count - 1] for cost in costs[count:]))
    return PictureTrainingCost(
        seconds_per_iteration=seconds,
        seconds=sum(config.iterations(stage) * each for stage, each in enumerate(seconds)),
        timed_stages=count,
        peak_memory_mb=_memory_at_the_end(config, watch.memory),
    )


def _random_images(count: int, height: int, width: int, channels: int = 3) -> Tensor:
    source = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, height, width), dtype=torch.uint8, generator=source)


def _train_under(watch: Callback, module: LightningModule, batches: EndlessBatches, hardware: Hardware) -> None:
    if hardware.kind == "cuda":
        torch.cuda.reset_peak_memory_stats()
    gc.collect()
    with quiet_lightning(), freed_memory_kept():
        make_trainer([watch], hardware).fit(module, DataLoader(batches, batch_size=None))


def _memory_at_the_end(config: OneShotConfig, measured: list[float]) -> float:
    """Tell the peak at the finest stage: measured, or on the line through the first and the last measured stage."""
    if len(measured) == config.num_stages:
        return measured[-1]
    sizes, channels = config.generator.sizes, config.generator.channels
    amounts = [height * width * channels(stage) for stage, (height, width) in enumerate(sizes)]
    first = config.pyramid.concurrent
    loads = [float(sum(amounts[max(0, stage - first + 1) : stage + 1])) for stage in range(config.num_stages)]
    last = len(measured) - 1
    slope = (measured[last] - measured[0]) / (loads[last] - loads[0]) if last else measured[0] / loads[0]
    return measured[last] + slope * (loads[-1] - loads[last])
