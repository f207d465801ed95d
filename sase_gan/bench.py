"""Cost of training: seconds a step, images a second, peak memory; and the same for the plain forms in one run."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from typing import Any

import torch
from lightning import Callback
from torch import nn
from torch.utils.data import DataLoader

from sase_gan.callbacks import peak_memory_mb
from sase_gan.datasets.low_shot import EndlessBatches
from sase_gan.hardware import Hardware
from sase_gan.layers.primitives import UpsampleConv
from sase_gan.layers.sase import SynthesisSASE
from sase_gan.runs import RunOptions, make_trainer, quiet_lightning
from sase_gan.training.low_shot import LowShotModule, parameter_count
from sase_gan.training.low_shot_config import LowShotConfig


@dataclass(frozen=True)
class TrainingCost:
    """What a step costs; times are means over the timed steps."""

    images_per_second: float
    seconds_per_step: float
    cpu_seconds_per_step: float
    peak_memory_mb: float
    generator_parameters: int
    discriminator_parameters: int


class _Watch(Callback):
    def __init__(self, warm_up: int, steps: int) -> None:
        self.warm_up, self.steps = warm_up, steps
        self.wall = self.cpu = 0.0

    def on_train_batch_end(self, trainer: Any, module: Any, *unused: Any) -> None:
        done = module.steps
        if done in (self.warm_up, self.warm_up + self.steps):
            if module.device.type == "cuda":
                torch.cuda.synchronize()
            sign = -1 if done == self.warm_up else 1
            self.wall += sign * time.perf_counter()
            self.cpu += sign * time.process_time()
            trainer.should_stop = sign > 0


def measure_training(
    config: LowShotConfig,
    hardware: Hardware,
    *,
    steps: int = 5,
    warm_up: int = 2,
    plain: bool = False,
    untrained_perceptual: bool = False,
    weights_dir: Any = None,
) -> TrainingCost:
    """Time the real training step on random pictures.

    Args:
        plain: compute upsampling, SASE gates and normalisation by their definitions, channels first, and let the
            discriminator take gradients in the generator's step, as the released loops do.
        untrained_perceptual: random weights in the reconstruction loss: same cost, no file needed.
    """
    module = LowShotModule(
        config.model_dump(mode="json"),
        weights_dir=None if weights_dir is None else str(weights_dir),
        untrained_perceptual=untrained_perceptual,
    )
    if plain:
        use_plain_forms(module)
    batch_size = config.optimiser.batch_size
    source = torch.Generator().manual_seed(0)
    shape = (2 * batch_size, 3, config.image_size, config.image_size)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=source)
    watch = _Watch(warm_up, steps)
    if hardware.kind == "cuda":
        torch.cuda.reset_peak_memory_stats()
    gc.collect()
    with quiet_lightning():
        trainer = make_trainer([watch], RunOptions(hardware))
        trainer.fit(module, DataLoader(EndlessBatches(images, batch_size=batch_size, seed=0), batch_size=None))
    return TrainingCost(
        images_per_second=batch_size * steps / watch.wall,
        seconds_per_step=watch.wall / steps,
        cpu_seconds_per_step=watch.cpu / steps,
        peak_memory_mb=peak_memory_mb(hardware.device),
        generator_parameters=parameter_count(module.generator),
        discriminator_parameters=parameter_count(module.discriminator),
    )


def use_plain_forms(network: nn.Module) -> None:
    """Switch every layer that has a faster exact form to its definition, and the step to the released loops' ways."""
    for module in network.modules():
        if isinstance(module, UpsampleConv):
            module.fused = False
        if isinstance(module, SynthesisSASE):
            module.at_source_resolution = False
        if isinstance(module, LowShotModule):
            module.plain_step = True
