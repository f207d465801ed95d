"""The configuration of pictures without training: every default stands here; presets and flags deviate from it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from sase_gan.class_names import MOST, ClassName
from sase_gan.colours import Colours, check_ground
from sase_gan.config import FrozenRecord
from sase_gan.fits import FIT_HELP, Fit, sides, size_words
from sase_gan.recombination.model import LARGEST_VARIETY
from sase_gan.training.config import Colour


def _checked(size: int | str) -> int | str:
    height, width = sides(size)
    if not 16 <= min(height, width) <= max(height, width) <= 1024:
        raise ValueError(f"image_size is {size_words(height, width)}; each side must be 16 to 1024 px")
    return height if height == width else size_words(height, width)


class InstantDataSection(FrozenRecord):
    """The pictures, one or more."""

    path: str | None = Field(None, description="folder or zip of pictures, or one picture")
    fit: Fit = Field("crop", description=f"{FIT_HELP} Of a set.")
    mirror: bool | None = Field(None, description="mirror images serve too; by itself where pictures are aligned")
    holdout: float = Field(0.0, ge=0, le=0.5, description="share of the pictures kept out")
    background: Colour = Field("white", description="behind transparent pixels, and of padding")
    licence: str | None = Field(None, description="licence of the pictures, carried into snapshots and reports")


class RecombinationSection(FrozenRecord):
    """How pictures are recombined."""

    form: Literal["auto", "aligned", "free"] = Field(
        "auto", description="from where pixels may come: same position, or any; auto: by the pictures"
    )
    variety: float | None = Field(
        None,
        gt=0,
        le=LARGEST_VARIETY,
        description="below 1 larger pieces stay together, above 1 smaller ones do; by itself: by their number",
    )
    shift: int | None = Field(
        None,
        ge=0,
        le=4,
        description="aligned: pictures serve shifted too, by up to so many 32nds; by itself a few only",
    )
    even: bool = Field(True, description="calibrate how readily each picture serves, until all are used alike")


class InstantClassesSection(FrozenRecord):
    """The classes of the pictures; without a source there are none."""

    source: Literal["none", "folders", "dataset.json"] = Field(
        "none", description="where each picture's class is found: its sub-folder, or labels as StyleGAN's tools write"
    )
    names: tuple[ClassName, ...] = Field((), max_length=MOST, description="settled when a run begins")


class InstantScheduleSection(FrozenRecord):
    """How much is drawn when such a model is made."""

    grid_images: int | None = Field(None, ge=1, description="pictures of the grid; settled when a run begins")
    evaluation_count: int | None = Field(
        None, ge=0, description="pictures drawn for the figures; settled when a run begins; 0: no figures"
    )


class InstantConfig(FrozenRecord):
    """Everything that pictures without training depend on; `image_size` is a set's and `max_size` one picture's."""

    task: Literal["instant"] = "instant"
    seed: int = Field(0, ge=0)
    image_size: Annotated[int | str, AfterValidator(_checked)] | None = Field(
        None, description="side of a set's pictures, 16 to 1024, or WIDTHxHEIGHT; settled when a run begins"
    )
    max_size: int | None = Field(
        None, ge=16, le=1024, description="longer side of one picture, at most its own; settled when a run begins"
    )
    colours: Colours = Field("rgb", description="of the pictures: rgb, grey, or rgba, with transparency")
    data: InstantDataSection = InstantDataSection()
    classes: InstantClassesSection = InstantClassesSection()
    recombination: RecombinationSection = RecombinationSection()
    schedule: InstantScheduleSection = InstantScheduleSection()

    @model_validator(mode="after")
    def _colours_are_possible(self) -> Self:
        check_ground(self.colours, self.data.background)
        return self

    @property
    def total_images(self) -> int:
        """Count the images that are learnt from: none."""
        return 0

    @property
    def picture_size(self) -> tuple[int, int] | None:
        """Height and width of a set's pictures; None for one picture."""
        return None if self.image_size is None else sides(self.image_size)

    @property
    def of_one_picture(self) -> bool:
        """Tell whether it is one picture, kept as a rectangle, or a set of squares."""
        return self.image_size is None
