"""Pages from templates, and pictures inside them: what the report and the comparison share.

A page is one file: styles, plots and pictures lie inside it, and nothing is loaded or run when it is opened. Values are
escaped in HTML by jinja2's autoescape and in Markdown by a `finalize` that sees every value, so that the name of a
picture cannot become markup; only our own SVG is marked safe. Paths to pictures are followed only inside the folder
that a page describes, because a record may come from somebody else.
"""

import base64
import io
import logging
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from sase_gan import __version__
from sase_gan.files import write_atomically
from sase_gan.markdown import escaped

logger = logging.getLogger(__name__)

THUMBNAIL_SIDE = 288
"""Longest side of a single embedded picture, in pixels: twice what the page shows, for sharp screens."""
GRID_SIDE = 1400
"""Longest side of an embedded grid, in pixels."""
MOST_PIXELS = 64_000_000
"""Larger picture files are refused before they are decoded."""


@cache
def _environment(is_html: bool) -> Environment:
    # `finalize` sees every value that a template prints, so nothing from a file reaches Markdown unescaped.
    escaping = {"autoescape": True} if is_html else {"autoescape": False, "finalize": _finalize_markdown}
    loader = PackageLoader("sase_gan.report", "templates")
    environment = Environment(
        loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, **escaping
    )
    environment.filters["address"] = lambda path: Markup(quote(path))
    return environment


def _finalize_markdown(value: object) -> object:
    return value if isinstance(value, Markup) or not isinstance(value, str) else escaped(value, quote=False)


def write_page(path: Path, template: str, **context: Any) -> None:
    """Fill one of the package's templates, HTML or Markdown by its name, and write the page as one whole file."""
    is_html = template.endswith(".html.j2")
    text = _environment(is_html).get_template(template).render(version=__version__, **context)
    if not is_html:
        text = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class EmbeddedPicture:
    """An embedded picture is the address that holds it, and its size on the page."""

    uri: str
    width: int
    height: int

    @property
    def coarse(self) -> bool:
        """Tell whether it is so small that a browser should enlarge it with hard edges rather than blur it."""
        return max(self.width, self.height) <= 64


class PictureShelf:
    """A shelf embeds the pictures of one folder, each at most once per size; what cannot be shown becomes a note."""

    def __init__(self, folder: Path, notes: list[str]) -> None:
        self.folder = folder.resolve()
        self.notes = notes
        self._embedded: dict[tuple[str, int], EmbeddedPicture | None] = {}

    def embed(self, name: str | None, side: int = THUMBNAIL_SIDE) -> EmbeddedPicture | None:
        """Embed the picture at a path relative to the folder, reduced to `side` pixels; `None` when it cannot be."""
        if not name:
            return None
        if (name, side) not in self._embedded:
            picture, problem = self._read(name, side)
            if problem:
                self.notes.append(f"{name} {problem}.")
            self._embedded[name, side] = picture
        return self._embedded[name, side]

    def _read(self, name: str, side: int) -> tuple[EmbeddedPicture | None, str | None]:
        path = (self.folder / name).resolve()
        if not path.is_relative_to(self.folder):
            return None, "lies outside the report's folder and was not followed"
        if not path.is_file():
            return None, "is missing"
        try:
            with Image.open(path) as image:
                if image.width * image.height > MOST_PIXELS:
                    return None, f"is {image.width}×{image.height} px, too large to embed"
                return _embedded(image.convert("RGB"), side), None
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            logger.info("%s could not be embedded: %s", path, error)
            return None, "is no readable picture"


def _embedded(image: Image.Image, side: int) -> EmbeddedPicture:
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    candidates = []
    for kind, options in (("png", {"optimize": True}), ("jpeg", {"quality": 90, "subsampling": 0})):
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        candidates.append((len(buffer.getvalue()), kind, buffer.getvalue()))
    # Flat drawings are smaller and exact as PNG, photographs far smaller as JPEG.
    _, kind, content = min(candidates)
    return EmbeddedPicture(f"data:image/{kind};base64,{base64.b64encode(content).decode()}", image.width, image.height)
