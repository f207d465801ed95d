"""Checks of what a visitor sends: numbers within limits, one of several words, seeds; and errors as sentences.

The page's own limits do not hold for what comes over the network, so each handler checks its arguments here.
"""

from __future__ import annotations

import functools
import html
import logging
import math
import re
import secrets
from collections.abc import Callable
from typing import Any, ParamSpec, TypeGuard, TypeVar

import gradio as gr

from sase_gan.drawing.recipes import Recipe
from sase_gan.drawing.sampling import MAX_SEED, parse_seeds
from sase_gan.errors import SaseGanError, UsageError
from sase_gan.ui.limits import LONGEST_MINUTES
from sase_gan.ui.photographs import named_pictures

logger = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")

# Names of folders may have spaces in them; what has a full stop before a space is rather a file's with words behind.
_FOLDERS = re.compile(
    r"""(?<![\w.])/(?:(?:[^/\s'"]+|[^/\s'":;,.]+(?: [^/\s'":;,.]+)+)/)+|\b[A-Za-z]:\\(?:[^\\/:*?"<>|\n]+\\)+"""
)


UNFORESEEN = "Something went wrong in the studio; the details are in the window it was started from."


def sentences(handler: Callable[P, R]) -> Callable[P, R]:
    """Let a handler's errors reach the visitor as a sentence; an unforeseen one is logged and told without detail."""

    @functools.wraps(handler)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return handler(*args, **kwargs)
        except gr.Error:
            raise
        except SaseGanError as error:
            raise gr.Error(
                html.escape(sentence(error), quote=False), title="That did not work", print_exception=False
            ) from error
        except Exception as error:
            logger.exception("%s failed", handler.__name__)
            raise gr.Error(UNFORESEEN, title="An error of ours", print_exception=False) from error

    return guarded


def without_folders(text: str) -> str:
    """Leave out the folders before file names: they are the owner's business, who finds them in the terminal.

    Example:
        >>> without_folders("/home/Jane Doe/models/tiny/x.safetensors is damaged")
        'x.safetensors is damaged'
    """
    return _FOLDERS.sub("", text)


def sentence(error: object) -> str:
    """Put an error into a sentence without folders.

    Example:
        >>> sentence("nothing was chosen"), sentence("/home/jane/model.safetensors is damaged")
        ('Nothing was chosen.', 'model.safetensors is damaged.')
    """
    text = without_folders(str(error))
    if "." not in text.partition(" ")[0]:  # a file's name stays as it is
        text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def whole_number(value: object, low: int, high: int, what: str) -> int:
    """Check a whole number of the interface.

    Raises:
        UsageError: unless it is a whole number between `low` and `high`.
    """
    if not _is_number(value) or value != int(value):
        raise UsageError(f"{what} is {str(value)[:40]}; a whole number between {low} and {high} is required.")
    if not low <= value <= high:
        raise UsageError(f"{what} is {int(value)}; it must be between {low} and {high}.")
    return int(value)


def number(value: object, low: float, high: float, what: str) -> float:
    """Check a number of the interface.

    Raises:
        UsageError: unless it is a number between `low` and `high`.
    """
    if not _is_number(value):
        raise UsageError(f"{what} is {str(value)[:40]}; a number between {low:g} and {high:g} is required.")
    if not low <= value <= high:
        raise UsageError(f"{what} is {value:g}; it must be between {low:g} and {high:g}.")
    return float(value)


def time_limit(minutes: object) -> float:
    """Check the minutes that a training may take: up to a week's.

    Raises:
        UsageError: as `number`.
    """
    return number(minutes, 0.1, LONGEST_MINUTES, "The time limit in minutes")


def chosen(value: object, known: tuple[Any, ...], what: str) -> Any:
    """Check a choice of a list.

    Raises:
        UsageError: unless it is one of the known values.
    """
    if not isinstance(value, str | int) or value not in known:
        raise UsageError(f"{what} is {str(value)[:40]!r}; choose one of {', '.join(map(str, known))}.")
    return value


def switch(value: object, what: str) -> bool:
    """Check a choice between yes and no.

    Raises:
        UsageError: for anything else: the word "false" would count as yes.
    """
    if not isinstance(value, bool):
        raise UsageError(f"{what} is {str(value)[:40]!r}; true or false is required.")
    return value


def seed_number(value: object) -> int:
    """Check a seed.

    Raises:
        UsageError: if it is none.
    """
    return whole_number(value, 0, MAX_SEED, "The seed")


def surprising_seed() -> int:
    """Draw a seed of six digits at random, which is easily written down."""
    return secrets.randbelow(1_000_000)


def named_picture(value: object) -> Recipe:
    """Read the picture that a field names: a seed, as a number or written, or the name of a variation.

    Raises:
        UsageError: if it names none, or several.
    """
    return Recipe(seed_number(value)) if _is_number(value) else named_pictures(value, most=1)[0]


def seed_numbers(text: object, most: int) -> list[int]:
    """Read a list of seeds such as `0-3`.

    Raises:
        UsageError: if it is no such list, or names more than `most`.
    """
    if not isinstance(text, str) or len(text) > 200:
        raise UsageError("Write the seeds as a list, such as 0-3.")
    first, _, last = text.partition("-")
    # Before a range of any length is written out.
    if first.strip().isdecimal() and last.strip().isdecimal() and int(last) - int(first) >= most:
        raise UsageError(f"{text} are too many seeds; at most {most} are possible here.")
    found = parse_seeds(text)
    if len(found) > most:
        raise UsageError(f"{len(found)} seeds are named; between 1 and {most} are possible here.")
    return found
