"""The choice of a class, or of two in shares, for pictures that a field names: what is chosen stands in their names.

The field alone is what is drawn from, so that a name that was typed, clicked or carried there shows its class too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import gradio as gr

from sase_gan.class_names import Mixture, with_classes
from sase_gan.errors import SaseGanError
from sase_gan.networks.conditioning import names_of
from sase_gan.recombination.model import Recombiner
from sase_gan.ui.checks import chosen, named_picture, sentences, whole_number
from sase_gan.ui.events import Trigger, at_once
from sase_gan.ui.models import Models
from sase_gan.ui.photographs import named_pictures

OWN_CLASS = "Each seed's own"
NO_OTHER = "No other"
SHARES = tuple(range(10, 100, 10))
USUAL_SHARE = 50


class Known(NamedTuple):
    """The classes of the page's model, and whether it draws what lies between two of them."""

    names: tuple[str, ...] = ()
    mixes: bool = True


def classes_of(models: Models, model: str) -> Known:
    """The classes that a model has; none of one that cannot be opened, of which the drawing says what is wrong."""
    try:
        network = models.open(model).network
    except SaseGanError:
        return Known()
    return Known(names_of(network), mixes=not isinstance(network, Recombiner))


def mixture_of(kind: str, other: str = "", share: int = USUAL_SHARE) -> Mixture:
    """A class, or two of them: `share` is the other's, in per cent.

    Raises:
        UsageError: for a share that is none.
    """
    if not kind:
        return ()
    if not other or other == kind:
        return ((kind, 100),)
    percent = whole_number(share, 0, 100, "The share")
    return tuple((name, of_it) for name, of_it in ((kind, 100 - percent), (other, percent)) if of_it)


@sentences
def renamed(names: str, known: Known, kind: str | None, other: str = "", share: int = USUAL_SHARE) -> str:
    """Write what was chosen into the names of a field.

    Args:
        kind: None where the names have several classes: they stay.
    """
    if kind is None:
        return names
    allowed = ("", *known.names)
    first, second = chosen(kind, allowed, "The class"), chosen(other or "", allowed, "The other class")
    return with_classes(names, mixture_of(first, second, share))


def named_classes(names: object, most: int) -> Mixture | None:
    """The classes that all pictures of a field have by their names; None if they differ, or no picture is named."""
    try:
        found = {recipe.classes for recipe in named_pictures(names, most=most, least=1)}
    except SaseGanError:
        return None
    return found.pop() if len(found) == 1 else None


def choice_of(known: Known, names: object, most: int) -> tuple[Any, Any, Any, Any]:
    """What the choice shows of a field's names: updates of the row, the class, the other one, and its share."""
    mixture = named_classes(names, most)
    if mixture is not None and (len(mixture) > 2 or not {name for name, _ in mixture} <= set(known.names)):
        mixture = None
    kind = None if mixture is None else mixture[0][0] if mixture else ""
    other, share = mixture[1] if mixture and len(mixture) == 2 else ("", USUAL_SHARE)
    choices = [(name, name) for name in known.names]
    shares = [(f"{percent} %", percent) for percent in sorted({*SHARES, share})]
    return (
        gr.update(visible=bool(known.names)),
        gr.update(choices=[(OWN_CLASS, ""), *choices], value=kind),
        gr.update(choices=[(NO_OTHER, ""), *choices], value=other, visible=bool(kind) and known.mixes),
        gr.update(choices=shares, value=share, visible=bool(other)),
    )


def of_another_model(known: Known, names: str, most: int) -> Any:
    """The field's names without classes that its model does not have; nothing changes where it has them all."""
    try:
        recipes = named_pictures(names, most=most, least=0)
    except SaseGanError:
        return gr.skip()
    lost = {name for recipe in recipes for name, _ in recipe.classes} - set(known.names)
    return with_classes(names, ()) if lost else gr.skip()


def named_in_address(query: Mapping[str, str], models: Models, model: str | None) -> Any:
    """The picture that an address names for the map, as an update; without classes that the model does not have."""
    try:
        recipe = named_picture(query.get("picture", ""))
    except SaseGanError:  # none, or a photograph that is no longer at hand
        return gr.skip()
    if not recipe.classes or model is None:
        return recipe.name
    known = classes_of(models, model).names
    return recipe.name if {name for name, _ in recipe.classes} <= set(known) else with_classes(recipe.name, ())


def class_choice(known: gr.State, field: gr.Textbox, elem_id: str, most: int = 1, label: str = "Class") -> Trigger:
    """Lay out the choice for a field of up to so many pictures, seen of models with classes only.

    Returns:
        A trigger for what is to be drawn when a visitor has chosen.
    """
    # min_width: two and a share side by side in a column of controls, one below the other where there is less room.
    with gr.Row(visible=False, elem_id=elem_id) as row:
        kind = gr.Dropdown([(OWN_CLASS, "")], value="", label=label, min_width=110, elem_classes="kind")
        other = gr.Dropdown([(NO_OTHER, "")], value="", label="Mixed with", visible=False, min_width=110)
        shares: Sequence[tuple[str, int]] = [(f"{percent} %", percent) for percent in SHARES]
        share = gr.Dropdown(
            shares, value=USUAL_SHARE, label="Share of that", visible=False, min_width=90, filterable=False
        )
    shown = [row, kind, other, share]
    tell = partial(choice_of, most=most)
    at_once(field.change, tell, [known, field], shown)
    changed = at_once(known.change, partial(of_another_model, most=most), [known, field], [field])
    at_once(changed.then, tell, [known, field], shown)
    by_hand = partial(gr.on, [kind.input, other.input, share.input])
    written: Trigger = at_once(by_hand, renamed, [field, known, kind, other, share], [field]).success
    return written
