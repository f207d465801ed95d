"""Parts of the page that suit some kinds of models only: of another kind a sentence stands in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr

from sase_gan.errors import SaseGanError
from sase_gan.ui.entries import GENERATOR, INSTANT, INSTANT_OF_ONE, Entry
from sase_gan.ui.events import Action, Trigger, at_once, in_turn
from sase_gan.ui.markup import escaped
from sase_gan.ui.models import Models, without_network

Refusal = Callable[[Entry], str]
"""Why a part does not suit a model, as a sentence; nothing if it does."""
InTurn = Callable[..., None]
"""Takes a trigger and actions, and does them in turn where the chosen model suits; without actions it only looks."""


def lacks(wanted: str) -> Refusal:
    """Refuse models that have no network; `wanted` names what the part shows of one, in the plural."""
    return lambda entry: "" if entry.kind == GENERATOR else without_network(entry.name, wanted)


def holds_no_pictures(entry: Entry) -> str:
    """Say why a model cannot be recombined, as a sentence; nothing if it can."""
    if entry.kind in (INSTANT, INSTANT_OF_ONE):
        return ""
    return (
        f"{entry.name} is a trained model, which holds no training pictures to choose from; make an instant model of "
        "your pictures in the tab Train, or choose one above."
    )


@contextmanager
def suited(models: Models, model: gr.Dropdown, refusal: Refusal) -> Iterator[InTurn]:
    """Lay out within the block what suits some models; gives what begins actions there."""
    notice = gr.Markdown("", visible=False, elem_classes="intro")
    with gr.Column(elem_classes="suited") as work:

        def why(name: str | None) -> str:
            try:
                return refusal(models.find(name))
            except SaseGanError:
                return ""  # the handlers say what is wrong with it

        def look(name: str | None) -> tuple[Any, Any]:
            words = why(name)
            return gr.update(value=escaped(words), visible=bool(words)), gr.update(visible=not words)

        def go_on(name: str | None) -> None:
            if words := why(name):
                raise gr.Error(words, visible=False, print_exception=False)

        def begin(trigger: Trigger, *actions: Action) -> None:
            looked = at_once(trigger, look, [model], [notice, work])
            if actions:
                # In the queue, where an error is an answer; outside of it the browser would complain.
                in_turn(looked.then, Action(go_on, [model], [], {"concurrency_limit": None}), *actions)

        yield begin
    begin(model.change)
