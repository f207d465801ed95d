"""What a model of one picture without training can do with pictures: as `drawing.injection`, but out of patches.

A picture enters at a level of the recombiner, its patches there are replaced by the nearest of the training picture's,
and the finer levels draw what they lead to. Three applications are of this kind of model alone: another size with
objects at their scale, symmetric pictures, and the layout of one picture out of another's patches. They follow Granot
and others, "Drop the GAN: In defense of patches nearest neighbors as single image generative models", arXiv 2103.15545;
deviations: patches are chosen by `recombination.free_steps`, and symmetry is not in that paper.

Pictures are taken in any colours and brought to the model's (`colours.brought`), in which results are given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from sase_gan.colours import brought, shown
from sase_gan.drawing.injection import EDIT_RADIUS, HARMONISE_RADIUS, check_proportions, check_walk, walk_around
from sase_gan.drawing.masks import blend, main_colours, nearest_colours, soft_mask
from sase_gan.drawing.sampling import NoiseMode, device_of, draw_inputs, evaluating
from sase_gan.errors import UsageError
from sase_gan.networks.pyramid_sizes import Size
from sase_gan.pixels import to_float, to_uint8
from sase_gan.progress import Count, batches
from sase_gan.recombination.control import Control
from sase_gan.recombination.free import FreeRecombiner
from sase_gan.recombination.free_drawing import USUAL, Course
from sase_gan.recombination.free_planes import Plane
from sase_gan.recombination.free_polish import PatchPolish
from sase_gan.recombination.model import Recombiner
from sase_gan.resizing import at_size
from sase_gan.seeds import generator as random_generator

OWN_STRENGTH, STRENGTH, PAINT_STRENGTH, FILM_STRENGTH = 0.6, 0.3, 0.6, 0.5
"""How much noise the training picture, another picture, a flat painting, and a film's frames get where they enter."""
_STRANGE = Course(drift=math.inf, even=False, polish=False)
"""Of pictures of another composition: patches come from anywhere, and as often as they fit."""
_GROWING, _SHRINKING = (1.06, 1.5), (1.15, 0.5)
"""Of retargeting: the largest step of a side, and the noise at each step."""
_RECOLOURINGS = 20
_FADE = (0.25, 0.5, 0.25)


def engine_of(network: Recombiner) -> FreeRecombiner:
    """Return what draws.

    Raises:
        UsageError: for a model of the aligned form.
    """
    engine = network.engine
    if not isinstance(engine, FreeRecombiner):
        raise UsageError(
            "this model recombines aligned pictures, and pictures can be injected into models of one picture only; "
            "vary a photograph with: sase-gan recombine MODEL --from PHOTO"
        )
    return engine


def last_scale(network: Recombiner) -> int:
    """Return the last start scale, 0 if there is none."""
    return len(engine_of(network).sizes) - 1


def sample(
    network: Recombiner,
    seeds: Sequence[int],
    *,
    size: Size | None = None,
    start_scale: int = 0,
    noise: NoiseMode = "random",
    progress: Count | None = None,
) -> Tensor:
    """Draw a picture for each seed, at any size, uint8 `[num_seeds, 3, *size]`.

    Args:
        start_scale: from 1 on the training picture enters there, so its layout is kept; 0 redraws everything.

    Raises:
        UsageError: for a start scale that the model does not have.
    """
    if start_scale == 0:
        return _draw(network, seeds, USUAL, size=size, noise=noise, progress=progress)
    course = Course(scale=_checked(network, start_scale))
    own = at_size(own_picture(network), size or network.size)
    return _draw(network, seeds, course, own, OWN_STRENGTH, size=size, noise=noise, progress=progress)


def inject(
    network: Recombiner,
    image: Tensor,
    start_scale: int = 1,
    mask: Tensor | None = None,
    *,
    seeds: Sequence[int] = (0,),
    size: Size | None = None,
    dilate: float = 0.0,
    strength: float = STRENGTH,
) -> Tensor:
    """Let a picture enter at a start scale, uint8 `[num_seeds, 3, height, width]`; arguments as of `injection.inject`.

    With a mask, what is drawn inside is drawn to fit the training picture around it.

    Args:
        strength: 0 to 1, how much noise it gets.

    Raises:
        UsageError: for a start scale out of range, or other proportions without a `size`.
    """
    course = replace(_STRANGE, scale=_checked(network, start_scale))
    check_proportions(image, network.size, size)
    target = size or network.size
    entering = at_size(network.matched(image), target)
    if mask is None:
        return _draw(network, seeds, course, entering, strength, size=size)
    weights = soft_mask(mask, target, dilate=dilate)
    base = at_size(own_picture(network, entering), target)
    control = Control(keep=(weights[0] <= 0).float(), picture=to_float(base))
    drawn = _draw(network, seeds, course, entering, strength, size=size, control=control)
    return blend(brought(base, network.config.colours), drawn, weights)


