"""The tab Recombine: what an instant model draws from chosen training pictures, in regions, and of a photograph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from sase_gan.ui import widgets
from sase_gan.ui.events import AT_ONCE, READING, Action, at_once, clicked
from sase_gan.ui.models import Models
from sase_gan.ui.recombining import LEAST_VARIETY, MOST_DRAWN, MOST_VARIETY, Looked, RecombineHandlers
from sase_gan.ui.tracing import CONTAINS, Sources, Trace
from sase_gan.ui.tracing_view import build_sources

BRUSH = gr.Brush(default_size=48, colors=["#ff7a1a"], color_mode="fixed")


@dataclass(frozen=True)
class _Wishes:
    """What holds for all drawings of the tab, and where they are shown."""

    model: gr.Dropdown
    seed: gr.Number
    count: gr.Slider
    variety: gr.Slider
    chosen: gr.Textbox
    shown: dict[str, Any]

    @property
    def common(self) -> list[Any]:
        return [self.model, self.seed, self.count, self.variety]


def build(models: Models, model: gr.Dropdown) -> list[Action]:
    """Lay the tab out and connect its events; returns what is done in turn when it is opened."""
    handlers = RecombineHandlers(models)
    gr.Markdown(
        f"An instant model was not trained. {CONTAINS} Here you say which ones, and where.", elem_classes="intro"
    )
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            seed, count, variety, chosen, held = _build_settings(handlers, model)
        with gr.Column(scale=3, min_width=300):
            note = gr.Markdown("", elem_id="recombine-note", render=False)
            sheet = widgets.gallery_view(
                "recombine-sheet", "late", columns=4, object_fit="contain", allow_preview=False, render=False
            )
            traces = gr.State(None)
            wishes = _Wishes(model, seed, count, variety, chosen, {"gallery": sheet, "traces": traces, "note": note})
            with gr.Tabs(elem_classes="inner-tabs", overflow_behavior="wrap"):
                with gr.Tab("Whole pictures", id="whole", elem_id="tab-whole"):
                    _build_whole(handlers, wishes)
                with gr.Tab("Regions", id="regions", elem_id="tab-regions"):
                    regions = _build_regions(handlers, wishes)
                with gr.Tab("My photograph", id="photograph", elem_id="tab-photograph"):
                    _build_photograph(handlers, wishes)
            note.render()  # type: ignore[no-untyped-call]
            with gr.Row():
                with gr.Column(scale=3, min_width=280):
                    sheet.render()  # type: ignore[no-untyped-call]
                with gr.Column(scale=2, min_width=260):
                    large = widgets.image_view(
                        "The chosen picture", "recombine-large", "pictures", "large", "late", show_label=False
                    )
                    sources = build_sources(models, "recombine-sources")

    def look(event: gr.SelectData, drawn: tuple[Trace, ...] | None) -> Looked:
        return handlers.look(drawn, clicked(event))

    looked = Action(look, [traces], {"large": large, "note": note, "sources": sources}, AT_ONCE)
    looked.on(sheet.select, show_progress="hidden")

    # What was looked at closely is an earlier drawing's.
    at_once(traces.change, lambda: [None, *Sources().values()], [], [large, *sources])
    shown_of = gr.State("")
    shown = {**held, **regions, "shown_of": shown_of}
    return [Action(handlers.holdings, [model, shown_of], shown, READING)]


def _build_settings(handlers: RecombineHandlers, model: gr.Dropdown) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
    """What holds for all drawings, and the training pictures that the model holds."""
    with gr.Group():
        seed = widgets.seed_field(elem_id="recombine-seed")
        count = gr.Slider(1, MOST_DRAWN, 8, step=1, label="Pictures")
        words = "Rearranged, 0.7: larger pieces stay together. New, 1.6: smaller pieces, more often torn."
        variety = gr.Slider(
            LEAST_VARIETY, MOST_VARIETY, 1, step=0.05, label="Variety, from rearranged to new", info=words,
            elem_id="recombine-variety",
        )  # fmt: skip
    chosen = gr.Textbox(
        "", label="Chosen training pictures", info="Their numbers, such as 0, 3-5.", max_length=2000,
        elem_id="recombine-chosen",
    )  # fmt: skip
    picked = gr.HTML("", elem_id="recombine-picked")
    about = gr.Markdown("", elem_id="recombine-about")
    pictures = widgets.gallery_view(
        "recombine-pictures", "held", columns=4, buttons=[], allow_preview=False, object_fit="contain"
    )

    def toggle(event: gr.SelectData, text: str) -> str:
        return handlers.toggle(text, clicked(event))

    at_once(pictures.select, toggle, [chosen], [chosen])
    Action(handlers.show_chosen, [model, chosen], picked, AT_ONCE).on(chosen.change, show_progress="hidden")
    return seed, count, variety, chosen, {"pictures": pictures, "about": about, "chosen": chosen}


def _build_whole(handlers: RecombineHandlers, wishes: _Wishes) -> None:
    gr.Markdown(
        "New pictures from the chosen training pictures alone, as a class of its own; from all if none is chosen."
    )
    go = gr.Button("Draw", variant="primary", elem_id="recombine-draw")
    Action(handlers.draw, [*wishes.common, wishes.chosen], wishes.shown).on(go.click)


def _build_regions(handlers: RecombineHandlers, wishes: _Wishes) -> dict[str, Any]:
    gr.Markdown("Paint a region, choose training pictures at the left, and draw: they alone serve there, or do not.")
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            painting = widgets.editor("Paint a region", "recombine-canvas", BRUSH)
        with gr.Column(scale=1, min_width=240):
            ways = [("Only the chosen pictures there", "only"), ("Not the chosen pictures there", "without")]
            serves = gr.Radio(ways, value="only", label="In the painted region")
            go = gr.Button("Draw", variant="primary", elem_id="recombine-regions")
            add = gr.Button("Add another region", elem_id="recombine-add")
            clear = gr.Button("Remove all regions")
            with gr.Row():
                below = gr.Button("Paint over the seed's picture", min_width=120)
                empty = gr.Button("Empty canvas", min_width=120)
            said = gr.Markdown("", elem_id="recombine-said")
            listed = gr.HTML("", elem_id="recombine-rules")
    rules = gr.State(())
    shown = {"canvas": painting, "rules": rules, "listed": listed, "note": said}
    model, seed, chosen = wishes.model, wishes.seed, wishes.chosen
    Action(handlers.add_region, [model, painting, chosen, serves, rules], shown, READING).on(add.click)
    at_once(clear.click, lambda: ((), "", ""), [], [rules, listed, said])
    for button, how in ((below, "seed"), (empty, "empty")):
        Action(handlers.begin_canvas, [model, seed, gr.State(how)], shown).on(button.click)
    Action(handlers.draw_regions, [*wishes.common, rules, painting, chosen, serves], wishes.shown).on(go.click)
    return {"rules": rules, "listed": listed, "canvas": painting}


def _build_photograph(handlers: RecombineHandlers, wishes: _Wishes) -> None:
    gr.Markdown(
        "Variations of a photograph of the same kind as the training pictures: they begin from its layout, and what is "
        "drawn comes from the training pictures."
    )
    with gr.Row():
        with gr.Column(scale=1, min_width=240):
            upload = widgets.upload_view("recombine-upload", height=200)
            ways = [("Vary all of it", "vary"), ("Only where I paint", "painted")]
            way = gr.Radio(ways, value="vary", label="What may change")
            words = "0.2 changes details, 0.5 parts, 0.8 nearly all."
            strength = gr.Slider(0, 1, 0.5, step=0.05, label="Strength", info=words, elem_id="recombine-strength")
            go = gr.Button("Draw", variant="primary", elem_id="recombine-photograph")
            said = gr.Markdown("")
        with gr.Column(scale=2, min_width=280, visible=False) as place:
            painting = widgets.editor("Paint over what may change", "recombine-inpaint", BRUSH)
    cut = Action(handlers.photograph, [wishes.model, upload, way], {"canvas": painting, "note": said}, READING)
    cut.on(upload.change)
    shown = at_once(
        way.change,
        lambda how: (gr.update(visible=how == "painted"), gr.update(visible=how == "vary")), [way], [place, strength],
    )  # fmt: skip
    # A canvas that was hidden while its picture came does not show it.
    cut.on(shown.success)
    Action(handlers.draw_photograph, [*wishes.common, upload, way, strength, painting], wishes.shown).on(go.click)
