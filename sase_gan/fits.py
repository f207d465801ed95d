"""How a picture of any shape becomes a square: the names, and what commands and records say of them."""

from collections.abc import Mapping
from typing import Literal, cast, get_args

from sase_gan.errors import UsageError

Fit = Literal["crop", "pad", "squash"]

FITS: Mapping[str, str] = {
    "crop": "the square in the middle",
    "pad": "all of it, with bars",
    "squash": "all of it, distorted, as the released low-shot loops do",
}
"""What each leaves of a picture."""

assert tuple(FITS) == get_args(Fit)

FIT_HELP = f"How pictures become square: {'; '.join(f'{name}: {words}' for name, words in FITS.items())}."


def checked_fit(name: str) -> Fit:
    """Return a name that is known.

    Raises:
        UsageError: for another one.
    """
    if name not in FITS:
        *others, last = FITS
        raise UsageError(f"fit is {name!r}; choose {', '.join(others)} or {last}.")
    return cast(Fit, name)
