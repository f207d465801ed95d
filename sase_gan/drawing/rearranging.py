"""What a model of one picture without training can do with pictures: as `drawing.injection`, from patches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sase_gan.drawing.masks import blend, main_colours, nearest_colours, soft_mask
from sase_gan.drawing.sampling import Inputs, NoiseMode, device_of, draw_inputs
from sase_gan.errors import UsageError
from sase_gan.networks.pyramid_sizes import Size
from sase_gan.pixels import to_float, to_uint8
from sase_gan.progress import Count, batches
from sase_gan.recombination.free import FreeRecombiner
from sase_gan.recombination.model import Recombiner
from sase_gan.resizing import at_size

HARMONISE_RADIUS, EDIT_RADIUS = 7.0, 20.0


def last_scale(network: Recombiner) -> int:
    return len(engine_of(network).sizes) - 1


def engine_of(network: Recombiner) -> FreeRecombiner:
    engine = network.engine
    if not isinstance(engine, FreeRecombiner):
        raise UsageError(
            "this model draws pictures of an aligned set, into which no picture can be injected; vary a photograph by: "
            "sase-gan recombine MODEL --from PHOTO"
        )
    return engine


def sample(
    network: Recombiner,
    seeds: Sequence[int],
    *,
    size: Size | None = None,
    start_scale: int = 0,
    noise: NoiseMode = "random",
    progress: Count | None = None,
) -> Tensor:
    if start_scale > 0:
        return inject(network, network.pictures[0], start_scale, seeds=seeds, size=size)
    return _draw(network, seeds, None, 1.0, size=size, noise=noise, progress=progress)


def inject(
    network: Recombiner,
    image: Tensor,
    start_scale: int = 1,
    mask: Tensor | None = None,
    *,
    seeds: Sequence[int] = (0,),
    size: Size | None = None,
) -> Tensor:
    last = last_scale(network)
    if not 1 <= start_scale <= last:
        raise UsageError(f"start scale is {start_scale}; this model takes 1 to {last}")
    target = size or network.size
    drawn = _draw(network, seeds, at_size(image, target), 0.7 * (1 - start_scale / (last + 1)), size=target)
    if mask is None:
        return drawn
    return blend(at_size(network.pictures[0].cpu(), target), drawn, soft_mask(mask, target))


def strip(network: Recombiner, image: Tensor | None = None, mask: Tensor | None = None, *, seed: int = 0) -> Tensor:
    entering = network.pictures[0].cpu() if image is None else image
    scales = range(1, last_scale(network) + 1)
    return torch.cat([inject(network, entering, scale, mask, seeds=(seed,)) for scale in scales])


def harmonise(
    network: Recombiner, composite: Tensor, mask: Tensor, start_scale: int | None = None, *, seeds: Sequence[int] = (0,)
) -> Tensor:
    scale = last_scale(network) if start_scale is None else start_scale
    return inject(network, composite, scale, mask, seeds=seeds)


def edit(
    network: Recombiner, edited: Tensor, mask: Tensor, start_scale: int | None = None, *, seeds: Sequence[int] = (0,)
) -> Tensor:
    scale = last_scale(network) if start_scale is None else start_scale
    return inject(network, edited, scale, mask, seeds=seeds)


def paint_to_image(
    network: Recombiner,
    painting: Tensor,
    start_scale: int = 1,
    *,
    seeds: Sequence[int] = (0,),
    size: Size | None = None,
    colours: int | None = None,
) -> Tensor:
    if colours is not None:
        painting = nearest_colours(painting, main_colours(network.pictures[0].cpu(), colours))
    return inject(network, painting, start_scale, seeds=seeds, size=size)


def animate(
    network: Recombiner,
    frames: int = 100,
    *,
    seed: int = 0,
    start_scale: int = 0,
    alpha: float = 0.1,
    beta: float = 0.9,
    progress: Count | None = None,
) -> Tensor:
    return inject(network, network.pictures[0].cpu(), max(1, start_scale), seeds=range(seed, seed + frames))


def tile(network: Recombiner, seeds: Sequence[int], *, size: Size | None = None) -> Tensor:
    return sample(network, seeds, size=size)


def retarget(network: Recombiner, size: Size, *, seeds: Sequence[int] = (0,)) -> Tensor:
    return sample(network, seeds, size=size)


def symmetric(network: Recombiner, seeds: Sequence[int], *, size: Size | None = None) -> Tensor:
    drawn = sample(network, seeds, size=size)
    return torch.where(torch.arange(drawn.shape[3]) < drawn.shape[3] // 2, drawn, drawn.flip(3))


def analogy(
    network: Recombiner, layout: Tensor, *, seeds: Sequence[int] = (0,), start_scale: int = 1, size: Size | None = None
) -> Tensor:
    return inject(network, layout, start_scale, seeds=seeds, size=size)


def _draw(
    network: Recombiner,
    seeds: Sequence[int],
    start: Tensor | None,
    strength: float,
    *,
    size: Size | None,
    noise: NoiseMode = "random",
    progress: Count | None = None,
) -> Tensor:
    engine, parts = engine_of(network), []
    for part in batches(seeds, 1, progress):
        inputs: Inputs = draw_inputs(network, part, noise=noise, size=size).to(device_of(network))
        given = None if start is None else to_float(start)[None].to(inputs.z.device)
        parts.append(to_uint8(engine.draw(*inputs, size=size, start=given, strength=strength).pictures).cpu())
    return torch.cat(parts)
