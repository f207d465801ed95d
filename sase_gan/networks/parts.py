"""The only tables from a configuration's name to a factory of parts."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import nn

from sase_gan.layers.attentive_norm import AttentiveNorm
from sase_gan.layers.primitives import batch_norm
from sase_gan.layers.sase import SynthesisSASE
from sase_gan.layers.skip_excitation import SkipExcitation

NormFactory = Callable[[int], nn.Module]


def norm_factory(name: str, *, num_components: int, init_scale: str) -> NormFactory:
    """A factory `channels -> module` of the named normalisation.

    Raises:
        ValueError: for an unknown name; the message lists the known ones.
    """
    known: Mapping[str, NormFactory] = {
        "batch": batch_norm,
        "attentive": partial(AttentiveNorm, num_components=num_components, init_scale=init_scale),  # type: ignore[arg-type]
    }
    return _look_up(known, name, "norm")


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
