"""A protocol says how figures are made: it is a name for settings.

A figure means something only together with these settings, so every record carries all of them, and a protocol with any
setting changed is called "custom".
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sase_gan.errors import UsageError

ProtocolName = Literal["quick", "standard", "paper-5k", "clean", "custom"]


@dataclass(frozen=True)
class Protocol:
    """All settings that change a figure.

    Args:
        name: of the protocol.
        num_fakes: pictures to generate, or to take from a folder at most.
        extractors: feature networks. "auto" stands for efflite0 and, where its weights are found, Inception.
        truncation: of the latents.
        noise: mode of the generator's noise.
        kid_subsets: of the kernel distance.
        kid_largest_subset: a subset has this many pictures, or as many as the smaller set.
        precision_neighbours: k of precision and recall.
        density_neighbours: k of density and coverage.
        bootstrap_draws: of the error bars.
        reference_splits: random halves of the reals for the reference level.
        changed_from: of a custom protocol, the named one whose other settings it has.
    """

    name: ProtocolName = "quick"
    num_fakes: int = 1000
    extractors: tuple[str, ...] = ("auto",)
    truncation: float = 1.0
    noise: str = "random"
    kid_subsets: int = 100
    kid_largest_subset: int = 1000
    precision_neighbours: int = 3
    density_neighbours: int = 5
    bootstrap_draws: int = 200
    reference_splits: int = 10
    changed_from: str | None = None

    def changed(self, **settings: Any) -> "Protocol":
        """The same protocol with other settings, called "custom" when that changes anything; None changes nothing."""
        real = {key: value for key, value in settings.items() if value is not None and value != getattr(self, key)}
        if not real:
            return self
        return dataclasses.replace(self, name="custom", changed_from=self.changed_from or self.name, **real)

    def to_record(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in dataclasses.asdict(self).items()
        }


PROTOCOLS: Mapping[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol("quick"),
        Protocol("standard", num_fakes=5000),
        # The resize of the released scripts of the low-shot papers is TensorFlow 1's bilinear one, torch-fidelity's.
        Protocol("paper-5k", num_fakes=5000, extractors=("inception", "efflite0")),
        Protocol("clean", num_fakes=5000, extractors=("inception-clean", "efflite0")),
    )
}

TRAINING = Protocol("quick").changed(num_fakes=500, extractors=("efflite0",), bootstrap_draws=50)
"""The small budget of snapshots during training."""


def named_protocol(name: str) -> Protocol:
    """The protocol called `name`.

    Raises:
        UsageError: there is none.
    """
    if name not in PROTOCOLS:
        raise UsageError(f"There is no protocol {name!r}; the known ones are {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[name]


def comparability(settings: Mapping[str, Any]) -> str:
    """A short hash of everything that a figure's meaning depends on; figures with unlike hashes are not compared."""
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
