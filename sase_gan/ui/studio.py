"""The page: header, list of models, tabs."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import gradio as gr

from sase_gan.drawing.recipes import Recipe
from sase_gan.errors import SaseGanError, UsageError
from sase_gan.ui.models import Models
from sase_gan.ui.tabs import evaluate as evaluate_tab
from sase_gan.ui.tabs import explore as explore_tab
from sase_gan.ui.tabs import generate
from sase_gan.ui.tabs import layers as layers_tab
from sase_gan.ui.tabs import mix as mix_tab
from sase_gan.ui.tabs import picture as picture_tab
from sase_gan.ui.tabs import recognise as recognise_tab
from sase_gan.ui.tabs import train as train_tab
from sase_gan.ui.trainings import Trainings
from sase_gan.ui.uploads import guard_components
from sase_gan.ui.widgets import DEVICE, escaped, open_choice, sentences

logger = logging.getLogger(__name__)
TITLE = "sase_gan studio"
# Temporary pictures older than an hour are removed every ten minutes, and the whole folder at the end.
DELETE_CACHE = (600, 3600)


@dataclass(frozen=True)
class Studio:
    """What the page is built over.

    Attributes:
        models: the list.
        runs: folder for evaluations.
        trainings: that may be started.
    """

    models: Models
    runs: Path
    trainings: Trainings


class Page(gr.Blocks):
    """A page that answers values of a wrong kind with a sentence, where gradio would answer with nothing."""

    async def preprocess_data(self, *args: Any, **kwargs: Any) -> Any:
        """As gradio's."""
        try:
            return await super().preprocess_data(*args, **kwargs)
        except gr.Error:
            raise
        except Exception as error:
            logger.info("a request was refused: %s", error)
            message = "A value of this request is of a wrong kind or missing; 'Use via API' on the page tells which."
            raise gr.Error(message, title="That did not work", print_exception=False) from error


def build_blocks(studio: Studio) -> gr.Blocks:
    """The whole page with all its events."""
    guard_components()
    models = studio.models
    with Page(title=TITLE, analytics_enabled=False, delete_cache=DELETE_CACHE, fill_width=True) as blocks:
        names = models.names()
        with gr.Row(elem_id="header", equal_height=False):
            gr.HTML(
                "<h1>sase_gan <span>studio</span></h1><p>Pictures from very few pictures, looked at closely.</p>",
                elem_id="brand",
                min_width=260,
            )
            with gr.Column(min_width=300, elem_id="model-column"):
                model = open_choice(
                    gr.Dropdown(
                        names,
                        value=names[0] if names else None,
                        label="Model",
                        filterable=False,
                        elem_id="model",
                        interactive=True,
                    )
                )
                facts = gr.Markdown("", elem_id="model-facts")
        with gr.Tabs(elem_id="tabs", overflow_behavior="wrap"):
            with gr.Tab("Generate", id="generate", elem_id="tab-generate"):
                drawing = generate.build(models, model)
            with gr.Tab("Explore", id="explore", elem_id="tab-explore") as explore:
                exploring = explore_tab.build(models, model)
            with gr.Tab("Layers", id="layers", elem_id="tab-layers") as layers:
                looking = layers_tab.build(models, model)
            with gr.Tab("Mix", id="mix", elem_id="tab-mix") as mixing:
                mixes = mix_tab.build(models, model)
            with gr.Tab("One picture", id="picture", elem_id="tab-picture") as single:
                one_picture = picture_tab.build(models, studio.trainings)
            with gr.Tab("Train", id="train", elem_id="tab-train"):
                training = train_tab.build(studio.trainings, models)
            with gr.Tab("Evaluate", id="evaluate", elem_id="tab-evaluate") as evaluating:
                measuring = evaluate_tab.build(models, studio.runs, model)
            with gr.Tab("Recognise", id="recognise", elem_id="tab-recognise") as recognising:
                recognition = recognise_tab.build(models)
        train_tab.follow(training, one_picture, model)
        private: dict[str, Any] = {"api_visibility": "private", **DEVICE}
        sample = (drawing["handlers"].redraw, drawing["inputs"], drawing["outputs"])
        blocks.load(lambda name: _refresh(models, name), [model], [model], api_visibility="private", queue=False).then(
            *sample, **private
        )
        blocks.load(lambda name: _facts(models, name), [model], [facts], **private)
        model.change(lambda name: _facts(models, name), [model], [facts], **private)
        model.input(*sample, **private)
        # A tab draws when it is opened, with the model of that moment.
        explore.select(*exploring["on_open"], **private)
        layers.select(*looking["gates"], **private).success(*looking["look"], **private).success(
            *looking["edit"], **private
        )
        mixing.select(*mixes["sizes"], **private).success(*mixes["run"], **private)
        single.select(*one_picture["on_open"], **private)
        recognising.select(*recognition["on_open"], show_progress="hidden", **private)
        evaluating.select(*measuring["on_open"], api_visibility="private", queue=False)
        # The list as it is on disk, whenever it is opened: trainings end while the page is open.
        model.focus(lambda name: _refresh(models, name), [model], [model], api_visibility="private", queue=False)
        drawing["to_walk"].click(
            _add_station,
            [drawing["picked"], exploring["stations"]],
            [exploring["stations"]],
            api_visibility="private",
            queue=False,
        )
    return blocks


