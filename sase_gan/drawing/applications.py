"""What a model of one picture can do with pictures, whichever kind it is: one set of functions for both.

A `Pyramid`, which learned, does it by `drawing.injection`; a `Recombiner` of the free form, which did not, by
`drawing.rearranging`. Start scales mean the same in both: 1 redraws the most, `last_scale` the least.

Pictures are uint8 `[3, height, width]`; those of models of other colours are given and drawn as `sase_gan.colours` has
them inside, and what is given in other colours is brought to the model's. Films are drawn as they are seen.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from sase_gan.drawing import injection, rearranging
from sase_gan.drawing.sampling import NoiseMode
from sase_gan.errors import UsageError
from sase_gan.networks.pyramid import Pyramid
from sase_gan.networks.pyramid_sizes import Size
from sase_gan.progress import Count
from sase_gan.recombination.model import Recombiner

OnePicture = Pyramid | Recombiner
"""A model of one picture. A recombiner must be of the free form; every function here refuses another (UsageError)."""


def last_scale(network: OnePicture) -> int:
    """Return the last start scale, the one that changes least; 0 if the model has a single one."""
    return network.num_stages - 1 if isinstance(network, Pyramid) else rearranging.last_scale(network)


def sample(
    network: OnePicture,
    seeds: Sequence[int],
    *,
    size: Size | None = None,
    start_scale: int = 0,
    noise: NoiseMode = "random",
    batch_size: int = 8,
    progress: Count | None = None,
) -> Tensor:
    """Draw a picture for each seed, uint8 `[num_seeds, 3, *size]`; arguments as of `injection.sample`."""
    if isinstance(network, Pyramid):
        return injection.sample(
            network, seeds, size=size, start_scale=start_scale, noise=noise, batch_size=batch_size, progress=progress
        )
    return rearranging.sample(network, seeds, size=size, start_scale=start_scale, noise=noise, progress=progress)


def inject(
    network: OnePicture,
    image: Tensor,
    start_scale: int = 1,
    mask: Tensor | None = None,
    *,
    seeds: Sequence[int] = (0,),
    size: Size | None = None,
) -> Tensor:
    """Let a picture enter at a start scale, uint8 `[num_seeds, 3, height, width]`; arguments as of `injection.inject`.

    Outside the mask the result is the training picture.
    """
    if isinstance(network, Pyramid):
        return injection.inject(network, image, start_scale, mask, seeds=seeds, size=size).masked
    return rearranging.inject(network, image, start_scale, mask, seeds=seeds, size=size)


def strip(network: OnePicture, image: Tensor | None = None, mask: Tensor | None = None, *, seed: int = 0) -> Tensor:
    """Let a picture enter at every start scale, 1 to the last, uint8 `[last_scale, 3, height, width]`.

    Args:
        image: the training picture if None.

    Raises:
        UsageError: for a model with no start scale.
    """
    if isinstance(network, Pyramid):
        return injection.inject_strip(
            network, network.picture.cpu() if image is None else image, mask, seed=seed
        ).masked
    return rearranging.strip(network, image, mask, seed=seed)


def harmonise(
    network: OnePicture, composite: Tensor, mask: Tensor, start_scale: int | None = None, *, seeds: Sequence[int] = (0,)
) -> Tensor:
    """Give a pasted object the look of the training picture; arguments as of `injection.harmonise`."""
    own = injection if isinstance(network, Pyramid) else rearranging
    return own.harmonise(network, composite, mask, start_scale, seeds=seeds)


def edit(
    network: OnePicture, edited: Tensor, mask: Tensor, start_scale: int | None = None, *, seeds: Sequence[int] = (0,)
) -> Tensor:
    """Make a rough edit of the training picture seamless; arguments as of `injection.edit`."""
    own = injection if isinstance(network, Pyramid) else rearranging
    return own.edit(network, edited, mask, start_scale, seeds=seeds)


def paint_to_image(
    network: OnePicture,
    painting: Tensor,
    start_scale: int | None = None,
    *,
    seeds: Sequence[int] = (0,),
    size: Size | None = None,
    colours: int | None = None,
) -> Tensor:
    """Turn a flat painting into a picture of the training picture's texture; arguments as of `injection`'s.

    Args:
        start_scale: if None, 1 for a pyramid and 2 for a recombiner.
    """
    if isinstance(network, Pyramid):
        first = 1 if start_scale is None else start_scale
        return injection.paint_to_image(network, painting, first, seeds=seeds, size=size, colours=colours)
    return rearranging.paint_to_image(network, painting, start_scale, seeds=seeds, size=size, colours=colours)


def animate(
    network: OnePicture,
    frames: int = 100,
    *,
    seed: int = 0,
    start_scale: int = 0,
    alpha: float = 0.1,
    beta: float = 0.9,
    progress: Count | None = None,
) -> Tensor:
    """Draw a short film around the training picture, uint8 `[frames, 3, height, width]`; as `injection.animate`."""
    own = injection if isinstance(network, Pyramid) else rearranging
    return own.animate(network, frames, seed=seed, start_scale=start_scale, alpha=alpha, beta=beta, progress=progress)


def tile(network: OnePicture, seeds: Sequence[int], *, size: Size | None = None) -> Tensor:
    """Draw textures that continue seamlessly when laid side by side, uint8 `[num_seeds, 3, *size]`."""
    own = injection if isinstance(network, Pyramid) else rearranging
    return own.tile(network, seeds, size=size)


def retarget(network: OnePicture, size: Size, *, seeds: Sequence[int] = (0,)) -> Tensor:
    """Bring the training picture to another size, its objects kept at their scale, uint8 `[num_seeds, 3, *size]`.

    Raises:
        UsageError: for a pyramid, and a size that is too small.
    """
    return rearranging.retarget(_untrained(network, "retargeting"), size, seeds=seeds)


def symmetric(network: OnePicture, seeds: Sequence[int], *, size: Size | None = None) -> Tensor:
    """Draw pictures that are their own mirror images, uint8 `[num_seeds, 3, *size]`.

    Raises:
        UsageError: for a pyramid.
    """
    return rearranging.symmetric(_untrained(network, "a symmetric picture"), seeds, size=size)


def analogy(
    network: OnePicture,
    layout: Tensor,
    *,
    seeds: Sequence[int] = (0,),
    start_scale: int | None = None,
    size: Size | None = None,
) -> Tensor:
    """Draw the layout of another picture out of the training picture's patches, uint8 `[num_seeds, 3, *size]`.

    Args:
        layout: uint8 `[3, height, width]`.
        start_scale: finer keeps more of the layout's details; 2 if None.
        size: of the result; if None, the proportions are the layout's, and the longer side is the model's.

    Raises:
        UsageError: for a pyramid, or a start scale out of range.
    """
    network = _untrained(network, "a structural analogy")
    return rearranging.analogy(network, layout, seeds=seeds, start_scale=start_scale, size=size)


def _untrained(network: OnePicture, what: str) -> Recombiner:
    if not isinstance(network, Recombiner):
        raise UsageError(
            f"{what} takes a model without training, and this one was trained; make one with: sase-gan train PICTURE "
            "--preset instant"
        )
    return network
