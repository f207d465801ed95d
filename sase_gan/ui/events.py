"""Events of the page: which handler answers, what it is given, and which component shows which part of its result.

A handler is a plain function that knows nothing of the page. It returns a value, a pair, or a frozen dataclass with a
field for everything that is shown; the tab's layout says where, in an `Action`.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, get_type_hints

import gradio as gr
from gradio.context import LocalContext, get_blocks_context

from sase_gan.ui.fields import looked_at_first
from sase_gan.ui.markup import refusal

Place = Any
"""A component of gradio's."""
Trigger = Callable[..., Any]
"""What happens in the page, such as `button.click`."""

# Everything that computes with a network waits in one line: two at once would only slow each other down.
DEVICE: Mapping[str, Any] = {"concurrency_id": "device", "concurrency_limit": 1}
# What may take minutes has a line of its own, so that nobody waits for it who wants a picture.
LONG: Mapping[str, Any] = {"concurrency_id": "long", "concurrency_limit": 1}
# Reading pictures takes the processors too, and need not wait for drawings.
READING: Mapping[str, Any] = {"concurrency_id": "reading", "concurrency_limit": 1}
# What comes back within no time needs no line.
AT_ONCE: Mapping[str, Any] = {"queue": False}

TEXTS = (gr.Markdown, gr.HTML)
# What shows results, or remembers them; what is left is fields.
UNSEEN = (gr.State, gr.Column)
RESULTS = (*TEXTS, *UNSEEN, gr.Image, gr.Gallery, gr.Video, gr.File, gr.ImageEditor)

BAR = gr.Progress()
"""The browser's progress bar, as default of a handler's argument: gradio finds it there, for the event that runs."""


@dataclass(frozen=True)
class Action:
    """A handler, what it is given, and where its result is shown.

    What the handler refuses stands as a sentence in the first text among the outputs, and the work stays as it is.
    Programs that ask for it by its name get an error instead.

    Attributes:
        inputs: components whose values are the handler's arguments.
        outputs: the component of a value, those of a pair, or by name that of each shown field of a dataclass; a list
            of them for a field that holds as many values.
        options: for gradio; by default it waits for the device.
        check: refuses arguments before they wait in the queue, by an error.
        judges: whether the result is a statement on what is given, which does not stand when the next is refused.

    Raises:
        TypeError: when the page is built, for a field that the result does not have.
    """

    handler: Callable[..., Any]
    inputs: Sequence[Place]
    outputs: Place | list[Place] | Mapping[str, Place | list[Place]]
    options: Mapping[str, Any] = field(default_factory=lambda: DEVICE)
    check: Callable[..., Any] | None = None
    judges: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.outputs, Mapping):
            result = get_type_hints(inspect.unwrap(self.handler))["return"]
            unknown = set(self.outputs) - {known.name for known in fields(result)}
            if unknown:
                raise TypeError(f"{result.__name__} has no field {sorted(unknown)}; name its fields in the outputs")

    def on(self, trigger: Trigger, api: str | None = None, **options: Any) -> Any:
        """Answer a trigger of the page; under the name `api` other programs may ask for it too."""
        answer, inputs, outputs = self.handler, list(self.inputs), self.outputs
        if isinstance(outputs, Mapping):
            answer = _by_field(self.handler, outputs)
            outputs = [one for place in outputs.values() for one in (place if isinstance(place, list) else [place])]
        elif not isinstance(outputs, list):
            outputs = [outputs]
        if api is not None:
            named = {"api_name": api, "api_visibility": "public"}
            # Of no trigger: the page has its own, which answers with sentences where programs want errors.
            gr.on([], answer, inputs, outputs, **{**named, **self.options})
        options = {"api_visibility": "private", **self.options, **options}
        if shown := [place for place in outputs if isinstance(place, RESULTS) and not isinstance(place, UNSEEN)]:
            # Not on fields that are written too: they would lose the sentence on what they do not take.
            options.setdefault("show_progress_on", shown)
        if options.get("queue", True) and (looked := looked_at_first(inputs, outputs, self.check)) is not None:
            options["validator"] = looked
        return trigger(_beside(answer, outputs, self.judges), inputs, outputs, **options)


def _beside(answer: Callable[..., Any], outputs: list[Place], judges: bool) -> Callable[..., Any]:
    """The handler with its refusals as sentences in the first text among the outputs, Markdown before HTML.

    gradio's own errors hide what the page shows, and go after ten seconds.
    """
    texts = sorted((isinstance(o, gr.HTML), place) for place, o in enumerate(outputs) if isinstance(o, TEXTS))

    @functools.wraps(answer)
    def told(*arguments: Any) -> Any:
        try:
            return answer(*arguments)
        except gr.Error as error:
            if not texts or not error.visible:
                raise
            values = [blank(place) if judges else gr.skip() for place in outputs]
            values[texts[0][1]] = refusal(str(error.message))
            return values if len(values) > 1 else values[0]

    return told


