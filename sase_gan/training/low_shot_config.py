"""The configuration of a low-shot run: every default stands here, once. Presets and flags state deviations only."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field, model_validator

from sase_gan.config import FrozenRecord
from sase_gan.networks.discriminator import DiscriminatorConfig
from sase_gan.networks.generator import GeneratorConfig


class DataSection(FrozenRecord):
    """The pictures."""

    path: str | None = Field(None, description="folder or zip of pictures")
    fit: Literal["crop", "pad"] = Field("crop", description="centre square crop, or pad to a square; never a stretch")
    mirror: bool = Field(True, description="show each picture mirrored half of the time")
    holdout: float = Field(0.0, ge=0, le=0.5, description="share of the pictures kept out of training")
    licence: str | None = Field(None, description="licence of the pictures, carried into snapshots and reports")


class AugmentSection(FrozenRecord):
    """Differentiable augmentation before the discriminator."""

    policy: tuple[Literal["color", "translation", "cutout"], ...] = ("color", "translation")
    shared: bool = Field(True, description="both sizes of a generated picture are augmented alike; released: no")


class LossSection(FrozenRecord):
    """Weights of the terms."""

    reconstruction: Literal["l1", "efflite0", "lpips-vgg", "lpips-squeeze"] = Field(
        "efflite0", description="how the discriminator's rebuilt pictures are compared; released: lpips-vgg"
    )
    reconstruction_weight: float = Field(8.0, ge=0, description="on the mean; 8 is the released sum at batch 8")
    reconstruction_every: int = Field(1, ge=1, description="rebuild in every n-th step only, with n times the weight")
    lecam: float = Field(0.0, ge=0, description="weight of LeCam's regulariser")
    r1: float = Field(0.0, ge=0, description="weight of the gradient penalty on real pictures")
    r1_every: int = Field(16, ge=1, description="apply it in every n-th step, with n times the weight")


class OptimiserSection(FrozenRecord):
    """Adam for both networks."""

    batch_size: int = Field(8, ge=2, description="on each device; statistics over a batch need at least 2")
    generator_rate: float = Field(2e-4, gt=0)
    discriminator_rate: float = Field(2e-4, gt=0)
    betas: tuple[float, float] = (0.5, 0.999)
    decay: float = Field(0.0, ge=0, le=1, description="share of the run, at its end, in which the rates fall to 0")
    power_iteration: Literal["step", "forward"] = Field(
        "step", description="spectral norms advance once a step, or in every forward pass as released"
    )


class AveragingSection(FrozenRecord):
    """The running average of the generator that is published."""

    half_life: float = Field(5000.0, gt=0, description="in images; the released 0.999 a step at batch 8 is 5541")
    ramp_up: float = Field(0.05, ge=0, description="share of the images seen that the half-life may not exceed; 0: off")
    recalibration_images: int = Field(128, ge=2, description="drawn to re-estimate batch-norm statistics of a snapshot")


class ScheduleSection(FrozenRecord):
    """How long, and how often something is written; the clock is images seen."""

    total_images: int = Field(400_000, ge=1)
    snapshot_images: int = Field(20_000, ge=1, description="between two snapshots with grid and figures")
    checkpoint_images: int = Field(2_000, ge=1, description="between two checkpoints")
    log_images: int = Field(400, ge=1, description="between two rows of metrics.csv")
    evaluation_count: int = Field(500, ge=0, description="pictures drawn for the figures of a snapshot; 0: no figures")
    patience: int | None = Field(None, ge=1, description="stop after so many snapshots without a better one")


class LowShotConfig(FrozenRecord):
    """Everything that a low-shot run depends on."""

    task: Literal["low_shot"] = "low_shot"
    seed: int = Field(0, ge=0)
    image_size: int = Field(256, description="side of the picture in pixels; both networks take it from here")
    data: DataSection = DataSection()
    generator: GeneratorConfig = GeneratorConfig()
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    augment: AugmentSection = AugmentSection()
    loss: LossSection = LossSection()
    optimiser: OptimiserSection = OptimiserSection()
    averaging: AveragingSection = AveragingSection()
    schedule: ScheduleSection = ScheduleSection()

    @model_validator(mode="before")
    @classmethod
    def _one_image_size(cls, data: Any) -> Any:
        """Hand the image size down, so that it is stated once; refuse a network of another size."""
        if not isinstance(data, dict):
            return data
        size = data.get("image_size", cls.model_fields["image_size"].default)
        data = dict(data)
        for name in ("generator", "discriminator"):
            section = data.get(name, {})
            if isinstance(section, BaseModel):
                section = section.model_dump()
            if not isinstance(section, dict):
                continue  # refused afterwards, with its place named
            section = dict(section)
            if section.setdefault("image_size", size) != size:
                raise ValueError(
                    f"{name}.image_size is {section['image_size']}, image_size {size}; set image_size only"
                )
            data[name] = section
        return data

    @property
    def total_images(self) -> int:
        """Count the images that the discriminator is to see."""
        return self.schedule.total_images
