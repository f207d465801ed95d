"""One training iteration of the one-shot pyramid, and what a checkpoint of it holds.

The pyramid grows: in phase s of as many phases as there are stages, the newest stages up to s are trained against the
picture at the size of s, the ones before are frozen. SinGAN (arXiv 1905.01164) trains one at a time, ConSinGAN
(arXiv 2003.11512) the last three together, each further back more slowly. What changes the method is a switch of
`OneShotConfig`; the preset `paper` sets the switches as released with arXiv 2112.14804.

By default the last two stages train together; in trainings of a minute one at a time is a fifth cheaper and gives more
varied pictures, so `quick` does that. Beside the discriminator a sliced distance of patches (arXiv 2203.11862) judges
the drawn picture: it needs no training, so coarse layouts become plausible within a hundred iterations. Alone it leaves
pictures smooth; the discriminator makes them sharp.

Exact savings: what frozen stages give the reconstruction is computed once a phase; the drawn picture and the
reconstruction go through the trained stages as one batch, where samples do not meet; so do the real and the drawn
picture through the discriminator.

The phase, the iteration in it, the rates and all random numbers derive from (seed, images seen), so a resumed run
repeats an uninterrupted one bit for bit on the same CPU and thread count.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sase_gan.colours import CHANNELS
from sase_gan.networks.pyramid import Pyramid
from sase_gan.networks.pyramid_stages import PatchDiscriminator
from sase_gan.pixels import to_float, to_uint8
from sase_gan.resizing import resize, resize_by_factor
from sase_gan.seeds import derive_seed
from sase_gan.seeds import generator as random_generator
from sase_gan.training import losses
from sase_gan.training.averaging import WeightAverage
from sase_gan.training.clock import TrainingClock
from sase_gan.training.config import OneShotConfig
from sase_gan.training.recorded import set_rate


class OneShotModule(TrainingClock):
    """The module holds the pyramid, its discriminators, and the iteration that trains them.

    The configuration is a `OneShotConfig` as a plain dictionary, with the pyramid's sizes; `phase` is the stage that is
    newest, -1 before the first iteration.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.config = OneShotConfig(**config)
        torch.manual_seed(derive_seed(self.config.seed, "initialisation"))
        self.generator = Pyramid(self.config.generator)
        how: Any = {"norm": self.config.discriminator.norm, "colours": CHANNELS[self.config.colours]}
        widths = dict.fromkeys(map(self.config.generator.channels, range(self.config.num_stages)))
        self.discriminators = nn.ModuleDict({str(width): PatchDiscriminator(width, **how) for width in widths})
        half_life = self.config.averaging.half_life
        # Without a ramp: at the start of a phase the average takes the new stage over, and follows from there.
        self.average = None if half_life is None else WeightAverage(self.generator, half_life=half_life, ramp_up=0)
        self.phase = -1
        self._starts = self.config.stage_starts
        self._real: Tensor = torch.empty(0)
        self._frozen_reconstruction: Tensor | None = None

    def show(self, picture: Tensor) -> None:
        """Give the training picture, uint8 `[colours, height, width]` at the finest size; once, before training."""
        self.generator.picture.copy_(picture)
        self.generator.draw_fixed_noise(self.config.seed)
        if self.average is not None:
            self._published_source().load_state_dict(self.generator.state_dict())

    def _picture_at(self, stage: int) -> Tensor:
        config, whole = self.config.generator, to_float(self.generator.picture)[None]
        if config.factor is None:
            return resize(whole, config.sizes[stage]).clamp(-1, 1)
        finer = self.config.num_stages - 1 - stage
        return resize_by_factor(whole, config.sizes[stage], config.factor**finer).clamp(-1, 1)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Build Adam for the generator, a group of parameters for each stage, and for the discriminators."""
        section = self.config.optimiser
        groups: list[dict[str, Any]] = [{"params": list(stage.parameters())} for stage in self.generator.stages]
        return [
            torch.optim.Adam(parameters, lr=section.rate, betas=section.betas, fused=True)
            for parameters in (groups, self.discriminators.parameters())
        ]

    def training_step(self, batch: Tensor, batch_idx: int) -> None:
        """Take one iteration; the batch only counts: the pyramid of the picture is made once a phase."""
        if self.images_seen >= self._starts[-1]:  # a finished run that is resumed has nothing left to do
            self.trainer.should_stop = True
            return
        phase = bisect_right(self._starts, self.images_seen) - 1
        iteration = self.images_seen - self._starts[phase]
        if phase != self.phase:
            self._enter(phase, first=iteration == 0)
        self._set_rates(iteration)
        source = random_generator(self.config.seed, "step", self.images_seen, device=self.device)
        self.collect(self.taken(phase, source, (), self._both_steps))
        self.advance(1)
        if self.average is not None:
            self.average.update(self.generator, batch=1, images_seen=self.images_seen)

    def _both_steps(self, inputs: Sequence[Tensor], source: torch.Generator) -> dict[str, Tensor]:
        """Take the steps of both players in this phase; read nothing back from the device.

        Returns the figures, each one number.
        """
        section, loss = self.config.optimiser, self.config.loss
        terms: dict[str, Tensor] = {}
        if not loss.fixed_latent and self.phase == 0:
            # The last one of all reconstructs the picture at finer stages.
            self.generator.fixed0.copy_(self._normal(self.generator.latent_shape(), source))
        own = self._normal(self._noise_shapes()[-1], source) if loss.shared_noise else None
        if loss.adversarial == 0:
            drawn = self._draw(source, own)
        else:
            for _ in range(section.discriminator_steps):
                drawn = self._draw(source, own)
                terms = self._discriminator_step(drawn[:1], source)
        if section.generator_update == "released":
            terms |= self._released_generator_step(drawn, source)
        else:
            terms |= self._generator_step(drawn, source, own)
        return {name: value.detach().float().mean() for name, value in terms.items()}

    def on_fit_start(self) -> None:
        """Let a CUDA device record iterations, in which nothing may come from the host, as the released grid does."""
        if self.config.optimiser.recorded and self.config.generator.factor is None:
            self.record_steps()

    @property
    def discriminator(self) -> PatchDiscriminator:
        """Return the discriminator of this phase; phases of the same width share one."""
        module: Any = self.discriminators[str(self.config.generator.channels(self.phase))]
        return module

    @property
    def _first_trained(self) -> int:
        return max(0, self.phase - self.config.pyramid.concurrent + 1)

    def _enter(self, phase: int, *, first: bool) -> None:
        """Prepare the phase; on its first iteration also what changes weights, which a resumed run finds done."""
        self.phase = phase
        if self.recorded is not None:
            self.recorded.forget()
        self._real = self._picture_at(phase)
        for index, stage in enumerate(self.generator.stages):
            trained = self._first_trained <= index <= phase
            # The mode matters for running statistics only: finished stages use what they have gathered.
            stage.requires_grad_(trained).train(trained)
        if first:
            self._begin(phase)
        stop = self._first_trained
        with torch.no_grad():
            self._frozen_reconstruction = self.generator.reconstruct(stop).stages[-1] if stop > 0 else None

    def _begin(self, phase: int) -> None:
        for index in range(2):
            self.optimiser(index).optimizer.state.clear()
        if phase == 0:
            return
        self.generator.begin_stage(phase)
        config = self.config.generator
        with torch.no_grad():
            rebuilt = self.generator.reconstruct(phase).big
            enlarged = self.generator.enlarge(rebuilt, config.sizes[phase], config.padding)
            error = (enlarged - self._real).square().mean().sqrt()
            self.generator.amplitudes[phase] = self.config.loss.noise * error
        if self.average is not None:
            self._published_source().stages[phase].load_state_dict(self.generator.stages[phase].state_dict())

    def _set_rates(self, iteration: int) -> None:
        section = self.config.optimiser
        late = iteration >= section.milestone * self.config.iterations(self.phase)
        rate = self.caution * section.rate * (0.1 if late else 1.0)
        for index, group in enumerate(self.optimiser(0).optimizer.param_groups):
            set_rate(group, rate * section.rate_scale ** max(0, self.phase - index))
        set_rate(self.optimiser(1).optimizer.param_groups[0], rate)

    def _normal(self, shape: tuple[int, ...], source: torch.Generator) -> Tensor:
        return torch.randn(1, *shape, generator=source, device=self.device)

    def _noise_shapes(self) -> tuple[tuple[int, ...], ...]:
        return (self.generator.latent_shape(), *self.generator.noise_shapes())[: self.phase + 1]

    def _draw(self, source: torch.Generator, own: Tensor | None = None) -> Tensor:
        """Draw a picture and the reconstruction, `[2, colours, height, width]`, through the trained stages.

        Without the reconstruction where that has forward passes of its own.

        Args:
            own: the newest stage's noise; drawn anew if None.
        """
        noise = [self._normal(shape, source) for shape in self._noise_shapes()[:-1]]
        noise.append(self._normal(self._noise_shapes()[-1], source) if own is None else own)
        if self.config.optimiser.generator_update == "released":
            return self._draw_alone(noise)
        return self._climb(noise, self.generator.fixed_noise()[: self.phase + 1])

    def _draw_alone(self, noise: Sequence[Tensor | None]) -> Tensor:
        first = self._first_trained
        with torch.no_grad():
            carried = self.generator.climb(noise, stop=first).stages[-1] if first > 0 else None
        return self.generator.climb(noise, start=first, stop=self.phase + 1, carried=carried).big

    def _rebuild(self) -> Tensor:
        """Draw the reconstruction alone."""
        first, fixed = self._first_trained, self.generator.fixed_noise()
        return self.generator.climb(fixed, start=first, stop=self.phase + 1, carried=self._frozen_reconstruction).big

    def _climb(self, noise: list[Tensor], fixed: list[Tensor | None]) -> Tensor:
        """Climb in two passes where statistics of a batch are taken, in one where samples do not meet."""
        if self.config.generator.released_statistics:
            return torch.cat([self._draw_alone(noise), self._rebuild()])
        generator, first, stop = self.generator, self._first_trained, self.phase + 1
        with torch.no_grad():
            carried = generator.climb(noise, stop=first).stages[-1] if first > 0 else None
        both = [torch.cat([a, torch.zeros_like(a) if b is None else b]) for a, b in zip(noise, fixed, strict=True)]
        if carried is not None:
            assert self._frozen_reconstruction is not None
            carried = torch.cat([carried, self._frozen_reconstruction])
        return generator.climb(both, start=first, stop=stop, carried=carried).big

    def _judge(self, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Score the real and a drawn picture; in one pass where samples do not meet."""
        if self.config.discriminator.norm == "none":
            real_logits, fake_logits = self.discriminator(torch.cat([self._real, fake])).chunk(2)
            return real_logits, fake_logits
        return self.discriminator(self._real), self.discriminator(fake)

    def _discriminator_step(self, fake: Tensor, source: torch.Generator) -> dict[str, Tensor]:
        optimiser, discriminator = self.optimiser(1), self.discriminator
        fake = fake.detach()
        mix = torch.rand((), generator=source, device=self.device)
        with self.toggled_optimizer(optimiser):
            real_logits, fake_logits = self._judge(fake)
            terms = losses.wasserstein(real_logits, fake_logits)
            total = terms["d_real"] + terms["d_fake"]
            if self.config.loss.penalty > 0:
                terms["d_penalty"] = losses.pixel_gradient_penalty(discriminator, self._real, fake, mix)
                total = total + self.config.loss.penalty * terms["d_penalty"]
            self.manual_backward(total)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        figures = {"d_penalty": terms["d_penalty"]} if "d_penalty" in terms else {}
        return {**figures, "real_logit": real_logits, "fake_logit": fake_logits}

    def _generator_step(self, drawn: Tensor, source: torch.Generator, own: Tensor | None) -> dict[str, Tensor]:
        section, optimiser = self.config.optimiser, self.optimiser(0)
        recompute = section.generator_update == "recompute"
        for step in range(section.generator_steps if recompute else 1):
            if step > 0:
                drawn = self._draw(source, own)
            with self.toggled_optimizer(optimiser):
                terms = {"g_reconstruction": (drawn[1:] - self._real).square().mean()}
                terms |= self._terms_of_drawn(drawn[:1], source)
                self.manual_backward(self._weighted(terms))
            for _ in range(section.generator_steps if section.generator_update == "repeat_step" else 1):
                optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        return {**terms, "reconstruction_rmse": terms["g_reconstruction"].detach().sqrt()}

    def _released_generator_step(self, drawn: Tensor, source: torch.Generator) -> dict[str, Tensor]:
        """Step repeatedly, each time along the drawn picture's one gradient and a new one of the reconstruction."""
        optimiser = self.optimiser(0)
        parameters = [p for p in self.generator.parameters() if p.requires_grad]
        with self.toggled_optimizer(optimiser):
            terms = self._terms_of_drawn(drawn, source)
            kept = torch.autograd.grad(self._weighted(terms), parameters) if terms else ()
            for _ in range(self.config.optimiser.generator_steps):
                terms["g_reconstruction"] = (self._rebuild() - self._real).square().mean()
                self.manual_backward(self._weighted({"g_reconstruction": terms["g_reconstruction"]}))
                for parameter, gradient in zip(parameters, kept, strict=False):
                    assert parameter.grad is not None
                    parameter.grad.add_(gradient)
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
        return {**terms, "reconstruction_rmse": terms["g_reconstruction"].detach().sqrt()}

    def _terms_of_drawn(self, fake: Tensor, source: torch.Generator) -> losses.Terms:
        weights, terms = self.config.loss, losses.Terms()
        if weights.adversarial > 0:
            terms |= losses.generator_loss(self.discriminator(fake))
        if weights.patches > 0:
            terms["g_patches"] = losses.sliced_patch_distance(fake, self._real, generator=source)
        return terms

    def _weighted(self, terms: losses.Terms) -> Tensor:
        section = self.config.loss
        first, *rest = (getattr(section, name.removeprefix("g_")) * term for name, term in terms.items())
        return sum(rest, first)

    def _published_source(self) -> Pyramid:
        source: Any = self.generator if self.average is None else self.average.module
        return source

    def published_generator(self) -> Pyramid:
        """Copy the stages trained so far, in evaluation mode."""
        count = max(1, bisect_left(self._starts, self.images_seen))
        return self._published_source().first_stages(count, to_uint8(self._picture_at(count - 1))[0])
