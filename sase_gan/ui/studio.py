"""The page: header, list of models, tabs."""

from __future__ import annotations

import html
import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

import gradio as gr

from sase_gan.errors import SaseGanError
from sase_gan.markdown import escaped
from sase_gan.networks.finished import FinishedGenerator
from sase_gan.recombination.model import Recombiner
from sase_gan.ui import close_up, walking
from sase_gan.ui.address import from_address, written
from sase_gan.ui.carrying import Destination, carry
from sase_gan.ui.checks import sentence
from sase_gan.ui.class_choice import Known, classes_of, named_in_address
from sase_gan.ui.events import Action, at_once, forget, in_turn, listed_anew, open_tab
from sase_gan.ui.markup import refusal
from sase_gan.ui.models import Models
from sase_gan.ui.pictures import Sheet
from sase_gan.ui.suited import PROMPT, InTurn, holds_no_pictures, in_sight, lacks, suited
from sase_gan.ui.tabs import evaluate, explore, generate, layers, mix, picture, recognise, recombine, train
from sase_gan.ui.tracing import CONTAINS
from sase_gan.ui.training_view import follow
from sase_gan.ui.trainings import Trainings
from sase_gan.ui.uploads import guard_components
from sase_gan.ui.widgets import open_list

logger = logging.getLogger(__name__)
TITLE = "sase_gan studio"

LIGHT_AND_DARK = {
    "body_background_fill": ("*neutral_50", "*neutral_950"),
    # Gradio's own grey and teal for these are too pale to be read by everybody: 4.5 to 1 and more is asked for.
    "body_text_color_subdued": ("*neutral_600", "*neutral_400"),
    "block_info_text_color": ("*neutral_600", "*neutral_400"),
    "block_title_text_color": ("*neutral_700", "*neutral_300"),
    "block_background_fill": ("white", "*neutral_900"),
    "block_border_color": ("*neutral_200", "*neutral_800"),
    "button_primary_background_fill": ("*primary_700", "*primary_600"),
    "block_label_background_fill": ("rgba(255, 255, 255, 0.9)", "*neutral_900"),
    "block_label_text_color": ("*neutral_700", "*neutral_300"),
}


class Page(gr.Blocks):
    """A page that answers values of a wrong kind with a sentence, where gradio would answer with nothing."""

    async def preprocess_data(self, *args: Any, **kwargs: Any) -> Any:
        """Do as gradio does, but answer with a sentence.

        Raises:
            gr.Error: for a value of a wrong kind.
        """
        try:
            return await super().preprocess_data(*args, **kwargs)
        except gr.Error:
            raise
        except Exception as error:
            logger.info("a request was refused: %s", error)
            message = "A value of this request is of a wrong kind or missing; 'Use via API' on the page tells which."
            raise gr.Error(message, title="That did not work", print_exception=False) from error