def _refresh(models: Models, name: str | None) -> Any:
    """The list as it is on disk now."""
    names = models.names()
    return gr.update(choices=names, value=name if name in names else (names[0] if names else None))


@sentences
def _add_station(picked: Recipe | None, stations: str) -> str:
    if picked is None:
        raise UsageError("No picture is chosen; click one first.")
    gr.Info(f"Picture {escaped(picked.name)} is part of the walk now: see the tab Explore, Walk.")
    return f"{stations.rstrip(', ')}, {picked.name}".lstrip(", ")


def _facts(models: Models, name: str) -> str:
    """One line about the model."""
    try:
        opened = models.open(name)
    except SaseGanError as error:
        return str(error)
    config = opened.network.config
    parts = [f"{config.image_size} × {config.image_size} px"]
    data = opened.data
    if data.get("count"):
        parts.append(f"trained on {data['count']} pictures ({escaped(data.get('name') or 'unnamed')})")
    seen = opened.network.provenance.get("images_seen")
    if isinstance(seen, int):
        parts.append(f"{seen:,} images seen")
    parameters = sum(p.numel() for p in opened.network.parameters())
    parts.append(f"{parameters / 1e6:.1f} M parameters")
    return " · ".join(parts)


def theme() -> gr.themes.Base:
    """Colours and type of the studio: system fonts only, so that nothing is asked for from elsewhere."""
    made = gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.stone,
        radius_size=gr.themes.sizes.radius_md,
        font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
        font_mono=["ui-monospace", "Menlo", "Consolas", "monospace"],
    )
    return made.set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        # Gradio's own grey and teal for these are too pale to be read by everybody: 4.5 to 1 and more is asked for.
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
        block_title_text_color="*neutral_700",
        block_title_text_color_dark="*neutral_300",
        color_accent="*primary_700",
        block_background_fill="white",
        block_background_fill_dark="*neutral_900",
        block_border_color="*neutral_200",
        block_border_color_dark="*neutral_800",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_600",
        button_primary_background_fill_dark="*primary_600",
        button_primary_text_color="white",
        slider_color="*primary_700",
        block_label_background_fill="rgba(255, 255, 255, 0.9)",
        block_label_background_fill_dark="*neutral_900",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_300",
    )


def asset(name: str) -> str:
    """The studio's own CSS or script."""
    return resources.files("sase_gan.ui").joinpath(name).read_text(encoding="utf-8")
