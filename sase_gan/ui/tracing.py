"""Where the regions of an instant model's picture came from: a coloured map to click, and what a click shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from sase_gan.colouring import part_colour
from sase_gan.colours import shown
from sase_gan.errors import UsageError
from sase_gan.markdown import escaped
from sase_gan.networks.load import recombiner_of
from sase_gan.recombination.model import Recombiner
from sase_gan.recombination.sources import LEGEND, Origin, Piece, coloured_sources, origin_of, piece_at
from sase_gan.ui.checks import sentences, whole_number
from sase_gan.ui.markup import figure, quiet
from sase_gan.ui.models import Models, OpenModel, picture_names
from sase_gan.ui.pictures import Gallery, picture

CONTAINS = (
    "It **contains its training pictures**, and every region of what it draws comes from one of them: new "
    "arrangements, not new matter."
)
CONTAINS_ONE = "It **contains its picture**, and every region of what it draws comes from it."
HINT = quiet("Click a region of the map, or a picture below it, and see where it came from.")
KEPT = quiet("This part was kept of your photograph; no training picture is in it.")
# Outlines are drawn at this size, so that they are thin beside the pixels of a small picture.
OUTLINED_SIDE = 320
SHADE = 0.45
LEAST_TOLD = 0.005
RIM = 12


@dataclass(frozen=True, eq=False)
class Trace:
    """A drawn picture and where it came from, as the visitor's session keeps it.

    Attributes:
        image: uint8 `[3, height, width]`.
        sources: int16 `[height, width, 3]`, as in `recombination.drawn.Drawn`.
        text: the facts that its file gets.
    """

    model: str
    image: Tensor
    sources: Tensor
    text: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sources:
    """The map of a picture's sources and words on it, its main sources in their colours, and what is remembered."""

    panel: Any = field(default_factory=lambda: gr.update(visible=False))
    words: str = ""
    coloured: Image.Image | None = None
    legend: Gallery = field(default_factory=list)
    pointed: str = ""
    trace: Trace | None = None

    def values(self) -> list[Any]:
        """List what is shown, in the order of `SourcePanel.places`."""
        return [self.panel, self.words, self.coloured, self.legend, self.pointed, self.trace]


def show_sources(opened: OpenModel, image: Tensor, sources: Tensor | None) -> Sources:
    """Show where a picture uint8 `[3, height, width]` came from, if its model draws out of pictures that it holds."""
    network = recombiner_of(opened.network)
    if sources is None or network is None:
        return Sources()
    origin = origin_of(sources, network.seen_pictures)
    coloured = coloured_sources(image, sources, network.seen_pictures, origin)
    trace = Trace(opened.entry.name, image, sources.to(torch.int16))
    legend = [] if network.config.count == 1 else _legend(network, origin)
    shown = gr.update(visible=True)
    return Sources(shown, explain(network, origin), picture(coloured), legend, HINT, trace)


def explain(network: Recombiner, origin: Origin) -> str:
    """Say in a few sentences where a picture came from, as Markdown."""
    if network.config.count == 1:
        words = (
            "Every drawn region comes from the one picture that the model contains; colours stand for how far it moved."
        )
    else:
        names = picture_names(network)
        main = ", ".join(
            f"{share:.0%} from {escaped(base_name(names[index]))}"
            for index, share in origin.shares[:3]
            if share >= LEAST_TOLD
        )
        words = f"Every drawn region comes from a training picture, which the model contains. Mostly: {main}."
    kept = f" {origin.kept:.0%} was kept of your photograph." if origin.kept else ""
    largest = f" The largest region in one piece is {origin.regions[0].share:.0%}." if origin.regions else ""
    return f"{words}{largest}{kept}"


class SourceHandlers:
    """What clicks on the map and on the main sources do."""

    def __init__(self, models: Models) -> None:
        self.models = models

    @sentences
    def point(self, trace: Trace | None, place: object) -> str:
        """Show, as HTML, the region at a place (x, y) of the map, and where it lies in its training picture."""
        known, network = self._open(trace)
        row, column = _row_and_column(place, known.image)
        piece = piece_at(known.sources, network.seen_pictures, row, column)
        return KEPT if piece is None else _pointed(network, known, piece)

    @sentences
    def pick(self, trace: Trace | None, place: object) -> str:
        """Show, as HTML, the largest region of one of the main sources."""
        known, network = self._open(trace)
        origin = origin_of(known.sources, network.seen_pictures)
        index = origin.shares[whole_number(place, 0, min(LEGEND, len(origin.shares)) - 1, "The source")][0]
        row, column = _inside_largest(known.sources, network, index)
        piece = piece_at(known.sources, network.seen_pictures, row, column)
        return KEPT if piece is None else _pointed(network, known, piece)

    def _open(self, trace: Trace | None) -> tuple[Trace, Recombiner]:
        network = None if trace is None else recombiner_of(self.models.open(trace.model).network)
        if trace is None or network is None:
            raise UsageError("This picture is no longer there; draw again.")
        return trace, network


