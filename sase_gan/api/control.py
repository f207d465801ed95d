"""Controls of a model without training, from files and names: what serves where, what stays, and where to begin."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from sase_gan.colours import read_in
from sase_gan.errors import UsageError
from sase_gan.masks import INSIDE, check_proportions, read_mask, same_proportions
from sase_gan.pixels import read_image, to_float
from sase_gan.recombination.control import Control, Region, only, without
from sase_gan.recombination.model import Recombiner
from sase_gan.resizing import at_size, resize

MaskedNames = tuple[Path | str | Tensor, Sequence[str]]
"""A mask, white or 1 where a rule holds, and the training pictures that it is about."""


def make_control(
    network: Recombiner,
    *,
    bound: Iterable[MaskedNames] = (),
    barred: Iterable[MaskedNames] = (),
    subset: Sequence[str] = (),
    picture: Path | str | Tensor | None = None,
    strength: float | None = None,
    mask: Path | str | Tensor | None = None,
) -> Control:
    """Make a control of a model's drawings.

    Args:
        bound: regions in which these training pictures alone serve; training pictures are named by file name or number.
        barred: regions in which these do not serve.
        subset: the only training pictures that serve anywhere.
        picture: a photograph to begin from, uint8 `[3, height, width]` or of the model's colours, or a file; its middle
            is cut to the model's proportions.
        strength: 0 to 1, how much of it is drawn anew; half if None, and all within a mask.
        mask: white where `picture` may change; elsewhere it stays as it is. If `picture` is a training picture of the
            free form, and all within the mask is drawn anew, what it shows there does not serve.

    Raises:
        UsageError: for a training picture that the model does not know, a strength out of range, or a mask or strength
            without a picture.
        DataError: for a file that cannot be read.
    """
    size = network.size
    everywhere = torch.ones(size)
    regions = [only(everywhere, _chosen(network, subset))] if subset else []
    regions += [only(_mask(where, size), _chosen(network, names)) for where, names in bound]
    regions += [without(_mask(where, size), _chosen(network, names)) for where, names in barred]
    _check_regions(regions)
    if picture is None:
        if strength is not None or mask is not None:
            raise UsageError("a strength or a mask was given, and no picture that it is about; give one with --from")
        return Control(tuple(regions))
    if strength is None:
        strength = 0.5 if mask is None else 1.0
    if not 0 <= strength <= 1:
        raise UsageError(f"strength is {strength}; it must be between 0, nearest to the picture, and 1, all drawn anew")
    given = picture if isinstance(picture, Tensor) else read_in(picture, network.config.colours)
    photograph = cut_to(network.matched(given), size)
    if mask is None:
        return Control(tuple(regions), None, to_float(photograph), strength)
    change = _mask_of(mask, picture, size)
    hidden = None
    if network.config.form == "free" and strength == 1:
        hidden = _shown(network, photograph, change > 0)
    return Control(tuple(regions), 1 - change, to_float(photograph), strength, hidden)


def _shown(network: Recombiner, photograph: Tensor, change: Tensor) -> Tensor | None:
    """Mark what is to change where a training picture is the photograph itself, bool `[N, height, width]`.

    From any place it would come back, because nothing fits better. None if there is no such picture.
    """
    differs = (network.matched(network.pictures.cpu()) != photograph).any(1) & ~change
    same = ~differs.flatten(1).any(1)
    return same[:, None, None] & change if same.any() and not change.all() else None


def _check_regions(regions: Sequence[Region]) -> None:
    if not regions:
        return
    left = torch.ones(len(regions[0].forbidden), *regions[0].mask.shape, dtype=torch.bool)
    for region in regions:
        left &= ~((region.mask > 0) & region.forbidden[:, None, None])
    if not left.any(0).all():
        raise UsageError("somewhere no training picture is left that may serve; let the regions overlap less")


def _chosen(network: Recombiner, names: Sequence[str]) -> Tensor:
    """Mark the training pictures of these names or numbers, bool `[N]`."""
    known = {name: index for index, name in enumerate(network.config.names)}
    known |= {Path(name).stem: index for name, index in known.items()}
    chosen = torch.zeros(network.config.count, dtype=torch.bool)
    for name in names:
        index = known.get(name, int(name) if name.isdecimal() else -1)
        if not 0 <= index < len(chosen):
            some = ", ".join(network.config.names[:3])
            raise UsageError(
                f"{name!r} is no training picture of this model; name one by its file name"
                f"{f', such as {some},' if some else ''} or its number, 0 to {len(chosen) - 1}"
            )
        chosen[index] = True
    return chosen


def _mask(mask: Path | str | Tensor, size: tuple[int, int]) -> Tensor:
    """Read a mask, float `[height, width]` of 0 and 1."""
    if isinstance(mask, Tensor):
        values = mask.float() if mask.ndim == 2 else mask.float().amax(0)
    else:
        values = read_mask(mask, size).float()
    return (resize(values[None, None], size)[0, 0] > 0.5).float()


def _mask_of(mask: Path | str | Tensor, picture: Path | str | Tensor, size: tuple[int, int]) -> Tensor:
    """Read the mask of a photograph; one that covers all of it is cut as it is."""
    if isinstance(mask, Tensor):
        return _mask(mask, size)
    whole = (picture if isinstance(picture, Tensor) else read_image(Path(picture))).shape[1:]
    inside = read_mask(mask)
    if not same_proportions(inside.shape, size):
        check_proportions(inside, whole, mask)
        inside = cut_to(inside[None].to(torch.uint8) * 255, size)[0] >= INSIDE
    return _mask(inside, size)


def cut_to(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut the middle of a picture to the proportions of a size, and bring it to that."""
    height, width = picture.shape[1:]
    scale = min(height / size[0], width / size[1])
    rows, columns = min(height, round(size[0] * scale)), min(width, round(size[1] * scale))
    top, left = (height - rows) // 2, (width - columns) // 2
    return at_size(picture[:, top : top + rows, left : left + columns], size)
