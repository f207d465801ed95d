"""Cost of drawing: seconds a picture of a network, its share of the device's peak, and the same of its plain form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from sase_gan.config import resolve
from sase_gan.drawing.sampling import draw_inputs, evaluating, sample_images
from sase_gan.hardware import Hardware, peak_memory_mb
from sase_gan.networks.generator import Generator
from sase_gan.networks.load import Network, load_network
from sase_gan.reference.plain import use_plain_layers
from sase_gan.runs.speed_sweep import peak_flops
from sase_gan.training.config import LowShotConfig


@dataclass(frozen=True)
class DrawingRequest:
    """A request names what draws: the folder of a snapshot, or a preset whose network has untrained weights.

    Attributes:
        image_size: of a preset's network, instead of its own.
    """

    snapshot: Path | None = None
    preset: str | None = None
    image_size: int | None = None


@dataclass(frozen=True)
class DrawingCost:
    """The cost of drawing says what one picture takes, the least of several passes: a neighbour only adds to it.

    Attributes:
        seconds_a_picture: of all threads on a CPU, of the clock on a GPU.
        share_of_peak: of this device's matrix product in float32, by the same seconds; None where operations were not
            counted.
        peak_memory_mb: so far, of the process on a CPU.
    """

    image_size: tuple[int, int]
    batch_size: int
    plain: bool
    seconds_a_picture: float
    share_of_peak: float | None
    peak_memory_mb: float


def measure_drawing(
    request: DrawingRequest, hardware: Hardware, *, batch_size: int, passes: int = 5, plain: bool = False
) -> DrawingCost:
    """Draw pictures by seed as `sase-gan sample` does, and time it. Call it in a process of its own.

    Args:
        passes: timed batches, after one to warm up.
        plain: upsampling, gates and normalisation by their definitions, channels first.

    Raises:
        DataError: for a folder that is no snapshot.
        UsageError: for an unknown preset.
    """
    network = opened(request).to(hardware.device)
    if plain:
        use_plain_layers(network)
        network.to(memory_format=torch.contiguous_format)
    seconds = []
    for index in range(passes + 1):
        start = hardware.clock()
        images = sample_images(network, range(index * batch_size, (index + 1) * batch_size), batch_size=batch_size)
        seconds.append((hardware.clock() - start) / batch_size)
    fastest = min(seconds[1:])
    share = None
    if isinstance(network, Generator):
        share = _operations(network) / fastest / peak_flops(hardware, "32-true")
    height, width = images.shape[2:]
    return DrawingCost((height, width), batch_size, plain, fastest, share, peak_memory_mb(hardware.device))


def opened(request: DrawingRequest) -> Network:
    """Open the network of a request as snapshots are published: folded, and in the memory format they are drawn in.

    Raises:
        DataError, UsageError: see `measure_drawing`.
    """
    if request.snapshot is not None:
        return load_network(request.snapshot)
    flags = {"image_size": request.image_size}
    config = resolve(LowShotConfig, preset=request.preset, flags=flags, task="low_shot")
    torch.manual_seed(0)
    return Generator(config.generator).folded()


def _operations(generator: Generator) -> float:
    """Operations of convolutions and matrix products of one picture, a multiplication and an addition being two."""
    inputs = draw_inputs(generator, [0]).to(next(generator.parameters()).device)
    with evaluating(generator), FlopCounterMode(display=False) as counter:
        generator(*inputs)
    return float(counter.get_total_flops())
