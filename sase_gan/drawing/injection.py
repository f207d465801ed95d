"""What a one-shot pyramid can do with pictures: other sizes, harmonising, editing, painting, animation, tiles.

All of it is one operation, `inject`: a picture enters the pyramid at a stage and is drawn anew from there. A coarse
start redraws the layout, a fine one only the texture. Applications and their constants: SinGAN, arXiv 1905.01164.

Pictures are taken in any colours and brought to the pyramid's (`colours.brought`), in which results are given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from sase_gan.colours import CHANNELS, brought, shown
from sase_gan.drawing.finishing import draw_finished
from sase_gan.drawing.masks import blend, main_colours, nearest_colours, soft_mask
from sase_gan.drawing.sampling import NoiseMode, draw_inputs, evaluating
from sase_gan.errors import UsageError
from sase_gan.networks.pyramid import Pyramid
from sase_gan.networks.pyramid_sizes import Size
from sase_gan.pixels import to_float, to_uint8
from sase_gan.progress import Count, batches
from sase_gan.resizing import Padding, at_size, resize
from sase_gan.seeds import generator as random_generator

HARMONISE_RADIUS, EDIT_RADIUS = 7.0, 20.0
"""How far around a mask may change, in the pixels of `masks.REFERENCE_SIDE`."""
Styles = Literal["live", "train"]


class Injection(NamedTuple):
    """An injection is what came of a picture that entered the pyramid, uint8 `[num_seeds, 3, height, width]`."""

    unmasked: Tensor
    """As it was drawn."""
    masked: Tensor
    """The training picture outside the mask; `unmasked` itself if there was none."""


def sample(
    pyramid: Pyramid,
    seeds: Sequence[int],
    *,
    size: Size | None = None,
    start_scale: int = 0,
    noise: NoiseMode = "random",
    padding: Padding | None = None,
    styles: Styles = "live",
    batch_size: int = 8,
    progress: Count | None = None,
) -> Tensor:
    """Draw a picture for each seed, uint8 `[num_seeds, 3, *size]`, as `sampling.sample_images` does, but at any size.

    Args:
        start_scale: stages before it draw the training picture, so its layout is kept; 0 redraws everything.
        padding: other than the trained one; "circular" makes tiles.
        styles: "train" keeps the gates' style vectors of the training picture, whatever the new picture's proportions.

    Raises:
        UsageError: for a start scale that the pyramid does not have.
    """
    _check_scale(pyramid, start_scale, least=0)
    how: dict[str, Any] = {"noise": noise, "padding": padding, "batch_size": batch_size, "progress": progress}
    with evaluating(pyramid):
        carried = pyramid.reconstruct(start_scale).stages[-1] if start_scale > 0 else None
        return _draw(pyramid, seeds, carried, start_scale, size=size, styles=styles, **how)


def inject(
    pyramid: Pyramid,
    image: Tensor,
    start_scale: int,
    mask: Tensor | None = None,
    *,
    seeds: Sequence[int] = (0,),
    size: Size | None = None,
    dilate: float = 0.0,
    noise: NoiseMode = "random",
    finish: bool = True,
) -> Injection:
    """Let a picture enter before stage `start_scale` and draw the rest of the way.

    Args:
        image: uint8 `[3, height, width]`; brought to `size`.
        start_scale: 1 to the last stage; it is reduced to the size of the stage before.
        mask: what is to change, nonzero inside: `[height, width]` or a picture `[channels, height, width]`. Outside it
            the result is the training picture.
        size: height and width of the result; the training size if None, and then the proportions must agree.
        dilate: radius of a disk that the mask is enlarged by, in pixels at a longer side of 250.
        finish: whether the result is finished with patches of the training picture, as the model is set; what has no
            like in it is lost then.

    Raises:
        UsageError: for a start scale out of range, or other proportions without a `size`.

    Example:
        >>> from sase_gan.networks.pyramid import PyramidConfig
        >>> pyramid = Pyramid(PyramidConfig(sizes=((12, 16), (18, 24)), width=8))
        >>> inject(pyramid, pyramid.picture, 1).unmasked.shape
        torch.Size([1, 3, 18, 24])
    """
    _check_scale(pyramid, start_scale, least=1)
    check_proportions(image, pyramid.size, size)
    sizes = pyramid.stage_sizes(size)
    with evaluating(pyramid):
        entering = brought(image, pyramid.config.colours)
        whole = resize(to_float(entering)[None].to(pyramid.amplitudes.device), sizes[-1])
        carried = resize(whole, sizes[start_scale - 1]).clamp(-1, 1)
        drawn = _draw(pyramid, seeds, carried, start_scale, size=size, noise=noise, finish=finish)
    if mask is None:
        return Injection(drawn, drawn)
    base = at_size(pyramid.picture.cpu(), sizes[-1])
    return Injection(drawn, blend(base, drawn, soft_mask(mask, sizes[-1], dilate=dilate)))


def inject_strip(pyramid: Pyramid, image: Tensor, mask: Tensor | None = None, *, seed: int = 0) -> Injection:
    """Let a picture enter at every stage from the second on, coarse to fine: how much each start scale changes.

    Raises:
        UsageError: for a pyramid of a single stage.
    """
    parts = [inject(pyramid, image, scale, mask, seeds=(seed,)) for scale in range(1, pyramid.num_stages)]
    if not parts:
        raise UsageError("this model has a single stage; a picture can enter only models of two stages or more")
    return Injection(torch.cat([p.unmasked for p in parts]), torch.cat([p.masked for p in parts]))


def harmonise(
    pyramid: Pyramid, composite: Tensor, mask: Tensor, start_scale: int | None = None, *, seeds: Sequence[int] = (0,)
) -> Tensor:
    """Give a pasted object the texture and colours of the training picture.

    Not finished with its patches: an object of other colours would vanish.

    Args:
        composite: the training picture with the object pasted, uint8 `[3, height, width]`.
        start_scale: finer keeps more of the object; by default the last, from which a pasted ball came out round and in
            the cup's colours, where one stage earlier nobody would have known it.
    """
    scale = _scale_at(pyramid, 1.0) if start_scale is None else start_scale
    return inject(pyramid, composite, scale, mask, seeds=seeds, dilate=HARMONISE_RADIUS, finish=False).masked


def edit(
    pyramid: Pyramid, edited: Tensor, mask: Tensor, start_scale: int | None = None, *, seeds: Sequence[int] = (0,)
) -> Tensor:
    """Make a rough edit of the training picture seamless: as `harmonise`, with a wider rim that may change."""
    scale = _scale_at(pyramid, 0.7) if start_scale is None else start_scale
    return inject(pyramid, edited, scale, mask, seeds=seeds, dilate=EDIT_RADIUS).masked


def paint_to_image(
    pyramid: Pyramid,
    painting: Tensor,
    start_scale: int = 1,
    *,
    seeds: Sequence[int] = (0,),
    size: Size | None = None,
    colours: int | None = None,
) -> Tensor:
    """Turn a flat painting into a picture of the training picture's texture; start scales 1 and 2 serve most.

    With `colours`, every pixel first gets the nearest of so many main colours of the training picture, so that a
    painting in other colours is understood.
    """
    if colours is not None:
        own = pyramid.picture.cpu()
        painting = nearest_colours(brought(painting, pyramid.config.colours), main_colours(own, colours))
    return inject(pyramid, painting, start_scale, seeds=seeds, size=size).unmasked


def animate(
    pyramid: Pyramid,
    frames: int = 100,
    *,
    seed: int = 0,
    start_scale: int = 0,
    alpha: float = 0.1,
    beta: float = 0.9,
    batch_size: int = 8,
    progress: Count | None = None,
) -> Tensor:
    """Draw a short film, as it is seen: the noise of the stages from `start_scale` on walks around the picture's.

    Its frames are the stages' own pictures: finished one by one, their patches would jump from frame to frame.

    With z* the inputs of the reconstruction (zero but at the coarsest stage) and e fresh noise,

        z_(t+1) = alpha z* + (1 - alpha) (z_t + beta (z_t - z_(t-1)) + (1 - beta) e)

    Args:
        start_scale: stages before it stand still. SinGAN starts at 2; at the noise of short trainings only stage 0
            moves visibly (3.6 grey levels a frame against 0.1 from stage 1 on, on the bundled cup).
        alpha: pull towards the training picture, 0 to 1.
        beta: smoothness of the motion, 0 to 1.

    Raises:
        UsageError: for a number out of its range.
    """
    check_walk(frames, alpha, beta)
    start_scale = min(start_scale, pyramid.num_stages - 1)
    _check_scale(pyramid, start_scale, least=0)
    # The reconstruction has no noise but at the coarsest stage.
    targets = [pyramid.fixed0.cpu(), *(torch.zeros(1, *shape) for shape in pyramid.noise_shapes())]
    walk = walk_around(targets, random_generator(seed, "animation"), alpha, beta)
    parts = []
    with evaluating(pyramid):
        carried = pyramid.reconstruct(start_scale).stages[-1] if start_scale > 0 else None
        for part in batches(range(frames), batch_size, progress):
            steps = list(islice(walk, len(part)))
            noise = [torch.cat(maps).to(pyramid.amplitudes.device) for maps in zip(*steps, strict=True)]
            entering = None if carried is None else carried.expand(len(steps), -1, -1, -1)
            drawn = to_uint8(pyramid.climb(noise, start=start_scale, carried=entering).big).cpu()
            parts.append(shown(drawn, "checkerboard"))
    return torch.cat(parts)


def check_walk(frames: int, alpha: float, beta: float) -> None:
    """Refuse numbers that make no film.

    Raises:
        UsageError: fewer than one frame, or alpha or beta outside 0 to 1.
    """
    if frames < 1:
        raise UsageError(f"frames is {frames}; it must be at least 1")
    if not (0 <= alpha <= 1 and 0 <= beta <= 1):
        raise UsageError(f"alpha is {alpha} and beta {beta}; both must be between 0 and 1")


def walk_around(targets: list[Tensor], source: torch.Generator, alpha: float, beta: float) -> Iterator[list[Tensor]]:
    """Walk by the formula of `animate`, without end: the inputs of one frame after the other."""
    before = targets
    now = [0.95 * target + 0.05 * torch.randn(target.shape, generator=source) for target in targets]
    while True:
        yield now
        walked = [z + beta * (z - old) for z, old in zip(now, before, strict=True)]
        fresh = [torch.randn(z.shape, generator=source) for z in now]
        before = now
        now = [
            alpha * target + (1 - alpha) * (z + (1 - beta) * e)
            for target, z, e in zip(targets, walked, fresh, strict=True)
        ]


def tile(pyramid: Pyramid, seeds: Sequence[int], *, size: Size | None = None) -> Tensor:
    """Draw textures that continue seamlessly when laid side by side: every padding and resizing wraps around."""
    return sample(pyramid, seeds, size=size, padding="circular")


def _draw(
    pyramid: Pyramid,
    seeds: Sequence[int],
    carried: Tensor | None,
    start: int,
    *,
    size: Size | None,
    noise: NoiseMode,
    padding: Padding | None = None,
    styles: Styles = "live",
    finish: bool = True,
    batch_size: int = 8,
    progress: Count | None = None,
) -> Tensor:
    """Draw batches of pictures, uint8 on the CPU, from `carried` `[1, ...]` before stage `start`."""
    if styles not in ("live", "train"):
        raise UsageError(f"styles is {styles!r}; choose live or train")
    given = pyramid.training_styles() if styles == "train" else None
    how: dict[str, Any] = {"start": start, "sizes": pyramid.stage_sizes(size), "padding": padding, "styles": given}
    parts = []
    for part in batches(seeds, batch_size, progress):
        inputs = draw_inputs(pyramid, part, noise=noise, size=size).to(pyramid.amplitudes.device)
        maps = pyramid.inputs(inputs.z, inputs.noise)
        if finish and pyramid.finished_stages > 0:
            drawn = draw_finished(pyramid, maps, carried=carried, **how)
        else:
            each = None if carried is None else carried.expand(len(inputs.z), -1, -1, -1)
            drawn = pyramid.climb(maps, carried=each, **how).big
        parts.append(to_uint8(drawn).cpu())
    if not parts:
        raise UsageError("no seed was given; give at least one, for example 0-15")
    return torch.cat(parts)


def _check_scale(pyramid: Pyramid, scale: int, *, least: int) -> None:
    last = pyramid.num_stages - 1
    if not least <= scale <= last:
        raise UsageError(f"start scale is {scale}; this model of {last + 1} stages takes {least} to {last}")


def _scale_at(pyramid: Pyramid, share: float) -> int:
    return max(1, round(share * (pyramid.num_stages - 1)))


def check_proportions(image: Tensor, own: Size, size: Size | None) -> None:
    """Refuse a picture that does not fit a model of height and width `own`; where a size is given, any fits.

    Raises:
        UsageError: for other proportions without a size, or what is no picture uint8 `[1, 3 or 4, height, width]`.
    """
    if image.dtype != torch.uint8 or image.ndim != 3 or image.shape[0] not in CHANNELS.values():
        raise UsageError(
            f"the picture is {image.dtype} {tuple(image.shape)}; uint8 [1, 3 or 4, height, width] is required"
        )
    height, width = own
    if size is None and abs(image.shape[2] * height / (image.shape[1] * width) - 1) > 0.05:
        raise UsageError(
            f"the picture is {image.shape[2]}x{image.shape[1]}, the model's {width}x{height}; crop it to the same "
            "proportions, or give a size for the result"
        )
