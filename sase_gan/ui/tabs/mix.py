"""The tab Mix: rows and columns of pictures, and the size of the maps from which the column's appearance takes over."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import gradio as gr
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from sase_gan.drawing.latents import mix
from sase_gan.drawing.recipes import Recipe, draw_recipes
from sase_gan.drawing.sampling import Inputs, joined
from sase_gan.errors import UsageError
from sase_gan.markdown import escaped
from sase_gan.networks.channel_tables import generator_sizes
from sase_gan.networks.generator import Generator
from sase_gan.ui import between_classes, widgets
from sase_gan.ui.checks import chosen, sentences
from sase_gan.ui.class_choice import class_choice
from sase_gan.ui.events import BAR, Action
from sase_gan.ui.fields import checked
from sase_gan.ui.models import Models
from sase_gan.ui.photographs import named_pictures
from sase_gan.ui.pictures import picture

MOST_ROWS = 6
CELL, GAP, LABEL = 128, 10, 22


class MixHandlers:
    """What the tab does."""

    def __init__(self, models: Models) -> None:
        self.models = models

    @sentences
    def mix(
        self,
        model: str,
        rows: str = "0, 1, 4, 5",
        columns: str = "2, 6, 9, 11, 13",
        size: int = 8,
        progress: gr.Progress = BAR,
    ) -> tuple[Image.Image, str]:
        """Mix every row's picture with every column's: shapes of the row, appearance of the column.

        Args:
            rows, columns: One to six pictures each, such as 0, 1, 4.
            size: The side of the maps from which the column takes over: 4, 8, 16 and so on.
        """
        first, second = named_pictures(rows, most=MOST_ROWS), named_pictures(columns, most=MOST_ROWS)
        opened = self.models.open_generator(model, "layers to mix")
        opened.draws(*first, *second)
        network = opened.network
        start = chosen(size, sizes_of(network), "The size")
        images: list[Iterable[Tensor]] = []
        for index, row in enumerate(first):
            images.append(mix(network, _inputs(network, [row] * len(second)), _inputs(network, second), start))
            progress((index + 1, len(first)), desc="mixing")
        heads, sides = draw_recipes(network, second), draw_recipes(network, first)
        head_names, side_names = [recipe.name for recipe in second], [recipe.name for recipe in first]
        table = contact_table(heads, sides, images, head_names, side_names)
        table.info.update({"snapshot": opened.digest, "rows": rows, "columns": columns, "from_size": str(start)})
        note = (
            f"From **{start} × {start}** on, the appearance is that of the picture above "
            f"({escaped(', '.join(head_names))}); shapes are those of the picture at the left."
        )
        return table, note

    @sentences
    def sizes(self, model: str) -> Any:
        """Offer the sizes that a model has."""
        sizes = sizes_of(self.models.open_generator(model, "layers to mix").network)
        return gr.update(choices=[(f"{size}", size) for size in sizes], value=sizes[1])


def sizes_of(network: Generator) -> tuple[int, ...]:
    """The map sizes of a generator, from 4 up."""
    return (4, *generator_sizes(network.config.image_size))


def _inputs(network: Generator, recipes: list[Recipe]) -> Inputs:
    found = [recipe.inputs(network) for recipe in recipes]
    if len({item.noise is None for item in found}) > 1:
        raise UsageError("Pictures with and without noise cannot be mixed.")
    return joined(found)


def contact_table(
    heads: Tensor, sides: Tensor, cells: list[Iterable[Tensor]], head_names: list[str], side_names: list[str]
) -> Image.Image:
    """Set a table of pictures with a head row and a head column set apart, and their names."""
    cell = heads.shape[-1] * max(1, CELL // heads.shape[-1])
    left, top = cell + GAP, cell + GAP + LABEL
    canvas = Image.new("RGB", (left + cell * len(heads), top + (cell + LABEL) * len(sides) - LABEL), "white")
    pen = ImageDraw.Draw(canvas)

    def place(image: Tensor, x: int, y: int) -> None:
        canvas.paste(picture(image).resize((cell, cell), Image.Resampling.NEAREST), (x, y))

    def write(name: str, x: int, y: int) -> None:
        sizes = (ImageFont.load_default(size) for size in (13, 12, 11, 10, 9))
        font = next((font for font in sizes if pen.textlength(name, font) <= cell), ImageFont.load_default(9))
        while pen.textlength(name, font) > cell:  # its end tells the classes, or the last step
            name = f"…{name.lstrip('…')[1:]}"
        pen.text((x, y), name, fill="#444", font=font)

    for column, (image, name) in enumerate(zip(heads, head_names, strict=True)):
        place(image, left + column * cell, LABEL)
        write(name, left + column * cell + 4, 3)
    for row, (image, name) in enumerate(zip(sides, side_names, strict=True)):
        y = top + row * (cell + LABEL)
        place(image, 0, y)
        write(name, 4, y - LABEL + 4)
        for column, mixed in enumerate(cells[row]):
            place(mixed, left + column * cell, y)
    pen.line([(left - GAP // 2, 0), (left - GAP // 2, canvas.height)], fill="#d6d3d1")
    return canvas


def build(models: Models, model: gr.Dropdown, known: gr.State) -> tuple[gr.Textbox, gr.Textbox, list[Action]]:
    """Lay the tab out and connect its events; returns rows, columns, and what is done in turn when it is opened.

    Args:
        known: the classes of the model.
    """
    handlers = MixHandlers(models)
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            with gr.Group():
                rows = gr.Textbox("0, 1, 4, 5", label="Rows: shapes", info="Up to six seeds or names.", max_length=400)
                of_rows = class_choice(known, rows, "rows-class", MOST_ROWS, "Class of the rows")
                columns = gr.Textbox("2, 6, 9, 11, 13", label="Columns: appearance", max_length=400)
                of_columns = class_choice(known, columns, "columns-class", MOST_ROWS, "Class of the columns")
                for pictures in (rows, columns):
                    checked(pictures, partial(named_pictures, most=MOST_ROWS))
                sizes = [("4", 4), ("8", 8), ("16", 16), ("32", 32), ("64", 64)]
                words = "Small sizes: parts and colours. Large sizes: colours alone."
                size = gr.Radio(sizes, value=8, label="The column takes over from maps of", info=words)
            start = gr.Button("Mix", variant="primary", elem_id="mix-button")
            with gr.Accordion("What is mixed", open=False):
                gr.Markdown(
                    "A latent enters this generator at 4 × 4 alone. What takes over is what describes a picture as a "
                    "whole: the mean and deviation of every channel, the weights of attentive normalization, and the "
                    "styles of the gates. Masks and noise, which say where things are, stay."
                )
        with gr.Column(scale=3, min_width=300):
            note = gr.Markdown("The mixtures appear here.", elem_id="mix-note")
            alt = "Mixtures of the rows' and the columns' pictures"
            table = widgets.image_view(alt, "mix-table", "pictures", "table", show_label=False)
    mix = Action(handlers.mix, [model, rows, columns, size], [table, note])
    mix.on(start.click, api="mix")
    for trigger in (rows.submit, columns.submit, size.input, of_rows, of_columns):
        mix.on(trigger)
    between_classes.build(models, model, known, rows)
    return rows, columns, [Action(handlers.sizes, [model], size), mix]
