"""Looking into the layers of a trained generator: its spatial gates and attentive norms, seen and switched by hand.

Pictures are drawn as the network alone draws them. Of a finished generator what the layers do is seen there; finishing
takes most changes of tone away again (docs/results/gates.md).

Nothing here changes a network: `rewired` makes a copy of a module's structure that shares all weights and in which
single methods are replaced. So several requests can use one network, and an error cannot leave it altered.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sase_gan.drawing.sampling import Inputs, draw_images
from sase_gan.errors import UsageError
from sase_gan.layers.attentive_norm import AttentiveNorm
from sase_gan.layers.sase import SynthesisSASE
from sase_gan.networks.generator import Generator
from sase_gan.pixels import to_uint8

Overrides = Mapping[str, Mapping[str, Callable[..., Any]]]


def rewired(module: nn.Module, overrides: Overrides) -> Any:
    """Copy a module's structure, sharing every weight, with methods of named submodules replaced.

    Args:
        overrides: for a submodule's path such as "b8.norm1", functions by the name of the method they stand for; they
            are called without the module.

    Raises:
        UsageError: there is no submodule of such a path.

    Example:
        >>> pair = nn.Sequential(nn.ReLU(), nn.ReLU())
        >>> rewired(pair, {"1": {"forward": lambda x: x - 1}})(torch.tensor([-1.0, 2.0]))
        tensor([-1.,  1.])
        >>> pair(torch.tensor([2.0]))
        tensor([2.])
    """
    twin = copy.copy(module)
    for name, function in overrides.get("", {}).items():
        object.__setattr__(twin, name, function)
    children = dict(module._modules)
    for child in {path.partition(".")[0] for path in overrides if path}:
        if children.get(child) is None:
            raise UsageError(f"there is no submodule {child!r}; known are {', '.join(children)}")
        inner = {path.partition(".")[2]: own for path, own in overrides.items() if path.partition(".")[0] == child}
        children[child] = rewired(children[child], inner)  # type: ignore[arg-type]
    object.__setattr__(twin, "_modules", children)
    return twin


def attentive_norms(network: Generator) -> dict[str, AttentiveNorm]:
    """Find the attentive normalizations by path, coarse to fine; a network with batch normalisation has none."""
    found = {name: module for name, module in network.named_modules() if isinstance(module, AttentiveNorm)}
    return dict(sorted(found.items(), key=lambda item: block_size(item[0])))


def block_size(path: str) -> int:
    """Read the map size of a block or gate from a path such as "b16.norm" or "gate8to64"."""
    return int(path.partition(".")[0].removeprefix("b").rpartition("to")[2])


@dataclass(frozen=True)
class LayerView:
    """What the layers of a generator did for one picture is noted here."""

    masks: dict[str, Tensor]
    """Of each SASE gate, `[groups, size, size]` in (0, 1), at the size of the gate's source."""
    styles: dict[str, Tensor]
    """Of each SASE gate, `[groups, channels]`."""
    mixtures: dict[str, Tensor]
    """Of each attentive normalization, its weights `[components]`."""
    image: Tensor


def view_layers(network: Generator, inputs: Inputs) -> LayerView:
    """Draw the first picture of `inputs` and note masks, styles and mixture weights on the way."""
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
        overrides[path] = {"weights_of": noting("mixtures", path, norm.weights_of)}
    image = draw_images(rewired(network, overrides), inputs.first(), finish=False)[0]
    return LayerView(image=image, **seen)


@dataclass(frozen=True)
class GateEdit:
    """An edit says what to change in one SASE gate.

    Attributes:
        strengths: a factor for each mask, 0 switches it off, 1 leaves it; none for all 1.
        styles: `[groups, channels]` of another picture, to be taken instead of this picture's own ...
        borrowed: ... for these masks, ...
        region: ... and there only: `[height, width]` in [0, 1] over the picture; None for everywhere.
    """

    strengths: tuple[float, ...] = ()
    styles: Tensor | None = None
    borrowed: frozenset[int] = frozenset()
    region: Tensor | None = None


def draw_edited(network: Generator, inputs: Inputs, edits: Mapping[str, GateEdit]) -> Tensor:
    """Draw pictures with some of the SASE gates changed, uint8 `[batch, 3, image_size, image_size]`.

    With masks m, own styles v, borrowed styles w and region R the gate is, at the target's size,

        (1 - R) * (1 + sum_k a_k m_k v_k / sum_k a_k m_k) + R * (the same with w_k for the borrowed k)

    where a are the strengths; a gate whose masks are no shares has no quotient. With all masks switched off the gate is
    1 everywhere and the layer does nothing.

    Raises:
        UsageError: for a gate that the network lacks, or strengths of another number than its masks.
    """
    gates = network.sase_gates()
    if unknown := [name for name in edits if name not in gates]:
        raise UsageError(f"there is no SASE gate {unknown[0]!r}; this generator has {', '.join(gates) or 'none'}")
    overrides = {name: {"apply_gate": _edited_gate(name, gates[name], edit)} for name, edit in edits.items()}
    return draw_images(rewired(network, overrides), inputs, finish=False)


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
        region = F.interpolate(edit.region.to(target)[None, None], target.shape[2:], mode="bilinear", antialias=True)
        return torch.lerp(gate.apply_gate(masks, styles, target), borrowed, region)

    return apply_gate


def mask_overlay(image: Tensor, mask: Tensor, *, scale: int = 1) -> Tensor:
    """Lay a mask over its picture, which is dimmed and greyed where the mask is low, and tinted where it is high.

    Masks often differ by little from a constant, so the mask `[h, w]` is stretched to its own range; the caller states
    it. The picture is uint8 `[3, H, W]`, the result uint8 `[3, H * scale, W * scale]`.
    """
    height, width = image.shape[1] * scale, image.shape[2] * scale
    large = F.interpolate(image[None].float() / 255, size=(height, width), mode="nearest")[0]
    share = ((mask - mask.min()) / (mask.max() - mask.min()).clamp_min(1e-6)).float()[None, None]
    share = F.interpolate(share, size=(height, width), mode="nearest")[0]
    grey = large.mean(0, keepdim=True) * 0.35
    tint = torch.tensor([1.0, 0.55, 0.1])[:, None, None]
    shown = torch.lerp(grey.expand(3, -1, -1), 0.72 * large + 0.28 * tint, share)
    return to_uint8(shown * 2 - 1)
