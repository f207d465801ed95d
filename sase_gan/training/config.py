"""The configurations of trained runs: every default stands here, once. Presets and flags state deviations only."""

from __future__ import annotations

from copy import copy
from functools import partial
from itertools import accumulate
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

from sase_gan.colours import Colours, check_ground
from sase_gan.config import FrozenRecord
from sase_gan.fits import FIT_HELP, Fit, sides
from sase_gan.networks.channel_tables import FirstMap, size_of_network
from sase_gan.networks.discriminator import DiscriminatorConfig
from sase_gan.networks.finished import DETAIL, LEAST_DETAIL, MOST_DETAIL
from sase_gan.networks.generator import GeneratorConfig
from sase_gan.networks.pyramid import PyramidConfig
from sase_gan.networks.pyramid_sizes import Size, dense_sizes, released_sizes
from sase_gan.pixels import checked_colour
from sase_gan.precision import PrecisionSetting
from sase_gan.recombination.model import LARGEST_VARIETY
from sase_gan.training.conditioning import ClassesSection, handed_down

Colour = Annotated[str, AfterValidator(checked_colour)]
"""A colour's name, or #rrggbb."""


class DataSection(FrozenRecord):
    """The pictures."""

    path: str | None = Field(None, description="folder or zip of pictures")
    fit: Fit = Field("crop", description=FIT_HELP)
    mirror: bool = Field(True, description="show each picture mirrored half of the time")
    holdout: float = Field(0.0, ge=0, le=0.5, description="share of the pictures kept out of training")
    background: Colour = Field("white", description="behind transparent pixels, and of padding")
    licence: str | None = Field(None, description="licence of the pictures, carried into snapshots and reports")


class AugmentSection(FrozenRecord):
    """Differentiable augmentation before the discriminator."""

    policy: tuple[Literal["color", "translation", "cutout"], ...] = ("color", "translation")
    shared: bool = Field(True, description="both sizes of a generated picture are augmented alike; released: no")
    same_fakes: bool = Field(
        False, description="both players judge generated pictures augmented once, not anew for each; released: yes"
    )


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


class LikelihoodSection(FrozenRecord):
    """The likelihood term: training pictures pull the nearest latents. Off at weight 0."""

    weight: float = Field(0.0, ge=0, description="of the term; 0: there is none; 1 to 3 are measured")
    every: int = Field(400, ge=1, description="images between two assignments; more where the pool must be larger")
    pool: int = Field(600, ge=2, description="latents drawn for an assignment; at least two for each that pulls")
    share: float = Field(0.5, gt=0, le=1, description="of every batch that is pulled")
    noise: float = Field(0.05, ge=0, description="strength of the noise on an assigned latent")
    squared: float = Field(0.1, ge=0, description="weight of the squared error beside the feature distance")
    reject: float = Field(0.0, ge=0, le=0.9, description="share of the candidates that are too near, and nobody gets")


class MaterialSection(FrozenRecord):
    """Recombinations of the training pictures, drawn once without training, as further real pictures."""

    count: int = Field(0, ge=0, le=10_000, description="recombinations that the discriminator takes for real; 0: none")
    variety: float = Field(1.0, gt=0, le=LARGEST_VARIETY, description="above 1 their pieces are smaller")
    pull: bool = Field(True, description="the likelihood term pulls to them too")


class FinishSection(FrozenRecord):
    """Patches of the training pictures, out of which the run's best pictures are drawn again: `networks.finished`."""

    enabled: bool = Field(False, description="at the end the best snapshot is published once more, finished")
    strength: float | None = Field(None, ge=0, lt=1, description="how freely pictures are redrawn; None: by figures")
    variety: float | None = Field(None, gt=0, le=LARGEST_VARIETY, description="above 1 smaller pieces; likewise")
    detail: float = Field(DETAIL, ge=LEAST_DETAIL, le=MOST_DETAIL, description="how many times drawn details count")


class OptimiserSection(FrozenRecord):
    """Adam for both networks."""

    batch_size: int = Field(8, ge=2, description="on each device; statistics over a batch need at least 2")
    generator_rate: float = Field(2e-4, gt=0)
    discriminator_rate: float = Field(2e-4, gt=0)
    betas: tuple[float, float] = (0.5, 0.999)
    decay: float = Field(0.0, ge=0, le=1, description="share of the run, at its end, in which the rates fall to 0")
    power_iteration: Literal["step", "forward"] = Field(
        "step", description="spectral norms advance once a step, or from a random start in every forward: released"
    )
    recorded: bool = Field(True, description="a CUDA device repeats steps from recordings of them: the same, faster")


