"""What of one network's weights another one of the same kind can take over, also where it draws another size.

Blocks, gates and decoders are named by the size of their map, so that a network of another image size shares those of
equal name. What has another shape, or stands at sizes that only one of both has, is left out or stays as it began.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sase_gan.layers.spectral_norm import converge_spectral_norms
from sase_gan.networks import channel_tables as tables

ORIGINAL = ".parametrizations.weight.original"
_HALVING = re.compile(r"small_branch\.(\d+)\.(.*)")


@dataclass(frozen=True)
class Taken:
    """What a network took over: how many of its numbers, and the names of the parts that are new or were left out."""

    count: int
    total: int
    new: tuple[str, ...]
    left_out: tuple[str, ...]

    def words(self) -> str:
        """Say it in a few words."""
        if not self.new and not self.left_out:
            return "whole"
        told = [f"{self.count / self.total:.0%} of its weights"]
        told += [f"new: {', '.join(self.new)}"] if self.new else []
        told += [f"left out: {', '.join(self.left_out)}"] if self.left_out else []
        return "; ".join(told)


@torch.no_grad()
def take_over(network: nn.Module, state: Mapping[str, Tensor]) -> Taken:
    """Load into a network those tensors of a state that it has under the same name in the same shape.

    Weights of a snapshot, which are divided by their spectral norms already, go where a network in training keeps
    its undivided ones; the norms are found anew.
    """
    own = network.state_dict()
    found = {_stored_name(name, own): value for name, value in state.items()}
    shared = {name: value for name, value in found.items() if name in own and own[name].shape == value.shape}
    network.load_state_dict({**own, **shared})
    if any(name.endswith(ORIGINAL) for name in shared) and not any("._u" in name for name in shared):
        converge_spectral_norms(network)
    learnt = dict(network.named_parameters())
    return Taken(
        sum(value.numel() for name, value in learnt.items() if name in shared),
        sum(value.numel() for value in learnt.values()),
        _parts(name for name in learnt if name not in shared),
        _parts(name for name in found if name not in shared and not name.endswith("num_batches_tracked")),
    )


def _stored_name(name: str, own: Mapping[str, Tensor]) -> str:
    stem, _, last = name.rpartition(".")
    return f"{stem}{ORIGINAL}" if last == "weight" and f"{stem}{ORIGINAL}" in own else name


def _parts(names: object) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(name).partition(".")[0] for name in names))  # type: ignore[attr-defined]


def renamed_for(state: Mapping[str, Tensor], *, before: int, after: int) -> dict[str, Tensor]:
    """Name a discriminator's tensors as one for pictures of another side does.

    The halvings of the branch for the small picture are numbered from the picture on, and belong together from the 8x8
    map on; its first one, which reads the picture, serves at its own size only.
    """
    counts = [len(tables.small_branch_sides(tables.small_image_size(side))) for side in (before, after)]
    if counts[0] == counts[1]:
        return dict(state)
    result = {}
    for name, value in state.items():
        match = _HALVING.fullmatch(name)
        if match is None:
            result[name] = value
        elif (place := int(match[1])) >= 2 and (moved := place + 3 * (counts[1] - counts[0])) >= 2:
            result[f"small_branch.{moved}.{match[2]}"] = value
    return result
