"""The tab Recognise: classes or objects in an uploaded picture by a backbone of ours, with what its attention did."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import torch
from PIL import Image
from torch import Tensor, nn

from sase_gan.datasets.sources import bundled_data
from sase_gan.drawing.gates import rewired
from sase_gan.layers.attentive_norm import AttentiveNorm
from sase_gan.layers.sase_recognition import SASEConv2d
from sase_gan.markdown import escaped
from sase_gan.pixels import read_image
from sase_gan.resizing import at_size
from sase_gan.ui import own_pictures, widgets
from sase_gan.ui.checks import chosen, number, sentences
from sase_gan.ui.entries import CLASSIFIER, DETECTOR
from sase_gan.ui.events import Action, at_once, forget, listed_anew
from sase_gan.ui.markup import attention_html, framing, quiet, weights_html
from sase_gan.ui.models import Models
from sase_gan.ui.pictures import enlarged, picture
from sase_gan.ui.uploads import read_upload

SOURCES = ("upload", "example")
EXAMPLES = 6
NONE_YET = (
    "There is no classifier or detector yet. Train one with `sase-gan classify train` or `sase-gan detect train` and "
    "start the studio with `--models` and its folder."
)
MOST_CLASSES, MOST_OBJECTS, MOST_NAMED = 5, 100, 12
LONGEST_SIDE, SHOWN_SIDE = 1024, 320


@dataclass(frozen=True)
class Recognised:
    """The picture with what was found, words on it, the attention and its weights; all but the picture as HTML."""

    shown: Image.Image
    words: str
    attention: str
    weights: str


@dataclass(frozen=True)
class About:
    """What a model recognises, the least score, which objects alone have, and the list where it changed."""

    about: str
    threshold: Any
    models: Any = field(default_factory=gr.skip)


class RecogniseHandlers:
    """What the tab does."""

    def __init__(self, models: Models) -> None:
        self.models = models

    @sentences
    def recognise(
        self, model: str, source: str = "example", file: str | None = None, threshold: float = 0.5, which: int = 0
    ) -> Recognised:
        """Name classes, or find objects, and show the attention; returns a picture and three pieces of HTML.

        Args:
            threshold: Least score of an object that is drawn, 0 to 1.
            which: Of the bundled pictures, from 0.
        """
        least = number(threshold, 0, 1, "The least score")
        image = read_upload(file) if chosen(source, SOURCES, "The picture") == "upload" else example(which)
        opened = self.models.open_recogniser(model)
        longest = max(image.shape[1:])
        if longest > LONGEST_SIDE:
            image = at_size(image, tuple(max(1, round(side * LONGEST_SIDE / longest)) for side in image.shape[1:]))
        network, seen = watched(opened.network)
        is_classifier = opened.entry.kind == CLASSIFIER
        shown, words = _classify(network, image) if is_classifier else _detect(network, image, least)
        frame = framing(opened.network, opened.entry.kind, image) if seen["maps"] else None
        attention, weights = attention_html(seen["maps"], frame), weights_html(seen["weights"])
        return Recognised(enlarged(picture(shown), SHOWN_SIDE), words, attention, weights)

    @sentences
    def about(self, model: str | None) -> About:
        """Say what a model recognises, in a sentence."""
        if model is None:
            return About(NONE_YET, gr.update(visible=False))
        opened = self.models.open_recogniser(model)
        names = opened.network.config.classes
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        what = "Finds" if opened.entry.kind == DETECTOR else "Tells apart"
        words = f"{what} {', '.join(map(escaped, names[:MOST_NAMED]))}{more}."
        return About(words, gr.update(visible=opened.entry.kind == DETECTOR))

    def refresh(self, model: str | None) -> About:
        """Show the list as it is now and its chosen model."""
        names = self.models.names(CLASSIFIER, DETECTOR)
        name = model if model in names else next(iter(names), None)
        return replace(self.about(name), models=listed_anew(names, model))


def example(which: int = 0) -> Tensor:
    """Read a bundled picture: shapes, on which the small detectors are tested."""
    return read_image(examples()[which % EXAMPLES])


def examples() -> list[Path]:
    """Find the bundled pictures that are offered."""
    return sorted((bundled_data("shapes") / "test").glob("*.png"))[:EXAMPLES]


def watched(network: nn.Module) -> tuple[Any, dict[str, dict[str, Tensor]]]:
    """Make a twin of a network that shares its weights and notes its attention.

    Returns:
        The twin, and what it will have noted of the first picture: "maps" `[height, width]` in [0, 1] of each SASE
        convolution, "weights" `[components]` of each attentive normalization.
    """
    seen: dict[str, dict[str, Tensor]] = {"maps": {}, "weights": {}}
    overrides: dict[str, dict[str, Callable[..., Any]]] = {}
    for path, module in network.named_modules():
        if isinstance(module, SASEConv2d):
            overrides[path] = {"forward": partial(_noted_map, module, path, seen["maps"])}
        elif isinstance(module, AttentiveNorm):
            noted = partial(_noted_weights, module.weights_of, path, seen["weights"])
            overrides[path] = {"weights_of": noted}
    return (rewired(network, overrides) if overrides else network), seen


def _noted_map(layer: SASEConv2d, path: str, seen: dict[str, Tensor], x: Tensor) -> Tensor:
    seen.setdefault(path, attention_map(layer, x[:1]))
    return layer(x)


def _noted_weights(method: Callable[[Tensor], Tensor], path: str, seen: dict[str, Tensor], x: Tensor) -> Tensor:
    weights = method(x)
    seen.setdefault(path, weights[0].float().cpu())
    return weights


@torch.no_grad()
def attention_map(layer: SASEConv2d, x: Tensor) -> Tensor:
    """Where a SASE convolution attends, `[height, width]` in [0, 1].

    It shares one among the channels of each group at every position: shown is how decided it is, one minus the entropy
    over its largest possible value, averaged over the groups.
    """
    shares = layer.gate(x)[0].float()
    entropy = -(shares * shares.clamp_min(1e-12).log()).sum(1)
    return (1 - entropy / math.log(max(2, shares.shape[1]))).mean(0).cpu()


def _classify(network: Any, image: Tensor) -> tuple[Tensor, str]:
    from sase_gan.recognition.classification.classifier import predict_pictures

    chances = predict_pictures(network, [image])[0]
    best = chances.topk(min(MOST_CLASSES, len(chances)))
    bars = []
    for value, index in zip(best.values.tolist(), best.indices.tolist(), strict=True):
        name, share = escaped(network.config.classes[index]), f"{100 * value:.1f}"
        bar = f'<span>{name}</span><i style="width:{share}%"></i><em>{share} %</em>'
        bars.append(f'<div class="bar named">{bar}</div>')
    return image, "".join(bars)


def _detect(network: Any, image: Tensor, threshold: float) -> tuple[Tensor, str]:
    # torchmetrics takes seconds to import, and the first picture is not to wait for it.
    from sase_gan.recognition.detection.detector import detect
    from sase_gan.recognition.detection.scores import draw_detections

    found = {name: values[:MOST_OBJECTS] for name, values in detect(network, [image])[0].items()}
    classes = network.config.classes
    drawn = draw_detections(image, found, classes, threshold=threshold)
    kept = found["labels"][found["scores"] >= threshold].tolist()
    if not kept:
        best = f"; the surest has {found['scores'][0]:.2f}" if len(found["scores"]) else ""
        return drawn, f"<p>No object has a score of {threshold:g} or more{best}.</p>"
    counts = ", ".join(f"{kept.count(label)} × {escaped(classes[label - 1])}" for label in sorted(set(kept)))
    return drawn, f"<p><b>{len(kept)} object{'s' * (len(kept) != 1)}</b>: {counts}</p>"


def build(models: Models) -> Action:
    """Lay the tab out and connect its events; returns what is done when it is opened."""
    handlers = RecogniseHandlers(models)
    names, example = models.names(CLASSIFIER, DETECTOR), widgets.has_bundled("shapes")
    which = gr.State(0)
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            with gr.Group():
                model = widgets.open_list(names, "Classifier or detector", "recogniser")
                sources = [("My picture", "upload"), ("A bundled picture", "example")]
                source = widgets.source_choice(sources, "Picture", "recognise-source", bundled=example)
                upload = widgets.upload_view("recognise-upload", visible=not example, height=220)
                threshold = gr.Slider(0, 1, 0.5, step=0.05, label="Least score of an object")
            about = gr.Markdown("" if names else NONE_YET, elem_id="recognise-about")
            go = gr.Button("Recognise", variant="primary", elem_id="recognise-start")
        with gr.Column(scale=3, min_width=300):
            given: list[tuple[Any, str]] = [(path, "") for path in examples()] if example else []
            words_on = "Click a picture of shapes, and the model above looks at it."
            picked = own_pictures.pick_of(given, "recognise-thumbnails", words_on, int, which)
            shown = widgets.image_view("What was found", "recognise-shown", "table", height=420)
            words = gr.HTML("", elem_id="recognise-words")
            gr.Markdown(
                "### Attention\nBright and tinted where a SASE convolution attends most, dark where it attends least. "
                "Below, its range, from 0, none, to 1, full."
            )
            attention = gr.HTML(quiet("Recognise a picture to see it."), elem_id="recognise-attention")
            gr.Markdown("### Attentive normalization\nWeights of its affine maps, computed from this picture.")
            weights = gr.HTML("", elem_id="recognise-weights")
    widgets.shown_for_uploads(source, upload)
    wishes = [model, source, upload, threshold, which]
    found = {"shown": shown, "words": words, "attention": attention, "weights": weights}
    recognise = Action(handlers.recognise, wishes, found, judges=True)
    recognise.on(go.click, api="recognise", show_progress_on=[shown])
    picked = at_once(picked.then, lambda: "example", [], [source])
    recognise.on(picked.then, show_progress_on=[shown])
    facts = {"about": about, "threshold": threshold}
    Action(handlers.about, [model], facts).on(forget(model, about))
    return Action(handlers.refresh, [model], {"models": model, **facts})
