"""From seeds to pictures: a picture is named by (snapshot, seed), whatever batch and device draw it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from sase_gan.allocator import freed_memory_kept
from sase_gan.colours import Ground, shown
from sase_gan.drawing.finishing import draw_finished
from sase_gan.errors import UsageError
from sase_gan.networks.conditioning import one_hot, own_class
from sase_gan.networks.finished import FinishedGenerator
from sase_gan.networks.generator import Generator
from sase_gan.networks.load import Network
from sase_gan.networks.pyramid import Pyramid
from sase_gan.networks.pyramid_sizes import Size
from sase_gan.pixels import to_uint8
from sase_gan.progress import Count, batches
from sase_gan.recombination.control import Control
from sase_gan.recombination.model import Recombiner
from sase_gan.seeds import generator as random_generator
from sase_gan.sixteen_bits import to_sixteen

NoiseMode = Literal["random", "fixed", "off"]
MAX_SEED = 2**31 - 1


class Inputs(NamedTuple):
    """A network draws from inputs: latents, one a picture, and its noise maps, or None for no noise.

    A latent is `[latent_size]` for a generator, a map `[1, height, width]` of the coarsest stage for a pyramid. A
    generator also takes how far each picture is drawn towards the typical one, `[batch]`, see `truncated`, and what is
    added to its first map, `[batch, channels, 4, 4]`, of pictures that were brought into it (`inverting`). A model with
    classes takes their weights, `[batch, classes]`: of sum 1, or all 0 for an instant model that draws from all.
    """

    z: Tensor
    noise: list[Tensor] | None
    truncation: Tensor | None = None
    shift: Tensor | None = None
    classes: Tensor | None = None

    def to(self, device: torch.device) -> Inputs:
        """Bring them to a device."""
        noise = None if self.noise is None else [maps.to(device) for maps in self.noise]
        rest = (None if part is None else part.to(device) for part in (self.truncation, self.shift, self.classes))
        return Inputs(self.z.to(device), noise, *rest)

    def first(self) -> Inputs:
        """Keep those of the first picture."""
        noise = None if self.noise is None else [maps[:1] for maps in self.noise]
        rest = (None if part is None else part[:1] for part in (self.truncation, self.shift, self.classes))
        return Inputs(self.z[:1], noise, *rest)


def truncated(network: Network, inputs: Inputs, truncation: float) -> Inputs:
    """Draw pictures towards the typical one, below 1, or away from it: more typical and less varied, or the reverse.

    A generator's first map is drawn towards its mean (`Generator.first_map`); the latents of other models are
    multiplied.

    Raises:
        UsageError: for a truncation outside 0 to 2.
    """
    check_truncation(truncation)
    if truncation == 1:
        return inputs
    if not isinstance(network, Generator):
        return inputs._replace(z=inputs.z * truncation)
    return inputs._replace(truncation=torch.full((len(inputs.z),), float(truncation)))


def joined(parts: Sequence[Inputs]) -> Inputs:
    """Join the inputs of several batches into one; noise, truncation, shift and classes as far as any has them."""
    noises = [part.noise for part in parts if part.noise is not None]
    # A batch may mix pictures with and without noise only through a caller's mistake: one setting serves all.
    noise = None if len(noises) < len(parts) else [torch.cat(maps) for maps in zip(*noises, strict=True)]
    shares = [torch.ones(len(part.z)) if part.truncation is None else part.truncation for part in parts]
    own = torch.cat(shares) if any(part.truncation is not None for part in parts) else None
    shift = _stacked([part.shift for part in parts], parts)
    classes = _stacked([part.classes for part in parts], parts)
    return Inputs(torch.cat([part.z for part in parts]), noise, own, shift, classes)


def _stacked(found: Sequence[Tensor | None], parts: Sequence[Inputs]) -> Tensor | None:
    """Stack what some of the parts have, with zeros for the others; None where none has it."""
    known = next((one for one in found if one is not None), None)
    if known is None:
        return None
    none = torch.zeros_like(known[:1])
    rows = (
        none.expand(len(part.z), *none.shape[1:]) if one is None else one
        for one, part in zip(found, parts, strict=True)
    )
    return torch.cat(list(rows))


def draw_inputs(
    network: Network,
    seeds: Sequence[int],
    *,
    noise: NoiseMode = "random",
    size: Size | None = None,
    by_class: bool = False,
) -> Inputs:
    """Draw latents and noise on the CPU, a random generator for each seed: CPU and GPU start from the same numbers.

    Args:
        noise: "random", each picture has its own; "fixed", all share the maps of seed 0; "off", none.
        size: height and width of the picture, for a pyramid, which draws any size; the trained size if None.
        by_class: see `own_classes`.

    Returns:
        Of a generator with classes each seed has a class of its own, see `networks.conditioning.own_class`.

    Raises:
        UsageError: for a seed out of range, no seed, or unknown noise.
    """
    if noise not in ("random", "fixed", "off"):
        raise UsageError(f"noise is {noise!r}; choose random, fixed or off")
    check_seeds(seeds)

    def stacked(shape: tuple[int, ...], sources: Sequence[torch.Generator]) -> Tensor:
        return torch.stack([torch.randn(shape, generator=source) for source in sources])

    z = stacked(network.latent_shape(size), [random_generator(seed, "latent") for seed in seeds])
    classes = own_classes(network, seeds, by_class=by_class)
    if noise == "off":
        return Inputs(z, None, classes=classes)
    sources = [random_generator(seed if noise == "random" else 0, "noise") for seed in seeds]
    return Inputs(z, [stacked(shape, sources) for shape in network.noise_shapes(size)], classes=classes)


def own_classes(network: Network, seeds: Sequence[int], *, by_class: bool = False) -> Tensor | None:
    """Return the weights `[n, classes]` of the classes that seeds have where none is named; None where there are none.

    Args:
        by_class: give those of an instant model classes too, which draws from all its pictures else.
    """
    counts = class_counts_of(network) if by_class or isinstance(network, Generator) else ()
    if not counts:
        return None
    return one_hot(torch.tensor([own_class(counts, seed) for seed in seeds]), len(counts))


def class_counts_of(network: Network) -> tuple[int, ...]:
    """Return how many pictures each class of a model has; none of a model without classes."""
    if isinstance(network, Recombiner):
        return tuple(network.config.labels.count(label) for label in range(len(network.config.classes)))
    return network.config.class_counts if isinstance(network, Generator) else ()


def check_seeds(seeds: Sequence[int]) -> None:
    """Refuse seeds that name no picture.

    Raises:
        UsageError: for none at all, or one outside 0 to `MAX_SEED`.
    """
    if not seeds:
        raise UsageError("no seed was given; give at least one, for example 0-15")
    for seed in seeds:
        if not 0 <= seed <= MAX_SEED:
            raise UsageError(f"seed is {seed}; it must be between 0 and {MAX_SEED}")


@contextmanager
def evaluating(network: torch.nn.Module) -> Iterator[None]:
    """Keep a network in evaluation mode, without gradients, within the block; the mode before is restored."""
    training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        network.train(training)


@freed_memory_kept()
def sample_images(
    network: Network,
    seeds: Sequence[int],
    *,
    truncation: float = 1.0,
    noise: NoiseMode = "random",
    batch_size: int = 8,
    progress: Count | None = None,
    sources: list[Tensor] | None = None,
    shares: list[Tensor] | None = None,
    ground: Ground = "checkerboard",
    by_class: bool = False,
) -> Tensor:
    """Draw one picture for each seed.

    Args:
        truncation: below 1 pictures are more typical and less varied, see `truncated`.
        sources, shares, ground: as of `draw_images`.
        by_class: see `own_classes`.

    Returns:
        uint8 `[len(seeds), 3, height, width]` on the CPU. Batches of another size may change the last bit of a
        float, and so now and then a picture's value by one level; nothing else.

    Raises:
        UsageError: for a truncation outside 0 to 2, a seed out of range, or no seed.
    """
    check_truncation(truncation)
    check_seeds(seeds)
    return gathered(
        len(seeds),
        (
            draw_images(
                network,
                truncated(network, draw_inputs(network, part, noise=noise, by_class=by_class), truncation),
                sources=sources,
                shares=shares,
                ground=ground,
            )
            for part in batches(seeds, batch_size, progress)
        ),
    )


def gathered(count: int, parts: Iterable[Tensor]) -> Tensor:
    """Put parts of `count` pictures, at least one, to their places as they come; `torch.cat` holds them all twice."""
    images: Tensor | None = None
    done = 0
    for part in parts:
        images = part.new_empty(count, *part.shape[1:]) if images is None else images
        images[done : done + len(part)] = part
        done += len(part)
    assert images is not None
    return images


def check_truncation(truncation: float) -> None:
    """Refuse a truncation that is none.

    Raises:
        UsageError: outside 0 to 2.
    """
    if not 0 <= truncation <= 2:
        raise UsageError(f"truncation is {truncation}; it must be between 0 and 2 (1 changes nothing)")


def draw_images(
    network: Network,
    inputs: Inputs,
    *,
    finish: bool = True,
    sources: list[Tensor] | None = None,
    shares: list[Tensor] | None = None,
    control: Control | None = None,
    ground: Ground = "checkerboard",
    sixteen: bool = False,
) -> Tensor:
    """Draw one batch of pictures, uint8 on the CPU; finished out of patches, as a model is set, but not in films.

    Args:
        sources: gets the maps of where each pixel came from, one a batch; only what recombines pictures knows.
        shares: gets how much of each picture every training picture gave, likewise.
        control: what serves where, what stays, and where to begin; of a recombiner.
        ground: what a picture with transparency is seen on; "file": as files hold it, grey ones with one channel.
        sixteen: give 16 bits of grey pictures, int16 `[n, 1, height, width]`, see `sase_gan.sixteen_bits`.

    Raises:
        UsageError: for 16 bits of a model that is not grey; sources or a control, of a network that learned.
    """
    finisher = network if finish and isinstance(network, FinishedGenerator) else None
    traced = finisher is not None or isinstance(network, Recombiner)
    if (control is not None and not isinstance(network, Recombiner)) or (
        not traced and (sources is not None or shares is not None)
    ):
        raise UsageError(
            "sources or a control were asked for, which only a model without training has (and sources one whose "
            "pictures are finished); make one with: sase-gan train PATH --preset instant"
        )
    if sixteen and not (isinstance(network, Generator) and network.config.colours == "grey"):
        raise UsageError(
            "16 bits were asked for, which only networks draw that learned a set with --colours grey; leave that out"
        )
    if sixteen and finisher is not None:
        raise UsageError("16 bits were asked for, and the patches that finish these pictures have 8; add --unfinished")
    inputs = inputs.to(device_of(network))
    with evaluating(network):
        if finish and isinstance(network, Pyramid) and network.finished_stages > 0:
            big = draw_finished(network, network.inputs(inputs.z, inputs.noise))
            return shown(to_uint8(big).cpu(), ground)
        more: dict[str, Any] = {} if control is None else {"control": control}
        if inputs.truncation is not None:
            more["truncation"] = inputs.truncation
        if inputs.shift is not None:
            more["shift"] = inputs.shift
        if inputs.classes is not None:
            more["classes"] = inputs.classes
        drawn = network(inputs.z, inputs.noise, **more)
        if finisher is not None:
            drawn = finisher.finish(drawn.big, inputs.noise)
        if sources is not None:
            sources.append(drawn.sources.cpu())
        if shares is not None:
            shares.append(drawn.shares.cpu())
        return to_sixteen(drawn.big).cpu() if sixteen else shown(to_uint8(drawn.big).cpu(), ground)


def device_of(network: torch.nn.Module) -> torch.device:
    """Tell where a network is."""
    return next(chain(network.parameters(), network.buffers())).device


@freed_memory_kept()
def draw_latents(
    network: Network,
    z: Tensor,
    noise: Sequence[Tensor] | None,
    *,
    classes: Tensor | None = None,
    batch_size: int = 8,
    finish: bool = True,
) -> Tensor:
    """Draw latents, all with the noise maps of one picture, as uint8 `[n, 3, height, width]`.

    Args:
        classes: their weights `[1 or n, classes]`, of a model with classes.
    """

    def inputs(places: range) -> Inputs:
        part = z[places.start : places.stop]
        maps = None if noise is None else [one[:1].expand(len(part), -1, -1, -1) for one in noise]
        rows = None if classes is None else classes.expand(len(z), -1)[places.start : places.stop]
        return Inputs(part, maps, classes=rows)

    parts = batches(range(len(z)), batch_size)
    return gathered(len(z), (draw_images(network, inputs(part), finish=finish) for part in parts))


def parse_seeds(text: str) -> list[int]:
    """Read seeds from a list such as `0,1,4-6`.

    Raises:
        UsageError: for anything else, naming the part that is not understood.

    Example:
        >>> parse_seeds("0,1,4-6")
        [0, 1, 4, 5, 6]
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UsageError(f"seeds are {text!r}, and {part.strip()!r} is not understood; write for example 0,1,4-6")
        start, end = int(first), int(last or first)
        if end < start:
            raise UsageError(f"seeds are {text!r}, and {part.strip()!r} runs backwards; write {end}-{start}")
        check_seeds((start, end))  # before a range of any length is written out
        seeds.extend(range(start, end + 1))
    return seeds
