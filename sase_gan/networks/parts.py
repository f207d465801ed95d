"""The only tables from a configuration's name to a factory of parts."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

from torch import nn

from sase_gan.layers.attentive_norm import AttentiveNorm
from sase_gan.layers.primitives import batch_norm, instance_norm
from sase_gan.layers.sase import SynthesisSASE
from sase_gan.layers.skip_excitation import SkipExcitation

NormFactory = Callable[[int], nn.Module]


def norm_factory(
    name: str, *, num_components: int, init_scale: str, statistics: Literal["batch", "instance"] = "batch"
) -> NormFactory:
    """A factory `channels -> module` of the named normalisation.

    Args:
        statistics: "batch" keeps running ones for evaluation; "instance" takes each sample's own, always.

    Raises:
        ValueError: for an unknown name; the message lists the known ones.
    """
    attentive: NormFactory = partial(AttentiveNorm, num_components=num_components, init_scale=init_scale)  # type: ignore[arg-type]
    known: Mapping[str, NormFactory] = {"batch": batch_norm, "attentive": attentive, "none": _no_norm}
    if statistics == "instance":
        known = {**known, "batch": instance_norm, "attentive": partial(_instance_attentive, attentive)}
    return _look_up(known, name, "norm")


def _instance_attentive(attentive: Callable[..., nn.Module], channels: int) -> nn.Module:
    # The attention norm goes: over a batch of one it would have one value per component.
    return attentive(channels, norm="group", num_groups=channels, attention_norm="none")


def _no_norm(channels: int) -> nn.Module:
    return nn.Identity()


def skip_factory(name: str) -> Callable[..., nn.Module]:
    """The class of the named skip gate, called with (source_channels, target_channels, ...).

    Raises:
        ValueError: for an unknown name; the message lists the known ones.
    """
    known: Mapping[str, Callable[..., nn.Module]] = {"sase": SynthesisSASE, "sle": SkipExcitation}
    return _look_up(known, name, "skip")


def _look_up(known: Mapping[str, Any], name: str, what: str) -> Any:
    if name not in known:
        raise ValueError(f"{what} is {name!r}; choose one of {', '.join(known)}")
    return known[name]