def build_blocks(models: Models, trainings: Trainings) -> gr.Blocks:
    """Build the whole page with all its events, over the models of a list and the trainings of a folder.

    Reads straight down, as the page looks.
    """
    guard_components()
    with Page(title=TITLE, analytics_enabled=False, fill_width=True) as blocks:
        with gr.Row(elem_id="header", equal_height=False):
            gr.HTML(
                "<h1>sase_gan <span>studio</span></h1><p>Pictures from very few pictures, looked at closely.</p>",
                elem_id="brand",
                min_width=260,
            )
            with gr.Column(min_width=300, elem_id="model-column"):
                model = open_list(models.names(), "Model", "model", interactive=True)
                facts = gr.Markdown("", elem_id="model-facts")
        known = gr.State(Known())  # the classes of the model
        with gr.Tabs(elem_id="tabs", overflow_behavior="wrap") as tabs:
            with gr.Tab("Generate", id="generate", elem_id="tab-generate") as generating:
                generated = generate.build(models, model, known)
            with gr.Tab("Explore", id="explore", elem_id="tab-explore") as exploring:
                explored = explore.build(models, model, known)
            looking = gr.Tab("Layers", id="layers", elem_id="tab-layers")
            with looking, suited(models, model, lacks("layers")) as begin_layers:
                layer_picture, look = layers.build(models, model)
            mixing = gr.Tab("Mix", id="mix", elem_id="tab-mix")
            with mixing, suited(models, model, lacks("layers to mix")) as begin_mix:
                rows, columns, mixed = mix.build(models, model, known)
            recombining = gr.Tab("Recombine", id="recombine", elem_id="tab-recombine")
            with recombining, suited(models, model, holds_no_pictures) as begin_recombine:
                held = recombine.build(models, model)
            with gr.Tab("One picture", id="picture", elem_id="tab-picture") as single:
                show_picture, picture_training = picture.build(models, trainings)
            with gr.Tab("Train", id="train", elem_id="tab-train") as training:
                set_training, starts = train.build(trainings, models)
            with gr.Tab("Evaluate", id="evaluate", elem_id="tab-evaluate") as evaluating:
                reports = evaluate.build(models, trainings, model)
            with gr.Tab("Recognise", id="recognise", elem_id="tab-recognise") as recognising:
                recognisers = recognise.build(models)
        shown = {**set_training.shown, **picture_training.shown, "models": model}
        follow(trainings, models, shown, [*set_training.triggers, *picture_training.triggers])

        def refresh(name: str | None) -> Any:
            return listed_anew(models.names(), name)

        told, learn = (
            Action(partial(_facts, models), [model], facts),
            Action(partial(classes_of, models), [model], known),
        )
        # The list as it is on disk, whenever it is opened: trainings end while the page is open.
        at_once(model.focus, refresh, [model], [model])
        every = (generating, exploring, looking, mixing, recombining, single, training, evaluating, recognising)

        def begin_page(name: str | None, request: gr.Request) -> list[Any]:
            query, names = request.query_params, models.names()
            wanted = query.get("model", "")
            named = named_in_address(query, models, wanted if wanted in names else name)
            return [*from_address(query, names, name, [str(tab.id) for tab in every]), named]

        def begin_classes(name: str, request: gr.Request) -> tuple[Any, Any]:
            found = classes_of(models, name)
            return found, generate.offered_classes(found, request.query_params.get("class", ""))

        begun = at_once(blocks.load, begin_page, [model], [model, generated.seed, tabs, explored.centre])
        # In the queue: gradio tells the page of a changed state for what comes from there alone.
        learnt = Action(begin_classes, [model], [known, generated.kind], PROMPT).on(begun.then)
        generated.redraw.on(learnt.then)
        written(model.change, "model", model)
        written(generated.seed.change, "seed", generated.seed)
        written(generated.kind.change, "class", generated.kind)
        written(explored.centre.change, "picture", explored.centre)
        for tab in every:
            written(tab.select, "tab", value=str(tab.id))
        told.on(blocks.load)
        in_turn(single.select, show_picture)
        in_turn(evaluating.select, reports)
        in_turn(training.select, starts)
        recognisers.on(recognising.select, show_progress="hidden")
        parts: list[tuple[gr.Tab, InTurn, list[Action]]] = [
            (generating, in_sight, [generated.redraw]),
            (exploring, explored.draw, []),
            (looking, begin_layers, look),
            (mixing, begin_mix, mixed),
            (recombining, begin_recombine, held),
        ]
        # A tab draws when it is opened, and when another model is chosen while it is.
        opened = open_tab(every)
        undrawn = Action(_is_undrawn, [model, generated.sheet], [], PROMPT)
        for tab, begin, actions in parts:
            begin(tab.select, [], *([undrawn] if tab is generating else []), *actions)
        changed = forget(model, lasting=(*generated.lasting, known))
        told.on(changed)
        learn.on(changed)
        for tab, begin, actions in parts:
            begin(changed, [(opened, tab.id)], *actions)
        places = (
            Destination(close_up.MAP, "explore", explored.centre, within=(explored.tabs, "neighbours")),
            Destination(close_up.LAYERS, "layers", layer_picture),
            Destination(close_up.SHAPES, "mix", rows, mix.MOST_ROWS),
            Destination(close_up.APPEARANCE, "mix", columns, mix.MOST_ROWS),
            Destination(close_up.WALK, "explore", explored.stations, walking.MOST_STATIONS, collects=True),
        )
        for view in (generated.close, explored.brought):
            carry((view.picked, view.model), model, tabs, view.buttons, places)
    return blocks


def _is_undrawn(model: str, sheet: Sheet | None) -> None:
    """Go on only where nothing of the model is drawn.

    A drawing of the former model that was cancelled when it was all but done is remembered after all.
    """
    if sheet is not None and sheet.model == model:
        raise gr.Error("This is drawn already.", visible=False, print_exception=False)


def _facts(models: Models, name: str) -> str:
    """Say in one line what the model is."""
    try:
        opened = models.open(name)
    except SaseGanError as error:
        return refusal(html.escape(sentence(error)))
    network, data = opened.network, opened.data
    words = {"grey": ", grey", "rgba": ", with transparency"}.get(network.config.colours, "")
    if isinstance(network, Recombiner):
        (height, width), count = network.size, network.config.count
        what = "one picture" if count == 1 else f"{count} pictures"
        what += _classes(network.config.classes)
        return f"{width} × {height} px{words} · instant, made of {what} without training. {CONTAINS}"
    height, width = network.config.picture_size
    parts = [f"{width} × {height} px{words}"]
    if data.get("count"):
        of = _classes(network.config.classes)
        parts.append(f"trained on {data['count']} pictures{of} ({escaped(data.get('name') or 'unnamed')})")
    seen = opened.network.provenance.get("images_seen")
    if isinstance(seen, int):
        parts.append(f"{seen:,} images seen")
    parameters = sum(p.numel() for p in opened.network.parameters())
    parts.append(f"{parameters / 1e6:.1f} M parameters")
    told = " · ".join(parts)
    return f"{told} · finished with patches. {CONTAINS}" if isinstance(network, FinishedGenerator) else told


def _classes(names: Sequence[str]) -> str:
    return f" of {len(names)} classes" if names else ""


def theme() -> gr.themes.Base:
    """Choose colours and type of the studio: system fonts only, so that nothing is asked for from elsewhere."""
    made = gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.stone,
        radius_size=gr.themes.sizes.radius_md,
        font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
        font_mono=["ui-monospace", "Menlo", "Consolas", "monospace"],
    )
    light = {name: colour for name, (colour, _) in LIGHT_AND_DARK.items()}
    dark = {f"{name}_dark": colour for name, (_, colour) in LIGHT_AND_DARK.items()}
    return made.set(
        **light,
        **dark,
        color_accent="*primary_700",
        button_primary_background_fill_hover="*primary_600",
        button_primary_text_color="white",
        slider_color="*primary_700",
    )
