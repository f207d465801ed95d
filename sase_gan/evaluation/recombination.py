"""What the pictures of a model without training were put together of, read off its own maps."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sase_gan.metrics.recombination_record import RecombinationPart
from sase_gan.recombination.evenness import use_entropy
from sase_gan.recombination.sources import Origin, coloured_sources, origin_of

SHOWN = 16
"""So many pictures are shown beside their maps."""


def recombination_facts(origins: Sequence[Origin], shares: Tensor) -> RecombinationPart:
    """Sum up the origins of pictures: how large the pieces are, and how evenly training pictures were used.

    Args:
        shares: `[N]`, how much each training picture gave, by weights: in plain areas, which many training pictures
            share, one source stands for all on a map.
    """
    use = {}
    if len(shares) > 1:
        use = {
            "entropy_of_use": round(use_entropy(shares), 4),
            "most_used": round(shares.max().item() * len(shares), 3),
        }
    largest = [origin.regions[0].share if origin.regions else 0.0 for origin in origins]
    return RecombinationPart(
        **use,
        largest_region=round(sum(largest) / len(origins), 4),
        regions=round(sum(len(origin.regions) for origin in origins) / len(origins), 2),
    )


def with_maps(images: Tensor, sources: Tensor, pictures: Tensor, origins: Sequence[Origin]) -> Tensor:
    """Set the first pictures beside their regions in colours, uint8 `[n, 3, height, 2 * width]`.

    Args:
        images: uint8 `[F, 3, height, width]`; sources: `[F, height, width, 3]`, as in `recombination.drawn.Drawn`.
        pictures: uint8 `[N, 3, h, w]`, the training pictures.
    """
    shown = zip(images[:SHOWN], sources, origins, strict=False)
    return torch.stack(
        [torch.cat([image, coloured_sources(image, one, pictures, origin)], 2) for image, one, origin in shown]
    )


def origins_of(sources: Tensor, pictures: Tensor) -> list[Origin]:
    """Read the origin of every picture off its map; arguments as of `with_maps`."""
    return [origin_of(one, pictures) for one in sources]