class AveragingSection(FrozenRecord):
    """The running average of the generator that is published."""

    half_life: float = Field(5000.0, gt=0, description="in images; the released 0.999 a step at batch 8 is 5541")
    ramp_up: float = Field(0.05, ge=0, description="share of the images seen that the half-life may not exceed; 0: off")
    recalibration_images: int = Field(128, ge=2, description="drawn to re-estimate batch-norm statistics of a snapshot")


class ScheduleSection(FrozenRecord):
    """How long, and how often something is written; the clock is images seen."""

    total_images: int = Field(400_000, ge=1)
    cpu_seconds: float | None = Field(
        None, gt=0, description="the run ends after so many CPU seconds of training too, if that comes first"
    )
    snapshot_images: int = Field(20_000, ge=1, description="between two snapshots with grid and figures")
    checkpoint_images: int = Field(2_000, ge=1, description="between two checkpoints")
    log_images: int = Field(400, ge=1, description="between two rows of metrics.csv")
    evaluation_count: int = Field(500, ge=0, description="pictures drawn for the figures of a snapshot; 0: no figures")
    patience: int | None = Field(None, ge=1, description="stop after so many snapshots without a better one")
    publish_discriminator: bool = Field(
        False, description="a snapshot has the discriminator beside it, for others to start from"
    )
    baseline_images: int = Field(
        64, ge=0, le=256, description="drawn without training before the first step, to be beaten; 0: none"
    )


class StartSection(FrozenRecord):
    """The model that a run starts from; without one from random weights."""

    path: str | None = Field(None, description="snapshot or run whose weights are taken over; also a name")
    digest: str | None = Field(None, description="SHA-256 of its weights; settled when a run begins")
    licence: str | None = Field(None, description="of the pictures behind it; settled when a run begins")
    discriminator: bool = Field(False, description="whether it came with one; settled when a run begins")
    frozen_layers: int = Field(
        0, ge=0, le=8, description="layers of the discriminator, from the picture on, that do not learn"
    )
    rate_factor: float = Field(0.5, gt=0, le=10, description="both learning rates times this, where there is a start")


class LowShotConfig(FrozenRecord):
    """Everything that a low-shot run depends on."""

    task: Literal["low_shot"] = "low_shot"
    seed: int = Field(0, ge=0)
    image_size: int = Field(
        256, description="side of the pictures in pixels, or WIDTHxHEIGHT; both networks take it from here"
    )
    first_map: FirstMap = Field(None, description="of pictures that are no squares, see the generator; by their size")
    colours: Colours = Field("rgb", description="of the pictures: rgb, grey, or rgba, whose transparency is learnt")
    precision: PrecisionSetting = Field(
        "auto", description="of products: bf16-mixed, 32-true; settled by the device when a run begins"
    )
    data: DataSection = DataSection()
    classes: ClassesSection = ClassesSection()
    start: StartSection = StartSection()
    generator: GeneratorConfig = GeneratorConfig()
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    augment: AugmentSection = AugmentSection()
    loss: LossSection = LossSection()
    likelihood: LikelihoodSection = LikelihoodSection()
    recombinations: MaterialSection = MaterialSection()
    finish: FinishSection = FinishSection()
    optimiser: OptimiserSection = OptimiserSection()
    averaging: AveragingSection = AveragingSection()
    schedule: ScheduleSection = ScheduleSection()

    @model_validator(mode="before")
    @classmethod
    def _one_image_size(cls, data: Any) -> Any:
        """Hand the image size down, so that it is stated once; refuse a network of another size.

        A size such as 64x96 is settled as that of the square with the same blocks, beside a first map.
        """
        if not isinstance(data, dict):
            return data
        data = dict(data)
        if isinstance(asked := data.get("image_size"), str):
            height, width = sides(asked)
            if height == width:
                data["image_size"] = height
            else:
                data["image_size"], data["first_map"] = size_of_network(height, width)
        names = ("image_size", "first_map", "colours")
        shared = {key: _as_tuple(data.get(key, cls.model_fields[key].default)) for key in names}
        for name in ("generator", "discriminator"):
            section = data.get(name, {})
            section = section.model_dump() if isinstance(section, BaseModel) else copy(section)
            if not isinstance(section, dict):
                continue  # refused afterwards, with its place named
            for key, value in shared.items():
                if (own := _as_tuple(section.setdefault(key, value))) != value:
                    settled = "image_size" if key == "first_map" else key
                    raise ValueError(f"{name}.{key} is {own}, {key} {value}; set {settled} only")
            data[name] = section
        return handed_down(data)

    @model_validator(mode="after")
    def _colours_are_possible(self) -> Self:
        if self.classes.names and self.recombinations.count:
            raise ValueError(
                f"recombinations.count is {self.recombinations.count}, and {len(self.classes.names)} classes are to be "
                "learnt, of which a recombination may mix several: set recombinations.count=0"
            )
        if self.colours != "rgb" and self.recombinations.count:
            raise ValueError(
                f"colours is {self.colours!r}, recombinations.count {self.recombinations.count}; pictures are "
                "recombined in rgb only: set recombinations.count=0"
            )
        check_ground(self.colours, self.data.background)
        return self

    @property
    def picture_size(self) -> tuple[int, int]:
        """Height and width of the pictures."""
        return self.generator.picture_size

    @property
    def total_images(self) -> int:
        """Count the images that the discriminator is to see."""
        return self.schedule.total_images


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class PictureSection(FrozenRecord):
    """The training picture."""

    path: str | None = Field(None, description="the picture")
    background: Colour = Field("white", description="behind transparent pixels, and of padding")
    licence: str | None = Field(None, description="licence of the picture, carried into snapshots and reports")