def strip(network: Recombiner, image: Tensor | None = None, mask: Tensor | None = None, *, seed: int = 0) -> Tensor:
    """Let a picture enter at every start scale, uint8 `[last_scale, 3, height, width]`; None: the training picture.

    Raises:
        UsageError: for a model with no start scale.
    """
    scales = range(1, _checked(network, last_scale(network)) + 1)
    if image is None and mask is None:
        return torch.cat([sample(network, (seed,), start_scale=scale) for scale in scales])
    entering = own_picture(network) if image is None else image
    return torch.cat([inject(network, entering, scale, mask, seeds=(seed,)) for scale in scales])


def harmonise(
    network: Recombiner, composite: Tensor, mask: Tensor, start_scale: int | None = None, *, seeds: Sequence[int] = (0,)
) -> Tensor:
    """Give a pasted object the texture and colours of the training picture; arguments as of `injection.harmonise`.

    It is drawn anew out of the training picture's patches, so colours that this does not have are lost.
    """
    scale = last_scale(network) if start_scale is None else start_scale
    return inject(network, composite, scale, mask, seeds=seeds, dilate=HARMONISE_RADIUS)


def edit(
    network: Recombiner, edited: Tensor, mask: Tensor, start_scale: int | None = None, *, seeds: Sequence[int] = (0,)
) -> Tensor:
    """Make a rough edit of the training picture seamless: as `harmonise`, earlier, with a wider rim that may change."""
    scale = max(1, round(0.5 * last_scale(network))) if start_scale is None else start_scale
    return inject(network, edited, scale, mask, seeds=seeds, dilate=EDIT_RADIUS)


def paint_to_image(
    network: Recombiner,
    painting: Tensor,
    start_scale: int | None = None,
    *,
    seeds: Sequence[int] = (0,),
    size: Size | None = None,
    colours: int | None = None,
) -> Tensor:
    """Turn a flat painting into a picture of the training picture's texture; as `injection.paint_to_image`.

    Args:
        start_scale: the second by default: at the first, shapes of a fifth of the picture are lost.
    """
    if colours is not None:
        painting = nearest_colours(network.matched(painting), main_colours(own_picture(network), colours))
    scale = _second(network) if start_scale is None else start_scale
    return inject(network, painting, scale, seeds=seeds, size=size, strength=PAINT_STRENGTH)


def animate(
    network: Recombiner,
    frames: int = 100,
    *,
    seed: int = 0,
    start_scale: int = 0,
    alpha: float = 0.1,
    beta: float = 0.9,
    progress: Count | None = None,
) -> Tensor:
    """Draw a short film: the noise walks around none at all, which is the training picture; as it is seen.

    The walk is that of `injection.animate`. Frames are averaged with their neighbours, so that a part that changes its
    source fades over three frames where it would jump.

    Args:
        start_scale: levels before it stand still; 0, as 1, moves most.

    Raises:
        UsageError: for a number out of its range.
    """
    check_walk(frames, alpha, beta)
    engine, device = engine_of(network), device_of(network)
    scale = _checked(network, max(1, min(start_scale, last_scale(network))))
    course = Course(scale=scale, even=False, polish=False)
    targets = [torch.zeros(1, *shape) for shape in (engine.latent_shape(), *engine.noise_shapes())]
    walk = walk_around(targets, random_generator(seed, "animation"), alpha, beta)
    start = to_float(own_picture(network))[None].to(device)
    drawn = []
    with evaluating(network):
        for _ in batches(range(frames + len(_FADE) - 1), 1, progress):
            z, *noise = (part.to(device) for part in next(walk))
            drawn.append(engine.draw(z, noise, start=start, strength=FILM_STRENGTH, course=course).pictures.cpu())
    film = torch.cat(drawn)
    neighbours = [share * film[first : first + frames] for first, share in enumerate(_FADE)]
    return shown(to_uint8(network.own_channels(torch.stack(neighbours).sum(0))), "checkerboard")


def tile(network: Recombiner, seeds: Sequence[int], *, size: Size | None = None) -> Tensor:
    """Draw textures that continue seamlessly when laid side by side: patches lie across every border.

    They may move further than usual, or what lies above would meet what lies below at the border alone.
    """
    return _draw(network, seeds, Course(plane=Plane("round"), drift=2.0), size=size)


