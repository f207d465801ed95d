"""Walks from picture to picture: every frame on the way is drawn by the model, not blended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sase_gan.allocator import freed_memory_kept
from sase_gan.drawing.sampling import Inputs, draw_images, draw_inputs, gathered, joined
from sase_gan.errors import UsageError
from sase_gan.networks.finished import FinishedGenerator
from sase_gan.networks.load import Network

Place = tuple[int, float]
"""Where a frame of a walk is: so far, 0 to 1, from this station to the next."""


def latent_walk(
    network: Network, seeds: Sequence[int], *, steps: int = 8, loop: bool = False, batch_size: int = 8
) -> Tensor:
    """Draw pictures on the way from seed to seed, with the first seed's noise throughout; a pyramid's not finished.

    Args:
        steps: pictures from each seed to just before the next.
        loop: also walk back from the last seed to the first; otherwise the last one ends the walk.

    Raises:
        UsageError: fewer than two seeds, or no step.
    """
    if len(seeds) < 2:
        raise UsageError(f"a walk needs at least two seeds; got {len(seeds)}")
    stations = draw_inputs(network, seeds, noise="off")._replace(noise=draw_inputs(network, seeds[:1]).noise)
    return walk_between(network, stations, steps=steps, loop=loop, batch_size=batch_size)


@freed_memory_kept()
def walk_between(
    network: Network, stations: Inputs, *, steps: int = 8, loop: bool = False, batch_size: int = 8
) -> Tensor:
    """Walk from station to station; arguments and result as of `latent_walk`.

    Args:
        stations: noise is that of all frames, or of each station.

    Raises:
        UsageError: no step.
    """
    places = walk_places(len(stations.z), steps, loop=loop)
    return gathered(len(places), walk_frames(network, stations, places, batch_size=batch_size))


def walk_places(stations: int, steps: int, *, loop: bool) -> list[Place]:
    """List the places of the frames of a walk.

    Raises:
        UsageError: no step.

    Example:
        >>> walk_places(2, 2, loop=False), walk_places(2, 2, loop=True)
        ([(0, 0.0), (0, 0.5), (0, 1.0)], [(0, 0.0), (0, 0.5), (1, 0.0), (1, 0.5)])
    """
    if steps < 1:
        raise UsageError(f"steps is {steps}; at least 1 picture from seed to seed is required")
    legs = stations if loop else stations - 1
    places = [(leg, step / steps) for leg in range(legs) for step in range(steps)]
    return places if loop else [*places, (legs - 1, 1.0)]


def walk_frames(
    network: Network, stations: Inputs, places: Sequence[Place], *, batch_size: int = 8
) -> Iterator[Tensor]:
    """Draw the frames at places of a walk in batches, so that a film of any length takes no more memory.

    A pyramid's frames are not finished: their patches would jump from frame to frame. A finished generator's are: by
    one noise for all, a step of a walk through the faces changed no more than the largest one of the network alone.

    Args:
        stations: see `walk_between`; behind the last comes the first again.
    """
    for start in range(0, len(places), batch_size):
        inputs = joined([at_place(stations, place) for place in places[start : start + batch_size]])
        yield draw_images(network, inputs, finish=isinstance(network, FinishedGenerator))


def at_place(stations: Inputs, place: Place) -> Inputs:
    """Return what the frame at a place of a walk is drawn from."""
    count = len(stations.z)
    leg, share = place
    a, b = leg % count, (leg + 1) % count

    def on_arc(parts: Tensor) -> Tensor:
        if len(parts) < count:  # one for all frames
            return parts
        # The end of a walk is the last station itself, to the last bit.
        return (parts[b] if share == 1 else spherical_interpolation(parts[a], parts[b], share))[None]

    noise = None if stations.noise is None else [on_arc(maps) for maps in stations.noise]
    straight = (
        None if part is None else torch.lerp(part[a], part[b], share)[None]
        for part in (stations.truncation, stations.shift, stations.classes)
    )
    return Inputs(on_arc(stations.z), noise, *straight)


def arcs(stations: Tensor, shares: Sequence[float], *, loop: bool) -> Tensor:
    """Stack the latents at these shares of each arc from station to station; the last station ends an open way."""
    way = torch.cat([stations, stations[:1]]) if loop else stations
    points = [spherical_interpolation(a, b, share) for a, b in pairwise(way) for share in shares]
    return torch.stack(points if loop else [*points, way[-1]])


def spherical_interpolation(a: Tensor, b: Tensor, share: float) -> Tensor:
    """Go from one latent to another on the arc, lengths too; it stays where normal latents lie, unlike the chord."""
    norm_a, norm_b = a.norm(), b.norm()
    angle = torch.arccos((a.flatten() @ b.flatten() / (norm_a * norm_b)).clamp(-1, 1))
    if angle < 1e-4 or angle > torch.pi - 1e-4:  # no arc, or none that is shortest: the chord serves
        return torch.lerp(a, b, share)
    direction = (torch.sin((1 - share) * angle) * a / norm_a + torch.sin(share * angle) * b / norm_b) / torch.sin(angle)
    return direction * torch.lerp(norm_a, norm_b, share)
