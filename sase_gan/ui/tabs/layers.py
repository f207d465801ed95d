"""The tab Layers: the masks and styles of every SASE block, and the weights of attentive normalization."""

from __future__ import annotations

from typing import Any

import gradio as gr
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sase_gan.drawing.gates import GateEdit, LayerView, block_size, draw_edited, mask_overlay, view_layers
from sase_gan.drawing.recipes import Recipe
from sase_gan.drawing.sampling import MAX_SEED
from sase_gan.errors import UsageError
from sase_gan.ui.models import Models, OpenModel
from sase_gan.ui.widgets import (
    DEVICE,
    chosen,
    data_uri,
    enlarged,
    escaped,
    moved_by_hand,
    number,
    open_choice,
    picture,
    seed_number,
    sentences,
)

MOST_MASKS = 8
STRONGEST = 4.0
PAINTING_SIDE = 384
WHERE = ("nowhere", "masks", "region")
# A change of a few levels is real and invisible; it is shown this many times larger, and said so.
CHANGE_FACTOR = 4


class LayerHandlers:
    """The handlers, as methods so that they know the models."""

    def __init__(self, models: Models) -> None:
        self.models = models

    @sentences
    def look(self, model: str, seed: float = 0) -> tuple[str, str, str]:
        """Masks, styles and mixture weights of a picture, as HTML.

        Args:
            model: A name of the list of models.
            seed: 0 to 2147483647.
        """
        opened = self.models.open(model)
        view = view_layers(opened.network, Recipe(seed_number(seed)).inputs(opened.network))
        return masks_html(view), styles_html(view), mixtures_html(view)

    @sentences
    def edit(
        self,
        model: str,
        seed: float = 0,
        gate: str = "",
        donor: float = 1,
        where: str = "nowhere",
        borrowed: list[int] | None = None,
        painting: dict[str, Any] | None = None,
        mask_1: float = 1,
        mask_2: float = 1,
        mask_3: float = 1,
        mask_4: float = 1,
        mask_5: float = 1,
        mask_6: float = 1,
        mask_7: float = 1,
        mask_8: float = 1,
    ) -> tuple[Image.Image, Image.Image, Image.Image, str]:
        """Change one SASE block and draw again: the picture before, after, and the change enlarged.

        Args:
            model: A name of the list of models.
            seed: 0 to 2147483647.
            gate: Which SASE block, such as gate8to64.
            donor: Seed of the picture whose styles may be taken.
            where: "nowhere", for the chosen "masks", or in the painted "region".
            borrowed: Numbers of the masks that take the other picture's styles, from 1.
            painting: The picture painted over, as the page's brush gives it.
            mask_1: Strength of the first mask, 0 (off) to 4; 1 changes nothing.
            mask_2: Of the second.
            mask_3: Of the third.
            mask_4: Of the fourth.
            mask_5: Of the fifth, where there is one.
            mask_6: Of the sixth.
            mask_7: Of the seventh.
            mask_8: Of the eighth.
        """
        strengths = (mask_1, mask_2, mask_3, mask_4, mask_5, mask_6, mask_7, mask_8)
        opened = self.models.open(model)
        name = _gate(opened, gate)
        groups = opened.network.sase_gates()[name].groups
        recipe = Recipe(seed_number(seed))
        factors = tuple(number(value, 0, STRONGEST, "A mask's strength") for value in strengths)[:groups]
        edit = self._edit(opened, name, factors, donor, where, borrowed or [], painting)
        inputs = recipe.inputs(opened.network)
        before = draw_edited(opened.network, inputs, {})[0]
        after = draw_edited(opened.network, inputs, {name: edit})[0]
        text = {**recipe.text(opened.digest), "edit": _words(name, edit, donor)}
        change = (after.float() - before.float()) * CHANGE_FACTOR + 128
        shown = change.clamp(0, 255).to(torch.uint8)
        return (
            picture(before, recipe.text(opened.digest)),
            picture(after, text),
            picture(shown),
            explain_change(before, after, edit),
        )

    def _edit(
        self,
        opened: OpenModel,
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
            region = painted_region(painting)
            return GateEdit(strengths, styles, frozenset(range(groups)), region)
        if not isinstance(borrowed, list):
            raise UsageError(
                "The masks that take the other picture's styles are a list of their numbers, such as 1, 2."
            )
        known = tuple(range(1, groups + 1))
        masks = frozenset(chosen(mask, known, "The mask") - 1 for mask in borrowed)
        if not masks:
            raise UsageError("No mask is chosen; choose at least one that takes the other picture's styles.")
        return GateEdit(strengths, styles, masks)

    @sentences
    def canvas(self, model: str, seed: float) -> dict[str, Any]:
        """The picture, enlarged, for the brush."""
        opened = self.models.open(model)
        recipe = Recipe(seed_number(seed))
        image = enlarged(picture(draw_edited(opened.network, recipe.inputs(opened.network), {})[0]), PAINTING_SIDE)
        return {"background": image, "layers": [], "composite": None}

    @sentences
    def gates(self, model: str) -> list[Any]:
        """The SASE blocks of a model: the dropdown, a sentence, the choice of masks and the sliders."""
        gates = self.models.open(model).network.sase_gates()
        groups = next(iter(gates.values())).groups if gates else 0
        sentence = (
            ""
            if gates
            else "This model has no SASE block: it was trained with skip-layer excitation alone. The weights of its "
            "normalization, if they are attentive, are shown below."
        )
        return [
            gr.update(choices=[(gate_words(name), name) for name in gates], value=next(reversed(gates), None)),
            sentence,
            gr.update(choices=list(range(1, groups + 1)), value=[1] if groups else []),
            *(gr.update(visible=index < groups, value=1) for index in range(MOST_MASKS)),
        ]


def _gate(opened: OpenModel, name: str) -> str:
    gates = opened.network.sase_gates()
    if not gates:
        raise UsageError("This model has no SASE block, so there is nothing to change here.")
    return str(chosen(name or next(reversed(gates)), tuple(gates), "The block"))


def gate_words(name: str) -> str:
    """A gate's name, such as gate8to64, as a phrase."""
    source, _, target = name.removeprefix("gate").partition("to")
    return f"{source} × {source} steers {target} × {target}"


def painted_region(painting: dict[str, Any] | None) -> Tensor:
    """What the brush covered, float `[H, W]` in [0, 1].

    Raises:
        UsageError: if nothing was painted, or what came is no painting.
    """
    layers = painting.get("layers") if isinstance(painting, dict) else None
    found = None
    for layer in layers or []:
        if not isinstance(layer, np.ndarray) or layer.ndim != 3 or layer.shape[2] != 4 or layer.size > 4 * 4_000_000:
            raise UsageError("The painting is not what the brush of this page gives; paint again.")
        alpha = torch.from_numpy(layer[:, :, 3].copy()).float() / 255
        found = alpha if found is None else torch.maximum(found, alpha)
    if found is None or found.max() == 0:
        raise UsageError("Nothing is painted; paint over a part of the picture first.")
    return found


def _words(gate: str, edit: GateEdit, donor: float) -> str:
    words = f"{gate} strengths {' '.join(f'{s:g}' for s in edit.strengths)}"
    if edit.styles is not None:
        masks = " ".join(str(k + 1) for k in sorted(edit.borrowed))
        words += f"; styles of seed {int(donor)} for masks {masks}"
    return words + ("; in a painted region" if edit.region is not None else "")


def explain_change(before: Tensor, after: Tensor, edit: GateEdit) -> str:
    """How much of the picture changed, in a sentence."""
    difference = (after.int() - before.int()).abs()
    if not difference.any():
        if edit.styles is None and set(edit.strengths) <= {1.0}:
            return "Nothing is changed yet: move a mask's strength, or take the styles of another seed."
        return "The picture did not change by a single grey level."
    share = (difference.amax(0) >= 8).float().mean().item()
    return (
        f"Pixels changed by {difference.float().mean().item():.1f} grey levels on average, {int(difference.max())} at "
        f"most; {share:.0%} of them visibly (by 8 levels or more)."
    )


# --- HTML ------------------------------------------------------------------------------------------------------------


def masks_html(view: LayerView) -> str:
    """Every mask over the picture, a row for each block."""
    rows = []
    scale = max(1, 192 // view.image.shape[-1])
    for name, masks in view.masks.items():
        cells = [
            f'<figure><img src="{data_uri(mask_overlay(view.image, mask, scale=scale))}" alt="Mask {k + 1}">'
            f"<figcaption><b>Mask {k + 1}</b>{mask.min():.2f} to {mask.max():.2f}</figcaption></figure>"
            for k, mask in enumerate(masks)
        ]
        rows.append(
            f'<div class="gate"><h4>{escaped(gate_words(name))}</h4>'
            f'<div class="figures masks">{"".join(cells)}</div></div>'
        )
    return "".join(rows) or "<p>This model has no SASE block.</p>"


def styles_html(view: LayerView) -> str:
    """A bar for the strength of each mask's style vector."""
    rows = []
    strongest = max((s.square().mean(1).sqrt().max().item() for s in view.styles.values()), default=1.0)
    for name, styles in view.styles.items():
        bars = []
        for k, style in enumerate(styles):
            strength = style.square().mean().sqrt().item()
            up, down = int((style > 0.5).sum()), int((style < -0.5).sum())
            bars.append(
                f'<div class="bar"><span>Mask {k + 1}</span>'
                f'<i style="width:{100 * strength / max(strongest, 1e-6):.0f}%"></i>'
                f"<em>{strength:.2f}</em><small>{up} channels up, {down} down by half or more</small></div>"
            )
        rows.append(f'<div class="gate"><h4>{escaped(gate_words(name))}</h4>{"".join(bars)}</div>')
    return "".join(rows)


def mixtures_html(view: LayerView) -> str:
    """A table of the mixture weights: a row for each normalization, a column for each component."""
    if not view.mixtures:
        return "<p>This model has batch normalisation, which mixes nothing.</p>"
    count = max(len(weights) for weights in view.mixtures.values())
    head = "".join(f"<th>{k + 1}</th>" for k in range(count))
    rows = []
    for path, weights in view.mixtures.items():
        size = block_size(path)
        number_in_block = path.rpartition("norm")[2]
        label = f"{size} × {size}{f' ({number_in_block})' if number_in_block else ''}"
        cells = "".join(
            f'<td style="--share:{value:.2f}" title="weight {value:.3f}">{value:.2f}</td>' for value in weights.tolist()
        )
        rows.append(f"<tr><th>{label}</th>{cells}</tr>")
    return (
        f'<div class="scroll"><table class="mixtures"><thead><tr><th>Map</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


# --- page ------------------------------------------------------------------------------------------------------------


def build(models: Models, model: gr.Dropdown) -> dict[str, Any]:
    """The tab's components and events; returns what other tabs connect to."""
    handlers = LayerHandlers(models)
    gr.Markdown(
        "A SASE block reads **masks** and **style vectors** from a small early map: where a mask is high, its style "
        "decides how strongly each channel of a large late map counts. Here both are seen, and moved by hand.",
        elem_classes="intro",
    )
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            with gr.Group():
                seed = gr.Number(5, label="Seed", precision=0, minimum=0, maximum=MAX_SEED, elem_id="layer-seed")
                gate = open_choice(gr.Dropdown([], label="SASE block", filterable=False, elem_id="gate"))
            none = gr.Markdown("")
            with gr.Group():
                strengths = [
                    gr.Slider(
                        0,
                        STRONGEST,
                        1,
                        step=0.1,
                        label=f"Strength of mask {index + 1}",
                        visible=index < 4,
                        elem_id=f"mask-{index + 1}",
                        elem_classes="thin",
                    )
                    for index in range(MOST_MASKS)
                ]
            with gr.Row():
                reset = gr.Button("All at 1", min_width=100)
                off = gr.Button("All off", min_width=100)
        with gr.Column(scale=3, min_width=300):
            with gr.Row(elem_classes="pair"):
                before, after, change = (
                    gr.Image(
                        label=label,
                        format="png",
                        buttons=["download", "fullscreen"],
                        interactive=False,
                        min_width=100,
                        elem_id=elem_id,
                        elem_classes=["pictures", "large"],
                        alt_text=label,
                    )
                    for label, elem_id in (
                        ("Before", "layer-before"),
                        ("After", "layer-after"),
                        (f"Change × {CHANGE_FACTOR}", "layer-change"),
                    )
                )
            verdict = gr.Markdown("", elem_id="layer-verdict")
            with gr.Accordion("Styles of another picture", open=False, elem_id="local-mixing"), gr.Row():
                with gr.Column(min_width=260):
                    donor = gr.Number(9, label="Seed of the other picture", precision=0, minimum=0)
                    where = gr.Radio(
                        [("Nowhere", "nowhere"), ("For some masks", "masks"), ("Where I paint", "region")],
                        value="nowhere",
                        label="Take its styles",
                    )
                    borrowed = gr.CheckboxGroup(list(range(1, MOST_MASKS + 1)), value=[1], label="Masks", visible=False)
                    apply = gr.Button("Take the styles", variant="primary")
                with gr.Column(min_width=280, visible=False) as painting_column:
                    painting = gr.ImageEditor(
                        label="Paint over the part that is to change",
                        type="numpy",
                        image_mode="RGBA",
                        format="png",
                        sources=(),
                        transforms=(),
                        layers=False,
                        buttons=[],
                        brush=gr.Brush(default_size=36, colors=["#ff7a1a"], color_mode="fixed"),
                        eraser=gr.Eraser(default_size=36),
                        height=460,
                        elem_id="painting",
                    )
            gr.Markdown(
                "### Masks\nBright and tinted where a mask is high, dark where it is low; below each, its range."
            )
            masks = gr.HTML("", elem_id="masks")
            with gr.Row():
                with gr.Column(scale=2, min_width=280):
                    gr.Markdown("### Strength of the styles\nRoot mean square of each style vector.")
                    styles = gr.HTML("", elem_id="styles")
                with gr.Column(scale=3, min_width=300):
                    gr.Markdown(
                        "### Attentive normalization\nWeights of its affine maps, 0 to 1, computed from this picture."
                    )
                    mixtures = gr.HTML("", elem_id="mixtures")
    look = (handlers.look, [model, seed], [masks, styles, mixtures])
    edit = (
        handlers.edit,
        [model, seed, gate, donor, where, borrowed, painting, *strengths],
        [before, after, change, verdict],
    )
    private: dict[str, Any] = {"api_visibility": "private", **DEVICE}
    apply.click(*edit, api_name="edit_layers", api_visibility="public", **DEVICE)
    moved_by_hand(strengths, *edit)
    reset.click(
        lambda: [1] * MOST_MASKS, None, strengths, api_visibility="private", queue=False
    ).then(*edit, **private)  # fmt: skip
    off.click(lambda: [0] * MOST_MASKS, None, strengths, api_visibility="private", queue=False).then(*edit, **private)
    gate.input(*edit, **private)
    seed.submit(handlers.look, [model, seed], [masks, styles, mixtures], api_name="layers", **DEVICE).success(
        lambda: "nowhere", None, [where], api_visibility="private", queue=False
    ).success(*edit, **private)

    def show(how: str) -> tuple[Any, Any]:
        return gr.update(visible=how == "masks"), gr.update(visible=how == "region")

    where.change(show, [where], [borrowed, painting_column], api_visibility="private", queue=False)
    where.input(
        lambda how, name, now: handlers.canvas(name, now) if how == "region" else gr.skip(),
        [where, model, seed],
        [painting],
        **private,
    )
    return {
        "look": look,
        "edit": edit,
        "gates": (handlers.gates, [model], [gate, none, borrowed, *strengths]),
    }
