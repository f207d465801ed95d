"""A generator in the form in which it is exported: latents, truncation and noise maps in, pictures in [-1, 1] out.

A model with classes has one more input, the weight of each class: 1 for one of them, or shares of several.

With `mixing` a picture takes its appearance from another one of the same batch, from a size of its maps on, as
`drawing.latents.mix` draws it; which pictures do, and from which size, are inputs, so that one file draws both kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sase_gan.colours import CHANNELS
from sase_gan.drawing.gates import block_size, rewired
from sase_gan.drawing.latents import appearance, exchange, with_statistics_of
from sase_gan.drawing.sampling import draw_inputs
from sase_gan.exporting.subject import Port, Subject, Tensors
from sase_gan.networks.generator import Generator

Noise = Literal["inputs", "fixed", "off"]
"""Of a file: an input for each noise map, the maps of seed 0 within the file, or none."""

RANGE = (-1.0, 1.0)
"""Of pictures: bytes are `clamp(trunc(x * 127.5 + 128), 0, 255)`, see `pixels.to_uint8`."""


class DrawnPictures(nn.Module):
    """Draw clamped pictures with a generator, from tensors alone.

    Its inputs are latents, truncation, the weights of the classes if it has any, the noise maps if `noise` is
    "inputs", and with `mixing` two more, see `mixing_ports`.
    """

    def __init__(self, network: Generator, noise: Noise, *, mixing: bool) -> None:
        super().__init__()
        self.network, self.noise, self.mixing = network, noise, mixing
        self.register_buffer("mean", network.mean_first_map().clone(memory_format=torch.contiguous_format))
        self.maps = len(network.noise_shapes())
        self.classes = len(network.config.classes)
        if noise == "fixed":
            for index, fixed in enumerate(draw_inputs(network, [0]).noise or ()):
                self.register_buffer(f"noise{index}", fixed)

    def forward(self, z: Tensor, truncation: Tensor, *more: Tensor) -> Tensor:
        """Return pictures `[batch, channels, height, width]`."""
        overrides: dict[str, dict[str, Callable[..., Any]]] = {"": {"mean_first_map": lambda: self.mean}}
        if self.mixing:
            overrides |= _mixing(self.network, more[-2], more[-1])
        classes, more = (more[0], more[1:]) if self.classes else (None, more)
        noise: Sequence[Tensor] | None = more[: self.maps] if self.noise == "inputs" else None
        if self.noise == "fixed":
            # The length of a tensor would be a constant of the program, its shape is not.
            noise = [self.get_buffer(f"noise{index}").expand(z.shape[0], -1, -1, -1) for index in range(self.maps)]
        return rewired(self.network, overrides)(z, noise, truncation, None, classes).big.clamp(*RANGE)


def _mixing(network: Generator, mix_with: Tensor, mix_from: Tensor) -> dict[str, dict[str, Callable[..., Any]]]:
    """What describes a picture as a whole is replaced by that of another one, where a picture asks for it."""

    def crossing(path: str, method: Callable[..., Tensor]) -> Callable[..., Tensor]:
        size = block_size(path)

        def crossed(*arguments: Tensor) -> Tensor:
            own = method(*arguments)
            other = own.index_select(0, mix_with)
            taken = with_statistics_of(own, other) if path.endswith(".activation") else other
            asked = (mix_from <= size).view(-1, *[1] * (own.dim() - 1))
            return torch.where(asked, taken, own)

        return crossed

    return {path: {name: crossing(path, method)} for path, (name, method) in appearance(network).items()}


def generator_subject(network: Generator, *, noise: Noise = "inputs", mixing: bool = False) -> Subject:
    """Put a generator, which is in evaluation mode, into the form in which it is exported."""
    height, width = network.config.picture_size
    shapes = network.noise_shapes() if noise == "inputs" else ()
    names = network.config.classes
    inputs = (
        Port("z", network.latent_shape(), "latent, standard normal"),
        Port("truncation", (), "0 to 2; 1 changes nothing, below 1 is more typical, 0 is the mean"),
        *(
            [Port("classes", (len(names),), "weight of each class, of sum 1; 1 and zeros for one class")]
            if names
            else ()
        ),
        *(Port(f"noise_{index}", shape, "standard normal; zeros for none") for index, shape in enumerate(shapes)),
        *(mixing_ports(network) if mixing else ()),
    )
    channels = CHANNELS[network.config.colours]
    meaning = f"{network.config.colours} in [-1, 1]; as bytes: trunc(x * 127.5 + 128), clamped to 0 ... 255"
    pictures = Port("pictures", (channels, height, width), meaning)
    facts = {
        "latent_size": network.config.latent_size,
        "range": list(RANGE),
        "colours": network.config.colours,
        "size": [height, width],
        "image_size": network.config.image_size,
        "noise": {"inputs": "inputs", "fixed": "that of seed 0, in the file", "off": "none"}[noise],
        **({"classes": list(names), "class_counts": list(network.config.class_counts)} if names else {}),
        "seeds": "a seed names its latent and noise as in sase_gan.drawing.sampling.draw_inputs",
    }

    def original(z: Tensor, truncation: Tensor, *more: Tensor) -> Tensors:
        classes, more = (more[0], more[1:]) if names else (None, more)
        maps: Any = {"inputs": list(more[: len(shapes)]), "off": None}.get(noise)
        if noise == "fixed":
            maps = [one.expand(len(z), -1, -1, -1) for one in draw_inputs(network, [0]).noise or ()]
        if not mixing:
            return (network(z, maps, truncation, None, classes).big.clamp(*RANGE),)
        drawn = [_mixed(network, index, z, truncation, maps, classes, *more[-2:]) for index in range(len(z))]
        return (torch.cat(drawn),)

    def examples(count: int) -> Tensors:
        drawn = draw_inputs(network, range(count))
        # Ends and middle of what is allowed.
        truncation = torch.tensor([1.0, 0.5, 0.0, 1.6, 2.0]).repeat(count // 5 + 1)[:count]
        # The last picture keeps its own appearance, and others take it.
        sizes = torch.tensor([8.0, 4.0, 16.0, 1e9]).repeat(count)[: count - 1]
        crossing = (torch.full((count,), count - 1), torch.cat([sizes, torch.tensor([1e9])]))
        return (
            drawn.z,
            truncation,
            *(() if drawn.classes is None else (_between(drawn.classes),)),
            *(drawn.noise or () if noise == "inputs" else ()),
            *(crossing if mixing else ()),
        )

    return Subject(DrawnPictures(network, noise, mixing=mixing), inputs, (pictures,), original, examples, facts)


def _between(classes: Tensor) -> Tensor:
    """Draw every second of the classes `[n, classes]` half way to all of them, so that shares are tried too."""
    mixed = classes.clone()
    mixed[1::2] = (classes[1::2] + 1 / classes.shape[1]) / 2
    return mixed


def mixing_ports(network: Generator) -> tuple[Port, Port]:
    """Return the two inputs of mixing."""
    side = network.config.image_size
    return (
        Port("mix_with", (), "int64: index in this batch of the picture whose appearance is taken"),
        Port("mix_from", (), f"side of the first map at which it is; above {side}: it is not"),
    )


def _mixed(
    network: Generator,
    index: int,
    z: Tensor,
    truncation: Tensor,
    maps: list[Tensor] | None,
    classes: Tensor | None,
    mix_with: Tensor,
    mix_from: Tensor,
) -> Tensor:
    """Draw one picture of a batch as `drawing.latents.mix` does, in which nothing is an input."""

    def drawn(twin: Any, row: int) -> Tensor:
        own = None if maps is None else [one[row : row + 1] for one in maps]
        kind = None if classes is None else classes[row : row + 1]
        return twin(z[row : row + 1], own, truncation[row : row + 1], None, kind).big.clamp(*RANGE)

    watched, taking = exchange(network, mix_from[index].item())
    drawn(watched, int(mix_with[index]))
    return drawn(taking, index)