class StagesSection(FrozenRecord):
    """The sizes that the pyramid climbs through; stored in `generator.sizes` when a run begins."""

    rule: Literal["dense", "released"] = Field("dense", description="few stages, dense at the coarse end; equal steps")
    smallest_side: int = Field(25, ge=11, description="shorter side of the coarsest stage in pixels")
    max_size: int = Field(250, ge=16, description="longer side of the finest stage in pixels, at most the picture's")
    stages: int = Field(6, ge=1, description="of the dense rule; a small picture gets fewer")
    concurrent: int = Field(2, ge=1, description="newest stages that are trained together; 1: one after another")


class CriticSection(FrozenRecord):
    """The patch discriminator; its channels are those of the stage that it judges."""

    norm: Literal["none", "batch"] = "none"


class OneShotLossSection(FrozenRecord):
    """Weights of the terms, and the noise of the stages."""

    adversarial: float = Field(1.0, ge=0, description="weight of the discriminator's word; 0: there is none")
    penalty: float = Field(0.1, ge=0, description="weight of the gradient penalty")
    reconstruction: float = Field(10.0, ge=0, description="weight of the mean squared error of the reconstruction")
    patches: float = Field(10.0, ge=0, description="weight of the sliced distance of patches of a drawn picture")
    fixed_latent: bool = Field(True, description="one latent draws the picture; released: redrawn in every iteration")
    noise: float = Field(1.0, ge=0, description="strength of a stage's noise, times the error of the stage before")
    shared_noise: bool = Field(
        False, description="the newest stage's noise is drawn once an iteration, not for each picture; released: yes"
    )


class OneShotOptimiserSection(FrozenRecord):
    """Adam for both networks, rebuilt at every stage."""

    rate: float = Field(5e-4, gt=0, description="of the newest stage and of the discriminator")
    rate_scale: float = Field(0.1, ge=0, le=0.5, description="times the rate, for each stage further back")
    betas: tuple[float, float] = (0.5, 0.999)
    milestone: float = Field(0.8, gt=0, le=1, description="share of a stage's iterations before rates fall tenfold")
    discriminator_steps: int = Field(3, ge=1, description="in an iteration")
    generator_steps: int = Field(3, ge=1, description="in an iteration")
    generator_update: Literal["repeat_step", "recompute", "single", "released"] = Field(
        "repeat_step",
        description="one gradient, stepped along repeatedly; or a new one for each step; or one step; released: one of "
        "the drawn picture, and for each step a new one of the reconstruction",
    )
    recorded: bool = Field(True, description="as of a set: a CUDA device repeats iterations from recordings of them")

    @model_validator(mode="after")
    def _steps_have_an_effect(self) -> "OneShotOptimiserSection":
        if self.generator_update == "single" and (steps := self.generator_steps) != 1:
            raise ValueError(f"generator_steps is {steps}, generator_update 'single'; set generator_steps=1")
        return self


class OneShotAveragingSection(FrozenRecord):
    """The running average of the generator that is published."""

    half_life: float | None = Field(None, gt=0, description="in iterations; None publishes the generator itself")


