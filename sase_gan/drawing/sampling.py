"""From seeds to pictures: a picture is named by (snapshot, seed), whatever batch and device draw it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from sase_gan.drawing.patch_matching import PATCH, PatchPainter
from sase_gan.errors import UsageError
from sase_gan.networks.generator import Generator
from sase_gan.networks.pyramid import Pyramid
from sase_gan.networks.pyramid_sizes import Size
from sase_gan.pixels import to_float, to_uint8
from sase_gan.progress import Count
from sase_gan.resizing import Padding
from sase_gan.seeds import generator as random_generator

Network = Generator | Pyramid
NoiseMode = Literal["random", "fixed", "off"]
MAX_SEED = 2**31 - 1


class Inputs(NamedTuple):
    """A network draws from inputs: latents, one a picture, and its noise maps, or None for no noise.

    A latent is `[latent_size]` for a generator, a map `[1, height, width]` of the coarsest stage for a pyramid.
    """

    z: Tensor
    noise: list[Tensor] | None


def draw_inputs(
    network: Network, seeds: Sequence[int], *, noise: NoiseMode = "random", size: Size | None = None
) -> Inputs:
    """Draw latents and noise on the CPU, a random generator for each seed: CPU and GPU start from the same numbers.

    Args:
        noise: "random", each picture has its own; "fixed", all share the maps of seed 0; "off", none.
        size: height and width of the picture, for a pyramid, which draws any size; the trained size if None.

    Raises:
        UsageError: for a seed out of range, no seed, or unknown noise.
    """
    if noise not in ("random", "fixed", "off"):
        raise UsageError(f"noise is {noise!r}; choose random, fixed or off")
    check_seeds(seeds)
    z = torch.stack(
        [torch.randn(network.latent_shape(size), generator=random_generator(seed, "latent")) for seed in seeds]
    )
    if noise == "off":
        return Inputs(z, None)
    owners = seeds if noise == "random" else [0] * len(seeds)
    return Inputs(z, _noise_maps(network, owners, size))


def _noise_maps(network: Network, seeds: Sequence[int], size: Size | None = None) -> list[Tensor]:
    sources = [random_generator(seed, "noise") for seed in seeds]
    return [
        torch.stack([torch.randn(shape, generator=source) for source in sources])
        for shape in network.noise_shapes(size)
    ]


def check_seeds(seeds: Sequence[int]) -> None:
    """Refuse seeds that name no picture.

    Raises:
        UsageError: for none at all, or one outside 0 to `MAX_SEED`.
    """
    if not seeds:
        raise UsageError("no seed was given; give at least one, for example 0-15")
    for seed in seeds:
        if not 0 <= seed <= MAX_SEED:
            raise UsageError(f"seed is {seed}; it must be between 0 and {MAX_SEED}")


@contextmanager
def evaluating(network: torch.nn.Module) -> Iterator[None]:
    """Keep a network in evaluation mode, without gradients, within the block; the mode before is restored."""
    training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        network.train(training)


def sample_images(
    network: Network,
    seeds: Sequence[int],
    *,
    truncation: float = 1.0,
    noise: NoiseMode = "random",
    batch_size: int = 8,
    progress: Count | None = None,
) -> Tensor:
    """Draw one picture for each seed.

    Args:
        truncation: latents are multiplied by it; below 1 pictures are more typical and less varied.
        progress: called with (done, total) after each batch.

    Returns:
        uint8 `[len(seeds), 3, height, width]` on the CPU. Batches of another size may change the last bit of a
        float, and so now and then a picture's value by one level; nothing else.

    Raises:
        UsageError: for a truncation outside 0 to 2, a seed out of range, or no seed.
    """
    check_truncation(truncation)
    parts = []
    for start in range(0, len(seeds), batch_size):
        inputs = draw_inputs(network, seeds[start : start + batch_size], noise=noise)
        parts.append(draw_images(network, Inputs(inputs.z * truncation, inputs.noise)))
        if progress is not None:
            progress(min(start + batch_size, len(seeds)), len(seeds))
    if not parts:
        check_seeds(seeds)
    return torch.cat(parts)


def check_truncation(truncation: float) -> None:
    """Refuse a factor of latents that is none.

    Raises:
        UsageError: outside 0 to 2.
    """
    if not 0 <= truncation <= 2:
        raise UsageError(f"truncation is {truncation}; it must be between 0 and 2 (1 changes nothing)")


def draw_images(network: Network, inputs: Inputs, *, finish: bool = True) -> Tensor:
    """Draw one batch of pictures, uint8 on the CPU, from given latents and noise.

    Args:
        finish: whether a pyramid's pictures are finished, as it is set; films are not, in which patches would jump.
    """
    device = next(network.parameters()).device
    z = inputs.z.to(device)
    noise = None if inputs.noise is None else [noise.to(device) for noise in inputs.noise]
    with evaluating(network):
        if finish and isinstance(network, Pyramid) and network.finished_stages > 0:
            none: list[Tensor | None] = [None] * (network.num_stages - 1)
            return to_uint8(draw_finished(network, [z, *(none if noise is None else noise)])).cpu()
        return to_uint8(network(z, noise).big).cpu()


def latent_walk(
    network: Network, seeds: Sequence[int], *, steps: int = 8, loop: bool = False, batch_size: int = 8
) -> Tensor:
    """Draw pictures on the way from seed to seed, with the first seed's noise throughout; a pyramid's not finished.

    Args:
        seeds: the stations, at least two.
        steps: pictures from each station to just before the next.
        loop: also walk back from the last station to the first; otherwise the last station ends the walk.

    Returns:
        uint8 `[n, 3, height, width]`.

    Raises:
        UsageError: fewer than two seeds, or no step.
    """
    if len(seeds) < 2:
        raise UsageError(f"a walk needs at least two seeds; got {len(seeds)}")
    stations = Inputs(draw_inputs(network, seeds, noise="off").z, _noise_maps(network, seeds[:1]))
    return walk_between(network, stations, steps=steps, loop=loop, batch_size=batch_size)


def walk_between(
    network: Network, stations: Inputs, *, steps: int = 8, loop: bool = False, batch_size: int = 8
) -> Tensor:
    """Walk from latent to latent with the first noise throughout; arguments and result as of `latent_walk`.

    Raises:
        UsageError: no step.
    """
    if steps < 1:
        raise UsageError(f"steps is {steps}; at least 1 picture from seed to seed is required")
    way = torch.cat([stations.z, stations.z[:1]]) if loop else stations.z
    ways = [spherical_interpolation(a, b, step / steps) for a, b in pairwise(way) for step in range(steps)]
    if not loop:
        ways.append(way[-1])
    noise = None if stations.noise is None else [n[:1] for n in stations.noise]
    parts = []
    for start in range(0, len(ways), batch_size):
        z = torch.stack(ways[start : start + batch_size])
        shared = None if noise is None else [n.expand(len(z), -1, -1, -1) for n in noise]
        parts.append(draw_images(network, Inputs(z, shared), finish=False))
    return torch.cat(parts)


def spherical_interpolation(a: Tensor, b: Tensor, share: float) -> Tensor:
    """Go from one latent to another on the arc, lengths too; it stays where normal latents lie, unlike the chord."""
    norm_a, norm_b = a.norm(), b.norm()
    cosine = (a.flatten() @ b.flatten() / (norm_a * norm_b)).clamp(-1, 1)
    angle = torch.arccos(cosine)
    if angle < 1e-4 or angle > torch.pi - 1e-4:  # no arc, or none that is shortest: the chord serves
        return torch.lerp(a, b, share)
    direction = (torch.sin((1 - share) * angle) * a / norm_a + torch.sin(share * angle) * b / norm_b) / torch.sin(angle)
    return direction * torch.lerp(norm_a, norm_b, share)


def parse_seeds(text: str) -> list[int]:
    """Read seeds from a list such as `0,1,4-6`.

    Raises:
        UsageError: for anything else, naming the part that is not understood.

    Example:
        >>> parse_seeds("0,1,4-6")
        [0, 1, 4, 5, 6]
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UsageError(f"seeds are {text!r}, and {part.strip()!r} is not understood; write for example 0,1,4-6")
        start, end = int(first), int(last or first)
        if end < start:
            raise UsageError(f"seeds are {text!r}, and {part.strip()!r} runs backwards; write {end}-{start}")
        check_seeds((start, end))  # before a range of any length is written out
        seeds.extend(range(start, end + 1))
    return seeds


