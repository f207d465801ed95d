"""What the SASE blocks and the attentive normalizations of a generator did for a picture, as HTML and in words."""

from __future__ import annotations

from torch import Tensor

from sase_gan.drawing.gates import GateEdit, LayerView, block_size, mask_overlay
from sase_gan.ui.markup import escaped, figure, mixture_table


def gate_words(name: str) -> str:
    """A gate's name, such as gate8to64, as a phrase."""
    source, _, target = name.removeprefix("gate").partition("to")
    return f"{source} × {source} steers {target} × {target}"


def edit_words(gate: str, edit: GateEdit, donor: float) -> str:
    """An edit as it is written into the picture's file."""
    words = f"{gate} strengths {' '.join(f'{s:g}' for s in edit.strengths)}"
    if edit.styles is not None:
        masks = " ".join(str(k + 1) for k in sorted(edit.borrowed))
        words += f"; styles of seed {int(donor)} for masks {masks}"
    return words + ("; in a painted region" if edit.region is not None else "")


def explain_change(before: Tensor, after: Tensor, edit: GateEdit) -> str:
    """Say in a sentence how much of the picture changed."""
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


def _gate(name: str, content: str) -> str:
    return f'<div class="gate"><h4>{escaped(gate_words(name))}</h4>{content}</div>'


def masks_html(view: LayerView) -> str:
    """Every mask over the picture, a row for each block."""
    rows = []
    scale = max(1, 192 // view.image.shape[-1])
    for name, masks in view.masks.items():
        cells = []
        for k, mask in enumerate(masks):
            overlay, words = mask_overlay(view.image, mask, scale=scale), f"{mask.min():.2f} to {mask.max():.2f}"
            cells.append(figure(overlay, f"Mask {k + 1}", words, alt=f"Mask {k + 1}"))
        rows.append(_gate(name, f'<div class="figures masks">{"".join(cells)}</div>'))
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
        rows.append(_gate(name, "".join(bars)))
    return "".join(rows)


def mixtures_html(view: LayerView) -> str:
    """A table of the mixture weights: a row for each normalization, a column for each component."""
    if not view.mixtures:
        return "<p>This model has batch normalisation, which mixes nothing.</p>"
    rows = {}
    for path, weights in view.mixtures.items():
        size, place = block_size(path), path.rpartition("norm")[2]
        rows[f"{size} × {size}{f' ({place})' if place else ''}"] = weights.tolist()
    return mixture_table("Map", rows)
