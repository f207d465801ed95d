"""What the page shows, in its address: model, tab, seed, class, and the picture in Explore.

So Back works, and a link can be sent to others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr

from sase_gan.drawing.sampling import MAX_SEED
from sase_gan.ui.events import listed_anew, relisted

FIRST_TAB = "generate"


def from_address(query: Mapping[str, str], names: Sequence[str], current: object, tabs: Sequence[str]) -> list[Any]:
    """Read an address: updates of the list of models, of the seed and of the tabs.

    What is not there, or means nothing here, leaves the page as it begins, and what a quick visitor has chosen by then:
    links grow old.

    Args:
        names: of the models there are; current: the one that is chosen.
        tabs: the ids that may be opened.
    """
    wanted, seed, tab = query.get("model", ""), query.get("seed", ""), query.get("tab", "")
    known = seed.isascii() and seed.isdecimal() and len(seed) <= len(str(MAX_SEED)) and int(seed) <= MAX_SEED
    return [
        relisted(names, wanted) if wanted in names else listed_anew(names, current),
        int(seed) if known else gr.skip(),
        gr.update(selected=tab) if tab in tabs else gr.skip(),
    ]


def written(
    trigger: Callable[..., Any], key: str, source: gr.components.Component | None = None, value: str = ""
) -> None:
    """Write a component's value, or a fixed one, into the address when it is triggered; the server is not asked."""
    taken = "(value) => window.inAddress" if source is not None else "() => window.inAddress"
    shown = "value" if source is not None else f"'{value}'"
    inputs = None if source is None else [source]
    trigger(None, inputs, None, js=f"{taken}('{key}', {shown})", api_visibility="private", show_progress="hidden")
