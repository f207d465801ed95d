"""Differentiable augmentation of what the discriminator sees: DiffAugment, Zhao et al. 2020, arXiv 2006.10738.

A table of pure functions. Each takes pictures and uniform numbers, so the same numbers can augment a picture at two
sizes alike: `draw` once, `apply` to both. Real and generated pictures go through the same policy.
"""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

Draws = Mapping[str, Tensor]
"""By transformation: uniform numbers in [0, 1), `[batch, numbers]`.

They stay in float32 whatever the pictures' type: rounded to bfloat16 some would be 1, and positions drawn from them
would fall outside the range, for generated pictures only.
"""


def brightness(images: Tensor, u: Tensor) -> Tensor:
    """Add U(-0.5, 0.5) to a picture in [-1, 1]."""
    return images + (_column(u, 0) - 0.5).to(images.dtype)


def saturation(images: Tensor, u: Tensor) -> Tensor:
    """Scale the distance of each pixel from its own grey by U(0, 2)."""
    grey = images.mean(1, keepdim=True)
    return torch.lerp(grey, images, (2 * _column(u, 0)).to(images.dtype))


def contrast(images: Tensor, u: Tensor) -> Tensor:
    """Scale the distance of each pixel from the picture's mean by U(0.5, 1.5)."""
    mean = images.mean((1, 2, 3), keepdim=True)
    return torch.lerp(mean, images, (_column(u, 0) + 0.5).to(images.dtype))


def translation(images: Tensor, u: Tensor) -> Tensor:
    """Shift by whole pixels, up to an eighth of the side each way; what comes in is 0 (mid-grey)."""
    height, width = images.shape[2:]
    rows, columns = _shifted_index(u[:, 0], height), _shifted_index(u[:, 1], width)
    inside = ((rows >= 0) & (rows < height))[:, None, :, None] & ((columns >= 0) & (columns < width))[:, None, None, :]
    batch = torch.arange(len(images), device=images.device)[:, None, None]
    rows, columns = rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None, :]
    return images.permute(0, 2, 3, 1)[batch, rows, columns].permute(0, 3, 1, 2) * inside


def cutout(images: Tensor, u: Tensor) -> Tensor:
    """Set a square of half the side, centred anywhere, to 0."""
    rows, columns = _inside_window(u[:, 0], images.shape[2]), _inside_window(u[:, 1], images.shape[3])
    return images * ~(rows[:, None, :, None] & columns[:, None, None, :])


TRANSFORMATIONS: dict[str, tuple[int, Callable[[Tensor, Tensor], Tensor]]] = {
    "brightness": (1, brightness),
    "saturation": (1, saturation),
    "contrast": (1, contrast),
    "translation": (2, translation),
    "cutout": (2, cutout),
}
"""By name, in the order of application: how many numbers it takes, and the function."""

POLICIES = {"color": ("brightness", "saturation", "contrast"), "translation": ("translation",), "cutout": ("cutout",)}
"""What a policy's name stands for."""


def draw(
    policy: Iterable[str], batch_size: int, *, generator: torch.Generator, device: torch.device | str = "cpu"
) -> Draws:
    """Draw uniform numbers for every transformation of the policy.

    Raises:
        ValueError: for an unknown name in the policy.
    """
    policy = tuple(policy)
    for name in policy:
        if name not in POLICIES:
            raise ValueError(f"augmentation is {name!r}; choose among {', '.join(POLICIES)}")
    chosen = {transformation for name in policy for transformation in POLICIES[name]}
    return {
        name: torch.rand(batch_size, count, generator=generator, device=device)
        for name, (count, _) in TRANSFORMATIONS.items()
        if name in chosen
    }


def apply(images: Tensor, draws: Draws) -> Tensor:
    """Augment `[batch, channels, height, width]` pictures in [-1, 1]; differentiable in the pictures.

    Changes of colour leave transparency, the fourth channel, as it is.
    """
    for name, (_, transform) in TRANSFORMATIONS.items():
        if name not in draws:
            continue
        if images.shape[1] == 4 and name in POLICIES["color"]:
            images = torch.cat([transform(images[:, :3], draws[name]), images[:, 3:]], dim=1)
        else:
            images = transform(images, draws[name])
    return images


def augment(images: Tensor, policy: Iterable[str], *, generator: torch.Generator) -> Tensor:
    """Draw and apply in one call."""
    return apply(images, draw(policy, len(images), generator=generator, device=images.device))


def _column(u: Tensor, index: int) -> Tensor:
    return u[:, index, None, None, None]


def _shifted_index(u: Tensor, side: int) -> Tensor:
    """Find the input position of each output position, `[batch, side]`, under a shift drawn from -side/8 .. side/8."""
    reach = (side + 4) // 8
    return torch.arange(side, device=u.device) + ((u * (2 * reach + 1)).long() - reach)[:, None]


def _inside_window(u: Tensor, side: int) -> Tensor:
    """Tell whether each position lies in a window of half the side around a centre drawn over the whole side."""
    window = (side + 1) // 2
    start = (u * (side + 1 - window % 2)).long() - window // 2
    position = torch.arange(side, device=u.device)
    return (position >= start[:, None]) & (position < start[:, None] + window)
