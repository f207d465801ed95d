"""The part of a record that tells of classes; imports neither torch nor the computation of metrics."""

from pydantic import BaseModel, ConfigDict


class ClassFigures(BaseModel):
    """The figures of one class: its generated pictures against its real ones.

    Attributes:
        kid, fd: on the network `ClassesPart.extractor`, with intervals; None with a reason in `left_out`.
        kid_level, fd_level: what random halves of the class's real pictures score against each other.
        agreement: share of its generated pictures whose nearest real picture is of the class.
        agreement_level: the same of real pictures, see `ClassesPart.level_of`.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str
    n_real: int
    n_fake: int
    kid: float | None = None
    kid_low: float | None = None
    kid_high: float | None = None
    kid_level: float | None = None
    fd: float | None = None
    fd_low: float | None = None
    fd_high: float | None = None
    fd_level: float | None = None
    left_out: str | None = None
    agreement: float | None = None
    agreement_level: float | None = None


class ClassesPart(BaseModel):
    """The classes part tells figures by class, and how often a picture is nearest to one of its own class.

    Attributes:
        extractor: the network of `kid` and `fd`.
        agreement: over all generated pictures, with its interval.
        agreement_level: the same of real pictures; level_of: of which.
        grid: pictures of each class in a row, relative to the folder.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    classes: tuple[ClassFigures, ...] = ()
    extractor: str | None = None
    agreement: float | None = None
    agreement_low: float | None = None
    agreement_high: float | None = None
    agreement_level: float | None = None
    level_of: str | None = None
    grid: str | None = None
