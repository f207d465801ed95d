"""The chosen picture, carried from its close-up to the fields of other tabs, which then open with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from sase_gan.drawing.recipes import Recipe
from sase_gan.errors import SaseGanError, UsageError
from sase_gan.markdown import escaped
from sase_gan.ui.checks import sentences
from sase_gan.ui.events import at_once
from sase_gan.ui.photographs import named_pictures


@dataclass(frozen=True)
class Destination:
    """A field of another tab that takes a picture's name.

    Attributes:
        tab: its id; `within`: ids of tabs inside it by their component, which must be open for the field to be seen.
        most: how many pictures the field takes: 1 is replaced, in a list the picture comes first.
        collects: the picture comes last, and the visitor stays, to add others.
    """

    button: str
    tab: str
    field: gr.Textbox
    most: int = 1
    within: tuple[gr.Tabs, str] | None = None
    collects: bool = False


def check_picked(recipe: Recipe | None) -> Recipe:
    """Check that a picture is chosen.

    Raises:
        UsageError: if none is.
    """
    if recipe is None:
        raise UsageError("No picture is chosen; click one first.")
    return recipe


@sentences
def named_too(picked: Recipe | None, named: object, most: int, *, last: bool = False) -> str:
    """Write the chosen picture's name before those that a field names, or behind them, no more in all than it takes.

    What the field holds is dropped where it names no pictures.
    """
    name = check_picked(picked).name
    try:
        others = [recipe.name for recipe in named_pictures(named, most=10 * most, least=0)]
    except SaseGanError:
        others = []
    others = [other for other in others if other != name]
    return ", ".join([*others, name][-most:] if last else [name, *others][:most])


def carry(
    picked: tuple[gr.State, gr.State],
    model: gr.Dropdown,
    tabs: gr.Tabs,
    buttons: Mapping[str, gr.Button],
    destinations: tuple[Destination, ...],
) -> None:
    """Connect each destination's button: its field is filled, and its tab opens.

    Args:
        picked: the chosen picture and its model, which becomes the model of the page.
    """
    for place in destinations:
        click = buttons[place.button].click
        if place.collects:
            at_once(click, _collecting(place), [picked[0], place.field], [place.field])
            continue
        inner = [] if place.within is None else [place.within[0]]
        at_once(click, _filling(place), [*picked, place.field], [place.field, model, tabs, *inner])


def _collecting(place: Destination) -> Callable[..., str]:
    def collect(picked: Recipe | None, named: object) -> str:
        names = named_too(picked, named, place.most, last=True)
        gr.Info(f"The tab {place.tab.capitalize()}, {place.button}, has {escaped(names)} now.")
        return names

    return collect


def _filling(place: Destination) -> Callable[..., list[Any]]:
    def fill(picked: Recipe | None, model: str, named: object) -> list[Any]:
        inner = [] if place.within is None else [gr.update(selected=place.within[1])]
        return [named_too(picked, named, place.most), model, gr.update(selected=place.tab), *inner]

    return fill
