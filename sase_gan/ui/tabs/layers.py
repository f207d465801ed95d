"""The tab Layers: the masks and styles of every SASE block, and the weights of attentive normalization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
import torch
from PIL import Image

from sase_gan.drawing.gates import GateEdit, draw_edited, view_layers
from sase_gan.drawing.recipes import Recipe
from sase_gan.errors import UsageError
from sase_gan.networks.finished import FinishedGenerator
from sase_gan.networks.generator import Generator
from sase_gan.ui import widgets
from sase_gan.ui.checks import chosen, named_picture, number, seed_number, sentences
from sase_gan.ui.events import Action, at_once, moved_by_hand
from sase_gan.ui.markup import edit_words, explain_change, gate_words, masks_html, mixtures_html, styles_html
from sase_gan.ui.models import Models, Opened
from sase_gan.ui.pictures import ENLARGED_SIDE, canvas, enlarged, painted_region, picture

MOST_MASKS = 8
STRONGEST = 4.0
WHERE = ("nowhere", "masks", "region")
# A change of a few levels is real and invisible; it is shown this many times larger, and said so.
CHANGE_FACTOR = 4
ALONE = "Shown is what the network alone draws. Finishing with patches comes after it, and would hide small changes."


@dataclass(frozen=True)
class Looked:
    """Masks, styles and mixture weights of a picture, as HTML."""

    masks: str
    styles: str
    mixtures: str


@dataclass(frozen=True)
class Edited:
    """A picture before and after an edit, the change enlarged, and how much of it changed."""

    before: Image.Image
    after: Image.Image
    change: Image.Image
    verdict: str


@dataclass(frozen=True)
class Gates:
    """The SASE blocks of a model: updates of their list, a sentence, the choice of masks, a slider for each mask."""

    gate: Any
    note: str
    borrowed: Any
    strengths: list[Any]


class LayerHandlers:
    """What the tab does."""

    def __init__(self, models: Models) -> None:
        self.models = models

    @sentences
    def look(self, model: str, picture_name: str = "0") -> Looked:
        """Show masks, styles and mixture weights of a picture.

        Args:
            picture_name: A seed such as 17, or the name of a variation such as 17~40.0.3.
        """
        opened = self.models.open_generator(model, "layers")
        view = view_layers(opened.network, _picture(opened, picture_name).inputs(opened.network))
        return Looked(masks_html(view), styles_html(view), mixtures_html(view))

    @sentences
    def edit(
        self,
        model: str,
        picture_name: str = "0",
        gate: str = "",
        donor: float = 1,
        where: str = "nowhere",
        borrowed: list[int] | None = None,
        painting: dict[str, Any] | None = None,
        mask_1: float = 1, mask_2: float = 1, mask_3: float = 1, mask_4: float = 1,
        mask_5: float = 1, mask_6: float = 1, mask_7: float = 1, mask_8: float = 1,
    ) -> Edited:  # fmt: skip
        """Change one SASE block and draw again: the picture before, after, and the change enlarged.

        Args:
            picture_name: A seed such as 17, or the name of a variation such as 17~40.0.3.
            gate: Which SASE block, such as gate8to64.
            borrowed: Numbers of the masks that take the other picture's styles, from 1.
            mask_1: Strength of the first mask, 0 (off) to 4; 1 changes nothing; the others of those that follow.
        """
        strengths = (mask_1, mask_2, mask_3, mask_4, mask_5, mask_6, mask_7, mask_8)
        opened = self.models.open_generator(model, "layers")
        name = _gate(opened, gate)
        groups = opened.network.sase_gates()[name].groups
        recipe = _picture(opened, picture_name)
        factors = tuple(number(value, 0, STRONGEST, "A mask's strength") for value in strengths)[:groups]
        edit = _gate_edit(opened, name, factors, donor, where, borrowed or [], painting)
        inputs = recipe.inputs(opened.network)
        before, after = (draw_edited(opened.network, inputs, edits)[0] for edits in ({}, {name: edit}))
        text = recipe.text(opened.digest)
        change = (after.float() - before.float()) * CHANGE_FACTOR + 128
        return Edited(
            picture(before, text),
            picture(after, {**text, "edit": edit_words(name, edit, donor)}),
            picture(change.clamp(0, 255).to(torch.uint8)),
            explain_change(before, after, edit),
        )

    @sentences
    def canvas(self, model: str, picture_name: str) -> dict[str, Any]:
        """The picture, enlarged, for the brush."""
        opened = self.models.open_generator(model, "layers")
        image = draw_edited(opened.network, _picture(opened, picture_name).inputs(opened.network), {})[0]
        return canvas(enlarged(picture(image), ENLARGED_SIDE))

    @sentences
    def gates(self, model: str) -> Gates:
        """Offer the SASE blocks of a model and their masks."""
        network = self.models.open_generator(model, "layers").network
        gates = network.sase_gates()
        groups = next(iter(gates.values())).groups if gates else 0
        none = (
            "This model has no SASE block: it was trained with skip-layer excitation alone. The weights of its "
            "normalization, if they are attentive, are shown below."
        )
        return Gates(
            gr.update(choices=[(gate_words(name), name) for name in gates], value=next(reversed(gates), None)),
            " ".join([*([] if gates else [none]), *([ALONE] if isinstance(network, FinishedGenerator) else [])]),
            gr.update(choices=list(range(1, groups + 1)), value=[1] if groups else []),
            # One is off, so that the tab opens with something to see.
            [gr.update(visible=index < groups, value=min(index, 1)) for index in range(MOST_MASKS)],
        )


def _picture(opened: Opened[Generator], name: str) -> Recipe:
    recipe = named_picture(name)
    opened.draws(recipe)
    return recipe


def _gate(opened: Opened[Generator], name: str) -> str:
    gates = opened.network.sase_gates()
    if not gates:
        raise UsageError("This model has no SASE block, so there is nothing to change here.")
    return str(chosen(name or next(reversed(gates)), tuple(gates), "The block"))


def _gate_edit(
    opened: Opened[Generator],
    gate: str,
    strengths: tuple[float, ...],
    donor: float,
    where: str,
    borrowed: list[int],
    painting: dict[str, Any] | None,
) -> GateEdit:
    how = chosen(where, WHERE, "The place of the other styles")
    groups = opened.network.sase_gates()[gate].groups
    if len(strengths) != groups:
        raise UsageError(f"{gate} has {groups} masks; {len(strengths)} strengths were given.")
    if how == "nowhere":
        return GateEdit(strengths)
    styles = view_layers(opened.network, Recipe(seed_number(donor)).inputs(opened.network)).styles[gate]
    if how == "region":
        return GateEdit(strengths, styles, frozenset(range(groups)), painted_region(painting))
    if not isinstance(borrowed, list):
        raise UsageError("The masks that take the other picture's styles are a list of their numbers, such as 1, 2.")
    known = tuple(range(1, groups + 1))
    masks = frozenset(chosen(mask, known, "The mask") - 1 for mask in borrowed)
    if not masks:
        raise UsageError("No mask is chosen; choose at least one that takes the other picture's styles.")
    return GateEdit(strengths, styles, masks)


def build(models: Models, model: gr.Dropdown) -> tuple[gr.Textbox, list[Action]]:
    """Lay the tab out and connect its events; returns the field for a picture, and what is done when it is opened.

    Reads straight down, as the tab looks.
    """
    handlers = LayerHandlers(models)
    gr.Markdown(
        "The network lays a picture out first and paints it last. In between it decides, by soft **masks**, what "
        "counts where. Turn a mask down or up, and see what it does; one is turned off to begin with. (A SASE block "
        "reads masks and **style vectors** from a small early map: where a mask is high, its style decides how "
        "strongly each channel of a large late map counts.)",
        elem_classes="intro",
    )
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            with gr.Group():
                shown = widgets.picture_field("7", elem_id="layer-picture")
                gate = widgets.open_list([], "SASE block", "gate")
            none = gr.Markdown("")
            with gr.Group():
                strengths = [
                    widgets.thin_slider(
                        0, STRONGEST, min(k - 1, 1), f"Strength of mask {k}", f"mask-{k}", visible=k <= 4
                    )
                    for k in range(1, MOST_MASKS + 1)
                ]
            with gr.Row():
                reset = gr.Button("All at 1", min_width=100)
                off = gr.Button("All off", min_width=100)
        with gr.Column(scale=3, min_width=300):
            with gr.Row(elem_classes="pair"):
                before = widgets.image_view("Before", "layer-before", "pictures", "large", min_width=100)
                after = widgets.image_view("After", "layer-after", "pictures", "large", min_width=100)
                change = widgets.image_view(
                    f"Change × {CHANGE_FACTOR}", "layer-change", "pictures", "large", min_width=100
                )
            verdict = gr.Markdown("", elem_id="layer-verdict")
            with gr.Accordion("Styles of another picture", open=False, elem_id="local-mixing"), gr.Row():
                with gr.Column(min_width=260):
                    donor = gr.Number(9, label="Seed of the other picture", precision=0, minimum=0)
                    places = [("Nowhere", "nowhere"), ("For some masks", "masks"), ("Where I paint", "region")]
                    where = gr.Radio(places, value="nowhere", label="Take its styles")
                    borrowed = gr.CheckboxGroup(list(range(1, MOST_MASKS + 1)), value=[1], label="Masks", visible=False)
                    apply = gr.Button("Take the styles", variant="primary")
                with gr.Column(min_width=280, visible=False) as painting_column:
                    brush = gr.Brush(default_size=36, colors=["#ff7a1a"], color_mode="fixed")
                    painting = widgets.editor("Paint over the part that is to change", "painting", brush)
            gr.Markdown(
                "### Masks\nBright and tinted where a mask is high, dark where it is low; below each, its range."
            )
            masks = gr.HTML("", elem_id="masks")
            with gr.Row():
                with gr.Column(scale=2, min_width=280):
                    gr.Markdown("### Strength of the styles\nRoot mean square of each style vector.")
                    styles = gr.HTML("", elem_id="styles")
                with gr.Column(scale=3, min_width=300):
                    words = "Weights of its affine maps, 0 to 1, computed from this picture."
                    gr.Markdown(f"### Attentive normalization\n{words}")
                    mixtures = gr.HTML("", elem_id="mixtures")
    look = Action(handlers.look, [model, shown], {"masks": masks, "styles": styles, "mixtures": mixtures})
    wishes = [model, shown, gate, donor, where, borrowed, painting, *strengths]
    edit = Action(handlers.edit, wishes, {"before": before, "after": after, "change": change, "verdict": verdict})
    edit.on(apply.click, api="edit_layers")
    moved_by_hand(strengths, edit)
    edit.on(at_once(reset.click, lambda: [1] * MOST_MASKS, [], strengths).then)
    edit.on(at_once(off.click, lambda: [0] * MOST_MASKS, [], strengths).then)
    edit.on(gate.input)
    edit.on(at_once(look.on(shown.submit, api="layers").success, lambda: "nowhere", [], [where]).success)

    def show(how: str) -> tuple[Any, Any]:
        return gr.update(visible=how == "masks"), gr.update(visible=how == "region")

    def paint(how: str, name: str, now: str) -> Any:
        return handlers.canvas(name, now) if how == "region" else gr.skip()

    at_once(where.change, show, [where], [borrowed, painting_column])
    Action(paint, [where, model, shown], painting).on(where.input)
    gates = {"gate": gate, "note": none, "borrowed": borrowed, "strengths": strengths}
    return shown, [Action(handlers.gates, [model], gates), look, edit]
