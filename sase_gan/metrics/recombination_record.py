"""The part of a record that only models without training have; imports neither torch nor the computation of metrics."""

from pydantic import BaseModel, ConfigDict


class RecombinationPart(BaseModel):
    """The recombination part tells what pictures were put together of, as the model itself knows it.

    Attributes:
        entropy_of_use: of the training pictures' shares, as a share of the most that it can be; None for one picture.
        most_used: the largest share of a training picture, in even shares; None for one picture.
        largest_region: mean over the pictures of the share of the largest connected region.
        regions: mean number of regions that cover a hundredth of a picture or more.
        maps: path of the first pictures beside their regions in colours.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    entropy_of_use: float | None = None
    most_used: float | None = None
    largest_region: float | None = None
    regions: float | None = None
    maps: str | None = None
