"""Training steps without their exact savings, as the released loops go: the same function, to rounding."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from sase_gan.networks.generator import Pictures
from sase_gan.training.low_shot import LowShotModule
from sase_gan.training.one_shot import OneShotModule


class PlainLowShotModule(LowShotModule):
    """The low-shot step keeps weights channels first, and the generator's step sends gradients into the discriminator.

    Nobody uses those gradients.
    """

    def on_fit_start(self) -> None:
        """Bring the unregistered loss network to the device."""
        self._reconstruction[0].to(self.device)

    def toggled_optimizer(self, optimizer: Any) -> Any:
        """Keep the gradients of the other player in the generator's step."""
        return nullcontext() if optimizer is self.optimiser(0) else super().toggled_optimizer(optimizer)

    def _generator_step(self, fake: Pictures, source: torch.Generator) -> None:
        super()._generator_step(fake, source)
        self.discriminator.zero_grad(set_to_none=True)


class PlainOneShotModule(OneShotModule):
    """The one-shot iteration keeps nothing between iterations, and every picture takes passes of its own.

    Its generator's step sends gradients into the discriminator that nobody uses.
    """

    def toggled_optimizer(self, optimizer: Any) -> Any:
        """Keep the gradients of the other player."""
        return nullcontext()

    def _climb(self, noise: list[Tensor | None], fixed: list[Tensor | None]) -> Tensor:
        """Climb from the coarsest stage on, the two pictures one after the other."""
        pictures = []
        for inputs in (noise, fixed):
            first = self._first_trained
            with torch.no_grad():
                carried = self.generator.climb(inputs, stop=first).stages[-1] if first > 0 else None
            pictures.append(self.generator.climb(inputs, start=first, stop=self.phase + 1, carried=carried).big)
        return torch.cat(pictures)

    def _judge(self, fake: Tensor) -> tuple[Tensor, Tensor]:
        return self.discriminator(self._real), self.discriminator(fake)

    def _generator_step(self, drawn: Tensor, source: torch.Generator) -> None:
        super()._generator_step(drawn, source)
        self.discriminator.zero_grad(set_to_none=True)