def draw_finished(
    pyramid: Pyramid,
    noise: Sequence[Tensor | None],
    *,
    start: int = 0,
    carried: Tensor | None = None,
    sizes: Sequence[Sequence[int]] | None = None,
    padding: Padding | None = None,
    styles: Mapping[int, Tensor] | None = None,
) -> Tensor:
    """Draw the finest pictures of `Pyramid.climb` and finish them; arguments as there, `carried` one picture for all.

    Each is climbed to by itself: which patch is nearest may turn on a float's last bit, and that on the batch.

    Returns:
        float `[batch, 3, height, width]` in about [-1, 1].
    """
    count = next(len(part) for part in noise if part is not None)
    alone = [
        pyramid.climb(
            [None if part is None else part[index : index + 1] for part in noise],
            start=start,
            carried=carried,
            sizes=sizes,
            padding=padding,
            styles=styles,
        ).big
        for index in range(count)
    ]
    return finish(pyramid, torch.cat(alone), start=start, sizes=sizes, padding=padding)


def finish(
    pyramid: Pyramid,
    drawn: Tensor,
    *,
    start: int = 0,
    sizes: Sequence[Sequence[int]] | None = None,
    padding: Padding | None = None,
) -> Tensor:
    """Draw pictures again, at their last `finished_stages` sizes, out of patches of the training picture.

    Never at the coarsest size: a patch there is a quarter of the picture, and the result a copy.

    Args:
        drawn: finest pictures `[batch, 3, height, width]`.
        start: the first stage that drew; sizes before it are left alone.
        sizes, padding: as given to `Pyramid.climb`.

    Returns:
        the same shape; `drawn` itself where nothing is to be finished.
    """
    trained_sizes = pyramid.config.sizes
    sizes = trained_sizes if sizes is None else sizes
    first = max(start, 1, pyramid.num_stages - pyramid.finished_stages)
    levels = [
        (size, trained)
        for size, trained in zip(sizes[first:], trained_sizes[first:], strict=True)
        if min(size) >= PATCH
    ]
    if not levels:
        return drawn
    example = to_float(pyramid.picture)[None].to(drawn.device)
    painter = PatchPainter(example, [trained for _, trained in levels], padding=padding or pyramid.config.padding)
    return painter.redraw(drawn, [(int(size[0]), int(size[1])) for size, _ in levels])
