"""What is shown as HTML or said in words; what is put into the HTML is escaped.

Pieces that several tabs show; then what SASE blocks and attentive normalizations of a generator did for a picture, and
what the attention of a recognition network looked at, laid exactly over the picture.
"""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sase_gan.drawing.gates import GateEdit, LayerView, block_size, mask_overlay
from sase_gan.markdown import escaped, unmarked
from sase_gan.pixels import to_float, to_pillow
from sase_gan.resizing import at_size
from sase_gan.ui.entries import CLASSIFIER

MOST_SHOWN = 8
OVERLAY_SIDE = 160
_STAGES = re.compile(r"(?:layer(\d+)|(?:blocks|stages|layers|features)\.(\d+))\.(?:blocks\.)?(\d+)\.(.+)")
_WRAPPERS = ("network", "backbone", "body")


def refusal(message: str) -> str:
    """Show why something was refused, a text for HTML, in Markdown or HTML."""
    return f'<span class="refused" role="alert">{unmarked(message)}</span>'


def quiet(text: str) -> str:
    """A sentence that stands back, where there is nothing to show."""
    return f'<p class="quiet">{text}</p>'


def figure(image: Tensor, title: str, words: str, *, alt: str) -> str:
    """A picture, uint8 `[3, H, W]`, with a title and a line of HTML below it."""
    content = io.BytesIO()
    to_pillow(image).save(content, format="PNG")
    source = f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
    caption = f"<figcaption><b>{escaped(title)}</b>{words}</figcaption>"
    return f'<figure><img src="{source}" alt="{escaped(alt)}">{caption}</figure>'


def figures(items: Sequence[tuple[Tensor, str]], *, columns: int = 2) -> str:
    """Pictures with captions below them; the first line of a caption stands out."""
    parts = [(image, *caption.partition("\n")[::2]) for image, caption in items]
    cells = [figure(image, first, escaped(rest), alt=rest or first) for image, first, rest in parts]
    return f'<div class="figures" style="--columns:{columns}">{"".join(cells)}</div>'


