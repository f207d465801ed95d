"""The plan of a low-shot network: which block and which skip gate stand at which size.

One table serves every image size; generator and discriminator read their parts of it. FastGAN: Liu et al. 2021,
arXiv 2101.04775; placement of the SASE gates: arXiv 2112.14804. Sizes below 256 px continue the tables by rule.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator

IMAGE_SIZES = (32, 64, 128, 256, 512, 1024)

GENERATOR_CHANNELS = {4: 1024, 8: 512, 16: 256, 32: 128, 64: 128, 128: 64, 256: 32, 512: 16, 1024: 8}
"""Channels of the generator's map at each size, for width 64."""

DISCRIMINATOR_CHANNELS = {256: 16, 128: 32, 64: 64, 32: 128, 16: 256, 8: 512}
"""Channels of the discriminator's main branch at each size, for width 64."""

SMALL_BRANCH_CHANNELS = {64: 32, 32: 64, 16: 128, 8: 256}
"""Channels of the discriminator's branch for the small picture at each size, for width 64."""

DISCRIMINATOR_GATES = ((256, 32), (128, 16), (64, 8))
"""(source size, target size) of the discriminator's skip-layer excitations."""

TWO_CONVOLUTION_SIZES = (8, 32, 128, 512)
"""Sizes that the generator reaches with the block of two convolutions and noise; it reaches the others with one."""

FINEST_GATE = 512


def check_image_size(image_size: int) -> int:
    """Return `image_size`, for which a network is built.

    Raises:
        ValueError: for another size; the message lists those that are offered.
    """
    if image_size not in IMAGE_SIZES:
        raise ValueError(f"image_size is {image_size}; choose one of {', '.join(map(str, IMAGE_SIZES))}")
    return image_size


ImageSize = Annotated[int, AfterValidator(check_image_size)]

SQUARE = (4, 4)
"""Height and width of the first map of a network that draws squares."""
LARGEST_RATIO = 4
"""Of the longer to the shorter side of a picture."""


def check_first_map(first_map: tuple[int, int] | None) -> tuple[int, int] | None:
    """Return height and width of the map that a network's pictures grow from; None, as every square has it, for 4x4.

    Raises:
        ValueError: for a shape that `size_of_network` never gives.
    """
    if first_map is None or tuple(first_map) == SQUARE:
        return None
    shorter, longer = sorted(first_map)
    if not 4 <= shorter <= 7 or longer > LARGEST_RATIO * shorter:
        raise ValueError(
            f"first_map is {list(first_map)}; its shorter side must be 4 to 7, and its longer one at most "
            f"{LARGEST_RATIO} times as long"
        )
    return first_map


FirstMap = Annotated[tuple[int, int] | None, AfterValidator(check_first_map)]


def map_size(size: int, first_map: tuple[int, int] | None) -> tuple[int, int]:
    """Return height and width of the map, or picture, that is `size` x `size` in a network of squares."""
    height, width = first_map or SQUARE
    return height * size // 4, width * size // 4


def size_of_network(height: int, width: int) -> tuple[int, tuple[int, int] | None]:
    """Find the image size and the first map of a network that draws pictures of this height and width.

    The image size is the side of the square whose blocks such a network has, the largest one that fits in. Both sides
    must be multiples of a quarter of it, which is what a pixel of the first map becomes.

    Raises:
        ValueError: for a picture that is too small, too large or too long, or no whole number of first maps; with the
            nearest sizes that are.

    Example:
        >>> size_of_network(96, 64), size_of_network(64, 64)
        ((64, (6, 4)), (64, None))
    """
    shorter, longer = min(height, width), max(height, width)
    size = max((size for size in IMAGE_SIZES if size <= shorter), default=0)
    if size == 0 or shorter >= 2 * IMAGE_SIZES[-1]:
        raise ValueError(
            f"the size is {width}x{height}; the shorter side must be {IMAGE_SIZES[0]} to {2 * IMAGE_SIZES[-1] - 1} px"
        )
    if longer > LARGEST_RATIO * shorter:
        raise ValueError(f"the size is {width}x{height}; the longer side may be {LARGEST_RATIO} times the shorter one")
    unit = size // 4
    if height % unit or width % unit:
        near = [max(round(side / unit), 4) * unit for side in (width, height)]
        raise ValueError(
            f"the size is {width}x{height}; both sides must be multiples of {unit} px, as in {near[0]}x{near[1]}"
        )
    return size, check_first_map((height // unit, width // unit))


def scaled(channels: int, width: int) -> int:
    """Convert `channels` of the tables (for width 64) to another width, at least 1."""
    return max(1, channels * width // 64)


def small_image_size(image_size: int) -> int:
    """Return the side of the second, smaller picture of both networks: half, at most 128."""
    return min(128, image_size // 2)


def small_branch_sides(small_size: int) -> tuple[int, ...]:
    """List the sides of the maps of the discriminator's branch for the small picture, from the picture on."""
    return tuple(side for side in SMALL_BRANCH_CHANNELS if side < small_size)


def discriminator_sides(image_size: int) -> tuple[int, ...]:
    """List the sides of the maps of the discriminator's main branch, from the picture on: the stem's, then blocks'."""
    return tuple(side for side in DISCRIMINATOR_CHANNELS if side <= image_size)


@dataclass(frozen=True)
class Gate:
    """A skip gate of the generator lets a map of `source` size scale the map of `target` size."""

    source: int
    target: int
    kind: Literal["sase", "sle"]
    dilation: int
    noise: bool


def generator_gates(image_size: int, skip: Literal["sase", "sle"]) -> tuple[Gate, ...]:
    """List the generator's skip gates, coarse to fine.

    Sources are the sizes 4 to 32 and targets `f` times as large, f = min(16, image_size / 8), up to 512: with 16
    throughout no SASE gate would remain at 64 px. The gate from 4x4 is a skip-layer excitation in either case, as
    released. The dilation is 4 for the 32x32 source, else 2; masks take noise from 512 px on.
    """
    factor, noise = min(16, check_image_size(image_size) // 8), image_size >= 512
    gates = (
        Gate(4, 4 * factor, "sle", 2, noise),
        Gate(8, 8 * factor, skip, 2, noise),
        Gate(16, 16 * factor, skip, 2, noise),
        Gate(32, 32 * factor, skip, 4, noise),
    )
    return tuple(gate for gate in gates if gate.target <= min(image_size, FINEST_GATE))


def chosen_gates(image_size: int, skip: Literal["sase", "sle"], pairs: tuple[tuple[int, int], ...]) -> tuple[Gate, ...]:
    """List gates at chosen places, coarse to fine by target, with dilation and noise by the rule of `generator_gates`.

    Args:
        pairs: of source and target.

    Raises:
        ValueError: for a pair of sizes between which no gate of this network can stand, or a target twice.
    """
    sizes = (4, *generator_sizes(image_size))
    for source, target in pairs:
        if source not in sizes or target not in sizes or source >= target:
            raise ValueError(f"gates has {source} to {target}; both must be of {sizes}, the first one the smaller")
    if len({target for _, target in pairs}) < len(pairs):
        raise ValueError(f"gates are {list(pairs)}; each target may have one gate")
    ordered = sorted(pairs, key=lambda pair: pair[1])
    return tuple(
        Gate(source, target, skip, 4 if source == 32 else 2, image_size >= 512 and skip == "sase")
        for source, target in ordered
    )


def generator_sizes(image_size: int) -> tuple[int, ...]:
    """List the map sizes of the generator's blocks after the first 4x4 map."""
    return tuple(size for size in GENERATOR_CHANNELS if 4 < size <= check_image_size(image_size))
