"""Classes in the low-shot networks: an embedding beside the latent, and a projection beside each logit.

Generator: `z + y E` enters the first block in the place of z, where y holds the weight of each class (one of them 1, or
shares of several, which lie between) and E, `[classes, latent_size]`, is learnt. An unconditional generator is the case
y = 0, so weights pass from one to the other, and all that moves latents moves z as before.

Discriminator: to each logit of either branch is added `4 mean over its window of <y V, phi>`, with the features phi
before the branch's last convolution and V, `[classes, channels]`, under spectral norm: the projection discriminator,
Miyato and Koyama 2018, arXiv 1802.05637, eq. 3 and 4 (`f(x, y) = y' V phi(x) + psi(phi(x))`), once for each patch
that this discriminator judges.

Deviations: phi is averaged over the 4x4 window of a logit and not summed over the whole picture; the factor 4 gives
that average the bound of the convolution beside it, whose kernel of 4x4 has norm 1 too. Attentive normalization and the
gates do not see the class: a latent enters this generator at the first map alone, and its class with it.

While a run ramps up (`training.conditioning`), y is scaled by less than 1 in both networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Annotated, Any, Self

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from sase_gan.class_names import MOST, ClassName
from sase_gan.config import FrozenRecord
from sase_gan.errors import UsageError
from sase_gan.layers.primitives import WEIGHT_STD
from sase_gan.layers.spectral_norm import spectral_norm
from sase_gan.seeds import generator as random_generator

EMBEDDING_STD = 0.25
"""Of the entries of E at the start, where those of z have 1: a class moves a latent by less than latents differ.

From 1 on, two classes of 96 and 70 pictures collapsed to one picture each (docs/results/classes.md).
"""
WINDOW = 4
"""Side of the part of the 8x8 map that a logit is read from."""
_Count = Annotated[int, Field(ge=1, le=10**9)]


class ClassesRecord(FrozenRecord):
    """What a model knows of its classes; nothing of an unconditional one."""

    classes: tuple[ClassName, ...] = Field((), max_length=MOST, description="names of the classes; from the data")
    class_counts: tuple[_Count, ...] = Field((), description="pictures of each class in the set; from the data")

    @model_validator(mode="after")
    def _classes_are_several(self) -> Self:
        if len(self.classes) == 1 or len(set(self.classes)) < len(self.classes):
            raise ValueError(
                f"classes are {', '.join(self.classes)}; there are none, or two or more of different names"
            )
        if len(self.class_counts) != len(self.classes):
            raise ValueError(
                f"class_counts has {len(self.class_counts)} numbers for {len(self.classes)} classes; each has one"
            )
        return self


def own_class(counts: Sequence[int], seed: int) -> int:
    """Return the index of the class that a seed has where none is named: classes are as frequent as their pictures."""
    place = int(torch.randint(sum(counts), (), generator=random_generator(seed, "class")))
    return next(index for index, total in enumerate(accumulate(counts)) if place < total)


def new_embedding(classes: int, latent_size: int) -> nn.Parameter | None:
    """Draw the embedding that a generator begins with; None without classes."""
    return nn.Parameter(EMBEDDING_STD * torch.randn(classes, latent_size)) if classes else None


def embedded(
    z: Float[Tensor, "batch latent"], embedding: Tensor | None, classes: Float[Tensor, "batch classes"] | None
) -> Float[Tensor, "batch latent"]:
    """Compute `z + y E`, or z of a network without classes.

    Raises:
        UsageError: classes for a network without them, or none for one that has them.
    """
    if embedding is None:
        if classes is not None:
            raise UsageError("classes were given to a generator without classes; leave them out")
        return z
    if classes is None:
        raise UsageError(
            f"this generator has {len(embedding)} classes, and none were given; give their weights, [batch, "
            f"{len(embedding)}], such as drawing.sampling.draw_inputs makes"
        )
    return z + classes.to(z.dtype) @ embedding.to(z.dtype)


class ClassProjection(nn.Module):
    """Add to logits what the features say of the class that a picture is to have."""

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, channels).normal_(0.0, WEIGHT_STD))
        spectral_norm(self)

    def forward(
        self, features: Float[Tensor, "batch channels height width"], classes: Float[Tensor, "batch classes"]
    ) -> Float[Tensor, "batch logits"]:
        """Project the features of every window; `classes` are the weights y."""
        vectors = classes.to(features.dtype) @ self.weight.to(features.dtype)
        agreement = (features * vectors[:, :, None, None]).sum(1, keepdim=True)
        return WINDOW * F.avg_pool2d(agreement, WINDOW, stride=1).flatten(1)


def class_rows(names: Sequence[str], mixture: Sequence[tuple[str, int]]) -> Tensor:
    """Make the weights `[classes]` of a mixture of known classes."""
    row = torch.zeros(len(names))
    for name, share in mixture:
        row[list(names).index(name)] = share / 100
    return row


def class_rows_of(rows: Sequence[Tensor | None]) -> Tensor | None:
    """Stack the weights `[classes]` of several pictures, all 0 for one without; None where none has any."""
    known = next((row for row in rows if row is not None), None)
    return None if known is None else torch.stack([torch.zeros_like(known) if row is None else row for row in rows])


def one_hot(labels: Tensor, count: int) -> Tensor:
    """Make the weights `[n, classes]` of labels int64 `[n]`."""
    return F.one_hot(labels, count).float()


def names_of(network: Any) -> tuple[str, ...]:
    """Return the names of a model's classes, of any kind of model; none where it has none."""
    found: tuple[str, ...] = getattr(network.config, "classes", ())
    return found
