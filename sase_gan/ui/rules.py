"""Rules on which training pictures of an instant model serve where, and lists of those pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sase_gan.api.control import make_control
from sase_gan.colours import shown
from sase_gan.errors import UsageError
from sase_gan.markdown import escaped
from sase_gan.recombination.control import Control
from sase_gan.recombination.model import Recombiner
from sase_gan.ui.markup import figure, quiet
from sase_gan.ui.models import picture_names

SERVES = ("only", "without")
MOST_SHOWN = 4
# A painting is shown at a third of its size.
REDUCED = 3
_RANGE = re.compile(r"(\d{1,6})(?:\s*-\s*(\d{1,6}))?")


@dataclass(frozen=True, eq=False)
class Rule:
    """A region of the canvas, float `[height, width]`, in which pictures serve alone, or do not serve."""

    mask: Tensor
    numbers: tuple[int, ...]
    serves: str

    def check(self, network: Recombiner) -> None:
        """Refuse a rule that was made for another model.

        Raises:
            UsageError: if its pictures are not there.
        """
        if max(self.numbers) >= network.config.count:
            raise UsageError("The regions were bound for another model; remove them and bind them anew.")


def picture_numbers(text: object, count: int) -> list[int]:
    """Read the numbers of training pictures, such as 0, 3-5, each once; none for an empty text.

    Raises:
        UsageError: for anything else, or a number that is not below `count`.

    Example:
        >>> picture_numbers("4, 0-2, 1", 5)
        [4, 0, 1, 2]
    """
    if not isinstance(text, str) or len(text) > 2000:
        raise UsageError("Write the training pictures as a list of their numbers, such as 0, 3-5.")
    found: dict[int, None] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise UsageError(f"{part[:40]!r} is no training picture; write their numbers, such as 0, 3-5.")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last >= count:
            raise UsageError(f"There is no training picture {part}; this model has 0 to {count - 1}.")
        found |= dict.fromkeys(range(first, last + 1))
    return list(found)


def rules_control(network: Recombiner, rules: Sequence[Rule]) -> Control:
    """Make the control that rules mean.

    Raises:
        UsageError: for no rule, one of another model, or where no picture is left that may serve.
    """
    if not rules:
        raise UsageError("Nothing is bound yet: paint a region and choose the training pictures that it is about.")
    names = picture_names(network)
    groups: dict[str, list[tuple[Tensor, list[str]]]] = {way: [] for way in SERVES}
    for rule in rules:
        rule.check(network)
        groups[rule.serves].append((rule.mask, [names[each] for each in rule.numbers]))
    return make_control(network, bound=groups["only"], barred=groups["without"])


def rules_html(network: Recombiner, rules: Sequence[Rule]) -> str:
    """Show each rule: its region, and the training pictures that it is about."""
    rows = []
    for rule in rules:
        region = (255 - 150 * rule.mask[None].clamp(0, 1)).expand(3, -1, -1).to(torch.uint8)[:, ::REDUCED, ::REDUCED]
        words = "only these here" if rule.serves == "only" else "not these here"
        rows.append(thumbnails(network, rule.numbers, figure(region, "Region", words, alt=words)))
    return "".join(rows)


def thumbnails(network: Recombiner, numbers: Sequence[int], before: str = "") -> str:
    """Show the first few of some training pictures, behind another figure, as HTML."""
    names = picture_names(network)
    listed = numbers[:MOST_SHOWN]
    images = [shown(network.pictures[n].cpu(), "checkerboard") for n in listed]
    cells = [figure(image, str(n), escaped(names[n]), alt=names[n]) for n, image in zip(listed, images, strict=True)]
    more = quiet(f"and {len(numbers) - MOST_SHOWN} more") if len(numbers) > MOST_SHOWN else ""
    return f'<div class="figures rule">{before}{"".join(cells)}{more}</div>' if before or cells else ""
