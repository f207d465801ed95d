"""Fields that know which values they take: others are refused beside the field, before they wait in the queue."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import gradio as gr
from gradio.context import get_blocks_context

from sase_gan.errors import SaseGanError
from sase_gan.ui.checks import number, sentence, whole_number

Check = Callable[[Any], Any]
"""Refuses a value by an error."""
Field = TypeVar("Field", bound=gr.components.Component)


def checked(made: Field, check: Check) -> Field:
    """Let a field that is typed into refuse what `check` refuses."""
    made.check = check  # type: ignore[attr-defined]
    return made


def check_of(place: object) -> Check | None:
    """What a component refuses: what it was told to, or a number beyond its limits; None for any other component."""
    if (check := getattr(place, "check", None)) is not None:
        return check
    if not isinstance(place, gr.Number) or place.minimum is None or place.maximum is None:
        return None
    low, high, what = place.minimum, place.maximum, str(place.label or "The number")
    if place.precision == 0:
        return lambda value: whole_number(value, int(low), int(high), what)
    return lambda value: number(value, low, high, what)


def looked_at_first(
    inputs: Sequence[object], outputs: Sequence[object], check: Callable[..., Any] | None
) -> Callable[..., Any] | None:
    """Make what gradio asks before a request waits: a verdict for each input; None if nothing is to be checked.

    A field that any event of the page writes is left to the handler: gradio shows the state of its last output there at
    every event, such as the look for trainings each few seconds, and the sentence would be gone before it is read.

    Args:
        check: of all values together; its refusal stands at the first field that can show one.
    """
    known = {place: found for place, field in enumerate(inputs) if field not in outputs and (found := check_of(field))}
    if not known:
        assert check is None, "what is checked as a whole needs a field that shows its refusal"
        return None
    page = get_blocks_context()

    @functools.cache
    def checks() -> dict[int, Check]:
        """When it is first asked, all events of the page are known."""
        written = set() if page is None else {output for event in page.fns.values() for output in event.outputs}
        return {place: found for place, found in known.items() if inputs[place] not in written}

    def look(*values: Any) -> list[Any]:
        refused = {place: words for place, found in checks().items() if (words := _refused(found, values[place]))}
        if check is not None and checks() and not refused and (words := _refused(check, *values)):
            refused = {min(checks()): words}
        return [gr.validate(place not in refused, refused.get(place, "")) for place in range(len(inputs))]

    return look


def _refused(check: Callable[..., Any], *values: Any) -> str:
    try:
        check(*values)
    except SaseGanError as error:
        return sentence(error)
    return ""
