"""The model without training: it holds the training pictures, and draws by recombining them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from sase_gan.class_names import MOST, ClassName
from sase_gan.colours import CHANNELS, Colours, brought, seen
from sase_gan.config import FrozenRecord
from sase_gan.errors import UsageError
from sase_gan.recombination.aligned import AlignedRecombiner
from sase_gan.recombination.choice import aligned_settings
from sase_gan.recombination.control import Beginning, Control, beginning_of, of_pictures
from sase_gan.recombination.drawn import Drawn, among_all
from sase_gan.recombination.free import FreeRecombiner
from sase_gan.recombination.free_drawing import USUAL, Course
from sase_gan.recombination.schedules import Schedule
from sase_gan.snapshot import SnapshotMixin

Size = tuple[int, int]
Form = Literal["aligned", "free"]
LARGEST_VARIETY = 4.0
Engine = AlignedRecombiner | FreeRecombiner

Side = Annotated[int, Field(ge=0, le=16384)]
"""Of a picture in pixels."""


class RecombinerConfig(FrozenRecord):
    """A recombiner is built from this record."""

    form: Form = Field("aligned", description="from where pixels may come: same position, or any")
    count: int = Field(0, ge=0, le=1_000_000, description="training pictures; from the data")
    size: tuple[Side, Side] = Field((0, 0), description="height and width of the training pictures; from the data")
    colours: Colours = Field("rgb", description="of the pictures: rgb, grey, or rgba, with transparency")
    names: tuple[str, ...] = Field((), description="file names of the training pictures; from the data")
    mirror: bool = Field(False, description="mirror images serve too")
    shift: int = Field(0, ge=0, le=4, description="aligned: pictures serve shifted, by so many 32nds of the side")
    variety: float = Field(
        1.0, gt=0, le=LARGEST_VARIETY, description="below 1 larger pieces stay together, above 1 pieces are smaller"
    )
    classes: tuple[ClassName, ...] = Field((), max_length=MOST, description="names of the classes; from the data")
    labels: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (), description="index of the class of each training picture; from the data"
    )

    @model_validator(mode="after")
    def _a_class_each(self) -> Self:
        if not self.classes and not self.labels:
            return self
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            raise ValueError(
                f"classes are {', '.join(self.classes)}; there are none, or two or more of different names"
            )
        if len(self.labels) != self.count or set(self.labels) != set(range(len(self.classes))):
            raise ValueError(
                f"labels name {len(set(self.labels))} of {len(self.classes)} classes for {len(self.labels)} of "
                f"{self.count} pictures; each picture has one, and each class a picture"
            )
        return self

    @model_validator(mode="after")
    def _a_name_each(self) -> Self:
        if len(self.names) not in (0, self.count):
            raise ValueError(f"there are {len(self.names)} names of {self.count} pictures; each has one, or none has")
        return self


class Recombiner(nn.Module, SnapshotMixin, pipeline_tag="unconditional-image-generation", tags=["training-free"]):
    """Draw new arrangements of the training pictures, which are all that this model consists of.

    It has no parameters. Its snapshot *contains the training pictures*, byte for byte, and every region of what it
    draws comes from one of them.

    Attributes:
        pictures: uint8 `[N, 3, height, width]`; of other colours with other channels, see `sase_gan.colours`.
        log_prior: float `[N]`, with which each is used; see `recombination.evenness`.
        class_prior: the same where a class alone is drawn from; of a model with classes.
        variety: as configured; may be set.

    Raises:
        UsageError: for a configuration without pictures.

    Example:
        >>> model = Recombiner(RecombinerConfig(count=3, size=(64, 64)))
        >>> model(torch.randn(2, 3, 32, 32), [torch.randn(2, 3, 64, 64)]).big.shape
        torch.Size([2, 3, 64, 64])
    """

    kind = "recombiner"
    config_class = RecombinerConfig
    card_usage = "sase-gan sample SNAPSHOT --seeds 0-15"
    card_title = "Pictures without training, made"
    card_text = (
        "This is no trained network: the file **contains the training pictures**, losslessly, {rights}. Every region "
        "of what it draws comes from one of them: new arrangements, not new matter."
    )
    trained: ClassVar[bool] = False
    pictures: Tensor
    log_prior: Tensor
    class_prior: Tensor

    def __init__(self, config: RecombinerConfig) -> None:
        super().__init__()
        if config.count < 1 or min(config.size) < 1:
            raise UsageError("a recombiner needs pictures: count and size of its configuration must be set")
        self.config = config
        self.variety = config.variety
        self.register_buffer(
            "pictures", torch.zeros(config.count, CHANNELS[config.colours], *config.size, dtype=torch.uint8)
        )
        self.register_buffer("log_prior", torch.zeros(config.count))
        if config.classes:
            self.register_buffer("class_prior", torch.zeros(config.count))
        self._engines: dict[int | None, tuple[tuple[object, ...], Engine]] = {}

    @property
    def size(self) -> Size:
        """Return height and width of the training pictures."""
        return self.config.size

    @property
    def seen_pictures(self) -> Tensor:
        """Return what is seen of the training pictures, uint8 `[N, 3, height, width]`."""
        return seen(self.pictures)

    def matched(self, images: Tensor) -> Tensor:
        """Bring pictures uint8 `[..., C, height, width]` of any colours to the form in which patches are compared.

        Grey pictures are recombined as coloured ones that have no colour: so what noise and windows are worth is the
        same. Transparency is compared and taken along as a fourth channel beside what is seen.
        """
        own = brought(images, self.config.colours)
        return seen(own) if self.config.colours == "grey" else own

    def own_channels(self, drawn: Tensor) -> Tensor:
        """Bring drawn pictures, float, from that form to the model's own channels."""
        # Of a grey model all three are alike: the same but for a last bit, or for what the polish moved.
        return drawn.mean(-3, keepdim=True) if self.config.colours == "grey" else drawn

    @property
    def engine(self) -> Engine:
        """Return what draws from all pictures, made anew after pictures, prior, variety or device changed."""
        return self.engine_of(None)

    def engine_of(self, label: int | None) -> Engine:
        """Return what draws from the pictures of a class, see `engine`."""
        prior = self.log_prior if label is None else self.class_prior
        state = (
            self.variety,
            self.pictures.device,
            self.pictures.data_ptr(),
            self.pictures._version,
            prior._version,
        )
        if label not in self._engines or self._engines[label][0] != state:
            self._engines[label] = state, self._made(label)
        return self._engines[label][1]

    def places_of(self, label: int) -> Tensor:
        """List the pictures of a class, int64 `[n]`."""
        return (torch.tensor(self.config.labels) == label).nonzero()[:, 0]

    def latent_shape(self, size: Size | None = None) -> tuple[int, int, int]:
        """Return the shape of the latent, the noise of the coarsest level."""
        engine = self.engine
        return engine.latent_shape(size) if isinstance(engine, FreeRecombiner) else engine.latent_shape()

    def noise_shapes(self, size: Size | None = None) -> tuple[tuple[int, int, int], ...]:
        """List the shapes of the noise maps of the finer levels."""
        engine = self.engine
        return engine.noise_shapes(size) if isinstance(engine, FreeRecombiner) else engine.noise_shapes()

    def forward(
        self,
        z: Tensor,
        noise: Sequence[Tensor] | None = None,
        *,
        control: Control | None = None,
        classes: Tensor | None = None,
        beginning: Beginning | None = None,
    ) -> Drawn:
        """Draw pictures.

        Args:
            z: `[batch, *latent_shape()]`.
            noise: `[batch, *shape]` for each of `noise_shapes()`, or None for none.
            control: what serves where, what stays, and where to begin.
            classes: `[batch, classes]`: a 1 draws from the pictures of that class alone, a row of 0 from all.
            beginning: a picture for each latent to begin from, instead of `control`'s for all; without classes.

        Raises:
            UsageError: for shares of several classes.
        """
        if classes is None or not classes.any():
            return self._drawn(self.engine, z, noise, control, beginning)
        parts = [
            self._of_class(row, z[index : index + 1], noise and [maps[index : index + 1] for maps in noise], control)
            for index, row in enumerate(classes)
        ]
        return Drawn(*(torch.cat(part) for part in zip(*parts, strict=True)))

    def _of_class(self, row: Tensor, z: Tensor, noise: Sequence[Tensor] | None, control: Control | None) -> Drawn:
        """Draw one picture of one class, or from all where there is none."""
        if not row.any():
            return self._drawn(self.engine, z, noise, control)
        label = int(row.argmax())
        if row[label] < 1:
            raise UsageError(
                "an instant model draws from the pictures of one class or of all, and has nothing between two; name "
                "one class, or train a network: sase-gan train PATH --classes folders --preset cpu"
            )
        places = self.places_of(label)
        drawn = self._drawn(self.engine_of(label), z, noise, of_pictures(control, places))
        return among_all(drawn, places, len(self.pictures))

    def _drawn(
        self,
        engine: Engine,
        z: Tensor,
        noise: Sequence[Tensor] | None,
        control: Control | None,
        beginning: Beginning | None = None,
    ) -> Drawn:
        picture = None if control is None else control.picture
        if control is not None and picture is not None and self.config.colours == "rgba" and len(picture) == 3:
            # What knows no transparency is opaque.
            control = replace(control, picture=torch.cat([picture, torch.ones_like(picture[:1])]))
        begun = beginning or beginning_of(control, z)
        if begun is not None and self.config.colours == "grey":
            begun = begun._replace(pictures=seen(begun.pictures))
        drawn = self._by(engine, z, noise, control, begun)
        return drawn._replace(pictures=self.own_channels(drawn.pictures))

    def _by(
        self,
        engine: Engine,
        z: Tensor,
        noise: Sequence[Tensor] | None,
        control: Control | None,
        beginning: Beginning | None,
    ) -> Drawn:
        if isinstance(engine, AlignedRecombiner):
            return engine.draw(z, noise, control, beginning)
        size = (int(noise[-1].shape[2]), int(noise[-1].shape[3])) if noise else None
        start, strength = (None, 1.0) if beginning is None else beginning
        # What is kept, or must not serve, is not to be made up for elsewhere.
        course = USUAL
        if control is not None:
            course = Course(even=control.keep is None, polish=not control.regions and control.keep is None)
        return engine.draw(z, noise, size=size, start=start, strength=strength, course=course, control=control)

    def _made(self, label: int | None) -> Engine:
        config, pictures, prior, shift = self.config, self.pictures, self.log_prior, self.config.shift
        pictures = self.matched(pictures)
        if label is not None:
            places = self.places_of(label).to(pictures.device)
            pictures, prior = pictures[places], self.class_prior[places]
            shift = max(shift, aligned_settings(len(places))[0])  # of a few pictures shifted ones serve too
        if config.form == "free":
            return FreeRecombiner(pictures, mirror=config.mirror, variety=self.variety)
        return AlignedRecombiner(
            pictures,
            mirror=config.mirror,
            shift=shift,
            schedule=Schedule(variety=self.variety),
            log_prior=prior,
        )
