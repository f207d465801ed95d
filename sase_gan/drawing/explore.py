"""What can be done with a trained generator besides drawing from it: neighbours, directions, walks, mixing, and its
spatial gates switched by hand.

Nothing here changes a network: `rewired` makes a copy of a module's structure that shares all weights and in which
single methods are replaced. So several requests can use one network, and an error cannot leave it altered.

Directions without labels: closed-form factorisation after Shen and Zhou, "Closed-Form Factorization of Latent Semantics
in GANs" (2021), and principal components of early features carried back to latents by least squares after Harkonen and
others, "GANSpace" (2020). Local mixing of styles through SASE masks is ours.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sase_gan.drawing.sampling import Inputs, draw_images, evaluating, spherical_interpolation
from sase_gan.errors import UsageError
from sase_gan.layers.attentive_norm import AttentiveNorm
from sase_gan.layers.sase import SynthesisSASE
from sase_gan.layers.skip_excitation import SkipExcitation
from sase_gan.networks.generator import Generator
from sase_gan.pixels import to_uint8
from sase_gan.seeds import generator as random_generator

DirectionMethod = Literal["factorisation", "components"]
DIRECTION_METHODS: tuple[DirectionMethod, ...] = ("factorisation", "components")
COMPONENT_SAMPLES = 256
COMPONENT_SIZE = 8

Overrides = Mapping[str, Mapping[str, Callable[..., Any]]]


# --- latents ---------------------------------------------------------------------------------------------------------


def neighbours(z: Tensor, *, side: int = 5, reach: float = 0.6, seed: int = 0) -> Tensor:
    """Latents around one, on a square grid with `z` in the middle.

    The grid lies in a plane through two random directions at right angles to each other and to `z`; every point is
    brought back to the length of `z`, because normal latents of many dimensions lie near a sphere.

    Args:
        z: `[latent_size]`.
        side: points along an edge, odd.
        reach: of the middle of an edge, as the angle from `z` in radians; 0.6 is a clear difference, above 1.2 little
            of the original is left.
        seed: of the two directions.

    Returns:
        `[side * side, latent_size]`, row by row.
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
    """Latents like a given one: `cos(a) z + sin(a) e` with normal `e`, so that they stay normal.

    Args:
        amount: the angle `a` in radians; 0 gives `z`, pi/2 forgets it.

    Returns:
        `[count, latent_size]`.
    """
    if not 0 <= amount <= 1.6:
        raise UsageError(f"amount is {amount}; it must be between 0 (the same) and 1.6 (something else)")
    drawn = torch.randn(count, len(z), generator=random_generator(seed, "variations"), dtype=z.dtype)
    angle = torch.tensor(amount, dtype=z.dtype)
    return angle.cos() * z + angle.sin() * drawn


def closed_walk(stations: Tensor, steps: int, *, loop: bool = True) -> Tensor:
    """Latents from station to station along arcs, slowing down at each, so that neither a station nor the end jerks.

    Args:
        stations: `[n, latent_size]`, at least two.
        steps: latents from each station to just before the next.
        loop: return to the first station; else the last one ends the walk.

    Returns:
        `[n * steps, latent_size]` for a loop, else `[(n - 1) * steps + 1, latent_size]`.
    """
    if len(stations) < 2:
        raise UsageError(f"a walk needs at least two pictures; got {len(stations)}")
    if steps < 1:
        raise UsageError(f"steps is {steps}; at least 1 from picture to picture is required")
    way = torch.cat([stations, stations[:1]]) if loop else stations
    shares = [(1 - torch.cos(torch.tensor(torch.pi * step / steps))).item() / 2 for step in range(steps)]
    points = [spherical_interpolation(a, b, share) for a, b in pairwise(way) for share in shares]
    return torch.stack(points if loop else [*points, stations[-1]])