def mixture_table(head: str, rows: Mapping[str, Sequence[float]]) -> str:
    """The weights of attentive normalizations: a row for each of them by its label, a column for each component."""
    count = max(map(len, rows.values()))
    columns = "".join(f"<th>{k + 1}</th>" for k in range(count))
    lines = []
    for label, weights in rows.items():
        cells = "".join(f'<td style="--share:{w:.2f}" title="weight {w:.3f}">{w:.2f}</td>' for w in weights)
        cells += '<td class="none"></td>' * (count - len(weights))
        lines.append(f"<tr><th>{escaped(label)}</th>{cells}</tr>")
    return (
        f'<div class="scroll"><table class="mixtures"><thead><tr><th>{head}</th>{columns}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


# --- layers of a generator -------------------------------------------------------------------------------------------


def gate_words(name: str) -> str:
    """A gate's name, such as gate8to64, as a phrase."""
    source, _, target = name.removeprefix("gate").partition("to")
    return f"{source} × {source} steers {target} × {target}"


def edit_words(gate: str, edit: GateEdit, donor: float) -> str:
    """An edit as it is written into the picture's file."""
    words = f"{gate} strengths {' '.join(f'{s:g}' for s in edit.strengths)}"
    if edit.styles is not None:
        words += f"; styles of seed {int(donor)} for masks {' '.join(str(k + 1) for k in sorted(edit.borrowed))}"
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
        for title, mask in ((f"Mask {k}", mask) for k, mask in enumerate(masks, start=1)):
            words = f"{mask.min():.2f} to {mask.max():.2f}"
            cells.append(figure(mask_overlay(view.image, mask, scale=scale), title, words, alt=title))
        rows.append(_gate(name, f'<div class="figures masks">{"".join(cells)}</div>'))
    return "".join(rows) or "<p>This model has no SASE block.</p>"


def styles_html(view: LayerView) -> str:
    """A bar for the strength of each mask's style vector."""
    rows = []
    strongest = max((s.square().mean(1).sqrt().max().item() for s in view.styles.values()), default=1.0)
    for name, styles in view.styles.items():
        bars = []
        for k, style in enumerate(styles, start=1):
            strength = style.square().mean().sqrt().item()
            up, down = int((style > 0.5).sum()), int((style < -0.5).sum())
            bars.append(
                f'<div class="bar"><span>Mask {k}</span><i style="width:{100 * strength / max(strongest, 1e-6):.0f}%">'
                f"</i><em>{strength:.2f}</em><small>{up} channels up, {down} down by half or more</small></div>"
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


# --- attention of a recognition network ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Framing:
    """The picture that a network works on.

    Attributes:
        image: uint8 `[3, H, W]`, what is seen of the visitor's picture.
        inside: (height, width) at which the network sees it.
        covered: (height, width) with the padding at the right and the bottom, or None if there is none.
    """

    image: Tensor
    inside: tuple[int, int]
    covered: tuple[int, int] | None = None


def framing(network: Any, kind: str, image: Tensor) -> Framing:
    """How a network sees a picture: a classifier its resized middle, a detector all of it, resized and padded."""
    if kind == CLASSIFIER:
        seen = network.prepare(image)
        return Framing(seen.expand(3, -1, -1), (seen.shape[1], seen.shape[2]))
    batch, _ = network.network.transform([to_float(image.to(next(network.parameters()).device))])
    height, width = batch.tensors.shape[2:]
    return Framing(image, batch.image_sizes[0], (height, width))


def laid_out(found: Tensor, frame: Framing, size: tuple[int, int]) -> Tensor:
    """A map `[h, w]` at the (height, width) of the picture that it is shown over, without what lies on padding.

    A cell of the map is a square of whole pixels of what the network sees. Without padding the last cells reach over
    the edge where the size is no multiple of that square's side, which is a power of two in our networks. Each pixel
    of the result has the value of the cell at its middle.
    """
    indices = []
    for axis in (0, 1):
        cells, inside = found.shape[axis], frame.inside[axis]
        side = frame.covered[axis] / cells if frame.covered else 2 ** math.ceil(math.log2(max(1, inside / cells)))
        middles = (torch.arange(size[axis]) + 0.5) * (inside / size[axis])
        indices.append((middles / side).long().clamp_max(cells - 1))
    return found[indices[0]][:, indices[1]]


def layer_words(path: str) -> str:
    """A layer's place as a phrase, such as `Stage 2, block 1: conv2`; its path without wrappers where it has none."""
    short = ".".join(part for part in path.split(".") if part not in _WRAPPERS)
    match = _STAGES.fullmatch(short)
    if match is None:
        return short
    stage = int(match[1]) if match[1] else int(match[2]) + 1
    return f"Stage {stage}, block {int(match[3]) + 1}: {match[4]}"


def attention_html(maps: dict[str, Tensor], frame: Framing | None) -> str:
    """The maps of SASE convolutions over the picture, early layers first."""
    if not maps or frame is None:
        return quiet("This network has no SASE convolution.")
    height, width = frame.image.shape[1:]
    scale = OVERLAY_SIDE / max(height, width)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    small = at_size(frame.image, size)
    cells = []
    for path, found in list(maps.items())[:MOST_SHOWN]:
        shown = laid_out(found, frame, size)
        low, high = shown.min().item(), shown.max().item()
        digits = 2 if high >= 0.1 else 3
        place, _, layer = layer_words(path).partition(": ")
        words = f"{escaped(layer)}<br>{low:.{digits}f} to {high:.{digits}f}"
        cells.append(figure(mask_overlay(small, shown), place, words, alt=f"Attention of {place}"))
    return f'<div class="figures masks">{"".join(cells)}</div>{_left_out(len(maps) - MOST_SHOWN)}'


def weights_html(weights: dict[str, Tensor]) -> str:
    """A table of the mixture weights of attentive normalization, early layers first."""
    if not weights:
        return quiet("This network has no attentive normalization.")
    most = 2 * MOST_SHOWN
    rows = {layer_words(path): row.tolist() for path, row in list(weights.items())[:most]}
    return mixture_table("Layer", rows) + _left_out(len(weights) - most)


def _left_out(count: int) -> str:
    return quiet(f"{count} more are not shown.") if count > 0 else ""
