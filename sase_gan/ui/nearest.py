"""Where a generated picture lies among the training pictures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch

from sase_gan.colours import seen, shown
from sase_gan.metrics.catalogue import SPACES, Space
from sase_gan.metrics.originality import CopyReference
from sase_gan.metrics.reference import PictureSet, PreparedReference


@dataclass(frozen=True)
class Neighbour:
    """A training picture near to a generated one.

    Attributes:
        image: uint8 [3, H, W], over a checkerboard where it is transparent; mirrored if that is how it was found.
        distance: in descriptor units; `usual` is the median distance of training pictures from each other.
        near: whether it is nearer than nineteen in twenty training pictures are to their own nearest.
        far: whether it is farther than nineteen in twenty are.
    """

    name: str
    image: torch.Tensor
    space: Space
    distance: float
    usual: float
    mirrored: bool
    near: bool
    far: bool


class TrainingPictures:
    """The pictures that a model was trained on, and where its generated pictures lie among them, as seen on white.

    Args:
        images: uint8 `[N, C, H, W]`, of other colours as inside; names: theirs.
    """

    def __init__(self, images: torch.Tensor, names: tuple[str, ...]) -> None:
        self.images, self.names = images, names

    @cached_property
    def _prepared(self) -> PreparedReference:
        return PreparedReference(seen(self.images).contiguous(), self.names)

    def nearest(self, image: torch.Tensor) -> list[Neighbour]:
        """The two nearest in each of the copying check's spaces, without repetitions, the nearest first.

        Args:
            image: uint8 `[3, H, W]`, what is seen of a generated picture on white.
        """
        found: dict[int, Neighbour] = {}
        for space in SPACES:
            reference: CopyReference = self._prepared.copying(space)
            result = self._prepared.nearest(PictureSet(image[None]), space)
            usual = reference.own_nearest.median().item()
            most = reference.own_nearest.quantile(0.95).item()
            for index, distance, mirrored in (
                (int(result.first[0]), result.distance[0].item(), bool(result.mirrored[0])),
                (int(result.second[0]), result.second_distance[0].item(), False),
            ):
                given = self._prepared.pictures.order[index]
                own = shown(self.images[given], "checkerboard")
                near, far = distance < reference.limit, distance > most
                own = own.flip(-1) if mirrored else own
                neighbour = Neighbour(self.names[given], own, space, distance, usual, mirrored, near, far)
                found.setdefault(given, neighbour)
        return sorted(found.values(), key=lambda item: item.distance / max(item.usual, 1e-9))