def _by_field(handler: Callable[..., Any], outputs: Mapping[str, Place | list[Place]]) -> Callable[..., Any]:
    """The handler with the shown fields of its result as a list."""

    @functools.wraps(handler)
    def answer(*arguments: Any) -> Any:
        result = handler(*arguments)
        values: list[Any] = []
        for name, place in outputs.items():
            value = getattr(result, name)
            values += value if isinstance(place, list) else [value]
        return values if len(values) > 1 else values[0]

    return answer


def open_tab(tabs: Sequence[gr.Tab]) -> gr.State:
    """Remember by its id which of some tabs is open, the first at first."""
    opened = gr.State(tabs[0].id)
    for tab in tabs:
        at_once(tab.select, functools.partial(str, tab.id), [], [opened])
    return opened


def in_turn(trigger: Trigger, *actions: Action) -> None:
    """Do the first when it is triggered, and each other one after the success of that before."""
    for action in actions:
        trigger = action.on(trigger).success


def blank(place: Place) -> Any:
    """What a component shows before anything was done."""
    if isinstance(place, gr.Column):
        return gr.update(visible=place.visible)
    return copy.deepcopy(place.value)


def forget(source: Place, *more: Place, lasting: Sequence[Place] = ()) -> Trigger:
    """Clear all that was made of a component's value, directly or of what was made of it, as soon as it changes.

    What is under way with the former value is cancelled.

    Args:
        more: is cleared too, though what makes it of the value comes later.
        lasting: stays all the same, with what is made of it alone.

    Returns:
        A trigger for what is to be done after that.
    """
    page = get_blocks_context()
    assert page is not None, "events belong to a page"
    made, found = {source}, [source]
    events = dict[int, Any]()
    while found:
        found = []
        for number, event in page.fns.items():
            if event.fn is not None and made.intersection(event.inputs):
                events[number] = event
                results = [each for each in event.outputs if isinstance(each, RESULTS) and each not in lasting]
                found += [each for each in results if each not in made]
                made.update(found)
    places = sorted({*made, *more} - {source}, key=lambda place: place._id)
    waiting = [event.get_config() for event in events.values() if event.queue]
    cleared = source.change(
        lambda: list(map(blank, places)), [], places, api_visibility="private", cancels=waiting, **AT_ONCE
    )
    return cleared.then


def moved_by_hand(sliders: Sequence[Place], action: Action) -> None:
    """Draw again when a slider is moved, be it dragged, by arrow keys, or by a number that is typed.

    Gradio tells of a release for the pointer alone. While one drawing is made, only the newest position waits.
    """
    triggers = [trigger for slider in sliders for trigger in (slider.input, slider.release)]
    action.on(functools.partial(gr.on, triggers), trigger_mode="always_last")


def at_once(trigger: Trigger, change: Callable[..., Any], inputs: Sequence[Place], outputs: Sequence[Place]) -> Any:
    """Change the page without waiting for anything; returns the event."""
    return trigger(change, list(inputs), list(outputs), api_visibility="private", **AT_ONCE)


def clicked(event: gr.SelectData) -> int:
    """The place in a gallery that was clicked."""
    return int(event.index[0] if isinstance(event.index, list) else event.index)


def reporter(progress: gr.Progress, words: str) -> Callable[[int, int], None]:
    """Make a callback (done, total) that moves the browser's progress bar, and ends what nobody waits for any more."""

    def tell(done: int, total: int) -> None:
        if not is_wanted():
            raise gr.Error("This was cancelled.", visible=False, print_exception=False)
        progress((done, total), desc=words)

    return tell


def is_wanted() -> bool:
    """Whether somebody still waits for the event that runs: it was not cancelled, and its page is not closed."""
    page, event = LocalContext.blocks.get(None), LocalContext.event_id.get(None)
    if page is None or event is None:  # called as a function
        return True
    found = page._queue.event_ids_to_events.get(event)
    return found is not None and found.alive


def relisted(names: Sequence[str], current: object = None) -> Any:
    """Show a list as it is now: what is chosen stays if it is still there, else the first is."""
    return gr.update(choices=list(names), value=current if current in names else next(iter(names), None))


def listed_anew(names: Sequence[str], current: object = None) -> Any:
    """Show a list as it is now where the visitor may choose meanwhile: the value is left alone if it is still there.

    On a busy machine the answer comes when something else has been chosen since the question.
    """
    return gr.update(choices=list(names)) if current in names else relisted(names, current)
