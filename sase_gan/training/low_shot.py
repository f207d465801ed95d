"""One training step of the low-shot GAN, and what a checkpoint of it holds.

FastGAN's loop (arXiv 2101.04775) with the faults of the released ones mended. What changes the method is a switch of
`LowShotConfig`; the preset `paper_256` sets the switches as released. Mended without a switch, because the result is
the same function: no gradients into the discriminator in the generator's step, one device throughout, no value read
back from the device within a step, weights kept channels-last.

All randomness of a step derives from (seed, images seen, rank): the state of no generator needs saving, and a resumed
run repeats an uninterrupted one bit for bit on the same CPU and thread count.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sase_gan.colours import seen
from sase_gan.drawing.sampling import Inputs, draw_inputs
from sase_gan.features.reconstruction import reconstruction_loss
from sase_gan.layers.spectral_norm import frozen_power_iteration, start_as_released
from sase_gan.networks.discriminator import QUADRANTS, Discriminator
from sase_gan.networks.generator import Generator, Pictures
from sase_gan.pixels import to_float
from sase_gan.seeds import derive_seed
from sase_gan.seeds import generator as random_generator
from sase_gan.training import augment, losses
from sase_gan.training.averaging import WeightAverage, recalibrated
from sase_gan.training.clock import TrainingClock
from sase_gan.training.conditioning import Conditions, Rows, strength
from sase_gan.training.config import LowShotConfig
from sase_gan.training.likelihood import LikelihoodTerm
from sase_gan.training.recorded import set_rate


class Kind(NamedTuple):
    """A kind of step says what is done in some steps only.

    Attributes:
        quadrant: from which a quarter of the pictures is rebuilt; None where nothing is rebuilt.
        penalise: whether the gradient on real pictures is punished.
    """

    quadrant: int | None
    penalise: bool


class LowShotModule(TrainingClock):
    """The module holds generator, discriminator, the generator's average, and the step that trains them.

    Args:
        config: a `LowShotConfig` as a plain dictionary, so that a checkpoint reloads alone under safe loading.
        weights_dir: where the weights of a reconstruction loss are looked for besides the usual places.
        untrained_perceptual: build the reconstruction loss with random weights, to measure its cost only.
    """

    def __init__(
        self, config: dict[str, Any], *, weights_dir: str | None = None, untrained_perceptual: bool = False
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.config = LowShotConfig(**config)
        torch.manual_seed(derive_seed(self.config.seed, "initialisation"))
        self.generator = Generator(self.config.generator)
        self.discriminator = Discriminator(self.config.discriminator)
        if not self._reads_weights_once:
            for name in ("generator", "discriminator"):
                start_as_released(getattr(self, name), random_generator(self.config.seed, "power iteration", name))
        self.discriminator.freeze(self.config.start.frozen_layers)
        averaging = self.config.averaging
        self.average = WeightAverage(self.generator, half_life=averaging.half_life, ramp_up=averaging.ramp_up)
        self.real_logit_average: Tensor
        self.fake_logit_average: Tensor
        self.register_buffer("real_logit_average", torch.zeros(()))
        self.register_buffer("fake_logit_average", torch.zeros(()))
        self.memory_format = torch.contiguous_format
        name = self.config.loss.reconstruction
        # Not a submodule: its weights belong neither into checkpoints nor to the optimisers.
        self._reconstruction = [reconstruction_loss(name, weights_dir=weights_dir, untrained=untrained_perceptual)]
        likelihood = self.config.likelihood
        self.likelihood = LikelihoodTerm(likelihood, self.config.seed) if likelihood.weight > 0 else None

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Build Adam for generator and discriminator."""
        section = self.config.optimiser
        # The fused kernel saves a third of the optimiser's time on CPUs, and is as deterministic.
        rates = ((self.generator, section.generator_rate), (self.discriminator, section.discriminator_rate))
        return [torch.optim.Adam(net.parameters(), lr=rate, betas=section.betas, fused=True) for net, rate in rates]

    def on_fit_start(self) -> None:
        """Bring the weights into the layout that is fast, and let a CUDA device record steps."""
        self.bring_losses()
        self.memory_format = torch.channels_last
        self.to(memory_format=self.memory_format)
        if self._can_be_recorded():
            self.record_steps()
            if self.likelihood is not None:
                self.likelihood.recorded = self.recorded

    def bring_losses(self) -> None:
        """Bring the networks that only judge, and are no part of this module, to its device."""
        self._reconstruction[0].to(self.device)
        if self.likelihood is not None:
            self.likelihood.to(self.device)

    def _can_be_recorded(self) -> bool:
        """Tell whether steps are the same from step to step: not where classes fade in, or other pictures pull."""
        return (
            self.config.optimiser.recorded
            and not self.config.classes.names
            and (self.likelihood is None or self.likelihood.always_the_same)
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the clock, and which latents the training pictures have taken."""
        super().on_save_checkpoint(checkpoint)
        if self.likelihood is not None:
            checkpoint["likelihood"] = self.likelihood.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore both."""
        super().on_load_checkpoint(checkpoint)
        if self.likelihood is not None:
            self.likelihood.restore(checkpoint["likelihood"])

    def show(self, pictures: Tensor, *, mirror: bool = False, labels: Tensor | None = None) -> None:
        """Hand over the pictures that pull latents, uint8 `[N, 3, side, side]`, before the first step.

        Args:
            labels: of each its class, where there are classes.
        """
        if self.likelihood is not None:
            self.likelihood.show(pictures, mirror=mirror, labels=labels)

    def training_step(self, batch: Tensor | tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Take a step of both players on a uint8 batch `[batch, 3, image_size, image_size]`.

        Where there are classes, the batch has their labels beside it, int64 `[batch]`.
        """
        batch, labels = (batch, None) if isinstance(batch, Tensor) else batch
        self._set_rates()
        conditions = self._conditions() if labels is not None else None
        inputs = [batch]
        if self.likelihood is not None:
            inputs += [
                self.likelihood.renewed(self.generator, self._latents, self.images_seen, self.device, conditions)
            ]
        kind, clock = self._kind(), (self.images_seen, self.global_rank)
        source = random_generator(self.config.seed, "step", *clock, device=self.device)
        step = partial(self._both_steps, kind, labels=labels, conditions=conditions)
        self.collect(self.taken(kind, source, inputs, step))
        images = len(batch) * self.trainer.world_size
        self.advance(images)
        self.average.update(self.generator, batch=images, images_seen=self.images_seen)

    def _both_steps(
        self,
        kind: Kind,
        inputs: Sequence[Tensor],
        source: torch.Generator,
        labels: Tensor | None = None,
        conditions: Conditions | None = None,
    ) -> dict[str, Tensor]:
        """Take the steps of both players; read nothing back from the device, and return the figures, each one number.

        Args:
            inputs: the uint8 batch, and the latents that pictures pull, where some do.
        """
        batch, *pulled = inputs
        real = to_float(batch).contiguous(memory_format=self.memory_format)
        z, noise = self._latents(len(real), source)
        if self.likelihood is not None:
            z = self.likelihood.placed(z, pulled[0], source)
        rows = None
        if conditions is not None and labels is not None:
            drawn = conditions.draw(len(real), source)
            drawn = drawn if self.likelihood is None else self.likelihood.labelled(drawn)
            rows = Rows(conditions.rows(labels), conditions.rows(drawn))
        fake = self.generator(z, noise, classes=None if rows is None else rows.fake)
        shown = self._augmented(fake, source) if self.config.augment.same_fakes else None
        terms = self._discriminator_step(kind, real, fake, shown, source, rows)
        terms |= self._generator_step(fake, shown, source, rows)
        return {name: value.detach().float().mean() for name, value in terms.items()}

    def _kind(self) -> Kind:
        section = self.config.loss
        rebuild = self.steps % section.reconstruction_every == 0
        return Kind(self._quadrant() if rebuild else None, section.r1 > 0 and self.steps % section.r1_every == 0)

    def _latents(self, batch_size: int, source: torch.Generator) -> tuple[Tensor, list[Tensor]]:
        def normal(shape: tuple[int, ...]) -> Tensor:
            return torch.randn(batch_size, *shape, generator=source, device=self.device)

        noise = [normal(shape) for shape in self.generator.noise_shapes()]
        return normal(self.generator.latent_shape()), noise

    def _conditions(self) -> Conditions:
        section = self.config.classes
        return Conditions(section, strength(section.ramp, self._share_done()))

    def _discriminator_step(
        self,
        kind: Kind,
        real: Tensor,
        fake: Pictures,
        shown: Pictures | None,
        source: torch.Generator,
        rows: Rows | None = None,
    ) -> dict[str, Tensor]:
        section, optimiser = self.config.loss, self.optimiser(1)
        quadrant, penalise = kind
        real_big = self._augmented(Pictures(real, real), source).big
        real_big.requires_grad_(penalise)
        detached = Pictures(*(size.detach() for size in shown or fake))
        fake = self._augmented(detached, source) if shown is None else detached
        with self.toggled_optimizer(optimiser), self._weights_read_once():
            pictures = self.discriminator.pictures(real_big)
            # Not where the spectral norms advance between the two batches, or a penalty differentiates twice.
            if self._reads_weights_once and not penalise and self.discriminator.keeps_batches_apart:
                judged, fake_logits = self.discriminator.judge_both(pictures, fake, quadrant, rows)
            else:
                own, drawn = rows or (None, None)
                judged = self.discriminator(pictures, quadrant, own)
                fake_logits = self.discriminator(fake, classes=drawn).logits
            margins = [losses.random_margins(judged.logits, generator=source) for _ in range(2)]
            terms = losses.discriminator_hinge(judged.logits, fake_logits, *margins)
            total = torch.stack(list(terms.values())).sum()
            for name, (rebuilt, target) in judged.reconstructions.items():
                # The decoders' outputs are autocast; perceptual distances are taken in float32.
                loss = terms[f"d_rebuild_{name}"] = self._distance(rebuilt.float(), target.float())
                total = total + section.reconstruction_weight * section.reconstruction_every * loss
            if section.lecam > 0:
                terms |= losses.lecam(judged.logits, fake_logits, self.real_logit_average, self.fake_logit_average)
                total = total + section.lecam * terms["d_lecam"]
            if penalise:
                terms["d_r1"] = losses.gradient_penalty(judged.logits, real_big)
                total = total + section.r1 / 2 * section.r1_every * terms["d_r1"]
            self.manual_backward(total)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return terms | self._follow_logits(judged.logits, fake_logits)

    def _distance(self, rebuilt: Tensor, target: Tensor) -> Tensor:
        """Compare what is seen as configured; transparency, which no network of features knows, by its difference."""
        loss: Tensor = self._reconstruction[0](seen(rebuilt), seen(target)).mean()
        return loss if rebuilt.shape[1] != 4 else loss + (rebuilt - target)[:, 3:].abs().mean()

    def _generator_step(
        self, fake: Pictures, shown: Pictures | None, source: torch.Generator, rows: Rows | None = None
    ) -> dict[str, Tensor]:
        optimiser = self.optimiser(0)
        released = self.config.optimiser.power_iteration == "forward"
        with (
            self.toggled_optimizer(optimiser),
            self._weights_read_once(),
            nullcontext() if released else frozen_power_iteration(self.discriminator),
        ):
            shown = shown or self._augmented(fake, source)
            judged = self.discriminator(shown, classes=None if rows is None else rows.fake)
            terms = losses.generator_loss(judged.logits)
            if self.likelihood is not None:
                terms |= self.likelihood.pull(fake.big)
            self.manual_backward(torch.stack(list(terms.values())).sum())
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return terms

    def _weights_read_once(self) -> AbstractContextManager[None]:
        """Divide each weight by its spectral norm once within the block, however often it is read."""
        return parametrize.cached() if self._reads_weights_once else nullcontext()

    @property
    def _reads_weights_once(self) -> bool:
        return self.config.optimiser.power_iteration == "step"

    def _augmented(self, pictures: Pictures, source: torch.Generator) -> Pictures:
        """Augment both sizes, alike or independently as configured; equal entries are augmented once."""
        section, count = self.config.augment, len(pictures.big)
        draws = augment.draw(section.policy, count, generator=source, device=pictures.big.device)
        big = augment.apply(pictures.big, draws)
        if pictures.small is pictures.big:
            return Pictures(big, big)
        if not section.shared:
            draws = augment.draw(section.policy, count, generator=source, device=pictures.big.device)
        return Pictures(big, augment.apply(pictures.small, draws))

    def _quadrant(self) -> int:
        """Draw a quadrant on the host, from the clock, so that no value is read back from the device."""
        return derive_seed(self.config.seed, "quadrant", self.images_seen, self.global_rank) % len(QUADRANTS)

    def _set_rates(self) -> None:
        """Set both learning rates from the clock, so that nothing of a schedule needs saving."""
        section = self.config.optimiser
        schedule = self.config.schedule
        factor = rate_factor(self.images_seen, schedule.total_images, section.decay)
        if schedule.cpu_seconds is not None:
            factor = min(factor, rate_factor(self.cpu_seconds, schedule.cpu_seconds, section.decay))
        factor = min(factor, rate_factor(self.time_share, 1.0, section.decay))
        factor *= self.caution * (1.0 if self.config.start.path is None else self.config.start.rate_factor)
        for index, rate in enumerate((section.generator_rate, section.discriminator_rate)):
            for group in self.optimiser(index).param_groups:
                set_rate(group, rate * factor)

    def _share_done(self) -> float:
        """Tell the share of the run that is over, of whichever budget ends first."""
        schedule = self.config.schedule
        by_cpu = self.cpu_seconds / schedule.cpu_seconds if schedule.cpu_seconds else 0.0
        return max(self.images_seen / schedule.total_images, by_cpu, self.time_share)

    @torch.no_grad()
    def _follow_logits(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        self.real_logit_average.lerp_(real.float().mean(), 0.01)
        self.fake_logit_average.lerp_(fake.float().mean(), 0.01)
        return {"real_logit": real, "fake_logit": fake}

    def published_generator(self) -> Generator:
        """Build the averaged generator with statistics of its own, spectral norms folded in, in evaluation mode.

        Its classes count as much as they do in training now.
        """
        average: Any = self.average.module
        if self.config.classes.names:
            average = copy.deepcopy(average)
            average.class_embedding.mul_(self._conditions().strength)
        return recalibrated(average, self._recalibration_batches(average)).folded()

    def published_facts(self) -> dict[str, Any]:
        """Tell how much classes count in what is published, where there are classes."""
        return {"class_strength": round(self._conditions().strength, 4)} if self.config.classes.names else {}

    def _recalibration_batches(self, network: Generator) -> Iterator[Inputs]:
        size = max(2, self.config.optimiser.batch_size)
        for start in range(0, self.config.averaging.recalibration_images, size):
            seeds = [derive_seed("recalibration", start + i) % 2**31 for i in range(size)]
            yield draw_inputs(network, seeds).to(self.device)


def rate_factor(images_seen: float, total_images: float, decay: float) -> float:
    """Return what the learning rates are multiplied by: 1, and in the last share `decay` of the run linearly down to 0.

    A budget of CPU seconds or of minutes counts likewise. The released loops keep their rates; that is decay = 0.
    Falling rates let short runs take large steps first: see the preset `demo`.
    """
    return 1.0 if decay == 0 else min(1.0, max(0.0, (1 - images_seen / total_images) / decay))


def parameter_count(network: nn.Module) -> int:
    """Count the numbers that a network learns."""
    return sum(parameter.numel() for parameter in network.parameters())
