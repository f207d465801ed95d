"""What the tab Recombine does: an instant model bound to chosen training pictures, to regions, or to a photograph."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast

import gradio as gr
import torch
from PIL import Image
from torch import Tensor

from sase_gan.api.control import cut_to, make_control
from sase_gan.colours import filed
from sase_gan.drawing.recipes import Recipe, draw_recipes
from sase_gan.drawing.sampling import MAX_SEED
from sase_gan.errors import UsageError
from sase_gan.recombination.control import Control
from sase_gan.recombination.model import Recombiner
from sase_gan.ui.checks import chosen, number, seed_number, sentences, whole_number
from sase_gan.ui.events import BAR, reporter
from sase_gan.ui.models import Models, Opened, picture_names
from sase_gan.ui.pictures import ENLARGED_SIDE, Gallery, canvas, enlarged, painted_region, picture, shown_region
from sase_gan.ui.rules import SERVES, Rule, picture_numbers, rules_control, rules_html, thumbnails
from sase_gan.ui.suited import holds_no_pictures
from sase_gan.ui.tracing import Sources, Trace, base_name, show_sources, trace_at
from sase_gan.ui.uploads import read_upload

LEAST_VARIETY, MOST_VARIETY = 0.5, 2.0
MOST_DRAWN, MOST_RULES, MOST_LISTED, MOST_NUMBERED = 16, 8, 100, 10_000
WAYS = ("vary", "painted")


@dataclass(frozen=True)
class Holdings:
    """What the tab shows of a model when it is opened; left out is what stays as it is."""

    pictures: Any = field(default_factory=gr.skip)
    about: Any = field(default_factory=gr.skip)
    chosen: Any = field(default_factory=gr.skip)
    rules: Any = field(default_factory=gr.skip)
    listed: Any = field(default_factory=gr.skip)
    canvas: Any = field(default_factory=gr.skip)
    shown_of: Any = field(default_factory=gr.skip)


@dataclass(frozen=True)
class Painted:
    """The canvas, the rules and their list, and a sentence; left out is what stays as it is."""

    canvas: Any = field(default_factory=gr.skip)
    rules: Any = field(default_factory=gr.skip)
    listed: Any = field(default_factory=gr.skip)
    note: str = ""


@dataclass(frozen=True)
class Recombined:
    """Drawn pictures, a sentence, and what is remembered of them; left out is what stays as it is."""

    gallery: Any = field(default_factory=gr.skip)
    traces: Any = field(default_factory=gr.skip)
    note: str = ""


@dataclass(frozen=True)
class Looked:
    """A drawn picture, large, and its sources."""

    large: Any = field(default_factory=gr.skip)
    note: Any = field(default_factory=gr.skip)
    sources: list[Any] = field(default_factory=lambda: [gr.skip()] * len(Sources().values()))


class RecombineHandlers:
    """What the tab does."""

    def __init__(self, models: Models) -> None:
        self.models = models

    def _open(self, model: object) -> Opened[Recombiner]:
        opened = self.models.open(model)
        if not isinstance(opened.network, Recombiner):
            raise UsageError(holds_no_pictures(opened.entry))
        return cast(Opened[Recombiner], opened)

    # --- what there is to choose from --------------------------------------------------------------------------------

    @sentences
    def holdings(self, model: str, shown_of: str = "") -> Holdings:
        """Show the training pictures that a model holds, and begin anew; nothing changes if it is shown already."""
        if model == shown_of:
            return Holdings()
        network = self._open(model).network
        names, count = picture_names(network), network.config.count
        shown: Gallery = [
            (picture(image), f"{index}: {base_name(names[index])}")
            for index, image in enumerate(filed(network.pictures[:MOST_LISTED].cpu()))
        ]
        about = "Click the pictures that a wish is about; click again to leave one out."
        if count > MOST_LISTED:
            about += f" The first {MOST_LISTED} of {count} are shown; choose others by their numbers."
        return Holdings(shown, about, "", (), "", canvas(enlarged(self._empty(network), ENLARGED_SIDE)), model)

    def toggle(self, text: str, place: int) -> str:
        """Choose the picture at a place of the gallery, or leave it out again."""
        try:
            found = picture_numbers(text, MOST_NUMBERED)
        except UsageError:
            found = []
        found = [each for each in found if each != place] if place in found else [*found, place]
        return ", ".join(map(str, found))

    @sentences
    def show_chosen(self, model: str, text: str) -> str:
        """Show the chosen training pictures, as HTML."""
        network = self._open(model).network
        return thumbnails(network, picture_numbers(text, network.config.count))

    # --- regions -----------------------------------------------------------------------------------------------------

    @sentences
    def begin_canvas(self, model: str, seed: float, how: str) -> Painted:
        """Put an empty canvas under the brush, or the picture of a seed."""
        network = self._open(model).network
        if chosen(how, ("empty", "seed"), "The canvas") == "empty":
            return Painted(canvas(enlarged(self._empty(network), ENLARGED_SIDE)))
        image = draw_recipes(network, [Recipe(seed_number(seed))])[0]
        return Painted(canvas(enlarged(picture(image), ENLARGED_SIDE)))

    @sentences
    def add_region(
        self, model: str, painting: dict[str, Any] | None, text: str, serves: str, rules: tuple[Rule, ...]
    ) -> Painted:
        """Add what is painted, with the chosen pictures, to the rules; the canvas is clean again."""
        network = self._open(model).network
        now = (*rules, self._rule(network, painting, text, serves, len(rules)))
        below = Image.fromarray((painting or {})["background"][:, :, :3].copy())
        return Painted(canvas(below), now, rules_html(network, now), "Added; paint another region, or draw.")

    @sentences
    def draw_regions(
        self, model: str, seed: float, count: float, variety: float, rules: tuple[Rule, ...],
        painting: dict[str, Any] | None, text: str, serves: str, progress: gr.Progress = BAR,
    ) -> Recombined:  # fmt: skip
        """Draw with the rules, and with what is painted and not added yet."""
        opened = self._open(model)
        if shown_region(painting) is not None:
            rules = (*rules, self._rule(opened.network, painting, text, serves, len(rules)))
        control = rules_control(opened.network, rules)
        words = f"{len(rules)} region{'s' * (len(rules) > 1)} bound"
        return self._draw(opened, control, words, seed, count, variety, progress)

    # --- all of the picture ------------------------------------------------------------------------------------------

    @sentences
    def draw(
        self, model: str, seed: float, count: float, variety: float, text: str, progress: gr.Progress = BAR
    ) -> Recombined:
        """Draw from the chosen training pictures alone; from all if none is chosen."""
        opened = self._open(model)
        numbers = picture_numbers(text, opened.network.config.count)
        if not numbers:
            return self._draw(opened, None, "From all training pictures", seed, count, variety, progress)
        names = picture_names(opened.network)
        control = make_control(opened.network, subset=[names[each] for each in numbers])
        words = f"From {len(numbers)} of {opened.network.config.count} training pictures"
        return self._draw(opened, control, words, seed, count, variety, progress)

    @sentences
    def photograph(self, model: str, file: str | None, way: str) -> Painted:
        """Put a visitor's photograph under the brush, if one is wanted, cut to the model's proportions."""
        if chosen(way, WAYS, "The way") == "vary":
            return Painted()
        network = self._open(model).network
        if file is None:
            return Painted(None)
        return Painted(canvas(enlarged(picture(cut_to(read_upload(file), network.size)), ENLARGED_SIDE)))

    @sentences
    def draw_photograph(
        self, model: str, seed: float, count: float, variety: float, file: str | None, way: str, strength: float,
        painting: dict[str, Any] | None, progress: gr.Progress = BAR,
    ) -> Recombined:  # fmt: skip
        """Vary a photograph, or draw the painted part of it anew."""
        opened = self._open(model)
        photograph = read_upload(file)
        if chosen(way, WAYS, "The way") == "vary":
            share = number(strength, 0, 1, "The strength")
            control = make_control(opened.network, picture=photograph, strength=share)
            words = f"Variations with strength {share:g}"
        else:
            control = make_control(opened.network, picture=photograph, mask=painted_region(painting))
            words = "Only the painted part is drawn anew"
        return self._draw(opened, control, words, seed, count, variety, progress)

    @sentences
    def look(self, traces: Sequence[Trace] | None, place: int) -> Looked:
        """Look closely at one of the drawn pictures."""
        trace = trace_at(traces, place)
        sources = show_sources(self.models.open(trace.model), trace.image, trace.sources)
        return Looked(picture(trace.image, trace.text), sources=sources.values())

    # --- inside ------------------------------------------------------------------------------------------------------

    def _draw(
        self, opened: Opened[Recombiner], control: Control | None, words: str,
        seed: object, count: object, variety: object, progress: gr.Progress,
    ) -> Recombined:  # fmt: skip
        amount = whole_number(count, 1, MOST_DRAWN, "The number of pictures")
        first = min(seed_number(seed), MAX_SEED - amount + 1)
        dial = number(variety, LEAST_VARIETY, MOST_VARIETY, "The variety")
        recipes, maps = [Recipe(first + each) for each in range(amount)], list[Tensor]()
        network = _varied(opened.network, dial)
        told = reporter(progress, "drawing")
        images = draw_recipes(network, recipes, batch_size=4, progress=told, sources=maps, control=control)
        sources = torch.cat(maps).to(torch.int16)
        texts = [{**recipe.text(opened.digest), "variety": f"{dial:g}", "control": words} for recipe in recipes]
        known = zip(images, sources, texts, strict=True)
        traces = tuple(Trace(opened.entry.name, image, came, text) for image, came, text in known)
        shown = [(picture(t.image, t.text), recipe.name) for t, recipe in zip(traces, recipes, strict=True)]
        last = f"Seed {first}" if amount == 1 else f"Seeds {first} to {first + amount - 1}"
        return Recombined(shown, traces, f"{words}. **{last}**; click a picture to see where its regions came from.")

    def _rule(self, network: Recombiner, painting: dict[str, Any] | None, text: str, serves: str, before: int) -> Rule:
        how = chosen(serves, SERVES, "The rule")
        mask = painted_region(painting)
        numbers = picture_numbers(text, network.config.count)
        if not numbers:
            raise UsageError("No training picture is chosen; click those that the painted region is about.")
        if before >= MOST_RULES:
            raise UsageError(f"There are {MOST_RULES} regions already, which is the most; remove them, or draw.")
        return Rule(mask, tuple(numbers), how)

    def _empty(self, network: Recombiner) -> Image.Image:
        return Image.new("RGB", network.size[::-1], "#e7e5e4")


@lru_cache(maxsize=3)
def _varied(network: Recombiner, variety: float) -> Recombiner:
    """The same model with another variety, its pictures shared: what it prepares for one is kept for the next time."""
    if variety == network.variety:
        return network
    other = copy.copy(network)
    other.variety, other._engines = variety, {}
    return other
