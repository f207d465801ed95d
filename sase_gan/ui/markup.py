"""Pieces of HTML that several tabs show; what is put into them is escaped."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence

from torch import Tensor

from sase_gan.pixels import to_pillow


def escaped(text: object) -> str:
    """Escape a text for HTML."""
    return html.escape(str(text))


def quiet(text: str) -> str:
    """A sentence that stands back, where there is nothing to show."""
    return f'<p class="quiet">{text}</p>'


def data_uri(image: Tensor) -> str:
    """Write uint8 [3, H, W] as a PNG within a page."""
    content = io.BytesIO()
    to_pillow(image).save(content, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def figure(image: Tensor, title: str, words: str, *, alt: str) -> str:
    """A picture with a title and a line of HTML below it."""
    caption = f"<figcaption><b>{escaped(title)}</b>{words}</figcaption>"
    return f'<figure><img src="{data_uri(image)}" alt="{escaped(alt)}">{caption}</figure>'


def figures(items: Sequence[tuple[Tensor, str]], *, columns: int = 2) -> str:
    """Pictures with captions below them; the first line of a caption stands out."""
    cells = []
    for image, caption in items:
        first, _, rest = caption.partition("\n")
        cells.append(figure(image, first, escaped(rest), alt=rest or first))
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