def directions(network: Generator, method: DirectionMethod, count: int = 6) -> Tensor:
    """Directions in latent space that change pictures most, found without labels.

    "factorisation": the first layer is linear, and the left singular vectors of its weight are the directions that it
    amplifies most. "components": principal components of the 8x8 feature maps of 256 latents; each is carried back to
    the latents by least squares, since this generator has no further latent space to take them from.

    Returns:
        Unit vectors `[count, latent_size]`, the strongest first, signs such that the largest value is positive.
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
    largest = found.gather(1, found.abs().argmax(1, keepdim=True))
    return found * largest.sign()


def _component_directions(network: Generator, count: int) -> Tensor:
    latent_size = network.config.latent_size
    z = torch.randn(max(COMPONENT_SAMPLES, 2 * latent_size), latent_size, generator=random_generator(0, "components"))
    block = network.get_submodule(f"b{COMPONENT_SIZE}")
    with evaluating(network):
        device = next(network.parameters()).device
        maps = torch.cat([block(network.b4(part.to(device)), ()).flatten(1).float().cpu() for part in z.split(64)])
    centred = maps - maps.mean(0)
    scores = torch.linalg.svd(centred, full_matrices=False)[0][:, :count]
    back = torch.linalg.lstsq(z, scores).solution.T
    return back / back.norm(dim=1, keepdim=True)


# --- networks with replaced methods ----------------------------------------------------------------------------------


def rewired(module: nn.Module, overrides: Overrides) -> Any:
    """A copy of a module's structure that shares every weight, with methods of named submodules replaced.

    Args:
        overrides: for a submodule's path such as "b8.norm1", functions by the name of the method they stand for; they
            are called without the module.

    Example:
        >>> pair = nn.Sequential(nn.ReLU(), nn.ReLU())
        >>> rewired(pair, {"1": {"forward": lambda x: x - 1}})(torch.tensor([-1.0, 2.0]))
        tensor([-1.,  1.])
        >>> pair(torch.tensor([2.0]))
        tensor([2.])
    """
    twin = copy.copy(module)
    own = overrides.get("", {})
    for name, function in own.items():
        object.__setattr__(twin, name, function)
    children = dict(module._modules)
    for child in {path.partition(".")[0] for path in overrides if path}:
        if children.get(child) is None:
            raise UsageError(f"there is no submodule {child!r}; known are {', '.join(children)}")
        inner = {
            path.partition(".")[2]: methods for path, methods in overrides.items() if path.partition(".")[0] == child
        }
        children[child] = rewired(children[child], inner)  # type: ignore[arg-type]
    object.__setattr__(twin, "_modules", children)
    return twin


def attentive_norms(network: Generator) -> dict[str, AttentiveNorm]:
    """The attentive normalizations by path, coarse to fine; none in a network with batch normalisation."""
    found = {name: module for name, module in network.named_modules() if isinstance(module, AttentiveNorm)}
    return dict(sorted(found.items(), key=lambda item: block_size(item[0])))


def block_size(path: str) -> int:
    """The map size of the block or gate that a path such as "b16.norm" or "gate8to64" belongs to."""
    return int(path.partition(".")[0].removeprefix("b").rpartition("to")[2])


@dataclass(frozen=True)
class LayerView:
    """What the layers of a generator did for one picture.

    Attributes:
        masks: of each SASE gate, `[groups, size, size]` in (0, 1), at the size of the gate's source.
        styles: of each SASE gate, `[groups, channels]`.
        mixtures: of each attentive normalization, its weights `[components]`.
        image: uint8 `[3, image_size, image_size]`.
    """

    masks: dict[str, Tensor]
    styles: dict[str, Tensor]
    mixtures: dict[str, Tensor]
    image: Tensor


def view_layers(network: Generator, inputs: Inputs) -> LayerView:
    """Draw one picture and note masks, styles and mixture weights on the way.

    Args:
        inputs: of one picture, as `sampling.draw_inputs` gives them.
    """
    seen: dict[str, dict[str, Tensor]] = {"masks": {}, "styles": {}, "mixtures": {}}

    def noting(kind: str, path: str, method: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def noted(*arguments: Any) -> Tensor:
            result = method(*arguments)
            seen[kind][path] = result[0].float().cpu().clone()
            return result

        return noted

    overrides: dict[str, dict[str, Callable[..., Any]]] = {
        path: {"masks": noting("masks", path, gate.masks), "styles": noting("styles", path, gate.styles)}
        for path, gate in network.sase_gates().items()
    }
    for path, norm in attentive_norms(network).items():
        overrides[path] = {"mixture_weights": noting("mixtures", path, norm.mixture_weights)}
    image = draw_images(rewired(network, overrides), Inputs(inputs.z[:1], _first_noise(inputs)))[0]
    return LayerView(seen["masks"], seen["styles"], seen["mixtures"], image)


def _first_noise(inputs: Inputs) -> list[Tensor] | None:
    return None if inputs.noise is None else [noise[:1] for noise in inputs.noise]


# --- SASE gates by hand ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GateEdit:
    """What to change in one SASE gate.

    Attributes:
        strengths: a factor for each mask, 0 switches it off, 1 leaves it; none for all 1.
        styles: `[groups, channels]` of another picture, to be taken instead of this picture's own ...
        borrowed: ... for these masks, ...
        region: ... and there only: `[height, width]` in [0, 1] over the picture; None for everywhere.
    """

    strengths: tuple[float, ...] = ()
    styles: Tensor | None = None
    borrowed: frozenset[int] = field(default_factory=frozenset)
    region: Tensor | None = None


def draw_edited(network: Generator, inputs: Inputs, edits: Mapping[str, GateEdit]) -> Tensor:
    """Draw pictures with some of the SASE gates changed, uint8 `[batch, 3, image_size, image_size]`.

    With masks m, own styles v, borrowed styles w and region R the gate is, at the target's size,

        (1 - R) * (1 + sum_k a_k m_k v_k / sum_k a_k m_k) + R * (the same with w_k for the borrowed k)

    where a are the strengths. With all masks switched off the gate is 1 everywhere and the layer does nothing.

    Raises:
        UsageError: for a gate that the network lacks, or strengths of another number than its masks.
    """
    gates = network.sase_gates()
    if unknown := [name for name in edits if name not in gates]:
        known = ", ".join(gates) or "none"
        raise UsageError(f"there is no SASE gate {unknown[0]!r}; this generator has {known}")
    overrides = {name: {"apply_gate": _edited_gate(name, gates[name], edit)} for name, edit in edits.items()}
    return draw_images(rewired(network, overrides), inputs)


def _edited_gate(name: str, gate: SynthesisSASE, edit: GateEdit) -> Callable[..., Tensor]:
    strengths = edit.strengths or (1.0,) * gate.groups
    if len(strengths) != gate.groups:
        raise UsageError(f"{name} has {gate.groups} masks; {len(strengths)} strengths were given")
    if min(strengths) < 0:
        raise UsageError(f"the strengths of {name} are {strengths}; each must be 0 or more (1 changes nothing)")

    def apply_gate(masks: Tensor, styles: Tensor, target: Tensor) -> Tensor:
        masks = masks * torch.tensor(strengths, dtype=masks.dtype, device=masks.device)[:, None, None]
        if edit.styles is None or not edit.borrowed:
            return gate.apply_gate(masks, styles, target)
        chosen = torch.tensor([k in edit.borrowed for k in range(gate.groups)], device=styles.device)
        mixed = torch.where(chosen[:, None], edit.styles.to(styles), styles)
        borrowed = gate.apply_gate(masks, mixed, target)
        if edit.region is None:
            return borrowed
        region = edit.region.to(target)[None, None]
        region = F.interpolate(region, size=target.shape[2:], mode="bilinear", antialias=True, align_corners=False)
        return torch.lerp(gate.apply_gate(masks, styles, target), borrowed, region)

    return apply_gate


def mask_overlay(image: Tensor, mask: Tensor, *, scale: int = 1) -> Tensor:
    """A mask over its picture: the picture dimmed and greyed where the mask is low, plain and tinted where it is high.

    Masks often differ by little from a constant, so the mask is stretched to its own range; the caller states it.

    Args:
        image: uint8 `[3, H, W]`.
        mask: `[h, w]`, any range.
        scale: whole factor by which the result is larger than the picture.

    Returns:
        uint8 `[3, H * scale, W * scale]`.
    """
    height, width = image.shape[1] * scale, image.shape[2] * scale
    large = F.interpolate(image[None].float() / 255, size=(height, width), mode="nearest")[0]
    spread = (mask.max() - mask.min()).clamp_min(1e-6)
    share = ((mask - mask.min()) / spread).float()[None, None]
    share = F.interpolate(share, size=(height, width), mode="nearest")[0]
    grey = large.mean(0, keepdim=True) * 0.35
    tint = torch.tensor([1.0, 0.55, 0.1])[:, None, None]
    shown = torch.lerp(grey.expand(3, -1, -1), 0.72 * large + 0.28 * tint, share)
    return to_uint8(shown * 2 - 1)


# --- mixing ----------------------------------------------------------------------------------------------------------


def mix(network: Generator, first: Inputs, second: Inputs, from_size: int) -> Tensor:
    """Pictures of the first latents whose appearance comes from the second latents from a map size on.

    A latent enters this generator at 4x4 alone, so maps cannot be crossed half way without losing the first picture.
    What crosses instead is what describes a picture as a whole: from `from_size` on, the mean and deviation of every
    channel after each activation (adaptive instance normalisation, Huang and Belongie 2017), the weights of attentive
    normalization, the channel gates of skip-layer excitation and the styles of SASE are those of the second. Masks and
    noise, which say where things are, stay those of the first.

    Args:
        first, second: of equal batch sizes.
        from_size: a map size of the network; above the picture's size nothing is mixed.

    Returns:
        uint8 `[batch, 3, image_size, image_size]`.
    """
    if len(first.z) != len(second.z):
        raise UsageError(f"{len(first.z)} first and {len(second.z)} second latents were given; pairs are required")
    crossing = {path: part for path, part in _appearance(network).items() if block_size(path) >= from_size}
    # A list for each path: the activation of a block with two convolutions is called twice.
    notes: dict[str, list[Tensor]] = {path: [] for path in crossing}

    def noting(path: str, method: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def noted(*arguments: Any) -> Tensor:
            notes[path].append(method(*arguments))
            return notes[path][-1]

        return noted

    def taking(path: str, method: Callable[..., Tensor]) -> Callable[..., Tensor]:
        if path.endswith(".activation"):
            return lambda x: _with_statistics_of(method(x), notes[path].pop(0))
        return lambda *arguments: notes[path].pop(0)

    device = next(network.parameters()).device
    noise = None if second.noise is None else [n.to(device) for n in second.noise]
    with evaluating(network):
        rewired(network, {p: {name: noting(p, method)} for p, (name, method) in crossing.items()})(
            second.z.to(device), noise
        )
    return draw_images(rewired(network, {p: {name: taking(p, m)} for p, (name, m) in crossing.items()}), first)


def _appearance(network: Generator) -> dict[str, tuple[str, Callable[..., Tensor]]]:
    """(name, method) of what describes a picture as a whole, by the path of the submodule that computes it."""
    found: dict[str, tuple[str, Callable[..., Tensor]]] = {
        path: ("mixture_weights", norm.mixture_weights) for path, norm in attentive_norms(network).items()
    }
    for path, part in network.named_children():
        if isinstance(part, SynthesisSASE):
            found[path] = ("styles", part.styles)
        elif isinstance(part, SkipExcitation):
            found[f"{path}.squeeze"] = ("forward", part.squeeze.forward)
        elif path.startswith("b"):
            found[f"{path}.activation"] = ("forward", part.get_submodule("activation").forward)
    return found


def _with_statistics_of(x: Tensor, other: Tensor, eps: float = 1e-5) -> Tensor:
    """`x` with the mean and deviation of every channel of `other`, for each picture."""
    deviation, mean = torch.std_mean(x, (2, 3), correction=0, keepdim=True)
    other_deviation, other_mean = torch.std_mean(other, (2, 3), correction=0, keepdim=True)
    return (x - mean) / (deviation + eps) * other_deviation + other_mean


def draw_latents(network: Generator, z: Tensor, noise: Sequence[Tensor] | None, *, batch_size: int = 8) -> Tensor:
    """Pictures of given latents `[n, latent_size]`, all with the noise maps of one picture; uint8 `[n, 3, S, S]`."""
    parts = []
    for part in z.split(batch_size):
        shared = None if noise is None else [n[:1].expand(len(part), -1, -1, -1) for n in noise]
        parts.append(draw_images(network, Inputs(part, shared)))
    return torch.cat(parts)
