"""Names of classes, and shares of several, as they are typed in a picture's name: `=faces`, `=faces.30=fruits.70`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Annotated

from pydantic import AfterValidator

from sase_gan.errors import UsageError

LONGEST = 100
"""Characters of a name."""
MOST = 1000
"""Classes of a set."""
Mixture = tuple[tuple[str, int], ...]
"""Classes with their shares in per cent; none: no class was named."""

_WRONG = re.compile(r"[=~@+,/\\:*?\"<>|\x00-\x1f\x7f-\x9f]")
_SHARE = re.compile(r"\.\d{1,3}$")
# Behind the start of a picture's name and before its steps.
_CLASSES = re.compile(r"(?:=[^=~@+]*)*(?=[~@+]|$)")


def checked_name(name: str) -> str:
    """Return a class's name, which can be part of a picture's name and of a file's.

    Raises:
        ValueError: for one that cannot.
    """
    if not name or len(name) > LONGEST or name != name.strip() or _WRONG.search(name) or _SHARE.search(name):
        raise ValueError(
            f"{name[:LONGEST]!r} cannot be the name of a class, as it is written in the names of pictures: it has 1 to "
            f'{LONGEST} characters, none of = ~ @ + , / \\ : * ? " < > |, and no end such as .30; rename it'
        )
    return name


ClassName = Annotated[str, AfterValidator(checked_name)]


def parse_mixture(text: str) -> Mixture:
    """Read `=faces`, or `=faces.30=fruits.70`.

    Raises:
        UsageError: for shares that are no whole per cent or not of sum 100, or a class that is named twice.

    Example:
        >>> parse_mixture("=faces"), parse_mixture("=faces.30=fruits.70")
        ((('faces', 100),), (('faces', 30), ('fruits', 70)))
    """
    found: list[tuple[str, int]] = []
    for part in text.split("=")[1:]:
        share = _SHARE.search(part)
        found.append((part[: share.start()], int(share[0][1:])) if share else (part, 100))
    if sum(share for _, share in found) != 100 or len({name for name, _ in found}) < len(found) or not found:
        raise UsageError(
            f"{text!r} names no mixture of classes; write =faces, or shares in per cent of sum 100: =faces.30=fruits.70"
        )
    return tuple((name, share) for name, share in found if share)


def written(mixture: Mixture) -> str:
    """Write what `parse_mixture` reads; nothing for none."""
    if len(mixture) == 1:
        return f"={mixture[0][0]}"
    return "".join(f"={name}.{share}" for name, share in mixture)


def with_classes(names: str, mixture: Mixture) -> str:
    """Write classes into every name of a list of pictures, in the place of those that it names; none leaves none.

    Example:
        >>> with_classes("17, 4-6=fruits, 8~40.0.3", (("faces", 30), ("fruits", 70)))
        '17=faces.30=fruits.70, 4-6=faces.30=fruits.70, 8=faces.30=fruits.70~40.0.3'
        >>> with_classes("8=faces~40.0.3", ())
        '8~40.0.3'
    """
    return ", ".join(_CLASSES.sub(written(mixture), part.strip(), count=1) for part in names.split(",") if part.strip())


def in_words(mixture: Mixture) -> str:
    """Say it.

    Example:
        >>> in_words((("faces", 30), ("fruits", 70)))
        '30 % faces, 70 % fruits'
    """
    return mixture[0][0] if len(mixture) == 1 else ", ".join(f"{share} % {name}" for name, share in mixture)


def counted(names: Sequence[str], counts: Iterable[int], most: int = 8) -> str:
    """List classes with their pictures, the first few of many.

    Example:
        >>> counted(["faces", "fruits"], [96, 70])
        'faces 96, fruits 70'
    """
    told = [f"{name} {count:,}" for name, count in zip(names, counts, strict=True)]
    return ", ".join(told[:most]) + (f" and {len(told) - most} more" if len(told) > most else "")


def check_known(names: Sequence[str], mixture: Mixture) -> None:
    """Refuse classes that a model does not have.

    Raises:
        UsageError: with those that it has.
    """
    if mixture and not names:
        raise UsageError(
            f"class {in_words(mixture)!r} was asked for, and this model has no classes; leave it out, or make a model "
            "with classes: sase-gan train PATH --classes folders"
        )
    for name, _ in mixture:
        if name not in names:
            known = ", ".join(names[:20]) + (" ..." if len(names) > 20 else "")
            raise UsageError(f"there is no class {name!r} in this model; its classes are {known}")