def trace_at(traces: Sequence[Trace] | None, place: int) -> Trace:
    """Find the trace at a place of a gallery.

    Raises:
        UsageError: if nothing is there any more.
    """
    if not traces or not 0 <= place < len(traces):
        raise UsageError("This picture is no longer there; draw again.")
    return traces[place]


def _row_and_column(place: object, image: Tensor) -> tuple[int, int]:
    if not isinstance(place, list | tuple) or len(place) != 2:
        raise UsageError("This is no place of the map; click a region of it.")
    height, width = image.shape[1:]
    column = whole_number(place[0], 0, width - 1, "The place from the left")
    return whole_number(place[1], 0, height - 1, "The place from the top"), column


def base_name(name: str) -> str:
    """Take a training picture's file name without its folder."""
    return name.rpartition("/")[2]


def _legend(network: Recombiner, origin: Origin) -> Gallery:
    names = picture_names(network)
    found: Gallery = []
    for place, (index, share) in enumerate(origin.shares[:LEGEND]):
        image = shown(network.pictures[index].cpu(), "checkerboard")
        rim = max(2, min(image.shape[1:]) // RIM)
        colour = torch.tensor(part_colour(place), dtype=torch.uint8)[:, None, None]
        tile = colour.repeat(1, image.shape[1] + 2 * rim, image.shape[2] + 2 * rim)
        tile[:, rim:-rim, rim:-rim] = image
        found.append((picture(tile), f"{share:.0%} {base_name(names[index])}"))
    return found


def _inside_largest(sources: Tensor, network: Recombiner, index: int) -> tuple[int, int]:
    """A pixel of the largest region that one training picture gave."""
    ours = (sources[..., 0].long() % network.config.count == index) & (sources[..., 0] >= 0)
    best, where = 0.0, (0, 0)
    while ours.any():
        row, column = (int(value) for value in ours.nonzero()[0])
        piece = piece_at(sources, network.seen_pictures, row, column)
        assert piece is not None
        if piece.region.share > best:
            best, where = piece.region.share, (row, column)
        ours &= ~piece.here
    return where


def _pointed(network: Recombiner, trace: Trace, piece: Piece) -> str:
    """The drawn picture and the training picture, the region outlined in both."""
    region, name = piece.region, picture_names(network)[piece.region.picture]
    ways = [(abs(region.down), "down" if region.down > 0 else "up")]
    ways += [(abs(region.right), "to the right" if region.right > 0 else "to the left")]
    moved = " and ".join(f"{by} px {way}" for by, way in ways if by)
    facts = [f"{region.share:.1%} of the picture in one piece"]
    facts += ["mirrored"] if region.mirrored else []
    facts += [f"moved {moved}"] if moved else ["at the same place"]
    here = figure(outlined(trace.image, piece.here), "In the drawn picture", escaped(", ".join(facts)), alt="Region")
    own = network.seen_pictures[region.picture].cpu()
    source = outlined(own, piece.there)
    there = figure(source, f"In {base_name(name)}", "the training picture that it came from", alt=name)
    return f'<div class="figures" style="--columns:2">{here}{there}</div>'


def outlined(image: Tensor, inside: Tensor) -> Tensor:
    """Draw a line around a part, bool `[height, width]`, of a picture uint8 `[3, height, width]`; the rest is shaded.

    A small picture is enlarged by a whole factor.
    """
    factor = max(1, round(OUTLINED_SIDE / max(inside.shape)))
    large = image.repeat_interleave(factor, 1).repeat_interleave(factor, 2).float()
    part = inside.repeat_interleave(factor, 0).repeat_interleave(factor, 1)
    shown = torch.where(part, large, SHADE * large)
    white, black = _grown(part, 2) & ~part, _grown(part, 3) & ~_grown(part, 2)
    return torch.where(white, 255.0, torch.where(black, 0.0, shown)).to(torch.uint8)


def _grown(part: Tensor, by: int) -> Tensor:
    return F.max_pool2d(part.float()[None, None], 2 * by + 1, 1, by)[0, 0] > 0
