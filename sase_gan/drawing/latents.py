"""What can be done with a trained generator's latents besides drawing them: neighbours, directions, walks, mixing.

Directions without labels: closed-form factorisation after Shen and Zhou, "Closed-Form Factorization of Latent Semantics
in GANs" (2021), and principal components of early features carried back to latents by least squares after Harkonen and
others, "GANSpace" (2020). Local mixing of styles through SASE masks is ours, see `gates`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor

from sase_gan.drawing.gates import attentive_norms, block_size, rewired
from sase_gan.drawing.sampling import Inputs, draw_images, evaluating, own_classes
from sase_gan.drawing.walks import arcs
from sase_gan.errors import UsageError
from sase_gan.layers.excitation import SkipExcitation
from sase_gan.layers.sase import SynthesisSASE
from sase_gan.networks.conditioning import class_rows_of
from sase_gan.networks.generator import Generator
from sase_gan.seeds import generator as random_generator

DirectionMethod = Literal["factorisation", "components"]
DIRECTION_METHODS: tuple[DirectionMethod, ...] = ("factorisation", "components")


def neighbours(z: Tensor, *, side: int = 5, reach: float = 0.6, seed: int = 0) -> Tensor:
    """Lay latents around one, on a square grid with `z` in the middle.

    The grid lies in a plane through two random directions at right angles to each other and to `z`; every point is
    brought back to the length of `z`, because normal latents of many dimensions lie near a sphere.

    Args:
        z: `[latent_size]`.
        side: points along an edge, odd.
        reach: of the middle of an edge, as the angle from `z` in radians; 0.6 is a clear difference, above 1.2 little
            of the original is left.

    Returns:
        `[side * side, latent_size]`, row by row.

    Raises:
        UsageError: an even side, a reach beyond 3, or a latent of fewer than 3 values.
    """
    if side < 1 or side % 2 == 0:
        raise UsageError(f"side is {side}; it must be odd, so that the original is in the middle (usual: 5)")
    if not 0 <= reach <= 3:
        raise UsageError(f"reach is {reach}; it must be between 0 and 3 radians (usual: 0.6)")
    if len(z) < 3:
        raise UsageError(f"the latent has {len(z)} values; a map of neighbours needs at least 3")
    drawn = torch.randn(2, len(z), generator=random_generator(seed, "neighbours"), dtype=z.dtype)
    frame, _ = torch.linalg.qr(torch.cat([z[None], drawn]).T)
    steps = torch.linspace(-1, 1, side, dtype=z.dtype) * torch.tan(torch.tensor(min(reach, 1.5), dtype=z.dtype))
    if side == 1:
        return z[None].clone()
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    points = z / z.norm() + y.reshape(-1, 1) * frame[:, 1] + x.reshape(-1, 1) * frame[:, 2]
    return points / points.norm(dim=1, keepdim=True) * z.norm()


def variations(z: Tensor, count: int, *, amount: float = 0.5, seed: int = 0) -> Tensor:
    """Vary a latent, `[count, latent_size]`: `cos(a) z + sin(a) e` with normal `e`, so the variations stay normal.

    The amount is the angle `a` in radians; 0 gives `z`, pi/2 forgets it.

    Raises:
        UsageError: an amount outside 0 to 1.6.
    """
    if not 0 <= amount <= 1.6:
        raise UsageError(f"amount is {amount}; it must be between 0 (the same) and 1.6 (something else)")
    drawn = torch.randn(count, len(z), generator=random_generator(seed, "variations"), dtype=z.dtype)
    angle = torch.tensor(amount, dtype=z.dtype)
    return angle.cos() * z + angle.sin() * drawn


def closed_walk(stations: Tensor, steps: int, *, loop: bool = True) -> Tensor:
    """Walk from station to station along arcs, slowing down at each, so that neither a station nor the end jerks.

    Returns:
        `[n * steps, latent_size]` for a loop back to the first station, else `[(n - 1) * steps + 1, latent_size]`.

    Raises:
        UsageError: fewer than two stations, or no step.
    """
    if len(stations) < 2:
        raise UsageError(f"a walk needs at least two pictures; got {len(stations)}")
    if steps < 1:
        raise UsageError(f"steps is {steps}; at least 1 from picture to picture is required")
    return arcs(stations, _eased(steps), loop=loop)


def class_walk(stations: Sequence[Tensor | None], steps: int, *, loop: bool = True) -> Tensor | None:
    """Walk between the classes `[classes]` of the same stations in the same steps as `closed_walk`, in straight lines.

    Returns:
        `[frames, classes]`; None of a model without classes. A station without a class has weights of 0.
    """
    rows = class_rows_of(stations)
    if rows is None:
        return None
    way = torch.cat([rows, rows[:1]]) if loop else rows
    points = [torch.lerp(a, b, share) for a, b in pairwise(way) for share in _eased(steps)]
    return torch.stack(points if loop else [*points, way[-1]])


def _eased(steps: int) -> list[float]:
    return [(1 - torch.cos(torch.tensor(torch.pi * step / steps))).item() / 2 for step in range(steps)]


def directions(network: Generator, method: DirectionMethod, count: int = 6) -> Tensor:
    """Find, without labels, the directions in latent space that change pictures most.

    "factorisation": the first layer is linear, and the left singular vectors of its weight are the directions that it
    amplifies most. "components": principal components of the 8x8 feature maps of 256 latents; each is carried back to
    the latents by least squares, since this generator has no further latent space to take them from.

    Returns:
        Unit vectors `[count, latent_size]`, the strongest first, signs such that the largest value is positive.

    Raises:
        UsageError: an unknown method, or more directions than the latent has values.
    """
    latent_size = network.config.latent_size
    if not 1 <= count <= latent_size:
        raise UsageError(f"count is {count}; it must be between 1 and the latent's {latent_size} values")
    if method == "factorisation":
        weight = network.b4.weight.detach().flatten(1).double().cpu()
        # Eigenvectors of the small square are the left singular vectors of the long weight, a hundred times faster.
        found = torch.linalg.eigh(weight @ weight.T)[1].T.flip(0)[:count].float()
    elif method == "components":
        found = _component_directions(network, count)
    else:
        raise UsageError(f"method is {method!r}; choose {' or '.join(DIRECTION_METHODS)}")
    return found * found.gather(1, found.abs().argmax(1, keepdim=True)).sign()


def _component_directions(network: Generator, count: int) -> Tensor:
    latent_size = network.config.latent_size
    z = torch.randn(max(256, 2 * latent_size), latent_size, generator=random_generator(0, "components"))
    block = network.get_submodule("b8")
    with evaluating(network):
        device = next(network.parameters()).device
        # Of a model with classes each latent has one, as seeds have them.
        classes = own_classes(network, range(len(z)))
        rows = [None] * len(z.split(64)) if classes is None else [part.to(device) for part in classes.split(64)]
        firsts = (network.first_map(part.to(device), classes=row) for part, row in zip(z.split(64), rows, strict=True))
        maps = torch.cat([block(first, ()).flatten(1).float().cpu() for first in firsts])
        if classes is not None:  # what a class looks like is no direction of latents
            maps = maps - classes @ torch.linalg.lstsq(classes, maps).solution
    # As above, and in float64 as there: the last bits of the library differ from call to call, and stay below ours.
    maps = (maps - maps.mean(0)).double()
    scores = torch.linalg.eigh(maps @ maps.T)[1].flip(1)[:, :count]
    back = torch.linalg.lstsq(z.double(), scores).solution.T
    return (back / back.norm(dim=1, keepdim=True)).float()


def mix(network: Generator, first: Inputs, second: Inputs, from_size: int) -> Tensor:
    """Draw pictures of the first latents, uint8, with the appearance of as many second ones from a map size on.

    A latent enters this generator at 4x4 alone, so maps cannot be crossed half way without losing the first picture.
    What crosses instead is what describes a picture as a whole: from `from_size` on, the mean and deviation of every
    channel after each activation (adaptive instance normalisation, Huang and Belongie 2017), the weights of attentive
    normalization, the channel gates of skip-layer excitation and the styles of SASE are those of the second. Masks and
    noise, which say where things are, stay those of the first; above the picture's size nothing is mixed.

    Raises:
        UsageError: unequal numbers of latents.
    """
    if len(first.z) != len(second.z):
        raise UsageError(f"{len(first.z)} first and {len(second.z)} second latents were given; pairs are required")
    watched, taking = exchange(network, from_size)
    draw_images(watched, second)
    return draw_images(taking, first)


def exchange(network: Generator, from_size: float) -> tuple[Any, Any]:
    """Rewire two twins of a generator: what the first draws gives its appearance to what the second one draws next."""
    crossing = {path: part for path, part in appearance(network).items() if block_size(path) >= from_size}
    # A list for each path: the activation of a block with two convolutions is called twice.
    notes: dict[str, list[Tensor]] = {path: [] for path in crossing}

    def noting(path: str, method: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def noted(*arguments: Any) -> Tensor:
            notes[path].append(method(*arguments))
            return notes[path][-1]

        return noted

    def taking(path: str, method: Callable[..., Tensor]) -> Callable[..., Tensor]:
        if path.endswith(".activation"):
            return lambda x: with_statistics_of(method(x), notes[path].pop(0))
        return lambda *arguments: notes[path].pop(0)

    return (
        rewired(network, {p: {name: noting(p, m)} for p, (name, m) in crossing.items()}),
        rewired(network, {p: {name: taking(p, m)} for p, (name, m) in crossing.items()}),
    )


def appearance(network: Generator) -> dict[str, tuple[str, Callable[..., Tensor]]]:
    """Map the submodules that compute what describes a whole picture, by path, to (name of the method, method)."""
    found: dict[str, tuple[str, Callable[..., Tensor]]] = {
        path: ("weights_of", norm.weights_of) for path, norm in attentive_norms(network).items()
    }
    for path, part in network.named_children():
        if isinstance(part, SynthesisSASE):
            found[path] = ("styles", part.styles)
        elif isinstance(part, SkipExcitation):
            found[f"{path}.squeeze"] = ("forward", part.squeeze.forward)
        elif path.startswith("b"):
            found[f"{path}.activation"] = ("forward", part.get_submodule("activation").forward)
    return found


def with_statistics_of(x: Tensor, other: Tensor) -> Tensor:
    """Give `x` the mean and deviation of every channel of `other`, for each picture."""
    deviation, mean = torch.std_mean(x, (2, 3), correction=0, keepdim=True)
    other_deviation, other_mean = torch.std_mean(other, (2, 3), correction=0, keepdim=True)
    return (x - mean) / (deviation + 1e-5) * other_deviation + other_mean
