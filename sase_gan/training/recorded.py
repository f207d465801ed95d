"""Training steps that a GPU repeats from a recording (a CUDA graph), instead of being told each of their kernels anew.

A step of the full network starts some four thousand kernels, most of them small: starting them costs Python several
times what computing them costs the GPU. A recording starts them all at once. It computes the same: random numbers come
from the same seed, rates are read from the device, and what differs from step to step is copied to where the recording
reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

from sase_gan.errors import SaseGanError
from sase_gan.memory import out_of_memory

Terms = dict[str, Tensor]
Step = Callable[[tuple[Tensor, ...], torch.Generator], Terms]
"""From what differs from step to step, and a source of random numbers, to the figures of the step."""


class RecordedSteps:
    """Steps of one kind run plainly the first time, are recorded the second time, and replayed from then on.

    A step may read and write tensors that live on, such as weights and the optimisers' moments, in place; it may read
    nothing back from the device. Optimisers are made ready by `prepare`, before the first recording.

    Args:
        device: a CUDA device.
        prepare: called once, before the first recording.

    Attributes:
        replays: how often a recording was replayed.
    """

    def __init__(self, device: torch.device, prepare: Callable[[], None]) -> None:
        self._prepare, self._prepared = prepare, False
        self.replays = 0
        self._source = torch.Generator(device)
        self._pool: Any = None
        self._seen: set[Hashable] = set()
        self._recordings: dict[Hashable, _Recording] = {}

    def take(self, kind: Hashable, source: torch.Generator, inputs: Sequence[Tensor], step: Step) -> Terms:
        """Take a step, and return its figures, which the next step of the kind overwrites.

        Args:
            kind: whatever else the step depends on.
            source: of the step's random numbers, on the device; it goes on as if the step had drawn from it.
            inputs: whatever differs from step to step, on the device.

        Raises:
            SaseGanError: if the step cannot be recorded here.
        """
        inputs = tuple(inputs)
        key = kind, tuple((each.shape, each.dtype) for each in inputs)
        if key not in self._seen:
            self._seen.add(key)
            return step(inputs, source)
        if key not in self._recordings:
            self._recordings[key] = self._record(inputs, step)
        recording = self._recordings[key]
        for kept, new in zip(recording.inputs, inputs, strict=True):
            kept.copy_(new)
        self._source.set_state(source.get_state())
        recording.graph.replay()
        source.set_state(self._source.get_state())
        self.replays += 1
        return recording.terms

    @property
    def known(self) -> int:
        """How many kinds were met and how many recorded, added: it stands still while steps are replayed."""
        return len(self._seen) + len(self._recordings)

    def forget(self) -> None:
        """Drop all recordings, as where other tensors take the place of those that they read."""
        self._seen.clear()
        self._recordings.clear()
        self._pool = None

    def _record(self, inputs: tuple[Tensor, ...], step: Step) -> _Recording:
        if not self._prepared:
            self._prepare()
            self._prepared = True
        kept, graph = tuple(each.clone() for each in inputs), torch.cuda.CUDAGraph()
        graph.register_generator_state(self._source)
        # Casts that autocast has kept are of weights of now; the recording makes its own, of the weights of its time.
        torch.clear_autocast_cache()
        try:
            # One pool for all kinds: no two replays overlap. Other threads of this process may go on with the device.
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                terms = step(kept, self._source)
        except RuntimeError as error:
            # A recording that breaks off has an error of its own, behind which the step's lies.
            first = error.__context__ or error
            if out_of_memory(error):
                raise
            if out_of_memory(first):
                raise first from None
            raise SaseGanError(
                f"this device cannot record a training step ({str(first).splitlines()[0]}); go on without recordings: "
                "--set optimiser.recorded=false"
            ) from error
        finally:
            torch.clear_autocast_cache()
        self._pool = graph.pool()
        return _Recording(graph, kept, terms)


class _Recording:
    """A recording holds the graph, where it reads what differs, and where it leaves the figures."""

    def __init__(self, graph: torch.cuda.CUDAGraph, inputs: tuple[Tensor, ...], terms: Terms) -> None:
        self.graph, self.inputs, self.terms = graph, inputs, terms


def make_recordable(optimiser: torch.optim.Optimizer, device: torch.device) -> None:
    """Let an optimiser read its rates from the device, so that a recording follows them."""
    for group in optimiser.param_groups:
        group["lr"] = torch.tensor(float(group["lr"]), device=device)
        group["capturable"] = True


def set_rate(group: dict[str, Any], rate: float) -> None:
    """Set the learning rate of a group of parameters, wherever it is read from."""
    kept = group.get("lr")
    if isinstance(kept, Tensor):
        kept.fill_(rate)
    else:
        group["lr"] = rate


def plain_groups(checkpoint: dict[str, Any]) -> None:
    """Write the optimisers' settings in a checkpoint as those of steps that were never recorded, in place.

    So a run goes on from it on any device.
    """
    for state in checkpoint.get("optimizer_states", ()):
        for group in state["param_groups"]:
            if isinstance(group["lr"], Tensor):
                group["lr"], group["capturable"] = group["lr"].item(), False
