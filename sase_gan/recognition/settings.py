"""Settings of classification and detection: checked records, whose fields are the keys of the presets."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sase_gan.config import FrozenRecord
from sase_gan.recognition.backbones.choices import LayerChoice

Part = Literal["train", "test"]  # of a data set


class BackboneSection(FrozenRecord):
    """Settings of the network: see `create_backbone`."""

    name: str = "cifar_resnet18"
    layers: LayerChoice = LayerChoice()
    width: float = Field(default=1.0, gt=0, le=16)
    drop_rate: float = Field(default=0.0, ge=0, lt=1)
    drop_path_rate: float = Field(default=0.0, ge=0, lt=1)


class FitConfig(FrozenRecord):
    """Settings that classification and detection share."""

    backbone: BackboneSection = BackboneSection()
    epochs: int = Field(default=10, ge=1)
    batch_size: int = Field(default=128, ge=1)
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    evaluate_every: int = Field(default=1, ge=1)
    """Score the test pictures every so many epochs, and after the last."""
    seed: int = Field(default=0, ge=0)
    workers: int = Field(default=0, ge=0)


class PicturesSection(FrozenRecord):
    """Sizes and augmentation of training pictures; evaluation resizes to `resize` and crops the middle."""

    image_size: int = Field(default=32, ge=8, le=1024)
    """Side that the network sees in training."""
    evaluation_size: int | None = Field(default=None, ge=8, le=1024)
    """Side that it sees in evaluation, if another."""
    resize: int | None = Field(default=None, ge=8, le=2048)
    """Shorter side before the middle is cropped in evaluation, if larger than the side seen."""
    crop: Literal["none", "padded", "random_resized"] = "none"
    """none: pictures of any size are resized and cropped in the middle; padded: 4 px (at 32) of zeros and a random
    crop; random_resized: a random 8 to 100 percent of the picture."""
    flip: bool = False
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    rand_augment: str = ""
    """RandAugment in timm's words, e.g. rand-m9-mstd0.5; empty for none."""
    colour_jitter: float = Field(default=0.0, ge=0, le=1)
    erasing: float = Field(default=0.0, ge=0, le=1)
    mixup: float = Field(default=0.0, ge=0)
    """Parameter of mixup's Beta distribution, one draw a batch; 0 for none."""
    cutmix: float = Field(default=0.0, ge=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)


class OptimiserSection(FrozenRecord):
    """The optimiser and its rate over time."""

    name: Literal["sgd", "adamw"] = "sgd"
    rate: float = Field(default=0.1, gt=0)
    reference_batch: int = Field(default=0, ge=0)
    """The batch size that `rate` is meant for, the rate grows in proportion; 0: as given at any batch size."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=5e-4, ge=0)
    decay_all: bool = True
    """Whether norms and biases are decayed too."""
    schedule: Literal["cosine", "steps", "constant"] = "cosine"
    warmup_epochs: float = Field(default=0.0, ge=0)
    minimum_rate: float = Field(default=0.0, ge=0)
    milestones: tuple[float, ...] = ()
    """Epochs at which the rate is multiplied by `factor`."""
    factor: float = Field(default=0.1, gt=0, lt=1)
    clip_norm: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _milestones_belong_to_steps(self) -> Self:
        if (self.schedule == "steps") != bool(self.milestones):
            raise ValueError("milestones and schedule=steps need each other; set both or neither")
        return self


class ClassifyConfig(FitConfig):
    """A whole classification run."""

    batch_size: int = Field(default=128, ge=2)
    pictures: PicturesSection = PicturesSection()
    optimiser: OptimiserSection = OptimiserSection()
    average_half_life: float = Field(default=0.0, ge=0)
    """Half-life of the averaged weights in images; 0 for none."""
    held_out: float = Field(default=0.1, gt=0, lt=1)
    """Share of the pictures kept for evaluation where the data have no such part of their own."""
    max_train: int | None = Field(default=None, ge=2)
    """Train on so many pictures only, drawn evenly over the classes."""

    @model_validator(mode="after")
    def _mixing_needs_even_batches(self) -> Self:
        if (self.pictures.mixup or self.pictures.cutmix) and self.batch_size % 2:
            raise ValueError(f"mixing pictures pairs them, so batch_size must be even, not {self.batch_size}")
        return self


class DetectorSection(FrozenRecord):
    """The network around the backbone; the defaults are Mask R-CNN's with four convolutions in the box head."""

    masks: bool = True
    """Mask R-CNN, or Faster R-CNN without masks."""
    channels: int = Field(default=256, ge=8, le=4096)
    """Of the pyramid, and of the heads."""
    box_head: Literal["convolutions", "linear"] = "convolutions"
    """Four convolutions and a linear layer, or two linear layers."""
    box_features: int = Field(default=1024, ge=8, le=65536)
    head_norm: Literal["none", "group", "attentive"] = "none"
    """group: in the pyramid and all heads; attentive: as published, in the box head (with group statistics), group
    normalisation in pyramid and mask head."""
    smallest_side: int = Field(default=800, ge=16, le=8192)
    """Pictures are resized to this shorter side, but no longer than `largest_side`."""
    largest_side: int = Field(default=1333, ge=16, le=8192)
    anchor_sizes: tuple[Annotated[float, Field(gt=0, le=65536)], ...] = (32, 64, 128, 256, 512)
    """One for each level of the pyramid, strides 4 to 64."""
    proposals: int = Field(default=1000, ge=1, le=100_000)
    """Kept after suppression, a level and picture."""
    box_batch: int = Field(default=512, ge=2, le=100_000)
    """Proposals a picture that train the box head."""
    score_threshold: float = Field(default=0.05, ge=0, lt=1)

    @model_validator(mode="after")
    def _one_anchor_a_level(self) -> Self:
        if len(self.anchor_sizes) != 5:
            raise ValueError(f"anchor_sizes has {len(self.anchor_sizes)} numbers; the pyramid has 5 levels")
        return self


class DetectConfig(FitConfig):
    """A whole detection run."""

    backbone: BackboneSection = BackboneSection(name="resnet50")
    epochs: int = Field(default=24, ge=1)
    batch_size: int = Field(default=2, ge=1)
    detector: DetectorSection = DetectorSection()
    rate: float = Field(default=0.02, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=1e-4, ge=0)
    clip_norm: float | None = Field(default=35.0, gt=0)
    warmup_steps: int = Field(default=500, ge=0)
    """The rate grows from a third to all of it over so many steps."""
    milestones: tuple[float, ...] = (16, 22)
    """Epochs at which the rate is divided by 10."""
    flip: bool = True
    frozen_stages: int = Field(default=0, ge=0, le=4)
    """1 freezes the stem and the first stage, their norms too; only sensible with pretrained weights."""
    frozen_statistics: bool = False
    """Whether all batch norms keep their running statistics; only sensible with pretrained weights."""
    pretrained: str = ""
    """A file with the weights of timm's plain backbone, converted to our layers."""

    @model_validator(mode="after")
    def _frozen_needs_weights(self) -> Self:
        if not self.pretrained and (self.frozen_stages or self.frozen_statistics):
            raise ValueError("frozen_stages and frozen_statistics need pretrained weights; give pretrained=FILE")
        return self
