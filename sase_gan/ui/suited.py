"""Parts of the page that suit some kinds of models only: of another kind a sentence stands in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import gradio as gr

from sase_gan.errors import SaseGanError
from sase_gan.markdown import escaped
from sase_gan.ui.entries import GENERATOR, INSTANT, INSTANT_OF_ONE, Entry
from sase_gan.ui.events import Action, Trigger, at_once, in_turn
from sase_gan.ui.models import Models, without_network

Refusal = Callable[[Entry], str]
"""Why a part does not suit a model, as a sentence; nothing if it does."""
OpenTabs = Sequence[tuple[gr.State, str]]
"""States that name an open tab, each with the tab that must be open."""
InTurn = Callable[..., None]
"""Takes a trigger, open tabs and actions, and does them in turn where the chosen model suits and they are in sight."""
# In the queue, where an error is an answer, outside of which the browser would complain; but waiting for nothing.
PROMPT = {"concurrency_limit": None}


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


def in_sight(trigger: Trigger, open_tabs: OpenTabs, *actions: Action) -> None:
    """Do actions in turn if all the tabs are open that they are on: others draw when they are opened."""

    def go_on(*names: str) -> None:
        if names != tuple(name for _, name in open_tabs):
            raise gr.Error("This is not in sight.", visible=False, print_exception=False)

    in_turn(trigger, Action(go_on, [state for state, _ in open_tabs], [], PROMPT), *actions)


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

        def begin(trigger: Trigger, open_tabs: OpenTabs, *actions: Action) -> None:
            looked = at_once(trigger, look, [model], [notice, work])
            in_sight(looked.then, open_tabs, Action(go_on, [model], [], PROMPT), *actions)

        yield begin