def symmetric(network: Recombiner, seeds: Sequence[int], *, size: Size | None = None) -> Tensor:
    """Draw pictures that are their own mirror images, uint8 `[num_seeds, 3, *size]`.

    The right half is made the left one's image after every step, so the patches across the middle are such as look
    symmetric.
    """
    return _draw(network, seeds, Course(plane=Plane("mirrored")), size=size)


def retarget(network: Recombiner, size: Size, *, seeds: Sequence[int] = (0,)) -> Tensor:
    """Bring the training picture to another size, its objects kept at their scale, uint8 `[num_seeds, 3, *size]`.

    The coarsest picture is resized gradually, and after each step put together anew out of whole patches; growing in
    smaller steps and more freely, or objects would be stretched with what is around them.
    """
    engine = engine_of(network)
    first, last = engine.sizes[0], engine.latent_shape(size)[1:]
    growth, noise = _GROWING if math.prod(last) > math.prod(first) else _SHRINKING
    farthest = max(abs(math.log(there / here)) for here, there in zip(first, last, strict=True))
    steps = math.ceil(farthest / math.log(growth))
    course = Course(
        drift=2.0,
        way=tuple(
            (_between(first[0], last[0], step / steps), _between(first[1], last[1], step / steps))
            for step in range(1, steps + 1)
        ),
        way_noise=noise,
    )
    return _draw(network, seeds, course, own_picture(network), STRENGTH, size=size)


def analogy(
    network: Recombiner,
    layout: Tensor,
    *,
    seeds: Sequence[int] = (0,),
    start_scale: int | None = None,
    size: Size | None = None,
) -> Tensor:
    """Draw the layout of another picture out of the training picture's patches, uint8 `[num_seeds, 3, *size]`.

    The layout's colours are first brought to the training picture's distribution, so that its darkest parts become what
    is darkest here.

    Args:
        layout: uint8 `[3, height, width]`.
        start_scale: finer keeps more of its details; the second by default.
        size: of the result; if None, the proportions are the layout's, and the longer side is the model's.
    """
    scale = _second(network) if start_scale is None else start_scale
    course = replace(_STRANGE, scale=_checked(network, scale), even=True)
    if size is None:
        share = max(network.size) / max(layout.shape[1:])
        size = round(layout.shape[1] * share), round(layout.shape[2] * share)
    own = to_float(own_picture(network))[None]
    # Flat parts of a layout are many equal values: only sorting spreads them over the colours of the picture.
    polish = PatchPolish(own, patch=1, kernels=own.shape[1], steps=_RECOLOURINGS, rate=1.0, exact=size[0] * size[1])
    recoloured = polish(to_float(at_size(network.matched(layout), size))[None])
    return _draw(network, seeds, course, to_uint8(recoloured)[0], STRENGTH, size=size)


def own_picture(network: Recombiner, like: Tensor | None = None) -> Tensor:
    """Return the training picture as it is matched, uint8 on the CPU; of several the one nearest to another."""
    pictures = network.matched(network.pictures.cpu())
    if like is None or len(pictures) == 1:
        return pictures[0]
    apart = pictures.float() - at_size(like, network.size).float()
    return pictures[apart.square().flatten(1).mean(1).argmin()]


def _second(network: Recombiner) -> int:
    return min(2, max(1, last_scale(network)))


def _between(first: int, last: int, share: float) -> int:
    return round(first * (last / first) ** share)


def _draw(
    network: Recombiner,
    seeds: Sequence[int],
    course: Course,
    start: Tensor | None = None,
    strength: float = 1.0,
    *,
    size: Size | None = None,
    noise: NoiseMode = "random",
    control: Control | None = None,
    progress: Count | None = None,
) -> Tensor:
    """Draw pictures, uint8 on the CPU, from `start` uint8, which is as `Recombiner.matched` gives pictures."""
    engine, parts = engine_of(network), []
    for part in batches(seeds, 1, progress):
        inputs = draw_inputs(network, part, noise=noise, size=size).to(device_of(network))
        given = None if start is None else to_float(start)[None].to(inputs.z.device)
        with evaluating(network):
            drawn = engine.draw(
                inputs.z, inputs.noise, size=size, start=given, strength=strength, course=course, control=control
            )
        parts.append(to_uint8(network.own_channels(drawn.pictures)).cpu())
    if not parts:
        raise UsageError("no seed was given; give at least one, for example 0-15")
    return torch.cat(parts)


def _checked(network: Recombiner, scale: int) -> int:
    last = last_scale(network)
    if last == 0:
        raise UsageError("this model has a single level; a picture can enter only larger ones: train at a larger size")
    if not 1 <= scale <= last:
        raise UsageError(f"start scale is {scale}; this model of {last + 1} levels takes 1 to {last}")
    return scale
