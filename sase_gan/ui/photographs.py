"""Photographs that visitors brought into a model: kept while the studio runs, and named like any picture.

A name such as `photo-3fa29c1b04.recipe` cannot be guessed, so that visitors do not meet each other's photographs.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace

from sase_gan.drawing.inversions import SUFFIX, Inversion
from sase_gan.drawing.recipes import Recipe, parse_recipes
from sase_gan.errors import UsageError

MOST_KEPT = 200
MOST_BYTES = 2**28
"""Noise maps of 1,024 px take 25 MB, those of 64 px 24 kB."""
_NAME = re.compile(rf"photo-[0-9a-f]{{10}}{re.escape(SUFFIX)}")


class Photographs:
    """The photographs at hand; safe to use from several threads."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self.most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Inversion] = OrderedDict()

    def keep(self, inversion: Inversion) -> Inversion:
        """Keep what a photograph is drawn from under a new name; the oldest goes where there are too many."""
        named = replace(inversion, name=f"photo-{secrets.token_hex(5)}{SUFFIX}")
        with self._lock:
            self._kept[named.name] = named
            while len(self._kept) > 1 and (len(self._kept) > self.most or self._bytes() > MOST_BYTES):
                self._kept.popitem(last=False)
        return named

    def _bytes(self) -> int:
        kept = self._kept.values()
        return sum(part.nbytes for each in kept for part in (each.z, each.shift, *each.noise))

    def known(self) -> Mapping[str, Inversion]:
        """Those that are at hand, by name."""
        with self._lock:
            return dict(self._kept)


AT_HAND = Photographs()
"""Of this process: names are read in fields that know nothing of the page they are on."""


def named_pictures(text: object, *, most: int, least: int = 1) -> list[Recipe]:
    """Read the pictures that a visitor named: seeds, variations, and photographs that are at hand.

    Raises:
        UsageError: for anything else, or another number of pictures than allowed.
    """
    known = AT_HAND.known()
    if isinstance(text, str) and (gone := [name for name in _NAME.findall(text) if name not in known]):
        raise UsageError(f"The photograph {gone[0]} is no longer at hand; bring it in again in Explore, My photograph.")
    return parse_recipes(text, most=most, least=least, known=known)