class OneShotScheduleSection(FrozenRecord):
    """How long, and how often something is written; an iteration shows the picture once: the clock is images seen."""

    iterations: int = Field(2000, ge=1, description="of the finest stage")
    coarse_factor: float = Field(
        1.0, ge=1, description="coarser stages get more iterations, up to so many times, as far as that costs no more"
    )
    checkpoint_images: int = Field(100, ge=1, description="between two checkpoints")
    log_images: int = Field(20, ge=1, description="between two rows of metrics.csv")
    evaluation_count: int = Field(50, ge=0, description="pictures drawn for the figures of the end; 0: no figures")


class OneShotConfig(FrozenRecord):
    """Everything that a one-shot run depends on."""

    task: Literal["one_shot"] = "one_shot"
    seed: int = Field(0, ge=0)
    precision: PrecisionSetting = Field("auto", description="of products: bf16-mixed, 32-true; auto: the latter")
    data: PictureSection = PictureSection()
    pyramid: StagesSection = StagesSection()
    generator: PyramidConfig = PyramidConfig()
    discriminator: CriticSection = CriticSection()
    loss: OneShotLossSection = OneShotLossSection()
    optimiser: OneShotOptimiserSection = OneShotOptimiserSection()
    averaging: OneShotAveragingSection = OneShotAveragingSection()
    schedule: OneShotScheduleSection = OneShotScheduleSection()

    @model_validator(mode="after")
    def _possible(self) -> "OneShotConfig":
        if self.generator.resize == "bytes" and self.pyramid.concurrent > 1:
            raise ValueError(
                f"pyramid.concurrent is {self.pyramid.concurrent}, generator.resize 'bytes', which stops the gradients "
                "of the coarser stages; set pyramid.concurrent=1 or generator.resize=bicubic"
            )
        if self.generator.released_statistics and self.pyramid.concurrent > 1:
            raise ValueError(
                f"pyramid.concurrent is {self.pyramid.concurrent}, generator.statistics 'running', with which finished "
                "stages are evaluated; set pyramid.concurrent=1 or generator.statistics=instance"
            )
        check_ground(self.colours, self.data.background)
        return self

    @property
    def colours(self) -> Colours:
        """Return the colours of the picture, which the generator's record states."""
        return self.generator.colours

    def reduction(self, picture: Size) -> float | None:
        """Return the factor by which the picture is reduced to the finest size, where the grid follows factors."""
        return None if self.generator.factor is None else min(1.0, self.pyramid.max_size / max(picture))

    @property
    def num_stages(self) -> int:
        """Count the stages; the sizes must be known."""
        return len(self.generator.sizes)

    def iterations(self, stage: int) -> int:
        """Count a stage's iterations: the finest's times its share of pixels to this one's, up to `coarse_factor`."""
        areas = [height * width for height, width in self.generator.sizes]
        return round(self.schedule.iterations * min(self.schedule.coarse_factor, areas[-1] / areas[stage]))

    def iteration_costs(self) -> list[float]:
        """Estimate what an iteration of each stage costs, up to a common factor: pixels times squared channels.

        Summed over the stages that are trained, twice for the newest one, which the discriminator judges.
        """
        areas = [height * width for height, width in self.generator.sizes]
        single = [area * self.generator.channels(stage) ** 2 for stage, area in enumerate(areas)]
        first = [max(0, stage - self.pyramid.concurrent + 1) for stage in range(self.num_stages)]
        return [float(sum(single[first[stage] : stage + 1]) + single[stage]) for stage in range(self.num_stages)]

    @property
    def stage_starts(self) -> tuple[int, ...]:
        """List the images seen when each stage begins, and when the last one ends."""
        return tuple(accumulate((self.iterations(stage) for stage in range(self.num_stages)), initial=0))

    @property
    def total_images(self) -> int:
        """Count the iterations of all stages together."""
        return self.stage_starts[-1]


def sized_for(config: OneShotConfig, picture: Size) -> OneShotConfig:
    """Fill in the pyramid's sizes for a picture of that height and width; known sizes are kept.

    Raises:
        DataError: for a picture too small or too long.
    """
    if config.generator.sizes:
        return config
    section = config.pyramid
    rule = released_sizes if section.rule == "released" else partial(dense_sizes, stages=section.stages)
    sizes = rule(*picture, smallest_side=section.smallest_side, max_size=section.max_size)
    changes: dict[str, Any] = {"sizes": sizes}
    if section.rule == "released" and config.generator.resize == "bytes" and len(sizes) > 1:
        changes["factor"] = (section.smallest_side / min(sizes[-1])) ** (1 / (len(sizes) - 1))
    return config.model_copy(update={"generator": config.generator.model_copy(update=changes)})
