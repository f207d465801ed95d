"""A model of one picture in the form in which it is exported: the network alone, at one size.

Resizing between stages is linear where it is bicubic, and becomes two matrices a stage, which every runtime computes
alike; runtimes disagree about bicubic filters. What a pyramid is finished with, patches of its picture that are
searched for, is no part of a network: one bit decides between two patches, and no two runtimes would draw the same
picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sase_gan.colours import CHANNELS
from sase_gan.drawing.gates import rewired
from sase_gan.drawing.sampling import draw_inputs
from sase_gan.errors import UsageError
from sase_gan.exporting.generators import RANGE
from sase_gan.exporting.subject import Port, Subject, Tensors
from sase_gan.networks.pyramid import Pyramid
from sase_gan.networks.pyramid_sizes import Size
from sase_gan.resizing import Padding, resize


class ClimbedPictures(nn.Module):
    """Draw pictures of one size with a pyramid, from latent maps, truncation and a noise map for each later stage."""

    def __init__(self, pyramid: Pyramid, sizes: Sequence[Size]) -> None:
        super().__init__()
        self.pyramid, self.sizes = pyramid, tuple(sizes)
        for index, (small, large) in enumerate(zip(self.sizes, self.sizes[1:], strict=False), start=1):
            for axis, name in enumerate(("rows", "columns")):
                weights = _resizing_weights(small[axis], large[axis], pyramid.config.padding)
                self.register_buffer(f"{name}{index}", weights)

    def forward(self, z: Tensor, truncation: Tensor, *noise: Tensor) -> Tensor:
        """Return pictures `[batch, colours, height, width]`."""
        stages = iter(range(1, len(self.sizes)))

        def enlarge(carried: Tensor, *how: object) -> Tensor:
            index = next(stages)
            return self.get_buffer(f"rows{index}") @ carried @ self.get_buffer(f"columns{index}").T

        overrides: dict[str, dict[str, Callable[..., Any]]] = {"": {"enlarge": enlarge}}
        latents = z * truncation[:, None, None, None]
        return rewired(self.pyramid, overrides)(latents, list(noise) or None).big.clamp(*RANGE)


def _resizing_weights(length: int, size: int, padding: Padding) -> Tensor:
    """Compute what each of `length` pixels gives to each of `size`, `[size, length]`: the filter itself, once."""
    return resize(torch.eye(length)[None, None], (size, length), padding)[0, 0].contiguous()


def pyramid_subject(pyramid: Pyramid, *, size: Size | None = None, unfinished: bool = False) -> Subject:
    """Put a pyramid, which is in evaluation mode, into the form in which it is exported.

    Args:
        size: height and width of what the file draws; the trained size if None.
        unfinished: the network's own pictures are wanted, where the model would finish them with patches.

    Raises:
        UsageError: for a pyramid that is finished with patches, without `unfinished`; or one that rounds its pictures
            to bytes between stages.
    """
    if pyramid.config.resize == "bytes":
        raise UsageError(
            "this model of one picture rounds its pictures to bytes between stages, where one bit decides and no two "
            "programs agree; train one with --preset quick or standard, or draw with: sase-gan sample"
        )
    if pyramid.finished_stages > 0 and not unfinished:
        raise UsageError(
            f"this model finishes {pyramid.finished_stages} of its sizes with patches of its picture, and that search "
            "cannot be exported; add --unfinished for the network alone, which draws what sase-gan sample does with "
            "--finished-stages 0"
        )
    sizes = pyramid.stage_sizes(size)
    height, width = sizes[-1]
    inputs = (
        Port("z", pyramid.latent_shape(size), "latent map, standard normal"),
        Port("truncation", (), "0 to 2; multiplies the latent map, 1 changes nothing"),
        *(
            Port(f"noise_{index}", shape, "standard normal; zeros for none")
            for index, shape in enumerate(pyramid.noise_shapes(size))
        ),
    )
    colours = pyramid.config.colours
    meaning = f"{colours} in [-1, 1]; as bytes: trunc(x * 127.5 + 128), clamped to 0 ... 255"
    pictures = Port("pictures", (CHANNELS[colours], height, width), meaning)
    facts = {
        "latent_size": sizes[0][0] * sizes[0][1],
        "range": list(RANGE),
        "colours": colours,
        "size": [height, width],
        "noise": "inputs",
        "finished_stages": 0,
        "seeds": "a seed names its latent and noise as in sase_gan.drawing.sampling.draw_inputs",
    }

    def original(z: Tensor, truncation: Tensor, *noise: Tensor) -> Tensors:
        return (pyramid(z * truncation[:, None, None, None], list(noise) or None).big.clamp(*RANGE),)

    def examples(count: int) -> Tensors:
        drawn = draw_inputs(pyramid, range(count), size=size)
        truncation = torch.tensor([1.0, 0.5, 0.0, 1.6, 2.0]).repeat(count // 5 + 1)[:count]
        return (drawn.z, truncation, *(drawn.noise or ()))

    return Subject(ClimbedPictures(pyramid, sizes), inputs, (pictures,), original, examples, facts)
